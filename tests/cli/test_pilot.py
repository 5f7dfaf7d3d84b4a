import json
import signal
import subprocess
import sys
import time

import pytest

from forbear.cli.main import run
from pilot_files import TEXT, write_pilot
from runner.pilots import digest

FORBEAR = [sys.executable, "-m", "forbear"]


@pytest.fixture
def pilot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_pilot(tmp_path)


def test_from_a_file_to_a_verdict_twice_the_same(pilot, capsys):
    assert run(["pilot", "check", "pilot.toml"]) == 0
    assert run(["pilot", "plan", "pilot.toml"]) == 0
    capsys.readouterr()
    assert run(["pilot", "run", "pilot.toml"]) == 0
    first = capsys.readouterr().out
    lines = (pilot.parent / "runs/pilot/episodes.jsonl").read_bytes()
    assert run(["pilot", "run", "pilot.toml"]) == 0
    assert capsys.readouterr().out == first
    assert (pilot.parent / "runs/pilot/episodes.jsonl").read_bytes() == lines
    assert "runs/pilot/report.html" in first
    assert (pilot.parent / "runs/pilot/report.html").read_text().startswith("<!doctype html>")


def test_json_is_one_object_and_nothing_else(pilot, capsys):
    assert run(["pilot", "run", "pilot.toml", "--json", "--journal", "here"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["format"] == "forbear-pilot-2"
    assert data["journal"] == "here"
    assert set(data["arms"]) == {"rollback", "append", "placebo"}


def test_status_and_digest(pilot, capsys):
    run(["pilot", "run", "pilot.toml"])
    capsys.readouterr()
    assert run(["pilot", "status", "pilot.toml"]) == 0
    assert "rollback: 12 of 12 episodes" in capsys.readouterr().out
    assert run(["journal", "digest", "runs/pilot"]) == 0
    assert capsys.readouterr().out.strip() == digest("runs/pilot")


def test_a_changed_plan_is_refused_and_says_what_changed(pilot, capsys):
    run(["pilot", "run", "pilot.toml"])
    before = (pilot.parent / "runs/pilot/episodes.jsonl").read_bytes()
    pilot.write_text(TEXT.replace("threshold = 0.7", "threshold = 0.8"), encoding="utf-8")
    capsys.readouterr()
    assert run(["pilot", "run", "pilot.toml"]) == 2
    assert "threshold was 0.7, is 0.8" in capsys.readouterr().err
    assert (pilot.parent / "runs/pilot/episodes.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pilot", "run", "none.toml"], "forbear pilot init"),
        (["pilot", "status", "pilot.toml"], "not started"),
        (["journal", "digest", "nowhere"], "no readable journal"),
        (["pilot", "run", "pilot.toml", "--journal", "/proc/none"], "cannot be written"),
        (["pilot", "run", "pilot.toml", "--concurrency", "0"], "concurrency"),
        (["pilot", "run"], "Missing argument"),
    ],
)
def test_errors_are_one_line_and_exit_2(pilot, arguments, message, capsys):
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_init_writes_an_example_and_never_overwrites(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["pilot", "init"]) == 0
    text = (tmp_path / "pilot.toml").read_text()
    assert "[[arm]]" in text
    assert run(["pilot", "init"]) == 2
    assert (tmp_path / "pilot.toml").read_text() == text
    assert "is there already" in capsys.readouterr().err


GATED = """
import asyncio
from pathlib import Path
from forbear.testing import Corridor
class Gated(Corridor):
    async def reset(self, task, *, draw):
        if task.id != "t<b>0</b>" and not Path("open").exists():
            await asyncio.Event().wait()
        return await super().reset(task, draw=draw)
"""


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_finished_and_the_same_command_goes_on(pilot, capsys):
    # One task can be finished, so that there is something to keep; the others wait, so that there is something left.
    (pilot.parent / "gated_world.py").write_text(GATED, encoding="utf-8")
    pilot.write_text(TEXT.replace("forbear.testing:Corridor", "gated_world:Gated"), encoding="utf-8")
    command = [*FORBEAR, "pilot", "run", "pilot.toml"]
    process = subprocess.Popen([*command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines = pilot.parent / "runs/pilot/episodes.jsonl"
    while process.poll() is None and not (lines.exists() and b"\n" in lines.read_bytes()):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    assert (process.returncode, error) == (
        130,
        "stopped; every finished episode is kept in runs/pilot. The same command goes on.\n",
    )
    (pilot.parent / "open").touch()
    kept = lines.read_bytes()
    assert kept
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert lines.read_bytes().startswith(kept[: kept.rfind(b"\n") + 1])
    assert subprocess.run([*command, "--journal", "fresh"], capture_output=True, check=False).returncode == 0
    assert digest("runs/pilot") == digest("fresh")


def test_continuations_come_from_the_file_or_the_option_and_stay_the_plan(pilot, capsys):
    write_pilot(pilot.parent, text=TEXT.replace("[run]", "[run]\ncontinuations = 2"))
    assert run(["pilot", "plan", "pilot.toml"]) == 0
    assert "12 tasks x 2 continuations x 4 arms: 96 episodes" in capsys.readouterr().out
    assert run(["pilot", "run", "pilot.toml"]) == 0
    text = capsys.readouterr().out
    assert "2 continuations of each task from its first trigger." in text
    write_pilot(pilot.parent)
    assert run(["pilot", "run", "pilot.toml", "--continuations", "2"]) == 0
    assert capsys.readouterr().out == text
    assert run(["pilot", "status", "pilot.toml", "--continuations", "2"]) == 0
    assert "rollback: 24 of 24 episodes" in capsys.readouterr().out
    assert run(["pilot", "run", "pilot.toml"]) == 2
    assert "baseline.continuations is gone" in capsys.readouterr().err
    assert run(["decide", "runs/pilot"]) == 0
    assert "a task was continued 2 times, in" in " ".join(capsys.readouterr().out.split())
    write_pilot(pilot.parent, text=TEXT.replace("[run]", '[run]\ncontinuations = 2\ndesign = "independent"'))
    assert run(["pilot", "run", "pilot.toml", "--journal", "other"]) == 2
    assert "continuations = 2 needs a coupled design" in capsys.readouterr().err
