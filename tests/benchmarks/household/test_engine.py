from pathlib import Path

import pytest

from forbear.benchmarks.household.engine import NOTHING_HAPPENS, Household
from forbear.benchmarks.household.games import Game, read_games


@pytest.fixture(scope="module")
def games() -> list[Game]:
    path = Path(__file__).parents[4] / "shared" / "data" / "alfworld" / "valid_seen.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"needs the real games in {path}, which are not part of the project")
    return list(read_games(path))


def test_every_public_walkthrough_is_legal_at_each_step_and_wins_at_the_last(games):
    for game in games:
        house = Household(game)
        for command in game.walkthrough:
            assert not house.won, game.id
            assert command in house.legal_actions(), game.id
            assert house.step(command) != NOTHING_HAPPENS
        assert house.won, game.id
