"""What is bet on, task by task, where units have several pairs."""

import numpy as np
import pytest

from forbear.stats.clustered import ClusteredOutcomes
from forbear.stats.decision import decide
from forbear.stats.looks import Looks
from forbear.stats.rule import DecisionRule
from forbear.stats.sequential import SequentialOutcomes, sequential_outcomes, unit_differences
from forbear.stats.verdict import Recommendation


def test_a_unit_bets_its_mean_at_its_last_task():
    baseline = [[False, True], [True, None], [None, False], [False, False], [True, True]]
    treated = [[True, True], [True, True], [True, None], [True, False], [False, True]]
    # By task: (1 + 0)/2, 0/1, no pair, (1 + 0)/2, (-1 + 0)/2.
    np.testing.assert_array_equal(unit_differences(baseline, treated, None), [0.5, 0, np.nan, 0.5, -0.5])
    by_cluster = unit_differences(baseline, treated, ["a", "a", "a", "b", "c"])
    np.testing.assert_allclose(by_cluster, [np.nan, np.nan, 1 / 3, 0.5, -0.5])


def test_arms_with_different_numbers_of_seeds_differ_by_their_success_rates():
    found = unit_differences([[True, False], [False]], [[True], [True, None, False]], None)
    np.testing.assert_allclose(found, [0.5, 0.5])
    looks = Looks(tasks=(2,))
    outcomes, _ = sequential_outcomes(baseline=[[True, False], [False]], treated=[[True], [True]], looks=looks)
    np.testing.assert_allclose(outcomes.differences, [0.5, 1.0])


def test_clusters_of_different_sizes_raise_no_false_alarm():
    """A true gain of 15 points is never FORBEAR at worthwhile = 10 because one cluster is large.

    With each difference divided by the largest cluster's pairs, all of these pilots were.
    """
    rng = np.random.default_rng(1)
    clusters = ["large"] * 20 + [f"small {i}" for i in range(59)]
    alarms = 0
    for _ in range(40):
        recovered = rng.random(len(clusters)) < 0.15
        outcomes, _ = sequential_outcomes(
            baseline=[[not up] for up in recovered.tolist()],
            treated=[[True]] * len(clusters),
            looks=Looks(tasks=(len(clusters),)),
            clusters=clusters,
        )
        verdict = decide(outcomes, DecisionRule(worthwhile=0.10))
        alarms += verdict.recommendation is Recommendation.FORBEAR
    assert alarms <= 1


@pytest.mark.parametrize("harmed", [True, False])
def test_overwhelming_evidence_at_a_look_is_finite(harmed):
    one, other = ((True, True),) * 100, ((False, False),) * 100
    baseline, treated = (one, other) if harmed else (other, one)
    outcomes = ClusteredOutcomes(baseline=baseline, treated=treated)
    looks = Looks(tasks=(100, 101), watch=False, futility=0)
    verdict = decide(SequentialOutcomes.at_look(outcomes, looks, look=1))
    assert verdict.recommendation is (Recommendation.FORBEAR if harmed else Recommendation.INTERVENE)
