"""A pilot that was looked at on the way: its outcomes in the planned order, and what a verdict asks of them.

Every number is valid whatever made the pilot stop. Δ ≤ margin is tested by the sequential p-value of the looks; Δ ≥
worthwhile by looks and watch together, which share `harm_alpha` (`watch`). The interval is what these tests do not
reject: after the look at n_k of N tasks a repeated confidence interval, that of a single look with the quantile
c·factor_k; its upper end is the tighter of it and the watch's. Rates get the same wider quantile. The estimate of the
gain is corrected for stopping early (`stopping.corrected_gain`).
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.special import ndtr, ndtri

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.graded import GradedOutcomes, mean_scores
from forbear.outcomes.missing import (
    Brought,
    MaybeOutcomes,
    MaybeScores,
    MissingOutcomes,
    excess_charged,
    graded_outcomes,
    observed_and_bounds,
    planned_outcomes,
)
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.clustered import clustered_gain, clustered_gain_test
from forbear.stats.exact import OneSided
from forbear.stats.inference import GradedScores, Inference, Rates, SeedBySeed, inference
from forbear.stats.intervals import Estimate, Interval, tango_statistic
from forbear.stats.looks.betting import bets_on, last_bound, log_evidence
from forbear.stats.looks.looks import MOST_EXACT_TASKS, Looks, boundary_constant, fewest_discordant, sequential_pvalue
from forbear.stats.looks.orders import gain_over_orders
from forbear.stats.looks.stopping import corrected_gain, is_futile
from forbear.stats.looks.watch import watch_bets, watch_threshold, watched_pvalue
from forbear.stats.regions import Floats
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import AtLook
from forbear.wording import shown


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SequentialOutcomes:
    """The outcomes of a pilot with looks, so far."""

    looks: Looks
    tasks: int
    """Tasks whose runs are over, those without an outcome included; the first ones of the planned order."""
    now: Brought
    """All their pairs; of scores, all tasks that have one under both arms."""
    at_looks: tuple[Brought | None, ...]
    """The pairs at each look that was taken; None where it is not known, or had no pair."""
    differences: Floats | None = None
    """(tasks,) in the planned order: treated minus baseline, mean over seeds; NaN for a task without pair, and but for
    the last task of a cluster. None where the order is not known."""
    weights: Floats | None = None
    """(tasks,) How much each difference weighs in the gain, the largest 1; None where all weigh the same."""
    arms: int = 1
    """Treated arms that share α."""

    @classmethod
    def at_look(cls, outcomes: Brought, looks: Looks, *, look: int, tasks: int | None = None, arms: int = 1) -> Self:
        """Outcomes that were brought by hand at one of the declared looks; nothing is known of the earlier ones.

        Args:
            outcomes: All pairs so far.
            looks: As declared before the first of them was seen.
            look: Its number, from 1 on.
            tasks: How many were run, those without an outcome included, which must then be exactly the look's; omitted:
                not known, so only more pairs than the look has are refused.
            arms: Treated arms that share α.

        Raises:
            InvalidInput: No such look, or other tasks than it has.
        """
        if not 1 <= look <= len(looks.tasks):
            raise InvalidInput(
                f"there {'is 1 look' if len(looks.tasks) == 1 else f'are {len(looks.tasks)} looks'}, numbered from 1; "
                f"got look {look!r}."
            )
        have, planned = _size(outcomes) if tasks is None else tasks, looks.tasks[look - 1]
        if have > planned or (tasks is not None and have < planned):
            raise InvalidInput(
                f"look {look} is at {planned} tasks, the outcomes have {have}. {_way_on(looks, look, have)}"
            )
        return cls(looks=looks, tasks=planned, now=outcomes, at_looks=(None,) * (look - 1) + (outcomes,), arms=arms)

    @property
    def look(self) -> int | None:
        """The number of the look that this is; None between two looks."""
        return self.looks.tasks.index(self.tasks) + 1 if self.tasks in self.looks.tasks else None

    @property
    def next_look(self) -> int | None:
        """Tasks at the next look; None after the last."""
        return next((n for n in self.looks.tasks if n > self.tasks), None)


def _way_on(looks: Looks, look: int, tasks: int) -> str:
    """What to do with a number of tasks that is not the look's, and why nothing else will do."""
    planned, later = looks.tasks[look - 1], next((n for n in looks.tasks if n >= tasks), None)
    if tasks in looks.tasks:
        text = f"That is look {looks.tasks.index(tasks) + 1}."
    elif tasks < planned:
        text = (
            f"It has not been reached: add {planned - tasks} more (a task that an outage left without an outcome "
            "holds its place by a row in both arms)."
        )
    elif later is None:
        text = "The data have grown past the last look: no look is left, pilot afresh."
    else:
        text = f"The data have grown: to decide again, take the next declared look, with exactly its {later} tasks."
    return f"{text} Why: testing at 50, then 100, then 200 tasks, each at .05, deploys a useless arm 9.8 % of the time."


def sequential_outcomes(
    *,
    baseline: MaybeOutcomes,
    treated: MaybeOutcomes,
    looks: Looks,
    clusters: Sequence[str] | None = None,
    arms: int = 1,
    names: tuple[str, str] = ("baseline", "treated"),
    graded: bool = False,
) -> tuple[SequentialOutcomes | None, MissingOutcomes[SequentialOutcomes] | None]:
    """What is known after the first tasks of the planned order.

    Args:
        baseline: Tasks × seeds in the planned order, None where the run has no outcome.
        treated: The same tasks and seeds.
        looks: As declared.
        clusters: One label per planned task, those to come included, where tasks come in groups; each in one piece.
        arms: Treated arms that share α.
        names: Of the arms, for counts.
        graded: Whether outcomes are scores in [0, 1].

    Returns:
        The outcomes, None where no pair is known; and how far the missing ones could move them, None where none is.

    Raises:
        InvalidInput: As `planned_outcomes`, or more tasks than the last look has.
    """
    if clusters is not None:
        require_one_piece(clusters)
    size = len(baseline)
    if size > looks.planned:
        raise InvalidInput(
            f"the last look is at {looks.planned} tasks, got {size}: the verdict is on the planned ones. Leave out "
            "what came after them."
        )

    def upto(tasks: int, before: MaybeOutcomes, after: MaybeOutcomes) -> Brought | None:
        labels = None if clusters is None else clusters[:tasks]
        if graded:
            return graded_outcomes(baseline=before[:tasks], treated=after[:tasks], clusters=labels, arms=names)[0]
        return planned_outcomes(baseline=before[:tasks], treated=after[:tasks], clusters=labels, arms=names).observed

    def read(before: MaybeOutcomes, after: MaybeOutcomes) -> SequentialOutcomes | None:
        now = upto(size, before, after)
        if now is None:
            return None
        runs: tuple[MaybeScores, MaybeScores] = before, after
        if graded:
            runs = mean_scores(before), mean_scores(after)
        differences, weights = unit_differences(*runs, clusters)
        return SequentialOutcomes(
            looks=looks,
            tasks=size,
            now=now,
            at_looks=tuple(upto(n, before, after) if n < size else now for n in looks.tasks if n <= size),
            differences=differences,
            weights=weights,
            arms=arms,
        )

    observed, missing = observed_and_bounds(read, baseline=baseline, treated=treated, arms=names)
    if missing is None or missing.charged is None:
        return observed, missing

    def charged(tasks: int) -> Brought | None:
        before, after, _ = excess_charged(baseline=baseline[:tasks], treated=treated[:tasks])
        return upto(tasks, before, after)

    # Each look charges what was in excess when it was taken: what was not rejected then is not later.
    at_looks = tuple(charged(n) for n in looks.tasks if n <= size)
    return observed, replace(missing, charged=replace(missing.charged, at_looks=at_looks))


def require_one_piece(clusters: Sequence[str]) -> None:
    """Refuses a cluster that goes on after another one began: only whole ones can be used on the way.

    Raises:
        InvalidInput: One does.
    """
    begun: set[str] = set()
    for before, cluster in zip((None, *clusters), clusters, strict=False):
        if cluster != before and cluster in begun:
            raise InvalidInput(
                f"the cluster '{shown(cluster)}' goes on after another one began; on the way a verdict can use whole "
                "clusters only. Put the tasks of a cluster next to each other, in the order in which they were planned."
            )
        begun.add(cluster)


def unit_differences(
    baseline: MaybeScores, treated: MaybeScores, clusters: Sequence[str] | None
) -> tuple[Floats, Floats]:
    """What the watch bets on, task by task: a unit's mean difference, and its pairs over those of the largest unit.

    Where tasks come in clusters those are the units, and each one's mean stands at its last planned task: a cluster
    that is not over says nothing yet. Where the arms have different numbers of seeds every task weighs the same, as in
    the estimate.

    Args:
        baseline: Tasks × seeds, None where the run has no outcome; of scores, mean scores: tasks × one.
        treated: The same tasks.
        clusters: One label per planned task, those to come included; None where tasks are the unit.
    """
    units: Sequence[object] = range(len(baseline)) if clusters is None else clusters
    paired = all(len(before) == len(after) for before, after in zip(baseline, treated, strict=True))
    seeds = max((len(runs) for runs in baseline), default=1) if paired else 1
    largest = seeds * max(Counter(units).values(), default=1)
    last = {unit: position for position, unit in enumerate(units)}
    sums: dict[object, float] = {}
    sizes: dict[object, int] = {}
    for unit, before, after in zip(units, baseline, treated, strict=False):
        total, size = _task_difference(before, after, paired)
        sums[unit], sizes[unit] = sums.get(unit, 0.0) + total, sizes.get(unit, 0) + size
    differences, weights = np.full(len(baseline), np.nan), np.ones(len(baseline))
    for unit, size in sizes.items():
        if size and last[unit] < len(baseline):
            differences[last[unit]], weights[last[unit]] = sums[unit] / size, size / largest
    return differences, weights


def _task_difference(before: Sequence[float | None], after: Sequence[float | None], paired: bool) -> tuple[float, int]:
    """The sum of a task's differences and how many they are; of unpaired seeds, one difference of success rates."""
    if paired:
        known = [float(t) - float(b) for b, t in zip(before, after, strict=True) if b is not None and t is not None]
        return float(sum(known)), len(known)
    first, second = [b for b in before if b is not None], [t for t in after if t is not None]
    return (sum(second) / len(second) - sum(first) / len(first), 1) if first and second else (0.0, 0)


def _size(outcomes: Brought) -> int:
    return outcomes.pairs if isinstance(outcomes, PairedOutcomes) else outcomes.tasks


class Sequential:
    """The inference of a pilot with looks."""

    def __init__(self, outcomes: SequentialOutcomes, rule: DecisionRule) -> None:
        now = outcomes.now
        if isinstance(now, GradedOutcomes) or (isinstance(now, ClusteredOutcomes) and now.clusters is not None):
            require_joinable(outcomes.looks, rule)
        self.outcomes = outcomes
        self.rule = rule
        self._base = self._of(outcomes.now)
        self.tasks, self.pairs, self.table = self._base.tasks, self._base.pairs, self._base.table
        self.discordance, self.tasks_per_pair = self._base.discordance, self._base.tasks_per_pair
        self.units, self.informative = self._base.units, self._base.informative
        self._watches = outcomes.looks.watch and outcomes.differences is not None
        # More seeds, clusters: the watch bets on means, and its exact probabilities are not known.
        self._several = not isinstance(outcomes.now, PairedOutcomes)
        self._one_test = self._watches and not self._several and outcomes.looks.planned <= MOST_EXACT_TASKS

    def _of(self, outcomes: Brought) -> Inference:
        by_seed = len(self.outcomes.looks.tasks) > 1 and self.rule.guarantee == "finite-sample"
        if by_seed and isinstance(outcomes, ClusteredOutcomes) and not outcomes.one_pair_per_task:
            return SeedBySeed(outcomes)
        return inference(outcomes, guarantee=self.rule.guarantee)

    def method(self, margin: float) -> str:
        """The looks by name."""
        looks = self.outcomes.looks
        shown = ", ".join(map(str, looks.tasks[:6])) + (", ..." if len(looks.tasks) > 6 else "")
        text = f"looks at {shown} tasks ({looks.shape_name})" if len(looks.tasks) > 1 else f"one look at {shown} tasks"
        if len(looks.tasks) == 1 or not isinstance(self.outcomes.now, PairedOutcomes):
            text += f", {self._base.method(margin)}"
            if len(looks.tasks) > 1 and not isinstance(self._base, SeedBySeed):
                text += ", joined over looks approximately"
        return f"{text}, watched after every task (betting)" if self._watches else text

    # --- Tests ----------------------------------------------------------------------------------------------

    def pvalue(self, margin: float, alternative: OneSided) -> float:
        """Sequential: valid after every look, and when the watch stops an arm."""
        if alternative == "greater" or not self._watches:
            return self._by_looks(margin, alternative)
        looks, peak = self.outcomes.looks, self._peak(margin)
        if not self._one_test:
            return min(1.0, 2 * min(self._by_looks(margin, alternative), math.exp(-peak)))
        scores = [
            score / factor
            for outcomes, factor in zip(self.outcomes.at_looks, looks.factors, strict=False)
            if outcomes is not None and (score := _statistic(outcomes, margin, alternative)) is not None
        ]
        score = max(scores, default=None)
        return watched_pvalue(looks, score=score, peak=peak, margin=margin, alpha=self.rule.harm_alpha)

    @property
    def _has_looked(self) -> bool:
        """Whether some look that was taken had a pair, and is known."""
        return any(one is not None for one in self.outcomes.at_looks)

    def _by_looks(self, margin: float, alternative: OneSided) -> float:
        looks = self.outcomes.looks
        if not self._has_looked:
            return 1.0
        if len(looks.tasks) == 1:
            return self._base.pvalue(margin, alternative)
        sign = 1.0 if alternative == "greater" else -1.0
        taken = [() if one is None else _tests_at(one, self.rule) for one in self.outcomes.at_looks]
        smallest, tests = 1.0, max(map(len, taken))
        for index in range(tests):
            # A look before which no task had so many seeds with an outcome has no such test.
            statistics = [
                _statistic(found[index], margin, alternative) if index < len(found) else None for found in taken
            ]
            smallest = min(smallest, sequential_pvalue(looks, statistics, margin=sign * margin))
        return min(1.0, tests * smallest)

    def _peak(self, margin: float) -> float:
        """The largest log E against Δ ≥ margin so far."""
        differences = self.outcomes.differences
        assert differences is not None, "asked only where the order is known"
        known = ~np.isnan(differences)
        weights = 1.0 if self.outcomes.weights is None else self.outcomes.weights[known]
        bets = watch_bets(several_seeds=self._several)
        return log_evidence(differences[known], margin=margin, alternative="less", weights=weights, bets=bets)[1]

    def rules_out(self, margin: float, alternative: OneSided, alpha: float) -> bool:
        """By the interval beside it."""
        bounds = self.bounds(alpha)
        return bounds.low > margin if alternative == "greater" else bounds.high < margin

    # --- Estimates ------------------------------------------------------------------------------------------

    def gain(self, confidence: float) -> Estimate:
        """The corrected estimate in the interval of what is not rejected."""
        bounds = self.bounds((1 - confidence) / 2)
        value = self._corrected
        if value is not None:
            value = min(max(value, bounds.low), bounds.high)
        return Estimate(value=value, low=bounds.low, high=bounds.high, confidence=confidence)

    @cached_property
    def _corrected(self) -> float | None:
        data = self.outcomes
        now, looks = data.now, data.looks
        if isinstance(now, PairedOutcomes) and looks.planned <= MOST_EXACT_TASKS:
            found = corrected_gain(
                looks if self._watches else replace(looks, watch=False),
                self.rule,
                recovered=now.recovered,
                disrupted=now.disrupted,
                tasks=min(now.pairs, looks.planned),
                arms=data.arms,
            )
            return found if found is not None else now.success_gain
        if data.differences is None or len(self.outcomes.at_looks) < 2:
            return now.success_gain
        found = gain_over_orders(data.differences, data.weights, tasks=data.tasks, looks=looks, rule=self.rule)
        return now.success_gain if found is None else found

    def bounds(self, alpha: float) -> Interval:
        """What is not rejected at alpha on either side."""
        looks, rule = self.outcomes.looks, self.rule
        upper = alpha / 2 if self._watches else alpha
        low, high = -1.0, 1.0
        for outcomes, factor in zip(self.outcomes.at_looks, looks.factors, strict=False):
            if outcomes is None:
                continue
            base = self._of(outcomes)
            lowest = base.gain(_confidence(looks, factor, alpha, rule.margin)).low
            wider = _confidence(looks, factor, upper, -rule.worthwhile, watched=self._one_test)
            highest = base.gain(wider).high
            # Where too few pairs differ for a margin above 0, the test does not reject it: neither does the interval.
            if rule.margin > 0 and len(looks.tasks) > 1 and not enough_differ(outcomes, rule.margin):
                lowest = min(lowest, rule.margin)
            if rule.worthwhile < 0 and len(looks.tasks) > 1 and not enough_differ(outcomes, -rule.worthwhile):
                highest = max(highest, rule.worthwhile)
            low, high = max(low, lowest), min(high, highest)
        differences, weights, several = self.outcomes.differences, self.outcomes.weights, self._several
        if self._watches and differences is not None:
            needed = watch_threshold(looks, alpha=alpha, margin=rule.worthwhile, several_seeds=several)
            bets = watch_bets(several_seeds=several)
            high = min(high, last_bound(differences, alternative="less", needed=needed, bets=bets, weights=weights))
            if not self._has_looked:
                needed, bets = -math.log(alpha), bets_on(several_seeds=several)
                low = last_bound(differences, alternative="greater", needed=needed, bets=bets, weights=weights)
        return Interval(min(low, high), high)

    def rates(self, confidence: float) -> Rates:
        """Of all pairs, at the wider quantile of this number of tasks."""
        looks = self.outcomes.looks
        factor = 1.0 if looks.shape == "pocock" else math.sqrt(looks.planned / self.outcomes.tasks)
        wide = self._base.rates(_confidence(looks, factor, (1 - confidence) / 2, self.rule.margin))
        return Rates(
            failure=wide.failure and _labelled(wide.failure, confidence),
            recovery=wide.recovery and _labelled(wide.recovery, confidence),
            disruption=wide.disruption and _labelled(wide.disruption, confidence),
            break_even=wide.break_even and _labelled(wide.break_even, confidence),
        )

    # --- Where it stands ------------------------------------------------------------------------------------

    @property
    def futile(self) -> bool:
        """Whether neither verdict is to be expected of a further look: INTERVENE under the planned effect, FORBEAR."""
        data = self.outcomes
        if data.look is None or data.next_look is None or not data.looks.futility:
            return False
        return is_futile(data.looks, self.rule, data.now, tasks=data.tasks)

    @property
    def look(self) -> AtLook:
        """Where the pilot stands, for the verdict."""
        data = self.outcomes
        return AtLook(
            number=data.look,
            of=len(data.looks.tasks),
            tasks=data.tasks,
            looks=data.looks.tasks,
            shape=data.looks.shape,
            watched=self._watches,
            next=data.next_look,
            boundary=self._boundary,
            statistic=self._now,
        )

    @property
    def _boundary(self) -> float | None:
        """z from which on this look says INTERVENE, for one arm; None between looks, and where there is only one."""
        looks, number = self.outcomes.looks, self.outcomes.look
        if number is None or len(looks.tasks) == 1:
            return None
        return boundary_constant(looks, alpha=self.rule.alpha, margin=self.rule.margin) * looks.factors[number - 1]

    @property
    def _now(self) -> float | None:
        """z of all pairs; None where the boundary is, with too few differing pairs, and where seeds are taken apart."""
        if self._boundary is None or isinstance(self._base, SeedBySeed):
            return None
        return _statistic(self.outcomes.now, self.rule.margin, "greater")


def require_joinable(looks: Looks, rule: DecisionRule) -> None:
    """Refuses what nobody knows to guarantee where tasks come in clusters, or outcomes are scores.

    Raises:
        InvalidInput: Several looks under the finite-sample guarantee, which tests seed by seed as if tasks were alone.
    """
    if len(looks.tasks) > 1 and rule.guarantee == "finite-sample":
        raise InvalidInput(
            "with several looks the finite-sample guarantee holds for tasks, not for clusters above them, and not for "
            "scores: declare one look, take the calibrated guarantee, or leave the clusters out and speak about these "
            "only."
        )


def _tests_at(outcomes: Brought, rule: DecisionRule) -> Sequence[Brought]:
    """What is tested at a look: all pairs, or each seed by itself where the guarantee asks for it."""
    if isinstance(outcomes, ClusteredOutcomes) and rule.guarantee == "finite-sample":
        return outcomes.seed_tables()
    return (outcomes,)


def _statistic(outcomes: Brought, margin: float, alternative: OneSided) -> float | None:
    """z in the direction of the alternative; None where too few pairs (several seeds: units) differ to say anything."""
    sign = 1.0 if alternative == "greater" else -1.0
    if isinstance(outcomes, ClusteredOutcomes) and outcomes.one_pair_per_task:
        assert outcomes.table is not None, "one pair per task has a table"
        outcomes = outcomes.table
    if isinstance(outcomes, PairedOutcomes):
        z = tango_statistic(float(outcomes.recovered), float(outcomes.disrupted), n=outcomes.pairs, gain=margin)
        return sign * z if enough_differ(outcomes, sign * margin) else None
    if not enough_differ(outcomes, sign * margin):
        return None
    if isinstance(outcomes, GradedOutcomes):
        pvalue = GradedScores(outcomes).pvalue(margin, alternative)
    else:
        pvalue = clustered_gain_test(outcomes, margin=margin, alternative=alternative).pvalue
    # Finite where the p-value rounds to 0 or 1.
    return -float(ndtri(min(max(pvalue, 1e-300), 1 - 1e-16)))


def enough_differ(outcomes: Brought, margin: float) -> bool:
    """Whether so many pairs (several seeds: units) differ that a look may reject a gain of no more than the margin."""
    if isinstance(outcomes, PairedOutcomes):
        return outcomes.discordant >= fewest_discordant(margin, tasks=outcomes.pairs)
    if isinstance(outcomes, GradedOutcomes):
        units, _ = GradedScores(outcomes).units
        differing = int(units.counts[units.differences != 0].sum())
        return differing >= fewest_discordant(margin, tasks=int(units.counts.sum()))
    total = clustered_gain(outcomes)
    return total.discordant_units >= fewest_discordant(margin, tasks=int(total.units))


def _confidence(looks: Looks, factor: float, alpha: float, margin: float, *, watched: bool = False) -> float:
    """The confidence of a single look whose quantile is that of this one."""
    if len(looks.tasks) == 1 and factor == 1 and not watched:
        return 1 - 2 * alpha
    quantile = boundary_constant(looks, alpha=alpha, margin=margin) * factor
    return min(1 - 2 * float(ndtr(-quantile)), 1 - 1e-12)


def _labelled(estimate: Estimate, confidence: float) -> Estimate:
    return Estimate(value=estimate.value, low=estimate.low, high=estimate.high, confidence=confidence)
