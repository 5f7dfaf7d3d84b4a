"""The paired 2×2 table: one task, one seed, run by the baseline and by the treated arm."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forbear.errors import InvalidInput
from forbear.wording import described

MAX_PAIRS = 10**9
"""Beyond this the score equation loses digits in double precision; no pilot comes near."""

_FORMAT = "forbear-pairs-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedOutcomes:
    """Counts of pairs by (baseline outcome, treated outcome); the tables of several pilots add up with `+`.

    Rates are fractions; `None` where their denominator is zero. The sign of a gain is treated minus baseline.

    Raises:
        InvalidInput: A count that is not a whole number from 0 on, or more than 10⁹ pairs.
    """

    both_fail: int
    """Pairs that fail under both arms (A)."""
    recovered: int
    """Pairs that fail under the baseline and succeed under the treated arm (C)."""
    disrupted: int
    """Pairs that succeed under the baseline and fail under the treated arm (B)."""
    both_succeed: int
    """Pairs that succeed under both arms (D)."""

    def __post_init__(self) -> None:
        for name in ("both_fail", "recovered", "disrupted", "both_succeed"):
            count = getattr(self, name)
            if isinstance(count, bool | np.bool_) or not isinstance(count, int | np.integer) or count < 0:
                raise InvalidInput(f"{name} must be a whole number of pairs, 0 or more, got {described(count)}.")
            object.__setattr__(self, name, int(count))
        if self.pairs > MAX_PAIRS:
            raise InvalidInput(f"at most {MAX_PAIRS:,} pairs are supported, got more. Check the counts.")

    @classmethod
    def from_outcomes(cls, *, baseline: Sequence[bool], treated: Sequence[bool]) -> Self:
        """Counts the pairs of two equally long sequences, paired by position.

        Args:
            baseline: One outcome per task, True (or 1) for success.
            treated: The same tasks in the same order.

        Raises:
            InvalidInput: Different lengths, or an entry that is neither true nor false.
        """
        before, after = outcome_vector(baseline, name="baseline"), outcome_vector(treated, name="treated")
        if len(before) != len(after):
            raise InvalidInput(
                f"baseline has {len(before)} outcomes, treated has {len(after)}; they are paired by position. "
                "Give one outcome per task, in the same order, in both."
            )
        both, first, second = (int(np.count_nonzero(x)) for x in (before & after, before, after))
        return cls(
            both_fail=len(before) - first - second + both,
            recovered=second - both,
            disrupted=first - both,
            both_succeed=both,
        )

    @property
    def pairs(self) -> int:
        """All pairs (N)."""
        return self.both_fail + self.recovered + self.disrupted + self.both_succeed

    @property
    def discordant(self) -> int:
        """Pairs whose outcome differs between the arms (C + B)."""
        return self.recovered + self.disrupted

    @property
    def failures(self) -> int:
        """Pairs that fail under the baseline (F)."""
        return self.both_fail + self.recovered

    @property
    def successes(self) -> int:
        """Pairs that succeed under the baseline (S)."""
        return self.disrupted + self.both_succeed

    @property
    def failure_rate(self) -> float | None:
        """p = F/N, the baseline's failure rate; None without pairs."""
        return _ratio(self.failures, self.pairs)

    @property
    def recovery_rate(self) -> float | None:
        """r = C/F, the share of the baseline's failures that succeed when treated; None without failures."""
        return _ratio(self.recovered, self.failures)

    @property
    def disruption_rate(self) -> float | None:
        """d = B/S, the share of the baseline's successes that fail when treated; None without successes."""
        return _ratio(self.disrupted, self.successes)

    @property
    def success_gain(self) -> float | None:
        """Δ = (C − B)/N in [−1, 1]; above 0 the treated arm succeeds more often; None without pairs."""
        return _ratio(self.recovered - self.disrupted, self.pairs)

    @property
    def break_even_failure_rate(self) -> float | None:
        """p* = d/(r + d): intervening helps where p > p*; None unless F, S and C + B are all positive."""
        r, d = self.recovery_rate, self.disruption_rate
        return None if r is None or d is None or not self.discordant else d / (r + d)

    def swapped(self) -> Self:
        """The same pairs with the arms exchanged: every gain changes its sign."""
        return type(self)(
            both_fail=self.both_fail,
            recovered=self.disrupted,
            disrupted=self.recovered,
            both_succeed=self.both_succeed,
        )

    def __add__(self, other: "PairedOutcomes") -> Self:
        if not isinstance(other, PairedOutcomes):
            return NotImplemented
        return type(self)(
            both_fail=self.both_fail + other.both_fail,
            recovered=self.recovered + other.recovered,
            disrupted=self.disrupted + other.disrupted,
            both_succeed=self.both_succeed + other.both_succeed,
        )

    def to_dict(self) -> dict[str, str | int]:
        """A JSON object that `from_dict` reads back."""
        return {
            "format": _FORMAT,
            "both_fail": self.both_fail,
            "recovered": self.recovered,
            "disrupted": self.disrupted,
            "both_succeed": self.both_succeed,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Reads what `to_dict` wrote.

        Raises:
            InvalidInput: Another format, or a count that is missing or unusable.
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            raise InvalidInput(f'expected a JSON object with "format": "{_FORMAT}", got {described(data)}.')
        names = ("both_fail", "recovered", "disrupted", "both_succeed")
        missing = [name for name in names if name not in data]
        if missing:
            raise InvalidInput(f"a {_FORMAT} object needs {', '.join(names)}; missing: {', '.join(missing)}.")
        return cls(**{name: data[name] for name in names})  # type: ignore[arg-type]  # __post_init__ checks them


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None


def outcome_vector(values: Sequence[bool], *, name: str) -> NDArray[np.bool_]:
    """A boolean vector, or InvalidInput with the position of the first entry that is not an outcome."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray):
        raise InvalidInput(f"{name} must be a sequence with one true or false per task, got {described(values)}.")
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise InvalidInput(f"{name} must have one dimension, one outcome per task, got {values.ndim}.")
    array = values if isinstance(values, np.ndarray) else _array(values)
    if array.dtype.kind in "biuf":
        wrong = np.flatnonzero((array != 0) & (array != 1)).tolist()
    else:
        wrong = [i for i, value in enumerate(values) if not _is_outcome(value)][:1]
    if wrong:
        raise InvalidInput(
            f"{name}[{wrong[0]}] is {described(values[wrong[0]])}; expected True or False (or 1 or 0). "
            "A run without an outcome is not a failure: leave its pair out."
        )
    return array.astype(np.bool_)


def _array(values: Sequence[bool]) -> NDArray[np.generic]:
    # numpy would turn [True, "x"] into text and refuse ragged lists; objects keep each entry as it came.
    array = np.empty(len(values), dtype=object)
    try:
        direct = np.asarray(values)
    except (ValueError, TypeError, OverflowError):
        direct = array
    if direct.ndim == 1 and direct.dtype.kind in "biuf":
        return direct
    array[:] = [value if _is_outcome(value) else None for value in values]
    return array


def _is_outcome(value: object) -> bool:
    return isinstance(value, bool | np.bool_ | int | float | np.integer | np.floating) and value in (0, 1)
