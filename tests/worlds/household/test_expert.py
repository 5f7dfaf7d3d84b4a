import random
from pathlib import Path

import pytest

from forbear.worlds.household.engine import NOTHING_HAPPENS, Household
from forbear.worlds.household.expert import Expert
from forbear.worlds.household.games import Game, read_games
from forbear.worlds.household.generator import generate


def play(game: Game, *, steps: int, noise: float = 0.0, rng: random.Random | None = None) -> int | None:
    """The number of commands to the goal, or None."""
    house = Household(game)
    expert = Expert(house.intro)
    for step in range(1, steps + 1):
        legal = house.legal_actions()
        command = rng.choice(legal) if rng and rng.random() < noise else expert.choose(legal)
        assert command in legal, (game.id, command)
        sentence = house.step(command)
        assert sentence != NOTHING_HAPPENS
        expert.observe(command, sentence)
        if house.won:
            return step
    return None


@pytest.mark.slow
def test_the_expert_solves_nearly_all_generated_tasks_in_fifty_steps():
    games = list(generate(seed=21, count=90))
    lengths = [play(game, steps=50) for game in games]
    assert sum(length is not None for length in lengths) >= 89
    # It searches: a planner that sees everything needs about six.
    assert sum(length or 50 for length in lengths) > 1.3 * sum(len(game.walkthrough) for game in games)


def test_the_expert_recovers_from_another_hand():
    rng = random.Random(5)
    games = list(generate(seed=22, count=30))
    assert sum(play(game, steps=80, noise=0.3, rng=rng) is not None for game in games) >= 27


@pytest.mark.slow
def test_the_expert_solves_nearly_all_real_games(shared_data: Path):
    games = list(read_games(shared_data / "alfworld" / "valid_seen.jsonl.gz"))
    assert sum(play(game, steps=50) is not None for game in games) >= 0.99 * len(games)
