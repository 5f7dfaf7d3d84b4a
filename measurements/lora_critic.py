"""What a small language model with LoRA learns as a critic, beside critics that cost next to nothing.

    python measurements/lora_critic.py train FOLDER OUT     # hours of one core; killed, it goes on from where it was
    python measurements/lora_critic.py table FOLDER OUT     # what docs/results.md shows

FOLDER holds `mint_MODEL_none.jsonl`. Tasks are dealt into three folds by a hash of their id, as in critic_training.py:
all critics learn from the runs of two folds, and are judged on all steps of half of the third's tasks (a language model
takes a third of a second for each). The model is the SmolLM2-135M-Instruct that `forbear models install` brings. One
setting, chosen for its price before anything was seen, and tried once: see SETTINGS.
"""

import sys
from pathlib import Path

from forbear.adapters.formats.episodes import read_runs
from forbear.critics.lora.base import find_base
from forbear.critics.lora.training import LoraRecipe, train_lora
from forbear.learned.hashing import bucket

FOLDS, JUDGED = 3, 0
SETTINGS = LoraRecipe(
    epochs=2, batch=4, max_tokens=192, steps_per_run=1, validation=0.15, test=0.0, looks=1, dtype="bfloat16"
)
"""Everything else is the default (rank 16, learning rate 2e-4): what twenty minutes of one core pay for."""


def split(folder):
    runs = read_runs(sorted(folder.glob("mint_*_none.jsonl"))).runs
    fold = [bucket(f"fold:{run.task}") % (2 * FOLDS) for run in runs]
    return (
        [run for run, at in zip(runs, fold, strict=True) if at % FOLDS != JUDGED],
        [run for run, at in zip(runs, fold, strict=True) if at == JUDGED],
    )


def train(folder, out):
    import torch

    torch.set_num_threads(1)
    learned_from, _ = split(folder)
    print(f"{len(learned_from)} runs to learn from", flush=True)
    training = train_lora(
        learned_from,
        base=find_base("installed"),
        recipe=SETTINGS,
        unfinished=out / "lora" / "unfinished.safetensors",
        tell=lambda line: print(line, flush=True),
    )
    print(f"{training.seconds:.0f} s of the processor, {training.epochs:g} epochs, {list(training.history)}")


if __name__ == "__main__":
    train(Path(sys.argv[2]), Path(sys.argv[3]))
