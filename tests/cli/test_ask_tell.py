"""`forbear pilot ask` and `tell`: a pilot for hosts in any language."""

import json
import random
import runpy
import subprocess
import sys

import pytest

from forbear.adapters.host_file import read_host_file
from forbear.analysis.evidence import verdicts_of
from forbear.cli.main import run as forbear
from forbear.records.codec import encode_record
from forbear.records.journal import Journal
from forbear.records.model import Episode, Step, Task, Termination
from forbear.runner.ask_tell import HostPilot
from forbear.stats.verdict import Verdict
from host_files import TEXT, write_host
from pilot_files import write_pilot


@pytest.fixture
def call(tmp_path, capsys, monkeypatch):
    """`forbear pilot ...` in a folder with a host's pilot: its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    write_host(tmp_path)

    def call(*arguments):
        code = forbear(["pilot", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def asked(call, *more):
    code, out, err = call("ask", "pilot.toml", "--json", *more)
    assert (code, err) == (0, "")
    return json.loads(out)


def names(one):
    return f"--task={one['task']}", f"--seed={one['seed']}", f"--arm={one['arm']}"


def outcome_of(task, seed, arm):
    chance = random.Random(f"{task}{seed}{arm}").random()
    return chance < 0.5


def test_from_the_first_question_to_the_verdict(call, tmp_path, decide):
    while (one := asked(call))["task"] is not None:
        assert list(one)[:6] == ["format", "over", "tasks", "planned_tasks", "outstanding", "next"]
        assert (one["over"], one["outstanding"]) == (False, 1)
        flag = "--success" if outcome_of(one["task"], one["seed"], one["arm"]) else "--failure"
        code, out, err = call("tell", "pilot.toml", *names(one), flag, "--json")
        assert (code, err) == (0, "")
        told = json.loads(out)
        assert (told["format"], told["told"], told["task"]) == ("forbear-tell-1", "written", one["task"])
    assert (one["over"], one["tasks"], one["next"]) == (True, 8, "forbear decide runs/pilot")
    assert told["over"] is True
    with HostPilot(read_host_file("pilot.toml").plan, Journal(tmp_path / "library")) as pilot:
        while (assignment := pilot.ask()) is not None:
            pilot.tell(assignment, outcome_of(*assignment.key))
        expected = verdicts_of(pilot.result())["critic"]
    code, out, err = decide("runs/pilot", "--json")
    assert (code, err) == (0, "")
    assert Verdict.from_dict(json.loads(out)) == expected
    code, out, _ = call("ask", "pilot.toml")
    assert (code, out) == (0, "over\nnext: forbear decide runs/pilot\n")
    code, out, _ = call("status", "pilot.toml")
    assert "evidence: the first 8 of 8 tasks; over" in out


def test_for_people_it_says_what_to_run_and_how_to_tell(call):
    code, out, err = call("ask", "pilot.toml", "--journal", "here")
    assert (code, err) == (0, "")
    rows = dict(line.split(":", 1) for line in out.splitlines())
    command = rows["next"].split(" (or")[0].split()
    assert command[:5] == ["forbear", "pilot", "tell", "pilot.toml", "--journal"]
    code, out, _ = call(*command[2:])
    assert (code, out) == (0, "written; 0 of 8 tasks are complete\nnext: forbear pilot ask pilot.toml --journal here\n")


@pytest.mark.slow
def test_when_everything_is_given_out_it_says_so(call):
    given = [asked(call) for _ in range(16)]
    assert len({(one["task"], one["arm"]) for one in given}) == 16
    assert {one["runs_as"] for one in given if one["arm"] == "rerun"} == {"baseline"}
    none = asked(call)
    assert (none["task"], none["over"], none["outstanding"]) == (None, False, 16)
    code, out, _ = call("ask", "pilot.toml")
    assert (code, out) == (
        0,
        "nothing to run now: 16 given out and not told\nnext: forbear pilot ask pilot.toml\n",
    )
    assert "given out and not told: 16" in call("status", "pilot.toml")[1]


def test_an_assignment_is_told_by_its_file_and_twice_is_once(call, tmp_path):
    (tmp_path / "a.json").write_text(call("ask", "pilot.toml", "--json")[1])
    told = ("tell", "pilot.toml", "--assignment", "a.json", "--failure")
    assert call(*told)[1].startswith("written; ")
    assert call(*told)[1].startswith("told before; ")
    code, _, err = call("tell", "pilot.toml", "--assignment", "a.json", "--success")
    assert code == 2
    assert "something else was told before, success False; what was told first counts." in err


@pytest.mark.slow
def test_what_has_no_outcome_is_asked_for_again_and_at_last_given_up(call):
    one = asked(call)
    for told in ("tried again", "tried again", "missing"):
        code, out, _ = call("tell", "pilot.toml", *names(one), "--no-outcome", "down", "--json")
        assert (code, json.loads(out)["told"]) == (0, told)
        others = [asked(call) for _ in range(16)]
        keys = [names(other) for other in others if other["task"]]
        assert (names(one) in keys) is (told != "missing")


def test_an_outage_is_exit_code_3_and_final_gives_up(call, tmp_path):
    text = TEXT.replace("lease_s = 600", "outage_after = 2\nretries = 0")
    write_host(tmp_path, text=text)
    assert call("tell", "pilot.toml", *names(asked(call)), "--no-outcome", "down")[1].startswith("missing")
    one = asked(call)
    code, _, err = call("tell", "pilot.toml", *names(one), "--no-outcome", "down")
    assert code == 3
    assert "2 episodes in a row had no outcome, the last one for down." in err
    code, out, _ = call("tell", "pilot.toml", *names(one), "--no-outcome", "gone", "--final")
    assert (code, out.partition(";")[0]) == (0, "missing")


def test_an_episode_is_read_and_checked(call, tmp_path):
    one = asked(call)
    step = Step(index=0, observation="a box")
    episode = Episode(
        task=Task(id=one["task"]),
        arm=one["arm"],
        seed=one["seed"],
        steps=(step,),
        termination=Termination.FINISHED,
        success=True,
    )
    (tmp_path / "e.json").write_bytes(encode_record(episode))
    code, out, _ = call("tell", "pilot.toml", *names(one), "--episode", "e.json")
    assert (code, out.partition(";")[0]) == (0, "written")
    assert Journal(tmp_path / "runs" / "pilot").read().episodes[one["task"], 7, one["arm"]] == episode
    other = asked(call)
    code, _, err = call("tell", "pilot.toml", *names(other), "--episode", "e.json")
    assert code == 2
    assert "the episode is that of" in err
    for content, message in (
        ('{"format": "forbear-episode-2"}', "e.json: "),
        ('{"format": "forbear-missing-1", "task": "t", "seed": 1, "arm": "a", "reason": ""}', "expected a forbear-ep"),
        ("nonsense", "e.json: not a line of JSON"),
    ):
        (tmp_path / "e.json").write_text(content)
        code, _, err = call("tell", "pilot.toml", *names(other), "--episode", "e.json")
        assert code == 2
        assert message in err
    assert call("tell", "pilot.toml", *names(other), "--episode", "nowhere")[0] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task=t0", "--seed=7", "--arm=critic"], "say one of --success, --failure, --no-outcome"),
        (["--task=t0", "--seed=7", "--arm=critic", "--success", "--failure"], "say one of"),
        (["--task=t0", "--seed=7", "--arm=critic", "--success", "--no-outcome", ""], "say one of"),
        (["--task=t0", "--seed=7", "--success"], "say of what: --task, --seed and --arm"),
        (["--task=t0", "--seed=7", "--arm=critic", "--success", "--final"], "--final goes with --no-outcome"),
        (["--assignment=x", "--arm=critic", "--success"], "--assignment stands for"),
        (["--assignment=x", "--success"], "x: cannot be read"),
        (["--assignment=tasks.jsonl", "--success"], "not what forbear pilot ask --json prints"),
        (["--assignment=none.json", "--success"], "it holds no assignment"),
        (["--task=\x1b[2J", "--seed=7", "--arm=critic", "--success"], r"the plan has no task '\x1b[2J'"),
        (["--task=t0", "--seed=8", "--arm=critic", "--success"], "the plan has no seed 8; it has 7"),
        (["--task=t0", "--seed=7", "--arm=x", "--success"], "the plan has no arm 'x'"),
    ],
)
def test_wrong_tells_are_exit_code_2_and_change_nothing(call, tmp_path, arguments, message):
    (tmp_path / "none.json").write_text('{"task": null, "seed": null, "arm": null}')
    asked(call)
    before = (tmp_path / "runs" / "pilot" / "episodes.jsonl").read_bytes()
    code, out, err = call("tell", "pilot.toml", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert (tmp_path / "runs" / "pilot" / "episodes.jsonl").read_bytes() == before


def test_what_forbear_does_not_run_it_says_who_does(call, tmp_path):
    for command in ("run", "check", "plan", "extend"):
        if command == "extend":
            asked(call)
        code, _, err = call(command, "pilot.toml")
        assert code == 2
        assert "forbear pilot ask pilot.toml" in err
        assert "forbear pilot tell pilot.toml" in err
    write_pilot(tmp_path)
    code, _, err = call("ask", "pilot.toml")
    assert code == 2
    assert "forbear pilot run pilot.toml" in err


def test_status_before_the_first_question_names_it(call):
    code, _, err = call("status", "pilot.toml")
    assert code == 2
    assert "forbear pilot ask pilot.toml starts it" in err


def test_deciding_before_a_look_says_how_to_go_on(call, decide):
    asked(call)
    code, _, err = decide("runs/pilot")
    assert code == 2
    assert "Go on with forbear pilot ask." in err


def test_another_plan_is_refused(call, tmp_path):
    asked(call)
    write_host(tmp_path, text=TEXT.replace("mine 1.0", "mine 1.1"))
    for command in (
        ["ask", "pilot.toml"],
        ["tell", "pilot.toml", "--task=t0", "--seed=7", "--arm=critic", "--success"],
    ):
        code, _, err = call(*command)
        assert code == 2
        assert "baseline.agent.agent was 'mine 1.0', is 'mine 1.1'" in err
    assert call("status", "pilot.toml")[0] == 2


HOSTILE = ["-x", "--arm", "\x00", "\x1b[2J", "a\nb", "\u202eabc", '"', "'; rm -rf /", "é", "😀", " "]


@pytest.mark.slow
def test_hostile_ids_are_told_by_file_and_never_reach_the_terminal(call, tmp_path):
    text = TEXT.replace("looks = [4, 8]\nfutility = 0.0\n", "")
    write_host(tmp_path, ids=HOSTILE, text=text)
    seen = set()
    for n in range(4 * len(HOSTILE)):
        if n % 2:
            code, out, _ = call("ask", "pilot.toml")
            assert code == 0
            assert all(ch.isprintable() or ch == "\n" for ch in out)
            continue
        code, out, _ = call("ask", "pilot.toml", "--json")
        seen.add(json.loads(out)["task"])
        (tmp_path / "a.json").write_text(out)
        code, out, err = call("tell", "pilot.toml", "--assignment", "a.json", "--success")
        assert (code, err, out.partition(";")[0]) == (0, "", "written")
    assert seen == set(HOSTILE)


LOOP = """
set -e
while true; do
  {forbear} pilot ask pilot.toml --json > $1.json
  task=$({python} -c 'import json, sys; print(json.load(open(sys.argv[1]))["task"])' $1.json)
  if [ "$task" = None ]; then break; fi
  echo $task $({python} -c 'import json, sys; print(json.load(open(sys.argv[1]))["arm"])' $1.json)
  {forbear} pilot tell pilot.toml --assignment $1.json --failure > /dev/null
done
"""


@pytest.mark.slow
def test_two_shells_share_a_pilot(tmp_path):
    write_host(tmp_path, ids=["t0", "t1", "t2", "t3"], text=TEXT.replace("[4, 8]", "[2, 4]"))
    script = LOOP.format(forbear=f"{sys.executable} -m forbear", python=sys.executable)
    shells = [
        subprocess.Popen(["bash", "-c", script, "loop", name], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    lines = [line for shell in shells for line in shell.communicate()[0].splitlines()]
    assert [shell.returncode for shell in shells] == [0, 0]
    # One may have stopped where all that was left was with the other, before the next look was open.
    assert len(lines) == len(set(lines)) == 16


def test_the_template_of_swebench_lite_asks_for_instances_and_takes_the_harnesses_reports(
    tmp_path, monkeypatch, capsys, decide
):
    monkeypatch.chdir(tmp_path)
    assert forbear(["pilot", "init", "--template", "swebench-lite"]) == 0
    assert capsys.readouterr().out.endswith("next: python tell_reports.py ask\n")

    def script(*given):
        monkeypatch.setattr(sys, "argv", ["tell_reports.py", *given])
        runpy.run_path("tell_reports.py", run_name="__main__")
        return capsys.readouterr().out

    def report(name, resolved, broken=(), left_out=()):
        ids = [f"sample__project-{n}" for n in range(1, 9) if n not in left_out]
        gone = [f"sample__project-{n}" for n in broken]
        right = [f"sample__project-{n}" for n in resolved]
        told = {"submitted_ids": ids, "resolved_ids": right, "error_ids": gone}
        told["unresolved_ids"] = [one for one in ids if one not in right + gone]
        (tmp_path / f"{name}.json").write_text(json.dumps(told), encoding="utf-8")
        return f"{name.partition('.')[0]}={name}.json"

    assert "ask-critic.txt: 8 instances to run" in script("ask")
    first = report("baseline.r1", (1, 2), broken=(8,)), report("critic.r1", (1,), left_out=(7,))
    assert script("tell", *first) == "0 instances are complete, 1 runs are out\n"
    assert "wrote ask-baseline.txt: 1 instances to run\nwrote ask-critic.txt: 1 instances to run\n" in script("ask")
    assert (tmp_path / "ask-baseline.txt").read_text(encoding="utf-8") == "sample__project-8\n"
    assert (tmp_path / "ask-critic.txt").read_text(encoding="utf-8") == "sample__project-7\n"
    assert script("tell", report("baseline.r2", (1, 2)), report("critic.r2", (1,))) == "over\n"
    code, out, _ = decide("runs/pilot", "--json")
    found = json.loads(out)
    table = [found[cell] for cell in ("both_fail", "recovered", "disrupted", "both_succeed")]
    assert (code, table) == (0, [6, 0, 1, 1])
