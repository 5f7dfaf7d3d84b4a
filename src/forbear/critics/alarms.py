"""A threshold with a stated rate of false alarms: of the runs that would succeed, at most so many are touched.

Split conformal prediction on the highest score of a run: a run is touched, at whatever step, exactly where its highest
score is above the threshold. The highest scores of n successful runs and of the next one are exchangeable, so that the
next one's rank among them is uniform, and it exceeds the k-th smallest of the n with probability at most 1 − k/(n + 1).

Source: Vovk, Gammerman & Shafer 2005; over steps as in E-valuator (arXiv 2512.03109), whose e-process catches less at
the same rate (docs/decisions/010). How each was checked: docs/methods.md.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, betaincinv

from forbear.critics.scored import ScoredRuns
from forbear.critics.splits import split_tasks, stable_number
from forbear.errors import InvalidInput
from forbear.stats.intervals import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmThreshold:
    """Acting on p_fail > threshold touches at most a share `false_alarms` of the runs that would succeed."""

    threshold: float
    false_alarms: float
    """What was asked for."""
    successes: int
    """Runs that set it, one a task."""
    expected: float
    """1 − k/(n + 1): the largest rate on average over such samples, at most `false_alarms`."""
    likely_at_most: float
    """With probability .9 the rate of this very threshold is no larger."""
    assurance: float | None
    """With this probability the rate of this very threshold is at most `false_alarms`; None: on average only."""


def false_alarm_threshold(highest: ArrayLike, *, false_alarms: float, assurance: float | None = None) -> AlarmThreshold:
    """Finds the lowest threshold with a guaranteed rate of false alarms.

    Args:
        highest: The highest scores of successful runs, shape (n,), one a task, that neither trained the critic nor
            calibrated it.
        false_alarms: α, in (0, 1): at most this share of the successes is touched, on average over samples of n.
        assurance: In (0, 1): with this probability over the sample, the rate of the threshold that it gave is at most
            α. Needs more successes and gives a higher threshold. None: on average.

    Raises:
        InvalidInput: Too few successes for such a rate, scores that are not finite, or an argument out of range.

    Checked: by enumeration of all ranks, with and without ties, and by simulation (tests/critics/test_alarms.py).
    """
    scores = np.sort(np.asarray(highest, dtype=np.float64))
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise InvalidInput("expected one finite score for each successful run.")
    for name, value in (("false_alarms", false_alarms), ("assurance", assurance)):
        if value is not None and not 0 < value < 1:
            raise InvalidInput(f"{name} must be between 0 and 1 (exclusive), got {value!r}.")
    n = len(scores)
    rank = _rank(n, false_alarms, assurance)
    if rank > n:
        needed = next(m for m in range(n + 1, 1 << 30) if _rank(m, false_alarms, assurance) <= m)
        raise InvalidInput(
            f"{n} successful runs cannot show that at most {false_alarms:g} of the successes are touched: it takes "
            f"{needed}, of as many tasks. Collect more, or allow more false alarms."
        )
    return AlarmThreshold(
        threshold=float(scores[rank - 1]),
        false_alarms=false_alarms,
        successes=n,
        expected=1 - rank / (n + 1),
        likely_at_most=float(betaincinv(n + 1 - rank, rank, 0.9)),
        assurance=assurance,
    )


def _rank(n: int, alpha: float, assurance: float | None) -> int:
    """Which of n sorted scores is the threshold, from 1 on; n + 1 where none is."""
    if assurance is None:
        # Rounding must not cost a rank: (1 − .1)·(9 + 1) is 9.
        return math.ceil((1 - alpha) * (n + 1) - 1e-9)
    # The rate beyond the k-th of n is at most Beta(n + 1 − k, k): rising in k, so that the first that does is found.
    ranks = np.arange(1, n + 1)
    enough = np.flatnonzero(betainc(n + 1 - ranks, ranks, alpha) >= assurance) if n else np.empty(0, dtype=np.int64)
    return int(ranks[enough[0]]) if len(enough) else n + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedAlarms:
    """A threshold and what it does on tasks that did not set it."""

    found: AlarmThreshold
    min_step: int
    measured_on_successes: Rate | None
    """Share of them that is touched, one run a task; None where no task was held out."""
    measured_on_failures: Rate | None


def one_run_a_task(scored: ScoredRuns) -> ScoredRuns:
    """Keeps one run of each task, chosen by the task's name and whatever its outcome.

    Runs of one task are no independent sample; and of tasks that sometimes succeed, those that seldom do would count
    too much if a success were looked for. Chosen before the outcome is looked at, the runs that succeed are a sample of
    the runs that will.
    """
    of_task: dict[str, list[int]] = {}
    for index, run in enumerate(scored.runs):
        of_task.setdefault(run.group, []).append(index)
    kept = sorted(indices[stable_number(task, "run") % len(indices)] for task, indices in of_task.items())
    return ScoredRuns(
        runs=tuple(scored.runs[index] for index in kept),
        scores=tuple(scored.scores[index] for index in kept),
        ordinal=scored.ordinal,
    )


def alarms_checked(
    scored: ScoredRuns,
    *,
    false_alarms: float,
    assurance: float | None = None,
    held_out: float = 0.5,
    min_step: int = 0,
) -> CheckedAlarms:
    """Sets a threshold on part of the tasks and measures it on the others.

    Args:
        scored: Runs whose tasks the critic has not seen.
        false_alarms: As for `false_alarm_threshold`.
        assurance: As there.
        held_out: Share of the tasks, in [0, 1), that only measure.
        min_step: Before this step nobody steps in.

    Raises:
        InvalidInput: Too few successes, or an argument out of range.
    """
    if not 0 <= held_out < 1:
        raise InvalidInput(f"held_out is a share of the tasks, at least 0 and below 1, got {held_out!r}.")
    sample = one_run_a_task(scored)
    setting, judging = split_tasks([run.group for run in sample.runs], share=held_out)
    maxima = sample.highest(min_step=min_step)
    succeeded = ~maxima.failed
    sets = np.array([run.group in setting for run in sample.runs])
    found = false_alarm_threshold(maxima.p_fail[succeeded & sets], false_alarms=false_alarms, assurance=assurance)
    touched = maxima.p_fail > found.threshold

    def rate(of: NDArray[np.bool_]) -> Rate | None:
        return Rate(k=int((touched & of).sum()), n=int(of.sum())) if judging else None

    return CheckedAlarms(
        found=found,
        min_step=min_step,
        measured_on_successes=rate(succeeded & ~sets),
        measured_on_failures=rate(maxima.failed & ~sets),
    )
