import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit

from forbear.critics.calibration import fit_temperature
from forbear.critics.measures import log_loss
from forbear.errors import InvalidInput


def drawn(seed, temperature, n):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal(n) * temperature
    return rng.random(n) < 1 / (1 + np.exp(-logits / temperature)), logits


@given(st.integers(0, 10_000), st.sampled_from([0.5, 1.0, 3.0]))
def test_no_other_temperature_is_likelier(seed, temperature):
    failed, logits = drawn(seed, temperature, 80)

    def nll(log_t):
        return log_loss(failed, expit(logits / np.exp(log_t)))

    best = fit_temperature(failed, logits)
    other = minimize_scalar(nll, bounds=(np.log(0.02), np.log(50)), method="bounded")
    assert nll(np.log(best)) <= other.fun + 1e-9


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_finds_the_temperature_that_made_the_outcomes(temperature):
    failed, logits = drawn(1, temperature, 20_000)
    assert fit_temperature(failed, logits) == pytest.approx(temperature, rel=0.05)


def test_a_weight_counts_like_a_repeat():
    failed, logits = drawn(4, 1.5, 60)
    weights = np.arange(60) % 3
    repeated = np.repeat(np.arange(60), weights)
    assert fit_temperature(failed, logits, weights=weights) == pytest.approx(
        fit_temperature(failed[repeated], logits[repeated]), rel=1e-9
    )


def test_extremes_stay_in_range():
    assert fit_temperature([1, 0], [3.0, -3.0]) == 0.02  # separated: as sure as allowed
    assert fit_temperature([0, 1], [3.0, -3.0]) == 50.0  # misleading: as unsure as allowed
    assert fit_temperature([1, 0], [0.0, 0.0]) == 50.0


@pytest.mark.parametrize(("failed", "logits"), [([], []), ([1], [1.0, 2.0]), ([1, 0], [np.inf, 0.0])])
def test_unusable_input_is_refused(failed, logits):
    with pytest.raises(InvalidInput):
        fit_temperature(failed, logits)
