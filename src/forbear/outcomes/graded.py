"""Graded scores between 0 and 1, under both arms: a rubric, a share of tests passed, a judge's mark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes, require_aligned
from forbear.wording import described

Floats = NDArray[np.float64]
ArmScores = tuple[tuple[float, ...], ...]
"""Of one arm: one tuple per task, one score per run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedOutcomes:
    """Scores of one or several runs per task, under both arms. A task's difference is that of its two mean scores.

    Raises:
        InvalidInput: Different numbers of tasks, a task without a run, a score that is no number from 0 to 1, or fewer
            than 10 clusters above tasks.
    """

    baseline: ArmScores
    """One tuple per task, one score in [0, 1] per run."""
    treated: ArmScores
    """The same tasks in the same order; the number of runs may differ."""
    clusters: tuple[str, ...] | None = None
    """What each task belongs to, where that is the unit; else None."""

    def __post_init__(self) -> None:
        require_aligned(self, read=_scores)

    @classmethod
    def from_scores(
        cls,
        *,
        baseline: Sequence[Sequence[float]],
        treated: Sequence[Sequence[float]],
        clusters: Sequence[str] | None = None,
    ) -> Self:
        """Takes one inner sequence per task, with one score per run.

        Raises:
            InvalidInput: As the class says.
        """
        return cls(baseline=baseline, treated=treated, clusters=clusters)  # type: ignore[arg-type]  # converted above

    @property
    def tasks(self) -> int:
        """The number of tasks."""
        return len(self.baseline)

    @property
    def differences(self) -> Floats:
        """(tasks,) in [−1, 1]: the task's mean score, treated minus baseline."""
        before, after = ([sum(runs) / len(runs) for runs in arm] for arm in (self.baseline, self.treated))
        differences: Floats = np.array(after) - np.array(before)
        return differences

    @property
    def success_gain(self) -> float | None:
        """The mean difference of the tasks, in [−1, 1]; None without tasks."""
        return float(self.differences.mean()) if self.tasks else None

    def swapped(self) -> Self:
        """The same tasks with the arms exchanged: every gain changes its sign."""
        return type(self)(baseline=self.treated, treated=self.baseline, clusters=self.clusters)

    def at_least(self, threshold: float) -> ClusteredOutcomes:
        """Scores of at least the threshold as successes, the others as failures."""
        before, after = (
            tuple(tuple(x >= threshold for x in runs) for runs in arm) for arm in (self.baseline, self.treated)
        )
        return ClusteredOutcomes(baseline=before, treated=after, clusters=self.clusters)


def mean_scores(arm: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    """Tasks × one: each task's mean score, None where no run of it has a score.

    Args:
        arm: Tasks × runs, None where a run has none.
    """
    known = [[score for score in runs if score is not None] for runs in arm]
    return [[sum(runs) / len(runs)] if runs else [None] for runs in known]


def _scores(values: Sequence[Sequence[float]], *, name: str) -> ArmScores:
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray):
        raise InvalidInput(f"{name} must be a sequence with one sequence of scores per task, got {described(values)}.")
    tasks = []
    for i, runs in enumerate(values):
        if isinstance(runs, str | bytes) or not isinstance(runs, Sequence | np.ndarray):
            raise InvalidInput(f"{name}[{i}] must be a sequence of scores, one per run, got {described(runs)}.")
        for j, score in enumerate(runs):
            number = isinstance(score, bool | np.bool_ | int | float | np.integer | np.floating)
            if not (number and math.isfinite(score) and 0 <= score <= 1):
                raise InvalidInput(
                    f"{name}[{i}][{j}] is {described(score)}; expected a score from 0 to 1. "
                    "A run without a score is not a 0: leave it out."
                )
        if not len(runs):
            raise InvalidInput(f"{name}[{i}] has no score; a task needs at least one run under each arm. Leave it out.")
        tasks.append(tuple(map(float, runs)))
    return tuple(tasks)
