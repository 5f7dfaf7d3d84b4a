"""Scored steps, and what they say of a critic with intervals over tasks: overall, by step, beside another critic.

Tasks, not steps, are the sample: the steps of a run are no independent evidence. The measures themselves are in
`measures`. How each was checked: tests/critics/test_estimates.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forbear.critics.measures import (
    BINS,
    PRECISION,
    ReliabilityBin,
    at_threshold,
    auroc,
    average_precision,
    brier,
    calibration_error,
    checked,
    excess,
    log_loss,
    ranked,
    recall_at_precision,
    reliability_curve,
)
from forbear.critics.resampled import ScoredTasks
from forbear.errors import InvalidInput
from forbear.stats.intervals import Estimate

STEP_BUCKETS = ((0, 5), (5, 10), (10, 15), (15, None))
"""Half-open ranges of step indices. Episodes that run to the budget are failures and supply most late steps, so that a
pooled AUROC is flattered by telling late from early."""

_BY_BUCKET = ("auroc", "average_precision", "calibration_error")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgements:
    """Scored steps, one row each; all arrays have shape (n,), n ≥ 1.

    Raises:
        InvalidInput: Lengths that differ, no row, or a score that is not a number in [0, 1] (a grade: not finite).
    """

    failed: NDArray[np.bool_]
    p_fail: NDArray[np.float64]
    tasks: NDArray[np.int64]
    """Equal numbers for steps of the same task: tasks, not steps, are the sample."""
    steps: NDArray[np.int64]
    """Index of the step in its episode, from 0."""
    ordinal: bool = False
    """Scores are grades of any range: they have an order and are no probabilities."""

    def __post_init__(self) -> None:
        lengths = {len(self.failed), len(self.p_fail), len(self.tasks), len(self.steps)}
        if len(lengths) != 1:
            raise InvalidInput(f"expected one entry per scored step in every column, got lengths {sorted(lengths)}.")
        (ranked if self.ordinal else checked)(self.failed, self.p_fail)

    @classmethod
    def of(
        cls,
        *,
        failed: Sequence[bool],
        p_fail: Sequence[float],
        tasks: Sequence[str],
        steps: Sequence[int],
        ordinal: bool = False,
    ) -> "Judgements":
        """Builds them from plain sequences; `tasks` are ids."""
        codes = {task: code for code, task in enumerate(sorted(set(tasks)))}
        return cls(
            failed=np.asarray(failed, dtype=bool),
            p_fail=np.asarray(p_fail, dtype=np.float64),
            tasks=np.asarray([codes[task] for task in tasks], dtype=np.int64),
            steps=np.asarray(steps, dtype=np.int64),
            ordinal=ordinal,
        )

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "Judgements | None":
        """Returns these rows, by mask or by index; None where there is none."""
        if not len(self.failed[rows]):
            return None
        return replace(
            self, failed=self.failed[rows], p_fail=self.p_fail[rows], tasks=self.tasks[rows], steps=self.steps[rows]
        )

    def metrics(self) -> tuple[str, ...]:
        """Names of those that are defined for such scores."""
        return RANK_METRICS if self.ordinal else tuple(METRICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticReport:
    """Metric → estimate; an estimate is None where the metric is undefined."""

    episodes_failed: float
    """Share of scored steps whose episode failed: the average precision of a coin."""
    steps: int
    tasks: int
    threshold: float
    overall: Mapping[str, Estimate | None]
    by_bucket: Mapping[str, Mapping[str, Estimate | None]]
    """By range of step indices, e.g. "0-4"; empty ranges are left out."""
    reliability: tuple[ReliabilityBin, ...]
    """Empty where the scores are grades."""


def _first_step_auroc(judgements: Judgements, _: float) -> float | None:
    first = judgements.where(judgements.steps == 0)
    return None if first is None else auroc(first.failed, first.p_fail)


_OF_RANKS: Mapping[str, Callable[[Judgements, float], float | None]] = {
    "auroc": lambda j, _: auroc(j.failed, j.p_fail),
    "first_step_auroc": _first_step_auroc,
    "average_precision": lambda j, _: average_precision(j.failed, j.p_fail),
    "recall_at_precision": lambda j, _: recall_at_precision(j.failed, j.p_fail),
    "precision": lambda j, threshold: at_threshold(j.failed, j.p_fail, threshold=threshold).precision,
    "recall": lambda j, threshold: at_threshold(j.failed, j.p_fail, threshold=threshold).recall,
    "f1": lambda j, threshold: at_threshold(j.failed, j.p_fail, threshold=threshold).f1,
    "flagged": lambda j, threshold: at_threshold(j.failed, j.p_fail, threshold=threshold).flagged,
    "false_positive_rate": lambda j, threshold: (
        at_threshold(j.failed, j.p_fail, threshold=threshold).false_positive_rate
    ),
}

RANK_METRICS = tuple(_OF_RANKS)
"""Those that grades have as well."""

METRICS: Mapping[str, Callable[[Judgements, float], float | None]] = {
    **_OF_RANKS,
    "brier": lambda j, _: brier(j.failed, j.p_fail),
    "log_loss": lambda j, _: log_loss(j.failed, j.p_fail),
    "excess": lambda j, _: excess(j.failed, j.p_fail),
    "calibration_error": lambda j, _: calibration_error(j.failed, j.p_fail),
    "calibration_error_debiased": lambda j, _: calibration_error(j.failed, j.p_fail, debiased=True),
}
"""By name: of scored steps, and the threshold beyond which one acts."""


def clustered_estimates(
    judgements: Judgements,
    metrics: Sequence[str],
    *,
    rng: np.random.Generator,
    threshold: float = 0.6,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> dict[str, Estimate | None]:
    """Values with percentile intervals from resampling whole tasks, all metrics on the same resamples.

    Args:
        judgements: Scored steps.
        metrics: Names among `METRICS`.
        rng: Source of the resamples.
        threshold: For the metrics that ask for one.
        resamples: How many, at least 1. Those in which a metric is undefined or infinite are left out of its interval.
        confidence: Two-sided, 0 < confidence < 1.

    Returns:
        By name; None where the metric is undefined on the data, or where half of the resamples or more were left out.

    Raises:
        InvalidInput: resamples or confidence out of range, or a single task, which says nothing about the next.

    Checked: equal to the metrics of the drawn steps, one resample after the other (tests/critics/test_estimates.py).
    """
    drawn = _resampled(judgements, metrics, rng=rng, threshold=threshold, resamples=resamples, confidence=confidence)
    return {
        name: _estimate(METRICS[name](judgements, threshold), drawn[name], confidence=confidence) for name in metrics
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Another critic on the same steps. Metric → estimate; an estimate is None where the metric is undefined."""

    estimates: Mapping[str, Estimate | None]
    """The other's own."""
    differences: Mapping[str, Estimate | None]
    """The first critic's less the other's, on the same resamples of tasks: above 0 the first has more."""


def compare_critics(
    first: Judgements,
    others: Mapping[str, Judgements],
    metrics: Sequence[str],
    *,
    rng: np.random.Generator,
    threshold: float = 0.6,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> dict[str, Compared]:
    """Compares a critic with others on the same steps, all metrics and all critics on the same resamples of tasks.

    Args:
        first: Scored steps.
        others: By name, the same steps in the same order, scored by another critic.
        metrics: Names among `METRICS`.
        rng: Source of the resamples.
        threshold: For the metrics that ask for one.
        resamples: How many, at least 1.
        confidence: Two-sided, 0 < confidence < 1.

    Raises:
        InvalidInput: Other steps, or as `clustered_estimates`.

    Checked: 0 to 0 of a critic and itself, and against the metrics of the drawn steps.
    """
    seed = int(rng.integers(1 << 63))

    def measured(one: Judgements) -> tuple[dict[str, float | None], dict[str, NDArray[np.float64]]]:
        same = np.random.default_rng(seed)
        drawn = _resampled(one, metrics, rng=same, threshold=threshold, resamples=resamples, confidence=confidence)
        return {name: METRICS[name](one, threshold) for name in metrics}, drawn

    values, drawn = measured(first)
    compared: dict[str, Compared] = {}
    for other, judged in others.items():
        columns = (first.failed, judged.failed), (first.tasks, judged.tasks), (first.steps, judged.steps)
        if not all(np.array_equal(*both) for both in columns):
            raise InvalidInput(
                "critics are compared on the same steps in the same order: leave out what one has not scored."
            )
        its, its_drawn = measured(judged)
        differences: dict[str, Estimate | None] = {}
        for name in metrics:
            a, b = values[name], its[name]
            with np.errstate(invalid="ignore"):  # inf − inf
                difference = drawn[name] - its_drawn[name]
            value = None if a is None or b is None or not np.isfinite([a, b]).all() else a - b
            differences[name] = _estimate(value, difference, confidence=confidence)
        estimates = {name: _estimate(its[name], its_drawn[name], confidence=confidence) for name in metrics}
        compared[other] = Compared(estimates=estimates, differences=differences)
    return compared


def _resampled(
    judgements: Judgements,
    metrics: Sequence[str],
    *,
    rng: np.random.Generator,
    threshold: float,
    resamples: int,
    confidence: float,
) -> dict[str, NDArray[np.float64]]:
    if resamples < 1 or not 0 < confidence < 1:
        raise InvalidInput(
            f"expected at least 1 resample and 0 < confidence < 1, got resamples = {resamples}, "
            f"confidence = {confidence!r}."
        )
    if undefined := [name for name in metrics if name not in judgements.metrics()]:
        raise InvalidInput(f"grades are no probabilities: {', '.join(undefined)} cannot be said of them.")
    if len(np.unique(judgements.tasks)) < 2:
        raise InvalidInput("intervals resample whole tasks and need at least 2 of them, got steps of 1 task.")
    scored = ScoredTasks(
        judgements.failed,
        judgements.p_fail,
        judgements.tasks,
        first=judgements.steps == 0,
        threshold=threshold,
        bins=BINS,
        precision=PRECISION,
        ordinal=judgements.ordinal,
    )
    return scored.measures(metrics, rng=rng, resamples=resamples)


def _estimate(value: float | None, drawn: NDArray[np.float64], *, confidence: float) -> Estimate | None:
    known = drawn[np.isfinite(drawn)]
    if value is None or len(known) <= len(drawn) / 2:
        return None
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(known, [tail, 100 - tail])
    return Estimate(value=value, low=float(low), high=float(high), confidence=confidence)


def evaluate_critic(
    judgements: Judgements,
    *,
    rng: np.random.Generator,
    threshold: float = 0.6,
    resamples: int = 1000,
    confidence: float = 0.95,
    buckets: Sequence[tuple[int, int | None]] = STEP_BUCKETS,
) -> CriticReport:
    """Measures a critic's scores overall and by range of step indices, with intervals over tasks.

    Args:
        judgements: Scored steps of episodes whose tasks the critic has not seen.
        rng: Source of the resamples.
        threshold: Of the policy that would use it.
        resamples: Of tasks.
        confidence: Two-sided.
        buckets: Half-open ranges [low, high) of step indices; None is open.

    Raises:
        InvalidInput: As `clustered_estimates`.
    """
    keywords: dict[str, Any] = {"rng": rng, "threshold": threshold, "resamples": resamples, "confidence": confidence}
    by_bucket: dict[str, Mapping[str, Estimate | None]] = {}
    for low, high in buckets:
        inside = judgements.steps >= low
        if high is not None:
            inside &= judgements.steps < high
        part = judgements.where(inside)
        if part is not None and len(np.unique(part.tasks)) > 1:
            name = f"{low}-{high - 1}" if high is not None else f"{low}-"
            wanted = [metric for metric in _BY_BUCKET if metric in part.metrics()]
            by_bucket[name] = clustered_estimates(part, wanted, **keywords)
    return CriticReport(
        episodes_failed=float(np.mean(judgements.failed)),
        steps=len(judgements.failed),
        tasks=len(np.unique(judgements.tasks)),
        threshold=threshold,
        overall=clustered_estimates(judgements, judgements.metrics(), **keywords),
        by_bucket=by_bucket,
        reliability=() if judgements.ordinal else reliability_curve(judgements.failed, judgements.p_fail),
    )
