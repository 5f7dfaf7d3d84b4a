from dataclasses import replace

import numpy as np
import pytest

from forbear.critics.estimates import METRICS, Judgements, clustered_estimates, compare_critics, evaluate_critic
from forbear.critics.measures import auroc
from forbear.errors import InvalidInput


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


def test_grades_have_measures_of_their_order_and_no_others():
    some = replace(judgements(np.random.default_rng(6), tasks=20, steps=3), ordinal=True)
    some = replace(some, p_fail=np.round(16 * some.p_fail))
    report = evaluate_critic(some, rng=np.random.default_rng(0), threshold=8, resamples=50)
    assert report.overall["auroc"].value == metric(some)
    assert "brier" not in report.overall
    assert report.reliability == ()
    with pytest.raises(InvalidInput, match="brier cannot be said"):
        clustered_estimates(some, ["brier"], rng=np.random.default_rng(0))


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
