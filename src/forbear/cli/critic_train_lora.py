"""`forbear critic train --backend lora`: a language model with adapters, trained in as many sittings as it takes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forbear.errors import InvalidInput
from forbear.wording import shown

if TYPE_CHECKING:
    from forbear.adapters.formats.episodes import ReadRuns

OPTIONS: Mapping[str, tuple[Any, str]] = {
    "model": (str, "Folder, GGUF, 'installed', or a name in the hub's cache. [Qwen/Qwen3-0.6B]"),
    "epochs": (int, "Over the runs. [3]"),
    "rank": (int, "Of the adapters. [16]"),
    "learning-rate": (float, "At its highest. [2e-4]"),
    "batch": (int, "Steps that are learned from at once. [8]"),
    "max-tokens": (int, "Of a step: the task, the latest steps, the proposal. [1024]"),
    "steps-per-run": (int, "Learned from in an epoch, drawn anew each time. [all]"),
    "dtype": (click.Choice(["float32", "bfloat16"]), "Of the model below. [float32]"),
    "device": (click.Choice(["cpu", "cuda"]), "What computes. [cpu]"),
}
"""With --backend lora only: of each its type and what it says."""


def lora_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options to a command, which gets them as `lora_NAME`; None where they were not given."""
    for name, (kind, told) in reversed([*OPTIONS.items()]):
        command = click.option(f"--{name}", f"lora_{name.replace('-', '_')}", type=kind, help=f"lora: {told}")(command)
    return command


def train_in_folder(
    read: "ReadRuns", folder: Path, *, given: Mapping[str, Any], sources: Sequence[str], tell: Callable[[str], None]
) -> Mapping[str, Any]:
    """Trains, or goes on with a training, and writes the folder; returns what its `critic.json` says.

    Args:
        read: The runs.
        folder: Where the critic is to be.
        given: Of `OPTIONS`, those that were named.
        sources: Names of the files.
        tell: Is told how it goes.

    Raises:
        InvalidInput: As `train_lora`; the folder holds another critic.
    """
    from forbear.adapters.critic_folder import RECORD, read_record
    from forbear.critics.lora.base import DEFAULT_MODEL, find_base
    from forbear.critics.lora.folder import UNFINISHED, write_lora
    from forbear.critics.lora.training import LoraRecipe, digest_of, train_lora

    recipe = LoraRecipe(**{name: value for name, value in given.items() if name not in ("model", "device")})
    base = find_base(given.get("model") or DEFAULT_MODEL)
    if (folder / RECORD).exists():
        card = read_record(folder)
        trained = card.get("trained")
        if not isinstance(trained, Mapping) or trained.get("training") != digest_of(read.runs, base, recipe):
            raise InvalidInput(
                f"{shown(str(folder), limit=200)} holds a critic of other runs, another model or other options; name "
                "another directory."
            )
        tell("it is trained already: nothing is done")
        return card
    training = train_lora(
        read.runs,
        base=base,
        recipe=recipe,
        unfinished=folder / UNFINISHED,
        device=given.get("device") or "cpu",
        tell=tell,
    )
    return write_lora(training, folder, base=base, recipe=recipe, sources=sources, left_out=read.left_out)
