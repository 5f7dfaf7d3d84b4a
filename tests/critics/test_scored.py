import asyncio

import pytest

from forbear.critics.heuristic import AfterStep, FunctionCritic, RepeatedAction
from forbear.critics.runs import JudgedRun
from forbear.critics.scored import ScoredRuns, require_both_outcomes, score_runs
from forbear.errors import InvalidInput
from forbear.records.model import Action, Step, Task, Trajectory


def run(task, actions, *, success, seed="0", cluster=None):
    steps = tuple(Step(index=i, observation=f"saw {i}", executed=Action(text)) for i, text in enumerate(actions))
    return JudgedRun(
        trajectory=Trajectory(task=Task(id=task, cluster=cluster), steps=steps), success=success, run=seed, place=task
    )


RUNS = [run("a", ["look", "go", "go"], success=False), run("b", ["look", "take"], success=True)]


def said_by(critic, **kwargs):
    return asyncio.run(score_runs(critic, RUNS, name="it", **kwargs))


def test_each_step_is_judged_as_in_a_pilot():
    seen = []

    async def look(trajectory, proposed, *, draw):
        seen.append(
            (trajectory.task.id, len(trajectory.steps), trajectory.steps[-1].executed, proposed.text, draw.role)
        )
        return 0.5

    assert said_by(FunctionCritic(look, name="look")).scores == ((0.5, 0.5, 0.5), (0.5, 0.5))
    assert seen[:3] == [(("a"), i + 1, None, text, "critic:it") for i, text in enumerate(["look", "go", "go"])]


def test_rules_of_thumb_score_what_they_say():
    assert said_by(RepeatedAction()).scores == ((0, 0, 1), (0, 0))
    assert said_by(AfterStep(step=1)).scores == ((0, 1, 1), (0, 1))


@pytest.mark.parametrize("bad", [float("nan"), 1.5, True, "high"])
def test_what_is_no_score_is_refused_with_its_place(bad):
    with pytest.raises(InvalidInput, match=r"a: at step 0 of task 'a' the critic gave no score: .*\[0, 1\]"):
        said_by(FunctionCritic(lambda trajectory, proposed: bad, name="bad"))


def test_a_critic_that_raises_is_refused_with_what_it_raised():
    def breaks(trajectory, proposed):
        raise RuntimeError("no weights")

    with pytest.raises(InvalidInput, match="no weights"):
        said_by(FunctionCritic(breaks, name="bad"))


def test_grades_may_have_any_range():
    graded = said_by(FunctionCritic(lambda trajectory, proposed: len(trajectory.steps) * 5, name="g"), ordinal=True)
    assert graded.scores == ((5, 10, 15), (5, 10))
    assert graded.judgements().ordinal
    with pytest.raises(InvalidInput, match="finite number or None"):
        said_by(FunctionCritic(lambda trajectory, proposed: float("inf"), name="g"), ordinal=True)


def test_abstentions_are_left_out_here_and_where_others_are_compared():
    some = ScoredRuns(runs=tuple(RUNS), scores=((0.1, None, 0.3), (None, None)))
    other = said_by(AfterStep(step=1))
    assert some.abstained == 3
    assert some.judgements().p_fail.tolist() == [0.1, 0.3]
    assert other.judgements(at=some).p_fail.tolist() == [0, 1]
    assert some.highest().p_fail.tolist() == [0.3, 0.0]
    assert some.highest(min_step=3).p_fail.tolist() == [0.0, 0.0]
    assert some.where(lambda one: one.success).scores == ((None, None),)
    with pytest.raises(InvalidInput, match="abstained at every step"):
        some.where(lambda one: one.success).judgements()


def test_scores_belong_to_steps():
    with pytest.raises(InvalidInput, match="3 steps have 2 scores"):
        ScoredRuns(runs=tuple(RUNS), scores=((0.1, 0.2), (0.1, 0.2)))


def test_runs_of_one_outcome_or_one_task_judge_nobody():
    with pytest.raises(InvalidInput, match="all 1 runs failed"):
        require_both_outcomes(RUNS[:1])
    with pytest.raises(InvalidInput, match="at least 2 are needed"):
        require_both_outcomes([run("a", ["x"], success=True), run("a", ["x"], success=False)])
    with pytest.raises(InvalidInput, match="at least 2 are needed"):
        require_both_outcomes([run(t, ["x"], success=t == "a", cluster="c") for t in "ab"])
