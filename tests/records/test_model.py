import pickle

import pytest

from forbear.errors import InvalidInput
from forbear.records.model import (
    Action,
    Episode,
    EpisodeUsage,
    Proposal,
    RoleUsage,
    Step,
    Task,
    Termination,
    Trajectory,
    Usage,
    total_usage,
)

TASK = Task(id="t1")


def step(index, executed="go", **more):
    return Step(index=index, observation=f"at {index}", executed=executed and Action(executed), **more)


def test_actions_are_equal_by_what_they_do_not_by_what_they_cost():
    cheap, dear = Usage(output_tokens=3), Usage(output_tokens=5, cost=0.1)
    assert Action("go", usage=cheap) == Action("go", usage=dear, rationale="because", logprobs=[-0.5])
    assert hash(Action("go", payload={"a": [1]}, usage=cheap)) == hash(Action("go", payload={"a": [1]}))
    assert Action("go", payload={"a": 1}) != Action("go")
    assert Action("go") != "go"


def test_an_action_cannot_be_changed_and_survives_being_sent_to_another_process():
    action = Action("go", payload={"a": 1}, rationale="because", logprobs=[-0.5], usage=Usage(output_tokens=3))
    with pytest.raises(AttributeError, match="cannot be changed"):
        action.text = "stay"
    with pytest.raises(AttributeError, match="cannot be changed"):
        del action.text
    back = pickle.loads(pickle.dumps(action))
    assert (back, back.extras()) == (action, action.extras())
    assert repr(Action("go", payload=1)) == "Action('go', payload=1)"


def test_usages_add_up_what_is_known():
    some = Usage(calls=2, input_tokens=10, output_tokens=3, cost=0.25)
    other = Usage(calls=1, input_tokens=5, cached_tokens=4, seconds=1.5)
    total = some + other
    assert total == Usage(calls=3, input_tokens=15, output_tokens=3, cached_tokens=4, seconds=1.5, cost=0.25)
    assert total.tokens == 18
    assert (Usage() + Usage()).tokens is None
    role = RoleUsage(paid=some, reused=other)
    assert (role.calls, role.all) == (3, total)
    episodes = [EpisodeUsage(agent=role, seconds=1), EpisodeUsage(agent=RoleUsage(paid=other), feedback=role)]
    summed = total_usage([*episodes, EpisodeUsage(seconds=2)])
    assert summed == EpisodeUsage(agent=RoleUsage(paid=total, reused=other), feedback=role, seconds=3)
    assert total_usage([]) == EpisodeUsage()


def test_prefix_is_the_steps_before():
    trajectory = Trajectory(task=TASK, steps=(step(0), step(1), step(2)))
    assert trajectory.prefix(2).steps == (step(0), step(1))
    assert trajectory.prefix(0).steps == ()


@pytest.mark.parametrize("bad", ["", None, 3])
def test_a_task_needs_an_id(bad):
    with pytest.raises(InvalidInput, match="task's id"):
        Task(id=bad)


@pytest.mark.parametrize(
    ("termination", "success"),
    [(Termination.FINISHED, None), (Termination.PROVIDER_ERROR, False), (Termination.ENVIRONMENT_ERROR, True)],
)
def test_no_outcome_is_never_a_failure_and_a_failure_is_never_missing(termination, success):
    with pytest.raises(InvalidInput, match="success"):
        Episode(task=TASK, arm="a", seed=0, steps=(), termination=termination, success=success)


def test_the_trajectory_leaves_out_what_a_rollback_undid_and_what_agents_may_not_see():
    dropped = Proposal(attempt=0, action=Action("jump"), p_fail={"c": 0.9}, decision="rollback")
    episode = Episode(
        task=TASK,
        arm="rollback",
        seed=0,
        steps=(
            step(0),
            step(1, "wrong"),
            step(2, None, proposals=(dropped,)),
            step(1, "right", messages=("no!",)),
            step(2),
        ),
        termination=Termination.STEP_LIMIT,
        success=False,
    )
    assert episode.trajectory.steps == (step(0), step(1, "right", messages=("no!",)), step(2))
