import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.critics.alarms import alarms_checked, false_alarm_threshold, one_run_a_task
from forbear.critics.runs import JudgedRun
from forbear.critics.scored import ScoredRuns
from forbear.errors import InvalidInput
from forbear.records.model import Action, Step, Task, Trajectory


def run(task, *, success, steps=1, seed=0):
    trajectory = Trajectory(
        task=Task(id=task),
        steps=tuple(Step(index=index, observation="", executed=Action(f"go {index}")) for index in range(steps)),
    )
    return JudgedRun(trajectory=trajectory, success=success, run=str(seed), place=f"{task}.{seed}")


def scored(rows):
    """Rows of task, success and scores."""
    seeds = itertools.count()
    runs = tuple(run(task, success=ok, steps=len(said), seed=next(seeds)) for task, ok, said in rows)
    return ScoredRuns(runs=runs, scores=tuple(tuple(said) for _, _, said in rows))


@pytest.mark.parametrize("alpha", [Fraction(1, 10), Fraction(1, 5), Fraction(1, 3), Fraction(1, 2)])
@pytest.mark.parametrize("pool", [range(6), (0, 0, 1, 1, 2, 3), (0, 0, 0, 0, 0, 1)], ids=["distinct", "ties", "many"])
def test_every_order_of_exchangeable_runs_is_counted(alpha, pool):
    """The guarantee itself: whichever of the runs comes last, it is touched in at most a share alpha of the orders."""
    touched = orders = 0
    for last, score in enumerate(pool):
        before = [other / 10 for place, other in enumerate(pool) if place != last]
        orders += 1
        try:
            found = false_alarm_threshold(before, false_alarms=float(alpha))
        except InvalidInput:
            assert alpha < Fraction(1, len(pool))  # with fewer than 1/alpha − 1 nothing can be promised
            continue
        touched += score / 10 > found.threshold
    assert Fraction(touched, orders) <= alpha
    if len(set(pool)) == len(pool) and alpha >= Fraction(1, len(pool)):
        assert Fraction(touched, orders) == Fraction(math.floor(alpha * len(pool)), len(pool))


@given(st.lists(st.integers(0, 20).map(lambda k: k / 20), min_size=1, max_size=60), st.floats(0.02, 0.9))
def test_on_its_own_sample_no_more_are_touched_than_were_allowed(scores, alpha):
    try:
        found = false_alarm_threshold(scores, false_alarms=alpha)
    except InvalidInput:
        assert (len(scores) + 1) * alpha < 1 + 1e-6
        return
    assert found.threshold in scores
    assert sum(score > found.threshold for score in scores) + 1 <= alpha * (len(scores) + 1) + 1e-6
    assert found.expected <= alpha + 1e-9
    # The lowest that keeps the promise: the next lower score would not.
    lower = [score for score in scores if score < found.threshold]
    if lower:
        assert sum(score > max(lower) for score in scores) + 1 > alpha * (len(scores) + 1) - 1e-6


@pytest.mark.statistical
@pytest.mark.parametrize(("n", "alpha"), [(19, 0.1), (50, 0.1), (50, 0.05), (200, 0.2)])
def test_runs_that_would_succeed_are_touched_at_the_stated_rate(n, alpha):
    rng = np.random.default_rng([n, int(1000 * alpha)])
    samples = 4000
    # The highest of 2 to 9 dependent scores a run, as over the steps of a run.
    lengths = rng.integers(2, 10, size=(samples, n + 1))
    shift = rng.standard_normal((samples, n + 1))
    highest = np.stack(
        [np.where(lengths > step, shift + 0.7 * rng.standard_normal((samples, n + 1)), -9) for step in range(9)]
    ).max(axis=0)
    touched = [row[-1] > false_alarm_threshold(row[:-1], false_alarms=alpha).threshold for row in highest]
    rank = math.ceil((1 - alpha) * (n + 1) - 1e-9)
    exact = 1 - rank / (n + 1)
    assert exact <= alpha + 1e-12
    assert np.mean(touched) == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / samples))


@pytest.mark.statistical
def test_an_assured_threshold_keeps_the_rate_in_nine_samples_of_ten():
    rng, alpha, samples = np.random.default_rng(4), 0.1, 3000
    # Of uniform scores the rate beyond a threshold is known.
    rates = [
        1 - false_alarm_threshold(rng.random(80), false_alarms=alpha, assurance=0.9).threshold for _ in range(samples)
    ]
    kept = np.mean(np.array(rates) <= alpha)
    assert kept >= 0.9 - 4 * math.sqrt(0.9 * 0.1 / samples)
    # On average only, the promise is broken by the sample about half of the time, but "likely at most" holds.
    plain = [false_alarm_threshold(rng.random(80), false_alarms=alpha) for _ in range(samples)]
    likely = np.mean([1 - one.threshold <= one.likely_at_most for one in plain])
    assert likely == pytest.approx(0.9, abs=4 * math.sqrt(0.9 * 0.1 / samples))


@pytest.mark.parametrize(("n", "needed"), [(0, 9), (8, 9)])
def test_too_few_successes_are_refused_with_the_number_that_it_takes(n, needed):
    with pytest.raises(InvalidInput, match=f"it takes {needed}"):
        false_alarm_threshold([0.5] * n, false_alarms=0.1)
    assert false_alarm_threshold([0.5] * needed, false_alarms=0.1).threshold == 0.5


def test_assurance_takes_more_successes():
    with pytest.raises(InvalidInput, match="it takes 22"):  # .9**22 < .1 < .9**21
        false_alarm_threshold([0.5] * 21, false_alarms=0.1, assurance=0.9)
    assert false_alarm_threshold([0.5] * 22, false_alarms=0.1, assurance=0.9).assurance == 0.9


@pytest.mark.parametrize("bad", [{"false_alarms": 0.0}, {"false_alarms": 1.0}, {"false_alarms": 0.1, "assurance": 1.0}])
def test_options_out_of_range_are_refused(bad):
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        false_alarm_threshold([0.1] * 30, **bad)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(InvalidInput, match="finite"):
        false_alarm_threshold([0.1, float("nan")], false_alarms=0.5)


def test_one_run_of_each_task_is_kept_whatever_its_outcome():
    rows = [(f"t{i}", seed % 2 == 0, [0.1 * seed]) for i in range(200) for seed in range(4)]
    kept = one_run_a_task(scored(rows))
    assert sorted(one.task for one in kept.runs) == sorted({task for task, _, _ in rows})
    assert 60 < sum(one.success for one in kept.runs) < 140
    again = one_run_a_task(scored(rows))
    assert again.runs == kept.runs


def test_a_touched_run_is_one_whose_highest_score_is_above_from_the_first_step_that_counts():
    rows = [(f"t{i}", i % 4 > 0, [0.9, 0.05 + 0.001 * i, None]) for i in range(80)]
    late = alarms_checked(scored(rows), false_alarms=0.1, held_out=0.5, min_step=1)
    assert late.found.threshold < 0.2
    assert late.measured_on_successes.n + late.found.successes == 60
    assert late.measured_on_failures.n <= 20
    every = alarms_checked(scored(rows), false_alarms=0.1, held_out=0.0)
    assert every.found.threshold == 0.9
    assert every.measured_on_successes is None
