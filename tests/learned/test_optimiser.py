import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from forbear.errors import InvalidInput
from forbear.learned.optimiser import minimise


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_solves_badly_scaled_least_squares(seed):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((30, 12)) * np.logspace(0, 1, 12)
    b = rng.standard_normal(30)
    found = minimise(
        lambda x: (float(0.5 * np.sum((a @ x - b) ** 2)), a.T @ (a @ x - b)),
        np.zeros(12),
        iterations=500,
        tolerance=1e-6,
    )
    assert found == pytest.approx(np.linalg.lstsq(a, b, rcond=None)[0], abs=1e-5)


def logistic(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((80, 6)), rng.random(80) < 0.4

    def objective(w):
        z = x @ w
        return float(np.sum(np.logaddexp(0, z) - y * z) + 0.5 * np.sum(w * w)), x.T @ (1 / (1 + np.exp(-z)) - y) + w

    return objective


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_agrees_with_scipy_on_penalised_logistic_regression(seed):
    objective = logistic(seed)
    theirs = minimize(objective, np.zeros(6), jac=True, method="BFGS", options={"gtol": 1e-8})
    assert minimise(objective, np.zeros(6), tolerance=1e-9) == pytest.approx(theirs.x, abs=1e-6)


def test_the_optimum_is_where_it_stays():
    objective = logistic(1)
    best = minimise(objective, np.zeros(6), tolerance=1e-9)
    assert minimise(objective, best, tolerance=1e-6).tolist() == best.tolist()


def test_an_objective_that_is_not_a_number_is_refused():
    with pytest.raises(InvalidInput, match="not finite"):
        minimise(lambda x: (float("nan"), x), np.ones(2))
