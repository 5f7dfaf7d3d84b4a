"""Our engine against TextWorld, the authority: the same game, the same commands, the same sentences."""

import random
from pathlib import Path

import pytest

from forbear.worlds.household.engine import Household
from forbear.worlds.household.games import Game, read_games
from forbear.worlds.household.generator import generate
from forbear.worlds.household.pddl import write_problem
from forbear.worlds.household.world import display_names


@pytest.fixture(scope="module")
def folder() -> Path:
    pytest.importorskip("textworld", reason="needs TextWorld: pip install 'forbear[alfworld]'")
    pytest.importorskip("fast_downward", reason="needs TextWorld's planner: pip install 'forbear[alfworld]'")
    folder = Path(__file__).parents[4] / "shared" / "data" / "alfworld"
    if not folder.is_dir():
        pytest.skip(f"needs the domain, the grammar and the games in {folder}, which are not part of the project")
    return folder


def authority(game: Game, folder: Path):
    """The game in TextWorld, put together and named as ALFWorld does it (alfworld 0.4.2, AlfredDemangler)."""
    import textworld
    from textworld.envs.pddl import PddlEnv

    grammar = (folder / "alfred_grammar.twl2").read_text(encoding="utf-8")
    env = PddlEnv(textworld.EnvInfos(won=True, admissible_commands=True))
    env.load(
        {
            "pddl_domain": (folder / "alfred_domain.pddl").read_text(encoding="utf-8"),
            "grammar": grammar.replace("@@TASK@@", game.task),
            "pddl_problem": write_problem(game.problem, name="game"),
            "walkthrough": list(game.walkthrough),
        }
    )
    infos = env._entity_infos
    names = display_names(info.id for info in infos.values())
    for info in infos.values():
        info.name = names.get(info.id, f"{info.id} ")
    return env


def noisy(house: Household, rng: random.Random) -> str:
    """Mostly legal, preferring what changes the world to walking; now and then nonsense or a command out of place."""
    legal = house.legal_actions()
    kind = rng.random()
    if kind < 0.05:
        return rng.choice(
            ["", "dance", "look around", "go to nowhere 1", "take", "examine  fridge 1", "LOOK", " look "]
        )
    if kind < 0.15:
        receptacle, thing = rng.choice(house.world.receptacles), rng.choice(house.world.objects)
        return rng.choice(
            [
                f"take {thing} from {receptacle}",
                f"move {thing} to {receptacle}",
                f"open {receptacle}",
                f"close {receptacle}",
                f"examine {thing}",
                f"use {thing}",
                f"heat {thing} with {receptacle}",
                f"clean {thing} with {receptacle}",
                f"slice {thing} with {rng.choice(house.world.objects)}",
            ]
        )
    acting = [command for command in legal if not command.startswith(("go to ", "help", "inventory"))]
    return rng.choice(acting if acting and kind < 0.7 else legal)


def compare(game: Game, folder: Path, commands, *, steps: int) -> int:
    """Plays both; returns the number of commands compared."""
    env, house = authority(game, folder), Household(game)
    state = env.reset()
    assert house.intro == state.feedback, game.id
    for done in range(steps):
        assert house.legal_actions() == state["admissible_commands"], (game.id, done)
        assert house.won == state["won"], (game.id, done)
        command = commands(done, house)
        state, _, _ = env.step(command)
        assert house.step(command) == state.feedback, (game.id, done, command)
    return steps


def mixed(game: Game, rng: random.Random):
    """Every third command from the walkthrough, so that play gets somewhere; the others noisy."""
    expert = iter(game.walkthrough)
    return lambda step, house: (next(expert, None) if step % 3 == 0 else None) or noisy(house, rng)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_real_games_read_as_in_textworld(folder, part):
    games = list(read_games(folder / "valid_seen.jsonl.gz"))[part::35]
    steps = [compare(game, folder, mixed(game, random.Random(f"{part} {n}")), steps=30) for n, game in enumerate(games)]
    assert steps == [30] * 4


@pytest.mark.slow
def test_generated_games_read_as_in_textworld(folder):
    for number, game in enumerate(generate(seed=7, count=6)):
        assert compare(game, folder, mixed(game, random.Random(number)), steps=20) == 20
