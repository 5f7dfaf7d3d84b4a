import math

import numpy as np
import pytest

from forbear import ClusteredOutcomes, GradedOutcomes, InvalidInput
from forbear.outcomes.missing import graded_outcomes


def test_a_task_is_the_difference_of_its_mean_scores():
    scores = GradedOutcomes.from_scores(baseline=[[0.2, 0.4], [1.0]], treated=[[0.6], [0.5, 0.7]])
    assert scores.tasks == 2
    assert scores.differences == pytest.approx([0.3, -0.4])
    assert scores.success_gain == pytest.approx(-0.05)
    assert scores.swapped().success_gain == pytest.approx(0.05)
    assert GradedOutcomes(baseline=(), treated=()).success_gain is None


def test_a_threshold_makes_scores_binary():
    scores = GradedOutcomes.from_scores(baseline=[[0.2, 0.5], [0.49]], treated=[[0.6, 0.0], [1.0]])
    assert scores.at_least(0.5) == ClusteredOutcomes(baseline=[[0, 1], [0]], treated=[[1, 0], [1]])


@pytest.mark.parametrize("score", [1.01, -0.1, math.nan, math.inf, None, "0.5"])
def test_what_is_no_score_is_named(score):
    with pytest.raises(InvalidInput, match=r"treated\[1\]\[0\] is .*expected a score from 0 to 1"):
        GradedOutcomes.from_scores(baseline=[[0.5], [0.5]], treated=[[0.5], [score]])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"baseline": [[0.5]], "treated": [[0.5], [0.5]]}, "baseline has 1 tasks, treated has 2"),
        ({"baseline": [[0.5], []], "treated": [[0.5], [0.5]]}, r"baseline\[1\] has no score"),
        ({"baseline": [0.5], "treated": [[0.5]]}, r"baseline\[0\] must be a sequence of scores"),
        ({"baseline": "0.5", "treated": [[0.5]]}, "one sequence of scores per task"),
        ({"baseline": [[0.5]] * 12, "treated": [[0.5]] * 12, "clusters": list("aab" * 4)}, "2 clusters are too few"),
    ],
)
def test_unusable_scores_are_named(keywords, message):
    with pytest.raises(InvalidInput, match=message):
        GradedOutcomes.from_scores(**keywords)


def test_numpy_scores_are_taken():
    scores = np.array([[0.25], [0.5]])
    assert GradedOutcomes.from_scores(baseline=scores, treated=scores).baseline == ((0.25,), (0.5,))


def test_runs_without_a_score_are_left_out_and_bounded():
    observed, missing = graded_outcomes(baseline=[[0.5, None], [None], [0.1]], treated=[[0.7, 0.9], [0.4], [0.1]])
    assert observed == GradedOutcomes.from_scores(baseline=[[0.5], [0.1]], treated=[[0.7, 0.9], [0.1]])
    assert missing.total == 2
    assert missing.worst.success_gain == pytest.approx(((0.8 - 0.75) + (0.4 - 1.0) + 0.0) / 3)
    assert missing.best.success_gain == pytest.approx(((0.8 - 0.25) + (0.4 - 0.0) + 0.0) / 3)
    assert graded_outcomes(baseline=[[None]], treated=[[0.5]])[0] is None
    assert graded_outcomes(baseline=[[0.5]], treated=[[0.5]])[1] is None
