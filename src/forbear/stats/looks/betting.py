"""Evidence that may be looked at after every task: a betting e-process, its confidence sequence, and the harm watch.

Against Δ ≤ margin a bettor stakes a share b of what it has on each new difference d in [−1, 1]: what it has is
multiplied by 1 − b + b·(1 + d)/(1 + margin), on average by at most 1 if Δ ≤ margin. That is 1 + λ(d − margin) with
λ = b/(1 + margin). Sixteen bettors, b evenly from .25 to .95 (.3 to .999 where d is a mean over several seeds), start
with equal parts; what they have on average, E, exceeds 1/α at any time with probability at most α (Ville). Against
Δ ≥ margin the signs are turned. E falls as the margin rises, so the margins that are not rejected form an interval.

With one pair per task E depends on the table alone, and a planned number of tasks makes the exact probability of ever
exceeding a value known (`lattice`): a little less than Ville's bound, so the watch may be a little more alert.

Source: Waudby-Smith & Ramdas (2023, JRSS-B 86:1). How each was checked: docs/methods.md.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from forbear.errors import InvalidInput
from forbear.stats.exact import OneSided, check_test
from forbear.stats.intervals import Interval, check_confidence
from forbear.stats.looks.lattice import Bools, first_stops
from forbear.stats.looks.looks import MOST_EXACT_TASKS
from forbear.stats.regions import Counts, Floats

BETS: Floats = np.linspace(0.25, 0.95, 16)
"""Staked on one pair per task."""
BETS_ON_MEANS: Floats = np.linspace(0.3, 0.999, 16)
"""Staked on means over several seeds, which vary less."""

_LEFTMOST, _RESOLVED = -28.0, 1e-13
"""Where log(1 + margin) is first tried, and the step at which it is found."""
_STEP = 2e-3
"""Thresholds are found to this precision, from above."""
_ASYMPTOTIC = 0.1
"""Exact p-values of the watch are computed below this; above it Ville's bound decides nothing anyway."""


def log_growth(
    differences: Floats | float,
    *,
    margin: float,
    alternative: OneSided,
    bets: Floats = BETS,
    weights: Floats | float = 1.0,
) -> Floats:
    """By how much each bettor's money grows at each difference, in logs: shape (..., bets).

    A difference of weight w ≤ 1, known before it is seen, has only the share w of a stake on it.
    """
    signed, against = (differences, margin) if alternative == "greater" else (np.negative(differences), -margin)
    stake = bets / (1 + against)
    growth: Floats = np.log1p(stake * (np.asarray(weights * (np.asarray(signed) - against))[..., None]))
    return growth


_CHUNK = 1 << 15
"""Differences whose bets are held in memory at once."""


def log_evidence(
    differences: Floats,
    *,
    margin: float,
    alternative: OneSided,
    bets: Floats = BETS,
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
    wealth, now, peak = np.zeros(len(bets)), 0.0, 0.0
    weights = np.broadcast_to(weights, differences.shape)
    for start in range(0, len(differences), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        part = log_growth(differences[chunk], margin=margin, alternative=alternative, bets=bets, weights=weights[chunk])
        wealths = wealth + np.cumsum(part, axis=0)
        most = wealths.max(axis=1)
        values = most + np.log(np.exp(wealths - most[:, None]).mean(axis=1))
        wealth, now, peak = wealths[-1], float(values[-1]), max(peak, float(values.max()))
    return now, peak


class EProcess:
    """A running e-process against Δ ≤ margin ("greater") or Δ ≥ margin ("less"), for one stream or many at once.

    Args:
        margin: The gain under test, −1 < margin < 1, a fraction.
        alternative: "greater" when a gain above the margin is claimed.
        streams: How many run side by side; omitted: one, and `update` takes and the values are plain numbers.
        several_seeds: Differences are means over several seeds.

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
    ) -> None:
        check_test(margin, alternative)
        bets = BETS_ON_MEANS if several_seeds else BETS
        self._sign, against = (1.0, margin) if alternative == "greater" else (-1.0, -margin)
        self._stake, self._against = bets / (1 + against), against
        shape = (len(bets),) if streams is None else (streams, len(bets))
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
            most = self._log_wealth.max(axis=1)
            self.log_value = most + np.log(np.exp(self._log_wealth - most[:, None]).mean(axis=1))
            self.log_peak = np.maximum(self.log_peak, self.log_value)
            return
        if not -1 <= difference <= 1:
            raise InvalidInput(f"a difference of success rates lies between -1 and 1, got {difference!r}.")
        self._log_wealth += np.log1p(self._stake * (weight * (self._sign * difference - self._against)))
        most_now = float(self._log_wealth.max())
        self.log_value = most_now + math.log(float(np.exp(self._log_wealth - most_now).sum()) / len(self._stake))
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
    facing, opposite, needed = _stakes(differences, confidence, several_seeds, weights)
    low = np.expm1(_first_kept(facing, needed))
    high = -np.expm1(_first_kept(opposite, needed))
    # Rounding must not let the two pass each other when they meet.
    low, high = np.maximum.accumulate(low), np.minimum.accumulate(high)
    return ConfidenceSequence(low=np.minimum(low, high), high=np.maximum(low, high), confidence=confidence)


def last_bounds(
    differences: Floats, *, confidence: float = 0.9, several_seeds: bool = False, weights: Floats | None = None
) -> Interval:
    """Where a `confidence_sequence`, of the same arguments and at least one difference, has come to."""
    facing, opposite, needed = _stakes(differences, confidence, several_seeds, weights)
    low, high = _furthest(facing, needed), -_furthest(opposite, needed)
    return Interval(min(low, high), max(low, high))


@dataclass(frozen=True, slots=True, eq=False)
class _Stakes:
    """What was bet on: distinct differences, and how often each had occurred after each task."""

    counts: Floats
    """(n, distinct)."""
    kept: Floats
    """(distinct, bets): the share of its money that a bettor keeps."""
    gained: Floats
    """(distinct, bets): what it wins of it, times 1 + margin."""


def _stakes(
    differences: Floats, confidence: float, several_seeds: bool, weights: Floats | None
) -> tuple[_Stakes, _Stakes, float]:
    """For the lower bound, for the upper one (signs turned), and the log E at which a margin is rejected."""
    check_confidence(confidence)
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
    bets = BETS_ON_MEANS if several_seeds else BETS
    facing, opposite = (
        _Stakes(counts=counts, kept=1 - bets * shares, gained=bets * shares * (1 + signed))
        for signed in (values, -values)
    )
    return facing, opposite, math.log(2 / (1 - confidence))


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
        parts = np.exp(wealth - most[:, None])
        excess = most + np.log(parts.mean(axis=1)) - needed
        slope = (parts * np.einsum("nv,nvb->nb", counts, won / money)).sum(axis=1) / parts.sum(axis=1)
        move = np.divide(excess, slope, out=np.zeros_like(excess), where=excess > 0)
        x[going] += move
        going = going[move > _RESOLVED]
    return np.where(x > _LEFTMOST, x, -math.inf)


# --- The watch, exactly, one pair per task ------------------------------------------------------------------


def watch_edges(planned: int, *, log_value: float, margin: float) -> list[Counts]:
    """By number of tasks n, 0..planned, and of recovered pairs C: the fewest disrupted pairs B that reach a value.

    That is log E against Δ ≥ margin of at least the value; n − C + 1 where no B does.
    """
    up, same, down = log_growth(np.array([1.0, 0.0, -1.0]), margin=margin, alternative="less")

    def enough_for(tasks: int, recovered: Counts, disrupted: Counts) -> Bools:
        rest = tasks - recovered - disrupted
        wealth = recovered[:, None] * up + disrupted[:, None] * down + rest[:, None] * same
        most = wealth.max(axis=1)
        enough: Bools = most + np.log(np.exp(wealth - most[:, None]).mean(axis=1)) >= log_value - 1e-9
        return enough

    # E rises with B: for each C the first one is found from that of a task before. It falls with C: from the smallest C
    # on that no B can make up for, there is none, and a task more raises that C by one at most.
    edges, needed, hopeless = [], np.empty(0, np.int64), 1
    for tasks in range(planned + 1):
        recovered = np.arange(tasks + 1)
        found = tasks - recovered + 1
        trial = np.minimum(np.append(needed, 0), found - 1)[:hopeless]
        below, met = np.full(len(trial), -1), found[:hopeless].copy()
        while (open_ := np.flatnonzero(met - below > 1)).size:
            inside = enough_for(tasks, recovered[open_], trial[open_])
            met[open_[inside]], below[open_[~inside]] = trial[open_[inside]], trial[open_[~inside]]
            trial[open_] += np.where(inside, -1, 1)
        hopeless = int((met <= tasks - recovered[:hopeless]).sum()) + 1
        needed = np.append(met, found[len(met) :])
        edges.append(needed)
    return edges


def can_stop(edge: Counts) -> bool:
    """Whether some table of so many tasks reaches the value of `watch_edges`."""
    return bool((edge < np.arange(len(edge), 0, -1)).any())


@lru_cache(maxsize=1024)
def watch_probability(planned: int, log_value: float, *, margin: float) -> float:
    """The largest probability that E against Δ ≥ margin ever reaches a value in so many tasks although Δ = margin.

    One pair per task. At most exp(−log_value), Ville's bound, which it is above 400 tasks and where that decides
    nothing.
    """
    if planned > MOST_EXACT_TASKS or log_value < -math.log(_ASYMPTOTIC):
        return min(1.0, math.exp(-log_value))
    edges = watch_edges(planned, log_value=log_value, margin=margin)
    first = next((n for n, edge in enumerate(edges) if can_stop(edge)), None)
    if first is None:
        return 0.0

    def reached(tasks: int) -> tuple[Counts, Counts]:
        """From what had not reached it a task before, with one pair more."""
        edge, room = edges[tasks], np.arange(tasks, -1, -1)
        most = room if tasks == first else np.minimum(np.append(edges[tasks - 1], 0), room)
        count = np.maximum(most - edge + 1, 0)
        recovered = np.repeat(np.arange(tasks + 1), count)
        return recovered, edge[recovered] + np.arange(len(recovered)) - np.repeat(np.cumsum(count) - count, count)

    return first_stops(first=first, last=planned, margin=margin, stops=reached).worst_case(margin)


@lru_cache(maxsize=64)
def watch_threshold(planned: int, *, alpha: float, margin: float, several_seeds: bool = False) -> float:
    """The log E from which on the watch rejects Δ ≥ margin at α in a pilot of so many tasks, to .002 from above.

    Args:
        planned: Tasks of the whole pilot.
        alpha: 0 < alpha < 1.
        margin: The gain under test, −1 < margin < 1, a fraction.
        several_seeds: Tasks have several pairs: Ville's bound −log α, as above 400 tasks.
    """
    ville = -math.log(alpha)
    if several_seeds or planned > MOST_EXACT_TASKS or alpha > _ASYMPTOTIC:
        return ville

    def probability(step: int) -> float:
        return watch_probability(planned, ville + step * _STEP, margin=margin)

    # At most Ville's bound; a pilot so short that few tables can stop has a threshold far below.
    least = math.floor((-math.log(_ASYMPTOTIC) - ville) / _STEP)
    return ville + _least_step(probability, alpha, start=0, fall=_STEP, least=least) * _STEP


def _least_step(probability: Callable[[int], float], alpha: float, *, start: int, fall: float, least: int) -> int:
    """The smallest whole number from which on a falling probability is at most alpha, in few evaluations.

    Each of them is a walk through a lattice; so the next one is made where a line through the logarithms of the last
    two meets alpha, and in the middle where that gains too little.

    Args:
        probability: Falls with its argument, in small steps.
        alpha: The level.
        start: Where to begin.
        fall: About how much its logarithm falls per step.
        least: The answer is at least this.
    """
    low, high, at = least - 1, None, max(start, least)
    log_low = log_high = 0.0
    width, slow = 0, False
    while high is None or high - low > 1:
        value = probability(at)
        excess = math.log(max(value, 1e-300) / alpha)
        before = None if high is None else high - low
        if value <= alpha:
            high, log_high = at, excess
        else:
            low, log_low = at, excess
        if high is not None and log_low > 0:
            slow = before is not None and not slow and 2 * (high - low) > before
            share = 0.5 if slow else log_low / (log_low - log_high) if log_high < log_low else 0.5
            aim = low + share * (high - low)
            at = min(max(round(aim), low + 1), high - 1)
        else:
            width = max(2 * width, 8)
            at += round(excess / fall) + (width if excess > 0 else -width)
            at = max(at, least)
    return high
