"""Choosing among candidates by a conditional logit over hashed names of features: its weights, its scores, its fit.

Source: McFadden 1974, Conditional logit analysis of qualitative choice behavior. Checked: tests/learned/test_ranker.py,
against the gradient by differences and against frequencies.
"""

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from forbear.errors import InvalidInput
from forbear.learned.hashing import bucket
from forbear.learned.npz import npz_bytes, read_npz
from forbear.learned.optimiser import minimise
from forbear.wording import shown

BUCKETS = 1 << 16


class Described(Hashable, Protocol):
    """A candidate in its situation, described by a few short texts: the same for many situations."""

    def names(self) -> list[str]:
        """The names of its features."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RankerWeights:
    """The learned part: one weight for each hashed feature, shape (`BUCKETS`,)."""

    kind: ClassVar[str] = "forbear-ranker-1"
    """Name and version of the file; of whom the weights are, a class of its own says."""

    table: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.table.shape != (BUCKETS,) or not (np.abs(self.table) <= 1e4).all():
            raise InvalidInput(f"expected {BUCKETS} weights within ±10000, got shape {self.table.shape}.")

    def sha256(self) -> str:
        """Returns a hash of the weights, the same however they are stored."""
        return hashlib.sha256(self.table.astype("<f8").tobytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Returns the `.npz`: the weights that are not zero, in half precision; the same bytes each time."""
        kept = np.flatnonzero(self.table)
        return npz_bytes(
            {
                "format": np.frombuffer(self.kind.encode(), dtype=np.uint8),
                "index": kept.astype("<u2"),
                "value": self.table[kept].astype("<f2"),
            }
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `to_bytes` made.

        Raises:
            InvalidInput: Missing, damaged, of another format, or with values out of range.
        """
        arrays = read_npz(path, kind=cls.kind)
        if not {"index", "value"} <= arrays.keys():
            raise InvalidInput(f"{shown(path.name)} lacks an array of a ranker; train it again.")
        index, value = arrays["index"], arrays["value"]
        if (
            index.ndim != 1
            or index.size > BUCKETS
            or index.dtype.kind not in "iu"
            or index.shape != value.shape
            or (len(index) and not 0 <= index.min() <= index.max() < BUCKETS)
        ):
            raise InvalidInput(f"{shown(path.name)} has weights outside its {BUCKETS} buckets; train it again.")
        table = np.zeros(BUCKETS)
        table[index] = value
        return cls(table=table)


@lru_cache(maxsize=16)
def scorer(weights: RankerWeights) -> tuple[str, Callable[[Described], float]]:
    """The hash and the scores of one set of weights, shared by all players that have it: they are made by the thousand.

    Situations come again, so that most descriptions were scored before.
    """
    table = weights.table.tolist()  # reading a list is ten times faster than reading an array

    @lru_cache(maxsize=1 << 16)
    def score(choice: Described) -> float:
        total: float = sum(table[bucket(name) & (BUCKETS - 1)] for name in choice.names())
        return total

    return weights.sha256(), score


class Choices:
    """Demonstrated choices, gathered for the fit; each description is kept once."""

    def __init__(self) -> None:
        self._rows: dict[Described, int] = {}
        self._candidates, self._starts, self._taken = list[int](), [0], list[int]()

    def add(self, candidates: Sequence[Described], *, taken: int) -> None:
        """Adds one: what there was to choose from, and the position of what was chosen."""
        self._taken.append(len(self._candidates) + taken)
        self._candidates += [self._rows.setdefault(candidate, len(self._rows)) for candidate in candidates]
        self._starts.append(len(self._candidates))

    def fit(self, *, l2: float, iterations: int) -> NDArray[np.float64]:
        """Fits by penalised maximum likelihood, the same bits on every run of one platform.

        Args:
            l2: Penalty ½·l2·Σw².
            iterations: Of the solver, at most.

        Returns:
            Weights, shape (`BUCKETS`,), rounded as they are stored, so that what is measured is what is shipped; what
            rounds to nothing is left out.
        """
        features = _table(list(self._rows))
        features_t = csr_array(features.T)
        row, start, target = np.array(self._candidates), np.array(self._starts[:-1]), np.array(self._taken)
        sizes = np.diff(self._starts)

        def objective(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            score = (features @ weights)[row]
            score = score - np.repeat(np.maximum.reduceat(score, start), sizes)
            power = np.exp(score)
            total = np.add.reduceat(power, start)
            loss = np.add.reduce(np.log(total) - score[target])
            slope = power / np.repeat(total, sizes)
            slope[target] -= 1.0
            by_row = np.bincount(row, weights=slope, minlength=features.shape[0])
            penalty = 0.5 * l2 * np.add.reduce(weights * weights)
            return float(loss + penalty), features_t @ by_row + l2 * weights

        weights = minimise(objective, np.zeros(BUCKETS), iterations=iterations, tolerance=1e-3)
        weights[np.abs(weights) < 0.02] = 0.0
        return weights.astype(np.float16).astype(np.float64)


def _table(choices: Sequence[Described]) -> csr_array:
    starts, columns = [0], list[int]()
    for choice in choices:
        columns += [bucket(name) & (BUCKETS - 1) for name in choice.names()]
        starts.append(len(columns))
    table = csr_array((np.ones(len(columns)), columns, starts), shape=(len(choices), BUCKETS))
    table.sum_duplicates()
    return table
