"""A critic that was trained on runs (`forbear critic train`): hashed bags of words and behaviour into one logit.

On disk it is a folder: `critic.npz`, plain arrays, and `critic.json`, which says what they are and how they were made.
Loading runs no code of whoever made it. Scoring needs numpy alone.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.critics.bags import BAGS, bag_of, texts_of
from forbear.critics.behaviour import BEHAVIOUR, TEXT_LIMIT, behaviour
from forbear.errors import InvalidInput
from forbear.files import read_bounded
from forbear.learned.npz import npz_bytes, read_npz
from forbear.records.model import JSON, Action, Trajectory
from forbear.wording import shown

ARRAYS, CARD = "critic.npz", "critic.json"
KIND = "forbear-trained-1"
"""Format of the arrays, and of the features: another version of these is another kind."""
CARD_FORMAT = "forbear-critic-1"
ADVANTAGE_FORMAT = "forbear-advantage-critic-1"
"""Another format, since its scores are no probabilities: who does not know it must not read them as such."""

CLIP = 3.0
"""Standard deviations beyond which a number of behaviour says no more."""
SCALE = 0.2
"""Of such a number beside a bag of length 1."""
HISTORY = ("history_rate", "history_known")
"""What earlier runs of the task add to the behaviour, where the critic was given them."""

_MAX_CARD = 16 << 20
_MAX_BUCKETS = 1 << 20
_MAX_HISTORY = 1 << 20
_LIMIT = 1e6
_PRIOR = 2.0
"""Runs at the average rate that are added to those of a task."""

Floats = NDArray[np.float64]


def features_card(*, buckets: int, history: bool) -> dict[str, JSON]:
    """What a critic's features are; one that says otherwise is not for this version."""
    names = [*BEHAVIOUR, *(HISTORY if history else ())]
    return {"kind": KIND, "bags": list(BAGS), "buckets": buckets, "behaviour": names, "text_limit": TEXT_LIMIT}


def task_key(task: str) -> str:
    """A task's id as critics remember which ones they were trained on: the start of its sha256."""
    return hashlib.sha256(task.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskHistory:
    """How earlier runs of tasks ended."""

    counts: Mapping[str, tuple[int, int]]
    """By `task_key`: failures, runs."""
    rate: float
    """Failures among all of them."""

    def numbers(self, task: str, *, without: tuple[int, int] = (0, 0)) -> list[float]:
        """Returns the numbers of `HISTORY` for a task.

        Args:
            task: Its id; of one that is not known the average rate is told.
            without: Failures and runs that are not to be counted, because they are what is judged.
        """
        failures, runs = self.counts.get(task_key(task), (0, 0))
        failures, runs = failures - without[0], runs - without[1]
        prior = _PRIOR * min(max(self.rate, 0.02), 0.98)
        rate = (failures + prior) / (runs + _PRIOR)
        return [math.log(rate / (1 - rate)), float(runs > 0)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainedWeights:
    """The learned part. The logit is slope·(bias + Σ bags + dense) + shift."""

    idf: Floats
    bags: Floats
    """Inverse document frequencies and weights, shape (bags, buckets)."""
    mean: Floats
    sd: Floats
    dense: Floats
    """Of the behaviour: what is taken off, what it is divided by, and weights; shape (numbers,)."""
    bias: float
    slope: float = 1.0
    shift: float = 0.0
    """Platt's calibration."""
    history: TaskHistory | None = None

    def __post_init__(self) -> None:
        buckets = self.bags.shape[1] if self.bags.ndim == 2 else 0
        numbers = len(BEHAVIOUR) + (len(HISTORY) if self.history else 0)
        if self.bags.shape != (len(BAGS), buckets) or not 1 <= buckets <= _MAX_BUCKETS or buckets & (buckets - 1):
            raise InvalidInput(f"the weights of bags must have shape ({len(BAGS)}, a power of two).")
        if self.idf.shape != self.bags.shape or not self.mean.shape == self.sd.shape == self.dense.shape == (numbers,):
            raise InvalidInput("the arrays do not fit together; train the critic again.")
        parts = (self.idf, self.bags, self.mean, self.sd, self.dense, [self.bias, self.slope, self.shift])
        # Training gives frequencies of at least 1, deviations of at least 1e-6: what is far below divides by nothing.
        whole = (self.idf >= 0.5).all() and (self.sd >= 1e-9).all()
        if not all((np.abs(part) <= _LIMIT).all() for part in parts) or not whole:
            raise InvalidInput("the weights are not numbers of a sane size; the file is damaged.")

    def raw(self, trajectory: Trajectory, proposed: Action) -> float:
        """The logit before calibration."""
        numbers = behaviour(trajectory, proposed)
        if self.history is not None:
            numbers += self.history.numbers(trajectory.task.id)
        scaled = np.clip((np.array(numbers) - self.mean) / self.sd, -CLIP, CLIP) * SCALE
        total, buckets = self.bias + float(np.add.reduce(scaled * self.dense)), self.bags.shape[1]
        for idf, weights, text in zip(self.idf, self.bags, texts_of(trajectory, proposed), strict=True):
            where, times = bag_of(text, buckets=buckets)
            if len(where):
                values = times * idf[where]
                total += float(np.add.reduce(values * weights[where]) / np.sqrt(np.add.reduce(values * values)))
        return total

    def logit(self, trajectory: Trajectory, proposed: Action) -> float:
        """The log-odds of failing."""
        return self.slope * self.raw(trajectory, proposed) + self.shift

    def to_bytes(self) -> bytes:
        """The `.npz`, the same bytes for the same weights."""
        arrays: dict[str, NDArray[np.generic]] = {
            "format": np.frombuffer(KIND.encode(), dtype=np.uint8),
            "idf": self.idf.astype("<f4"),
            "bags": self.bags.astype("<f4"),
            "mean": self.mean.astype("<f8"),
            "sd": self.sd.astype("<f8"),
            "dense": self.dense.astype("<f8"),
            "scalars": np.array([self.bias, self.slope, self.shift], dtype="<f8"),
        }
        if self.history is not None:
            ordered = sorted(self.history.counts.items())
            arrays["history_tasks"] = np.array([int(key, 16) for key, _ in ordered], dtype="<u8")
            arrays["history_counts"] = np.array([counts for _, counts in ordered], dtype="<i8").reshape(-1, 2)
            arrays["history_rate"] = np.array([self.history.rate], dtype="<f8")
        return npz_bytes(arrays)

    @classmethod
    def load(cls, path: Path) -> "TrainedWeights":
        """Reads what `to_bytes` made.

        Raises:
            InvalidInput: Missing, too large, no plain arrays, or values that do not fit.
        """
        arrays = read_npz(path, kind=KIND)
        try:
            sizes = max(arrays[name].size for name in ("idf", "bags")) <= len(BAGS) * _MAX_BUCKETS
            small = all(arrays[name].size <= 1000 for name in ("mean", "sd", "dense"))
            if not sizes or not small or any(array.dtype.kind == "b" for array in arrays.values()):
                raise ValueError("sizes")
            bias, slope, shift = map(float, arrays["scalars"].reshape(3))
            floats = {name: arrays[name].astype(np.float64) for name in ("idf", "bags", "mean", "sd", "dense")}
            history = _history_of(arrays) if "history_tasks" in arrays else None
        except (KeyError, ValueError, OverflowError) as error:
            raise InvalidInput(f"{shown(path.name)} lacks what a trained critic has; train it again.") from error
        try:
            return cls(**floats, bias=bias, slope=slope, shift=shift, history=history)
        except InvalidInput as error:
            raise InvalidInput(f"{shown(path.name)}: {error}") from None


def _history_of(arrays: Mapping[str, NDArray[np.generic]]) -> TaskHistory:
    tasks, counts = arrays["history_tasks"], arrays["history_counts"]
    rate = float(arrays["history_rate"].reshape(1)[0])
    if not 0 <= rate <= 1 or tasks.ndim != 1 or len(tasks) > _MAX_HISTORY or counts.shape != (len(tasks), 2):
        raise ValueError("history")
    if tasks.dtype.kind not in "iu" or counts.dtype.kind not in "iu" or (len(counts) and counts.min() < 0):
        raise ValueError("history")
    pairs = list(zip(tasks.tolist(), counts.tolist(), strict=True))
    if any(failures > runs for _, (failures, runs) in pairs):
        raise ValueError("history")
    return TaskHistory(counts={f"{int(task):016x}": (a, b) for task, (a, b) in pairs}, rate=rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedCritic:
    """p_fail of a trained critic; draws nothing, never abstains: a text that is empty is a bag without words."""

    weights: TrainedWeights
    sha256: str
    """Of its arrays' file."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """What its `critic.json` says."""

    @classmethod
    def load(cls, folder: str | Path) -> "TrainedCritic":
        """Reads a critic's folder.

        Raises:
            InvalidInput: Not such a folder; files that do not belong together, are damaged, too large, or of another
                version.
        """
        weights, digest, card = _opened(Path(folder), expected=CARD_FORMAT)
        return cls(weights=weights, sha256=digest, card=card)

    def p_fail(self, trajectory: Trajectory, proposed: Action) -> float:
        """Returns the probability that the run will fail."""
        logit = self.weights.logit(trajectory, proposed)
        return 1 / (1 + math.exp(-min(max(logit, -30.0), 30.0)))

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> float:
        """Returns the probability that the run will fail."""
        return self.p_fail(trajectory, proposed)

    def config(self) -> Mapping[str, JSON]:
        """Returns its kind and the hash of its arrays."""
        return {"name": "trained", "features": KIND, "sha256": self.sha256}

    @property
    def trained_on(self) -> frozenset[str]:
        """The `task_key` of each task that it was trained on."""
        return _tasks_of(self.card)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvantageCritic:
    """What stepping in is worth, by a critic that was trained on forks; it says nothing of failing."""

    weights: TrainedWeights
    """Their logit is the advantage."""
    sha256: str
    """Of its arrays' file."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """What its `critic.json` says."""

    @classmethod
    def load(cls, folder: str | Path) -> "AdvantageCritic":
        """Reads a critic's folder.

        Raises:
            InvalidInput: As `TrainedCritic.load`.
        """
        weights, digest, card = _opened(Path(folder), expected=ADVANTAGE_FORMAT)
        return cls(weights=weights, sha256=digest, card=card)

    def advantage(self, trajectory: Trajectory, proposed: Action) -> float:
        """Returns by how much more often, in [-1, 1], a run succeeds in which somebody steps in here."""
        return min(max(self.weights.logit(trajectory, proposed), -1.0), 1.0)

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score:
        """Returns the advantage, and no probability."""
        return Score(None, advantage=self.advantage(trajectory, proposed))

    def config(self) -> Mapping[str, JSON]:
        """Returns its kind and the hash of its arrays."""
        return {"name": "trained-advantage", "features": KIND, "sha256": self.sha256}

    @property
    def trained_on(self) -> frozenset[str]:
        """The `task_key` of each task that it was trained on."""
        return _tasks_of(self.card)


def _tasks_of(card: Mapping[str, Any]) -> frozenset[str]:
    tasks = card.get("tasks")
    return frozenset(key for key in tasks if isinstance(key, str)) if isinstance(tasks, list) else frozenset()


def _card_of(folder: Path) -> dict[str, Any]:
    where = shown(str(folder), limit=200)
    try:
        raw = bytes(read_bounded(folder / CARD, limit=_MAX_CARD))
    except OSError as error:
        raise InvalidInput(
            f"{where}: no readable critic there ({error.strerror}). Name a folder that forbear critic train wrote."
        ) from None
    try:
        card = json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidInput(f"{where}: its {CARD} is not JSON; train it again.") from None
    if not isinstance(card, dict):
        raise InvalidInput(f"{where}: its {CARD} is not a JSON object; train it again.")
    return card


def _opened(folder: Path, *, expected: str) -> tuple[TrainedWeights, str, dict[str, Any]]:
    where, card = shown(str(folder), limit=200), _card_of(folder)
    if card.get("format") != expected:
        raise InvalidInput(f"{where}: its {CARD} is not of the format {expected}, the only one read here.")
    try:
        digest = hashlib.sha256(read_bounded(folder / ARRAYS, limit=64 << 20)).hexdigest()
    except OSError as error:
        raise InvalidInput(
            f"{where}: no readable critic there ({error.strerror}). Name a folder that forbear critic train wrote."
        ) from None
    if card.get("sha256") != digest:
        raise InvalidInput(f"{where}: {ARRAYS} is not the file that {CARD} describes (its sha256 differs).")
    try:
        weights = TrainedWeights.load(folder / ARRAYS)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from error
    features = features_card(buckets=weights.bags.shape[1], history=weights.history is not None)
    if card.get("features") != features:
        raise InvalidInput(f"{where}: trained on features of another version of forbear; train it again.")
    return weights, digest, card


def trained_critic(path: str) -> TrainedCritic | AdvantageCritic:
    """Makes the critic of a folder, for pilot files: of failures or of advantages, as its `critic.json` says.

    Args:
        path: The folder.

    Raises:
        InvalidInput: As `TrainedCritic.load`.
    """
    if not isinstance(path, str) or not path:
        raise InvalidInput("path must name the folder of a trained critic.")
    if _card_of(Path(path)).get("format") == ADVANTAGE_FORMAT:
        return AdvantageCritic.load(path)
    return TrainedCritic.load(path)
