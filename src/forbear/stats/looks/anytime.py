"""Outcomes of a stream without a planned size: a verdict that may be asked for after every task.

Δ ≤ margin is rejected at α once the betting e-process against it (`betting`) has ever reached 1/α, Δ ≥ worthwhile once
the one against that has; by Ville's inequality either happens to a true hypothesis with probability at most α, however
often one looks and whatever makes one stop. The p-value is one over the peak. Where the order of the tasks is not known
(a table), one over what the e-process, which does not depend on the order, is worth now.

The interval holds the gains that are not rejected, each side at α. Those of p, r and d are confidence sequences too.
One pair per task: the rates whose likelihood ratio against the mixture over a Beta(½, ½) stays below one over the
error; the failures (for r) and successes (for d) are taken as they come. Several seeds, clusters: r is the ρ for which
recovered − ρ·failures, as shares of a unit's pairs, is zero on average, and is bet on unit by unit; p and d alike.

Sources: Ville (1939); Waudby-Smith & Ramdas (2023, JRSS-B 86:1); Robbins (1970, Ann. Math. Stat. 41:1397) for the
mixture. How each was checked: docs/methods.md.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import betaln, xlogy

from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.graded import GradedOutcomes, mean_scores
from forbear.outcomes.missing import (
    MaybeOutcomes,
    MaybeScores,
    MissingOutcomes,
    Outcomes,
    graded_outcomes,
    observed_and_bounds,
    planned_outcomes,
)
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.exact import OneSided
from forbear.stats.inference import Inference, Rates, inference
from forbear.stats.intervals import Estimate, Interval, check_confidence
from forbear.stats.looks.betting import BETS_FOR_LONG, BETS_ON_MEANS, bets_on, log_evidence, log_growth
from forbear.stats.looks.sequential import require_one_piece, unit_differences
from forbear.stats.regions import Floats
from forbear.stats.verdict import AtAnyTime

_HALVINGS = 40
"""Of [−1, 1], until a bound of the gain is found."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AnytimeOutcomes:
    """The outcomes of a stream, so far; `anytime_outcomes` makes them where the order of the tasks is known."""

    now: Outcomes | GradedOutcomes
    """All pairs; of scores, all tasks that have one under both arms."""
    differences: Floats | None = None
    """(tasks,) in the planned order: treated minus baseline, mean over seeds; NaN for a task without pair. Clusters:
    the mean over each one's pairs at its last task, NaN elsewhere and in the last cluster, which may still grow. None
    where the order is not known: then only what the pairs are worth together counts, not what they once were. Tasks
    (clusters) weigh the same, whatever their number of pairs."""
    planned: int | None = None
    """About how many tasks there will be, decided before the first outcome: above 2,000, smaller bets, which find small
    gains sooner and large ones later. None where nothing is planned."""


def anytime_outcomes(
    *,
    baseline: MaybeOutcomes,
    treated: MaybeOutcomes,
    clusters: Sequence[str] | None = None,
    names: tuple[str, str] = ("baseline", "treated"),
    planned: int | None = None,
    graded: bool = False,
) -> tuple[AnytimeOutcomes | None, MissingOutcomes[AnytimeOutcomes] | None]:
    """What is known after the first tasks of a stream.

    Args:
        baseline: Tasks × seeds in the order in which the tasks were planned, not in which their runs ended; None where
            a run has no outcome.
        treated: The same tasks and seeds.
        clusters: One label per task, where tasks come in groups; groups follow each other in one piece.
        names: Of the arms, for counts.
        planned: About how many tasks there will be, decided before the first outcome; see `AnytimeOutcomes`.
        graded: Whether outcomes are scores in [0, 1]: what is bet on are differences of mean scores.

    Returns:
        The outcomes, None where no pair is known; and how far the missing ones could move them, None where none is.

    Raises:
        InvalidInput: A cluster that comes back after another began, or as `planned_outcomes`.
    """
    if clusters is not None:
        require_one_piece(clusters)

    def stream(before: MaybeOutcomes, after: MaybeOutcomes) -> AnytimeOutcomes | None:
        now: Outcomes | GradedOutcomes | None
        arm_runs: tuple[MaybeScores, MaybeScores] = before, after
        if graded:
            now, _ = graded_outcomes(baseline=before, treated=after, clusters=clusters, arms=names)
            arm_runs = mean_scores(before), mean_scores(after)
        else:
            now = planned_outcomes(baseline=before, treated=after, clusters=clusters, arms=names).observed
        if now is None:
            return None
        # Every unit weighs the same: how large the largest will be is not known.
        differences, _ = unit_differences(*arm_runs, clusters)
        if clusters is not None:
            differences[-1] = np.nan
        return AnytimeOutcomes(now=now, differences=differences, planned=planned)

    return observed_and_bounds(stream, baseline=baseline, treated=treated, arms=names)


# --- Rates at any time --------------------------------------------------------------------------------------


def rate_sequence(k: int, n: int, *, confidence: float) -> Interval:
    """The confidence sequence of a probability after k successes in n independent trials, valid at every n.

    The rates q with B(k + ½, n − k + ½)/B(½, ½) < q^k·(1 − q)^(n − k)/(1 − confidence), by bisection.

    Args:
        k: Successes, 0 ≤ k ≤ n.
        n: Trials so far; [0, 1] when there is none.
        confidence: 0 < confidence < 1.

    Returns:
        Fractions; k/n lies between them.

    Source: Robbins (1970). Checked: exact coverage with a look after every trial (tests/stats/looks/test_anytime.py).
    """
    check_confidence(confidence)
    if n == 0:
        return Interval(0.0, 1.0)
    needed = float(betaln(k + 0.5, n - k + 0.5) - betaln(0.5, 0.5)) + math.log(1 - confidence)

    def rejected(q: float) -> bool:
        return float(xlogy(k, q) + xlogy(n - k, 1 - q)) <= needed

    return Interval(_edge(rejected, k / n, 0.0), _edge(rejected, k / n, 1.0))


def ratio_sequence(numerator: Floats, denominator: Floats, *, confidence: float) -> Interval:
    """The confidence sequence of E[numerator]/E[denominator] over independent units, valid after every unit.

    Args:
        numerator: By unit, 0 ≤ numerator ≤ denominator ≤ 1.
        denominator: By unit.
        confidence: Two-sided; each side errs with half of the rest.

    Returns:
        Fractions; the ratio of the sums lies between them. [0, 1] where every denominator is 0.

    Source: Waudby-Smith & Ramdas (2023), on numerator − ρ·denominator. Checked: coverage with a look after every unit.
    """
    check_confidence(confidence)
    total = float(denominator.sum())
    if total == 0:
        return Interval(0.0, 1.0)
    needed = math.log(2 / (1 - confidence))

    def evidence(gains: Floats) -> float:
        wealth = np.log1p(BETS_ON_MEANS.shares[None, :] * gains[:, None]).sum(axis=0)
        return float(BETS_ON_MEANS.log_value(wealth))

    # A claim of more than ρ wins numerator/ρ − denominator at each unit, one of less the same of what is left.
    def more(rho: float) -> bool:
        return rho == 0 or evidence(numerator / rho - denominator) >= needed

    def less(rho: float) -> bool:
        return rho == 1 or evidence((denominator - numerator) / (1 - rho) - denominator) >= needed

    value = min(max(float(numerator.sum()) / total, 0.0), 1.0)
    return Interval(_edge(more, value, 0.0), _edge(less, value, 1.0))


def _edge(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where, on the way from a kept value to an end of [0, 1], values begin to be rejected; the end where none is."""
    if inside == outside or not rejected(outside):
        return outside
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if rejected(middle) else (middle, outside)
    return outside


# --- The inference ------------------------------------------------------------------------------------------


class Anytime:
    """The inference of a stream."""

    futile = False

    def __init__(self, outcomes: AnytimeOutcomes) -> None:
        if isinstance(outcomes.now, ClusteredOutcomes) and outcomes.now.one_pair_per_task:
            table = outcomes.now.table
            assert table is not None, "one pair per task has a table"
            outcomes = replace(outcomes, now=table)
        self.outcomes = outcomes
        self._base: Inference = inference(outcomes.now)
        self.tasks, self.pairs, self.table = self._base.tasks, self._base.pairs, self._base.table
        self.discordance, self.tasks_per_pair = self._base.discordance, self._base.tasks_per_pair
        self.units, self.informative = self._base.units, self._base.informative
        self._ordered = outcomes.differences is not None
        self._bets = bets_on(several_seeds=not isinstance(outcomes.now, PairedOutcomes), planned=outcomes.planned)

    def method(self, margin: float) -> str:
        """The same at every margin."""
        now, text = self.outcomes.now, "betting e-process, valid after every task"
        if self._bets is BETS_FOR_LONG:
            text += ", small bets as for more than 2,000 tasks"
        if isinstance(now, GradedOutcomes):
            text = f"mean scores, {text}"
        if not isinstance(now, PairedOutcomes):
            text += f", {'tasks' if now.clusters is None else 'clusters'} as units"
        return text if self._ordered else f"{text} (order not known: its value now, not its peak)"

    # --- Tests ----------------------------------------------------------------------------------------------

    @cached_property
    def _differences(self) -> tuple[Floats, Floats]:
        """What is bet on: in order each by itself; else the distinct differences and how often each occurred."""
        now, stream = self.outcomes.now, self.outcomes.differences
        if stream is not None:
            known = stream[~np.isnan(stream)]
            return known, np.ones(len(known))
        if isinstance(now, PairedOutcomes):
            counts = (now.recovered, now.pairs - now.discordant, now.disrupted)
            return np.array([1.0, 0.0, -1.0]), np.array(counts, dtype=float)
        arm_runs: tuple[MaybeScores, MaybeScores] = now.baseline, now.treated
        if isinstance(now, GradedOutcomes):
            arm_runs = mean_scores(now.baseline), mean_scores(now.treated)
        values, _ = unit_differences(*arm_runs, now.clusters)
        values, counts_of = np.unique(values[~np.isnan(values)], return_counts=True)
        return values, counts_of.astype(float)

    def _log_evidence(self, margin: float, alternative: OneSided) -> float:
        """Against Δ ≤ margin ("greater") or Δ ≥ margin ("less"): the peak, or the value now."""
        values, counts = self._differences
        if self._ordered:
            return log_evidence(values, margin=margin, alternative=alternative, bets=self._bets)[1]
        wealth = counts @ log_growth(values, margin=margin, alternative=alternative, bets=self._bets)
        return max(0.0, float(self._bets.log_value(wealth)))

    def pvalue(self, margin: float, alternative: OneSided) -> float:
        """One over the largest value of the e-process."""
        return math.exp(-self._log_evidence(margin, alternative))

    def rules_out(self, margin: float, alternative: OneSided, alpha: float) -> bool:
        """Test and interval are one; but nothing is concluded that the gain of all pairs by now speaks against."""
        gain, sign = self.outcomes.now.success_gain, 1 if alternative == "greater" else -1
        return gain is not None and sign * (gain - margin) > 0 and self.pvalue(margin, alternative) <= alpha

    # --- Estimates ------------------------------------------------------------------------------------------

    def gain(self, confidence: float) -> Estimate:
        """The running gain of all pairs, (C − B)/n for one pair per task, in the interval of what is not rejected.

        No stop was planned, so nothing is corrected for one; the interval covers whatever made the stream end. A gain
        that was rejected once stays rejected, so in an odd order of tasks the running gain can lie outside.
        """
        needed = math.log(2 / (1 - confidence))
        low = self._bound("greater", needed)
        high = max(low, self._bound("less", needed))
        return Estimate(value=self.outcomes.now.success_gain, low=low, high=high, confidence=confidence)

    def _bound(self, alternative: OneSided, needed: float) -> float:
        """The last gain that the e-process rejects, coming from the far end of [−1, 1]; that end where it does none."""
        rejected, kept = (-1.0, 1.0) if alternative == "greater" else (1.0, -1.0)
        for _ in range(_HALVINGS):
            middle = (rejected + kept) / 2
            if self._log_evidence(middle, alternative) >= needed:
                rejected = middle
            else:
                kept = middle
        return rejected

    def rates(self, confidence: float) -> Rates:
        """Confidence sequences; the one of p* from r's and d's, each with half of the error."""
        values = self._base.rates(confidence)
        if values.failure is None:  # of scores
            return values
        failure, recovery, disruption = self._sequences(confidence)
        _, r, d = self._sequences((1 + confidence) / 2)
        break_even = Interval(
            d.low / (r.high + d.low) if d.low else 0.0,
            d.high / (r.low + d.high) if d.high else 0.0,
        )

        def estimate(value: Estimate | None, bounds: Interval) -> Estimate | None:
            if value is None or value.value is None:
                return None
            # Units of different sizes: the rate counts pairs, its sequence units.
            low, high = min(bounds.low, value.value), max(bounds.high, value.value)
            return Estimate(value=value.value, low=low, high=high, confidence=confidence)

        shown_failure = estimate(values.failure, failure)
        assert shown_failure is not None, "there is at least one pair"
        return Rates(
            failure=shown_failure,
            recovery=estimate(values.recovery, recovery),
            disruption=estimate(values.disruption, disruption),
            break_even=estimate(values.break_even, break_even),
        )

    def _sequences(self, confidence: float) -> tuple[Interval, Interval, Interval]:
        """Of p, r and d."""
        now = self.outcomes.now
        if isinstance(now, PairedOutcomes):
            return (
                rate_sequence(now.failures, now.pairs, confidence=confidence),
                rate_sequence(now.recovered, now.failures, confidence=confidence),
                rate_sequence(now.disrupted, now.successes, confidence=confidence),
            )
        assert isinstance(now, ClusteredOutcomes), "scores have no rates"
        units = now.units
        whole = np.ones(len(units.pairs), dtype=bool)
        if now.clusters is not None and self._ordered:
            whole = np.unique(now.clusters) != now.clusters[-1]  # the last one may still grow
        failures, recovered, disrupted = (
            (counts / units.pairs)[whole] for counts in (units.failures, units.recovered, units.disrupted)
        )
        return (
            ratio_sequence(failures, np.ones(len(failures)), confidence=confidence),
            ratio_sequence(recovered, failures, confidence=confidence),
            ratio_sequence(disrupted, 1 - failures, confidence=confidence),
        )

    # --- Where it stands ------------------------------------------------------------------------------------

    @property
    def look(self) -> AtAnyTime:
        """For the verdict: no look was planned."""
        stream = self.outcomes.differences
        return AtAnyTime(tasks=self.tasks if stream is None else len(stream), ordered=self._ordered)
