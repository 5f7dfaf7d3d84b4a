import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from forbear import DecisionRule, InvalidInput, PairedOutcomes, Recommendation, decide
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.stats.exact import exact_unconditional, score_test
from forbear.stats.intervals import tango_statistic
from forbear.stats.planning import (
    MOST_EXACT,
    AssumedEffect,
    approximate_tasks_needed,
    effective_pairs,
    least_tasks,
    minimum_detectable_gain,
    power,
    tasks_needed,
    variance_ratio,
)
from forbear.stats.regions import rejection_region


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
    n = approximate_tasks_needed(gain=gain, discordance=discordance, margin=margin)
    # Lattice steps move the power of one size; the mean over neighbours is what the approximation speaks of.
    powers = [score_power(m, gain, discordance, margin) for m in range(n - 3, n + 4)]
    assert np.mean(powers) == pytest.approx(0.8, abs=0.06)


def test_mcnemar_sample_size():
    # Miettinen (1968) at margin 0: ((1.645·√.14 + .842·√(.14 − .01))/.10)² = 84.4.
    assert approximate_tasks_needed(gain=0.10, discordance=0.14) == 85


def test_without_discordance_the_upper_limit_decides():
    # Tango's one-sided upper limit without discordant pairs is z²/(N + z²): below .02 from N = 133 on.
    assert approximate_tasks_needed(gain=0.0, discordance=0.0, margin=0.02) == 133


@given(st.floats(0.01, 0.5), st.floats(0.0, 0.4), st.floats(0.5, 0.95))
def test_more_is_needed_for_less(gain, extra, power):
    n = approximate_tasks_needed(gain=gain, discordance=gain + extra, power=power)
    assert n >= approximate_tasks_needed(gain=gain, discordance=gain + extra, power=power - 0.2)
    assert n >= approximate_tasks_needed(gain=gain, discordance=gain + extra, power=power, alpha=0.1)
    assert n <= approximate_tasks_needed(gain=gain, discordance=gain + extra, power=power, margin=gain / 2)
    assert approximate_tasks_needed(gain=-gain, discordance=gain + extra, power=power) == n


def test_no_number_of_tasks_tells_a_gain_from_itself():
    assert approximate_tasks_needed(gain=0.02, discordance=0.1, margin=0.02) is None
    for tiny in (5e-324, 1e-200, 1e-12):
        assert approximate_tasks_needed(gain=tiny, discordance=0.1) is None


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
        approximate_tasks_needed(**keywords)


# --- Exact --------------------------------------------------------------------------------------------------


def table(recovered, disrupted, n):
    return PairedOutcomes(both_fail=n - recovered - disrupted, recovered=recovered, disrupted=disrupted, both_succeed=0)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("margin", [-0.05, 0.0, 0.02])
@pytest.mark.parametrize("n", [4, 17, 30, pytest.param(60, marks=pytest.mark.slow)])
def test_the_region_is_where_the_tests_reject(n, margin, alpha):
    critical = rejection_region(n_pairs=n, margin=margin, alpha=alpha)
    for total in range(n + 1):
        for recovered in {max(int(critical[total]) - 1, 0), min(int(critical[total]), total)}:
            pairs = table(recovered, total - recovered, n)
            rejected = (
                exact_unconditional(pairs, margin=margin).pvalue <= alpha
                and score_test(pairs, margin=margin).pvalue < alpha
            )
            assert rejected == (recovered >= critical[total]), (total, recovered)


@pytest.mark.slow
@pytest.mark.parametrize("rule", [DecisionRule(), DecisionRule(margin=-0.05, worthwhile=0.1, alpha=0.1)])
@pytest.mark.parametrize(("gain", "discordance"), [(0.2, 0.3), (-0.1, 0.3), (0.0, 0.0), (0.4, 0.4)])
def test_power_sums_the_verdicts_of_all_tables(rule, gain, discordance):
    n = 16
    recovered, disrupted, _ = reference.lattice(n)
    masses = reference.masses(n, gain, discordance)
    verdicts = [
        decide(table(int(c), int(b), n), rule).recommendation for c, b in zip(recovered, disrupted, strict=True)
    ]
    ours = power(AssumedEffect(gain=gain, discordance=discordance), tasks=n, rule=rule)
    for recommendation, probability in (
        (Recommendation.INTERVENE, ours.intervene),
        (Recommendation.FORBEAR, ours.forbear),
        (Recommendation.UNDECIDED, ours.undecided),
    ):
        expected = masses[[v is recommendation for v in verdicts]].sum()
        assert probability == pytest.approx(expected, abs=1e-9)
    assert ours.point_rule == pytest.approx(masses[recovered > disrupted].sum(), abs=1e-9)


@pytest.mark.parametrize(("tasks", "expected"), [(50, 0.575), (100, 0.887), (200, 0.992)])
def test_power_at_pilot_sizes_is_that_found_before_this_code_was_written(tasks, expected):
    assert power(AssumedEffect(gain=0.10, discordance=0.14), tasks=tasks).intervene == pytest.approx(expected, abs=6e-4)


def test_what_the_point_rule_would_have_risked():
    # 50 tasks, 18 % discordant: it deploys a useless intervention 43.3 % of the time, one that costs 2.3 points 29.0 %.
    for gain, risk in ((0.0, 0.433), (-0.023, 0.290)):
        ours = power(AssumedEffect(gain=gain, discordance=0.18), tasks=50)
        assert ours.point_rule == pytest.approx(risk, abs=6e-4)
        assert ours.intervene <= 0.05


@pytest.mark.slow
def test_from_that_many_tasks_on_the_power_holds():
    effect = AssumedEffect(gain=0.2, discordance=0.3)
    n = tasks_needed(effect)
    powers = [power(effect, tasks=m).intervene for m in range(n - 1, n + 11)]
    assert powers[0] < 0.8 <= min(powers[1:])
    assert n == pytest.approx(approximate_tasks_needed(gain=0.2, discordance=0.3), rel=0.2)


@pytest.mark.slow
def test_a_harmful_truth_is_planned_for_its_own_verdict():
    effect = AssumedEffect(gain=-0.2, discordance=0.3)
    n = tasks_needed(effect)
    assert power(effect, tasks=n).forbear >= 0.8
    assert n < tasks_needed(AssumedEffect(gain=-0.1, discordance=0.3))


def test_the_smallest_gain_is_where_the_power_crosses():
    gain = minimum_detectable_gain(tasks=60, discordance=0.3)
    assert power(AssumedEffect(gain=gain, discordance=0.3), tasks=60).intervene >= 0.8
    assert power(AssumedEffect(gain=gain - 2e-4, discordance=0.3), tasks=60).intervene < 0.8
    assert minimum_detectable_gain(tasks=10, discordance=0.05) is None


@pytest.mark.parametrize("rule", [DecisionRule(), DecisionRule(worthwhile=0.6), DecisionRule(margin=-0.2)])
def test_the_smallest_gain_counts_overlapping_verdicts_once(rule):
    # With a high worthwhile gain a table can reject both; then it is FORBEAR, not INTERVENE.
    gain = minimum_detectable_gain(tasks=40, discordance=0.9, rule=rule)
    for near, reached in ((gain, True), (gain - 2e-4, False)):
        assert (power(AssumedEffect(gain=near, discordance=0.9), tasks=40, rule=rule).intervene >= 0.8) == reached


@pytest.mark.slow
def test_exact_and_approximate_power_meet():
    effect = AssumedEffect(gain=0.05, discordance=0.15)
    below, above = (power(effect, tasks=n) for n in (MOST_EXACT, MOST_EXACT + 1))
    assert (below.method, above.method) == ("exact", "normal approximation")
    assert below.intervene == pytest.approx(above.intervene, abs=0.02)
    assert below.forbear == pytest.approx(above.forbear, abs=0.02)
    assert below.point_rule == pytest.approx(above.point_rule, abs=0.01)


def test_seeds_count_by_how_much_they_agree():
    assert effective_pairs(tasks=100, seeds=3, agreement=0.0) == 300
    assert effective_pairs(tasks=100, seeds=3, agreement=1.0) == 100
    assert effective_pairs(tasks=100, seeds=3, agreement=0.5) == 150
    one, three = (power(AssumedEffect(gain=0.1, discordance=0.2), tasks=40, seeds=k, agreement=0.3) for k in (1, 3))
    assert three.intervene > one.intervene


def test_rates_give_the_effect():
    effect = AssumedEffect.from_rates(failure_rate=0.42, recovery_rate=7 / 42, disruption_rate=11 / 58)
    assert (effect.gain, effect.discordance) == (pytest.approx(-0.04), pytest.approx(0.18))


@pytest.mark.parametrize(
    "ask",
    [
        lambda: AssumedEffect(gain=0.3, discordance=0.2),
        lambda: AssumedEffect.from_rates(failure_rate=1.2, recovery_rate=0.1, disruption_rate=0.1),
        lambda: power(AssumedEffect(gain=0.1, discordance=0.2), tasks=0),
        lambda: power(AssumedEffect(gain=0.1, discordance=0.2), tasks=10, agreement=1.5),
        lambda: tasks_needed(AssumedEffect(gain=0.1, discordance=0.2), power=1.0),
        lambda: minimum_detectable_gain(tasks=10, discordance=2.0),
    ],
)
def test_impossible_plans(ask):
    with pytest.raises(InvalidInput):
        ask()


# --- The least that can decide ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("margin", "alpha"), [(0.0, 0.05), (0.0, 0.05 / 6), (-0.1, 0.05)])
def test_below_the_least_number_no_table_says_intervene(margin, alpha):
    n = least_tasks(margin=margin, alpha=alpha)
    rule = DecisionRule(margin=margin, alpha=alpha, worthwhile=max(margin, 0.02), harm_alpha=1e-6)

    def verdicts(n):
        tables = [(c, b) for c in range(n + 1) for b in range(n + 1 - c)]
        return {
            decide(PairedOutcomes(both_fail=n - c - b, recovered=c, disrupted=b, both_succeed=0), rule).recommendation
            for c, b in tables
        }

    assert Recommendation.INTERVENE not in verdicts(n - 1)
    assert Recommendation.INTERVENE in verdicts(n)


@pytest.mark.parametrize(("worthwhile", "alpha", "least"), [(0.02, 0.05, 149), (0.1, 0.05, 29), (0.02, 0.025, 189)])
def test_without_differing_pairs_the_least_number_is_one_chance_of_losing_nothing(worthwhile, alpha, least):
    # (1 - worthwhile)^n ≤ alpha
    assert least_tasks(margin=-worthwhile, alpha=alpha, differing=False) == least
    rule = DecisionRule(worthwhile=worthwhile, harm_alpha=alpha)
    alike = [PairedOutcomes(both_fail=n, recovered=0, disrupted=0, both_succeed=0) for n in (least - 1, least)]
    fewer, enough = (decide(pairs, rule) for pairs in alike)
    assert fewer.recommendation is Recommendation.UNDECIDED
    assert fewer.tasks_needed == least
    assert enough.recommendation is Recommendation.FORBEAR


def test_pairs_that_never_differ_show_no_gain():
    assert least_tasks(margin=0.0, alpha=0.05, differing=False) is None
    assert least_tasks(margin=0.02, alpha=0.05, differing=False) is None


def test_above_the_exact_sizes_only_the_score_test_counts():
    # z²(1 − w)/w = 2703 at w = .001; one chance of losing nothing would ask for 2995.
    n = least_tasks(margin=-0.001, alpha=0.05, differing=False)
    assert n == pytest.approx(1.6448536**2 * 0.999 / 0.001, abs=1)


@pytest.mark.slow
def test_a_size_that_is_named_can_decide():
    assert decide(PairedOutcomes(both_fail=136, recovered=0, disrupted=0, both_succeed=0)).tasks_needed == 149
    assert tasks_needed(AssumedEffect(gain=0.0, discordance=0.0)) == 149
    assert tasks_needed(AssumedEffect(gain=0.9, discordance=0.9), power=0.01) == 5


# --- Many logged baseline runs to one treated ---------------------------------------------------------------


@pytest.mark.slow
def test_five_baseline_runs_to_one_cut_the_variance_by_what_is_said():
    assert [1 - variance_ratio(seeds=1, baseline_seeds=5, agreement=a) for a in (0.0, 0.125, 0.275, 1.0)] == [
        pytest.approx(0.4),
        pytest.approx(0.35),
        pytest.approx(0.29),
        pytest.approx(0.0),
    ]
    assert effective_pairs(tasks=100, seeds=1, agreement=0.2, baseline_seeds=5) == 147
    assert effective_pairs(tasks=100, seeds=3, agreement=0.5, baseline_seeds=3) == effective_pairs(
        tasks=100, seeds=3, agreement=0.5
    )
    effect = AssumedEffect(gain=0.1, discordance=0.3)
    assert tasks_needed(effect, agreement=0.2, baseline_seeds=5) == pytest.approx(0.68 * tasks_needed(effect), abs=1)


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "before"), [(1, 5), (1, 2), (2, 6)])
def test_the_variance_of_unequal_runs_is_that_of_simulated_pilots(runs, before):
    # A task has other success rates in either arm: that is what its seeds agree on.
    rng, tasks = np.random.default_rng(runs * 10 + before), 400_000
    first, second = rng.beta(2, 2, size=tasks), rng.beta(2, 2, size=tasks)

    def gains(before, runs):
        return rng.binomial(runs, second) / runs - rng.binomial(before, first) / before

    one, found = gains(1, 1), gains(before, runs)
    agreement = np.mean(gains(1, 1) * (second - first)) / one.var()
    expected = agreement + (1 - agreement) * (1 / runs + 1 / before) / 2
    # The variance of a sample variance of bounded numbers: at most (kurtosis − 1)/n, here below 2/n.
    assert found.var() / one.var() == pytest.approx(expected, rel=4 * 2 / np.sqrt(tasks))


def test_logged_baseline_runs_make_the_interval_of_a_verdict_narrower():
    rng = np.random.default_rng(3)
    chance = rng.uniform(0.1, 0.9, size=(150, 1))
    logged, treated = rng.random((150, 5)) < chance, rng.random((150, 1)) < np.minimum(chance + 0.15, 1)
    widths = []
    for runs in (1, 5):
        outcomes = ClusteredOutcomes.from_outcomes(baseline=logged[:, :runs].tolist(), treated=treated.tolist())
        gain = decide(outcomes).success_gain
        assert gain.value == pytest.approx(treated.mean() - logged[:, :runs].mean())
        widths.append(gain.high - gain.low)
    assert widths[1] < 0.9 * widths[0]
