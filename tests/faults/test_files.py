"""Each byte, file and lock that a journal may not get: what was written stays, and the same command goes on."""

import contextlib
import fcntl
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from faults.harness import clean, digest_of, run, told
from faults.machine import Machine
from faults.parts import Injector
from forbear.errors import ForbearError, JournalLocked, JournalUnwritable
from forbear.records.journal import Journal

SCENARIO = "coupled"

WHERE = [("coupled", 1), ("independent", 1), ("restored", 1), ("coupled", 2), ("independent", 2)]
"""Scenarios, and in how many processes they run."""


@contextlib.contextmanager
def a_disk_of(size):
    """Files of this process end after so many bytes, which is what a full disk does to them."""
    before, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def is_whole_after(directory, scenario=SCENARIO):
    """Resumes where there is room, and compares with a run that always had it."""
    outcomes, digest, _ = clean(scenario)
    if (directory / "plan.json").exists():
        kept = Journal(directory).read().episodes
        assert all(told(episode) == outcomes[key] for key, episode in kept.items())
    run(scenario, directory)
    return digest_of(Journal(directory).read(), directory) == digest


def sizes(parts, tmp_path, scenario):
    """So many sizes, from nothing to all that a clean run writes, each in the middle of something."""
    run(scenario, tmp_path / "whole")
    longest = max((tmp_path / "whole" / name).stat().st_size for name in ("plan.json", "episodes.jsonl"))
    return [number * longest // parts for number in range(parts)]


def full_disks(tmp_path, parts, scenario):
    stopped = 0
    for size in sizes(parts, tmp_path, scenario):
        directory = tmp_path / str(size)
        with a_disk_of(size):
            with contextlib.suppress(JournalUnwritable):
                run(scenario, directory)
                stopped -= 1
            stopped += 1
        assert is_whole_after(directory, scenario), size
    return stopped


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["coupled", "independent", "restored"])
def test_a_disk_that_is_full_at_some_byte(tmp_path, scenario):
    assert full_disks(tmp_path, 6, scenario) == 6


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["coupled", "independent"])
def test_a_disk_that_is_full_at_any_byte(tmp_path, scenario):
    assert full_disks(tmp_path, 80, scenario) == 80


@pytest.mark.slow
def test_a_worker_that_finds_no_room_is_not_started_and_that_is_said(tmp_path):
    # More than the plan takes, less than a page of shared memory; in a process that has none yet to use again.
    code = (
        "import sys\n"
        "from faults.harness import run\n"
        "from faults.test_files import SCENARIO, a_disk_of\n"
        "from forbear.errors import ProviderError\n"
        "try:\n"
        "    with a_disk_of(3000):\n"
        "        run(SCENARIO, sys.argv[1], workers=2)\n"
        "except ProviderError as error:\n"
        "    print(error)\n"
    )
    path = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    argv = [sys.executable, "-c", code, str(tmp_path / "j")]
    said = subprocess.run(argv, env=path, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.startswith("a worker process cannot be started (File too large). Every finished episode is kept; ")
    assert said.count("\n") == 1
    assert is_whole_after(tmp_path / "j")


def nothing_may_be_made(directory):
    directory.write_text("a file is in the way")


def the_plan_cannot_be_renamed(directory):
    (directory / "plan.json" / "full").mkdir(parents=True)


def the_episodes_are_a_directory(directory):
    (directory / "episodes.jsonl").mkdir(parents=True)


@pytest.mark.parametrize("spoil", [nothing_may_be_made, the_plan_cannot_be_renamed, the_episodes_are_a_directory])
@pytest.mark.parametrize(
    ("scenario", "workers"), [WHERE[0], *(pytest.param(*where, marks=pytest.mark.slow) for where in WHERE[1:])]
)
def test_a_file_that_cannot_be_made_is_said_in_one_line(tmp_path, spoil, scenario, workers):
    directory = tmp_path / "j"
    spoil(directory)
    with pytest.raises(ForbearError) as raised:
        run(scenario, directory, workers=workers)
    assert "\n" not in str(raised.value)
    assert str(directory) in str(raised.value)
    directory.unlink() if directory.is_file() else shutil.rmtree(directory)
    assert is_whole_after(directory, scenario)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_disk_that_does_not_confirm_a_group_of_lines_stops_the_pilot(tmp_path, workers):
    """`fsync` is another thread's then, so that nobody knows after which line it is told."""
    with Machine(Injector("disk.fsync", "EIO", 4), tmp_path), pytest.raises(JournalUnwritable, match="not confirm"):
        run(SCENARIO, tmp_path / "j", workers=workers)
    assert is_whole_after(tmp_path / "j")


def test_a_lock_that_somebody_holds_is_said_and_waited_for(tmp_path):
    (tmp_path / "j").mkdir()
    held = os.open(tmp_path / "j" / "episodes.jsonl", os.O_CREAT | os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(JournalLocked, match="another process writes this journal"):
        run(SCENARIO, tmp_path / "j")
    os.close(held)
    assert is_whole_after(tmp_path / "j")
