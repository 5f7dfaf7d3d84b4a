"""Verdicts on a stream: false alarms with a look after every pair, exactly, and what they are when asked again."""

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.graded import GradedOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.decision import decide, decide_arms
from forbear.stats.looks.anytime import Anytime, AnytimeOutcomes, anytime_outcomes, rate_sequence, ratio_sequence
from forbear.stats.looks.betting import BETS, BETS_ON_MEANS, EProcess, confidence_sequence
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import Recommendation

PAIRS = {1: (False, True), -1: (True, False), 0: (True, True)}


def stream(differences, **options):
    pairs = [PAIRS[d] for d in differences]
    outcomes, missing = anytime_outcomes(baseline=[[b] for b, _ in pairs], treated=[[t] for _, t in pairs], **options)
    assert missing is None
    return outcomes


def crossed(tasks, recovered, disrupted, alpha=0.05):
    """Whether E against Δ ≤ 0 is at least 1/α at this table: what (1 + b)^C (1 − b)^B come to over the bets."""
    wealth = (1 + BETS.shares) ** recovered * (1 - BETS.shares) ** disrupted
    return wealth @ BETS.parts >= 1 / alpha


def ever(tasks, gain, discordance):
    """The probability to have crossed by each number of tasks, looking after every one: going forward over tables."""
    up, down = (discordance + gain) / 2, (discordance - gain) / 2
    count = np.arange(tasks + 1.0)
    log_wealth = count[:, None, None] * np.log1p(BETS.shares) + count[None, :, None] * np.log1p(-BETS.shares)
    reached = np.exp(log_wealth) @ BETS.parts >= 20
    going = np.zeros((tasks + 1, tasks + 1))
    going[0, 0] = 1.0
    found, total = [], 0.0
    for _ in range(tasks):
        after = (1 - up - down) * going
        after[1:] += up * going[:-1]
        after[:, 1:] += down * going[:, :-1]
        total += after[reached].sum()
        going = np.where(reached, 0.0, after)
        found.append(total)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("discordance", [0.05, 0.14, 0.3, 0.6, 1.0])
def test_a_useless_arm_is_deployed_with_probability_at_most_alpha_however_often_one_looks(discordance):
    found = ever(300, 0.0, discordance)
    assert found[299] <= 0.05
    assert found[199] <= (0.037 if discordance <= 0.3 else 0.042)


def test_power_with_a_look_after_every_task():
    found = ever(200, 0.10, 0.14)
    assert [found[n - 1] for n in (50, 100, 200)] == pytest.approx([0.32, 0.68, 0.95], abs=0.006)


@given(st.lists(st.sampled_from([1, 1, -1, 0]), min_size=1, max_size=60))
def test_a_verdict_says_whether_its_e_process_ever_crossed(differences):
    tables = [(n, differences[:n].count(1), differences[:n].count(-1)) for n in range(1, len(differences) + 1)]
    verdict = decide(stream(differences), DecisionRule(worthwhile=0))
    helps = any(crossed(*table) for table in tables)
    harms = any(crossed(n, down, up) for n, up, down in tables)
    assert (verdict.p_value_gain <= 0.05, verdict.p_value_harm <= 0.05) == (helps, harms)
    gain = sum(differences)
    if harms and gain < 0:
        assert verdict.recommendation is Recommendation.FORBEAR
        assert verdict.harmful
    elif helps and gain > 0:
        assert verdict.recommendation is Recommendation.INTERVENE
    else:
        assert verdict.recommendation is Recommendation.UNDECIDED


@pytest.mark.slow
@given(st.lists(st.sampled_from([1, -1, 0]), min_size=2, max_size=40))
def test_what_was_rejected_stays_rejected(differences):
    before, after = (decide(stream(differences[:n])) for n in (len(differences) - 1, len(differences)))
    for name in ("p_value_gain", "p_value_harm", "p_value_worthwhile"):
        assert getattr(after, name) <= getattr(before, name) + 1e-12
    assert after.success_gain.low >= before.success_gain.low
    assert after.success_gain.high <= before.success_gain.high


@given(st.lists(st.sampled_from([1, 1, -1, 0]), min_size=1, max_size=50))
def test_p_value_and_interval_are_those_of_the_process_step_by_step(differences):
    verdict = decide(stream(differences), DecisionRule(margin=0.01, worthwhile=0.05))
    for name, margin, alternative in (("gain", 0.01, "greater"), ("worthwhile", 0.05, "less"), ("harm", 0.0, "less")):
        process = EProcess(margin=margin, alternative=alternative)
        for difference in differences:
            process.update(difference)
        assert getattr(verdict, f"p_value_{name}") == pytest.approx(math.exp(-process.log_peak), rel=1e-9)
    course = confidence_sequence(np.array(differences, float), confidence=0.9)
    gain = verdict.success_gain
    assert (gain.low, gain.high) == pytest.approx((course.low[-1], course.high[-1]), abs=1e-9)
    assert gain.value == pytest.approx(sum(differences) / len(differences))


@pytest.mark.slow
@given(st.lists(st.sampled_from([1, 1, -1, 0]), min_size=1, max_size=50))
def test_counts_are_worth_what_the_process_is_worth_now(differences):
    table = PairedOutcomes.from_outcomes(
        baseline=[PAIRS[d][0] for d in differences], treated=[PAIRS[d][1] for d in differences]
    )
    process = EProcess()
    for difference in differences:
        process.update(difference)
    verdict, in_order = decide(AnytimeOutcomes(now=table)), decide(stream(differences))
    assert verdict.p_value_gain == pytest.approx(min(1.0, math.exp(-process.log_value)), rel=1e-9)
    assert in_order.p_value_gain <= verdict.p_value_gain * (1 + 1e-9)
    assert verdict.success_gain.low - 1e-9 <= verdict.success_gain.value <= verdict.success_gain.high + 1e-9
    assert (verdict.look.ordered, in_order.look.ordered) == (False, True)
    assert verdict.failure_rate == in_order.failure_rate


def test_a_large_table_needs_no_stream():
    table = PairedOutcomes(both_fail=10**8, recovered=10**7, disrupted=9 * 10**6, both_succeed=10**8)
    verdict = decide(AnytimeOutcomes(now=table))
    assert verdict.recommendation is Recommendation.FORBEAR
    assert not verdict.harmful
    assert verdict.success_gain.low < verdict.success_gain.value < verdict.success_gain.high


def test_sorted_rows_are_told_and_never_deployed():
    # All recoveries first: the process crossed on the way, but in the end more was lost than won.
    verdict = decide(stream([1] * 12 + [0] * 40 + [-1] * 20), DecisionRule(worthwhile=0.5))
    assert verdict.p_value_gain < 0.05
    assert verdict.recommendation is Recommendation.FORBEAR
    assert "helps_too_little" not in [reason.code for reason in verdict.reasons]
    assert "order" in [caution.code for caution in verdict.cautions]
    shuffled = decide(stream(np.random.default_rng(1).permutation([1] * 12 + [0] * 40 + [-1] * 20).tolist()))
    assert "order" not in [caution.code for caution in shuffled.cautions]


def test_holm_over_streams():
    arms = {"good": stream([1, 0] * 20), "useless": stream([1, -1] * 20)}
    alone = decide(arms["good"])
    verdicts = decide_arms(arms)
    assert verdicts["good"].p_value_gain == pytest.approx(2 * alone.p_value_gain)
    assert verdicts["good"].recommendation is Recommendation.INTERVENE
    assert verdicts["useless"].recommendation is Recommendation.UNDECIDED
    assert verdicts["good"].method.endswith("Holm over 2 arms")


def test_missing_outcomes_are_bounded():
    baseline = [[False]] * 20 + [[None]] * 10
    treated = [[True]] * 20 + [[True]] * 10
    outcomes, missing = anytime_outcomes(baseline=baseline, treated=treated, names=("a", "b"))
    verdict = decide(outcomes, missing=missing)
    assert (verdict.tasks, verdict.look.tasks, missing.by_arm) == (20, 30, {"a": 10, "b": 0})
    # All ten holes are the baseline's: 10 − √10/2 of them at their worst leave it where it was.
    holes = [caution.code for caution in verdict.cautions if caution.code.startswith("missing")]
    assert holes == ["missing_outcomes", "missing_unequal", "missing_excess"]
    assert (missing.worst.now.recovered, missing.best.now.recovered) == (20, 30)
    assert anytime_outcomes(baseline=[[None]], treated=[[True]])[0] is None


# --- Several seeds, clusters --------------------------------------------------------------------------------


def test_seeds_of_a_task_are_one_bet():
    baseline = [[False, False, True], [True, True, True], [False, True, False]]
    treated = [[True, False, True], [True, True, False], [True, True, True]]
    outcomes, _ = anytime_outcomes(baseline=baseline, treated=treated)
    process = EProcess(several_seeds=True)
    for difference in (1 / 3, -1 / 3, 2 / 3):
        process.update(difference)
    verdict = decide(outcomes)
    assert verdict.p_value_gain == pytest.approx(math.exp(-process.log_peak))
    assert verdict.method == "betting e-process, valid after every task, tasks as units"
    of_table = decide(AnytimeOutcomes(now=outcomes.now))
    assert of_table.p_value_gain == pytest.approx(min(1.0, math.exp(-process.log_value)))


def test_a_cluster_counts_when_the_next_one_has_begun():
    clusters = [f"c{i // 3}" for i in range(36)]
    baseline, treated = [[False]] * 36, [[True]] * 36
    outcomes, _ = anytime_outcomes(baseline=baseline, treated=treated, clusters=clusters)
    assert np.flatnonzero(~np.isnan(outcomes.differences)).tolist() == list(range(2, 35, 3))
    wealth = (1 + BETS_ON_MEANS.shares) ** 11
    verdict = decide(outcomes)
    assert verdict.p_value_gain == pytest.approx(1 / (wealth @ BETS_ON_MEANS.parts))
    assert verdict.method.endswith("clusters as units")
    with pytest.raises(InvalidInput, match="the cluster 'c0' goes on after another one began"):
        anytime_outcomes(baseline=baseline, treated=treated, clusters=[f"c{i % 12}" for i in range(36)])


@pytest.mark.statistical
def test_agreeing_seeds_raise_no_more_false_alarms():
    """200 streams of 80 tasks whose 3 seeds always agree, no gain: each looked at after every task."""
    rng, alarms = np.random.default_rng(7), 0
    for _ in range(200):
        before = np.repeat(rng.random((80, 1)) < 0.5, 3, axis=1)
        after = np.where(rng.random((80, 1)) < 0.5, before, np.repeat(rng.random((80, 1)) < 0.5, 3, axis=1))
        outcomes, _ = anytime_outcomes(baseline=before.tolist(), treated=after.tolist())
        alarms += decide(outcomes).p_value_gain <= 0.05
    assert alarms <= 200 * 0.05 + 3 * math.sqrt(200 * 0.05 * 0.95)


# --- Rates --------------------------------------------------------------------------------------------------


@cache
def bounds_after(successes, trials):
    return rate_sequence(successes, trials, confidence=0.9)


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0.0, 0.02, 0.42, 0.9, 1.0])
def test_a_rate_is_covered_at_all_times_at_once(rate):
    """The probability that the truth is left out after any of 100 trials, going forward over the counts."""
    going, missed = np.array([1.0]), 0.0
    for n in range(1, 101):
        after = np.zeros(n + 1)
        after[:-1] += going * (1 - rate)
        after[1:] += going * rate
        for k in np.flatnonzero(after > 1e-12):
            bounds = bounds_after(int(k), n)
            assert bounds.low <= k / n <= bounds.high
            if not bounds.low <= rate <= bounds.high:
                missed, after[k] = missed + after[k], 0.0
        going = after
    assert missed <= 0.1


def test_a_rate_without_trials_can_be_anything():
    assert rate_sequence(0, 0, confidence=0.9) == ratio_sequence(np.zeros(3), np.zeros(3), confidence=0.9)
    low, high = (rate_sequence(k, 10**9, confidence=0.9) for k in (0, 10**9))
    assert (low.low, high.high) == (0.0, 1.0)
    assert low.high == pytest.approx(1 - high.low, abs=1e-12)
    assert low.high < 1e-7


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=20))
def test_the_ratio_of_the_sums_is_never_rejected(shares):
    numerator = np.array([min(pair) / 4 for pair in shares])
    denominator = np.array([max(pair) / 4 for pair in shares])
    narrow, wide = (ratio_sequence(numerator, denominator, confidence=level) for level in (0.8, 0.95))
    assert 0 <= wide.low <= narrow.low <= narrow.high <= wide.high <= 1
    if denominator.any():
        assert narrow.low <= numerator.sum() / denominator.sum() <= narrow.high


@pytest.mark.statistical
def test_a_ratio_is_covered_at_all_times_at_once():
    """200 streams of 60 tasks × 3 seeds, failures and recoveries that agree within a task, looks at every third."""
    rng, missed = np.random.default_rng(5), 0
    for _ in range(200):
        chance = rng.beta(0.5, 0.5, size=(60, 1))
        fails = rng.random((60, 3)) < chance
        recovered = fails & (rng.random((60, 1)) < 0.3)
        numerator, denominator = recovered.mean(axis=1), fails.mean(axis=1)
        courses = (ratio_sequence(numerator[:n], denominator[:n], confidence=0.9) for n in range(3, 61, 3))
        missed += any(not course.low <= 0.3 <= course.high for course in courses)
    assert missed <= 200 * 0.1 + 3 * math.sqrt(200 * 0.1 * 0.9)


def test_rates_of_several_seeds_have_sequences_too():
    rng = np.random.default_rng(3)
    before = rng.random((80, 3)) < 0.6
    after = np.where(before, rng.random((80, 3)) < 0.9, rng.random((80, 3)) < 0.5)
    seeds, _ = anytime_outcomes(baseline=before.tolist(), treated=after.tolist())
    single, _ = anytime_outcomes(baseline=before[:, :1].tolist(), treated=after[:, :1].tolist())
    for outcomes in (seeds, single):
        verdict = decide(outcomes)
        fixed = decide(outcomes.now)
        for name in ("failure_rate", "recovery_rate", "disruption_rate", "break_even_failure_rate"):
            rate, once = getattr(verdict, name), getattr(fixed, name)
            assert rate.value == once.value
            assert rate.low < once.low < once.high < rate.high
    unequal = ClusteredOutcomes.from_outcomes(baseline=before.tolist(), treated=after[:, :2].tolist())
    assert decide(AnytimeOutcomes(now=unequal)).recovery_rate is not None


# --- Graded scores ------------------------------------------------------------------------------------------


def test_scores_are_bet_on_by_the_differences_of_their_means():
    before, after = [[0.2, 0.4], [0.5], [0.9]], [[0.6], [0.5, 0.8], [0.7]]
    differences = np.array([0.3, 0.15, -0.2])
    wealth = np.prod(1 + BETS_ON_MEANS.shares * differences[:, None], axis=0) @ BETS_ON_MEANS.parts
    for outcomes in (
        AnytimeOutcomes(now=GradedOutcomes.from_scores(baseline=before, treated=after)),
        anytime_outcomes(baseline=before, treated=after, graded=True)[0],
    ):
        peak = max(np.cumprod(1 + BETS_ON_MEANS.shares * differences[:, None], axis=0) @ BETS_ON_MEANS.parts)
        ordered = outcomes.differences is not None
        assert Anytime(outcomes).pvalue(0.0, "greater") == pytest.approx(1 / (peak if ordered else max(1, wealth)))


def test_a_stream_of_scores_has_a_gain_and_no_rates():
    rng = np.random.default_rng(2)
    before = rng.random(80)
    after = np.minimum(1, before + 0.3 * rng.random(80))
    outcomes, _ = anytime_outcomes(
        baseline=[[x] for x in before.tolist()], treated=[[x] for x in after.tolist()], graded=True
    )
    verdict = decide(outcomes)
    assert verdict.recommendation is Recommendation.INTERVENE
    assert verdict.success_gain.value == pytest.approx((after - before).mean())
    assert verdict.success_gain.low > 0
    assert verdict.failure_rate is None
