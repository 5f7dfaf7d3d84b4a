import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.critics.measures import (
    METRICS,
    Judgements,
    at_threshold,
    auroc,
    average_precision,
    brier,
    calibration_error,
    clustered_estimates,
    compare_critics,
    evaluate_critic,
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


def test_grades_have_measures_of_their_order_and_no_others():
    some = replace(judgements(np.random.default_rng(6), tasks=20, steps=3), ordinal=True)
    some = replace(some, p_fail=np.round(16 * some.p_fail))
    report = evaluate_critic(some, rng=np.random.default_rng(0), threshold=8, resamples=50)
    assert report.overall["auroc"].value == metric(some)
    assert "brier" not in report.overall
    assert report.reliability == ()
    with pytest.raises(InvalidInput, match="brier cannot be said"):
        clustered_estimates(some, ["brier"], rng=np.random.default_rng(0))


def test_the_excess_is_the_mean_score_less_the_share_that_failed():
    assert excess([1, 0, 0, 0], [0.5, 0.5, 0.5, 0.1]) == pytest.approx(0.4 - 0.25)


def test_differences_are_those_of_the_metrics_on_each_resample():
    rng = np.random.default_rng(8)
    first = judgements(rng, tasks=30, steps=4)
    second = replace(first, p_fail=np.round(1 - first.p_fail / 2, 1))
    names = ["auroc", "first_step_auroc", "f1", "brier"]
    compared = compare_critics(first, {"other": second}, names, rng=np.random.default_rng(3), resamples=60)["other"]
    found = compared.differences
    draws, values = np.random.default_rng(int(np.random.default_rng(3).integers(1 << 63))), {name: [] for name in names}
    for _ in range(60):
        drawn = draws.integers(30, size=30)
        rows = np.concatenate([np.flatnonzero(first.tasks == task) for task in drawn])
        for name in names:
            values[name].append(METRICS[name](first.where(rows), 0.6) - METRICS[name](second.where(rows), 0.6))
    for name in names:
        low, high = np.percentile(values[name], [2.5, 97.5])
        assert (found[name].low, found[name].high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
        assert found[name].value == METRICS[name](first, 0.6) - METRICS[name](second, 0.6)
    assert {name: one.value for name, one in compared.estimates.items()} == {
        name: METRICS[name](second, 0.6) for name in names
    }
    itself = compare_critics(first, {"it": first}, names, rng=rng, resamples=20)["it"].differences
    assert {(one.low, one.value, one.high) for one in itself.values()} == {(0.0, 0.0, 0.0)}
    with pytest.raises(InvalidInput, match="same steps"):
        compare_critics(first, {"later": second.where(first.steps > 0)}, names, rng=rng)


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


def judgements(rng, *, tasks, steps, effect=1.0):
    """Steps of one task share outcome and a shift of their scores, as those of an episode do."""
    failed = np.repeat(rng.random(tasks) < 0.5, steps)
    logit = (
        effect * (failed - 0.5) + np.repeat(rng.standard_normal(tasks), steps) + 0.3 * rng.standard_normal(len(failed))
    )
    return Judgements(
        failed=failed,
        p_fail=1 / (1 + np.exp(-logit)),
        tasks=np.repeat(np.arange(tasks), steps),
        steps=np.tile(np.arange(steps), tasks),
    )


def metric(j):
    return auroc(j.failed, j.p_fail)


@pytest.mark.slow
@pytest.mark.parametrize("rounded", [None, 1], ids=["distinct scores", "tied scores"])
@pytest.mark.parametrize(("tasks", "steps"), [(25, 4), (2, 3)])
def test_intervals_are_those_of_the_metrics_on_each_resample(rounded, tasks, steps):
    some = judgements(np.random.default_rng(2), tasks=tasks, steps=steps)
    scores = some.p_fail if rounded is None else np.round(some.p_fail, rounded)  # 0 and 1 among them
    # A critic that stayed away from some steps: tasks have different numbers of them.
    some = replace(some, p_fail=scores).where((some.steps > 0) | (some.tasks % 3 == 0))
    found = clustered_estimates(some, list(METRICS), rng=np.random.default_rng(4), resamples=80)
    rng, values = np.random.default_rng(4), {name: [] for name in METRICS}
    for _ in range(80):
        drawn = rng.integers(tasks, size=tasks)
        sample = some.where(np.concatenate([np.flatnonzero(some.tasks == task) for task in drawn]))
        for name, metric_of in METRICS.items():
            values[name].append(metric_of(sample, 0.6))
    for name, estimate in found.items():
        kept = [value for value in values[name] if value is not None and np.isfinite(value)]
        if len(kept) <= 40:
            assert estimate is None
            continue
        low, high = np.percentile(kept, [2.5, 97.5])
        assert (estimate.low, estimate.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
        assert estimate.value == METRICS[name](some, 0.6)


def test_repeating_every_step_narrows_no_interval():
    rng = np.random.default_rng(3)
    once = judgements(rng, tasks=40, steps=4)
    twice = once.where(np.repeat(np.arange(len(once.failed)), 5))
    widths = []
    for one in (once, twice):
        estimate = clustered_estimates(one, ["auroc"], rng=np.random.default_rng(0), resamples=300)["auroc"]
        widths.append(estimate.high - estimate.low)
    assert widths[1] == pytest.approx(widths[0], rel=1e-9)
    assert widths[0] > 0.05


@pytest.mark.statistical
def test_intervals_over_tasks_cover():
    truth = np.random.default_rng(1)
    big = judgements(truth, tasks=40_000, steps=2)
    expected, hits, runs = metric(big), 0, 150
    for run in range(runs):
        sample = judgements(np.random.default_rng([9, run]), tasks=60, steps=5)
        interval = clustered_estimates(
            sample, ["auroc"], rng=np.random.default_rng(run), resamples=200, confidence=0.9
        )["auroc"]
        hits += interval.low <= expected <= interval.high
    # Nominal .90 less .03 for the percentile interval at 60 tasks, and three binomial standard errors (.025).
    assert hits / runs > 0.90 - 0.03 - 3 * np.sqrt(0.9 * 0.1 / runs)


def test_a_report_says_what_is_undefined():
    rng = np.random.default_rng(5)
    some = judgements(rng, tasks=30, steps=12)
    report = evaluate_critic(some, rng=rng, threshold=0.999999, resamples=100)
    assert report.overall["auroc"].value == metric(some)
    assert report.overall["auroc"].low <= report.overall["auroc"].value <= report.overall["auroc"].high
    assert report.overall["precision"] is None  # nothing was flagged
    assert report.overall["recall"].value == 0.0
    assert list(report.by_bucket) == ["0-4", "5-9", "10-14"]
    late = some.where(some.steps >= 10)
    assert report.by_bucket["10-14"]["auroc"].value == metric(late)
    assert (report.tasks, report.steps) == (30, 360)


def test_one_task_has_no_interval():
    one = Judgements.of(failed=[True, True], p_fail=[0.5, 0.6], tasks=["a", "a"], steps=[0, 1])
    with pytest.raises(InvalidInput, match="at least 2"):
        clustered_estimates(one, ["auroc"], rng=np.random.default_rng(0))


def test_columns_must_have_the_same_length():
    with pytest.raises(InvalidInput, match="every column"):
        Judgements.of(failed=[True], p_fail=[0.5], tasks=["a"], steps=[0, 1])
