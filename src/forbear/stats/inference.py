"""What a verdict asks of its data, answered alike for one pair per task, several seeds, and graded scores.

In each, a hypothesis counts as rejected only where the interval shown beside it excludes it too.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes, UnitCounts
from forbear.outcomes.graded import GradedOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.clustered import (
    ClusteredGain,
    clustered_gain,
    clustered_rate,
    gain_units,
    seedwise_interval,
    worst_weight,
)
from forbear.stats.dirichlet import Units, mean_limits, mean_pvalue
from forbear.stats.exact import MAX_EXACT_PAIRS, OneSided, exact_unconditional, method_for, score_test
from forbear.stats.intervals import (
    Estimate,
    Interval,
    Rate,
    break_even_interval,
    break_even_limits,
    paired_gain_interval,
)
from forbear.stats.rule import Guarantee
from forbear.stats.verdict import Look, Remark
from forbear.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Baseline failures, recoveries, disruptions and their break-even; None where undefined."""

    failure: Estimate | None
    """None for graded scores, where a run neither fails nor succeeds."""
    recovery: Estimate | None
    disruption: Estimate | None
    break_even: Estimate | None


class Inference(Protocol):
    """Outcomes as `decide` sees them."""

    @property
    def tasks(self) -> int:
        """Tasks with an outcome under both arms."""

    @property
    def pairs(self) -> int:
        """Pairs of runs."""

    @property
    def table(self) -> PairedOutcomes | None:
        """The 2×2 counts; None where seeds are not paired."""

    @property
    def discordance(self) -> float:
        """The share of pairs whose outcomes differ."""

    @property
    def tasks_per_pair(self) -> float:
        """Tasks that weigh as much as one independent pair."""

    @property
    def units(self) -> tuple[Units, float] | None:
        """The units of a Dirichlet test, and the weight of its worst value; None for a plain table."""

    @property
    def informative(self) -> tuple[int, Remark]:
        """How many units carry all evidence, and the caution that says so."""

    @property
    def look(self) -> Look | None:
        """Where a pilot that is looked at on the way stands; None for a single, fixed look."""

    @property
    def futile(self) -> bool:
        """Whether a further look can hardly decide."""

    def method(self, margin: float) -> str:
        """The test of this margin, by name."""

    def gain(self, confidence: float) -> Estimate:
        """The gain with its interval."""

    def pvalue(self, margin: float, alternative: OneSided) -> float:
        """One-sided p-value of Δ ≤ margin ("greater") or Δ ≥ margin ("less")."""

    def rules_out(self, margin: float, alternative: OneSided, alpha: float) -> bool:
        """Whether the interval of level 1 − 2·alpha leaves the margin out on that side."""

    def rates(self, confidence: float) -> Rates:
        """p, r, d and p* with intervals."""


def inference(
    outcomes: PairedOutcomes | ClusteredOutcomes | GradedOutcomes, *, guarantee: Guarantee = "calibrated"
) -> Inference:
    """Chooses the reading of the data: one pair per task is always read as a plain table.

    Raises:
        InvalidInput: Nothing to decide on.
    """
    if isinstance(outcomes, ClusteredOutcomes) and outcomes.one_pair_per_task:
        table = outcomes.table
        assert table is not None, "one pair per task has a table"
        outcomes = table
    size = outcomes.pairs if isinstance(outcomes, PairedOutcomes) else outcomes.tasks
    if not size:
        raise InvalidInput("there is nothing to decide on: no task has an outcome under both arms.")
    if isinstance(outcomes, GradedOutcomes):
        return GradedScores(outcomes)
    if isinstance(outcomes, PairedOutcomes):
        return OnePairPerTask(outcomes)
    return SeveralSeeds(outcomes, guarantee=guarantee)


class OnePairPerTask:
    """The exact unconditional test beside Tango's interval; above 2,000 pairs the score test alone."""

    look = None
    futile = False

    def __init__(self, pairs: PairedOutcomes) -> None:
        self.table = pairs
        self.tasks = self.pairs = pairs.pairs
        self.discordance = pairs.discordant / pairs.pairs
        self.tasks_per_pair = 1.0
        self.units = None
        self.informative = (
            pairs.discordant,
            Remark(
                code="few_discordant",
                text=f"Only {pairs.discordant} of {pairs.pairs} pairs differ between the arms; all evidence lies in "
                "those.",
                values={"differing": pairs.discordant, "of": pairs.pairs, "unit": "pairs"},
            ),
        )

    def method(self, margin: float) -> str:
        """As the test says."""
        return method_for(self.pairs, margin=margin)

    def gain(self, confidence: float) -> Estimate:
        """Tango's interval."""
        return _estimate(self.table.success_gain, paired_gain_interval(self.table, confidence=confidence), confidence)

    def pvalue(self, margin: float, alternative: OneSided) -> float:
        """Exact, to 2,000 pairs."""
        test = exact_unconditional if self.pairs <= MAX_EXACT_PAIRS else score_test
        return test(self.table, margin=margin, alternative=alternative).pvalue

    def rules_out(self, margin: float, alternative: OneSided, alpha: float) -> bool:
        """By the score test: at some margins the exact one rejects a hair earlier (margin −.05, α .025, N = 50)."""
        return score_test(self.table, margin=margin, alternative=alternative).pvalue < alpha

    def rates(self, confidence: float) -> Rates:
        """Wilson's intervals, Jeffreys' for the break-even."""
        pairs = self.table

        def rate(k: int, n: int) -> Estimate | None:
            return Rate(k=k, n=n).estimate(confidence=confidence) if n else None

        bounds = break_even_interval(pairs, confidence=confidence)
        return Rates(
            failure=Rate(k=pairs.failures, n=pairs.pairs).estimate(confidence=confidence),
            recovery=rate(pairs.recovered, pairs.failures),
            disruption=rate(pairs.disrupted, pairs.successes),
            break_even=None if bounds is None else _estimate(pairs.break_even_failure_rate, bounds, confidence),
        )


class SeveralSeeds:
    """Dirichlet weights over tasks, or clusters above them, with the worst value added."""

    look = None
    futile = False

    def __init__(self, outcomes: ClusteredOutcomes, *, guarantee: Guarantee = "calibrated") -> None:
        self.outcomes = outcomes
        self.table = outcomes.table
        self.tasks, self.pairs = outcomes.tasks, outcomes.pairs
        self._total: ClusteredGain = clustered_gain(outcomes)
        self.discordance = (self._total.recovered + self._total.disrupted) / self._total.pairs
        self.tasks_per_pair = self._total.design_effect * self.tasks / self._total.pairs
        unit = "tasks" if outcomes.clusters is None else "clusters"
        differing, units = int(self._total.discordant_units), int(self._total.units)
        self.informative = (
            differing,
            Remark(
                code="few_discordant",
                text=f"Only {differing} of {units} {unit} have runs that differ between the arms; all evidence lies in "
                "those.",
                values={"differing": differing, "of": units, "unit": unit},
            ),
        )
        self.units = gain_units(outcomes), worst_weight(outcomes, guarantee=guarantee)
        self._unit = unit

    def method(self, margin: float) -> str:
        """With the weight that INTERVENE has at this margin (`mean_pvalue`)."""
        weight = self.units[1] if margin >= 0 else 1.0
        kind = "finite-sample" if weight == 1 else "calibrated"
        return f"Dirichlet weights over {self._unit}, worst value at weight {weight:g} ({kind})"

    def gain(self, confidence: float) -> Estimate:
        """The gains that the test does not reject: `clustered_gain_interval`."""
        bounds = mean_limits(self.units[0], confidence=confidence, weight=self.units[1])
        return _estimate(self.outcomes.success_gain, bounds, confidence)

    def pvalue(self, margin: float, alternative: OneSided) -> float:
        """Of the test that belongs to the interval: `clustered_gain_test`, its units counted once."""
        return mean_pvalue(self.units[0], margin=margin, alternative=alternative, weight=self.units[1])

    def rules_out(self, margin: float, alternative: OneSided, alpha: float) -> bool:
        """Test and interval are one."""
        return self.pvalue(margin, alternative) < alpha

    def rates(self, confidence: float) -> Rates:
        """Wilson's intervals with each rate's own design effect; Jeffreys' at the effective counts."""
        units = self.outcomes.units
        recovery, recovery_effect = clustered_rate(units.recovered, units.failures, confidence=confidence)
        disruption, disruption_effect = clustered_rate(units.disrupted, units.successes, confidence=confidence)
        failure, _ = clustered_rate(units.failures, units.pairs, confidence=confidence)
        assert failure is not None, "there is at least one pair"
        return Rates(
            failure=failure,
            recovery=recovery,
            disruption=disruption,
            break_even=_break_even(units, recovery, recovery_effect, disruption, disruption_effect, confidence),
        )


class SeedBySeed(SeveralSeeds):
    """What a guarantee at several looks allows: each seed index by itself, with Bonferroni."""

    def __init__(self, outcomes: ClusteredOutcomes) -> None:
        super().__init__(outcomes, guarantee="finite-sample")
        self._seeds = counted(len(outcomes.seed_tables()), "seed")

    def method(self, margin: float) -> str:
        """The same at every margin."""
        return f"exact by seed, Bonferroni over {self._seeds}"

    def gain(self, confidence: float) -> Estimate:
        """The tightest limits over seeds, at Bonferroni's level."""
        bounds = seedwise_interval(self.outcomes, confidence=confidence)
        return _estimate(self.outcomes.success_gain, bounds, confidence)


class GradedScores:
    """Mean scores: Dirichlet weights over tasks, or clusters above them, with the worst value added at weight 1."""

    table = None
    look = None
    futile = False

    def __init__(self, outcomes: GradedOutcomes) -> None:
        self.outcomes = outcomes
        self.tasks = self.pairs = outcomes.tasks
        differences, sizes = outcomes.differences, np.ones(outcomes.tasks)
        # What the share of differing pairs is to the variance of a gain of pairs, the mean square is here.
        self.discordance = float(np.mean(differences**2))
        unit = "tasks"
        if outcomes.clusters is not None:
            unit = "clusters"
            _, cluster = np.unique(outcomes.clusters, return_inverse=True)
            sizes = np.bincount(cluster).astype(float)
            differences = np.bincount(cluster, weights=differences) / sizes
        self.units = Units.of(differences, sizes), 1.0
        self.tasks_per_pair = self.tasks / len(differences)
        differing = int(np.count_nonzero(differences))
        self.informative = (
            differing,
            Remark(
                code="few_discordant",
                text=f"Only {differing} of {len(differences)} {unit} have scores that differ between the arms; all "
                "evidence lies in those.",
                values={"differing": differing, "of": len(differences), "unit": unit},
            ),
        )
        self._method = f"mean scores, Dirichlet weights over {unit}, worst value at weight 1 (finite-sample)"

    def method(self, margin: float) -> str:
        """The same at every margin."""
        return self._method

    def gain(self, confidence: float) -> Estimate:
        """The gains that the test does not reject."""
        units, weight = self.units
        bounds = mean_limits(units, confidence=confidence, weight=weight)
        return _estimate(self.outcomes.success_gain, bounds, confidence)

    def pvalue(self, margin: float, alternative: OneSided) -> float:
        """Of the test that belongs to the interval."""
        units, weight = self.units
        return mean_pvalue(units, margin=margin, alternative=alternative, weight=weight)

    def rules_out(self, margin: float, alternative: OneSided, alpha: float) -> bool:
        """Test and interval are one."""
        return self.pvalue(margin, alternative) < alpha

    def rates(self, confidence: float) -> Rates:
        """None: a score is neither a failure nor a success."""
        return Rates(failure=None, recovery=None, disruption=None, break_even=None)


def _break_even(
    units: UnitCounts,
    recovery: Estimate | None,
    recovery_effect: float,
    disruption: Estimate | None,
    disruption_effect: float,
    confidence: float,
) -> Estimate | None:
    r, d = (None if rate is None else rate.value for rate in (recovery, disruption))
    if r is None or d is None or r + d == 0:
        return None
    bounds = break_even_limits(
        recovered=float(units.recovered.sum()) / recovery_effect,
        both_fail=float(units.both_fail.sum()) / recovery_effect,
        disrupted=float(units.disrupted.sum()) / disruption_effect,
        both_succeed=float(units.both_succeed.sum()) / disruption_effect,
        confidence=confidence,
    )
    value = d / (r + d)
    return _estimate(value, Interval(min(bounds.low, value), max(bounds.high, value)), confidence)


def _estimate(value: float | None, bounds: Interval, confidence: float) -> Estimate:
    return Estimate(value=value, low=bounds.low, high=bounds.high, confidence=confidence)
