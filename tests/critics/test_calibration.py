import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit

from forbear.critics.calibration import StepLines, fit_step_lines, fit_temperature
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


def with_lines(seed, n, slope, shift):
    """Outcomes of which the logits tell, by a known line of each step."""
    rng = np.random.default_rng(seed)
    logits, steps = 1.5 * rng.standard_normal(n), rng.integers(0, len(slope), n)
    return rng.random(n) < expit(slope[steps] * logits + shift[steps]), logits, steps


def test_step_lines_are_the_likeliest_polynomials():
    failed, logits, steps = with_lines(1, 600, np.array([0.5, 1.0, 2.0]), np.array([0.0, -1.0, 1.0]))
    found = fit_step_lines(failed, logits, steps, last=2, degree=1)
    u = steps / 2
    columns = np.column_stack([logits, logits * u, np.ones_like(u), u])
    best = minimize(lambda theta: np.sum(np.logaddexp(0, columns @ theta) - failed * (columns @ theta)), np.zeros(4)).x
    at = np.arange(3) / 2
    # The small penalty that keeps separated outcomes finite moves the lines a little.
    np.testing.assert_allclose(found.slope, best[0] + best[1] * at, atol=5e-3)
    np.testing.assert_allclose(found.shift, best[2] + best[3] * at, atol=5e-3)


def test_known_step_lines_are_found_again():
    slope, shift = np.linspace(0.6, 1.4, 6), np.array([-0.5, -0.4, -0.1, 0.3, 0.9, 1.6])
    n, cover = 6000, []
    for seed in range(10):
        found = fit_step_lines(*with_lines(seed, n, slope, shift), last=5)
        cover.append(np.abs(found(1.0, np.arange(6)) - (slope + shift)))
    # A line of 1,000 steps has a standard error of about .1 at a logit of 1; polynomials borrow from their neighbours.
    assert np.mean(cover) < 0.1


@given(st.integers(0, 1000), st.integers(0, 4))
def test_step_lines_keep_the_order_within_a_step(seed, degree):
    rng = np.random.default_rng(seed)
    failed = np.arange(30) % 2 == 0
    lines = fit_step_lines(failed, rng.standard_normal(30), rng.integers(0, 9, 30), last=4, degree=degree)
    assert len(lines.slope) == 5
    for step in (0, 4, 8):
        assert (np.diff(lines([-2.0, 0.0, 3.0], [step] * 3)) >= 0).all()


def test_separated_outcomes_give_finite_step_lines():
    logits = np.array([-1.0, -2.0, 1.0, 2.0])
    lines = fit_step_lines(logits > 0, logits, [0, 1, 0, 1], last=1)
    assert np.isfinite(lines(logits, [0, 1, 0, 1])).all()


@pytest.mark.parametrize(
    ("failed", "logits", "steps", "options"),
    [
        ([], [], [], {}),
        ([True, True], [0.0, 1.0], [0, 0], {}),
        ([True, False], [0.0, np.nan], [0, 0], {}),
        ([True, False], [0.0, 1.0], [0], {}),
        ([True, False], [0.0, 1.0], [0, -1], {}),
        ([True, False], [0.0, 1.0], [0, 1], {"last": 0}),
        ([True, False], [0.0, 1.0], [0, 1], {"degree": -1}),
    ],
)
def test_step_lines_of_nothing_are_refused(failed, logits, steps, options):
    with pytest.raises(InvalidInput):
        fit_step_lines(failed, logits, steps, **{"last": 1, **options})


def test_step_lines_are_as_many_slopes_as_shifts():
    for slope, shift in (([], []), ([1.0], [1.0, 2.0]), ([-1.0], [0.0]), ([np.inf], [0.0]), ([1.0], [1e9])):
        with pytest.raises(InvalidInput):
            StepLines(slope=np.array(slope), shift=np.array(shift))
