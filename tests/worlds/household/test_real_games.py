import asyncio
import gzip
import json

import pytest

from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.worlds.household.real_games import chosen_games, real_environment, real_games, real_tasks


@pytest.fixture
def compact(shared_data):
    return shared_data / "alfworld" / "valid_seen.jsonl.gz"


@pytest.fixture
def few(compact):
    """Some real games, one of each family."""
    return list({game.family: game for game in real_games(compact).values()}.values())


@pytest.fixture
def original(tmp_path, shared_data, few):
    """The same games in the original layout, put together from their parts; returns the folder of the data."""
    folder = shared_data / "alfworld"
    domain, grammar = ((folder / name).read_text() for name in ("alfred_domain.pddl", "alfred_grammar.twl2"))
    wanted = {game.id for game in few}
    with gzip.open(folder / "valid_seen.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in map(json.loads, file):
            if line["id"] in wanted:
                lay(tmp_path, line, domain=domain, grammar=grammar)
    return tmp_path


def lay(data, line, *, domain, grammar, split="valid_seen", **changes):
    trial = data / "json_2.1.1" / split / line["id"]
    trial.mkdir(parents=True)
    game = {
        "pddl_domain": domain,
        "grammar": grammar.replace("@@TASK@@", line["task"]),
        **{name: line[name] for name in ("pddl_problem", "solvable", "walkthrough")},
        **changes,
    }
    (trial / "game.tw-pddl").write_text(json.dumps(game))
    (trial / "traj_data.json").write_text(json.dumps({"task_type": line["task_type"], "images": []}))
    return trial


def test_the_original_layout_and_the_compact_file_hold_the_same_games(original, few):
    for path in (original, original / "json_2.1.1", original / "json_2.1.1" / "valid_seen"):
        games = real_games(path)
        assert sorted(games) == sorted(game.id for game in few)
        assert [games[game.id] for game in few] == few


def test_the_data_are_found_where_the_variable_says(original, few, monkeypatch):
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    with pytest.raises(InvalidInput, match="ALFWORLD_DATA"):
        real_tasks()
    monkeypatch.setenv("ALFWORLD_DATA", str(original))
    assert {task.id for task in real_tasks()} == {game.id for game in few}


def test_a_longer_list_starts_with_a_shorter_one_and_only_winnable_games_are_in_it(original, few):
    trial = original / "json_2.1.1" / "valid_seen" / few[0].id
    game = json.loads((trial / "game.tw-pddl").read_text())
    (trial / "game.tw-pddl").write_text(json.dumps({**game, "solvable": False}))
    sliced = trial.parent.with_name("pick_and_place_simple-BreadSliced-None-Table-1") / "trial_T1"
    sliced.mkdir(parents=True)
    (sliced / "game.tw-pddl").write_text("{}")
    games = real_games(original)
    whole = chosen_games(games)
    assert {one.id for one in whole} == {one.id for one in few[1:]}
    assert chosen_games(games, 3) == whole[:3]
    assert chosen_games(games, 99) == whole
    with pytest.raises(InvalidInput, match="n = 0"):
        chosen_games(games, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pddl_domain": "(define (domain alfred))"}, "its pddl_domain is not the one"),
        ({"grammar": 'grammar :: """{"task": [{"rhs": "win"}]}"""'}, "its grammar is not the one"),
        ({"grammar": "nothing"}, 'no sentence under "task"'),
        ({"pddl_problem": None}, "expected text in 'pddl_problem', got None"),
        ({"pddl_problem": "(define"}, "game"),
        (None, "not JSON"),
    ],
)
def test_a_game_that_cannot_be_played_is_named(original, few, change, said):
    path = original / "json_2.1.1" / "valid_seen" / few[0].id / "game.tw-pddl"
    path.write_text("no JSON" if change is None else json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InvalidInput, match=said) as error:
        real_games(original)[few[0].id]
    assert few[0].id.split("/")[0] in str(error.value)
    assert str(error.value).count("\n") == 0


def test_a_folder_or_a_file_without_games_is_refused(tmp_path, rules):
    with pytest.raises(InvalidInput, match=r"TASK/TRIAL/game\.tw-pddl"):
        real_games(tmp_path)
    rules(tmp_path)
    (tmp_path / "games.jsonl").write_text("\n")
    with pytest.raises(InvalidInput, match="has no game"):
        real_games(tmp_path / "games.jsonl")


def test_an_environment_plays_the_tasks_of_the_same_games(compact):
    (task,) = real_tasks(compact, n=1)
    seen = asyncio.run(real_environment(compact).reset(task, draw=Draw(task_id=task.id, seed=0, role="world")))
    assert "Your task is to" in seen.text
    assert seen.legal_actions
