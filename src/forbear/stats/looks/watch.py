"""The watch: a bet after every task that a pilot does not pay, calibrated together with the looks of the same pilot.

Against Δ ≥ worthwhile one bettor stakes the share .85 of its money (several seeds: sixteen, from .3 to .999); the arm
is over as soon as that has multiplied enough. FORBEAR, by a look or by the watch, is said with probability at most
`harm_alpha` where the gain is worthwhile: the looks have the constant of half of it, and the watch the lowest threshold
at which both together keep the whole, whatever the discordance. They overlap, so that is lower than two halves allow.

With one pair per task the bet depends on the table alone, so the probability is exact (`lattice`), to 400 tasks. Else
each has its half, the watch by Ville's bound.

The p-value of Δ ≥ margin is the probability that looks and watch come as far together: as far as a look that exceeds
its constant by s is the watch whose log E exceeds its threshold by 2.4·s, about as rare.

Source: Ville (1939) for the bound; the calibration is this module's. How it was checked: docs/methods.md.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from forbear.stats.looks.betting import Bets, log_growth
from forbear.stats.looks.lattice import first_stops
from forbear.stats.looks.looks import MOST_EXACT_TASKS, Looks, boundary_constant, crossing_of
from forbear.stats.regions import Counts

_BET = Bets.equal(np.array([0.85]))
"""Tuned to losses of 10 to 25 points: smaller bets see them later, larger ones lose too much on a recovered pair."""

_BETS_ON_MEANS = Bets.equal(np.linspace(0.3, 0.999, 16))
"""Looks at several seeds are not exact, so the watch has its own half and must find small losses too."""

_STEP = 2e-3
"""Thresholds are found to this precision, from above."""
_PER_SCORE = 2.4
"""How much log E rises where a score rises by one, at the same rarity: about the score itself near .05."""
_TIE = 1e-9
_OVERLAP = 0.35
"""About by how much the joint threshold lies below that of Ville's bound at half the level."""


def watch_bets(*, several_seeds: bool) -> Bets:
    """What the watch stakes."""
    return _BETS_ON_MEANS if several_seeds else _BET


def watch_edges(planned: int, *, log_value: float, margin: float) -> list[Counts]:
    """By number of tasks n, 0..planned, and of recovered pairs C: the fewest disrupted pairs B that reach a value.

    That is log E against Δ ≥ margin of at least the value, one pair per task; n − C + 1 where no B does.
    """
    up, same, down = log_growth(np.array([1.0, 0.0, -1.0]), margin=margin, alternative="less", bets=_BET)[:, 0]
    edges = []
    for tasks in range(planned + 1):
        recovered = np.arange(tasks + 1)
        missing = log_value - _TIE - tasks * same - recovered * (up - same)
        fewest = np.ceil(missing / (down - same)).astype(np.int64)
        edges.append(np.clip(fewest, 0, tasks - recovered + 1))
    return edges


def can_stop(edge: Counts) -> bool:
    """Whether some table of so many tasks reaches the value of `watch_edges`."""
    return bool((edge < np.arange(len(edge), 0, -1)).any())


def forbear_probability(looks: Looks, *, constant: float, log_value: float, margin: float) -> float:
    """The largest probability, over every discordance, that a look or the watch rejects Δ ≥ margin although Δ = margin.

    Args:
        looks: At most 400 tasks; one pair per task.
        constant: Of the looks: look k rejects where z ≤ −constant·factor_k.
        log_value: The watch rejects as soon as log E reaches it.
        margin: The gain under test, −1 < margin < 1, a fraction.

    Checked: probabilities pushed forward task by task, with maxima certified by Bernstein subdivision
    (tests/stats/looks/test_watch.py).
    """
    if log_value <= 1e-6:
        return 1.0
    by_look = crossing_of(looks.tasks, looks.factors, -margin).rejected(constant)
    edges = watch_edges(looks.planned, log_value=log_value, margin=margin)
    first = next((n for n, edge in enumerate(edges) if can_stop(edge)), looks.tasks[0])
    first = min(first, looks.tasks[0])

    def stops(tasks: int) -> tuple[Counts, Counts] | None:
        edge, room = edges[tasks], np.arange(tasks, -1, -1)
        # What had not reached the value a task before has one disrupted pair more at most.
        most = room if tasks == first else np.minimum(np.append(edges[tasks - 1], 0), room)
        count = np.maximum(most - edge + 1, 0)
        recovered = np.repeat(np.arange(tasks + 1), count)
        disrupted = edge[recovered] + np.arange(len(recovered)) - np.repeat(np.cumsum(count) - count, count)
        if tasks in by_look:
            # A look at Δ ≥ margin is one of the other arm: the counts change places.
            down, up = by_look[tasks]
            unseen = down < edge[up]
            recovered = np.concatenate((recovered, up[unseen]))
            disrupted = np.concatenate((disrupted, down[unseen]))
        return (recovered, disrupted) if len(recovered) else None

    return first_stops(first=first, last=looks.planned, margin=margin, stops=stops).worst_case(margin)


def watch_threshold(looks: Looks, *, alpha: float, margin: float, several_seeds: bool = False) -> float:
    """The log E from which on the watch rejects Δ ≥ margin, where looks and watch together err with at most alpha.

    Args:
        looks: As declared; they reject with the constant of alpha/2.
        alpha: Of looks and watch together, 0 < alpha < ½.
        margin: The gain under test, −1 < margin < 1, a fraction.
        several_seeds: Tasks have several pairs: Ville's bound at alpha/2, as above 400 tasks.

    Returns:
        The smallest, to .002 from above.
    """
    if several_seeds or looks.planned > MOST_EXACT_TASKS:
        return -math.log(alpha / 2)
    return _joint_threshold(Looks(tasks=looks.tasks, shape=looks.shape), alpha, margin)


@lru_cache(maxsize=64)
def _joint_threshold(looks: Looks, alpha: float, margin: float) -> float:
    constant = boundary_constant(looks, alpha=alpha / 2, margin=-margin)

    def probability(step: int) -> float:
        return forbear_probability(looks, constant=constant, log_value=step * _STEP, margin=margin)

    start = round((-math.log(alpha / 2) - _OVERLAP) / _STEP)
    return _least_step(probability, alpha, start=start, fall=_STEP, least=1) * _STEP


def watched_pvalue(looks: Looks, *, score: float | None, peak: float, margin: float, alpha: float) -> float:
    """The p-value of Δ ≥ margin where looks and watch are one test: at most alpha wherever either rejects.

    Args:
        looks: As declared, at most 400 tasks; one pair per task.
        score: The largest −z_k/factor_k of the looks so far; None where none was taken.
        peak: The largest log E so far.
        margin: The gain under test, −1 < margin < 1, a fraction.
        alpha: The level that they share, at which the watch is calibrated.

    Returns:
        Valid after every task, whatever made the pilot stop.
    """
    constant = boundary_constant(looks, alpha=alpha / 2, margin=-margin)
    threshold = watch_threshold(looks, alpha=alpha, margin=margin)
    excess = (peak - threshold) / _PER_SCORE
    if score is not None:
        excess = max(excess, score - constant)
    # Rounded down, so that equal tables give equal keys and rounding never counts as evidence.
    excess = math.floor((excess + _TIE) * 1e7) / 1e7
    return _joint_pvalue(Looks(tasks=looks.tasks, shape=looks.shape), constant, threshold, excess, margin)


@lru_cache(maxsize=1024)
def _joint_pvalue(looks: Looks, constant: float, threshold: float, excess: float, margin: float) -> float:
    found = forbear_probability(
        looks, constant=constant + excess, log_value=threshold + _PER_SCORE * excess, margin=margin
    )
    return found if found < 1 - 1e-12 else 1.0  # sums that round to just below 1


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
