from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special, stats

from forbear.stats.dirichlet import Units, dirichlet_tail, mean_limits, mean_pvalue, units_needed

WEIGHTS = st.sampled_from([0.5, 0.55, 0.7, 1.0])
DIFFERENCES = st.lists(st.sampled_from([-1.0, -0.5, -1 / 3, 0.0, 0.25, 2 / 3, 1.0]), min_size=1, max_size=40)


def lugannani_rice(values, weights):
    """P(Σ G_j·v_j ≤ 0) by the saddlepoint approximation, where the mean is above 0."""

    def slope(s):
        return float(np.sum(weights * values / (1 - values * s)))

    s = optimize.brentq(slope, (1 - 1e-12) / values.min(), -1e-9)
    cumulant = -np.sum(weights * np.log1p(-values * s))
    w = -np.sqrt(-2 * cumulant)
    u = s * np.sqrt(np.sum(weights * (values / (1 - values * s)) ** 2))
    return stats.norm.cdf(w) + stats.norm.pdf(w) * (1 / w - 1 / u)


def divided_differences(values):
    """P(Σ E_j·v_j ≤ 0), E_j exponential and all v_j different: the B-spline's tail, in rational arithmetic."""
    tail = Fraction(1)
    for j, v in enumerate(values):
        if v > 0:
            term = Fraction(1)
            for i, other in enumerate(values):
                term *= v / (v - other) if i != j else 1
            tail -= term
    return tail


@pytest.mark.parametrize("weight", [0.5, 0.7, 1.0])
@pytest.mark.parametrize(("up", "down"), [(1, 0), (6, 0), (30, 5), (60, 0), (300, 200), (5000, 4700), (3, 4)])
def test_two_values_have_a_beta_tail(up, down, weight):
    # Σ G·v ≤ 0 is that the share of the gains in all weight is at most (1 + margin)/2.
    for margin in (0.0, 0.03, -0.2):
        found = dirichlet_tail(np.array([1 - margin, -1 - margin]), np.array([up, down + weight]))
        assert found == pytest.approx(special.betainc(up, down + weight, (1 + margin) / 2), rel=1e-11)


@pytest.mark.parametrize("size", [2, 3, 5, 12, 25])
def test_different_values_match_divided_differences(size):
    rng = np.random.default_rng(size)
    for _ in range(10):
        values = [Fraction(int(v), 1000) for v in rng.choice(np.r_[-999:0, 1:1000], size, replace=False)] + [
            Fraction(-1)
        ]
        expected = float(divided_differences(values))
        assert dirichlet_tail(np.array(values, float), np.ones(size + 1)) == pytest.approx(expected, rel=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize(("weight", "error"), [(1.0, 0.03), (0.55, 0.1)])
def test_the_saddlepoint_approximation_is_near(weight, error):
    rng = np.random.default_rng(5)
    values = np.append(np.arange(-3, 4) / 3, -1.0)
    met = 0
    for _ in range(200):
        weights = np.append(rng.multinomial(60, [0.01, 0.02, 0.05, 0.72, 0.12, 0.05, 0.03]), weight)
        exact = float(dirichlet_tail(values, weights))
        if 0.01 < exact < 0.2:
            met += 1
            assert lugannani_rice(values, weights) == pytest.approx(exact, rel=error)
    assert met > 50


def test_draws_agree():
    # 200,000 draws: standard error below .0012; four of them.
    rng, values = np.random.default_rng(6), np.array([0.9, 0.3, 0.05, -0.2, -1.02])
    weights = np.array([2.0, 5.0, 9.0, 7.0, 1.55])
    drawn = np.mean(rng.dirichlet(weights, 200_000) @ values <= 0)
    assert dirichlet_tail(values, weights) == pytest.approx(drawn, abs=0.005)


def test_rows_are_answered_one_by_one():
    values = np.array([1.0, 0.5, -0.5, -1.0])
    weights = np.array([[3, 0, 0, 0.5], [0, 0, 2, 1], [1, 4, 2, 0.5], [2, 1, 0, 0], [0, 7, 3, 0]])
    together = dirichlet_tail(values, weights)
    assert together.tolist() == [float(dirichlet_tail(values, row)) for row in weights]
    assert (together[1], together[3]) == (1.0, 0.0)


def test_one_seed_at_weight_one_is_the_exact_mcnemar_test():
    for up, down in ((5, 0), (9, 2), (40, 30)):
        units = Units.of(np.repeat([1.0, -1.0, 0.0], [up, down, 20]))
        pvalue = mean_pvalue(units, margin=0.0, alternative="greater", weight=1.0)
        assert pvalue == pytest.approx(stats.binomtest(up, up + down, alternative="greater").pvalue, rel=1e-11)


@given(DIFFERENCES, WEIGHTS, st.floats(-0.9, 0.9), st.floats(0.001, 0.5))
def test_the_pvalue_grows_with_the_margin_and_mirrors(differences, weight, margin, step):
    units, mirrored = Units.of(np.array(differences)), Units.of(-np.array(differences))
    first, second = (
        mean_pvalue(units, margin=m, alternative="greater", weight=weight) for m in (margin, min(margin + step, 0.99))
    )
    assert first <= second + 1e-12
    assert first == pytest.approx(mean_pvalue(mirrored, margin=-margin, alternative="less", weight=weight), abs=1e-12)


@pytest.mark.slow
@given(DIFFERENCES, WEIGHTS, st.sampled_from([0.8, 0.9, 0.99]))
def test_the_limits_are_where_the_test_turns(differences, weight, confidence):
    units = Units.of(np.array(differences))
    bounds = mean_limits(units, confidence=confidence, weight=weight)
    low, high = bounds.low, bounds.high
    assert -1 <= low <= units.mean <= high <= 1
    tail = (1 - confidence) / 2
    if low > -1:
        assert mean_pvalue(units, margin=low, alternative="greater", weight=weight) == pytest.approx(tail, abs=1e-6)
    if high < 1:
        assert mean_pvalue(units, margin=high, alternative="less", weight=weight) == pytest.approx(tail, abs=1e-6)


def test_a_larger_worst_value_is_more_careful():
    units = Units.of(np.repeat([1.0, 0.0], [6, 44]))
    pvalues = [mean_pvalue(units, margin=0.0, alternative="greater", weight=w) for w in (0.5, 0.7, 1.0)]
    assert pvalues == sorted(pvalues)
    assert pvalues[-1] == pytest.approx(0.5**6)


def test_a_unit_of_twice_the_size_counts_twice():
    units = Units.of(np.array([0.5, 0.0, -0.25]), np.array([2.0, 1.0, 1.0]))
    assert units.mean == pytest.approx(0.1875)
    bounds = mean_limits(units, confidence=0.9, weight=1.0)
    assert bounds.low < 0.1875 < bounds.high


def test_ten_thousand_different_values():
    # About normal at this size; draws of Dirichlet weights would not see the tail.
    differences = np.random.default_rng(8).normal(0.01, 0.3, 10_000).clip(-1, 1)
    found = mean_pvalue(Units.of(differences), margin=0.0, alternative="greater", weight=1.0)
    z = (differences.mean() - 1e-4) / (differences.std() / 100)
    assert found == pytest.approx(stats.norm.sf(z), rel=0.05)


@pytest.mark.parametrize("alternative", ["greater", "less"])
@pytest.mark.parametrize(("gain", "alpha"), [(0.1, 0.025), (0.5, 0.05), (0.02, 0.05)])
def test_units_needed_where_all_are_alike(gain, alpha, alternative):
    # W₀ ≥ distance·ΣW, W₀ exponential and ΣW gamma: the p-value is (1 + distance)^−n.
    sign = 1.0 if alternative == "greater" else -1.0
    units = Units.of(np.full(30, sign * gain))
    found = units_needed(
        units, weight=1.0, gain=sign * gain, margin=0.0, alternative=alternative, alpha=alpha, power=0.8
    )
    assert found == np.ceil(np.log(alpha) / -np.log1p(gain))


def test_units_needed_where_nothing_tells_them_apart():
    units = Units.of(np.array([0.5, -0.5] * 20))
    assert units_needed(units, weight=1.0, gain=0.0, margin=0.0, alternative="greater", alpha=0.05, power=0.8) is None


@pytest.mark.slow
@pytest.mark.parametrize(("shares", "weight"), [((0.1, 0.3, 0.6), 1.0), ((0.02, 0.12, 0.86), 0.55)])
def test_so_many_units_decide_about_as_often_as_said(shares, weight):
    values, rng = np.array([-1.0, 0.5, 0.0]), np.random.default_rng(8)
    units = Units(values, np.ones(3), 1000 * np.array(shares))
    size = units_needed(units, weight=weight, gain=units.mean, margin=0.0, alternative="greater", alpha=0.05, power=0.8)
    decided = []
    for counts in rng.multinomial(size, shares, size=400):
        drawn = Units(values, np.ones(3), counts.astype(float))
        decided.append(mean_pvalue(drawn, margin=0.0, alternative="greater", weight=weight) <= 0.05)
    assert 0.7 < np.mean(decided) < 0.9
