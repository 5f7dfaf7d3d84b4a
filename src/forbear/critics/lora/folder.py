"""The folder of a LoRA critic: `adapter.safetensors`, and `critic.json`, which says what it is and how good it was.

The model below is not in it: `critic.json` names it and has its digest, and another one is refused.
"""

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from forbear import __version__
from forbear.critics.card import metrics_of, written
from forbear.critics.lora.base import Base, DType, Scorer, find_base, libraries, open_scorer
from forbear.critics.lora.prompt import FORM, MIN_TOKENS
from forbear.critics.lora.training import LoraRecipe, LoraTraining
from forbear.critics.runs import JudgedRun
from forbear.critics.trained import CARD, task_key
from forbear.critics.training import warning_of
from forbear.errors import InvalidInput, OutputUnwritable, brief_error
from forbear.files import read_bounded, write_whole
from forbear.records.model import JSON
from forbear.wording import described, shown

ADAPTER = "adapter.safetensors"
UNFINISHED = "unfinished.safetensors"
"""A training under way; gone when it is over."""
FORMAT = "forbear-lora-critic-1"

_NOT_MEASURED = "no task was held out to measure it: judge it with forbear critic evaluate."
_MAX_CARD = 16 << 20
_MAX_ADAPTER = 2 << 30
_MAX_RANK = 4096
_LIMIT = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraSettings:
    """What decides a LoRA critic's scores, beside its tensors and the model below.

    Raises:
        InvalidInput: A value that is none.
    """

    rank: int
    alpha: float
    targets: tuple[str, ...]
    max_tokens: int
    dtype: DType
    slope: float
    shift: float

    def __post_init__(self) -> None:
        numbers = (self.alpha, self.slope, self.shift)
        names = all(isinstance(name, str) and name.replace("_", "").isalnum() for name in self.targets)
        if not (type(self.rank) is int and 1 <= self.rank <= _MAX_RANK and 0 < len(self.targets) <= 100 and names):
            raise InvalidInput("the critic's adapters are of no sane size or place; the card is damaged.")
        if not all(type(value) in (int, float) and abs(value) <= _LIMIT for value in numbers):
            raise InvalidInput("the critic's scale is no number of a sane size; the card is damaged.")
        if type(self.max_tokens) is not int or not MIN_TOKENS <= self.max_tokens < 1 << 24:
            raise InvalidInput(f"max_tokens must be at least {MIN_TOKENS}, got {described(self.max_tokens)}.")
        if self.dtype not in ("float32", "bfloat16"):
            raise InvalidInput(f"dtype must be float32 or bfloat16, got {described(self.dtype)}.")


def write_lora(
    training: LoraTraining,
    folder: Path,
    *,
    base: Base,
    recipe: LoraRecipe,
    sources: Sequence[str],
    left_out: Mapping[str, int],
) -> dict[str, JSON]:
    """Writes the folder and returns what its `critic.json` says.

    Raises:
        OutputUnwritable: It cannot be written.
    """
    from safetensors.torch import save

    measured = training.measured
    metrics = {} if measured is None else metrics_of(measured)
    content = save(dict(training.tensors), metadata={"format": FORMAT})
    runs = [run for part in training.split.values() for run in part]
    settings = LoraSettings(
        rank=recipe.rank,
        alpha=recipe.alpha,
        targets=training.targets,
        max_tokens=recipe.max_tokens,
        dtype=recipe.dtype,
        slope=training.slope,
        shift=training.shift,
    )
    card: dict[str, JSON] = {
        "format": FORMAT,
        "sha256": hashlib.sha256(content).hexdigest(),
        "base": {"name": base.name, "sha256": base.sha256},
        "prompt": FORM,
        "settings": asdict(settings) | {"targets": list(settings.targets)},
        "trained": {
            "sources": list(sources),
            "runs": len(runs),
            "failed": sum(run.failed for run in runs),
            "steps": sum(len(run.trajectory.steps) for run in runs),
            "tasks": len({run.task for run in runs}),
            "left_out": dict(left_out),
            "agents": dict(Counter(run.agent or "unknown" for run in runs)),
            "models": dict(Counter(run.model or "unknown" for run in runs)),
            "recipe": asdict(recipe),
            "training": training.digest,
            "epochs": training.epochs,
            "cpu_seconds": round(training.seconds, 1),
            "looks": [dict(look) for look in training.history],
        },
        "splits": {part: _keys(found) for part, found in training.split.items()} | {"by": "task or cluster"},
        "metrics": {name: None if value is None else written(value) for name, value in metrics.items()},
        "leaks": {
            "shuffled_auroc": {
                "mean": training.shuffled.mean,
                "low": training.shuffled.low,
                "high": training.shuffled.high,
            },
            "of": "a logistic regression on the words of the prompts",
        },
        "warning": _NOT_MEASURED if measured is None else warning_of(measured),
        "versions": {
            "forbear": __version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in ("numpy", "peft", "safetensors", "scipy", "torch", "transformers")},
        },
        "tasks": sorted({*_keys(training.split["train"]), *_keys(training.split["validation"])}),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ADAPTER, content)
        write_whole(folder / CARD, json.dumps(card, indent=1, sort_keys=True, allow_nan=False).encode("ascii") + b"\n")
        (folder / UNFINISHED).unlink(missing_ok=True)
    except OSError as error:
        raise OutputUnwritable(
            f"{shown(str(folder), limit=200)}: the critic cannot be written ({error.strerror})."
        ) from None
    return card


def _keys(runs: Sequence[JudgedRun]) -> list[str]:
    return sorted({task_key(run.task) for run in runs})


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def read_card(folder: Path) -> dict[str, Any]:
    """Reads `critic.json` of a LoRA critic.

    Raises:
        InvalidInput: There is none, or it is of another format.
    """
    where = shown(str(folder), limit=200)
    try:
        card = json.loads(bytes(read_bounded(folder / CARD, limit=_MAX_CARD)))
    except OSError as error:
        raise InvalidInput(
            f"{where}: no readable critic there ({error.strerror}). Name a folder that forbear critic train wrote."
        ) from None
    except (ValueError, RecursionError):
        raise InvalidInput(f"{where}: its {CARD} is not JSON; train it again.") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise InvalidInput(f"{where}: its {CARD} is not of the format {FORMAT}, the only one read here.")
    return card


def settings_of(card: Mapping[str, Any], *, where: str) -> LoraSettings:
    """The settings that a card has.

    Raises:
        InvalidInput: They are damaged, or for prompts of another version.
    """
    told = card.get("settings")
    try:
        settings = LoraSettings(**(told | {"targets": tuple(told["targets"])}))  # type: ignore[operator, index]
    except (TypeError, KeyError) as error:
        raise InvalidInput(f"{where}: {CARD} lacks the settings of a LoRA critic; train it again.") from error
    if card.get("prompt") != FORM:
        raise InvalidInput(f"{where}: trained on prompts of another version of forbear; train it again.")
    return settings


def base_of(card: Mapping[str, Any], *, model: str | None, where: str) -> Base:
    """The model below, which is the one that was trained on.

    Raises:
        InvalidInput: It is not on this machine, or another one.
    """
    told = card.get("base")
    name, digest = (told.get("name"), told.get("sha256")) if isinstance(told, Mapping) else (None, None)
    if not isinstance(name, str) or not isinstance(digest, str):
        raise InvalidInput(f"{where}: {CARD} does not say which model is below; train it again.")
    base = find_base(model or name)
    if base.sha256 != digest:
        raise InvalidInput(
            f"{where}: trained on {shown(name, limit=200)}, and {shown(base.name, limit=200)} is not that model (its "
            'sha256 differs). Say where the right one is: options = { path = "...", model = "..." }.'
        )
    return base


def adapter_bytes(folder: Path, card: Mapping[str, Any]) -> bytes:
    """The file of adapters.

    Raises:
        InvalidInput: It cannot be read, or is not the one that the card describes.
    """
    where = shown(str(folder), limit=200)
    try:
        content = bytes(read_bounded(folder / ADAPTER, limit=_MAX_ADAPTER))
    except OSError as error:
        raise InvalidInput(f"{where}: its {ADAPTER} cannot be read ({error.strerror}).") from None
    if hashlib.sha256(content).hexdigest() != card.get("sha256"):
        raise InvalidInput(f"{where}: {ADAPTER} is not the file that {CARD} describes (its sha256 differs).")
    return content


def scorer_of(content: bytes, settings: LoraSettings, base: Base, *, device: str) -> Scorer:
    """Opens the model and puts the adapters on it.

    Raises:
        InvalidInput: They do not fit, or are no numbers.
    """
    torch, _, _ = libraries()
    from safetensors.torch import load

    with torch.random.fork_rng(devices=[]):
        scorer, _ = open_scorer(
            base,
            rank=settings.rank,
            alpha=settings.alpha,
            dropout=0.0,
            targets=settings.targets,
            dtype=settings.dtype,
            device=device,
        )
    try:
        tensors = load(content)
    except Exception as error:
        raise InvalidInput(f"{ADAPTER} is no file of safetensors ({brief_error(error)}); train it again.") from None
    learned = scorer.learned()
    if tensors.keys() != learned.keys() or any(tensors[name].shape != learned[name].shape for name in learned):
        raise InvalidInput(f"{ADAPTER} does not fit the model {shown(base.name, limit=200)}; train it again.")
    for name, parameter in learned.items():
        if not bool((tensors[name].abs() <= _LIMIT).all()):
            raise InvalidInput(f"{ADAPTER} holds what is no number of a sane size; the file is damaged.")
        parameter.data.copy_(tensors[name])
    scorer.body.eval()
    return scorer
