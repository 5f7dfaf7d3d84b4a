import itertools
import json

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

import simulated
from forbear import ClusteredOutcomes, DecisionRule, InvalidInput, PairedOutcomes, Recommendation, decide, decide_arms
from forbear.stats.clustered import (
    clustered_gain_interval,
    clustered_gain_test,
    design_effect,
    gain_units,
    seedwise_interval,
    worst_weight,
)
from forbear.stats.exact import exact_unconditional
from forbear.stats.inference import inference
from forbear.stats.intervals import paired_gain_interval
from forbear.testing.strategies import clustered_outcomes, decision_rules

TEN_TASKS = ClusteredOutcomes(
    baseline=[[0, 0, 1], [1, 1, 1], [0, 1, 0], [0, 0, 0], [1, 0, 1]] * 2,
    treated=[[1, 0, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0], [1, 1, 1]] * 2,
)


def one_seed(outcomes):
    """The first seed of every task, once as clustered data and once as a table."""
    before, after = ([seeds[0] for seeds in arm] for arm in (outcomes.baseline, outcomes.treated))
    clustered = ClusteredOutcomes.from_outcomes(baseline=[[x] for x in before], treated=[[x] for x in after])
    return clustered, PairedOutcomes.from_outcomes(baseline=before, treated=after)


# --- Counting -----------------------------------------------------------------------------------------------


def test_seeds_are_paired_by_position():
    assert TEN_TASKS.table == PairedOutcomes(both_fail=10, recovered=6, disrupted=2, both_succeed=12)
    assert (TEN_TASKS.tasks, TEN_TASKS.pairs, TEN_TASKS.paired_seeds) == (10, 30, True)
    assert TEN_TASKS.success_gain == pytest.approx(4 / 30)


def test_unequal_seeds_compare_success_rates_task_by_task():
    outcomes = ClusteredOutcomes(baseline=[[1, 0, 0, 1], [0]], treated=[[1], [1, 0, 1]])
    assert not outcomes.paired_seeds
    assert outcomes.table is None
    assert outcomes.success_gain == pytest.approx(((1 - 0.5) + (2 / 3 - 0)) / 2)


@given(clustered_outcomes())
def test_the_gain_is_that_of_every_combination_or_pair(outcomes):
    gains = []
    for before, after in zip(outcomes.baseline, outcomes.treated, strict=True):
        if outcomes.paired_seeds:
            gains += [t - b for b, t in zip(before, after, strict=True)]
        else:
            gains.append(np.mean([t - b for b, t in itertools.product(before, after)]))
    assert outcomes.success_gain == pytest.approx(np.mean(gains), abs=1e-12)
    units = outcomes.units
    assert (units.recovered - units.disrupted).sum() / units.pairs.sum() == pytest.approx(np.mean(gains), abs=1e-12)


@given(clustered_outcomes(), clustered_outcomes(), clustered_outcomes())
def test_merging_is_associative(a, b, c):
    assert (a + b) + c == a + (b + c)
    if a.paired_seeds and b.paired_seeds:
        assert (a + b).table == a.table + b.table


@given(clustered_outcomes())
def test_json_round_trip(outcomes):
    assert ClusteredOutcomes.from_dict(json.loads(json.dumps(outcomes.to_dict()))) == outcomes


def test_a_frozen_example_loads_for_ever():
    data = '{"format": "forbear-clustered-1", "baseline": [[0, 1], [1]], "treated": [[1, 1], [0]], "clusters": null}'
    assert ClusteredOutcomes.from_dict(json.loads(data)).table == PairedOutcomes(
        both_fail=0, recovered=1, disrupted=1, both_succeed=1
    )


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"baseline": [[1]], "treated": [[1], [0]]}, "baseline has 1 tasks, treated has 2"),
        ({"baseline": [[1], []], "treated": [[1], [0]]}, r"baseline\[1\] has no outcome"),
        ({"baseline": [[1], [None]], "treated": [[1], [0]]}, r"baseline\[1\]\[0\] is None"),
        ({"baseline": [1, 0], "treated": [[1], [0]]}, r"baseline\[0\] must be a sequence"),
        ({"baseline": "10", "treated": [[1], [0]]}, "one sequence of outcomes per task"),
        ({"baseline": [[1]] * 12, "treated": [[1]] * 12, "clusters": ["a"]}, "1 labels for 12 tasks"),
        ({"baseline": [[1]] * 12, "treated": [[1]] * 12, "clusters": list("aabbccddeeff")}, "6 clusters are too few"),
    ],
)
def test_unusable_outcomes_are_named(keywords, message):
    with pytest.raises(InvalidInput, match=message):
        ClusteredOutcomes.from_outcomes(**keywords)


# --- The interval and its test ------------------------------------------------------------------------------


@given(clustered_outcomes(), st.sampled_from(["calibrated", "finite-sample"]), st.sampled_from([-0.05, 0.0, 0.02]))
def test_a_verdict_rests_on_the_test_and_the_interval_that_are_exported(outcomes, guarantee, margin):
    assume(outcomes.tasks >= 2 and not outcomes.one_pair_per_task)
    found = inference(outcomes, guarantee=guarantee)
    for side in ("greater", "less"):
        test = clustered_gain_test(outcomes, margin=margin, alternative=side, guarantee=guarantee)
        assert found.pvalue(margin, side) == test.pvalue
    gain, interval = found.gain(0.9), clustered_gain_interval(outcomes, confidence=0.9, guarantee=guarantee)
    assert (gain.low, gain.high) == (interval.low, interval.high)


@pytest.mark.slow
@given(clustered_outcomes(), st.sampled_from([0.8, 0.9, 0.95]), st.sampled_from([-0.05, 0.0, 0.02]))
def test_one_seed_per_task_is_exactly_the_unclustered_answer(outcomes, confidence, margin):
    clustered, table = one_seed(outcomes)
    assert clustered_gain_interval(clustered, confidence=confidence) == paired_gain_interval(
        table, confidence=confidence
    )
    expected = exact_unconditional(table, margin=margin).pvalue
    for guarantee in ("calibrated", "finite-sample"):
        assert clustered_gain_test(clustered, margin=margin, guarantee=guarantee).pvalue == expected
        rule = DecisionRule(guarantee=guarantee)
        assert decide(clustered, rule) == decide(table, rule)
    assert seedwise_interval(clustered, confidence=confidence) == paired_gain_interval(table, confidence=confidence)


@pytest.mark.parametrize(
    ("before", "after", "weight"),
    [(2, 2, 0.55), (3, 3, 0.55), (4, 4, 0.6), (5, 1, 0.6), (1, 6, 0.7), (10, 10, 0.7), (11, 1, 1.0)],
)
def test_the_worst_value_weighs_by_the_larger_number_of_seeds(before, after, weight):
    outcomes = ClusteredOutcomes(baseline=[[0] * before] * 20, treated=[[1] * after] * 18 + [[0] * after] * 2)
    assert worst_weight(outcomes) == weight
    assert worst_weight(outcomes, guarantee="finite-sample") == 1
    clusters = ClusteredOutcomes(
        baseline=outcomes.baseline, treated=outcomes.treated, clusters=[str(i) for i in range(20)]
    )
    assert worst_weight(clusters) == 1


def test_the_test_is_a_beta_tail_where_tasks_win_or_lose_whole():
    outcomes = ClusteredOutcomes(
        baseline=[[0, 0, 0]] * 9 + [[1, 1, 1]] * 2 + [[0, 1, 0]] * 30,
        treated=[[1, 1, 1]] * 9 + [[0, 0, 0]] * 2 + [[0, 1, 0]] * 30,
    )
    for guarantee, weight in (("calibrated", 0.55), ("finite-sample", 1.0)):
        pvalue = clustered_gain_test(outcomes, guarantee=guarantee).pvalue
        assert pvalue == pytest.approx(stats.beta.cdf(0.5, 9, 2 + weight))


@given(clustered_outcomes(min_tasks=10), st.data())
def test_units_carry_the_gain(outcomes, data):
    labels = data.draw(st.lists(st.sampled_from("abcdefghijklm"), min_size=outcomes.tasks, max_size=outcomes.tasks))
    labels[:10] = "abcdefghij"
    clustered = ClusteredOutcomes(baseline=outcomes.baseline, treated=outcomes.treated, clusters=labels)
    for one in (outcomes, clustered):
        assert gain_units(one).mean == pytest.approx(one.success_gain, abs=1e-9)
    assert gain_units(clustered).counts.sum() == len(set(labels))


def test_the_design_effect_is_the_ratio_of_variances_shrunk():
    # 5 tasks of 3 seeds: the variance of the task means over the one of independent pairs, from the definitions.
    excess, pairs = np.array([3.0, 1.0, 0.0, -1.0, 2.0]), np.full(5, 3.0)
    rate, variance = excess.sum() / 15, 8 / 15 - (1 / 3) ** 2
    between = np.var(excess / 3, ddof=1) / 5
    assert rate == pytest.approx(1 / 3)
    expected = (4 * min(between / (variance / 15), 3) + 2 * 3) / (4 + 2)
    assert design_effect(excess, pairs, variance=variance, informative=4) == pytest.approx(expected)


@given(clustered_outcomes(), st.sampled_from([-0.05, 0.0, 0.02]), st.sampled_from([0.01, 0.05, 0.1]))
def test_the_test_rejects_where_the_interval_excludes_the_margin(outcomes, margin, alpha):
    bounds = clustered_gain_interval(outcomes, confidence=1 - 2 * alpha)
    for alternative, outside in (("greater", bounds.low > margin), ("less", bounds.high < margin)):
        if not outcomes.one_pair_per_task:  # there the exact test has an approximate interval beside it
            pvalue = clustered_gain_test(outcomes, margin=margin, alternative=alternative).pvalue
            assert (pvalue < alpha) == outside


@pytest.mark.slow
@given(clustered_outcomes())
def test_swapping_the_arms_mirrors_the_interval(outcomes):
    bounds, mirrored = (clustered_gain_interval(x) for x in (outcomes, outcomes.swapped()))
    assert (bounds.low, bounds.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-9)
    assert clustered_gain_test(outcomes, margin=0.02).pvalue == pytest.approx(
        clustered_gain_test(outcomes.swapped(), margin=-0.02, alternative="less").pvalue
    )


@pytest.mark.slow
@given(clustered_outcomes(min_tasks=10), st.randoms(use_true_random=False))
def test_the_order_of_tasks_is_irrelevant_and_clusters_of_one_task_cost_the_calibration_only(outcomes, random):
    order = random.sample(range(outcomes.tasks), outcomes.tasks)
    shuffled = ClusteredOutcomes(
        baseline=tuple(outcomes.baseline[i] for i in order),
        treated=tuple(outcomes.treated[i] for i in order),
        clusters=tuple(str(i) for i in order),
    )
    if outcomes.one_pair_per_task:
        return
    bounds, expected = clustered_gain_interval(shuffled), clustered_gain_interval(outcomes, guarantee="finite-sample")
    assert (bounds.low, bounds.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_repeating_a_run_adds_no_evidence():
    # Copies of the same seed are not more data: the interval must not shrink.
    pattern = ([1, 0, 0, 1, 0, 0] * 5, [1, 1, 0, 0, 0, 1] * 5)
    once = paired_gain_interval(PairedOutcomes.from_outcomes(baseline=pattern[0], treated=pattern[1]))
    copies = ClusteredOutcomes(baseline=[[x] * 4 for x in pattern[0]], treated=[[x] * 4 for x in pattern[1]])
    bounds = clustered_gain_interval(copies)
    assert bounds.low < once.low < once.high < bounds.high


def test_clusters_above_tasks_widen_the_interval_when_their_tasks_agree():
    baseline, treated = [[0, 0]] * 40, [[1, 1]] * 12 + [[0, 0]] * 28
    alone = clustered_gain_interval(ClusteredOutcomes(baseline=baseline, treated=treated))
    grouped = clustered_gain_interval(
        ClusteredOutcomes(baseline=baseline, treated=treated, clusters=[str(i // 4) for i in range(40)])
    )
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_nothing_discordant_still_has_width():
    outcomes = ClusteredOutcomes(baseline=[[0, 1]] * 30, treated=[[0, 1]] * 30)
    bounds = clustered_gain_interval(outcomes)
    # All weight lies on 30 tasks without a change and the worst value, which here weighs 1: 1 − B(30, 1) at most the
    # margin, that is (1 − limit)^30 = .025.
    limit = 1 - 0.025 ** (1 / 30)
    assert (bounds.low, bounds.high) == pytest.approx((-limit, limit), abs=1e-8)


def test_seeds_of_one_task_say_nothing_about_others():
    with pytest.raises(InvalidInput, match="at least two tasks"):
        clustered_gain_interval(ClusteredOutcomes(baseline=[[0, 1]], treated=[[1, 1]]))


def test_the_approximate_guarantee_is_gone_and_says_why():
    with pytest.raises(InvalidInput, match=r'"calibrated" or "finite-sample".*rare tasks lose all their seeds'):
        DecisionRule(guarantee="approximate")


# --- Verdicts -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(clustered_outcomes(), decision_rules(), st.sampled_from(["calibrated", "finite-sample"]))
def test_verdict_and_interval_agree(outcomes, rule, guarantee):
    rule = DecisionRule(**{**rule.to_dict(), "guarantee": guarantee})
    verdict = decide(outcomes, rule)
    gain = verdict.success_gain
    assert -1 <= gain.low <= gain.value <= gain.high <= 1
    if verdict.recommendation is Recommendation.INTERVENE:
        assert gain.low > rule.margin
        assert verdict.p_value_gain <= rule.alpha
    if verdict.recommendation is Recommendation.FORBEAR:
        assert verdict.p_value_worthwhile <= rule.harm_alpha
        assert rule.harm_alpha != rule.alpha or gain.high < rule.worthwhile
    assert json.loads(json.dumps(verdict.to_dict(), allow_nan=False)) is not None
    assert type(verdict).from_dict(verdict.to_dict()) == verdict
    for rate in (verdict.failure_rate, verdict.recovery_rate, verdict.disruption_rate, verdict.break_even_failure_rate):
        assert rate is None or 0 <= rate.low <= rate.value <= rate.high <= 1


def test_several_seeds_and_arms_are_decided_together():
    verdicts = decide_arms({"seeds": TEN_TASKS, "table": TEN_TASKS.table})
    assert verdicts["seeds"].tasks == 10
    assert verdicts["seeds"].pairs == 30
    assert verdicts["seeds"].method.startswith("Dirichlet weights over tasks, worst value at weight 0.55 (calibrated)")
    assert verdicts["seeds"].method.endswith("Holm over 2 arms")
    assert "10 tasks, 30 pairs: 6 recovered, 2 disrupted" in str(verdicts["seeds"])


def test_unequal_seeds_have_no_table():
    verdict = decide(ClusteredOutcomes(baseline=[[0, 1]] * 20, treated=[[1]] * 20))
    assert (verdict.both_fail, verdict.recovered, verdict.disrupted, verdict.both_succeed) == (None,) * 4
    assert verdict.success_gain.value == pytest.approx(0.5)
    assert "recovered" not in str(verdict).split(")")[0]


# --- How often it is right ----------------------------------------------------------------------------------


@given(
    st.integers(2, 20),
    st.integers(2, 5),
    st.sampled_from([0.0, 0.1, -0.1]),
    st.sampled_from(["greater", "less"]),
    st.integers(0, 2**32 - 1),
)
def test_the_simulated_pvalue_is_ours(tasks, seeds, margin, alternative, seed):
    rng = np.random.default_rng(seed)
    counts = simulated.draw(rng, tasks=tasks, seeds=seeds, truth=simulated.agreeing(0.4, 0.1, 0.5), pilots=1)
    baseline, treated = [], []
    for (recovered, disrupted), times in zip(simulated.splits(seeds), counts[0], strict=True):
        same = seeds - recovered - disrupted
        baseline += [[0] * recovered + [1] * disrupted + [0] * same] * int(times)
        treated += [[1] * recovered + [0] * disrupted + [0] * same] * int(times)
    outcomes = ClusteredOutcomes(baseline=baseline, treated=treated)
    ours = clustered_gain_test(outcomes, margin=margin, alternative=alternative).pvalue
    found = simulated.pvalues(counts, seeds, margin=margin, alternative=alternative)
    assert ours == pytest.approx(found[0], abs=1e-9)


@pytest.mark.statistical
@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize("tasks", [50, 100])
def test_size_where_rare_tasks_lose_everything(seeds, tasks):
    # The truths that were worst for a test without the added value (size up to .278). 10,000 pilots: standard error
    # .0022 at .05, so the largest of 12 truths at .05 lies below .055 + 2·.0022.
    rng = np.random.default_rng([11, seeds, tasks])
    for lost in (1.5, 2, 2.5, 3, 4, 6):
        for lattice in (False, True):
            share = lost / tasks
            if lattice and share * (seeds + 1) > 1:
                continue
            chances = np.zeros(2 * seeds + 1)
            if lattice:
                chances[[0, seeds, seeds + 1]] = share, 1 - share - share * seeds, share * seeds
            else:
                up = share / (1 - share)
                chances[seeds:] = (1 - share) * stats.binom.pmf(np.arange(seeds + 1), seeds, up)
                chances[0] = share
            assert chances @ np.arange(-seeds, seeds + 1) == pytest.approx(0, abs=1e-12)
            pvalues = simulated.lattice_pvalues(rng.multinomial(tasks, chances, size=10_000), seeds)
            assert np.mean(pvalues <= 0.05) <= 0.055 + 2 * 0.0022


@pytest.mark.statistical
@pytest.mark.parametrize(("tasks", "seeds", "least"), [(100, 3, 0.55), (50, 3, 0.30), (100, 5, 0.60)])
def test_power_at_a_gain_of_six_points(tasks, seeds, least):
    # 20,000 pilots: standard error .0035.
    rng = np.random.default_rng([12, tasks, seeds])
    counts = simulated.draw(rng, tasks=tasks, seeds=seeds, truth=simulated.agreeing(0.18, 0.06, 0.3), pilots=20_000)
    assert np.mean(simulated.pvalues(counts, seeds) <= 0.05) >= least - 2 * 0.0035


@pytest.mark.parametrize("seeds", [2, 3, 8])
@pytest.mark.parametrize("tasks", [60, 100, 130, 149, 200])
def test_a_gain_of_two_points_in_whole_tasks_is_no_forbear_where_none_was_seen(seeds, tasks):
    # Two tasks of a hundred win all their seeds, nothing else changes: the gain is 2 points, the least that pays. How
    # many are seen is binomial, so a false FORBEAR is counted exactly; mirrored, a false "not worse".
    errors = [0.0, 0.0]
    for won in range(12):
        zeros, ones = [[0] * seeds] * tasks, [[1] * seeds] * won + [[0] * seeds] * (tasks - won)
        gained = ClusteredOutcomes(baseline=zeros, treated=ones)
        lost = ClusteredOutcomes(baseline=ones, treated=zeros)
        for i, (outcomes, margin, side) in enumerate(((gained, 0.02, "less"), (lost, -0.02, "greater"))):
            if clustered_gain_test(outcomes, margin=margin, alternative=side).pvalue <= 0.05:
                errors[i] += stats.binom.pmf(won, tasks, 0.02)
    assert max(errors) <= 0.05
    assert errors[0] == errors[1]
    # Even so a pilot in which nothing ever changes decides, from 149 tasks on: .98^149 < .05.
    assert (errors[0] > 0) == (tasks >= 149)


@pytest.mark.parametrize("seeds", [2, 5, 8, 10])
@pytest.mark.parametrize("tasks", [50, 51, 57, 80])
def test_tasks_that_gain_one_seed_or_lose_all_keep_the_size(seeds, tasks):
    # Exactly: the numbers of tasks that gain and that lose are trinomial. At the edge hardly a task stays as it was.
    lost, gained = (x.ravel() for x in np.mgrid[: tasks + 1, : tasks + 1])
    counts = np.stack([lost, tasks - lost - gained, gained], axis=1)[lost + gained <= tasks]
    pvalues = simulated.value_pvalues(np.array([-1, 0, 1 / seeds]), counts, weight=simulated.calibrated(seeds))
    counts = counts[pvalues <= 0.05]
    for part in (0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.93, 0.96, 0.98, 0.9999):
        share = part / (seeds + 1)
        chances = stats.multinomial.pmf(counts, tasks, [share, 1 - share * (seeds + 1), share * seeds])
        assert chances.sum() <= 0.055


@pytest.mark.statistical
def test_coverage_over_the_grid():
    # Nominal 95 %: both tests at .025 leave the truth in. 2,000 pilots a truth: standard error .0049.
    rng, coverage = np.random.default_rng(20260203), []
    grid = itertools.product((50, 100), (2, 3, 5), (0.05, 0.3), (0.0, 1.0), (0.0, 0.5))
    for tasks, seeds, discordance, agreement, lean in grid:
        gain = lean * discordance
        truth = simulated.agreeing(discordance, gain, agreement)
        counts = simulated.draw(rng, tasks=tasks, seeds=seeds, truth=truth, pilots=2000)
        above, below = (simulated.pvalues(counts, seeds, margin=gain, alternative=side) for side in ("greater", "less"))
        coverage.append(np.mean((above >= 0.025) & (below >= 0.025)))
    assert len(coverage) == 48
    assert min(coverage) >= 0.95 - 3 * 0.0049
    assert np.mean(coverage) <= 0.985, "an interval that always holds everything says nothing"


@pytest.mark.statistical
def test_unequal_seeds_keep_the_size():
    # No effect: 1 baseline run against 5 and the reverse; 3 % of the tasks, which always succeeded, lose every run.
    # 6,000 pilots: standard error .0028.
    rng, tasks = np.random.default_rng(7), 100
    for first, second in ((1, 5), (5, 1), (2, 3)):
        lost = rng.random((6000, tasks)) < 0.03
        before = np.where(lost, 1.0, 0.0)
        after = np.where(lost, 0.0, 0.03 / 0.97)
        gains = (rng.binomial(second, after) / second) - (rng.binomial(first, before) / first)
        lattice = np.rint(gains * second).astype(int)
        counts = np.stack([(lattice == d).sum(axis=1) for d in range(-second, second + 1)], axis=1)
        weight = simulated.calibrated(max(first, second))
        pvalues = simulated.lattice_pvalues(counts, second, weight=weight)
        assert np.mean(pvalues <= 0.05) <= 0.055 + 2 * 0.0028
