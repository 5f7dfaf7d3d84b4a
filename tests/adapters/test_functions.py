"""Functions as agent, world and critic: what they may return, that they are replayed, and one call for a pilot."""

import asyncio

import pytest

from forbear import pilot
from forbear.adapters.functions import FunctionAgent, FunctionWorld
from forbear.contracts.draw import Draw
from forbear.contracts.environment import Observation
from forbear.errors import InvalidInput
from forbear.interventions import Append
from forbear.records.journal import Journal
from forbear.records.model import Action, Task, Trajectory
from forbear.testing import WordCritic

DRAW = Draw(task_id="t", seed=1, role="agent")
TASKS = [f"t{number:02}" for number in range(24)]


def act(trajectory, draw):
    told = any(step.messages for step in trajectory.steps)
    return "open" if told or draw.uniform() < 0.5 else "jump"


def see(task, actions):
    return "open" in actions if len(actions) == 2 else f"{task.id}: {len(actions)} of 2"


async def see_later(task, actions):
    await asyncio.sleep(0)
    return see(task, actions)


async def act_later(trajectory, draw):
    await asyncio.sleep(0)
    return Action(act(trajectory, draw), rationale="because")


def doubt(trajectory, proposed):
    return 0.9 if proposed.text == "jump" else 0.1


def kept(directory):
    return Journal(directory).read().episodes


def test_what_functions_return_is_what_contracts_ask_for():
    trajectory = Trajectory(task=Task(id="t"), steps=())
    assert FunctionAgent(lambda trajectory, draw: "go").act(trajectory, draw=DRAW) == Action("go")
    assert FunctionAgent(lambda trajectory, draw: Action("go")).act(trajectory, draw=DRAW) == Action("go")
    world = FunctionWorld(see)
    assert world.reset(Task(id="t"), draw=DRAW) == Observation(text="t: 0 of 2")
    assert world.step(Action("jump"), draw=DRAW) == Observation(text="t: 1 of 2")
    assert world.step(Action("open"), draw=DRAW) == Observation(text="", done=True, success=True)
    assert world.reset(Task(id="u"), draw=DRAW) == Observation(text="u: 0 of 2")
    given = Observation(text="as it is", payload={"a": 1})
    assert FunctionWorld(lambda task, actions: given).reset(Task(id="t"), draw=DRAW) is given


def test_one_call_runs_a_pilot_that_another_call_finds_done(tmp_path):
    asked = []

    def noting(trajectory, draw):
        asked.append(draw)
        return act(trajectory, draw)

    options = {"tasks": TASKS, "journal": tmp_path, "intervention": Append(message="look"), "max_steps": 2}
    evidence = pilot(noting, see, doubt, **options)
    verdict, calls = evidence.verdicts["append"], len(asked)
    assert verdict.pairs == len(TASKS)
    assert verdict.recovered > 0
    assert verdict.disrupted == 0
    assert calls < 4 * len(TASKS)  # arms share what they have in common
    assert pilot(noting, see, doubt, **options).verdicts["append"] == verdict
    assert len(asked) == calls


def test_waiting_or_not_finds_the_same(tmp_path):
    async def doubt_later(trajectory, proposed):
        return doubt(trajectory, proposed)

    at_once = pilot(act, see, doubt, tasks=TASKS, journal=tmp_path / "a", max_steps=2)
    later = pilot(act_later, see_later, doubt_later, tasks=TASKS, journal=tmp_path / "b", max_steps=2)
    critic = pilot(act, see, WordCritic({"jump": 0.9}), tasks=TASKS, journal=tmp_path / "c", max_steps=2)
    outcomes = [{key: one.success for key, one in kept(tmp_path / name).items()} for name in "abc"]
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert at_once.verdicts["rollback"].success_gain == later.verdicts["rollback"].success_gain
    assert critic.verdicts["rollback"].pairs == len(TASKS)


def test_what_is_no_critic_and_another_version_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="critic must be a function of"):
        pilot(act, see, 0.5, tasks=TASKS, journal=tmp_path)
    pilot(act, see, doubt, tasks=TASKS[:4], journal=tmp_path, max_steps=2)
    with pytest.raises(Exception, match="version was 1, is 2"):
        pilot(act, see, doubt, tasks=TASKS[:4], journal=tmp_path, max_steps=2, version=2)
