"""A critic's measures on resamples of whole tasks, many at once: scores are sorted once, a resample weighs each task.

A task that was drawn twice has weight 2. Every measure is that of `measures` on the drawn steps, written as sums over
distinct scores (the rank measures) or over tasks (the others), so that no resample is sorted or copied.

Arrays have one row a resample. Undefined is NaN here, and left out by the caller.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

_CHUNK = 1 << 15
"""Weighted cells that are held in memory at once."""


class ScoredTasks:
    """Scored steps, ready to be weighted by task.

    Args:
        failed: (n,) whether the step's episode failed.
        p_fail: (n,) its score.
        tasks: (n,) equal numbers for steps of one task.
        first: (n,) whether it is the first step of its episode.
        threshold: Acting is p_fail > threshold.
        bins: Of the calibration error.
        precision: At which recall is asked for.
        ordinal: Scores are no probabilities: only measures of their order will be asked for.
    """

    def __init__(
        self,
        failed: NDArray[np.bool_],
        p_fail: Floats,
        tasks: NDArray[np.int64],
        *,
        first: NDArray[np.bool_],
        threshold: float,
        bins: int,
        precision: float,
        ordinal: bool,
    ) -> None:
        labels, task = np.unique(tasks, return_inverse=True)
        self.tasks = len(labels)
        self._cells = _Cells(failed, p_fail, task, tasks=self.tasks)
        self._first = _Cells(failed[first], p_fail[first], task[first], tasks=self.tasks) if first.any() else None
        said = np.where(failed, p_fail, 1.0 - p_fail) if not ordinal else np.ones(len(failed))
        with np.errstate(divide="ignore"):
            loss = -np.log(said)
        endless = np.isinf(loss)
        flagged = p_fail > threshold
        columns = {
            "steps": np.ones(len(failed)),
            "failures": failed,
            "squares": (p_fail - failed) ** 2,
            "excess": p_fail - failed,
            "loss": np.where(endless, 0.0, loss),
            "endless": endless,
            "flags": flagged,
            "hits": flagged & failed,
        }
        self._by_task = {
            name: np.bincount(task, weights=column, minlength=self.tasks) for name, column in columns.items()
        }
        self._bins, self._precision = bins, precision

    def measures(self, names: Sequence[str], *, rng: np.random.Generator, resamples: int) -> dict[str, Floats]:
        """By name, the measure on each of so many resamples: shape (resamples,)."""
        found: dict[str, list[Floats]] = {name: [] for name in names}
        at_once = max(1, _CHUNK // len(self._cells.task))
        for first in range(0, resamples, at_once):
            drawn = [
                np.bincount(rng.integers(self.tasks, size=self.tasks), minlength=self.tasks)
                for _ in range(min(at_once, resamples - first))
            ]
            weighted = _Weighted(self, np.array(drawn, dtype=float))
            for name in names:
                found[name].append(_MEASURES[name](weighted))
        return {name: np.concatenate(values) for name, values in found.items()}


class _Cells:
    """Steps of one task with one score, which always come together, by rising score."""

    def __init__(self, failed: NDArray[np.bool_], p_fail: Floats, task: NDArray[np.int64], *, tasks: int) -> None:
        self.scores, group = np.unique(p_fail, return_inverse=True)
        cells, cell = np.unique(group * tasks + task, return_inverse=True)
        self.task = cells % tasks
        self._starts = np.searchsorted(cells, np.arange(len(self.scores)) * tasks)
        self._failures = np.bincount(cell, weights=failed)
        self._sizes = np.bincount(cell).astype(np.float64)

    def weighted(self, by_task: Floats) -> tuple[Floats, Floats]:
        """Failures and steps at each distinct score, where tasks weigh so much, shape (resamples, tasks)."""
        weights = by_task.take(self.task, axis=1)
        failures: Floats = weights * self._failures
        sizes: Floats = weights * self._sizes
        if len(self._starts) < len(self.task):
            failures, sizes = (np.add.reduceat(part, self._starts, axis=1) for part in (failures, sizes))
        return failures, sizes


class _Weighted:
    """The steps under several weightings of their tasks, shape (resamples, tasks)."""

    def __init__(self, scored: ScoredTasks, weights: Floats) -> None:
        self._scored, self._weights = scored, weights

    def total(self, column: str) -> Floats:
        # Not a matrix product: its last bits differ from call to call.
        totals: Floats = (self._weights * self._scored._by_task[column]).sum(axis=1)
        return totals

    @cached_property
    def _at_scores(self) -> tuple[Floats, Floats]:
        """Failures and steps at each distinct score, by rising score."""
        return self._scored._cells.weighted(self._weights)

    @cached_property
    def _up_to_scores(self) -> tuple[Floats, Floats]:
        """The same of that score and all below."""
        failures, sizes = self._at_scores
        return np.cumsum(failures, axis=1), np.cumsum(sizes, axis=1)

    def auroc(self) -> Floats:
        return _area(self._at_scores, self._up_to_scores)

    def first_step_auroc(self) -> Floats:
        if self._scored._first is None:
            return np.full(len(self._weights), np.nan)
        failures, sizes = self._scored._first.weighted(self._weights)
        return _area((failures, sizes), (np.cumsum(failures, axis=1), np.cumsum(sizes, axis=1)))

    @cached_property
    def _from_scores(self) -> tuple[Floats, Floats]:
        """Failures at that score and all above, and their share of the steps there."""
        (failures, sizes), (failures_to, sizes_to) = self._at_scores, self._up_to_scores
        hits = failures - failures_to
        hits += failures_to[:, -1:]
        flags = sizes - sizes_to
        flags += sizes_to[:, -1:]
        # Where nothing is flagged there is no failure either.
        return hits, hits / np.maximum(flags, 1.0, out=flags)

    def average_precision(self) -> Floats:
        precision = self._from_scores[1]
        return _ratio(np.einsum("rs,rs->r", self._at_scores[0], precision), self._up_to_scores[0][:, -1])

    def recall_at_precision(self) -> Floats:
        hits, precision = self._from_scores
        most: Floats = np.where(precision >= self._scored._precision, hits, 0.0).max(axis=1)
        return _ratio(most, self._up_to_scores[0][:, -1])

    def log_loss(self) -> Floats:
        losses = self.total("loss") / self.total("steps")
        return np.where(self.total("endless") > 0, np.inf, losses)

    def calibration_error(self, *, debiased: bool) -> Floats:
        errors = np.empty(len(self._weights))
        for rows, gaps in self._gaps:
            errors[rows] = calibration_error_of(*gaps, debiased=debiased)
        return errors

    @cached_property
    def _gaps(self) -> Sequence[tuple[NDArray[np.int64], tuple[Floats, Floats, Floats]]]:
        """Resamples with as many bins: |mean score − failure rate|, failure rate and size, each of shape (rows, bins).

        A step's outcome is the mean over those of equal score; a bin's sums are what comes up to its upper edge, less
        what comes up to its lower one.
        """
        (failures, sizes), (failures_to, sizes_to) = self._at_scores, self._up_to_scores
        scores = self._scored._cells.scores
        scores_to = np.cumsum(sizes * scores, axis=1)
        # Fewer steps than bins: each is one.
        total = sizes_to[:, -1].astype(np.int64)
        bins, found = np.minimum(self._scored._bins, total), []
        for used in np.unique(bins).tolist():
            rows = np.flatnonzero(bins == used)
            edges = np.arange(used + 1) * total[rows, None] // used
            group = np.array([np.searchsorted(sizes_to[row], at, "right") for row, at in zip(rows, edges, strict=True)])
            group = np.minimum(group, len(scores) - 1)
            here = rows[:, None], group
            # Of the score in which an edge lies, the part below the edge.
            part = edges - (sizes_to[here] - sizes[here])
            outcome = np.divide(failures[here], sizes[here], out=np.zeros(group.shape), where=sizes[here] > 0)
            count = np.diff(edges, axis=1).astype(float)
            rate = np.diff(failures_to[here] - failures[here] + part * outcome, axis=1) / count
            mean = np.diff(scores_to[here] + (part - sizes[here]) * scores[group], axis=1) / count
            found.append((rows, (np.abs(mean - rate), rate, count)))
        return found


def calibration_error_of(gap: Floats, rate: Floats, count: Floats, *, debiased: bool) -> Floats:
    """The calibration error of bins, along the last axis: their |mean score − failure rate|, failure rates, sizes."""
    total = count.sum(axis=-1)
    error: Floats = (count * gap).sum(axis=-1) / total
    if not debiased:
        return error
    sd = np.sqrt(np.clip(rate * (1.0 - rate), 0.0, None) / count)
    safe = np.where(sd > 0, sd, 1.0)
    folded = sd * np.sqrt(2.0 / np.pi) * np.exp(-0.5 * (gap / safe) ** 2) + gap * (1.0 - 2.0 * ndtr(-gap / safe))
    bias = np.where(sd > 0, folded - gap, 0.0)
    left: Floats = np.maximum(0.0, error - (count * bias).sum(axis=-1) / total)
    return left


def _area(at_scores: tuple[Floats, Floats], up_to_scores: tuple[Floats, Floats]) -> Floats:
    """AUROC: Σ failures·(successes below + half of those level), over their product."""
    (failures, sizes), (failures_to, sizes_to) = at_scores, up_to_scores
    lost, won = failures_to[:, -1], sizes_to[:, -1] - failures_to[:, -1]
    below = sizes_to - failures_to
    below -= (sizes - failures) / 2
    return _ratio(np.einsum("rs,rs->r", failures, below), lost * won)


def _ratio(over: Floats, under: Floats) -> Floats:
    return np.divide(over, under, out=np.full_like(over, np.nan), where=under > 0)


_MEASURES: dict[str, Callable[[_Weighted], Floats]] = {
    "auroc": _Weighted.auroc,
    "first_step_auroc": _Weighted.first_step_auroc,
    "average_precision": _Weighted.average_precision,
    "recall_at_precision": _Weighted.recall_at_precision,
    "brier": lambda steps: steps.total("squares") / steps.total("steps"),
    "log_loss": _Weighted.log_loss,
    "precision": lambda steps: _ratio(steps.total("hits"), steps.total("flags")),
    "recall": lambda steps: _ratio(steps.total("hits"), steps.total("failures")),
    "f1": lambda steps: _ratio(2 * steps.total("hits"), steps.total("flags") + steps.total("failures")),
    "flagged": lambda steps: steps.total("flags") / steps.total("steps"),
    "false_positive_rate": lambda steps: _ratio(
        steps.total("flags") - steps.total("hits"), steps.total("steps") - steps.total("failures")
    ),
    "excess": lambda steps: steps.total("excess") / steps.total("steps"),
    "calibration_error": lambda steps: steps.calibration_error(debiased=False),
    "calibration_error_debiased": lambda steps: steps.calibration_error(debiased=True),
}
