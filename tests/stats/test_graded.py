import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear import ClusteredOutcomes, DecisionRule, GradedOutcomes, InvalidInput, Recommendation, decide, decide_arms
from forbear.stats.dirichlet import dirichlet_tail
from forbear.stats.verdict import Verdict

SCORES = st.lists(st.tuples(*[st.sampled_from([0.0, 0.2, 1 / 3, 0.5, 0.9, 1.0])] * 2), min_size=1, max_size=30).map(
    lambda pairs: GradedOutcomes.from_scores(baseline=[[b] for b, _ in pairs], treated=[[t] for _, t in pairs])
)


@pytest.mark.slow
@given(SCORES, st.sampled_from([0.0, -0.05, 0.02]))
def test_verdict_and_interval_agree(scores, margin):
    verdict = decide(scores, DecisionRule(margin=margin))
    gain = verdict.success_gain
    assert -1 <= gain.low <= gain.value <= gain.high <= 1
    assert gain.value == pytest.approx(scores.success_gain)
    if verdict.recommendation is Recommendation.INTERVENE:
        assert gain.low > margin
    if verdict.recommendation is Recommendation.FORBEAR:
        assert gain.high < 0.02
    assert (verdict.failure_rate, verdict.recovery_rate, verdict.disruption_rate, verdict.recovered) == (None,) * 4
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict(), allow_nan=False))) == verdict


@pytest.mark.slow
@given(SCORES)
def test_swapping_the_arms_mirrors_the_interval(scores):
    gain, mirrored = (decide(one).success_gain for one in (scores, scores.swapped()))
    assert (gain.low, gain.high) == pytest.approx((-mirrored.high, -mirrored.low), abs=1e-8)


def test_scores_of_zero_and_one_are_decided_like_seeds_with_a_guarantee():
    rng = np.random.default_rng(3)
    baseline, treated = (rng.random((40, 3)) < 0.4).tolist(), (rng.random((40, 3)) < 0.6).tolist()
    finite = DecisionRule(guarantee="finite-sample")
    seeds = decide(ClusteredOutcomes(baseline=baseline, treated=treated), finite)
    scores = decide(GradedOutcomes.from_scores(baseline=baseline, treated=treated))
    assert scores.p_value_gain == pytest.approx(seeds.p_value_gain)
    assert scores.success_gain.low == pytest.approx(seeds.success_gain.low)
    assert scores.method == "mean scores, Dirichlet weights over tasks, worst value at weight 1 (finite-sample)"


def test_clusters_are_the_units_and_count_their_tasks():
    rng = np.random.default_rng(4)
    before, labels = rng.random(60) * 0.5, [str(i // 5) for i in range(60)]
    after = before + 0.3 * np.repeat(rng.random(12), 5)
    alone, grouped = (
        decide(GradedOutcomes.from_scores(baseline=before[:, None], treated=after[:, None], clusters=clusters))
        for clusters in (None, labels)
    )
    assert grouped.success_gain.value == alone.success_gain.value
    assert grouped.success_gain.low < alone.success_gain.low
    assert "over clusters" in grouped.method


def test_arms_of_scores_share_an_error_rate():
    rng = np.random.default_rng(5)
    before = rng.random((50, 1)) * 0.6
    arms = {
        name: GradedOutcomes.from_scores(baseline=before, treated=np.clip(before + rng.normal(up, 0.1, (50, 1)), 0, 1))
        for name, up in (("good", 0.2), ("useless", 0.0))
    }
    verdicts = decide_arms(arms)
    assert verdicts["good"].recommendation is Recommendation.INTERVENE
    assert verdicts["useless"].recommendation is not Recommendation.INTERVENE
    assert verdicts["good"].p_value_gain == pytest.approx(2 * decide(arms["good"]).p_value_gain)


def test_no_task_is_refused():
    with pytest.raises(InvalidInput, match="nothing to decide on"):
        decide(GradedOutcomes(baseline=(), treated=()))


@pytest.mark.statistical
def test_size_where_rare_tasks_lose_their_score():
    # No gain on average: a share of the tasks loses .8, the others gain a little, in steps of .1. 10,000 pilots:
    # standard error .0022.
    rng, tasks = np.random.default_rng(6), 40
    values = np.array([-0.8, 0.0, 0.1, 0.2, -1.0])
    for share in (0.03, 0.06, 0.12):
        chances = [share, 1 - 7 * share, 4 * share, 2 * share]
        assert chances @ values[:4] == pytest.approx(0)
        counts = rng.multinomial(tasks, chances, size=10_000)
        pvalues = dirichlet_tail(values, np.column_stack([counts, np.ones(10_000)]))
        assert np.mean(pvalues <= 0.05) <= 0.05 + 2 * 0.0022
        differences = np.repeat(values[:4], counts[0])
        before = np.full(tasks, 0.8)
        scores = GradedOutcomes.from_scores(baseline=before[:, None], treated=(before + differences).round(9)[:, None])
        assert decide(scores).p_value_gain == pytest.approx(pvalues[0])


def test_small_even_scores_are_told_apart_by_few_tasks():
    # The mean square of a score's difference is no share of tasks that differ: it may be smaller than the gain.
    rng = np.random.default_rng(2)
    before = rng.uniform(0.2, 0.7, 25)
    after = before + rng.normal(0.016, 0.043, 25)
    verdict = decide(GradedOutcomes.from_scores(baseline=before[:, None], treated=after[:, None]))
    assert verdict.recommendation is Recommendation.UNDECIDED
    assert 25 < verdict.tasks_needed < 330
    assert "worthwhile_out_of_reach" not in {remark.code for remark in verdict.cautions}
