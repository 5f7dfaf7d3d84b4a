import gzip
import json
from pathlib import Path

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
