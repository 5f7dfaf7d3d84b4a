"""Runs without an outcome: what the verdict rests on without them, and how far they could move it.

A missing outcome is no failure. Its pair is left out; with the other run known to be Y its difference lies in
[−Y, 1 − Y] or [Y − 1, Y], with both missing in [−1, 1]. Filling every missing baseline with a success and every missing
treated run with a failure reaches the lower end of all of them at once, the opposite filling the upper one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.graded import GradedOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.wording import described

Outcomes = PairedOutcomes | ClusteredOutcomes
"""Both arms' outcomes without holes: one pair per task, or several seeds."""
MaybeOutcomes = Sequence[Sequence[bool | None]]
"""Of one arm: tasks × seeds, None where the run has no outcome."""
MaybeScores = Sequence[Sequence[float | None]]
"""The same of graded scores."""
Known = TypeVar("Known", covariant=True)
"""What a reading makes of outcomes without holes."""
Read = TypeVar("Read")
Value = TypeVar("Value", bool, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingOutcomes(Generic[Known]):
    """The planned pairs with every missing outcome as unfavourable, and as favourable, as it can be."""

    worst: Known
    best: Known
    by_arm: Mapping[str, int]
    """Runs without an outcome, by arm."""

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
    paired = all(len(b) == len(t) for b, t in zip(baseline, treated, strict=True))
    kept_before, kept_after, kept_tasks, lost = [], [], [], dict.fromkeys(arms, 0)
    for i, (before, after) in enumerate(zip(baseline, treated, strict=True)):
        if paired:
            known = [(b, t) for b, t in zip(before, after, strict=True) if b is not None and t is not None]
            first, second = [b for b, _ in known], [t for _, t in known]
        else:
            first, second = [b for b in before if b is not None], [t for t in after if t is not None]
        if first and second:
            kept_before.append(first)
            kept_after.append(second)
            kept_tasks.append(i)
            continue
        for arm_name, seeds in zip(arms, (before, after), strict=True):
            lost[arm_name] += any(outcome is None for outcome in seeds)
    observed = None
    if kept_tasks:
        labels = None if clusters is None else [clusters[i] for i in kept_tasks]
        observed = _outcomes(kept_before, kept_after, labels)
    missing = _bounds(lambda before, after: _outcomes(before, after, clusters), baseline, treated, arms)
    return PlannedOutcomes(observed=observed, missing=missing, tasks_lost=lost)


def graded_outcomes(
    *,
    baseline: MaybeScores,
    treated: MaybeScores,
    clusters: Sequence[str] | None = None,
    arms: tuple[str, str] = ("baseline", "treated"),
) -> tuple[GradedOutcomes | None, MissingOutcomes[GradedOutcomes] | None]:
    """Scores with holes: the tasks that have a score under both arms, and the bounds with every hole a 0 or a 1.

    Args:
        baseline: Tasks × runs, None where the run has no score.
        treated: The same tasks in the same order.
        clusters: One label per task, where tasks come in groups.
        arms: Names for the counts.

    Returns:
        None for no task with both, and for no hole.

    Raises:
        InvalidInput: As `GradedOutcomes`.
    """

    def read(before: MaybeScores, after: MaybeScores) -> GradedOutcomes | None:
        known = [[[x for x in runs if x is not None] for runs in arm] for arm in (before, after)]
        kept = [i for i, (first, second) in enumerate(zip(*known, strict=True)) if first and second]
        if not kept:
            return None
        return GradedOutcomes.from_scores(
            baseline=[known[0][i] for i in kept],
            treated=[known[1][i] for i in kept],
            clusters=None if clusters is None else [clusters[i] for i in kept],
        )

    def complete(before: MaybeScores, after: MaybeScores) -> GradedOutcomes:
        found = read(before, after)
        assert found is not None, "everything is filled in"
        return found

    return read(baseline, treated), _bounds(complete, baseline, treated, arms)


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

    def complete(before: MaybeOutcomes, after: MaybeOutcomes) -> Read:
        found = read(before, after)
        assert found is not None, "everything is filled in"
        return found

    return read(baseline, treated), _bounds(complete, baseline, treated, arms)


def _bounds(
    read: Callable[[list[list[Value]], list[list[Value]]], Read],
    baseline: Sequence[Sequence[Value | None]],
    treated: Sequence[Sequence[Value | None]],
    arms: tuple[str, str],
) -> MissingOutcomes[Read] | None:
    by_arm = {
        name: sum(outcome is None for seeds in arm for outcome in seeds)
        for name, arm in zip(arms, (baseline, treated), strict=True)
    }
    if not any(by_arm.values()):
        return None
    worst = read(_filled(baseline, True), _filled(treated, False))
    best = read(_filled(baseline, False), _filled(treated, True))
    return MissingOutcomes(worst=worst, best=best, by_arm=by_arm)


def _filled(arm: Sequence[Sequence[Value | None]], value: Value) -> list[list[Value]]:
    return [[value if outcome is None else outcome for outcome in seeds] for seeds in arm]


def _outcomes(before: list[list[bool]], after: list[list[bool]], clusters: Sequence[str] | None) -> Outcomes:
    if clusters is None and all(len(seeds) == 1 for arm in (before, after) for seeds in arm):
        return PairedOutcomes.from_outcomes(baseline=[b for (b,) in before], treated=[t for (t,) in after])
    return ClusteredOutcomes.from_outcomes(baseline=before, treated=after, clusters=clusters)
