"""What a model of random weights says, whichever kind it is; skipped where torch is not installed."""

import pytest

from critics.lora.tiny_model import tiny_model
from forbear.critics.lora.base import find_base, open_scorer

for needed in ("torch", "transformers", "peft", "safetensors"):
    pytest.importorskip(needed, reason=f"{needed} of the extra hf is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")]


def opened(folder):
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        scorer, targets = open_scorer(
            find_base(str(folder)), rank=2, alpha=4.0, dropout=0.0, targets=None, dtype="float32", device="cpu"
        )
        for parameter in scorer.learned().values():
            torch.nn.init.normal_(parameter, std=0.5)
    return scorer, targets


def both_ways(folder):
    """A model in which every token sees all others."""
    import torch
    from transformers import BertConfig, BertModel

    tiny_model(folder)
    size = {"vocab_size": 300, "hidden_size": 16, "intermediate_size": 32, "max_position_embeddings": 128}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(BertConfig(**size, num_hidden_layers=1, num_attention_heads=2)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("made", "causal"), [(tiny_model, True), (both_ways, False)])
def test_a_row_scores_alike_alone_and_beside_longer_ones(tmp_path, made, causal):
    import torch

    scorer, targets = opened(made(tmp_path))
    assert scorer.causal is causal
    assert targets
    rows = [[5, 6, 7], [9, 8, 7, 6, 5, 4, 3, 2], [1]]
    with torch.inference_mode():
        together = scorer.logits(rows)
        alone = torch.cat([scorer.logits([row]) for row in rows])
    assert together == pytest.approx(alone, abs=1e-5)
    assert len(set(alone.tolist())) == 3


def test_the_models_own_marks_in_a_text_are_text(tmp_path):
    scorer, _ = opened(tiny_model(tmp_path))
    tokens = scorer.encode("well <end> then")
    assert scorer.tokenizer.eos_token_id not in tokens
    assert len(tokens) == len("well <end> then")  # a token a letter


def test_new_adapters_change_nothing_before_they_have_learned(tmp_path):
    scorer, _ = open_scorer(
        find_base(str(tiny_model(tmp_path))),
        rank=2,
        alpha=4.0,
        dropout=0.0,
        targets=None,
        dtype="float32",
        device="cpu",
    )
    assert scorer.logits([[1, 2, 3]]).tolist() == [0.0]
