import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import reference
from forbear import InvalidInput, PairedOutcomes
from forbear.stats import regions
from forbear.stats.exact import exact_unconditional, score_test
from forbear.stats.intervals import paired_gain_interval, tango_statistic
from forbear.stats.regions import em_region
from forbear.testing.strategies import paired_outcomes

SIZES = [pytest.param(n, marks=[] if n <= 50 else pytest.mark.slow) for n in (20, 50, 100, 200)]


def table(recovered, disrupted, n):
    return PairedOutcomes(both_fail=0, recovered=recovered, disrupted=disrupted, both_succeed=n - recovered - disrupted)


def critical_counts(n, margin, alpha):
    """By discordant total, the smallest recovered count at which the test rejects; found through its p-values alone."""
    critical, count = np.zeros(n + 1, dtype=int), 0
    for total in range(n + 1):
        count = min(count, total + 1)
        while count <= total and exact_unconditional(table(count, total - count, n), margin=margin).pvalue > alpha:
            count += 1
        while count > 0 and exact_unconditional(table(count - 1, total - count + 1, n), margin=margin).pvalue <= alpha:
            count -= 1
        critical[total] = count
    return critical


# --- Unconditional tests: against the definition on the full lattice ----------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_margin_zero_matches_the_full_lattice(n):
    recovered, disrupted, _ = reference.lattice(n)
    rank = reference.midp_ordering(n)
    for i, (c, b) in enumerate(zip(recovered.tolist(), disrupted.tolist(), strict=True)):
        expected = reference.worst_case(n, 0.0, rank <= rank[i])
        assert exact_unconditional(table(c, b, n)).pvalue == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("margin", [-0.05, 0.02, 0.1])
@pytest.mark.parametrize("n", [1, 6, pytest.param(14, marks=pytest.mark.slow)])
def test_other_margins_match_the_full_lattice(n, margin):
    recovered, disrupted, _ = reference.lattice(n)
    estimated = reference.estimated_pvalues(n, margin)
    for i, (c, b) in enumerate(zip(recovered.tolist(), disrupted.tolist(), strict=True)):
        expected = reference.worst_case(n, margin, estimated <= estimated[i] * (1 + 1e-9))
        assert exact_unconditional(table(c, b, n), margin=margin).pvalue == pytest.approx(expected, abs=1e-9)


@given(paired_outcomes(max_pairs=60), st.sampled_from([-0.05, 0.0, 0.02]))
def test_less_is_greater_with_the_arms_swapped(pairs, margin):
    less = exact_unconditional(pairs, margin=margin, alternative="less")
    assert less.pvalue == exact_unconditional(pairs.swapped(), margin=-margin).pvalue
    assert abs(margin) <= less.discordance <= 1


@pytest.mark.parametrize("n", [10, 25, pytest.param(60, marks=pytest.mark.slow)])
def test_more_evidence_never_raises_the_pvalue(n):
    # Among tables with a discordant pair: p never falls when a recovered pair becomes concordant, or a concordant one
    # disrupted.
    pvalue = {
        (c, b): exact_unconditional(table(c, b, n)).pvalue for c in range(n + 1) for b in range(n + 1 - c) if c + b
    }
    for (c, b), p in pvalue.items():
        for weaker in ((c - 1, b), (c, b + 1)):
            assert pvalue.get(weaker, 1.0) >= p - 1e-12, (c, b, weaker)


@pytest.mark.slow
@pytest.mark.parametrize("margin", [-0.05, 0.02])
def test_more_evidence_never_raises_the_pvalue_at_other_margins(margin):
    n = 24
    pvalue = {
        (c, b): exact_unconditional(table(c, b, n), margin=margin).pvalue
        for c in range(n + 1)
        for b in range(n + 1 - c)
    }
    for (c, b), p in pvalue.items():
        for weaker in ((c - 1, b), (c, b + 1)):
            if c + b:
                assert pvalue.get(weaker, 1.0) >= p - 1e-12, (c, b, weaker)


# --- Unconditional tests: the error rate, certified ---------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.05, 0.025])
@pytest.mark.parametrize("margin", [-0.05, 0.0, 0.02])
@pytest.mark.parametrize("n", SIZES)
def test_false_rejections_stay_below_alpha_at_every_discordance(n, margin, alpha):
    critical = critical_counts(n, margin, alpha)
    assert reference.certified_at_most(critical, margin, alpha)
    assert (critical <= np.arange(n + 1)).any(), "a test that never rejects is not a test"
    if margin == 0:
        total = np.arange(n + 1)
        conditional = np.array([next(c for c in range(k + 2) if stats.binom.sf(c - 1, k, 0.5) <= alpha) for k in total])
        assert (critical <= conditional).all(), "the exact conditional test rejects where this one does not"
        assert total[critical <= total].min() >= 4


def test_the_certificate_can_fail():
    critical = critical_counts(20, 0.0, 0.05)
    larger = critical.copy()
    larger[12] -= 2
    assert reference.certified_at_most(critical, 0.0, 0.05)
    assert not reference.certified_at_most(larger, 0.0, 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("margin", [-0.3, -0.05, 0.0, 0.02, 0.4])
@pytest.mark.parametrize("counts", [(9, 2, 30), (40, 31, 150), (3, 3, 8), (0, 4, 60), (25, 0, 25)])
def test_the_pvalue_is_the_true_maximum(counts, margin):
    # The region of the observed table, read off the p-values of its neighbours, must not beat the reported maximum.
    from forbear.stats.regions import em_region, midp_region

    recovered, disrupted, n = counts
    keywords = {"recovered": recovered, "disrupted": disrupted, "n_pairs": n}
    critical = em_region(**keywords, margin=margin) if margin else midp_region(**keywords)
    pvalue = exact_unconditional(table(*counts), margin=margin).pvalue
    assert reference.certified_at_most(critical, margin, pvalue * (1 + 1e-8) + 1e-15)
    assert pvalue < 1e-9 or not reference.certified_at_most(critical, margin, pvalue * (1 - 1e-6))


@pytest.mark.slow
def test_power_at_pilot_sizes():
    # Exact powers at gain .10 and discordance .14, found by enumeration before this code was written.
    for n, unconditional in ((50, 0.575), (100, 0.887)):
        critical = critical_counts(n, 0.0, 0.05)
        recovered, disrupted, _ = reference.lattice(n)
        rejected = recovered >= critical[recovered + disrupted]
        assert reference.masses(n, 0.10, 0.14)[rejected].sum() == pytest.approx(unconditional, abs=6e-4)


def test_no_discordant_pair_is_no_evidence():
    for n in (1, 50, 2000):
        assert exact_unconditional(table(0, 0, n)).pvalue == 1.0


@pytest.mark.parametrize(("recovered", "disrupted"), [(2000, 0), (0, 2000), (1999, 1), (1100, 0)])
def test_a_pvalue_below_double_precision_is_still_a_probability(recovered, disrupted):
    greater, less = (
        exact_unconditional(table(recovered, disrupted, 2000), alternative=way).pvalue for way in ("greater", "less")
    )
    assert (0 < greater < 1e-290 and less == 1.0) or (0 < less < 1e-290 and greater == 1.0)


@pytest.mark.parametrize("counts", [(60, 0, 200), (120, 30, 400), (300, 60, 586)])
def test_far_beyond_the_margin_the_pvalue_is_a_bound_that_any_rule_can_use(counts):
    # Estimates below 1e-13 share one region; the smallest alpha of a rule is 1e-12.
    pvalue = exact_unconditional(table(*counts), margin=-0.05).pvalue
    assert 0 < pvalue < 1e-12


def pvalue_step_by_step(recovered, disrupted, n, margin):
    """The region by asking every table of every row, for the maximum over a fine grid of discordances."""
    from forbear.stats.regions import _estimated_pvalues, _score_lattice

    lattice = _score_lattice(n, margin)
    row = np.repeat(np.arange(n + 1), np.arange(1, n + 2))
    count = np.arange(len(row)) - row * (row + 1) // 2
    estimated = _estimated_pvalues(lattice, margin, count, row)
    own = estimated[(row == recovered + disrupted) & (count == recovered)][0]
    critical = np.array(
        [np.min(count[(row == k) & (estimated <= own * (1 + 1e-9))], initial=k + 1) for k in range(n + 1)]
    )
    return max(
        float(
            stats.binom.pmf(np.arange(n + 1), n, psi)
            @ stats.binom.sf(critical - 1, np.arange(n + 1), (1 + margin / psi) / 2)
        )
        for psi in abs(margin) + (1 - abs(margin)) * np.sin(np.linspace(0, np.pi / 2, 800)) ** 2
    )


@pytest.mark.slow
@pytest.mark.parametrize("counts", [(12, 9, 260), (4, 30, 260), (150, 100, 260), (3, 0, 260), (40, 1, 260)])
@pytest.mark.parametrize("margin", [-0.05, 0.02])
def test_the_search_that_leaps_finds_what_one_that_asks_every_table_finds(counts, margin):
    found = exact_unconditional(table(*counts), margin=margin).pvalue
    assert found == pytest.approx(pvalue_step_by_step(*counts, margin), rel=1e-4, abs=1e-12)


@pytest.mark.parametrize(
    ("counts", "margin"),
    [
        *(((620, 101, 79, 400), 0.02), ((620, 101, 79, 400), -0.02), ((200, 330, 250, 220), 0.05)),
        *(((280, 12, 4, 304), 0.005), ((900, 55, 60, 485), -0.1), ((500, 30, 0, 470), 0.01)),
        *(((20, 400, 380, 0), -0.05), ((450, 60, 90, 400), 0.02), ((1200, 148, 75, 477), 0.05)),
    ],
)
def test_rows_settled_by_the_statistic_are_those_that_a_search_of_all_rows_finds(counts, margin, monkeypatch):
    _, recovered, disrupted, _ = counts
    asked = {"recovered": recovered, "disrupted": disrupted, "n_pairs": sum(counts), "margin": margin}
    found = em_region(**asked)
    monkeypatch.setattr(regions, "_MANY_PAIRS", 10**9)
    assert found.tolist() == em_region(**asked).tolist()


@pytest.mark.parametrize("margin", [0.02, 0.3])
def test_a_margin_above_zero_has_the_statistics_of_the_one_below_turned(margin):
    n = 60
    lattice = regions._score_lattice(n, margin)
    row = np.repeat(np.arange(n + 1), np.arange(1, n + 2))
    recovered = np.arange(len(row)) - row * (row + 1) // 2
    score = tango_statistic(recovered.astype(float), (row - recovered).astype(float), n=n, gain=margin)
    found = regions._scores(lattice, recovered, row) - regions._ZERO
    assert found.tolist() == np.round(np.clip(score, -8000, 8000) / 1e-9).astype(int).tolist()


@pytest.mark.parametrize(("recovered", "disrupted"), [(12, 9), (30, 60), (8, 1), (0, 0)])
@pytest.mark.parametrize("margin", [-0.1, -0.02, 0.02, 0.1])
def test_the_coefficients_that_are_summed_up_are_those_of_the_beta_function(recovered, disrupted, margin):
    critical = em_region(recovered=recovered, disrupted=disrupted, n_pairs=300, margin=margin)
    found = regions.bernstein_coefficients(critical, margin)
    size, expected = abs(margin), []
    for opened in range(301):
        closed = np.arange(301 - opened)
        needed = critical[opened + closed] - (closed if margin > 0 else 0)
        mass = stats.binom.pmf(closed, 300 - opened, size)
        expected.append(mass @ stats.binom.sf(needed - 1, opened, (1 + margin) / 2))
    assert found == pytest.approx(np.array(expected), rel=1e-8, abs=1e-15)


@pytest.mark.slow
def test_exact_and_score_agree_for_large_pilots():
    for recovered, disrupted in ((130, 100), (90, 100), (400, 340)):
        for margin in (0.0, 0.02, -0.05):
            pairs = table(recovered, disrupted, 2000)
            exact, score = (test(pairs, margin=margin).pvalue for test in (exact_unconditional, score_test))
            assert exact == pytest.approx(score, rel=0.1, abs=2e-4) or exact > 0.5


@given(paired_outcomes(max_pairs=5000), st.sampled_from([-0.05, 0.0, 0.02]), st.sampled_from([0.01, 0.05, 0.1]))
def test_the_score_test_rejects_where_the_interval_excludes_the_margin(pairs, margin, alpha):
    bounds = paired_gain_interval(pairs, confidence=1 - 2 * alpha)
    assert (score_test(pairs, margin=margin).pvalue < alpha) == (bounds.low > margin)
    assert (score_test(pairs, margin=margin, alternative="less").pvalue < alpha) == (bounds.high < margin)


@pytest.mark.parametrize(
    ("pairs", "keywords", "message"),
    [
        (table(0, 0, 0), {}, "at least one pair"),
        (table(1, 1, 2001), {}, "at most 2000 pairs"),
        (table(1, 1, 5), {"margin": 1.0}, "between -1 and 1"),
        (table(1, 1, 5), {"margin": float("nan")}, "between -1 and 1"),
        (table(1, 1, 5), {"alternative": "two-sided"}, "alternative"),
    ],
)
def test_unusable_arguments(pairs, keywords, message):
    with pytest.raises(InvalidInput, match=message):
        exact_unconditional(pairs, **keywords)


@given(paired_outcomes(max_pairs=80), st.floats(-0.999, 0.999))
def test_any_margin_gives_a_probability(pairs, margin):
    assert 0 <= exact_unconditional(pairs, margin=margin).pvalue <= 1
