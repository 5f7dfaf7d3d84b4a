import gzip
import json
from pathlib import Path

import pytest

from forbear.cli.main import run


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
