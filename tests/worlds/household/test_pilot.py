import asyncio

import pytest

from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.records.model import Step, Trajectory
from forbear.testing import EnvironmentContract
from forbear.worlds.household.generator import generate
from forbear.worlds.household.pilot import GeneratedHouseholds, agent, critic, environment, generated_tasks
from forbear.worlds.household.seeds import SEEDS


class TestEnvironmentOfGeneratedTasks(EnvironmentContract):
    def make(self):
        return environment()

    def tasks(self):
        return generated_tasks(2, seed=9)


def test_a_longer_list_starts_with_a_shorter_one():
    longer = generated_tasks(12)
    assert generated_tasks(n=6, seed=7) == longer[:6]
    assert len({task.id for task in longer + generated_tasks(12, seed=8)}) == 24
    assert len({task.stratum for task in longer[:6]}) == 6


@pytest.mark.parametrize("use", SEEDS)
def test_what_was_learned_from_is_not_for_pilots(use):
    with pytest.raises(InvalidInput, match=use):
        generated_tasks(5, SEEDS[use])


@pytest.mark.slow
def test_sets_never_meet():
    assert len(set(SEEDS.values())) == len(SEEDS)
    tasks = [task for seed in (*SEEDS.values(), 7) for task in map(GeneratedHouseholds().get, ids(seed, 30))]
    assert None not in tasks
    assert len({task.id for task in tasks}) == len(tasks)
    assert len({repr(task.problem) for task in tasks}) == len(tasks)  # nor do their contents


def ids(seed, count):
    return [game.id for game in generate(seed=seed, count=count)]


@pytest.mark.parametrize(
    "key", ["", "x", "pick_and_place_simple/7", "pick_and_place_simple/7/1", "pick/7/0", "a/7/9" * 9]
)
def test_ids_of_no_game_have_none(key):
    assert GeneratedHouseholds().get(key) is None


def test_the_factories_play_together():
    async def play(task):
        world, player, judge = environment(), agent(temperature=0.8), critic()
        draw = Draw(task_id=task.id, seed=0, role="agent")
        seen = await world.reset(task, draw=draw)
        opened = Step(index=0, observation=seen.text, legal_actions=seen.legal_actions)
        trajectory = Trajectory(task=task, steps=(opened,))
        action = await player.act(trajectory, draw=draw)
        assert action.text in seen.legal_actions
        assert 0 < await judge.score(trajectory, action, draw=draw) < 1
        assert (await world.step(action, draw=draw)).text != "Nothing happens."

    for task in generated_tasks(6):
        asyncio.run(play(task))


def test_no_tasks_are_no_pilot():
    with pytest.raises(InvalidInput, match="at least 1"):
        generated_tasks(0)
