"""Looks from a pilot file: run as far as one, extend to the next, decide on the journal, and no further."""

import json

import pytest

from forbear.cli.main import run
from pilot_files import TEXT, write_pilot
from runner.pilots import digest

LOOKED = TEXT.replace("[run]\n", "[run]\nlooks = [10, 20, 30]\nfutility = 0\n")


@pytest.fixture
def pilot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_pilot(tmp_path, tasks=30, text=LOOKED)


@pytest.mark.slow
def test_look_by_look_finds_what_one_run_finds(pilot, capsys):
    assert run(["pilot", "run", "pilot.toml", "--look", "1"]) == 0
    said = capsys.readouterr().out
    assert "Not over: the next look is at 20 tasks." in said
    assert "forbear pilot extend pilot.toml" in said
    assert run(["pilot", "status", "pilot.toml"]) == 0
    assert "evidence: the first 10 of 30 tasks; next look at 20" in capsys.readouterr().out
    assert run(["pilot", "extend", "pilot.toml", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["tasks"], data["planned_tasks"], data["over"], data["unused"]) == (20, 30, False, [])
    assert data["looks"]["tasks"] == [10, 20, 30]
    assert [look["tasks"] for look in data["arms"]["rollback"]["path"]["looks"]] == [10, 20]
    assert data["arms"]["rollback"]["verdict"]["look"]["next"] == 30
    assert run(["pilot", "extend", "pilot.toml"]) == 0
    assert run(["pilot", "run", "pilot.toml", "--journal", "whole"]) == 0
    assert digest("runs/pilot") == digest("whole")


@pytest.mark.slow
def test_beyond_the_last_look_only_something_new_is_offered(pilot, capsys):
    run(["pilot", "run", "pilot.toml"])
    before = (pilot.parent / "runs/pilot/episodes.jsonl").read_bytes()
    capsys.readouterr()
    assert run(["pilot", "extend", "pilot.toml"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "the pilot is over after 30 tasks" in said
    assert "Start a fresh pilot" in said
    assert "--anytime" in said
    assert (pilot.parent / "runs/pilot/episodes.jsonl").read_bytes() == before


def test_nothing_to_extend_before_a_first_run_or_beyond_the_plan(pilot, capsys):
    assert run(["pilot", "extend", "pilot.toml"]) == 2
    assert "not started" in capsys.readouterr().err
    assert run(["pilot", "run", "pilot.toml", "--look", "4"]) == 2
    assert "declares 3 looks" in capsys.readouterr().err


@pytest.mark.slow
def test_a_journal_is_decided_at_its_declared_looks_only(pilot, capsys):
    run(["pilot", "run", "pilot.toml", "--look", "1", "--json"])
    at_one = json.loads(capsys.readouterr().out)["arms"]["rollback"]["verdict"]
    assert run(["decide", "runs/pilot", "--json", "--treated", "rollback"]) == 0
    decided = json.loads(capsys.readouterr().out)
    assert decided["look"] == at_one["look"]
    assert decided["p_value_gain"] == at_one["p_value_gain"]
    assert decided["success_gain"] == at_one["success_gain"]
    # Cut in the middle of the next block: the journal has grown, the verdict has not.
    run(["pilot", "extend", "pilot.toml"])
    path = pilot.parent / "runs/pilot/episodes.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) * 3 // 4]))
    capsys.readouterr()
    assert run(["decide", "runs/pilot", "--json", "--treated", "rollback"]) == 0
    assert json.loads(capsys.readouterr().out)["look"] == at_one["look"]
    path.write_bytes(b"".join(lines[:8]))
    assert run(["decide", "runs/pilot"]) == 2
    said = capsys.readouterr().err
    assert "its first look at 10" in said
    assert "9.8 %" in said


@pytest.mark.slow
def test_deciding_on_a_journal_takes_its_rule_from_the_plan(pilot, capsys):
    run(["pilot", "run", "pilot.toml"])
    capsys.readouterr()
    assert run(["decide", "runs/pilot", "--alpha", "0.2"]) == 2
    assert "--alpha does not go with a journal" in capsys.readouterr().err
    assert run(["decide", "runs/pilot", "--gate"]) in (0, 20, 21)
    assert run(["decide", "runs/pilot", "--gate", "--treated", "append", "--only-arm-tested"]) == 2
    assert run(["decide", "runs/pilot", "--gate", "--treated", "append"]) in (0, 20, 21)
    assert run(["decide", "runs/pilot", "--treated", "placebo"]) == 2
    assert "there is no arm 'placebo' to deploy" in capsys.readouterr().err
    assert run(["decide", "runs"]) == 2
    assert "no readable journal" in capsys.readouterr().err


@pytest.mark.slow
def test_a_pilot_that_has_grown_is_refused_with_the_reason(pilot, capsys):
    run(["pilot", "run", "pilot.toml"])
    write_pilot(pilot.parent, tasks=40, text=LOOKED.replace("20, 30]", "20, 40]"))
    capsys.readouterr()
    assert run(["pilot", "run", "pilot.toml"]) == 2
    said = capsys.readouterr().err
    assert "it has grown: 30 tasks were planned, now there are 40" in said
    assert "9.8 %" in said


def test_the_plan_says_what_to_expect(pilot, capsys):
    assert run(["pilot", "plan", "pilot.toml"]) == 0
    said = capsys.readouterr().out
    assert "looks at 10, 20, 30 tasks, watched for harm after every task" in said
    assert "if the gain is" in said
    assert "Worst case: 30 tasks, " in said
    assert all(len(line) <= 80 for line in said.splitlines() if not line.startswith("next:"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("looks = [10, 20]", "the last look is at 20 tasks, the plan has 30"),
        ("looks = [20, 10, 30]", "looks must rise"),
        ('looks = "often"', "run.looks: looks are rising whole numbers of tasks such as 50,100,200"),
        ('looks = ["a"]', "looks are whole numbers"),
        ('shape = "round"', "the shape of looks"),
        ("futility = 2", "futility is a probability"),
        ("gain = 0.5", "the planned discordance"),
        ("gain = nan", "the planned discordance"),
        ("looks = []", "looks are 1 to 50 numbers"),
        ("watched = true", "did you mean 'watch'"),
    ],
)
def test_unusable_looks_name_their_place(pilot, capsys, line, said):
    pilot.write_text(TEXT.replace("[run]\n", f"[run]\n{line}\n"), encoding="utf-8")
    assert run(["pilot", "plan", "pilot.toml"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "pilot.toml" in error


@pytest.mark.slow
def test_a_stop_is_final_also_where_the_journal_is_decided_on_later(tmp_path, monkeypatch, capsys):
    """One arm is over between two looks; the other is as at the last look, however many lines came after."""
    monkeypatch.chdir(tmp_path)
    text = TEXT.replace("[run]\n", "[run]\nlooks = [5, 40]\nfutility = 0\n").replace(
        'intervention = "append"', 'intervention = "stop"\nthreshold = 0.1'
    )
    write_pilot(tmp_path, tasks=40, text=text)
    run(["pilot", "run", "pilot.toml", "--json"])
    whole = json.loads(capsys.readouterr().out)["arms"]["append"]["verdict"]
    assert whole["look"]["stopped"] == "watch"
    path = tmp_path / "runs/pilot/episodes.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    stop = next(n for n, line in enumerate(lines) if b'"forbear-end-1"' in line)
    path.write_bytes(b"".join(lines[: stop + 4]))
    assert run(["decide", "runs/pilot", "--json"]) == 0
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    # The placebo beside it is as at the last look too, so that what is said of it differs; what is said does not.
    said = [{remark["code"] for remark in one["cautions"]} for one in (verdicts["append"], whole)]
    assert said[0] == said[1]
    assert {key: verdicts["append"][key] for key in whole.keys() - {"cautions"}} == {
        key: whole[key] for key in whole.keys() - {"cautions"}
    }
    assert verdicts["rollback"]["look"]["tasks"] == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda plan: plan["rule"].update(alpha=0.3), "plan.json is not what the pilot was started with"),
        (lambda plan: plan["looks"].update(tasks=[20, 30]), "plan.json is not what the pilot was started with"),
        (lambda plan: plan["baseline"]["tasks"].pop(), "plan.json is not what the pilot was started with"),
        (lambda plan: plan.pop("looks"), "plan.json is not what the pilot was started with"),
    ],
)
def test_a_plan_that_was_changed_afterwards_is_not_decided_on(pilot, capsys, change, said):
    run(["pilot", "run", "pilot.toml"])
    path = pilot.parent / "runs/pilot/plan.json"
    plan = json.loads(path.read_text())
    change(plan)
    path.write_text(json.dumps(plan))
    capsys.readouterr()
    assert run(["decide", "runs/pilot"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.slow
def test_suggestions_name_the_journal(pilot, capsys):
    assert run(["pilot", "run", "pilot.toml", "--journal", "here", "--look", "1"]) == 0
    assert "forbear pilot extend pilot.toml --journal here\n" in capsys.readouterr().out
    assert run(["pilot", "extend", "pilot.toml", "--journal", "there"]) == 2
    assert "forbear pilot run pilot.toml --journal there starts it" in capsys.readouterr().err


def test_a_pilot_of_one_task_says_what_it_can(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_pilot(tmp_path, tasks=1)
    assert run(["pilot", "run", "pilot.toml"]) == 0
    assert "UNDECIDED" in capsys.readouterr().out
