"""Runs without an outcome: what the verdict rests on without them, and how far they could move it.

A missing outcome is no failure. Its pair is left out; with the other run known to be Y its difference lies in
[−Y, 1 − Y] or [Y − 1, Y], with both missing in [−1, 1]. Filling every missing baseline with a success and every missing
treated run with a failure reaches the lower end of all of them at once, the opposite filling the upper one.

Between leaving out and the worst lies the **excess**: runs lost by chance are lost as often in either arm, so what one
arm lost more than the other, less half a standard deviation, is charged to it where it is a run or more.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Generic, TypeVar

import numpy as np

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.graded import GradedOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.wording import described

Outcomes = PairedOutcomes | ClusteredOutcomes
"""Both arms' outcomes without holes: one pair per task, or several seeds."""
Brought = Outcomes | GradedOutcomes
"""The same, or scores."""
MaybeOutcomes = Sequence[Sequence[bool | None]]
"""Of one arm: tasks × seeds, None where the run has no outcome."""
MaybeScores = Sequence[Sequence[float | None]]
"""The same with scores, of which successes and failures are a kind."""
Known = TypeVar("Known", covariant=True)
"""What a reading makes of outcomes without holes."""
Read = TypeVar("Read")
_Spot = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostRuns:
    """How many runs have no outcome, by arm, the baseline first."""

    by_arm: Mapping[str, int]
    """All of them."""
    alone: Mapping[str, int]
    """Those whose partner has an outcome; all where seeds are not paired."""
    tasks: Mapping[str, int]
    """Tasks in which this arm lost more runs than the other."""
    charged: int
    """How many of the runs lost alone are the excess that is charged to the arm which lost more."""

    @property
    def more(self) -> str | None:
        """The arm that lost more runs alone; None where both lost as many."""
        (first, a), (second, b) = self.alone.items()
        return None if a == b else first if a > b else second


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingOutcomes(Generic[Known]):
    """The planned pairs with every missing outcome as unfavourable, and as favourable, as it can be."""

    worst: Known
    best: Known
    charged: Known | None
    """With the excess of one arm as unfavourable as it can be, the rest left out (`excess_charged`); None where there
    is no pair."""
    lost: LostRuns

    @property
    def by_arm(self) -> Mapping[str, int]:
        """Runs without an outcome, by arm."""
        return self.lost.by_arm

    @property
    def total(self) -> int:
        """All runs without an outcome."""
        return sum(self.by_arm.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedOutcomes:
    """Outcomes with holes, sorted out."""

    observed: Outcomes | None
    """The pairs whose outcomes are both known; None where there is none. A plain table where each task has one."""
    missing: MissingOutcomes[Outcomes] | None
    """None where nothing is missing."""
    tasks_lost: Mapping[str, int] = field(default_factory=dict)
    """By arm: tasks that this arm's missing runs keep out of `observed` altogether."""


def planned_outcomes(
    *,
    baseline: MaybeOutcomes,
    treated: MaybeOutcomes,
    clusters: Sequence[str] | None = None,
    arms: tuple[str, str] = ("baseline", "treated"),
) -> PlannedOutcomes:
    """Splits planned runs into what was observed and the bounds of what was not.

    Seeds are paired by position where a task has as many planned runs under both arms (and every task has); a pair with
    one outcome missing is left out. Otherwise missing runs are left out of their task's success rate.

    Args:
        baseline: Tasks × seeds, None where the run has no outcome.
        treated: The same tasks in the same order.
        clusters: One label per task, where tasks come in groups.
        arms: Names for the counts.

    Raises:
        InvalidInput: As `ClusteredOutcomes`.
    """
    if len(baseline) != len(treated):
        raise InvalidInput(
            f"baseline has {len(baseline)} tasks, treated has {len(treated)}; give the same tasks in both."
        )
    for name, arm in (("baseline", baseline), ("treated", treated)):
        for i, seeds in enumerate(arm):
            if isinstance(seeds, str) or not isinstance(seeds, Sequence | np.ndarray):
                raise InvalidInput(f"{name}[{i}] must be a sequence of outcomes, one per seed, got {described(seeds)}.")

    def read(before: MaybeOutcomes, after: MaybeOutcomes) -> Outcomes | None:
        return _known(before, after, clusters)[0]

    observed: Outcomes | None
    missing: MissingOutcomes[Outcomes] | None
    lost = dict.fromkeys(arms, 0)
    if all(map(_whole, chain(baseline, treated))):  # nothing to sort out, be it a million tasks
        whole = _outcomes(baseline, treated, clusters) if baseline else None  # type: ignore[arg-type]  # no None is there
        return PlannedOutcomes(observed=whole, missing=None, tasks_lost=lost)
    observed, missing = observed_and_bounds(read, baseline=baseline, treated=treated, arms=arms)
    for i in _known(baseline, treated, clusters)[1]:
        for arm_name, seeds in zip(arms, (baseline[i], treated[i]), strict=True):
            lost[arm_name] += any(outcome is None for outcome in seeds)
    return PlannedOutcomes(observed=observed, missing=missing, tasks_lost=lost)


def planned_pairs(
    counts: Sequence[Sequence[int]], *, arms: tuple[str, str] = ("baseline", "treated")
) -> tuple[PairedOutcomes | None, MissingOutcomes[Outcomes] | None]:
    """What `planned_outcomes` makes of one run per task and arm, from how many tasks are alike: for millions of tasks.

    Args:
        counts: [baseline][treated], each 0 failed, 1 succeeded, 2 without an outcome: 3 × 3 numbers of tasks.
        arms: Names for the counts.

    Returns:
        The pairs whose outcomes are both known, None where there is none, and what is missing, None where nothing is.

    Checked: equal to `planned_outcomes` for any outcomes (tests/outcomes/test_missing.py).
    """
    n = [[int(number) for number in row] for row in counts]

    def pairs(*more: tuple[int, int, int]) -> PairedOutcomes | None:
        table = [n[0][:2], n[1][:2]]
        for baseline, treated, number in more:
            table[baseline][treated] += number
        if not any(map(any, table)):
            return None
        return PairedOutcomes(
            both_fail=table[0][0], recovered=table[0][1], disrupted=table[1][0], both_succeed=table[1][1]
        )

    lost = ((n[2][0], n[2][1]), (n[1][2], n[0][2]))
    """By arm: alone without an outcome, where its partner makes it a disruption and where it does not."""
    if not (n[2][2] or any(map(any, lost))):
        return pairs(), None
    alone = [sum(each) for each in lost]
    excess = abs(alone[1] - alone[0]) - math.sqrt(sum(alone)) / 2
    arm, decisive, harmless = int(alone[1] > alone[0]), 0, 0
    if excess >= 1:  # as `excess_charged`
        share = excess / alone[arm]
        decisive = math.ceil(share * lost[arm][0] - 1e-9)
        harmless = math.floor(share * lost[arm][1])
    observed = pairs()
    held = pairs((1, 0, decisive), (0, 0, harmless) if arm else (1, 1, harmless))
    worst = pairs((1, 0, n[2][0] + n[1][2] + n[2][2]), (1, 1, n[2][1]), (0, 0, n[0][2]))
    best = pairs((0, 1, n[2][1] + n[0][2] + n[2][2]), (0, 0, n[2][0]), (1, 1, n[1][2]))
    assert worst is not None, "everything is filled in"
    assert best is not None, "everything is filled in"
    return observed, MissingOutcomes(
        worst=worst,
        best=best,
        charged=observed if observed is None or not decisive + harmless else held,
        lost=LostRuns(
            by_arm={arms[0]: alone[0] + n[2][2], arms[1]: alone[1] + n[2][2]},
            alone=dict(zip(arms, alone, strict=True)),
            tasks=dict(zip(arms, alone, strict=True)),
            charged=decisive + harmless,
        ),
    )


def graded_outcomes(
    *,
    baseline: MaybeOutcomes,
    treated: MaybeOutcomes,
    clusters: Sequence[str] | None = None,
    arms: tuple[str, str] = ("baseline", "treated"),
) -> tuple[GradedOutcomes | None, MissingOutcomes[GradedOutcomes] | None]:
    """Scores with holes: the tasks that have a score under both arms, and the bounds with every hole a 0 or a 1.

    Args:
        baseline: Tasks × runs, scores in [0, 1], None where the run has none.
        treated: The same tasks in the same order.
        clusters: One label per task, where tasks come in groups.
        arms: Names for the counts.

    Returns:
        None for no task with both, and for no hole.

    Raises:
        InvalidInput: As `GradedOutcomes`.
    """

    def read(before: MaybeOutcomes, after: MaybeOutcomes) -> GradedOutcomes | None:
        known = [[[x for x in runs if x is not None] for runs in arm] for arm in (before, after)]
        kept = [i for i, (first, second) in enumerate(zip(*known, strict=True)) if first and second]
        if not kept:
            return None
        return GradedOutcomes.from_scores(
            baseline=[known[0][i] for i in kept],
            treated=[known[1][i] for i in kept],
            clusters=None if clusters is None else [clusters[i] for i in kept],
        )

    return observed_and_bounds(read, baseline=baseline, treated=treated, arms=arms)


def excess_charged(*, baseline: MaybeOutcomes, treated: MaybeOutcomes) -> tuple[MaybeOutcomes, MaybeOutcomes, int]:
    """Fills as unfavourably as can be the holes that one arm has more than the other: what chance does not explain.

    With m_t pairs that lack only the treated run and m_b only the baseline run, |m_t − m_b| − √(m_t + m_b)/2 of those
    of the arm that lost more, if that is a run or more, become treated failures or baseline successes. They are taken
    in equal shares from the holes whose partner makes them a disruption (rounded up) and from the others (rounded
    down), evenly over the tasks in their order. Seeds that are not paired have no partners: every hole counts, and
    shares round up.

    Args:
        baseline: Tasks × seeds, None where the run has no outcome.
        treated: The same tasks in the same order.

    Returns:
        Both arms' outcomes with those holes filled, the others left None, and how many were filled.

    Source: measured against leaving out, charging every hole of one arm, and the worst: docs/methods.md. Checked: its
    size and power by simulation (measurements/missing.py, tests/statistical/test_missing.py).
    """
    decisive, harmless = _alone(baseline, treated)
    lost = [len(first) + len(second) for first, second in zip(decisive, harmless, strict=True)]
    excess = abs(lost[1] - lost[0]) - math.sqrt(sum(lost)) / 2
    if excess < 1:  # less than a run is none: rounded up, it would cost power wherever chance lost a few
        return baseline, treated, 0
    arm = int(lost[1] > lost[0])
    share = excess / lost[arm]
    spots = _evenly(decisive[arm], math.ceil(share * len(decisive[arm]) - 1e-9))
    spots += _evenly(harmless[arm], math.floor(share * len(harmless[arm])))
    filled = [list(seeds) for seeds in (baseline, treated)[arm]]
    for task, seed in spots:
        filled[task] = [not arm if at == seed else outcome for at, outcome in enumerate(filled[task])]
    return (baseline, filled, len(spots)) if arm else (filled, treated, len(spots))


def _alone(baseline: MaybeOutcomes, treated: MaybeOutcomes) -> tuple[list[list[_Spot]], list[list[_Spot]]]:
    """By arm, (task, seed) of the runs lost without their partner: those that could be a disruption, and the others.

    Graded scores between 0 and 1 can all be worse than their partner.
    """
    decisive: list[list[_Spot]] = [[], []]
    harmless: list[list[_Spot]] = [[], []]
    paired = _are_paired(baseline, treated)
    scores = any(x not in (None, 0, 1) for arm in (baseline, treated) for runs in arm for x in runs)
    for task in _alike_together(baseline, treated):
        before, after = baseline[task], treated[task]
        if not paired:
            for arm, seeds in enumerate((before, after)):
                decisive[arm] += [(task, seed) for seed, outcome in enumerate(seeds) if outcome is None]
            continue
        for seed, (b, t) in enumerate(zip(before, after, strict=True)):
            if (b is None) != (t is None):
                arm = int(t is None)
                (decisive if scores or (not t if b is None else b) else harmless)[arm].append((task, seed))
    return decisive, harmless


def _alike_together(baseline: MaybeOutcomes, treated: MaybeOutcomes) -> list[int]:
    """The tasks, those with the same outcomes together: then what is filled does not depend on the order of tasks."""

    def outcomes(task: int) -> list[list[float]]:
        return [[2 if outcome is None else float(outcome) for outcome in seeds[task]] for seeds in (baseline, treated)]

    return sorted(range(len(baseline)), key=outcomes)


def _evenly(spots: list[_Spot], count: int) -> list[_Spot]:
    return [spots[(2 * k + 1) * len(spots) // (2 * count)] for k in range(count)]


def _are_paired(baseline: MaybeOutcomes, treated: MaybeOutcomes) -> bool:
    return all(len(b) == len(t) for b, t in zip(baseline, treated, strict=True))


def observed_and_bounds(
    read: Callable[[MaybeOutcomes, MaybeOutcomes], Read | None],
    *,
    baseline: MaybeOutcomes,
    treated: MaybeOutcomes,
    arms: tuple[str, str],
) -> tuple[Read | None, MissingOutcomes[Read] | None]:
    """What a reading makes of the outcomes as they are, and with the holes filled; None where there is no pair or hole.

    Args:
        read: From both arms' outcomes; None where there is no pair.
        baseline: Tasks × seeds, None where the run has no outcome.
        treated: The same tasks in the same order.
        arms: Names for the counts.
    """
    holes = [[sum(outcome is None for outcome in seeds) for seeds in arm] for arm in (baseline, treated)]
    by_arm = {name: sum(counts) for name, counts in zip(arms, holes, strict=True)}
    observed = read(baseline, treated)
    if not any(by_arm.values()):
        return observed, None
    worst = read(_filled(baseline, True), _filled(treated, False))
    best = read(_filled(baseline, False), _filled(treated, True))
    assert worst is not None, "everything is filled in"
    assert best is not None, "everything is filled in"
    *rows, charged = excess_charged(baseline=baseline, treated=treated)
    decisive, harmless = _alone(baseline, treated)
    gaps = [after - before for before, after in zip(*holes, strict=True)]
    lost = LostRuns(
        by_arm=by_arm,
        alone={name: len(decisive[i]) + len(harmless[i]) for i, name in enumerate(arms)},
        tasks={name: sum(sign * gap > 0 for gap in gaps) for sign, name in zip((-1, 1), arms, strict=True)},
        charged=charged,
    )
    held = observed if observed is None or not charged else read(*rows)
    return observed, MissingOutcomes(worst=worst, best=best, charged=held, lost=lost)


def _known(
    baseline: MaybeOutcomes, treated: MaybeOutcomes, clusters: Sequence[str] | None
) -> tuple[Outcomes | None, list[int]]:
    """The pairs whose outcomes are both known, None where there is none; and the tasks that have none."""
    paired = _are_paired(baseline, treated)
    kept_before, kept_after, kept, lost = [], [], [], []
    for i, (before, after) in enumerate(zip(baseline, treated, strict=True)):
        if paired:
            known = [(b, t) for b, t in zip(before, after, strict=True) if b is not None and t is not None]
            first, second = [b for b, _ in known], [t for _, t in known]
        else:
            first, second = [b for b in before if b is not None], [t for t in after if t is not None]
        if first and second:
            kept_before.append(first)
            kept_after.append(second)
            kept.append(i)
        else:
            lost.append(i)
    if not kept:
        return None, lost
    return _outcomes(kept_before, kept_after, None if clusters is None else [clusters[i] for i in kept]), lost


def _whole(seeds: Sequence[bool | None]) -> bool:
    """Whether a list holds runs, and all of them have an outcome."""
    return isinstance(seeds, list) and bool(seeds) and None not in seeds


def _filled(arm: MaybeOutcomes, value: bool) -> MaybeOutcomes:
    return [[value if outcome is None else outcome for outcome in seeds] for seeds in arm]


def _outcomes(before: Sequence[list[bool]], after: Sequence[list[bool]], clusters: Sequence[str] | None) -> Outcomes:
    if clusters is None and all(len(seeds) == 1 for arm in (before, after) for seeds in arm):
        return PairedOutcomes.from_outcomes(baseline=[b for (b,) in before], treated=[t for (t,) in after])
    return ClusteredOutcomes.from_outcomes(baseline=before, treated=after, clusters=clusters)
