import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.critics.measures import (
    at_threshold,
    auroc,
    average_precision,
    brier,
    calibration_error,
    excess,
    log_loss,
    recall_at_precision,
    reliability_curve,
    roc_curve,
)
from forbear.errors import InvalidInput

REFERENCE = json.loads((Path(__file__).parents[1] / "data/reference/critic_metrics.json").read_text(encoding="utf-8"))

# Tenths: ties are the rule.
scored = st.lists(st.tuples(st.booleans(), st.integers(0, 10).map(lambda k: k / 10)), min_size=1, max_size=40)


def columns(rows):
    return [y for y, _ in rows], [p for _, p in rows]


@pytest.mark.parametrize("case", REFERENCE["cases"])
def test_matches_scikit_learn(case):
    y, p = case["failed"], case["p_fail"]
    assert auroc(y, p) == pytest.approx(case["auroc"], abs=1e-12)
    assert average_precision(y, p) == pytest.approx(case["average_precision"], abs=1e-12)
    assert brier(y, p) == pytest.approx(case["brier"], abs=1e-12)
    assert log_loss(y, p) == pytest.approx(case["log_loss"], abs=1e-12)
    assert at_threshold(y, p, threshold=0.5).f1 == pytest.approx(case["f1_at_half"], abs=1e-12)
    for least, recall in case["recall_at_precision"].items():
        assert recall_at_precision(y, p, precision=float(least)) == pytest.approx(recall, abs=1e-12)
    assert np.array(roc_curve(y, p)) == pytest.approx(np.array(case["roc"]), abs=1e-12)


@given(scored)
def test_the_area_below_the_roc_is_the_auroc(rows):
    curve = roc_curve(*columns(rows))
    if curve is None:
        assert auroc(*columns(rows)) is None
        return
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(curve))
    assert area == pytest.approx(auroc(*columns(rows)), abs=1e-12)


@given(scored, st.sampled_from([0.25, 0.5, 0.8, 1.0]))
def test_recall_at_a_precision_is_the_best_over_thresholds(rows, precision):
    y, p = map(np.array, columns(rows))
    flags = [p >= threshold for threshold in set(p)]
    reached = [(flag & y).sum() / y.sum() for flag in flags if y.any() and (flag & y).sum() >= precision * flag.sum()]
    expected = max(reached, default=0.0) if y.any() else None
    assert recall_at_precision(y, p, precision=precision) == (None if expected is None else pytest.approx(expected))


@given(scored)
def test_grades_are_ranked_as_probabilities_are(rows):
    y, p = columns(rows)
    grades = [round(16 * one) for one in p]
    shares = [grade / 16 for grade in grades]
    for metric in (auroc, average_precision, recall_at_precision, roc_curve):
        assert metric(y, grades) == metric(y, shares)
    with pytest.raises(InvalidInput, match="numbers in"):
        brier([1, 0], [16, 3])


def test_the_excess_is_the_mean_score_less_the_share_that_failed():
    assert excess([1, 0, 0, 0], [0.5, 0.5, 0.5, 0.1]) == pytest.approx(0.4 - 0.25)


@given(scored)
def test_auroc_is_the_share_of_pairs_in_order(rows):
    lost = [p for y, p in rows if y]
    won = [p for y, p in rows if not y]
    pairs = [(a > b) + 0.5 * (a == b) for a, b in itertools.product(lost, won)]
    expected = sum(pairs) / len(pairs) if pairs else None
    assert auroc(*columns(rows)) == (pytest.approx(expected, abs=1e-12) if pairs else None)


@given(scored)
def test_average_precision_is_the_sum_over_thresholds(rows):
    y, p = map(np.array, columns(rows))
    if not y.any():
        assert average_precision(y, p) is None
        return
    area, recalled = 0.0, 0
    for threshold in sorted(set(p), reverse=True):
        hits = int((y & (p >= threshold)).sum())
        area += (hits - recalled) / y.sum() * hits / (p >= threshold).sum()
        recalled = hits
    assert average_precision(y, p) == pytest.approx(area, abs=1e-12)


@given(scored, st.integers(0, 10).map(lambda k: k / 10))
def test_the_threshold_is_strict_and_counts_are_counts(rows, threshold):
    hits = sum(y and p > threshold for y, p in rows)
    false_alarms = sum(not y and p > threshold for y, p in rows)
    misses = sum(y and not p > threshold for y, p in rows)
    got = at_threshold(*columns(rows), threshold=threshold)
    assert got.precision == (pytest.approx(hits / (hits + false_alarms)) if hits + false_alarms else None)
    assert got.recall == (pytest.approx(hits / (hits + misses)) if hits + misses else None)
    total = 2 * hits + false_alarms + misses
    assert got.f1 == (pytest.approx(2 * hits / total) if total else None)
    assert got.flagged == pytest.approx((hits + false_alarms) / len(rows))


@given(scored, st.randoms(use_true_random=False))
def test_the_order_of_steps_does_not_matter(rows, random):
    shuffled = rows[:]
    random.shuffle(shuffled)
    for metric in (auroc, average_precision, brier, calibration_error):
        first, second = metric(*columns(rows)), metric(*columns(shuffled))
        assert first == (None if second is None else pytest.approx(second, abs=1e-12))


@given(scored, st.integers(1, 20))
def test_bins_are_of_equal_mass_and_keep_the_means(rows, bins):
    y, p = columns(rows)
    curve = reliability_curve(y, p, bins=bins)
    counts = [one.count for one in curve]
    assert len(curve) == min(bins, len(rows))
    assert sum(counts) == len(rows)
    assert max(counts) - min(counts) <= 1
    assert all(a.high <= b.low for a, b in itertools.pairwise(curve))
    assert sum(one.count * one.failure_rate for one in curve) == pytest.approx(sum(y))
    assert sum(one.count * one.mean_p_fail for one in curve) == pytest.approx(sum(p))


def test_calibration_error_by_hand():
    # Two bins of two: |(.1 + .2)/2 − ½| = .35 and |(.7 + .8)/2 − 1| = .25.
    assert calibration_error([0, 1, 1, 1], [0.1, 0.2, 0.7, 0.8], bins=2) == pytest.approx(0.30)
    # One tie across all bins: the score against the failure rate.
    assert calibration_error([1, 0, 0, 0], [0.5] * 4, bins=2) == pytest.approx(0.25)


@pytest.mark.statistical
def test_debiasing_removes_what_chance_adds_to_a_calibrated_critic():
    rng = np.random.default_rng(11)
    plain, debiased, off = [], [], []
    for _ in range(400):
        p = rng.random(300)
        y = rng.random(300) < p
        plain.append(calibration_error(y, p))
        debiased.append(calibration_error(y, p, debiased=True))
        off.append(calibration_error(y, np.clip(p + 0.2, 0, 1), debiased=True))
    # The plug-in adds about √(2/π)·√(p(1−p)/20) ≈ .07 here; clipping at 0 leaves a little.
    assert np.mean(plain) > 0.06
    assert np.mean(debiased) < 0.65 * np.mean(plain)
    # |p + .2 − p| but for the fifth that is clipped at 1: .8·.2 + .2·.1.
    assert np.mean(off) == pytest.approx(0.18, abs=4 * np.std(off) / 20 + 0.01)


def test_log_loss_of_a_wrong_certainty_is_infinite():
    assert log_loss([1, 0], [0.0, 0.0]) == np.inf
    assert log_loss([1, 0], [1.0, 0.0]) == 0.0


@pytest.mark.parametrize(
    ("failed", "p_fail", "sentence"),
    [
        ([], [], "at least one outcome"),
        ([1, 0], [0.1], "one score for each"),
        ([1, 2], [0.1, 0.2], "leave out episodes without outcome"),
        ([1, 0], [0.1, float("nan")], "abstained"),
        ([1, 0], [0.1, float("inf")], "finite"),
    ],
)
def test_unusable_input_is_refused(failed, p_fail, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        auroc(failed, p_fail)
