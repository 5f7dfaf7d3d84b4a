"""How good a critic's scores are, offline (METHODS 8). What is undefined is None, never NaN and never 0.

A critic that predicts well may still do harm when it acts: these numbers stand beside the paired gain and never
replace it.

Every function takes `failed`, shape (n,), whether the episode that the scored step belongs to failed, and `p_fail`,
shape (n,), what the critic said, in [0, 1]; those that only compare scores take any finite numbers, such as grades from
0 to 16. Order does not matter: steps with tied scores are interchangeable.

How each was checked: tests/critics/test_measures.py, against brute force over pairs, thresholds and bins, and against
values of scikit-learn 1.9 where it defines the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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

PRECISION = 0.8
"""At which recall is asked for: four of five alarms are right."""


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
        (_ranked if self.ordinal else _checked)(self.failed, self.p_fail)

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
    false_positive_rate: float | None
    """Share of steps of successful episodes that were flagged; None without successes."""


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
    """Empty where the scores are grades."""


def auroc(failed: ArrayLike, p_fail: ArrayLike) -> float | None:
    """Probability that a step of a failed episode scores above one of a successful episode, ties counted half.

    Returns:
        In [0, 1]; None unless both kinds occur. Source: Mann & Whitney 1947, by midranks.
    """
    y, p = _ranked(failed, p_fail)
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
    y, p = _ranked(failed, p_fail)
    if not y.any():
        return None
    hits, hits_to, flags_to = _by_falling_score(y, p)
    return float((hits * (hits_to / flags_to)).sum() / hits_to[-1])


def recall_at_precision(failed: ArrayLike, p_fail: ArrayLike, *, precision: float = PRECISION) -> float | None:
    """Largest share of failures that some threshold catches with at least this precision.

    Returns:
        In [0, 1]; 0 where no threshold is that precise, for then nothing may be flagged. None without failures.

    Raises:
        InvalidInput: precision not in (0, 1].
    """
    if not 0 < precision <= 1:
        raise InvalidInput(f"precision must be above 0 and at most 1, got {precision!r}.")
    y, p = _ranked(failed, p_fail)
    if not y.any():
        return None
    _, hits_to, flags_to = _by_falling_score(y, p)
    return float(np.where(hits_to / flags_to >= precision, hits_to, 0.0).max() / hits_to[-1])


def roc_curve(failed: ArrayLike, p_fail: ArrayLike) -> tuple[tuple[float, float], ...] | None:
    """Corners of the ROC: shares of successes and of failures at or above each distinct score, from (0, 0) to (1, 1).

    The area below the lines between them is `auroc`. None unless both outcomes occur.
    """
    y, p = _ranked(failed, p_fail)
    if y.all() or not y.any():
        return None
    _, hits_to, flags_to = _by_falling_score(y, p)
    alarms = (flags_to - hits_to) / (flags_to[-1] - hits_to[-1])
    return ((0.0, 0.0), *zip(alarms.tolist(), (hits_to / hits_to[-1]).tolist(), strict=True))


def excess(failed: ArrayLike, p_fail: ArrayLike) -> float:
    """Mean score less the share that failed, in [-1, 1]: far from 0, the base rate is not the one that was learned."""
    y, p = _checked(failed, p_fail)
    return float(np.mean(p) - np.mean(y))


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
    y, p = _ranked(failed, p_fail)
    flagged = p > threshold
    hits, flags, failures = int((flagged & y).sum()), int(flagged.sum()), int(y.sum())
    successes = len(y) - failures
    return AtThreshold(
        threshold=threshold,
        precision=hits / flags if flags else None,
        recall=hits / failures if failures else None,
        f1=2 * hits / (flags + failures) if flags + failures else None,
        flagged=flags / len(y),
        false_positive_rate=(flags - hits) / successes if successes else None,
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

    Checked: equal to the metrics of the drawn steps, one resample after the other (tests/critics/test_measures.py).
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


def _checked(failed: ArrayLike, p_fail: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    y, p = _ranked(failed, p_fail)
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidInput("scores must be numbers in [0, 1]; leave out the steps at which the critic abstained.")
    return y, p


def _ranked(failed: ArrayLike, p_fail: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    y, p = np.asarray(failed), np.asarray(p_fail, dtype=np.float64)
    if y.ndim != 1 or y.shape != p.shape or not len(y):
        raise InvalidInput(f"expected one score for each of at least one outcome, got shapes {y.shape} and {p.shape}.")
    if y.dtype != np.bool_ and not np.isin(y, (0, 1)).all():
        raise InvalidInput("outcomes must be true (failed) or false; leave out episodes without outcome.")
    if not np.isfinite(p).all():
        raise InvalidInput("scores must be finite numbers; leave out the steps at which the critic abstained.")
    return y.astype(bool), p


def _by_falling_score(
    y: NDArray[np.bool_], p: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Failures at each distinct score, and failures and steps at it or above."""
    _, group, counts = np.unique(-p, return_inverse=True, return_counts=True)
    hits = np.bincount(group, weights=y, minlength=len(counts)).astype(np.float64)
    return hits, np.cumsum(hits), np.cumsum(counts).astype(np.float64)


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
