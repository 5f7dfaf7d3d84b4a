"""Several seeds per task: outcomes, interval and tests whose unit is the task (or a cluster of tasks).

Seeds of one task tell the same story twice, so counts of pairs overstate the evidence. Everything here rests on three
numbers per unit: recovered, disrupted and all pairs.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes, unit_counts
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.exact import MAX_EXACT_PAIRS, OneSided, check_test, exact_unconditional, score_test
from forbear.stats.intervals import Estimate, Interval, check_confidence, tango_limits, tango_statistic, wilson_limits

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
    """What interval and test share: totals, design effect, degrees of freedom."""

    recovered: float
    disrupted: float
    pairs: float
    design_effect: float
    units: int
    """Tasks, or clusters above them."""
    discordant_units: int
    """Units with a pair whose outcomes differ."""
    degrees_of_freedom: float
    """Of the t distribution; infinite (the normal one) where every task has one pair and no cluster above it."""

    def statistic(self, gain: float) -> float:
        """Tango's statistic with every count divided by the design effect."""
        return tango_statistic(self.recovered, self.disrupted, n=self.pairs, gain=gain) / math.sqrt(self.design_effect)

    def limits(self, confidence: float) -> Interval:
        """The gains whose statistic lies within the quantiles."""
        tail = (1 + confidence) / 2
        finite = math.isfinite(self.degrees_of_freedom)
        quantile = float(stdtrit(self.degrees_of_freedom, tail) if finite else ndtri(tail))
        return tango_limits(
            recovered=self.recovered,
            disrupted=self.disrupted,
            n=self.pairs,
            # Dividing all counts by deff divides the statistic by its root: the same limits at a larger quantile.
            quantile=quantile * math.sqrt(self.design_effect),
        )


def clustered_gain(outcomes: ClusteredOutcomes) -> ClusteredGain:
    """Totals and shrunk design effect of the gain.

    Raises:
        InvalidInput: Fewer than two tasks: seeds of one task say nothing about other tasks.
    """
    if outcomes.tasks < 2 and not outcomes.one_pair_per_task:
        raise InvalidInput(
            f"several seeds per task need at least two tasks, got {outcomes.tasks}: the seeds of one task say nothing "
            "about other tasks."
        )
    if not outcomes.tasks:
        raise InvalidInput("an interval or test of the gain needs at least one task, got none.")
    units = unit_counts(outcomes)
    recovered, disrupted = float(units.recovered.sum()), float(units.disrupted.sum())
    pairs, count = float(units.pairs.sum()), len(units.pairs)
    gain = (recovered - disrupted) / pairs
    discordant = int(np.count_nonzero(units.recovered + units.disrupted))
    alone = outcomes.one_pair_per_task
    effect = 1.0
    if not alone:
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
        degrees_of_freedom=math.inf if alone else count - 1,
    )


# --- Interval and tests -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteredTest:
    """A one-sided test of the gain against a margin, several seeds per task."""

    margin: float
    alternative: OneSided
    """"greater" rejects Δ ≤ margin, "less" rejects Δ ≥ margin."""
    method: Literal["score (Tango), shrunk design effect", "exact unconditional by seed, Bonferroni"]
    pvalue: float


def clustered_gain_interval(outcomes: ClusteredOutcomes, *, confidence: float = 0.95) -> Interval:
    """Score interval for the gain in success rate, several seeds per task.

    Tango's interval with all counts divided by a shrunk design effect and t quantiles with units − 1 degrees of
    freedom. One seed per task gives exactly `paired_gain_interval`.

    Args:
        outcomes: At least two tasks (one, where it has one seed).
        confidence: Two-sided coverage, 0 < confidence < 1.

    Returns:
        Bounds in [−1, 1] as fractions, around the estimate; above 0 the intervention helps.

    Raises:
        InvalidInput: Too few tasks, or confidence out of range.

    Source: Tango (1998); Rao & Scott (1992). Checked: simulated coverage (docs/methods.md), and Tango's defining
    equation with counts divided.
    """
    check_confidence(confidence)
    return clustered_gain(outcomes).limits(confidence)


def clustered_score_test(
    outcomes: ClusteredOutcomes, *, margin: float = 0.0, alternative: OneSided = "greater"
) -> ClusteredTest:
    """The test of Δ ≤ margin ("greater") or Δ ≥ margin ("less") that belongs to `clustered_gain_interval`.

    Near nominal where effects are spread over tasks; where rare tasks lose (or win) all their seeds, its size can
    exceed the level (docs/methods.md has the table) and `seedwise_exact` does not.

    Args:
        outcomes: At least two tasks (one, where it has one seed).
        margin: The gain under test, −1 < margin < 1, a fraction.
        alternative: "greater" when a gain above the margin is claimed.

    Raises:
        InvalidInput: Too few tasks, a margin out of range, or another alternative.
    """
    check_test(margin, alternative)
    gain = clustered_gain(outcomes)
    if math.isinf(gain.degrees_of_freedom):
        table = outcomes.table
        assert table is not None, "one pair per task has a table"
        pvalue = score_test(table, margin=margin, alternative=alternative).pvalue
    else:
        z = gain.statistic(margin)
        pvalue = float(stdtr(gain.degrees_of_freedom, -z if alternative == "greater" else z))
    return ClusteredTest(
        margin=margin, alternative=alternative, method="score (Tango), shrunk design effect", pvalue=pvalue
    )


def seedwise_exact(
    outcomes: ClusteredOutcomes, *, margin: float = 0.0, alternative: OneSided = "greater"
) -> ClusteredTest:
    """The exact unconditional test on each seed index, combined by Bonferroni: its size never exceeds the level.

    Each seed index has one pair per task, so its test is exact whatever the dependence between seeds. Seeds are taken
    to be exchangeable, and which tasks have more of them to tell nothing about the gain.

    Args:
        outcomes: No clusters above tasks; at most 2,000 tasks.
        margin: The gain under test, −1 < margin < 1, a fraction.
        alternative: "greater" when a gain above the margin is claimed.

    Raises:
        InvalidInput: Clusters above tasks, no or too many tasks, a margin out of range, or another alternative.
    """
    check_test(margin, alternative)
    tables = _seed_tables(outcomes)
    smallest = min(exact_unconditional(table, margin=margin, alternative=alternative).pvalue for table in tables)
    return ClusteredTest(
        margin=margin,
        alternative=alternative,
        method="exact unconditional by seed, Bonferroni",
        pvalue=min(1.0, len(tables) * smallest),
    )


def seedwise_interval(outcomes: ClusteredOutcomes, *, confidence: float = 0.95) -> Interval:
    """The interval beside `seedwise_exact`: the tightest of Tango's limits over seed indices, at Bonferroni's level.

    Always holds the pooled estimate: seeds that contradict each other widen it to there.

    Args:
        outcomes: No clusters above tasks; at most 2,000 tasks.
        confidence: Two-sided coverage, 0 < confidence < 1.

    Raises:
        InvalidInput: Clusters above tasks, no or too many tasks, or confidence out of range.
    """
    check_confidence(confidence)
    tables = _seed_tables(outcomes)
    # 1 − (1 − confidence)/(2·seeds), written so that one seed gives the usual quantile to the last digit.
    quantile = float(ndtri((2 * len(tables) - 1 + confidence) / (2 * len(tables))))
    limits = [tango_limits(recovered=t.recovered, disrupted=t.disrupted, n=t.pairs, quantile=quantile) for t in tables]
    gain = outcomes.success_gain or 0.0
    return Interval(min(gain, max(bounds.low for bounds in limits)), max(gain, min(bounds.high for bounds in limits)))


def _seed_tables(outcomes: ClusteredOutcomes) -> tuple[PairedOutcomes, ...]:
    if outcomes.clusters is not None:
        raise InvalidInput("the finite-sample guarantee holds for tasks, not for clusters above them: leave one out.")
    if not 1 <= outcomes.tasks <= MAX_EXACT_PAIRS:
        raise InvalidInput(f"the finite-sample guarantee takes 1 to {MAX_EXACT_PAIRS} tasks, got {outcomes.tasks}.")
    return outcomes.seed_tables()
