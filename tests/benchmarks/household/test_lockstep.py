"""Our engine against TextWorld, the authority: the same game, the same commands, the same sentences."""

import random
from pathlib import Path

import pytest

from forbear.benchmarks.household.engine import Household
from forbear.benchmarks.household.games import Game, read_games
from forbear.benchmarks.household.pddl import write_problem
from forbear.benchmarks.household.world import display_names

STEPS = 40


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
    env, house = authority(game, folder), Household(game)
    state = env.reset()
    assert house.intro == state.feedback, game.id
    done = 0
    for done in range(steps):
        assert house.legal_actions() == state["admissible_commands"], (game.id, done)
        assert house.won == state["won"], (game.id, done)
        command = commands(done, house)
        if command is None:
            break
        state, _, _ = env.step(command)
        assert house.step(command) == state.feedback, (game.id, done, command)
    return done


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_walkthroughs_and_random_play_read_as_in_textworld(folder, part):
    games = list(read_games(folder / "valid_seen.jsonl.gz"))[part::28]
    assert len(games) >= 5
    for number, game in enumerate(games):
        rng = random.Random(f"{part} {number}")
        mixed = iter(game.walkthrough)

        def command(step, house, rng=rng, mixed=mixed):
            return noisy(house, rng) if step % 3 else next(mixed, None) or noisy(house, rng)

        compare(game, folder, command, steps=STEPS)
