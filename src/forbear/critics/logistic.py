"""A critic that is a logistic regression on features of the transcript: hashed names and dense numbers.

Which features, a `TranscriptFeatures` says; the weights lie in an `.npz` of plain arrays. Inference needs numpy alone.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from forbear.contracts.draw import Draw
from forbear.critics.calibration import StepLines
from forbear.errors import InvalidInput
from forbear.learned.hashing import bucket
from forbear.learned.npz import npz_bytes, read_npz
from forbear.learned.optimiser import minimise
from forbear.records.model import JSON, Action, Trajectory
from forbear.wording import shown

_PLAIN, _BY_STEP = "forbear-logistic-1", "forbear-logistic-2"
"""Formats of the `.npz`: without and with a calibration by the step's index."""
_MAX_BUCKETS = 1 << 20
_LIMIT = 1e4
"""No weight of a sane model is larger; a file with larger ones is damaged."""


@dataclass(frozen=True, slots=True)
class Features:
    """What a transcript looks like."""

    names: Sequence[str]
    """Hashed indicators; a name that occurs twice counts twice."""
    numbers: Sequence[float]
    """Dense features, in a fixed order and scaled to about [0, 1]."""


class TranscriptFeatures(Protocol):
    """Turns a prefix and a proposal into features: pure, and blind to how the episode ends."""

    @property
    def name(self) -> str:
        """Name and version: two that differ have different names."""
        ...

    @property
    def size(self) -> int:
        """How many dense numbers there are."""
        ...

    def __call__(self, trajectory: Trajectory, proposed: Action) -> Features:
        """Returns the features; the last step of the trajectory is open."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LogisticWeights:
    """The learned part: log-odds = (bias + dense·numbers + Σ hashed[bucket of name]) / temperature, then `by_step`."""

    bias: float
    dense: NDArray[np.float64]
    """Shape (size of the features,)."""
    hashed: NDArray[np.float64]
    """Shape (a power of two,)."""
    temperature: float = 1.0
    by_step: StepLines | None = None
    """Calibration by the index of the step."""

    def __post_init__(self) -> None:
        buckets = len(self.hashed) if self.hashed.ndim == 1 else 0
        if not 1 <= buckets <= _MAX_BUCKETS or buckets & (buckets - 1):
            raise InvalidInput(
                f"hashed weights must be a list whose length is a power of two up to {_MAX_BUCKETS}, "
                f"got shape {self.hashed.shape}."
            )
        if self.dense.ndim != 1:
            raise InvalidInput(f"dense weights must be a list, got shape {self.dense.shape}.")
        everything = np.concatenate([[self.bias], self.dense, self.hashed])
        if not (np.abs(everything) <= _LIMIT).all():
            raise InvalidInput(f"weights must be numbers within ±{_LIMIT:g}; the file is damaged or of another model.")
        if not 1e-3 <= self.temperature <= 1e3:
            raise InvalidInput(f"the temperature must lie between 0.001 and 1000, got {self.temperature!r}.")

    def sha256(self) -> str:
        """Returns a hash of all values, the same however they are stored."""
        lines = [] if self.by_step is None else [self.by_step.slope, self.by_step.shift]
        numbers = np.concatenate([[self.bias, self.temperature, len(self.dense)], self.dense, self.hashed, *lines])
        return hashlib.sha256(numbers.astype("<f8").tobytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Returns the `.npz`: hashed weights as sparse float16 (those that are not zero), the same bytes each time."""
        kept = np.flatnonzero(self.hashed)
        arrays: dict[str, NDArray[np.generic]] = {
            "format": np.frombuffer((_PLAIN if self.by_step is None else _BY_STEP).encode(), dtype=np.uint8),
            "buckets": np.array([len(self.hashed)], dtype="<i8"),
            "index": kept.astype("<u4"),
            "value": self.hashed[kept].astype("<f2"),
            "dense": self.dense.astype("<f8"),
            "scalars": np.array([self.bias, self.temperature], dtype="<f8"),
        }
        if self.by_step is not None:
            arrays["by_step"] = np.array([self.by_step.slope, self.by_step.shift], dtype="<f8")
        return npz_bytes(arrays)

    @classmethod
    def load(cls, path: Path) -> "LogisticWeights":
        """Reads what `to_bytes` made.

        Raises:
            InvalidInput: Missing, too large, not an `.npz` of plain arrays, another format, or values out of range.
        """
        arrays = read_npz(path, kind=_BY_STEP, earlier=[_PLAIN])
        try:
            index, value, dense = arrays["index"], arrays["value"], arrays["dense"]
            buckets = int(arrays["buckets"].reshape(1)[0])
            bias, temperature = map(float, arrays["scalars"].reshape(2))
            lines = arrays.get("by_step", np.zeros((2, 0)))
        except (KeyError, ValueError, OverflowError) as error:
            raise InvalidInput(f"{shown(path.name)} lacks an array of a logistic critic; train it again.") from error
        fits = 1 <= buckets <= _MAX_BUCKETS and index.ndim == 1 and index.shape == value.shape
        fits = fits and lines.ndim == 2 and len(lines) == 2
        # Before anything is copied as eight bytes a number: what is stored as one byte would take eight times the file.
        if not fits or index.dtype.kind not in "iu" or max(index.size, dense.size, lines.size) > _MAX_BUCKETS:
            raise InvalidInput(f"{shown(path.name)} has arrays that do not fit together; train it again.")
        if len(index) and not (index.min() >= 0 and index.max() < buckets):
            raise InvalidInput(f"{shown(path.name)} has weights outside its {buckets} buckets; train it again.")
        hashed = np.zeros(buckets)
        hashed[index] = value
        slope, shift = lines.astype(np.float64)
        by_step = StepLines(slope=slope, shift=shift) if "by_step" in arrays else None
        return cls(bias=bias, dense=dense.astype(np.float64), hashed=hashed, temperature=temperature, by_step=by_step)


class LogisticCritic:
    """p_fail by logistic regression on features of the transcript."""

    def __init__(self, weights: LogisticWeights, *, features: TranscriptFeatures, name: str = "logistic") -> None:
        if len(weights.dense) != features.size:
            raise InvalidInput(
                f"the weights are for {len(weights.dense)} dense features, {features.name!r} has {features.size}."
            )
        self._weights = weights
        self._features = features
        self._name = name
        self._dense = weights.dense.tolist()
        self._hashed = weights.hashed.tolist()  # reading a list is ten times faster than reading an array
        self._mask = len(self._hashed) - 1
        lines = weights.by_step
        self._lines: list[tuple[float, float]] | None = (
            None if lines is None else list(zip(lines.slope.tolist(), lines.shift.tolist(), strict=True))
        )
        self._sha256 = weights.sha256()

    def logit(self, trajectory: Trajectory, proposed: Action) -> float:
        """Returns the log-odds of failing, calibrated."""
        before = self.raw(trajectory, proposed)
        if self._lines is None:
            return before
        slope, shift = self._lines[min(len(trajectory.steps), len(self._lines)) - 1]
        return slope * before + shift

    def raw(self, trajectory: Trajectory, proposed: Action) -> float:
        """Returns the log-odds of failing before they are calibrated by the step's index; temperature applied."""
        seen = self._features(trajectory, proposed)
        total = self._weights.bias
        for weight, number in zip(self._dense, seen.numbers, strict=True):
            total += weight * number
        hashed, mask = self._hashed, self._mask
        for name in seen.names:
            total += hashed[bucket(name) & mask]
        return total / self._weights.temperature

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> float:
        """Returns the probability that the episode will fail; draws nothing and never abstains."""
        return float(expit(self.logit(trajectory, proposed)))

    def config(self) -> Mapping[str, JSON]:
        """Returns its name, the features' name and the hash of its weights."""
        return {"name": self._name, "features": self._features.name, "sha256": self._sha256}


def train_logistic(
    rows: Sequence[Features],
    failed: Sequence[bool],
    *,
    row_weights: Sequence[float],
    buckets: int = 1 << 13,
    l2: float = 1.0,
    iterations: int = 300,
) -> LogisticWeights:
    """Fits the weights by penalised maximum likelihood, the same bits on every run; temperature 1.

    Args:
        rows: Features of each scored step.
        failed: Whether its episode failed.
        row_weights: Weight of each row, not negative; 1/(steps of the episode) makes episodes count alike.
        buckets: Power of two.
        l2: Penalty on the weights, ½·l2·Σw², the bias left free; larger is smoother.
        iterations: Of the solver, at most.

    Raises:
        InvalidInput: Lengths that differ, no row, or only one outcome.
    """
    if not rows or not len(rows) == len(failed) == len(row_weights):
        raise InvalidInput(
            f"expected one outcome and one weight for each of at least one row, got {len(rows)} rows, "
            f"{len(failed)} outcomes, {len(row_weights)} weights."
        )
    y = np.asarray(failed, dtype=np.float64)
    if y.min() == y.max():
        raise InvalidInput("a critic learns from failures and successes; all episodes ended alike. Collect more.")
    x = _matrix(rows, buckets=buckets)
    x_t = csr_array(x.T)
    w = np.asarray(row_weights, dtype=np.float64)
    penalty = np.full(x.shape[1], l2)
    penalty[0] = 0.0

    def objective(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ theta
        loss = np.logaddexp(0.0, z) - y * z
        value = float(np.add.reduce(w * loss) + 0.5 * np.add.reduce(penalty * theta * theta))
        return value, x_t @ (w * (expit(z) - y)) + penalty * theta

    theta = minimise(objective, np.zeros(x.shape[1]), iterations=iterations, tolerance=1e-4)
    size = len(rows[0].numbers)
    # Rounded as they are stored, so that what was measured is what is shipped.
    hashed = theta[1 + size :].astype(np.float16).astype(np.float64)
    return LogisticWeights(bias=float(theta[0]), dense=theta[1 : 1 + size].copy(), hashed=hashed)


def _matrix(rows: Sequence[Features], *, buckets: int) -> csr_array:
    size = len(rows[0].numbers)
    starts, columns, values = [0], list[int](), list[float]()
    for row in rows:
        columns.append(0)
        columns.extend(range(1, 1 + size))
        columns.extend(1 + size + (bucket(name) & (buckets - 1)) for name in row.names)
        values.append(1.0)
        values.extend(row.numbers)
        values.extend([1.0] * len(row.names))
        starts.append(len(columns))
    matrix = csr_array((values, columns, starts), shape=(len(rows), 1 + size + buckets), dtype=np.float64)
    matrix.sum_duplicates()
    return matrix
