import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from forbear.errors import InvalidInput
from forbear.worlds.household.games import read_games
from forbear.worlds.household.generator import generate
from forbear.worlds.household.players import Recipe
from forbear.worlds.household.real_games import chosen_games, real_games
from forbear.worlds.household.real_players import (
    SHIPPED,
    fingerprint,
    load_player,
    names_in,
    real_agent,
    real_critic,
)
from forbear.worlds.household.real_train import FOLDS, dealt, train_real

TINY = Recipe(demonstrations=20, agent_iterations=20, critic_tasks=24, calibration_tasks=12, critic_l2=1.0)
GAMES = [
    dataclasses.replace(game, id=f"task-{number}/trial_1") for number, game in enumerate(generate(seed=29, count=16))
]


@pytest.fixture(scope="module")
def trained():
    return train_real(GAMES, "heed", recipe=TINY)


@pytest.mark.slow
def test_training_again_gives_the_same_bytes(trained, tmp_path):
    for folder, training in (("one", trained), ("two", train_real(GAMES, "heed", recipe=TINY))):
        training.player.write(tmp_path / folder)
    written = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert written == ["heed-critic.npz", "heed.json", "heed.npz"]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in written)


@pytest.mark.slow
def test_what_is_written_is_read_and_a_card_of_other_weights_refused(trained, tmp_path):
    trained.player.write(tmp_path)
    assert names_in(tmp_path) == ("heed",)
    read = load_player("heed", folder=tmp_path)
    assert dataclasses.replace(read, agent=trained.player.agent, critic=trained.player.critic) == trained.player
    assert real_agent("heed", tmp_path).config()["sha256"] == read.agent.sha256()
    assert real_critic("heed", tmp_path).config()["sha256"] == read.critic.sha256()
    assert 0 <= trained.success <= 1
    assert read.games == {fingerprint(game) for game in GAMES}
    other = tmp_path / "other"
    trained.player.write(other)
    card = json.loads((other / "heed.json").read_text())
    untold = "does not say which games it learned from"
    without = [{**card, "games": []}, {**card, "rates": [1]}, {**card, "rates": {"c-append": [2.0]}}]
    without.append({key: value for key, value in card.items() if key != "games"})
    refused = [({**card, "agent_sha256": "0"}, "is not the card"), ([], "expected the card")]
    for content, said in (*refused, *((one, untold) for one in without)):
        (other / "heed.json").write_text(json.dumps(content))
        with pytest.raises(InvalidInput, match=said):
            load_player("heed", folder=other)
    (other / "heed.json").unlink()
    with pytest.raises(InvalidInput, match="cannot be read"):
        load_player("heed", folder=other)
    with pytest.raises(InvalidInput, match="has no player"):
        names_in(other)


def test_parts_are_whole_rooms_and_none_is_empty():
    trials = [dataclasses.replace(GAMES[n // 3], id=f"task-{n // 3}/trial_{n}") for n in range(48)]
    parts = dealt(trials)
    assert len(parts) == FOLDS
    assert sorted(game.id for part in parts for game in part) == sorted(game.id for game in trials)
    rooms = [{game.id.partition("/")[0] for game in part} for part in parts]
    assert sum(map(len, rooms)) == len(set().union(*rooms)) == 16
    with pytest.raises(InvalidInput, match="too few"):
        dealt(GAMES[:3])


def test_a_game_is_known_again_whatever_it_is_called():
    assert len({fingerprint(game) for game in GAMES}) == len(GAMES)
    renamed = dataclasses.replace(GAMES[0], id="other", task="Your task is to: win.", walkthrough=("look",))
    assert fingerprint(renamed) == fingerprint(GAMES[0])


def test_players_that_come_with_forbear_learned_from_one_split_and_not_from_the_one_they_are_judged_on(shared_data):
    learned, judged = (
        list(read_games(shared_data / "alfworld" / f"{split}.jsonl.gz")) for split in ("valid_train", "valid_seen")
    )
    for name in SHIPPED:
        player = load_player(name)
        assert player.games == {fingerprint(game) for game in learned}
        player.require_unseen(judged)
        renamed = dataclasses.replace(learned[7], id="another/name")
        with pytest.raises(InvalidInput, match=r"learned from 1 of these games, e\.g\. 'another/name'"):
            player.require_unseen([*judged, renamed])


@pytest.mark.slow
@pytest.mark.skipif(
    os.environ.get("FORBEAR_RETRAIN") != "all", reason="a minute each, for what changes with weights only"
)
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_player_of_real_games_is_what_its_command_makes(name, shared_data):
    games = chosen_games(real_games(shared_data / "alfworld" / "valid_train.jsonl.gz"))
    made, kept = train_real(games, name).player, load_player(name)
    assert made.games == kept.games
    # Another platform sums in another order, which the rounding of a few weights shows.
    assert np.abs(made.agent.table - kept.agent.table).max() < 0.05
    assert np.abs(made.critic.hashed - kept.critic.hashed).max() < 0.05
    assert made.critic.temperature == pytest.approx(kept.critic.temperature, rel=0.01)
    assert made.rates.keys() == kept.rates.keys()


def test_what_comes_with_forbear_is_small():
    folder = Path(load_player.__code__.co_filename).with_name("weights") / "alfworld"
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 300_000
    assert {path.name for path in folder.iterdir()} == {
        f"{name}{end}" for name in SHIPPED for end in (".npz", "-critic.npz", ".json")
    }


def test_a_player_that_did_not_learn_from_real_games_is_refused():
    for make in (real_agent, real_critic):
        with pytest.raises(InvalidInput, match="heed, restarter, doubter"):
            make("novice")
