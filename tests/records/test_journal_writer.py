"""One writer, its locks, its files and its disk."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from forbear.errors import InvalidInput, JournalLocked, JournalUnwritable
from forbear.records.journal import SYNC_INTERVAL_S, Journal
from records.samples import PLAN, episode, lines_of


def test_a_second_writer_is_refused_at_once_and_readers_are_not(journal):
    with journal.writing(PLAN):
        with pytest.raises(JournalLocked, match="another process"):
            journal.writing(PLAN)
        assert len(journal.read().episodes) == 2


def test_a_folder_or_file_that_is_removed_or_swapped_is_noticed_at_the_next_line(tmp_path):
    def remove(directory):
        shutil.rmtree(directory)

    def move(directory):
        directory.rename(directory.with_name("moved"))

    def swap(directory):
        copy = directory.with_name("copy")
        shutil.copytree(directory, copy)
        directory.rename(directory.with_name("old"))
        copy.rename(directory)

    def replace_file(directory):
        os.replace(shutil.copy(directory / "episodes.jsonl", directory / "copy"), directory / "episodes.jsonl")

    def write(directory):
        with (directory / "episodes.jsonl").open("ab") as file:
            file.write(b"x")

    def cut(directory):
        os.truncate(directory / "episodes.jsonl", 10)

    for number, (harm, said) in enumerate(
        [
            (remove, "is gone"),
            (move, "is gone"),
            (swap, "another file"),
            (replace_file, "another file"),
            (write, "by somebody else"),
            (cut, "by somebody else"),
        ]
    ):
        journal = Journal(tmp_path / str(number) / "j")
        with journal.writing(PLAN) as writer:
            writer.append(episode())
            harm(journal.directory)
            for _ in range(2):
                with pytest.raises(JournalUnwritable, match=said):
                    writer.append(episode("t2"))
            assert len(writer.content.episodes) == 1


def test_a_second_writer_gets_a_swapped_file_and_the_first_one_stops(tmp_path):
    journal = Journal(tmp_path / "j")
    with journal.writing(PLAN) as first:
        first.append(episode())
        lines_of(journal).unlink()
        with journal.writing(PLAN) as second:
            second.append(episode("t2"))
            with pytest.raises(JournalUnwritable, match="another file"):
                first.append(episode("t3"))
    assert list(journal.read().episodes) == [("t2", 1, "baseline")]


FORKED = """
import os, sys
sys.path[:0] = {path!r}
from forbear.errors import JournalUnwritable
from forbear.records.journal import Journal
from records.samples import PLAN, episode

with Journal(sys.argv[1]).writing(PLAN) as writer:
    writer.append(episode())
    child = os.fork()
    try:
        writer.append(episode(f"t{{2 if child else 3}}"))
    except JournalUnwritable as error:
        writer.close()
        os._exit(7 if "only that one may write" in str(error) else 8)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    writer.append(episode("t4"))
"""


@pytest.mark.slow
def test_a_fork_of_the_writer_writes_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED.format(path=sys.path), str(tmp_path / "j")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("7\n", 0), done.stderr
    assert [key[0] for key in Journal(tmp_path / "j").read().episodes] == ["t1", "t2", "t4"]


def test_a_plan_that_cannot_be_written_is_named(tmp_path):
    in_the_way = tmp_path / f".plan.json.{os.getpid()}.new"
    in_the_way.mkdir()
    with pytest.raises(JournalUnwritable, match=r"plan\.json: cannot be written"):
        Journal(tmp_path).writing(PLAN)
    in_the_way.rmdir()
    Journal(tmp_path).writing(PLAN).close()  # and the lock was let go


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    places = [tmp_path / "file" / "runs"]
    if os.geteuid() != 0:  # root may write everywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        places.append(tmp_path / "closed" / "runs")
    if sys.platform == "linux":  # nobody may write there
        places.append(Path("/proc/runs"))
    for place in places:
        with pytest.raises(InvalidInput, match="cannot be written"):
            Journal(place).writing(PLAN)


FULL_DISK = """
import resource, signal, sys
sys.path[:0] = {path!r}
from forbear.errors import JournalUnwritable
from forbear.records.journal import SYNC_INTERVAL_S, Journal
from records.samples import PLAN, episode

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal(sys.argv[1]).writing(PLAN) as writer:
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
    for number in range(100):
        try:
            writer.append(episode(f"t{{number + 1}}"))
        except JournalUnwritable as error:
            print(number, error)
            sys.exit(error.exit_code)
"""


@pytest.mark.slow
def test_a_full_disk_loses_nothing_that_was_written(tmp_path):
    """A limit on the file's size stands for the disk: both take a part of the line, then refuse the rest."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK.format(path=sys.path), str(tmp_path / "j")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    count, said = done.stdout.split(maxsplit=1)
    assert "cannot be written" in said
    assert "run the same again" in said
    raw = (tmp_path / "j" / "episodes.jsonl").read_bytes()
    assert raw.endswith(b"\n")
    assert len(Journal(tmp_path / "j").read().episodes) == int(count) > 10


# Forced to the disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def calls():
    """What the system is asked for, in order, by any thread; marks of the test's own may stand between."""
    made, hold = [], {"fsync": None}

    def note(frame, event, called):
        if event == "c_call" and called in (os.fsync, os.replace, os.write):
            made.append(called.__name__)
        elif event == "c_return" and called is os.fsync and threading.current_thread() is not threading.main_thread():
            held = hold["fsync"]
            if held is not None:
                made.append("held")
                held.wait(60)
        elif event == "call" and frame.f_code is threading.Thread.join.__code__ and hold["fsync"] is not None:
            hold["fsync"].set()

    sys.setprofile(note)
    threading.setprofile(note)
    yield made, hold
    sys.setprofile(None)
    threading.setprofile(None)


def wait_for(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_the_plan_is_on_the_disk_before_it_has_its_name_and_its_name_before_a_line(tmp_path, calls):
    made, _ = calls
    with Journal(tmp_path / "j").writing(PLAN):
        assert [name for name in made if name != "write"] == [
            "fsync",
            "fsync",
            "replace",
            "fsync",
        ]  # the folder's name, the plan, the plan's name


@pytest.mark.slow
def test_lines_are_forced_to_the_disk_without_being_asked(tmp_path, calls):
    assert 0 < SYNC_INTERVAL_S <= 0.1  # what is promised
    made, _ = calls
    with Journal(tmp_path / "j").writing(PLAN) as writer:
        for number in range(1, 4):
            made.clear()
            writer.append(episode(f"t{number}"))
            wait_for(lambda: "fsync" in made)


def test_a_line_written_while_the_disk_was_busy_is_on_it_before_the_journal_is_closed(tmp_path, calls):
    """The thread that syncs is held after a sync, the last line is written, and only the closing lets it go on."""
    made, hold = calls
    writer = Journal(tmp_path / "j").writing(PLAN)
    hold["fsync"] = threading.Event()
    writer.append(episode())
    wait_for(lambda: "held" in made)
    writer.append(episode("t2"))
    made.clear()
    writer.close()
    assert "fsync" in made


REFUSING = """
import errno, os, sys, time
sys.path[:0] = {path!r}
from forbear.errors import ForbearError
from forbear.records.journal import Journal
from records.refusing import refuse
from records.samples import PLAN, episode

def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True

directory, call, sync, more = sys.argv[1:]
try:
    if call == "flock" and not refuse(call, code=errno.ENOLCK):
        sys.exit(77)
    with Journal(directory).writing(PLAN, sync=sync) as writer:
        lines = os.stat(os.path.join(directory, "episodes.jsonl"))
        (own,) = [n for n in range(3, 100) if is_open(n) and os.path.samestat(os.fstat(n), lines)]
        writer.append(episode("t2"))
        if call == "fsync" and not refuse(call):
            sys.exit(77)
        if call == "write" and not refuse(call, code=errno.ENOSPC, descriptor=own):
            sys.exit(77)
        writer.append(episode())
        for number in range(int(more)):
            time.sleep(0.05)
            writer.append(episode(f"t{{number + 3}}"))
except ForbearError as error:
    print(error)
    sys.exit(error.exit_code)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "sync", "more", "code", "said"),
    [
        ("fsync", "group", 0, 3, "the disk does not confirm what was handed to it last"),
        ("fsync", "group", 98, 3, "the disk does not confirm what was handed to it last"),
        ("fsync", "always", 0, 3, "the disk does not confirm what was handed to it last"),
        ("write", "group", 0, 3, "No space left on device). Nothing that was written is lost; make room"),
        ("flock", "group", 0, 2, "a journal needs a file system with locks"),
    ],
)
def test_a_disk_that_is_full_or_without_sync_or_without_locks_is_said(tmp_path, call, sync, more, code, said):
    """At the next line, or at the end where there is none."""
    command = [sys.executable, "-c", REFUSING.format(path=sys.path), str(tmp_path / "j"), call, sync, str(more)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this system lets no process refuse its own calls")
    assert (done.returncode, said in done.stdout, done.stderr) == (code, True, ""), done.stdout
    assert len(done.stdout.splitlines()) == 1
    if call != "flock":
        assert ("t2", 1, "baseline") in (found := Journal(tmp_path / "j").read().episodes)
        assert len(found) < 100


def test_always_has_each_line_on_the_disk_before_it_is_announced(tmp_path, calls):
    made, _ = calls
    threads = threading.active_count()
    with Journal(tmp_path / "j").writing(PLAN, sync="always") as writer:
        assert threading.active_count() == threads
        for number in range(1, 4):
            made.clear()
            writer.append(episode(f"t{number}"))
            assert made == ["write", "fsync"]
    with pytest.raises(InvalidInput, match="sync must be 'group' or 'always', got 'never'"):
        Journal(tmp_path / "j").writing(PLAN, sync="never")
