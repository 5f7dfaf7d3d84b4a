"""What agents, worlds and critics do to the process around them: print, close, change directories, send signals."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from forbear.cli.foreign import foreign_output
from forbear.cli.main import run
from pilot_files import TEXT, write_pilot

FORBEAR = [sys.executable, "-m", "forbear"]

NOISY = r"""
import atexit, logging, os, subprocess, sys, threading, time
from forbear.testing import CoinFlipAgent

print("at import")
atexit.register(lambda: print("at exit"))

def chatter():
    while True:
        print("from a thread")
        time.sleep(0.0005)

threading.Thread(target=chatter, daemon=True).start()

class Noisy(CoinFlipAgent):
    async def act(self, *arguments, **options):
        sys.stderr.write("to stderr \x1b]0;owned\x07\n")
        os.write(1, b"past Python \xff\x00\n")
        subprocess.run(["echo", "from a subprocess"])
        logging.getLogger("mine").warning("a warning")
        return await super().act(*arguments, **options)
"""


QUIETER = r"""
import os, sys
from forbear.testing import CoinFlipAgent

class Once(CoinFlipAgent):
    async def act(self, *arguments, **options):
        print("\x1b[31mred" + "x" * 100_000)
        os.chdir("/")
        return await super().act(*arguments, **options)

class Closing(CoinFlipAgent):
    async def act(self, *arguments, **options):
        sys.stdout.close()
        sys.stderr.close()
        return await super().act(*arguments, **options)
"""


@pytest.fixture
def pilot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "noisy_agents.py").write_text(NOISY, encoding="utf-8")
    (tmp_path / "quieter_agents.py").write_text(QUIETER, encoding="utf-8")
    return tmp_path


def write(folder, agent):
    return write_pilot(folder, text=TEXT.replace("forbear.testing:CoinFlipAgent", agent))


def forbear(*arguments):
    return subprocess.run([*FORBEAR, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_json_stays_one_object_whatever_prints(pilot, workers):
    write(pilot, "noisy_agents:Noisy")
    done = forbear("pilot", "run", "pilot.toml", "--json", "--workers", workers)
    assert done.returncode == 0
    assert json.loads(done.stdout)["format"] == "forbear-pilot-2"
    lines = done.stderr.splitlines()
    assert all(line.startswith("| ") and line.isprintable() for line in lines)
    assert lines[0] == "| at import"
    assert len(lines) == 201
    assert re.fullmatch(r"\| [\d,]+ more lines of output not shown", lines[-1])


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "plan"])
def test_what_is_printed_aside_is_not_among_our_lines(pilot, command):
    write(pilot, "noisy_agents:Noisy")
    done = forbear("pilot", command, "pilot.toml")
    assert done.returncode == 0
    assert "next: " in done.stdout
    assert not {"at import", "from a thread", "at exit"} & set(done.stdout.splitlines())


def test_lines_are_inert_and_bounded_and_the_directory_is_no_matter(pilot, capfd):
    write(pilot, "quieter_agents:Once")
    assert run(["pilot", "run", "pilot.toml"]) == 0
    seen = capfd.readouterr()
    assert "Report:  runs/pilot/report.html" in seen.out
    assert (pilot / "runs/pilot/report.html").exists()
    lines = [line for line in seen.err.splitlines() if "red" in line]
    assert lines
    assert all(line.startswith("| \ufffd[31mredxxx") and len(line) <= 302 for line in lines)


def test_an_agent_that_closes_the_streams_closes_its_own(pilot, capfd):
    write(pilot, "quieter_agents:Closing")
    assert run(["pilot", "run", "pilot.toml", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["tasks"] == 12


def test_without_anything_printed_nothing_is_added(capfd):
    with foreign_output() as ours:
        ours.out.write("ours\n")
    sys.stdout.write("after\n")
    assert capfd.readouterr() == ("ours\nafter\n", "")


def test_a_line_without_an_end_is_shown(capfd):
    with foreign_output():
        os.write(2, b"half a line")
    assert capfd.readouterr() == ("", "| half a line\n")


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_nothing_to_stumble_over(pilot, closed):
    write_pilot(pilot)
    command = [*FORBEAR, "pilot", "run", "pilot.toml"]
    done = subprocess.run(
        ["bash", "-c", f'"$@" {closed}', "bash", *command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (pilot / "runs/pilot/report.html").exists()


# --- Reports never cost a verdict -------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [False, True])
def test_a_report_that_cannot_be_written_costs_no_verdict(pilot, as_json, capsys):
    write_pilot(pilot)
    assert run(["pilot", "run", "pilot.toml"]) == 0
    report = pilot / "runs/pilot/report.html"
    report.unlink()
    report.mkdir()  # a folder cannot be replaced by a file, not even by root
    capsys.readouterr()
    assert run(["pilot", "run", "pilot.toml", *["--json"][: int(as_json)]]) == 3
    seen = capsys.readouterr()
    assert seen.err.startswith("error: runs/pilot/report.html: the report cannot be written (Is a directory).")
    assert seen.err.count("\n") == 1
    if as_json:
        view = json.loads(seen.out)
        assert view["report"] is None
        assert view["arms"]["rollback"]["verdict"]["recommendation"] == "UNDECIDED"
    else:
        assert "UNDECIDED" in seen.out
        assert "Report:" not in seen.out
    assert [path.name for path in (pilot / "runs/pilot").iterdir() if path.name.startswith(".")] == []
    report.rmdir()
    assert run(["pilot", "run", "pilot.toml"]) == 0
    assert report.read_text().startswith("<!doctype html>")


def test_an_example_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["pilot", "init", "none/pilot.toml"]) == 3
    assert capsys.readouterr().err == "error: none/pilot.toml: cannot be written (No such file or directory).\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_verdict_that_nobody_can_take_is_written_as_a_page(pilot):
    write_pilot(pilot)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*FORBEAR, "pilot", "run", "pilot.toml"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (3, "error: cannot write: No space left on device.\n")
    assert (pilot / "runs/pilot/report.html").exists()


# --- Signals ----------------------------------------------------------------------------------------------

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
@pytest.mark.parametrize(("number", "code", "ignored"), [(signal.SIGTERM, 143, "INT"), (signal.SIGHUP, 129, "")])
def test_a_signal_keeps_what_was_found_and_says_so(pilot, number, code, ignored):
    (pilot / "gated_world.py").write_text(GATED, encoding="utf-8")
    write_pilot(pilot, text=TEXT.replace("forbear.testing:Corridor", "gated_world:Gated"))
    command = [*FORBEAR, "pilot", "run", "pilot.toml"]
    # A job in the background of a script has Ctrl-C ignored.
    shell = ["bash", "-c", f'{f"trap {chr(39)}{chr(39)} {ignored}; " if ignored else ""}exec "$@"', "bash"]
    process = subprocess.Popen([*shell, *command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines = pilot / "runs/pilot/episodes.jsonl"
    while process.poll() is None and not (lines.exists() and b"\n" in lines.read_bytes()):
        time.sleep(0.01)
    process.send_signal(number)
    out, error = process.communicate()
    assert (process.returncode, out, error) == (
        code,
        "",
        "stopped; every finished episode is kept in runs/pilot. The same command goes on.\n",
    )


@pytest.mark.slow
def test_nohup_is_respected(pilot):
    (pilot / "gated_world.py").write_text(GATED, encoding="utf-8")
    write_pilot(pilot, text=TEXT.replace("forbear.testing:Corridor", "gated_world:Gated"))
    command = ["nohup", *FORBEAR, "pilot", "run", "pilot.toml", "--json"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lines = pilot / "runs/pilot/episodes.jsonl"
    while process.poll() is None and not (lines.exists() and b"\n" in lines.read_bytes()):
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None
    process.terminate()
    process.communicate()
    assert process.returncode == 143
