import asyncio
from collections.abc import Sequence

import pytest

from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.records.model import Action, Task
from forbear.testing.contracts import EnvironmentContract
from forbear.worlds.household.environment import HouseholdEnvironment, task_of
from forbear.worlds.household.generator import generate

GAMES = list(generate(seed=31, count=6))


class TestHouseholdEnvironment(EnvironmentContract):
    def make(self) -> HouseholdEnvironment:
        return HouseholdEnvironment(GAMES)

    def tasks(self) -> Sequence[Task]:
        return [task_of(game) for game in GAMES]

    def actions(self, task: Task) -> Sequence[Action]:
        return [Action(command) for game in GAMES if game.id == task.id for command in game.walkthrough]


def reset(task: Task) -> None:
    draw = Draw(task_id=task.id, seed=1, role="environment")
    asyncio.run(HouseholdEnvironment(GAMES).reset(task, draw=draw))


def test_a_task_of_another_household_is_refused():
    with pytest.raises(InvalidInput, match="no household"):
        reset(Task(id="elsewhere"))
    with pytest.raises(InvalidInput, match="not the one"):
        reset(Task(id=GAMES[0].id, payload=task_of(GAMES[1]).payload))


def test_the_task_gives_nothing_away():
    task = task_of(GAMES[0])
    assert task.stratum == GAMES[0].family
    assert set(task.payload) == {"sha256"}
