import pytest

from forbear.errors import InvalidInput
from forbear.records.model import Action, Episode, Proposal, Step, Task, Termination, Trajectory

TASK = Task(id="t1")


def step(index, executed="go", **more):
    return Step(index=index, observation=f"at {index}", executed=executed and Action(executed), **more)


def test_actions_are_equal_by_what_they_do_not_by_what_they_cost():
    assert Action("go", tokens=3) == Action("go", tokens=5)
    assert hash(Action("go", payload={"a": [1]})) == hash(Action("go", payload={"a": [1]}))
    assert Action("go", payload={"a": 1}) != Action("go")


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
