"""How good a critic's scores are, offline (METHODS 8). What is undefined is None, never NaN and never 0.

A critic that predicts well may still do harm when it acts: these numbers stand beside the paired gain and never
replace it.

Every function takes `failed`, shape (n,), whether the episode that the scored step belongs to failed, and `p_fail`,
shape (n,), what the critic said, in [0, 1]. Order does not matter: steps with tied scores are interchangeable.

How each was checked: tests/critics/test_measures.py, against brute force over pairs, thresholds and bins, and against
values of scikit-learn 1.7 where it defines the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forbear.critics.resampled import ScoredTasks, calibration_error_of
from forbear.errors import InvalidInput
from forbear.stats.intervals import Estimate

BINS = 15
"""Equal-mass bins of the calibration error."""

STEP_BUCKETS = ((0, 5), (5, 10), (10, 15), (15, None))
"""Half-open ranges of step indices. Episodes that run to the budget are failures and supply most late steps, so that a
pooled AUROC is flattered by telling late from early."""

_BY_BUCKET = ("auroc", "average_precision", "calibration_error")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judgements:
    """Scored steps, one row each; all arrays have shape (n,), n ≥ 1.

    Raises:
        InvalidInput: Lengths that differ, no row, or a score that is not a number in [0, 1].
    """

    failed: NDArray[np.bool_]
    p_fail: NDArray[np.float64]
    tasks: NDArray[np.int64]
    """Equal numbers for steps of the same task: tasks, not steps, are the sample."""
    steps: NDArray[np.int64]
    """Index of the step in its episode, from 0."""

    def __post_init__(self) -> None:
        lengths = {len(self.failed), len(self.p_fail), len(self.tasks), len(self.steps)}
        if len(lengths) != 1:
            raise InvalidInput(f"expected one entry per scored step in every column, got lengths {sorted(lengths)}.")
        _checked(self.failed, self.p_fail)

    @classmethod
    def of(
        cls, *, failed: Sequence[bool], p_fail: Sequence[float], tasks: Sequence[str], steps: Sequence[int]
    ) -> "Judgements":
        """Builds them from plain sequences; `tasks` are ids."""
        codes = {task: code for code, task in enumerate(sorted(set(tasks)))}
        return cls(
            failed=np.asarray(failed, dtype=bool),
            p_fail=np.asarray(p_fail, dtype=np.float64),
            tasks=np.asarray([codes[task] for task in tasks], dtype=np.int64),
            steps=np.asarray(steps, dtype=np.int64),
        )

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "Judgements | None":
        """Returns these rows, by mask or by index; None where there is none."""
        if not len(self.failed[rows]):
            return None
        return Judgements(
            failed=self.failed[rows], p_fail=self.p_fail[rows], tasks=self.tasks[rows], steps=self.steps[rows]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AtThreshold:
    """What acting on p_fail > threshold would catch, by step."""

    threshold: float
    precision: float | None
    """Share of flagged steps whose episode failed; None where nothing was flagged."""
    recall: float | None
    """Share of steps of failed episodes that were flagged; None without failures."""
    f1: float | None
    """2·TP/(2·TP + FP + FN); None without failures and flags."""
    flagged: float
    """Share of steps that were flagged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """One bin of the reliability curve."""

    low: float
    high: float
    """Smallest and largest score in it."""
    mean_p_fail: float
    failure_rate: float
    count: int


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


def auroc(failed: ArrayLike, p_fail: ArrayLike) -> float | None:
    """Probability that a step of a failed episode scores above one of a successful episode, ties counted half.

    Returns:
        In [0, 1]; None unless both kinds occur. Source: Mann & Whitney 1947, by midranks.
    """
    y, p = _checked(failed, p_fail)
    positives = int(y.sum())
    negatives = len(y) - positives
    if not positives or not negatives:
        return None
    _, group, counts = np.unique(p, return_inverse=True, return_counts=True)
    midrank = np.cumsum(counts) - (counts - 1) / 2.0
    # Midranks are multiples of one half: their sum is exact.
    u = midrank[group][y].sum() - positives * (positives + 1) / 2.0
    return float(u / (positives * negatives))


def average_precision(failed: ArrayLike, p_fail: ArrayLike) -> float | None:
    """Mean precision over the recalled failures, Σ (R_k − R_{k−1})·P_k over distinct thresholds, not interpolated.

    Returns:
        In (0, 1]; None without failures.
    """
    y, p = _checked(failed, p_fail)
    if not y.any():
        return None
    _, group, counts = np.unique(-p, return_inverse=True, return_counts=True)
    hits = np.bincount(group, weights=y, minlength=len(counts))
    precision = np.cumsum(hits) / np.cumsum(counts)
    return float((hits * precision).sum() / hits.sum())


def brier(failed: ArrayLike, p_fail: ArrayLike) -> float:
    """Mean squared distance between score and outcome, in [0, 1]; lower is better. Source: Brier 1950."""
    y, p = _checked(failed, p_fail)
    return float(np.mean((p - y) ** 2))


def log_loss(failed: ArrayLike, p_fail: ArrayLike) -> float:
    """Mean negative log-likelihood in nats; inf where a score of 0 or 1 was wrong, for that is what was claimed."""
    y, p = _checked(failed, p_fail)
    with np.errstate(divide="ignore"):
        return float(np.mean(-np.log(np.where(y, p, 1.0 - p))))


def at_threshold(failed: ArrayLike, p_fail: ArrayLike, *, threshold: float) -> AtThreshold:
    """Precision, recall and F1 of acting where p_fail > threshold (strictly, as a policy does)."""
    y, p = _checked(failed, p_fail)
    flagged = p > threshold
    hits, flags, failures = int((flagged & y).sum()), int(flagged.sum()), int(y.sum())
    return AtThreshold(
        threshold=threshold,
        precision=hits / flags if flags else None,
        recall=hits / failures if failures else None,
        f1=2 * hits / (flags + failures) if flags + failures else None,
        flagged=flags / len(y),
    )


def reliability_curve(failed: ArrayLike, p_fail: ArrayLike, *, bins: int = BINS) -> tuple[ReliabilityBin, ...]:
    """Mean score against failure rate in bins of equal mass (their sizes differ by one at most), by rising score.

    Steps with tied scores share their mean outcome, so that a bin edge inside a tie does not depend on the order of
    the input. With fewer steps than bins, each step is a bin.

    Raises:
        InvalidInput: bins < 1.
    """
    y, p = _checked(failed, p_fail)
    starts, scores, outcomes = _equal_mass(y, p, bins=bins)
    counts = np.diff([*starts, len(p)])
    means = np.add.reduceat(scores, starts) / counts
    rates = np.add.reduceat(outcomes, starts) / counts
    return tuple(
        ReliabilityBin(
            low=float(scores[start]),
            high=float(scores[start + count - 1]),
            mean_p_fail=float(mean),
            failure_rate=float(rate),
            count=int(count),
        )
        for start, count, mean, rate in zip(starts, counts, means, rates, strict=True)
    )


def calibration_error(failed: ArrayLike, p_fail: ArrayLike, *, bins: int = BINS, debiased: bool = False) -> float:
    """Expected calibration error: mean |mean score − failure rate| over bins of equal mass, in [0, 1].

    Args:
        failed: Outcomes.
        p_fail: Scores.
        bins: How many.
        debiased: Subtract what chance alone adds: in each bin, the mean of |N(gap, rate·(1 − rate)/count)| less |gap|;
            not below 0. It takes steps for independent; steps of one episode are not, so that it corrects too little.
            Source: Kumar, Liang & Ma 2019 (NeurIPS), in closed form.

    Raises:
        InvalidInput: bins < 1.
    """
    curve = reliability_curve(failed, p_fail, bins=bins)
    count = np.array([one.count for one in curve], dtype=np.float64)
    gap = np.array([abs(one.mean_p_fail - one.failure_rate) for one in curve])
    rate = np.array([one.failure_rate for one in curve])
    return float(calibration_error_of(gap, rate, count, debiased=debiased))


METRICS: Mapping[str, Callable[[Judgements, float], float | None]] = {
    "auroc": lambda j, _: auroc(j.failed, j.p_fail),
    "average_precision": lambda j, _: average_precision(j.failed, j.p_fail),
    "brier": lambda j, _: brier(j.failed, j.p_fail),
    "log_loss": lambda j, _: log_loss(j.failed, j.p_fail),
    "precision": lambda j, threshold: at_threshold(j.failed, j.p_fail, threshold=threshold).precision,
    "recall": lambda j, threshold: at_threshold(j.failed, j.p_fail, threshold=threshold).recall,
    "f1": lambda j, threshold: at_threshold(j.failed, j.p_fail, threshold=threshold).f1,
    "flagged": lambda j, threshold: at_threshold(j.failed, j.p_fail, threshold=threshold).flagged,
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

    Checked: equal to the metrics of the drawn steps, one resample after the other (tests/critics/test_measures.py).
    """
    if resamples < 1 or not 0 < confidence < 1:
        raise InvalidInput(
            f"expected at least 1 resample and 0 < confidence < 1, got resamples = {resamples}, "
            f"confidence = {confidence!r}."
        )
    scored = ScoredTasks(judgements.failed, judgements.p_fail, judgements.tasks, threshold=threshold, bins=BINS)
    if scored.tasks < 2:
        raise InvalidInput("intervals resample whole tasks and need at least 2 of them, got steps of 1 task.")
    drawn = scored.measures(metrics, rng=rng, resamples=resamples)
    tail = 100 * (1 - confidence) / 2
    estimates: dict[str, Estimate | None] = {}
    for name in metrics:
        value, known = METRICS[name](judgements, threshold), drawn[name][np.isfinite(drawn[name])]
        if value is None or len(known) <= resamples / 2:
            estimates[name] = None
            continue
        low, high = np.percentile(known, [tail, 100 - tail])
        estimates[name] = Estimate(value=value, low=float(low), high=float(high), confidence=confidence)
    return estimates


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
            by_bucket[name] = clustered_estimates(part, _BY_BUCKET, **keywords)
    return CriticReport(
        episodes_failed=float(np.mean(judgements.failed)),
        steps=len(judgements.failed),
        tasks=len(np.unique(judgements.tasks)),
        threshold=threshold,
        overall=clustered_estimates(judgements, list(METRICS), **keywords),
        by_bucket=by_bucket,
        reliability=reliability_curve(judgements.failed, judgements.p_fail),
    )


def _checked(failed: ArrayLike, p_fail: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    y, p = np.asarray(failed), np.asarray(p_fail, dtype=np.float64)
    if y.ndim != 1 or y.shape != p.shape or not len(y):
        raise InvalidInput(f"expected one score for each of at least one outcome, got shapes {y.shape} and {p.shape}.")
    if y.dtype != np.bool_ and not np.isin(y, (0, 1)).all():
        raise InvalidInput("outcomes must be true (failed) or false; leave out episodes without outcome.")
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidInput("scores must be numbers in [0, 1]; leave out the steps at which the critic abstained.")
    return y.astype(bool), p


def _equal_mass(
    y: NDArray[np.bool_], p: NDArray[np.float64], *, bins: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    if bins < 1:
        raise InvalidInput(f"expected at least 1 bin, got {bins}.")
    _, group, counts = np.unique(p, return_inverse=True, return_counts=True)
    shared = np.bincount(group, weights=y, minlength=len(counts)) / counts
    order = np.argsort(p, kind="stable")
    used = min(bins, len(p))
    starts = np.arange(used, dtype=np.int64) * len(p) // used
    return starts, p[order], shared[group][order]
