import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from forbear import InvalidInput
from forbear.stats.intervals import tango_statistic
from forbear.stats.power import tasks_needed


def score_power(n, gain, discordance, margin, z=1.6448536269514722):
    """Exact power of the one-sided score test at .05, by enumeration."""
    recovered, disrupted, _ = reference.lattice(n)
    statistic = tango_statistic(recovered.astype(float), disrupted.astype(float), n=n, gain=margin)
    rejected = statistic > z if gain > margin else statistic < -z
    return reference.masses(n, gain, discordance)[rejected].sum()


@pytest.mark.parametrize(
    ("gain", "discordance", "margin"),
    [
        (0.10, 0.14, 0.0),
        (0.15, 0.30, 0.0),
        (-0.10, 0.20, 0.02),
        (0.2, 0.4, 0.05),
        (0.0, 0.10, 0.08),
        (-0.25, 0.35, 0.0),
    ],
)
def test_the_named_size_has_about_the_asked_power(gain, discordance, margin):
    n = tasks_needed(gain=gain, discordance=discordance, margin=margin)
    # Lattice steps move the power of one size; the mean over neighbours is what the approximation speaks of.
    powers = [score_power(m, gain, discordance, margin) for m in range(n - 3, n + 4)]
    assert np.mean(powers) == pytest.approx(0.8, abs=0.06)


def test_mcnemar_sample_size():
    # Miettinen (1968) at margin 0: ((1.645·√.14 + .842·√(.14 − .01))/.10)² = 84.4.
    assert tasks_needed(gain=0.10, discordance=0.14) == 85


def test_without_discordance_the_upper_limit_decides():
    # Tango's one-sided upper limit without discordant pairs is z²/(N + z²): below .02 from N = 133 on.
    assert tasks_needed(gain=0.0, discordance=0.0, margin=0.02) == 133


@given(st.floats(0.01, 0.5), st.floats(0.0, 0.4), st.floats(0.5, 0.95))
def test_more_is_needed_for_less(gain, extra, power):
    n = tasks_needed(gain=gain, discordance=gain + extra, power=power)
    assert n >= tasks_needed(gain=gain, discordance=gain + extra, power=power - 0.2)
    assert n >= tasks_needed(gain=gain, discordance=gain + extra, power=power, alpha=0.1)
    assert n <= tasks_needed(gain=gain, discordance=gain + extra, power=power, margin=gain / 2)
    assert tasks_needed(gain=-gain, discordance=gain + extra, power=power) == n


def test_no_number_of_tasks_tells_a_gain_from_itself():
    assert tasks_needed(gain=0.02, discordance=0.1, margin=0.02) is None
    for tiny in (5e-324, 1e-200, 1e-12):
        assert tasks_needed(gain=tiny, discordance=0.1) is None


@pytest.mark.parametrize(
    "keywords",
    [
        {"gain": 0.2, "discordance": 0.1},
        {"gain": 0.2, "discordance": 1.1},
        {"gain": 0.2, "discordance": 0.3, "power": 0.01},
        {"gain": 0.2, "discordance": 0.3, "alpha": 0.0},
        {"gain": 0.2, "discordance": 0.3, "margin": 1.0},
        {"gain": float("nan"), "discordance": 0.3},
    ],
)
def test_impossible_questions(keywords):
    with pytest.raises(InvalidInput):
        tasks_needed(**keywords)
