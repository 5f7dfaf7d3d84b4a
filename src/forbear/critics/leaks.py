"""Checks that a critic learns nothing that it will not know when it judges. Each raises where something leaks."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from forbear.critics.measures import auroc
from forbear.critics.runs import JudgedRun
from forbear.errors import InvalidInput
from forbear.records.model import Action, Step, Trajectory
from forbear.wording import counted, listed

_TOO_GOOD = 0.10
"""By how much the mean AUROC on shuffled outcomes may be above .5, or five standard errors of few runs. One shuffle of
a few hundred runs ranges to .63."""
_TELLS_THE_END = 0.99


def require_disjoint(one: Iterable[str], other: Iterable[str]) -> None:
    """Refuses splits that share a task.

    Raises:
        InvalidInput: Some are in both, by name.
    """
    both = sorted(set(one) & set(other))
    if both:
        raise InvalidInput(
            f"{counted(len(both), 'task')} in both splits ({listed(both)}): what is learned on a task must not be "
            "judged on it. Split by task, never by run or step."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShuffledResult:
    """AUROC on outcomes that were shuffled between runs: near .5 where nothing leaks."""

    aurocs: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the shuffles."""
        return sum(self.aurocs) / len(self.aurocs)

    @property
    def low(self) -> float:
        """The lowest."""
        return min(self.aurocs)

    @property
    def high(self) -> float:
        """The highest."""
        return max(self.aurocs)


def shuffled_labels(
    judge: Callable[[NDArray[np.bool_]], tuple[NDArray[np.bool_], NDArray[np.float64]]],
    failed: Sequence[bool],
    *,
    rng: np.random.Generator,
    shuffles: int = 5,
) -> ShuffledResult:
    """Trains and judges on outcomes that mean nothing.

    Args:
        judge: Given an outcome of each run, trains on some and judges others; returns, by judged step, the outcome and
            the score.
        failed: The outcome of each run.
        rng: Shuffles.
        shuffles: How often; one alone says little.

    Raises:
        InvalidInput: The mean AUROC is far above .5: steps of a run are on both sides, or a feature names it.
    """
    found = []
    for _ in range(shuffles):
        value = auroc(*judge(rng.permutation(np.asarray(failed, dtype=bool))))
        if value is not None:
            found.append(value)
    if not found:
        raise InvalidInput("no shuffle left runs of both outcomes on the judged side; bring more runs.")
    result = ShuffledResult(aurocs=tuple(found))
    runs, lost = len(failed) / 2, max(1, sum(failed)) / 2  # about half of them are judged
    chance = 5 * ((runs + 1) / (12 * lost * max(0.5, runs - lost)) / len(found)) ** 0.5
    if result.mean > 0.5 + max(_TOO_GOOD, chance):
        raise InvalidInput(
            f"outcomes that were shuffled between runs are predicted with AUROC {result.mean:.2f} ({result.low:.2f} to "
            f"{result.high:.2f}): runs that are judged were learned from. Split by task, and name runs by their task."
        )
    return result


def require_blind_to_the_rest(
    features: Callable[[Trajectory, Action], object], runs: Sequence[JudgedRun], *, most: int = 20
) -> None:
    """Refuses features of a step that change with what comes after it, or with the outcome.

    Args:
        features: Of a prefix and a proposal; compared by equality.
        runs: The first `most` with at least two steps are looked at.
        most: See runs.

    Raises:
        InvalidInput: They change.
    """
    for run in [run for run in runs if len(run.trajectory.steps) > 1][:most]:
        whole = [features(seen, proposed) for seen, proposed in run.judged()]
        for length in range(1, len(whole)):
            cut = JudgedRun(trajectory=_otherwise(run.trajectory.prefix(length)), success=not run.success, run=run.run)
            seen, proposed = list(cut.judged())[-1]
            if features(seen, proposed) != whole[length - 1]:
                raise InvalidInput(
                    f"a feature of step {length - 1} of task '{run.task}' changes with what comes after that step: it "
                    "encodes how the run ends, which no critic knows."
                )


def _otherwise(trajectory: Trajectory) -> Trajectory:
    """The same, made anew, so that nothing can be remembered by identity."""
    steps = tuple(Step(index=s.index, observation=s.observation, executed=s.executed) for s in trajectory.steps)
    return replace(trajectory, steps=steps)


def require_blind_to_the_end(
    numbers: NDArray[np.float64], names: Sequence[str], *, index: NDArray[np.int64], left: NDArray[np.int64]
) -> None:
    """Refuses numbers that tell a run's last step from others of the same index.

    Args:
        numbers: Shape (steps, features).
        names: Of the features.
        index: Of each step in its run.
        left: Steps that its run had after it.

    Raises:
        InvalidInput: A feature does: as AUROC, pooled over indices where runs end and others go on, at least .99.
    """
    for name, column in zip(names, numbers.T, strict=True):
        won, pairs = 0.0, 0
        for at in np.unique(index).tolist():
            here = index == at
            last, values = left[here] == 0, column[here]
            area = auroc(last, _ranked(values)) if last.any() and not last.all() else None
            if area is not None:
                count = int(last.sum() * (~last).sum())
                won, pairs = won + area * count, pairs + count
        if pairs >= 100 and max(won, pairs - won) >= _TELLS_THE_END * pairs:
            raise InvalidInput(
                f"the feature '{name}' tells the last step of a run from the others: it encodes the run's end, which "
                "no critic knows."
            )


def _ranked(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """In [0, 1], in the same order."""
    _, group = np.unique(values, return_inverse=True)
    return group / max(1, int(group.max()))
