"""Each byte, file and lock that a journal may not get: what was written stays, and the same command goes on."""

import contextlib
import fcntl
import os
import resource
import shutil
import signal

import pytest

from faults.harness import clean, digest_of, run, told
from forbear.errors import ForbearError, JournalLocked, JournalUnwritable
from forbear.records.journal import Journal

SCENARIO = "coupled"


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


def is_whole_after(directory):
    """Resumes where there is room, and compares with a run that always had it."""
    outcomes, digest, _ = clean(SCENARIO)
    if (directory / "plan.json").exists():
        kept = Journal(directory).read().episodes
        assert all(told(episode) == outcomes[key] for key, episode in kept.items())
    run(SCENARIO, directory)
    return digest_of(Journal(directory).read(), directory) == digest


def sizes(parts, tmp_path):
    """So many sizes, from nothing to all that a clean run writes, each in the middle of something."""
    run(SCENARIO, tmp_path / "whole")
    longest = max((tmp_path / "whole" / name).stat().st_size for name in ("plan.json", "episodes.jsonl"))
    return [number * longest // parts for number in range(parts)]


def full_disks(tmp_path, parts):
    stopped = 0
    for size in sizes(parts, tmp_path):
        directory = tmp_path / str(size)
        with a_disk_of(size):
            with contextlib.suppress(JournalUnwritable):
                run(SCENARIO, directory)
                stopped -= 1
            stopped += 1
        assert is_whole_after(directory), size
    return stopped


@pytest.mark.slow
def test_a_disk_that_is_full_at_some_byte(tmp_path):
    assert full_disks(tmp_path, 6) == 6


@pytest.mark.slow
def test_a_disk_that_is_full_at_any_byte(tmp_path):
    assert full_disks(tmp_path, 120) == 120


def nothing_may_be_made(directory):
    directory.write_text("a file is in the way")


def the_plan_cannot_be_renamed(directory):
    (directory / "plan.json" / "full").mkdir(parents=True)


def the_episodes_are_a_directory(directory):
    (directory / "episodes.jsonl").mkdir(parents=True)


@pytest.mark.parametrize(
    "spoil",
    [nothing_may_be_made, the_plan_cannot_be_renamed, the_episodes_are_a_directory],
)
def test_a_file_that_cannot_be_made_is_said_in_one_line(tmp_path, spoil):
    directory = tmp_path / "j"
    spoil(directory)
    with pytest.raises(ForbearError) as raised:
        run(SCENARIO, directory)
    assert "\n" not in str(raised.value)
    assert str(directory) in str(raised.value)
    directory.unlink() if directory.is_file() else shutil.rmtree(directory)
    assert is_whole_after(directory)


def test_a_lock_that_somebody_holds_is_said_and_waited_for(tmp_path):
    (tmp_path / "j").mkdir()
    held = os.open(tmp_path / "j" / "episodes.jsonl", os.O_CREAT | os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(JournalLocked, match="another process writes this journal"):
        run(SCENARIO, tmp_path / "j")
    os.close(held)
    assert is_whole_after(tmp_path / "j")
