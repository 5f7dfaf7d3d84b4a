import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from forbear.critics.calibrators import METHODS, Calibrator, choose_calibrator, fit_calibrator
from forbear.critics.estimates import Judgements
from forbear.critics.measures import auroc, calibration_error, log_loss
from forbear.errors import InvalidInput

REFERENCE = json.loads((Path(__file__).parents[1] / "data/reference/critic_metrics.json").read_text(encoding="utf-8"))

rows_of_both = st.lists(
    st.tuples(st.booleans(), st.integers(0, 10).map(lambda k: k / 10)), min_size=2, max_size=40
).filter(lambda rows: len({y for y, _ in rows}) == 2)


@pytest.mark.parametrize("case", REFERENCE["cases"])
def test_matches_scikit_learn(case):
    y, p = case["failed"], case["p_fail"]
    # scikit-learn maximises without the penalty of 1e-9 a row.
    assert fit_calibrator("platt", y, p).parameters == pytest.approx(case["platt"], rel=1e-5)
    if min(case["beta"][:2]) >= 0:
        assert fit_calibrator("beta", y, p).parameters == pytest.approx(case["beta"], rel=1e-4)
    edge = 1 / (len(y) + 2)
    isotonic = np.clip(case["isotonic"]["gives"], edge, 1 - edge)
    assert fit_calibrator("isotonic", y, p)(case["isotonic"]["at"]) == pytest.approx(isotonic, abs=1e-12)


@given(rows_of_both, st.sampled_from(METHODS))
def test_a_map_rises_and_stays_a_probability(rows, method):
    y, p = [y for y, _ in rows], [p for _, p in rows]
    fitted = fit_calibrator(method, y, p, np.arange(len(y)) % 3)
    for step in (0, 1, 7):
        values = fitted(np.linspace(0, 1, 41), np.full(41, step))
        assert (np.diff(values) >= -1e-12).all()
        assert ((values >= 0) & (values <= 1)).all()


@given(rows_of_both)
def test_isotonic_is_the_nearest_rising_map(rows):
    """By its definition, the largest of the smallest mean: max over starts of min over ends of the mean outcome."""
    y, p = np.array([y for y, _ in rows], dtype=float), np.array([p for _, p in rows])
    fitted, edge = fit_calibrator("isotonic", y, p), 1 / (len(y) + 2)
    scores = sorted(set(p))
    for place, score in enumerate(scores):
        expected = max(
            min(y[(p >= first) & (p <= last)].mean() for last in scores[place:]) for first in scores[: place + 1]
        )
        assert fitted(score) == pytest.approx(np.clip(expected, edge, 1 - edge), abs=1e-12)


@given(rows_of_both, st.sampled_from(["platt", "beta"]))
def test_no_neighbour_is_likelier(rows, method):
    y, p = np.array([y for y, _ in rows]), np.clip([p for _, p in rows], 0.05, 0.95)
    fitted = fit_calibrator(method, y, p)

    def loss(parameters):
        slopes = np.array(parameters[:-1])
        return log_loss(y, np.clip(Calibrator(method=method, parameters=parameters)(p), 1e-12, 1 - 1e-12)) + (
            0.5e-9 * slopes @ slopes
        )

    best = loss(fitted.parameters)
    for place, step in itertools.product(range(len(fitted.parameters)), (-0.01, 0.01)):
        near = list(fitted.parameters)
        near[place] += step
        if min(near[:-1]) >= 0:
            assert loss(tuple(near)) >= best - 1e-9


def distorted(seed, *, tasks, distort):
    rng = np.random.default_rng(seed)
    truth = expit(1.2 * rng.standard_normal(tasks))
    failed, p = np.repeat(rng.random(tasks) < truth, 4), np.repeat(truth, 4)
    noise = np.clip(distort(p) + 0.002 * rng.standard_normal(len(p)), 0.001, 0.999)
    return Judgements(failed=failed, p_fail=noise, tasks=np.repeat(np.arange(tasks), 4), steps=np.tile(range(4), tasks))


@pytest.mark.parametrize(
    ("distort", "needed"),
    [
        (lambda p: expit(3 * logit(p)), METHODS),
        (lambda p: expit(0.5 * logit(p) - 1.5), ("platt", "beta", "isotonic")),
        (lambda p: np.where(p < 0.5, 0.1 * p, 0.9 + 0.1 * p), ("platt", "beta", "isotonic")),
    ],
    ids=["too sure", "another base rate", "two heaps"],
)
def test_the_best_by_held_out_loss_mends_the_scores(distort, needed):
    learned, fresh = distorted(1, tasks=600, distort=distort), distorted(2, tasks=600, distort=distort)
    chosen = choose_calibrator(learned)
    assert chosen.calibrator.method in needed
    mended = chosen.calibrator(fresh.p_fail, fresh.steps)
    assert calibration_error(fresh.failed, mended) < 0.5 * calibration_error(fresh.failed, fresh.p_fail)
    assert chosen.held_out_log_loss[chosen.calibrator.method] < chosen.held_out_log_loss["none"]
    assert auroc(fresh.failed, mended) == pytest.approx(auroc(fresh.failed, fresh.p_fail), abs=0.01)


def test_where_the_step_tells_what_the_score_does_not_the_map_is_by_step():
    rng = np.random.default_rng(3)
    truth = expit(rng.standard_normal((2, 500, 4)) + np.array([-2.0, -1.0, 0.5, 2.0]))
    failed, steps = rng.random(truth.shape) < truth, np.tile(range(4), 500)
    learned, fresh = (
        Judgements(
            failed=failed[part].ravel(),
            p_fail=expit(logit(truth[part]) - np.array([-2.0, -1.0, 0.5, 2.0])).ravel(),
            tasks=np.repeat(range(500), 4),
            steps=steps,
        )
        for part in (0, 1)
    )
    chosen = choose_calibrator(learned)
    assert chosen.calibrator.method == "by-step"
    assert np.abs(chosen.calibrator(fresh.p_fail, steps) - truth[1].ravel()).mean() < 0.05
    # Later steps are as the last that was met often enough.
    assert chosen.calibrator(0.5, 3) == chosen.calibrator(0.5, 50)


def test_held_out_means_that_no_task_predicts_itself():
    """Scores that name their task: within a fold they say everything, on other tasks nothing."""
    rng = np.random.default_rng(0)
    failed = np.repeat(rng.random(100) < 0.5, 5)
    some = Judgements(
        failed=failed,
        p_fail=np.repeat(rng.random(100), 5),
        tasks=np.repeat(range(100), 5),
        steps=np.tile(range(5), 100),
    )
    chosen = choose_calibrator(some, methods=["isotonic"])
    fitted = log_loss(some.failed, chosen.calibrator(some.p_fail, some.steps))
    assert chosen.held_out_log_loss["isotonic"] > 0.69 > fitted


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: fit_calibrator("platt", [1, 1], [0.1, 0.2]), "all ended alike"),
        (lambda: fit_calibrator("platt", [1, 0], [0.1, float("nan")]), "finite"),
        (lambda: fit_calibrator("magic", [1, 0], [0.1, 0.2]), "one of temperature"),
        (lambda: Calibrator(method="platt", parameters=(-1.0, 0.0)), "no rising map"),
        (lambda: Calibrator(method="isotonic", parameters=(0.5, 0.1, 0.2, 0.3)), "no rising map"),
        (lambda: Calibrator(method="temperature", parameters=(float("nan"),)), "no rising map"),
        (lambda: fit_calibrator("by-step", [1, 0], [0.1, 0.2]), "needs the index of each step"),
        (lambda: Calibrator(method="by-step", parameters=(1.0, 0.0))(0.5), "needs the index of each step"),
        (lambda: Calibrator(method="by-step", parameters=(1.0, 0.0, 0.0)), "as many slopes as shifts"),
        (lambda: Calibrator(method="by-step", parameters=(-1.0, 0.0)), "slopes must lie in"),
        (lambda: Calibrator(method="by-step", parameters=()), "as many slopes as shifts"),
    ],
)
def test_what_cannot_be_fitted_is_refused(make, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        make()


def test_too_few_tasks_and_grades_are_refused():
    few = Judgements.of(failed=[True, False], p_fail=[0.2, 0.3], tasks=["a", "b"], steps=[0, 0])
    with pytest.raises(InvalidInput, match="at least as many tasks, got 2"):
        choose_calibrator(few)
    grades = Judgements.of(failed=[True, False], p_fail=[2, 3], tasks=["a", "b"], steps=[0, 0], ordinal=True)
    with pytest.raises(InvalidInput, match="no probabilities"):
        choose_calibrator(grades)
