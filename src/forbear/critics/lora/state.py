"""A training under way, on disk: one file of safetensors, replaced whole, so that a kill leaves the one before.

Adapters, the optimiser's moments and the best adapters so far are tensors; the rest is JSON in the file's header.
Nothing is pickled.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forbear.errors import InvalidInput, OutputUnwritable, brief_error
from forbear.files import read_bounded, write_whole
from forbear.wording import shown

FORMAT = "forbear-lora-state-1"
_LIMIT = 4 << 30
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(slots=True, kw_only=True)
class State:
    """How far a training has come."""

    digest: str
    """Of runs, model and recipe."""
    step: int = 0
    """Batches."""
    seconds: float = 0.0
    """Of the processor."""
    best_loss: float = math.inf
    since_best: int = 0
    """Looks at the validation tasks since the best."""
    losses: list[float] = field(default_factory=list)
    """Of the batches since the last look."""
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Any] = field(default_factory=dict)
    """By `now.NAME` what is being learned, and its moments."""

    def take_from(self, learned: Mapping[str, Any], optimiser: Any) -> None:
        """Notes what has been learned."""
        self.tensors = {f"now.{name}": parameter.detach() for name, parameter in learned.items()}
        for name, parameter in learned.items():
            moments = optimiser.state.get(parameter, {})
            self.tensors |= {f"{kind}.{name}": moments[kind] for kind in _MOMENTS if kind in moments}

    def put_into(self, learned: Mapping[str, Any], optimiser: Any) -> None:
        """Sets what is learned, and the optimiser, to what was noted.

        Raises:
            InvalidInput: The file is of another model.
        """
        import torch

        for name, parameter in learned.items():
            found = [self.tensors.get(f"{kind}.{name}") for kind in ("now", *_MOMENTS)]
            if any(tensor is None or tensor.shape != parameter.shape for tensor in found):
                raise InvalidInput(f"the state of the training lacks '{shown(name)}'; delete it and train again.")
            now, first, second = (tensor.to(parameter.device) for tensor in found if tensor is not None)
            parameter.data.copy_(now)
            optimiser.state[parameter] = {
                "step": torch.tensor(float(self.step)),
                "exp_avg": first.clone(),
                "exp_avg_sq": second.clone(),
            }


def write_state(path: Path, state: State) -> None:
    """Writes the file.

    Raises:
        OutputUnwritable: It cannot be written; what stood there before does.
    """
    from safetensors.torch import save

    told = {
        "digest": state.digest,
        "step": state.step,
        "seconds": state.seconds,
        "best_loss": None if math.isinf(state.best_loss) else state.best_loss,
        "since_best": state.since_best,
        "losses": state.losses,
        "history": state.history,
    }
    tensors = state.tensors | {f"best.{name}": tensor for name, tensor in state.best.items()}
    contiguous = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, save(contiguous, metadata={"format": FORMAT, "state": json.dumps(told)}))
    except OSError as error:
        raise OutputUnwritable(
            f"{shown(str(path), limit=200)}: the training's state cannot be written ({error.strerror})."
        ) from None


def read_state(path: Path, *, digest: str) -> State | None:
    """Reads what `write_state` wrote; None where there is nothing.

    Raises:
        InvalidInput: It is damaged, or of other runs, another model or another recipe.
    """
    from safetensors.torch import load

    place = shown(str(path), limit=200)
    try:
        raw = bytes(read_bounded(path, limit=_LIMIT))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidInput(f"cannot read {place} ({error.strerror}).") from None
    try:
        tensors = load(raw)
        told = json.loads(_metadata(raw)["state"])
        state = State(
            digest=str(told["digest"]),
            step=int(told["step"]),
            seconds=float(told["seconds"]),
            best_loss=math.inf if told["best_loss"] is None else float(told["best_loss"]),
            since_best=int(told["since_best"]),
            losses=[float(loss) for loss in told["losses"]],
            history=[{str(name): float(value) for name, value in look.items()} for look in told["history"]],
        )
    except Exception as error:
        raise InvalidInput(
            f"{place} is no state of a training ({brief_error(error)}); delete it and train again."
        ) from None
    if state.digest != digest:
        raise InvalidInput(
            f"{place} is a training under way of other runs, another model or other options: give those again to "
            "finish it, name another directory, or delete it."
        )
    state.best = {name.removeprefix("best."): tensor for name, tensor in tensors.items() if name.startswith("best.")}
    state.tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("best.")}
    return state


def _metadata(raw: bytes) -> dict[str, str]:
    size = int.from_bytes(raw[:8], "little")
    return json.loads(raw[8 : 8 + size])["__metadata__"]  # type: ignore[no-any-return]
