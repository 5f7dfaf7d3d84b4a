"""Evidence that may be looked at after every task: a betting e-process and its confidence sequence.

Against Δ ≤ margin a bettor stakes a share b of what it has on each new difference d in [−1, 1]: what it has is
multiplied by 1 − b + b·(1 + d)/(1 + margin), on average by at most 1 if Δ ≤ margin. That is 1 + λ(d − margin) with
λ = b/(1 + margin). Sixteen bettors, b from .02 to 1 with a density that rises like b^¼ (b^½ where d is a mean over
several seeds), start with .995 of the money in equal parts, and six of ever smaller bets with the rest; what they have
together, E, exceeds 1/α at any time with probability at most α (Ville). Against Δ ≥ margin the signs are turned. E
falls as the margin rises, so the margins that are not rejected form an interval.

Source: Waudby-Smith & Ramdas (2023, JRSS-B 86:1). How each was checked: docs/methods.md.
"""

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.special import betaincinv

from forbear.errors import InvalidInput
from forbear.stats.exact import OneSided, check_test
from forbear.stats.intervals import check_confidence
from forbear.stats.regions import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Bets:
    """Bettors: what each stakes, and the part of all money it starts with."""

    shares: Floats
    """(bettors,) of its money, in (0, 1)."""
    parts: Floats
    """(bettors,), adding up to one."""

    @classmethod
    def equal(cls, shares: Floats) -> Self:
        """All start with the same."""
        return cls(shares, np.full(len(shares), 1 / len(shares)))

    def log_value(self, log_wealth: Floats) -> Floats:
        """log E from what each bettor's part has grown to, in logs, along the last axis."""
        most = log_wealth.max(axis=-1)
        value: Floats = most + np.log(np.exp(log_wealth - most[..., None]) @ self.parts)
        return value


_SMALL = 0.03 / 3.0 ** np.arange(6)
"""So that gains too small for all other bets are found in the end: to a 10,000th of the discordance."""
_PART_OF_SMALL = 0.005


def _with_small(shares: Floats) -> Bets:
    parts = [
        np.full(len(_SMALL), _PART_OF_SMALL / len(_SMALL)),
        np.full(len(shares), (1 - _PART_OF_SMALL) / len(shares)),
    ]
    return Bets(np.concatenate((_SMALL, shares)), np.concatenate(parts))


def _powers(exponent: float, *, most: float) -> Bets:
    """Sixteen bets from .02 on whose density rises like b^exponent."""
    middles, power = (np.arange(16) + 0.5) / 16, 1 + exponent
    low, high = 0.02**power, most**power
    return _with_small((low + (high - low) * middles) ** (1 / power))


BETS = _powers(0.25, most=1.0)
"""On one pair per task: as dense above as six recovered pairs against none need to be enough at .05, else below."""
BETS_ON_MEANS = _powers(0.5, most=0.999)
"""On means over several seeds, which vary less."""
BETS_FOR_LONG = _with_small(2 * betaincinv(10, 10, 0.5 + (np.arange(24) + 0.5) / 48) - 1)
"""On one pair per task where thousands are planned: b = 2θ − 1 with θ above ½ from a Beta(10, 10)."""

LONG = 2000
"""More planned tasks than this are long."""


def bets_on(*, several_seeds: bool, planned: int | None = None) -> Bets:
    """What is staked.

    Args:
        several_seeds: On means over several seeds.
        planned: How many tasks there may be, known before the first outcome; None where nothing is planned.
    """
    if several_seeds:
        return BETS_ON_MEANS
    return BETS_FOR_LONG if planned is not None and planned > LONG else BETS


_LEFTMOST, _RESOLVED = -28.0, 1e-13
"""Where log(1 + margin) is first tried, and the step at which it is found."""


def log_growth(
    differences: Floats | float,
    *,
    margin: float,
    alternative: OneSided,
    bets: Bets = BETS,
    weights: Floats | float = 1.0,
) -> Floats:
    """By how much each bettor's money grows at each difference, in logs: shape (..., bets).

    A difference of weight w ≤ 1, known before it is seen, has only the share w of a stake on it.
    """
    signed, against = (differences, margin) if alternative == "greater" else (np.negative(differences), -margin)
    stake = bets.shares / (1 + against)
    growth: Floats = np.log1p(stake * (np.asarray(weights * (np.asarray(signed) - against))[..., None]))
    return growth


_CHUNK = 1 << 15
"""Differences whose bets are held in memory at once."""


def log_evidence(
    differences: Floats,
    *,
    margin: float,
    alternative: OneSided,
    bets: Bets = BETS,
    weights: Floats | float = 1.0,
) -> tuple[float, float]:
    """log E against Δ ≤ margin ("greater") or Δ ≥ margin ("less"): after the last of the differences, and its peak.

    Args:
        differences: (n,) in [−1, 1], in their order, without NaN.
        margin: −1 < margin < 1.
        alternative: Which side is claimed.
        bets: What is staked.
        weights: (n,) or one for all, as for `EProcess.update`.
    """
    wealth, now, peak = np.zeros(len(bets.shares)), 0.0, 0.0
    weights = np.broadcast_to(weights, differences.shape)
    for start in range(0, len(differences), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        part = log_growth(differences[chunk], margin=margin, alternative=alternative, bets=bets, weights=weights[chunk])
        wealths = wealth + np.cumsum(part, axis=0)
        values = bets.log_value(wealths)
        wealth, now, peak = wealths[-1], float(values[-1]), max(peak, float(values.max()))
    return now, peak


class EProcess:
    """A running e-process against Δ ≤ margin ("greater") or Δ ≥ margin ("less"), for one stream or many at once.

    Args:
        margin: The gain under test, −1 < margin < 1, a fraction.
        alternative: "greater" when a gain above the margin is claimed.
        streams: How many run side by side; omitted: one, and `update` takes and the values are plain numbers.
        several_seeds: Differences are means over several seeds.
        bets: What is staked; omitted: `BETS`, or `BETS_ON_MEANS` for several seeds.

    Raises:
        InvalidInput: A margin out of range, or another alternative.

    Checked: expectation at most 1 by enumeration, false stops with a look after every pair, and equality with
    products in exact rational arithmetic (tests/stats/looks/test_betting.py).
    """

    def __init__(
        self,
        *,
        margin: float = 0.0,
        alternative: OneSided = "greater",
        streams: int | None = None,
        several_seeds: bool = False,
        bets: Bets | None = None,
    ) -> None:
        check_test(margin, alternative)
        self._bets = bets_on(several_seeds=several_seeds) if bets is None else bets
        self._sign, against = (1.0, margin) if alternative == "greater" else (-1.0, -margin)
        self._stake, self._against = self._bets.shares / (1 + against), against
        shape = self._stake.shape if streams is None else (streams, *self._stake.shape)
        self._log_wealth = np.zeros(shape)
        self.log_value: float | Floats = 0.0 if streams is None else np.zeros(streams)
        """log E now."""
        self.log_peak: float | Floats = 0.0 if streams is None else np.zeros(streams)
        """The largest log E so far; exp(−log_peak) is a p-value whenever one stops."""

    def update(self, difference: float | Floats, *, weight: float = 1.0) -> None:
        """Takes the next difference.

        Args:
            difference: Treated minus baseline, in [−1, 1]; one a stream.
            weight: Above 0 and at most 1, known before the difference is: the share of a stake that is put on it.

        Raises:
            InvalidInput: A single difference or a weight out of range.
        """
        if not 0 < weight <= 1:
            raise InvalidInput(f"the weight of a difference is above 0 and at most 1, got {weight!r}.")
        if isinstance(difference, np.ndarray):
            excess = self._sign * difference - self._against
            self._log_wealth += np.log1p(self._stake * (weight * excess)[:, None])
            self.log_value = self._bets.log_value(self._log_wealth)
            self.log_peak = np.maximum(self.log_peak, self.log_value)
            return
        if not -1 <= difference <= 1:
            raise InvalidInput(f"a difference of success rates lies between -1 and 1, got {difference!r}.")
        self._log_wealth += np.log1p(self._stake * (weight * (self._sign * difference - self._against)))
        most = float(self._log_wealth.max())
        self.log_value = most + math.log(float(np.exp(self._log_wealth - most) @ self._bets.parts))
        self.log_peak = max(float(self.log_peak), self.log_value)


@dataclass(frozen=True, slots=True, eq=False)
class ConfidenceSequence:
    """Bounds of the gain after each difference; all of them hold at once with the stated confidence."""

    low: Floats
    """(n,), never falling."""
    high: Floats
    """(n,), never rising."""
    confidence: float


def confidence_sequence(
    differences: Floats, *, confidence: float = 0.9, several_seeds: bool = False, weights: Floats | None = None
) -> ConfidenceSequence:
    """The gains that no e-process rejects, after each difference: valid whenever and for whatever reason one stops.

    Args:
        differences: (n,) in [−1, 1], in the planned order; NaN where a task has no outcome.
        confidence: Two-sided, 0 < confidence < 1; each side errs with half of the rest.
        several_seeds: They are means over several seeds.
        weights: (n,) in (0, 1], known before the differences are; the bounds are then those of the weighted mean.

    Raises:
        InvalidInput: Another shape, a value outside [−1, 1], or confidence out of range.

    Checked: coverage by simulation with a look after every task; a bound lies exactly where an `EProcess` reaches 1/α.
    """
    check_confidence(confidence)
    bets, needed = bets_on(several_seeds=several_seeds), math.log(2 / (1 - confidence))
    facing, opposite = _stakes(differences, bets, weights)
    low = np.expm1(_first_kept(facing, needed))
    high = -np.expm1(_first_kept(opposite, needed))
    # Rounding must not let the two pass each other when they meet.
    low, high = np.maximum.accumulate(low), np.minimum.accumulate(high)
    return ConfidenceSequence(low=np.minimum(low, high), high=np.maximum(low, high), confidence=confidence)


def last_bound(
    differences: Floats, *, alternative: OneSided, needed: float, bets: Bets, weights: Floats | None = None
) -> float:
    """Where the bound of a gain has come to: the last margin against which log E never reached what is needed.

    Args:
        differences: (n,), at least one, as for `confidence_sequence`.
        alternative: "greater" for the lower bound, "less" for the upper one.
        needed: log E at which a margin is rejected.
        bets: What is staked.
        weights: As for `confidence_sequence`.
    """
    facing, opposite = _stakes(differences, bets, weights)
    return _furthest(facing, needed) if alternative == "greater" else -_furthest(opposite, needed)


@dataclass(frozen=True, slots=True, eq=False)
class _Stakes:
    """What was bet on: distinct differences, and how often each had occurred after each task."""

    counts: Floats
    """(n, distinct)."""
    kept: Floats
    """(distinct, bets): the share of its money that a bettor keeps."""
    gained: Floats
    """(distinct, bets): what it wins of it, times 1 + margin."""
    parts: Floats
    """(bets,): of all money, at the start."""


def _stakes(differences: Floats, bets: Bets, weights: Floats | None) -> tuple[_Stakes, _Stakes]:
    """For the lower bound, and for the upper one (signs turned)."""
    given = np.asarray(differences, dtype=float)
    if given.ndim != 1 or (np.abs(given[~np.isnan(given)]) > 1).any():
        raise InvalidInput("a confidence sequence needs a list of differences between -1 and 1.")
    shares = np.ones(len(given)) if weights is None else np.asarray(weights, dtype=float)
    if shares.shape != given.shape or not ((shares > 0) & (shares <= 1)).all():
        raise InvalidInput(
            "the weights of a confidence sequence are as many as its differences, above 0 and at most 1."
        )
    known = ~np.isnan(given)
    # A pair of one task can only differ by −1, 0 or 1.
    distinct, code = np.unique(np.column_stack((given, shares))[known], axis=0, return_inverse=True)
    occurs = np.zeros((len(given), len(distinct)))
    occurs[np.flatnonzero(known), code.ravel()] = 1
    counts, values, shares = np.cumsum(occurs, axis=0), distinct[:, :1], distinct[:, 1:]
    staked = bets.shares * shares
    facing, opposite = (
        _Stakes(counts=counts, kept=1 - staked, gained=staked * (1 + signed), parts=bets.parts)
        for signed in (values, -values)
    )
    return facing, opposite


def _furthest(stakes: _Stakes, needed: float) -> float:
    """The largest of what `_first_kept` finds: few go beyond the last of them."""
    last = _first_kept(replace(stakes, counts=stakes.counts[-1:]), needed)
    return float(np.expm1(_first_kept(stakes, needed, start=float(last[0])).max()))


def _first_kept(stakes: _Stakes, needed: float, *, start: float = -math.inf) -> Floats:
    """After each task, x = log(1 + m) of the smallest margin m for which log E against Δ ≤ m stays below the needed.

    By Newton's method: log E is convex in x and falls, so from the left it never goes too far. Where `start`, at the
    left, is already enough, it is the answer.
    """
    x = np.full(len(stakes.counts), max(start, _LEFTMOST))
    going = np.arange(len(x))
    while len(going):
        counts = stakes.counts[going]
        won = stakes.gained * np.exp(-x[going])[:, None, None]
        money = stakes.kept + won
        wealth = np.einsum("nv,nvb->nb", counts, np.log(money))
        most = wealth.max(axis=1)
        parts = np.exp(wealth - most[:, None]) * stakes.parts
        excess = most + np.log(parts.sum(axis=1)) - needed
        slope = (parts * np.einsum("nv,nvb->nb", counts, won / money)).sum(axis=1) / parts.sum(axis=1)
        move = np.divide(excess, slope, out=np.zeros_like(excess), where=excess > 0)
        x[going] += move
        going = going[move > _RESOLVED]
    return np.where(x > _LEFTMOST, x, -math.inf)
