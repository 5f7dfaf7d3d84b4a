"""How good a critic's scores are, offline (METHODS 8). What is undefined is None, never NaN and never 0.

A critic that predicts well may still do harm when it acts: these numbers stand beside the paired gain and never
replace it.

Every function takes `failed`, shape (n,), whether the episode that the scored step belongs to failed, and `p_fail`,
shape (n,), what the critic said, in [0, 1]; those that only compare scores take any finite numbers, such as grades from
0 to 16. Order does not matter: steps with tied scores are interchangeable.

How each was checked: tests/critics/test_measures.py, against brute force over pairs, thresholds and bins, and against
values of scikit-learn 1.9 where it defines the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from forbear.critics.resampled import calibration_error_of
from forbear.errors import InvalidInput

BINS = 15
"""Equal-mass bins of the calibration error."""

PRECISION = 0.8
"""At which recall is asked for: four of five alarms are right."""


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


def auroc(failed: ArrayLike, p_fail: ArrayLike) -> float | None:
    """Probability that a step of a failed episode scores above one of a successful episode, ties counted half.

    Returns:
        In [0, 1]; None unless both kinds occur. Source: Mann & Whitney 1947, by midranks.
    """
    y, p = ranked(failed, p_fail)
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
    y, p = ranked(failed, p_fail)
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
    y, p = ranked(failed, p_fail)
    if not y.any():
        return None
    _, hits_to, flags_to = _by_falling_score(y, p)
    return float(np.where(hits_to / flags_to >= precision, hits_to, 0.0).max() / hits_to[-1])


def roc_curve(failed: ArrayLike, p_fail: ArrayLike) -> tuple[tuple[float, float], ...] | None:
    """Corners of the ROC: shares of successes and of failures at or above each distinct score, from (0, 0) to (1, 1).

    The area below the lines between them is `auroc`. None unless both outcomes occur.
    """
    y, p = ranked(failed, p_fail)
    if y.all() or not y.any():
        return None
    _, hits_to, flags_to = _by_falling_score(y, p)
    alarms = (flags_to - hits_to) / (flags_to[-1] - hits_to[-1])
    return ((0.0, 0.0), *zip(alarms.tolist(), (hits_to / hits_to[-1]).tolist(), strict=True))


def excess(failed: ArrayLike, p_fail: ArrayLike) -> float:
    """Mean score less the share that failed, in [-1, 1]: far from 0, the base rate is not the one that was learned."""
    y, p = checked(failed, p_fail)
    return float(np.mean(p) - np.mean(y))


def brier(failed: ArrayLike, p_fail: ArrayLike) -> float:
    """Mean squared distance between score and outcome, in [0, 1]; lower is better. Source: Brier 1950."""
    y, p = checked(failed, p_fail)
    return float(np.mean((p - y) ** 2))


def log_loss(failed: ArrayLike, p_fail: ArrayLike) -> float:
    """Mean negative log-likelihood in nats; inf where a score of 0 or 1 was wrong, for that is what was claimed."""
    y, p = checked(failed, p_fail)
    with np.errstate(divide="ignore"):
        return float(np.mean(-np.log(np.where(y, p, 1.0 - p))))


def at_threshold(failed: ArrayLike, p_fail: ArrayLike, *, threshold: float) -> AtThreshold:
    """Precision, recall and F1 of acting where p_fail > threshold (strictly, as a policy does)."""
    y, p = ranked(failed, p_fail)
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
    y, p = checked(failed, p_fail)
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


def checked(failed: ArrayLike, p_fail: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """As `ranked`, and the scores are probabilities."""
    y, p = ranked(failed, p_fail)
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidInput("scores must be numbers in [0, 1]; leave out the steps at which the critic abstained.")
    return y, p


def ranked(failed: ArrayLike, p_fail: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Outcomes and scores as arrays.

    Raises:
        InvalidInput: Not one score for each of at least one outcome, other outcomes than true and false, or scores that
            are not finite.
    """
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
