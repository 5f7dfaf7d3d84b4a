"""Bootstrap over tasks: all arms jointly, so that what they share (tasks, baseline) stays shared.

A resample is a row of counts, how often each task was drawn; every statistic that is a ratio of sums over tasks is then
one matrix product.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.stats.clustered import clustered_gain_interval
from forbear.stats.intervals import Estimate, check_confidence
from forbear.stats.rule import Guarantee

Floats = NDArray[np.float64]

_BLOCK = 4_000_000
"""Drawn tasks held in memory at a time."""


def _draws(units: int, *, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
    """Blocks of resamples × units: how often each unit was drawn."""
    step = max(1, _BLOCK // units)
    for first in range(0, resamples, step):
        size = min(step, resamples - first)
        drawn = rng.integers(0, units, size=(size, units), dtype=np.int32)
        drawn += np.arange(size, dtype=np.int32)[:, None] * np.int32(units)
        yield np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(float)


def _sums(arms: Mapping[str, ClusteredOutcomes]) -> tuple[Floats, Floats]:
    """(units, arms): the excess of recovered over disrupted pairs, and all pairs."""
    if not arms:
        raise InvalidInput("resampling needs at least one arm, got none.")
    first = next(iter(arms.values()))
    for name, outcomes in arms.items():
        if (outcomes.tasks, outcomes.clusters) != (first.tasks, first.clusters) or outcomes.tasks < 2:
            raise InvalidInput(
                f"arms are resampled jointly and need the same tasks in the same order, two or more; '{name}' has "
                f"{outcomes.tasks}, the first arm {first.tasks}."
            )
    units = [outcomes.units for outcomes in arms.values()]
    return (
        np.stack([unit.recovered - unit.disrupted for unit in units], axis=1),
        np.stack([unit.pairs for unit in units], axis=1),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The arm with the largest observed gain, and what is left of that gain once the choosing is paid for."""

    arm: str
    observed: float
    """Its gain in the pilot: too large on average, because it was chosen for being large."""
    gain: Estimate
    """Corrected for the optimism of choosing; `low` is the simultaneous one-sided bound, `high` is 1."""
    optimism: float
    """What the choosing added: observed minus corrected."""
    chosen: Mapping[str, float]
    """How often each arm was the best of a resample. Not the probability that it is best."""


def best_of(
    arms: Mapping[str, ClusteredOutcomes],
    *,
    rng: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 10_000,
    guarantee: Guarantee = "calibrated",
) -> Best:
    """Picks the arm with the largest gain and corrects that gain for having been picked.

    In every resample of tasks the choice is made again, and the winner is judged on the tasks that were not drawn: they
    had no part in its choice, so its mean gain there is free of it (a little low where arms differ, since a resample
    holds 63 % of the tasks and chooses a little worse). The bound is simultaneous over arms (Bonferroni of the
    one-sided limits), so it holds for whichever arm is picked.

    Args:
        arms: The same tasks in the same order in each.
        rng: Source of the draws.
        confidence: Of the one-sided simultaneous bound.
        resamples: How many.
        guarantee: Of the bound, as in the rule.

    Raises:
        InvalidInput: No arms, fewer than two tasks, arms with different tasks, no resamples, or confidence out of
            range.

    Source: out-of-bag estimates as in Efron (1983, JASA 78:316) and Breiman (1996). The gain of a resample's winner in
    the whole pilot, the usual optimism correction, leaves a quarter of the optimism on all-null pilots. Checked: bias
    on all-null pilots, coverage of the bound (tests/stats/context/test_resample.py).
    """
    check_confidence(confidence)
    excess, pairs = _sums(arms)
    if resamples < 1:
        raise InvalidInput(f"resamples must be 1 or more, got {resamples!r}.")
    names, won, judged = list(arms), np.zeros(len(arms)), list[Floats]()
    for counts in _draws(len(excess), resamples=resamples, rng=rng):
        winner = ((counts @ excess) / (counts @ pairs)).argmax(axis=1)
        won += np.bincount(winner, minlength=len(arms))
        fresh = (counts == 0).astype(float)
        left = fresh.any(axis=1)
        rows = np.flatnonzero(left)
        judged.append((fresh @ excess)[rows, winner[left]] / (fresh @ pairs)[rows, winner[left]])
    pilot = np.array([outcomes.success_gain for outcomes in arms.values()], dtype=float)
    best = int(pilot.argmax())
    level = 1 - 2 * (1 - confidence) / len(arms)
    bound = clustered_gain_interval(arms[names[best]], confidence=level, guarantee=guarantee).low
    out_of_bag = np.concatenate(judged)
    corrected = float(out_of_bag.mean()) if out_of_bag.size else float(pilot[best])
    return Best(
        arm=names[best],
        observed=float(pilot[best]),
        gain=Estimate(value=corrected, low=min(bound, corrected), high=1.0, confidence=confidence),
        optimism=float(pilot[best]) - corrected,
        chosen={name: float(won[i] / resamples) for i, name in enumerate(names)},
    )
