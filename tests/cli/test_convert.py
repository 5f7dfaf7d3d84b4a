"""`forbear convert`: logs in, a table out, and what was understood beside it."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from forbear.adapters.formats.episodes import read_runs
from forbear.cli.main import cli

DATA = Path(__file__).parents[1] / "data" / "logs"


@pytest.fixture
def forbear():
    def forbear(*arguments):
        return CliRunner().invoke(cli, [str(one) for one in arguments])

    return forbear


@pytest.fixture
def two(tmp_path):
    """Two checkpoints of tau-bench, of one task each agent solved and one that a broken world ended."""

    def checkpoint(name, *rewards):
        rows = [
            {"task_id": n, "reward": reward, "trial": 0, "info": {}, "traj": [{"role": "user", "content": "q"}, said]}
            for n, reward in enumerate(rewards)
        ]
        rows[-1]["info"] = {"error": "RateLimitError()", "traceback": ""}
        (tmp_path / name).write_text(json.dumps(rows))
        return tmp_path / name

    said = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "book", "arguments": "{}"}}]}
    return checkpoint("base.json", *(n % 2 for n in range(20)), 0.0), checkpoint("critic.json", *(1,) * 20, 0.0)


def test_what_is_written_is_read_again_and_decided_on_alike(forbear, two, tmp_path):
    out = tmp_path / "outcomes.csv"
    done = forbear("convert", *two, "-o", out)
    assert done.exit_code == 0
    assert not done.stdout
    assert "tau_bench: 2 logs, 2 arms, 21 tasks, 42 runs, at most 1 of a task in an arm" in done.stderr
    assert "success: reward = 1" in done.stderr
    assert "no outcome in base: RateLimitError (1)" in done.stderr
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["task_id", "arm", "seed", "success"]
    assert [row["success"] for row in rows if row["task_id"] == "20"] == ["", ""]
    table = forbear("decide", out, "--baseline", "base", "--json")
    logs = forbear("decide", *two, "--json")
    of_table, of_logs = json.loads(table.stdout), json.loads(logs.stdout)
    assert of_logs["understood"][0]["code"] == "logs_read"
    assert of_table | {"understood": []} == of_logs | {"understood": []}
    assert of_logs["baseline"] == "base"


def test_without_a_file_the_table_stands_on_standard_output_alone(forbear, two):
    done = forbear("convert", two[0], "--reasons")
    assert done.stdout.splitlines()[0] == "task_id,arm,seed,success,reason"
    assert done.stdout.splitlines()[-1] == "20,base,0,,RateLimitError"
    assert done.stderr.startswith("tau_bench: 1 log")


def test_what_was_understood_can_be_had_as_data(forbear, two, tmp_path):
    done = forbear("convert", *two, "-o", tmp_path / "o.csv", "--json")
    said = json.loads(done.stdout)
    assert said["formats"] == ["tau_bench"]
    assert said["arms"]["critic"] == {
        "success": 20,
        "failure": 0,
        "error": 1,
        "missing": 0,
        "reasons": {"RateLimitError": 1},
    }
    assert forbear("convert", two[0], "--json").exit_code == 2


def test_what_agents_did_is_what_critics_are_judged_on(forbear, two, tmp_path):
    out = tmp_path / "episodes.jsonl"
    assert forbear("convert", two[0], "--episodes", "-o", out).exit_code == 0
    read = read_runs([out])
    assert len(read.runs) == 20
    assert read.left_out
    first = json.loads(out.read_text().splitlines()[0])
    assert (first["task"], first["steps"]) == ("q", [{"action": "book({})", "observation": ""}])


def test_a_reason_may_count_as_a_failure_in_every_arm_alike(forbear, two):
    done = forbear("convert", *two, "--failure", "ratelimiterror")
    assert [line[-2:] for line in done.stdout.splitlines() if line.startswith("20,")] == [",0", ",0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "cannot read 'nowhere': No such file or directory"),
        ((DATA / "scorers.eval",), "holds 2 scores, 'includes', 'match'; say which is the outcome: --scorer NAME"),
        ((DATA / "graded.eval",), "--threshold T"),
        ((DATA / "traps.eval", "--from", "tau-bench"), "holds no tau_bench log: a list of trials"),
        ((DATA / "traps.eval", "--from", "inspekt"), "there is no format 'inspekt'; there are inspect,"),
        ((DATA / "traps.eval", "-o", "/nowhere/o.csv"), "cannot write '/nowhere/o.csv'"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(forbear, arguments, message):
    from forbear.cli.main import run

    done = forbear("convert", *arguments)
    assert done.exception is not None
    assert message in str(done.exception)
    assert run(["convert", *map(str, arguments)]) in (2, 3)


def test_two_logs_may_hold_more_arms_than_two(forbear, tmp_path):
    def row(rate):
        return {"eval_id": "a", "run_index": 0, "with_skill": {"pass_rate": rate}, "without_skill": {"pass_rate": 0.0}}

    files = [tmp_path / f"{number}.json" for number in range(2)]
    for number, file in enumerate(files):
        file.write_text(json.dumps({"skill_path": f"v{number}", "runs": [row(float(number))]}))
    done = forbear("decide", *files, "--baseline", "without_skill v0", "--treated", "with_skill v1", "--json")
    found = json.loads(done.stdout)
    assert (found["baseline"], found["arm"], found["pairs"]) == ("without_skill v0", "with_skill v1", 1)


def test_churn_reads_logs_too(forbear):
    done = forbear("churn", DATA / "traps.eval", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["arm"] == "mockllm/model"
