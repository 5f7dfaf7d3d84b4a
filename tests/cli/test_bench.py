import gzip
import json
from pathlib import Path

import pytest

from forbear.cli.main import run
from forbear.testing.chat_server import ChatServer, answer
from forbear.worlds.household.real_games import real_tasks


def test_the_walkthroughs_of_a_file_are_counted_and_those_that_fail_named(shared_data: Path, tmp_path: Path, capsys):
    folder = shared_data / "alfworld"
    with gzip.open(folder / "valid_seen.jsonl.gz", "rt", encoding="utf-8") as file:
        games = [json.loads(next(file)) for _ in range(3)]
    games[1]["walkthrough"].pop()
    for name in ("alfred_domain.pddl", "alfred_grammar.twl2"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    data = tmp_path / "games.jsonl.gz"
    data.write_bytes(gzip.compress("\n".join(map(json.dumps, games)).encode()))
    assert run(["bench", "alfworld", "--data", str(data), "--verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"games": 3, "won": 2, "failed": [games[1]["id"]]}
    assert run(["bench", "alfworld", "--data", str(data), "--verify"]) == 0
    assert capsys.readouterr().out == f"2 of 3 walkthroughs win.\nfailed: {games[1]['id']}\n"


def test_a_bad_file_is_one_line_and_exit_code_two(tmp_path: Path, capsys):
    for content, arguments in ((None, ["--verify"]), (b"not games", ["--verify", "--json"]), (b"", [])):
        data = tmp_path / "games.jsonl.gz"
        if content is not None:
            data.write_bytes(content)
        assert run(["bench", "alfworld", "--data", str(data), *arguments]) == 2
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.count("\n") == 1
        assert output.err.startswith("error: ")


@pytest.mark.slow
def test_a_bench_of_players_goes_on_where_it_was_and_prints_the_same(tmp_path: Path, capsys):
    asked = ["bench", "household", "--agents", "doubter", "--arms", "c-append,rerun", "--tasks", "6"]
    folder = ["--journal", str(tmp_path / "bench")]
    assert run([*asked, *folder, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    episodes = tmp_path / "bench" / "doubter" / "episodes.jsonl"
    whole = episodes.read_bytes()
    episodes.write_bytes(b"".join(whole.splitlines(keepends=True)[:20]))
    assert run([*asked, *folder, "--json", "--html"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert "doubter" in (tmp_path / "bench" / "doubter" / "report.html").read_text()
    rows = first["agents"][0]["rows"]
    assert [row["arm"] for row in rows] == ["c-append", "rerun", "best-of-2", "best-of-3", "best-of-4"]
    assert [row["kind"] for row in rows] == ["candidate", "control", *3 * ["selection"]]
    assert run([*asked, *folder]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.partition("\nJournals: ")[0].splitlines())) <= 80
    for row in rows:
        assert text.count(f"\n{row['arm']} ") == (2 if row["kind"] == "control" else 3)
    assert run([*asked[:-1], "7", *folder]) == 2
    assert "it has grown" in capsys.readouterr().err


def test_readers_of_questions_are_benched(tmp_path: Path, capsys):
    asked = ["bench", "questions", "--agents", "waverer", "--arms", "c-rollback,rerun", "--tasks", "6", "--json"]
    assert run([*asked, "--journal", str(tmp_path)]) == 0
    view = json.loads(capsys.readouterr().out)
    assert view["name"] == "questions"
    assert [one["agent"] for one in view["agents"]] == ["waverer"]
    assert [row["arm"] for row in view["agents"][0]["rows"]][:2] == ["c-rollback", "rerun"]
    assert run(["bench", "questions", "--agents", "waverrer", "--journal", str(tmp_path / "b")]) == 2
    assert "expected readers among skimmer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "known"), [("--agents", "heeed", "heed, novice"), ("--arms", ",", "u-rollback, c-rollback")]
)
def test_a_name_that_the_bench_does_not_have_is_one_line(tmp_path: Path, capsys, option, value, known):
    assert run(["bench", "household", option, value, "--journal", str(tmp_path / "b")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert known in error
    assert not (tmp_path / "b").exists()


@pytest.mark.slow
def test_pilots_drawn_from_a_bench_stand_below_its_table(tmp_path: Path, capsys):
    asked = ["bench", "household", "--agents", "doubter", "--arms", "c-append", "--tasks", "100", "--pilot-study"]
    asked += ["--seeds", "1", "--journal", str(tmp_path)]
    assert run([*asked, "--json"]) == 0
    one = json.loads(capsys.readouterr().out)["agents"][0]
    study = one["pilot_study"]["c-append"]
    assert study["intervene"] + study["forbear"] + study["undecided"] == pytest.approx(1)
    assert one["calls_to_decision"] is None
    assert run(asked) == 0
    text = capsys.readouterr().out
    assert "50 tasks" in text
    assert max(map(len, text.partition("\nJournals: ")[0].splitlines())) <= 80
    for options, said in ((["--calls"], "--seeds 2"), (["--tasks", "99"], "--tasks 100")):
        assert run([*asked, *options]) == 2
        assert said in capsys.readouterr().err


AGENT = """
name = "walker"
[model]
use = "openai"
options = {{ model = "test", base_url = "{url}", temperature = 0.0, patience_s = 2.0 }}
[agent]
use = "chat"
options = {{ mode = "text", legal = "hint" }}
{more}
"""


@pytest.fixture
def walkthroughs(shared_data: Path) -> dict[str, list[str]]:
    with gzip.open(shared_data / "alfworld" / "valid_seen.jsonl.gz", "rt", encoding="utf-8") as file:
        games = [json.loads(line) for line in file]
    return {game["id"]: game["walkthrough"] for game in games}


@pytest.mark.slow
def test_a_chat_model_plays_real_games_under_the_arms_of_the_players(
    shared_data: Path, walkthroughs: dict[str, list[str]], tmp_path: Path, capsys
):
    """Knows the walkthrough of every second game, by the task's id in its prompt; else it looks around."""
    known = dict(list(sorted(walkthroughs.items()))[::2])

    def respond(request):
        id = next((id for id in walkthroughs if id in request["messages"][0]["content"]), None)
        done = sum(message["role"] == "assistant" for message in request["messages"])
        plan = known.get(id, [])
        return answer(f"Action: {plan[done] if done < len(plan) else 'look'}", usage=(100, 10))

    data = ["bench", "alfworld", "--data", str(shared_data / "alfworld" / "valid_seen.jsonl.gz")]
    with ChatServer(respond) as server:
        file = tmp_path / "agent.toml"
        (tmp_path / "system.txt").write_text("You are in the house {task}. Answer with one line: Action: ...")
        more = 'system = "system.txt"'
        file.write_text(AGENT.format(url=server.url, more="").replace('legal = "hint"', f'legal = "hint", {more}'))
        asked = [*data, "--agent-file", str(file), "--arms", "c-append,rerun", "--tasks", "6", "--seeds", "1"]
        asked += ["--journal", str(tmp_path / "bench"), "--json"]
        assert run(asked) == 0
        first = json.loads(capsys.readouterr().out)
        paid = len(server.requests)
        assert run(asked) == 0
        assert json.loads(capsys.readouterr().out) == first
        assert len(server.requests) == paid
        file.write_text(file.read_text() + "[budget]\nmax_calls = 1\n")
        assert run([*asked[:-3], "--journal", str(tmp_path / "dear")]) == 3
        assert "max_calls = 1" in capsys.readouterr().err
    (one,) = first["agents"]
    assert one["agent"] == "walker"
    won = [task.id in known for task in real_tasks(shared_data / "alfworld" / "valid_seen.jsonl.gz", n=6)]
    assert one["success"]["value"] == pytest.approx(sum(won) / 6)
    assert 0 < sum(won) < 6


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        ("[agent]\nuse = 'chat'\n", "asks a language model"),
        ("agent = 'household'\n[tasks]\nsource = 'household:generated'\n", "unknown key 'tasks'"),
        ("agent = 'household'\nname = '../up'\n", "name: expected up to 40"),
        ("", "'agent' is missing"),
    ],
)
def test_a_file_that_describes_no_agent_is_one_line(tmp_path: Path, capsys, content: str | None, said: str):
    file = tmp_path / "agent.toml"
    if content is not None:
        file.write_text(content)
    assert run(["bench", "alfworld", "--agent-file", str(file), "--journal", str(tmp_path / "b")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
