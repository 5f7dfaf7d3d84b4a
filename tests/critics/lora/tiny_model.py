"""A language model of a few thousand random weights, made on the spot: real layers, real files, nothing learned."""

import json


def tiny_model(folder, *, seed=0):
    """Writes a causal model with a tokenizer of bytes, in Hugging Face's layout."""
    import tokenizers
    import torch
    from transformers import LlamaConfig, LlamaModel, PreTrainedTokenizerFast

    letters = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {"<end>": 0} | {letter: at for at, letter in enumerate(sorted(letters), start=1)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        LlamaModel(config).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    return folder


def logged(runs, path):
    """Writes runs in the trajectory layout."""
    with path.open("w") as file:
        for run in runs:
            steps = run.trajectory.steps
            after = [*(step.observation for step in steps[1:]), ""]
            line = {
                "task_id": run.task,
                "seed": run.run,
                "success": run.success,
                "task": steps[0].observation,
                "steps": [
                    {"action": step.executed.text, "observation": seen} for step, seen in zip(steps, after, strict=True)
                ],
            }
            file.write(json.dumps(line) + "\n")
    return path
