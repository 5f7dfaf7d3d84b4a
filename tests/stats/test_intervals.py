import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import reference
from forbear import InvalidInput, PairedOutcomes
from forbear.stats.intervals import (
    Interval,
    Rate,
    break_even_interval,
    paired_gain_interval,
    tango_limits,
    tango_statistic,
)
from forbear.testing.strategies import paired_outcomes


def table(recovered, disrupted, n, both_fail=0):
    return PairedOutcomes(
        both_fail=both_fail,
        recovered=recovered,
        disrupted=disrupted,
        both_succeed=n - recovered - disrupted - both_fail,
    )


# --- Rates --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n", "wilson", "clopper_pearson"),
    [
        # Newcombe (1998), Statistics in Medicine 17:857, table I, methods 3 and 5, 95 %.
        (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
        (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
        (0, 20, (0.0, 0.1611), (0.0, 0.1684)),
        (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
    ],
)
def test_intervals_for_a_rate_match_published_tables(k, n, wilson, clopper_pearson):
    rate = Rate(k=k, n=n)
    for bounds, expected in ((rate.interval(), wilson), (rate.interval(method="clopper-pearson"), clopper_pearson)):
        assert (bounds.low, bounds.high) == pytest.approx(expected, abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_intervals_for_a_rate_match_scipy(counts, confidence):
    k, n = counts
    test = stats.binomtest(k, n)
    for ours, theirs in (("wilson", "wilson"), ("clopper-pearson", "exact")):
        bounds, expected = (
            Rate(k=k, n=n).interval(confidence=confidence, method=ours),
            test.proportion_ci(confidence, theirs),
        )
        assert (bounds.low, bounds.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
        assert 0 <= bounds.low <= k / n <= bounds.high <= 1


def test_an_empty_rate_knows_nothing():
    assert Rate(k=0, n=0).value is None
    assert Rate(k=0, n=0).interval() == Interval(0.0, 1.0)


def test_unusable_rates():
    with pytest.raises(InvalidInput, match="0 <= k <= n"):
        Rate(k=3, n=2)
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        Rate(k=1, n=2).interval(confidence=1.0)
    with pytest.raises(InvalidInput, match="wilson"):
        Rate(k=1, n=2).interval(method="wald")


# --- The gain -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recovered", "disrupted", "n", "confidence", "expected", "digits"),
    [
        # Fagerland, Lydersen & Laake (2014), Statistics in Medicine 33:2850: airway data and complete response, 95 %.
        (1, 7, 21, 0.95, (-0.517, -0.026), 3),
        (6, 16, 161, 0.95, (-0.124, -0.005), 3),
        # Tango (1998): cross-over trial of soft contact lenses, 44 pairs, one discordant, 90 %.
        (0, 1, 44, 0.90, (-0.096, 0.037), 3),
        (7, 11, 100, 0.95, (-0.1290815, 0.0464216), 7),
        (0, 0, 50, 0.95, (-0.0713476, 0.0713476), 7),
        (17, 29, 364, 0.95, (-0.0711516, 0.0036841), 7),
    ],
)
def test_tango_matches_published_limits(recovered, disrupted, n, confidence, expected, digits):
    bounds = paired_gain_interval(table(recovered, disrupted, n), confidence=confidence)
    assert (round(bounds.low, digits), round(bounds.high, digits)) == expected


@pytest.mark.slow
@settings(max_examples=25)
@given(paired_outcomes(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_tango_solves_its_defining_equation(pairs, confidence):
    z = stats.norm.ppf((1 + confidence) / 2)
    bounds = paired_gain_interval(pairs, confidence=confidence)
    low, high = reference.tango(pairs.recovered, pairs.disrupted, pairs.pairs, z)
    assert (bounds.low, bounds.high) == pytest.approx((low, high), abs=1e-9)
    for gain, sign in ((bounds.low, 1), (bounds.high, -1)):
        if abs(gain) < 1:
            statistic = reference.score(pairs.recovered, pairs.disrupted, pairs.pairs, gain)
            assert statistic == pytest.approx(sign * z, abs=1e-6)


@given(paired_outcomes(max_pairs=2000), st.floats(0.01, 0.999))
def test_tango_contains_the_estimate_and_mirrors(pairs, confidence):
    bounds, mirrored = (paired_gain_interval(p, confidence=confidence) for p in (pairs, pairs.swapped()))
    assert -1 <= bounds.low <= pairs.success_gain <= bounds.high <= 1
    assert (bounds.low, bounds.high) == (-mirrored.high, -mirrored.low)
    assert bounds.high > bounds.low


def test_tango_takes_fractional_counts():
    # Scaling all counts by an effective sample size is how several seeds per task enter.
    expected = reference.tango(3.5, 5.5, 50.0, 1.96)
    bounds = tango_limits(recovered=3.5, disrupted=5.5, n=50.0, quantile=1.96)
    assert (bounds.low, bounds.high) == pytest.approx(expected, abs=1e-9)


@given(paired_outcomes(max_pairs=60), st.floats(-0.9, 0.9))
def test_the_score_statistic_is_the_same_for_numbers_and_arrays(pairs, gain):
    number = tango_statistic(float(pairs.recovered), float(pairs.disrupted), n=pairs.pairs, gain=gain)
    array = tango_statistic(
        np.array([float(pairs.recovered)]), np.array([float(pairs.disrupted)]), n=pairs.pairs, gain=gain
    )
    assert number == pytest.approx(float(array[0]), rel=1e-12, abs=1e-12)
    assert number == pytest.approx(reference.score(pairs.recovered, pairs.disrupted, pairs.pairs, gain), abs=1e-6)


def test_no_pairs_no_interval():
    with pytest.raises(InvalidInput, match="at least one pair"):
        paired_gain_interval(PairedOutcomes(both_fail=0, recovered=0, disrupted=0, both_succeed=0))


@pytest.mark.statistical
@pytest.mark.parametrize(("confidence", "least"), [(0.95, 0.92), (0.9, 0.869)])
@pytest.mark.parametrize("n", [50, 100, 200])
def test_tango_covers_nearly_as_announced(n, confidence, least):
    # Exact coverage over truths, by summing the probability of the tables whose interval holds the truth.
    recovered, disrupted, _ = reference.lattice(n)
    tables = [table(int(c), int(b), n) for c, b in zip(recovered, disrupted, strict=True)]
    limits = [paired_gain_interval(pairs, confidence=confidence) for pairs in tables]
    low, high = (np.array([getattr(limit, side) for limit in limits]) for side in ("low", "high"))
    coverage = [
        reference.masses(n, gain, discordance)[(low <= gain) & (gain <= high)].sum()
        for gain in (0.0, 0.02, 0.05, 0.1, 0.2)
        for discordance in np.linspace(max(gain, 0.01), 0.9, 30)
    ]
    assert min(coverage) > least
    assert confidence - 0.01 < sum(coverage) / len(coverage) < confidence + 0.02


# --- Break-even ---------------------------------------------------------------------------------------------


def posterior_below(pairs, odds):
    """P(d/(r + d) ≤ x) at odds x/(1 − x), by adaptive quadrature over r."""
    r = stats.beta(pairs.recovered + 0.5, pairs.both_fail + 0.5)
    d = stats.beta(pairs.disrupted + 0.5, pairs.both_succeed + 0.5)
    value, _ = integrate.quad(lambda u: d.cdf(min(r.ppf(u) * odds, 1.0)), 0, 1, epsabs=1e-10, epsrel=1e-10, limit=500)
    return value


@pytest.mark.slow
@pytest.mark.parametrize("counts", [(35, 7, 11, 47), (3, 1, 1, 2), (0, 5, 2, 0), (400, 70, 1, 3), (2, 30, 30, 0)])
def test_break_even_bounds_are_posterior_quantiles(counts):
    pairs = PairedOutcomes(**dict(zip(("both_fail", "recovered", "disrupted", "both_succeed"), counts, strict=True)))
    bounds = break_even_interval(pairs, confidence=0.9)
    assert posterior_below(pairs, bounds.low / (1 - bounds.low)) == pytest.approx(0.05, abs=1e-6)
    assert posterior_below(pairs, bounds.high / (1 - bounds.high)) == pytest.approx(0.95, abs=1e-6)


@pytest.mark.statistical
@pytest.mark.parametrize("counts", [(35, 7, 11, 47), (0, 5, 2, 0), (30000, 7000, 2000, 40000)])
def test_break_even_bounds_match_draws(counts):
    pairs = PairedOutcomes(**dict(zip(("both_fail", "recovered", "disrupted", "both_succeed"), counts, strict=True)))
    rng = np.random.default_rng(20260203)
    r = rng.beta(pairs.recovered + 0.5, pairs.both_fail + 0.5, 10**6)
    d = rng.beta(pairs.disrupted + 0.5, pairs.both_succeed + 0.5, 10**6)
    bounds = break_even_interval(pairs, confidence=0.9)
    draws = d / (r + d)
    # 4.5 binomial standard errors of a tail of .05 in a million draws.
    assert (draws < bounds.low).mean() == pytest.approx(0.05, abs=1e-3)
    assert (draws > bounds.high).mean() == pytest.approx(0.05, abs=1e-3)


@given(paired_outcomes())
def test_break_even_interval_contains_the_estimate(pairs):
    bounds, value = break_even_interval(pairs), pairs.break_even_failure_rate
    if value is None:
        assert bounds is None
    else:
        assert 0 <= bounds.low <= value <= bounds.high <= 1
        assert (bounds.low == 0) == (pairs.disrupted == 0)
        assert (bounds.high == 1) == (pairs.recovered == 0)


@given(paired_outcomes())
def test_break_even_mirrors_when_failure_and_success_are_exchanged(pairs):
    # Relabelling outcomes (success as failure) exchanges r and d, so p* becomes 1 − p*.
    mirrored = PairedOutcomes(
        both_fail=pairs.both_succeed, recovered=pairs.disrupted, disrupted=pairs.recovered, both_succeed=pairs.both_fail
    )
    bounds, other = break_even_interval(pairs), break_even_interval(mirrored)
    if bounds is not None:
        assert (bounds.low, bounds.high) == pytest.approx((1 - other.high, 1 - other.low), abs=1e-9)


def test_wilson_is_the_score_interval():
    # Its bounds solve |k/n − p| = z·√(p(1 − p)/n).
    bounds = Rate(k=7, n=42).interval(confidence=0.9)
    z = stats.norm.ppf(0.95)
    for p in (bounds.low, bounds.high):
        assert abs(7 / 42 - p) == pytest.approx(z * math.sqrt(p * (1 - p) / 42), abs=1e-12)
