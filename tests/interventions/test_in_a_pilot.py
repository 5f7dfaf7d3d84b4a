"""Interventions as a pilot runs them."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

import pytest
from msgspec.structs import replace

from forbear.analysis.evidence import evidence_of
from forbear.contracts.intervention import Continue
from forbear.errors import InvalidInput
from forbear.interventions import Restart
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import REFUSED, Action, Task
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan, freeze
from forbear.testing import Corridor, RestorableCorridor, ScriptedAgent, WordCritic

TASKS = [Task(id=f"t{i}") for i in range(3)]


class OneWay(RestorableCorridor):
    async def step(self, action, *, draw):
        return replace(await super().step(action, draw=draw), irreversible=action.text == "open")


class Warned(ScriptedAgent):
    """Opens the door once somebody has told it anything."""

    async def act(self, trajectory, *, draw, excluded=()):
        told = any(step.messages for step in trajectory.steps)
        action = await super().act(trajectory, draw=draw, excluded=excluded)
        return Action("open") if told else action


@dataclass(frozen=True)
class Thoughtful:
    """Waits for what it says, and measures churn only."""

    name: ClassVar = "thoughtful"
    is_control: ClassVar = True

    async def apply(self, trajectory, proposed, *, score, draw):
        await asyncio.sleep(0)
        return Continue(message=f"{proposed.text} at {draw.step_index}: {score.p_fail}")

    def config(self):
        return {"kind": self.name}


def planned(intervention, environment):
    critic = WordCritic({"jump": 0.9, "open": 0.1, "wait": 0.7})
    policy = InterventionPolicy(critic=critic, intervention=intervention, budget=1)
    return PilotPlan(
        tasks=TASKS,
        agent=lambda: Warned(["open", "open", "jump"]),
        environment=environment,
        arms=[Arm.baseline(), Arm("treated", policy)],
        max_steps=8,
    )


def treated(tmp_path, intervention, environment):
    result = asyncio.run(run_pilot(planned(intervention, environment), Journal(tmp_path / "j")))
    return result, [episode for episode in result.episodes.values() if episode.arm == "treated"]


@pytest.mark.parametrize("environment", [Corridor, RestorableCorridor])
def test_a_restart_begins_the_task_again(tmp_path, environment):
    _, episodes = treated(tmp_path, Restart(message="From the start."), environment)
    for episode in episodes:
        assert [step.index for step in episode.steps] == [0, 1, 2, 0, 1, 2]
        assert [step.executed and step.executed.text for step in episode.steps] == [
            *("open", "open", None),
            *("open", "open", "open"),
        ]
        assert episode.steps[3].messages == ("From the start.",)
        assert episode.success


def test_a_restart_crosses_no_irreversible_action(tmp_path):
    _, episodes = treated(tmp_path, Restart(), OneWay)
    assert [episode.steps[-1].proposals[0].decision for episode in episodes] == [REFUSED] * 3


def test_a_restart_needs_a_world_that_goes_back():
    with pytest.raises(InvalidInput, match="arm 'treated' undoes executed steps"):
        freeze(planned(Restart(), lambda: Corridor(replay_safe=False)))


def test_an_intervention_may_wait_and_need_not_say_what_it_never_does(tmp_path):
    environment = lambda: Corridor(replay_safe=False)  # noqa: E731 - one that cannot go back
    result, episodes = treated(tmp_path, Thoughtful(), environment)
    assert all(episode.interventions == 1 for episode in episodes)
    assert "treated" in evidence_of(result).controls
