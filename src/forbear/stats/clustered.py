"""Several seeds per task: outcomes, interval and tests whose unit is the task (or a cluster of tasks).

Seeds of one task tell the same story twice, so counts of pairs overstate the evidence. Everything here rests on three
numbers per unit: recovered, disrupted and all pairs.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

from forbear.errors import InvalidInput, described
from forbear.stats.exact import MAX_EXACT_PAIRS, OneSided, check_test, exact_unconditional, score_test
from forbear.stats.intervals import Estimate, Interval, check_confidence, tango_limits, tango_statistic, wilson_limits
from forbear.stats.paired import PairedOutcomes, outcome_vector

Floats = NDArray[np.float64]
Outcomes = tuple[tuple[bool, ...], ...]

MIN_CLUSTERS = 10
"""With fewer units above tasks no variance between them is worth a name."""

_FORMAT = "forbear-clustered-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteredOutcomes:
    """Outcomes of several seeds per task, under both arms; `+` puts the tasks of two pilots together.

    Where a task has as many seeds under both arms (and every task has), seeds are paired by position. Otherwise the
    seeds of a task are not paired: its difference is that of its two success rates, and every task weighs the same.

    Raises:
        InvalidInput: Different numbers of tasks, a task without a seed, an entry that is not an outcome, or fewer than
            10 clusters above tasks.
    """

    baseline: Outcomes
    """One tuple per task, one outcome per seed."""
    treated: Outcomes
    """The same tasks in the same order."""
    clusters: tuple[str, ...] | None = None
    """What each task belongs to (a repository, a scene), where that is the unit; else None."""

    def __post_init__(self) -> None:
        for name in ("baseline", "treated"):
            object.__setattr__(self, name, _tasks(getattr(self, name), name=name))
        if len(self.baseline) != len(self.treated):
            raise InvalidInput(
                f"baseline has {len(self.baseline)} tasks, treated has {len(self.treated)}; they are paired by "
                "position. Give the same tasks in the same order in both."
            )
        if self.clusters is not None:
            object.__setattr__(self, "clusters", _labels(self.clusters, tasks=len(self.baseline)))

    @classmethod
    def from_outcomes(
        cls,
        *,
        baseline: Sequence[Sequence[bool]],
        treated: Sequence[Sequence[bool]],
        clusters: Sequence[str] | None = None,
    ) -> Self:
        """Takes one inner sequence per task, with one outcome (True or 1 for success) per seed.

        Args:
            baseline: Tasks × seeds; tasks may differ in their number of seeds, also between the arms.
            treated: The same tasks in the same order.
            clusters: One label per task, at least 10 different ones, where tasks themselves come in groups.

        Raises:
            InvalidInput: As the class says.
        """
        return cls(baseline=baseline, treated=treated, clusters=clusters)  # type: ignore[arg-type]  # converted above

    @property
    def tasks(self) -> int:
        """The number of tasks."""
        return len(self.baseline)

    @property
    def paired_seeds(self) -> bool:
        """Whether every task has as many seeds under both arms, so that seeds form pairs."""
        return all(len(b) == len(t) for b, t in zip(self.baseline, self.treated, strict=True))

    @property
    def one_pair_per_task(self) -> bool:
        """Whether this is a plain table: one seed under both arms everywhere, and no clusters above tasks."""
        return self.clusters is None and all(len(seeds) == 1 for seeds in chain(self.baseline, self.treated))

    @property
    def pairs(self) -> int:
        """Pairs of seeds; where seeds are not paired, the tasks, each a pair of success rates."""
        return sum(map(len, self.baseline)) if self.paired_seeds else self.tasks

    @property
    def table(self) -> PairedOutcomes | None:
        """The 2×2 counts over all pairs of seeds; None where seeds are not paired."""
        if not self.paired_seeds:
            return None
        return PairedOutcomes.from_outcomes(
            baseline=np.fromiter(chain.from_iterable(self.baseline), bool),  # type: ignore[arg-type]
            treated=np.fromiter(chain.from_iterable(self.treated), bool),  # type: ignore[arg-type]
        )

    @property
    def success_gain(self) -> float | None:
        """Δ in [−1, 1], treated minus baseline, over pairs (tasks, where seeds are not paired); None without."""
        if not self.tasks:
            return None
        units = unit_counts(self)
        return float((units.recovered - units.disrupted).sum() / units.pairs.sum())

    def seed_tables(self) -> tuple[PairedOutcomes, ...]:
        """One table per seed index, over the tasks that have it under both arms: one pair per task in each."""
        tables = []
        for seed in range(max(map(min, zip(map(len, self.baseline), map(len, self.treated), strict=True)), default=0)):
            kept = [i for i in range(self.tasks) if seed < min(len(self.baseline[i]), len(self.treated[i]))]
            tables.append(
                PairedOutcomes.from_outcomes(
                    baseline=[self.baseline[i][seed] for i in kept], treated=[self.treated[i][seed] for i in kept]
                )
            )
        return tuple(tables)

    def swapped(self) -> Self:
        """The same tasks with the arms exchanged: every gain changes its sign."""
        return type(self)(baseline=self.treated, treated=self.baseline, clusters=self.clusters)

    def __add__(self, other: "ClusteredOutcomes") -> Self:
        if not isinstance(other, ClusteredOutcomes):
            return NotImplemented
        if (self.clusters is None) != (other.clusters is None):
            raise InvalidInput("one pilot names clusters above tasks and the other does not: give them for both.")
        return type(self)(
            baseline=self.baseline + other.baseline,
            treated=self.treated + other.treated,
            clusters=None if self.clusters is None or other.clusters is None else self.clusters + other.clusters,
        )

    def to_dict(self) -> dict[str, object]:
        """A JSON object that `from_dict` reads back; outcomes are 0 and 1."""
        return {
            "format": _FORMAT,
            "baseline": [[int(x) for x in seeds] for seeds in self.baseline],
            "treated": [[int(x) for x in seeds] for seeds in self.treated],
            "clusters": None if self.clusters is None else list(self.clusters),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, object]) -> Self:
        """Reads what `to_dict` wrote.

        Raises:
            InvalidInput: Another format, or entries that are missing or unusable.
        """
        if not isinstance(data, Mapping) or data.get("format") != _FORMAT:
            raise InvalidInput(f'expected a JSON object with "format": "{_FORMAT}", got {described(data)}.')
        missing = [name for name in ("baseline", "treated", "clusters") if name not in data]
        if missing:
            raise InvalidInput(f"a {_FORMAT} object needs baseline, treated, clusters; missing: {', '.join(missing)}.")
        return cls(baseline=data["baseline"], treated=data["treated"], clusters=data["clusters"])  # type: ignore[arg-type]


def _tasks(values: Sequence[Sequence[bool]], *, name: str) -> Outcomes:
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray):
        raise InvalidInput(
            f"{name} must be a sequence with one sequence of outcomes per task, got {described(values)}."
        )
    tasks = []
    for i, seeds in enumerate(values):
        # The common case needs no conversion: a tuple of booleans, as another ClusteredOutcomes holds them.
        if not (isinstance(seeds, tuple) and seeds and all(type(x) is bool for x in seeds)):
            seeds = tuple(outcome_vector(seeds, name=f"{name}[{i}]").tolist())
        if not seeds:
            raise InvalidInput(
                f"{name}[{i}] has no outcome; a task needs at least one seed under each arm. Leave it out."
            )
        tasks.append(seeds)
    return tuple(tasks)


def _labels(clusters: Sequence[str], *, tasks: int) -> tuple[str, ...]:
    if isinstance(clusters, str | bytes) or not isinstance(clusters, Sequence | np.ndarray):
        raise InvalidInput(f"clusters must be a sequence with one label per task, got {described(clusters)}.")
    labels = tuple(str(label) for label in clusters)
    if len(labels) != tasks:
        raise InvalidInput(f"clusters has {len(labels)} labels for {tasks} tasks; give one label per task.")
    if len(set(labels)) < MIN_CLUSTERS:
        raise InvalidInput(
            f"{len(set(labels))} clusters are too few to learn how much they differ: at least {MIN_CLUSTERS} are "
            "needed. Add tasks from other clusters, or leave the clusters out and speak about these clusters only."
        )
    return labels


# --- Counts by unit -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCounts:
    """Pairs by unit; fractions where the seeds of a task are not paired (all their combinations, weight one in sum)."""

    both_fail: Floats
    recovered: Floats
    disrupted: Floats
    both_succeed: Floats

    @property
    def pairs(self) -> Floats:
        """All pairs of each unit."""
        return self.both_fail + self.recovered + self.disrupted + self.both_succeed

    @property
    def failures(self) -> Floats:
        """Pairs of each unit that fail under the baseline."""
        return self.both_fail + self.recovered

    @property
    def successes(self) -> Floats:
        """Pairs of each unit that succeed under the baseline."""
        return self.disrupted + self.both_succeed


def unit_counts(outcomes: ClusteredOutcomes) -> UnitCounts:
    """The four counts of every task, or of every cluster above tasks where clusters are given."""
    if outcomes.paired_seeds:
        sizes = np.fromiter(map(len, outcomes.baseline), np.int64)
        task = np.repeat(np.arange(outcomes.tasks), sizes)
        before = np.fromiter(chain.from_iterable(outcomes.baseline), bool)
        after = np.fromiter(chain.from_iterable(outcomes.treated), bool)
        cells = np.bincount(4 * task + 2 * before + after, minlength=4 * outcomes.tasks).reshape(-1, 4).astype(float)
    else:
        # A seed of one arm against each seed of the other: the products of the two success rates of the task.
        before = np.array([sum(seeds) / len(seeds) for seeds in outcomes.baseline])
        after = np.array([sum(seeds) / len(seeds) for seeds in outcomes.treated])
        cells = np.stack(
            ((1 - before) * (1 - after), (1 - before) * after, before * (1 - after), before * after), axis=1
        )
    if outcomes.clusters is not None:
        _, unit = np.unique(np.array(outcomes.clusters), return_inverse=True)
        cells = np.stack([np.bincount(unit, weights=column) for column in cells.T], axis=1)
    return UnitCounts(both_fail=cells[:, 0], recovered=cells[:, 1], disrupted=cells[:, 2], both_succeed=cells[:, 3])


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
