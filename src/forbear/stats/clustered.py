"""Several seeds per task, and graded scores: interval and tests whose unit is the task (or a cluster of tasks).

Seeds of one task tell the same story twice, so counts of pairs overstate the evidence. What is tested is the mean over
units of their differences, by `dirichlet`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.stats.dirichlet import Units, mean_limits, mean_pvalue
from forbear.stats.exact import MAX_EXACT_PAIRS, OneSided, check_test, exact_unconditional, score_test
from forbear.stats.intervals import (
    Estimate,
    Interval,
    check_confidence,
    paired_gain_interval,
    tango_limits,
    wilson_limits,
)
from forbear.stats.rule import Guarantee

Floats = NDArray[np.float64]


def design_effect(numerator: Floats, denominator: Floats, *, variance: float, informative: int) -> float:
    """By how much units inflate the variance of the ratio Σ numerator/Σ denominator, shrunk towards the worst case.

    deff = (m·clip(deff̂, .2, K) + 2K)/(m + 2): deff̂ is the between-unit variance of the ratio over the variance it would
    have were all pairs independent, K = Σk²/Σk the effective number of pairs per unit and m the number of units that
    tell something. With m = 0 it is K: as if a unit's seeds never disagreed.

    Args:
        numerator: By unit.
        denominator: By unit, at least two units in all, not all zero.
        variance: Of one independent pair.
        informative: m.

    Source: Rao & Scott (1992, Biometrics 48:577) for dividing counts by a design effect; the shrinkage is ours, chosen
    so that few discordant units cannot claim a small one (coverage: tests/stats/test_clustered.py).
    """
    used = denominator > 0
    numerator, denominator = numerator[used], denominator[used]
    total, units = float(denominator.sum()), len(denominator)
    largest = float((denominator**2).sum() / total)
    estimated = largest
    if variance > 0 and units > 1:
        residual = numerator - numerator.sum() / total * denominator
        estimated = units / (units - 1) * float(residual @ residual) / (total * variance)
    return (informative * min(max(estimated, 0.2), largest) + 2 * largest) / (informative + 2)


def clustered_rate(numerator: Floats, denominator: Floats, *, confidence: float) -> tuple[Estimate | None, float]:
    """A ratio of counts over units with Wilson's interval at the effective counts, and its design effect.

    Args:
        numerator: By unit, at least two units; between 0 and the denominator.
        denominator: By unit.
        confidence: Two-sided coverage, 0 < confidence < 1.

    Returns:
        None and 1 where the denominators add up to nothing.

    Source: Wilson (1927) with counts divided as by Rao & Scott (1992); t quantile with units − 1 degrees of freedom.
    Checked: simulated coverage (docs/methods.md).
    """
    check_confidence(confidence)
    k, n = float(numerator.sum()), float(denominator.sum())
    if not n:
        return None, 1.0
    rate = min(k / n, 1.0)
    informative = min(np.count_nonzero(numerator > 0), np.count_nonzero(numerator < denominator))
    effect = design_effect(numerator, denominator, variance=rate * (1 - rate), informative=int(informative))
    quantile = float(stdtrit(len(numerator) - 1, (1 + confidence) / 2))
    bounds = wilson_limits(rate * n / effect, n / effect, quantile=quantile)
    low, high = max(0.0, min(bounds.low, rate)), min(1.0, max(bounds.high, rate))
    return Estimate(value=rate, low=low, high=high, confidence=confidence), effect


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteredGain:
    """Totals of the gain and its design effect, for plans and forecasts; tests do not rest on it."""

    recovered: float
    disrupted: float
    pairs: float
    design_effect: float
    units: int
    """Tasks, or clusters above them."""
    discordant_units: int
    """Units with a pair whose outcomes differ."""


def clustered_gain(outcomes: ClusteredOutcomes) -> ClusteredGain:
    """Totals and shrunk design effect of the gain.

    Raises:
        InvalidInput: Fewer than two tasks: seeds of one task say nothing about other tasks.
    """
    _require_tasks(outcomes)
    units = outcomes.units
    recovered, disrupted = float(units.recovered.sum()), float(units.disrupted.sum())
    pairs, count = float(units.pairs.sum()), len(units.pairs)
    gain = (recovered - disrupted) / pairs
    discordant = int(np.count_nonzero(units.recovered + units.disrupted))
    effect = 1.0
    if not outcomes.one_pair_per_task:
        effect = design_effect(
            units.recovered - units.disrupted,
            units.pairs,
            variance=(recovered + disrupted) / pairs - gain * gain,
            informative=discordant,
        )
    return ClusteredGain(
        recovered=recovered,
        disrupted=disrupted,
        pairs=pairs,
        design_effect=effect,
        units=count,
        discordant_units=discordant,
    )


def _require_tasks(outcomes: ClusteredOutcomes) -> None:
    if outcomes.tasks < 2 and not outcomes.one_pair_per_task:
        raise InvalidInput(
            f"several seeds per task need at least two tasks, got {outcomes.tasks}: the seeds of one task say nothing "
            "about other tasks."
        )
    if not outcomes.tasks:
        raise InvalidInput("an interval or test of the gain needs at least one task, got none.")


# --- Interval and tests -------------------------------------------------------------------------------------

_WEIGHTS = ((3, 0.55), (5, 0.6), (10, 0.7))
"""To so many seeds per task the weight of the worst value that keeps the size at .055 from 50 tasks on."""
_UNCHANGED = 0.1
"""The share of tasks whose success rate has to be the same in both arms for a weight below 1. Where every task gains or
loses, sums of differences have few values: the test is a binomial's mid-p, whose size reaches .067."""


def worst_weight(outcomes: ClusteredOutcomes, *, guarantee: Guarantee = "calibrated") -> float:
    """The weight of the worst value in the test of these outcomes.

    Returns:
        "finite-sample": 1. "calibrated": .55 for 2 and 3 seeds, .6 for 4 and 5, .7 for 6 to 10, 1 for more; the larger
        number of seeds counts where they differ. 1 for clusters above tasks, which may be of any size, and where fewer
        than a tenth of the tasks are as they were.

    Raises:
        InvalidInput: Fewer than two tasks.

    Source: the largest size over null truths that hide losses in rare tasks (measurements/several_seeds.py).
    """
    if guarantee == "finite-sample" or outcomes.clusters is not None:
        return 1.0
    units = gain_units(outcomes)
    if units.counts[units.differences == 0].sum() < _UNCHANGED * units.counts.sum():
        return 1.0
    seeds = max(map(len, (*outcomes.baseline, *outcomes.treated)))
    return next((weight for most, weight in _WEIGHTS if seeds <= most), 1.0)


def gain_units(outcomes: ClusteredOutcomes) -> Units:
    """The differences of tasks (or clusters), each worth its pairs; where seeds are not paired, tasks weigh the same.

    Raises:
        InvalidInput: Fewer than two tasks.
    """
    _require_tasks(outcomes)
    counts = outcomes.units
    return Units.of((counts.recovered - counts.disrupted) / counts.pairs, counts.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteredTest:
    """A one-sided test of the gain against a margin, several seeds per task."""

    margin: float
    alternative: OneSided
    """"greater" rejects Δ ≤ margin, "less" rejects Δ ≥ margin."""
    weight: float | None
    """Of the worst value; None for one pair per task, which has an exact test of its own."""
    pvalue: float


def clustered_gain_test(
    outcomes: ClusteredOutcomes,
    *,
    margin: float = 0.0,
    alternative: OneSided = "greater",
    guarantee: Guarantee = "calibrated",
) -> ClusteredTest:
    """The test of Δ ≤ margin ("greater") or Δ ≥ margin ("less") that belongs to `clustered_gain_interval`.

    One pair per task: the exact unconditional test (above 2,000 tasks the score test). Else random Dirichlet weights
    over the tasks, the worst value added (`dirichlet.mean_pvalue`).

    Args:
        outcomes: At least two tasks (one, where it has one seed).
        margin: The gain under test, −1 < margin < 1, a fraction.
        alternative: "greater" when a gain above the margin is claimed.
        guarantee: As in the rule.

    Raises:
        InvalidInput: Too few tasks, a margin out of range, or another alternative.

    Checked: size and power by simulation (docs/methods.md); `dirichlet_tail` says how the number itself was.
    """
    check_test(margin, alternative)
    if outcomes.one_pair_per_task:
        table = outcomes.table
        assert table is not None, "one pair per task has a table"
        test = exact_unconditional if table.pairs <= MAX_EXACT_PAIRS else score_test
        pvalue = test(table, margin=margin, alternative=alternative).pvalue
        return ClusteredTest(margin=margin, alternative=alternative, weight=None, pvalue=pvalue)
    weight = worst_weight(outcomes, guarantee=guarantee)
    pvalue = mean_pvalue(gain_units(outcomes), margin=margin, alternative=alternative, weight=weight)
    return ClusteredTest(margin=margin, alternative=alternative, weight=weight, pvalue=pvalue)


def clustered_gain_interval(
    outcomes: ClusteredOutcomes, *, confidence: float = 0.95, guarantee: Guarantee = "calibrated"
) -> Interval:
    """The gains that `clustered_gain_test` does not reject on either side; one pair per task: `paired_gain_interval`.

    Args:
        outcomes: At least two tasks (one, where it has one seed).
        confidence: Two-sided coverage, 0 < confidence < 1.
        guarantee: As in the rule.

    Returns:
        Bounds in [−1, 1] as fractions, around the estimate; above 0 the intervention helps.

    Raises:
        InvalidInput: Too few tasks, or confidence out of range.

    Checked: simulated coverage (docs/methods.md), and that it leaves out a gain exactly where the test rejects it.
    """
    check_confidence(confidence)
    if outcomes.one_pair_per_task:
        table = outcomes.table
        assert table is not None, "one pair per task has a table"
        return paired_gain_interval(table, confidence=confidence)
    weight = worst_weight(outcomes, guarantee=guarantee)
    return mean_limits(gain_units(outcomes), confidence=confidence, weight=weight)


def seedwise_interval(outcomes: ClusteredOutcomes, *, confidence: float = 0.95) -> Interval:
    """The tightest of Tango's limits over seed indices, at Bonferroni's level: what looks show that test seed by seed.

    Always holds the pooled estimate: seeds that contradict each other widen it to there.

    Args:
        outcomes: No clusters above tasks.
        confidence: Two-sided coverage, 0 < confidence < 1.

    Raises:
        InvalidInput: Clusters above tasks, no task, or confidence out of range.
    """
    check_confidence(confidence)
    if outcomes.clusters is not None:
        raise InvalidInput(
            "with several looks the finite-sample guarantee holds for tasks, not for clusters above them: leave one "
            "out."
        )
    _require_tasks(outcomes)
    tables = outcomes.seed_tables()
    # 1 − (1 − confidence)/(2·seeds), written so that one seed gives the usual quantile to the last digit.
    quantile = float(ndtri((2 * len(tables) - 1 + confidence) / (2 * len(tables))))
    limits = [tango_limits(recovered=t.recovered, disrupted=t.disrupted, n=t.pairs, quantile=quantile) for t in tables]
    gain = outcomes.success_gain or 0.0
    return Interval(min(gain, max(bounds.low for bounds in limits)), max(gain, min(bounds.high for bounds in limits)))
