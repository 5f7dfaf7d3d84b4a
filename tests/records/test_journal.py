import json
import os
import subprocess
import sys
import threading
import time
import zlib

import pytest
from msgspec.structs import replace

from forbear.errors import InvalidInput, JournalLocked, JournalUnwritable, PlanChanged
from forbear.records.codec import ArmEnd, Missing
from forbear.records.journal import SYNC_INTERVAL_S, Journal
from forbear.records.model import Action, Episode, Origin, Step, Task, Termination

# Of what is being run the journal knows nothing: any JSON object will do.
PLAN = {"mine": [1, {"a": None}], "digest": "ü"}


def episode(task="t1", arm="baseline", *, success=True, termination=Termination.FINISHED, **more):
    step = Step(index=0, observation="door", executed=Action("open"))
    return Episode(task=Task(id=task), arm=arm, seed=1, steps=(step,), termination=termination, success=success, **more)


BROKEN = episode("t2", success=None, termination=Termination.PROVIDER_ERROR, cause="503")
SHARED = replace(episode(arm="rollback"), origin=Origin(arm="baseline", step=None))
LOST = Missing(task_id="t2", seed=1, arm="baseline", reason="503")


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "runs" / "mine")
    with journal.writing(PLAN) as writer:
        writer.append(episode(), SHARED)
        writer.append(BROKEN)
        writer.append(LOST)
    return journal


def lines_of(journal):
    return journal.directory / "episodes.jsonl"


def written_by_another(journal, body):
    with lines_of(journal).open("ab") as file:
        file.write(body + f',"check":"{zlib.crc32(body):08x}"}}\n'.encode())


def test_what_was_written_is_read(journal):
    content = journal.read()
    assert content.plan == PLAN
    assert list(content.episodes.values()) == [episode(), SHARED]
    assert content.broken == {("t2", 1, "baseline"): 1}
    assert content.rows == {("t1", 1): [episode(), SHARED], ("t2", 1): [BROKEN]}
    assert content.missing == {LOST.key: LOST}
    assert sorted(path.name for path in journal.directory.iterdir()) == ["episodes.jsonl", "plan.json"]
    for line in lines_of(journal).read_text().splitlines():
        assert json.loads(line)["format"].startswith("forbear-")


def test_the_content_grows_as_it_is_written(journal):
    end = ArmEnd(arm="rollback", tasks=1, reason="watch")
    with journal.writing(PLAN) as writer:
        assert writer.content == journal.read()
        writer.append(episode("t3"))
        writer.append(replace(BROKEN, task=Task(id="t3")), end)
        assert writer.content == journal.read()
    assert journal.read().ends == {"rollback": end}
    assert len(journal.read().rows["t3", 1]) == 2


def test_a_line_written_by_this_version_loads_for_ever(tmp_path):
    journal = Journal(tmp_path / "j")
    with journal.writing(PLAN):
        pass
    line = b'{"format":"forbear-end-1","arm":"rollback","tasks":2,"reason":"watch","check":"a11eccc0"}\n'
    lines_of(journal).write_bytes(line)
    assert journal.read().ends == {"rollback": ArmEnd(arm="rollback", tasks=2, reason="watch")}


def test_an_arm_ends_once(tmp_path):
    journal = Journal(tmp_path / "j")
    with journal.writing(PLAN) as writer:
        first = ArmEnd(arm="rollback", tasks=1, reason="watch")
        writer.append(first, first)
        with pytest.raises(InvalidInput, match=r"arm 'rollback' ended before, after 1 tasks"):
            writer.append(episode(), replace(first, tasks=2))
    assert not journal.read().episodes  # refused before a byte was written
    body = b'{"format":"forbear-end-1","arm":"rollback","tasks":2,"reason":"watch"'
    written_by_another(journal, body)
    with pytest.raises(InvalidInput, match=r"line 3: arm 'rollback' ended before"):
        journal.read()


def test_a_torn_tail_is_dropped_and_written_over(journal):
    whole = lines_of(journal).read_bytes()
    for cut in range(1, 60):
        lines_of(journal).write_bytes(whole[:-cut])
        assert len(journal.read().missing) == 0
    with journal.writing(PLAN) as writer:
        assert not writer.content.missing
        writer.append(LOST)
    assert lines_of(journal).read_bytes() == whole


def test_every_flipped_bit_is_found_and_its_line_named(journal):
    whole = lines_of(journal).read_bytes()
    second = whole.index(b"\n") + 1
    for position in range(second, whole.index(b"\n", second)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << (position % 7)
        if flipped[position] == ord("\n"):
            continue
        lines_of(journal).write_bytes(flipped)
        with pytest.raises(InvalidInput, match="line 2: it is not what was written"):
            journal.read()


def test_a_newer_format_is_named(journal):
    written_by_another(journal, b'{"format":"forbear-episode-9","x":1')
    with pytest.raises(InvalidInput, match=r"line 5: this version .* 'forbear-episode-9'"):
        journal.read()


def test_a_journal_of_the_first_version_is_refused_with_what_to_do(journal):
    written_by_another(journal, b'{"format":"forbear-stop-1","arm":"rollback","tasks":2,"reason":"watch"')
    with pytest.raises(InvalidInput, match=r"line 5: written by an earlier version .* start the pilot afresh"):
        journal.read()


@pytest.mark.parametrize("changed", [{}, {**PLAN, "digest": "u"}, {"mine": [1, {}], "digest": "ü"}])
def test_another_plan_is_refused_and_the_lock_let_go(journal, changed):
    before = lines_of(journal).read_bytes()
    with pytest.raises(PlanChanged, match=r"was started under another plan. Go back to that plan, or name another"):
        journal.writing(changed)
    assert lines_of(journal).read_bytes() == before
    with journal.writing({key: PLAN[key] for key in reversed(PLAN)}) as writer:
        assert len(writer.content.episodes) == 2


@pytest.mark.parametrize("text", ["", "[1]", '{"a": NaN}', "[" * 100_000, "\xff"])
def test_a_plan_that_is_no_json_object_is_named(journal, text):
    (journal.directory / "plan.json").write_bytes(text.encode("latin-1"))
    for use in (journal.read, lambda: journal.writing(PLAN)):
        with pytest.raises(InvalidInput, match=r"no readable journal|expected a JSON object"):
            use()


def test_a_second_writer_is_refused_at_once_and_readers_are_not(journal):
    with journal.writing(PLAN):
        with pytest.raises(JournalLocked, match="another process"):
            journal.writing(PLAN)
        assert len(journal.read().episodes) == 2


def test_episodes_without_their_plan_are_not_taken_over(journal):
    (journal.directory / "plan.json").unlink()
    with pytest.raises(InvalidInput, match=r"episodes but no plan\.json"):
        journal.writing(PLAN)


def test_no_journal_there(tmp_path):
    with pytest.raises(InvalidInput, match="no readable journal"):
        Journal(tmp_path / "none").read()


def test_a_journal_has_started_once_it_has_a_plan(tmp_path):
    journal = Journal(tmp_path / "j")
    assert not journal.started
    with journal.writing(PLAN):
        assert journal.started
    lines_of(journal).unlink()
    assert journal.started
    assert (journal.read().plan, journal.read().episodes) == (PLAN, {})


def test_lines_that_cannot_be_read_are_named(journal):
    lines_of(journal).unlink()
    lines_of(journal).mkdir()
    with pytest.raises(InvalidInput, match=r"no readable journal there \(Is a directory\)"):
        journal.read()


def test_a_plan_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "plan.json.new").mkdir()
    with pytest.raises(JournalUnwritable, match=r"plan\.json: cannot be written"):
        Journal(tmp_path).writing(PLAN)
    (tmp_path / "plan.json.new").rmdir()
    Journal(tmp_path).writing(PLAN).close()  # and the lock was let go


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    places = [tmp_path / "file" / "runs"]
    if os.geteuid() != 0:  # root may write everywhere
        (tmp_path / "closed").mkdir(mode=0o500)
        places.append(tmp_path / "closed" / "runs")
    for place in places:
        with pytest.raises(InvalidInput, match="cannot be written"):
            Journal(place).writing(PLAN)


FULL_DISK = """
import resource, signal, sys
sys.path[:0] = {path!r}
from forbear.errors import JournalUnwritable
from forbear.records.journal import SYNC_INTERVAL_S, Journal
from records.test_journal import PLAN, episode

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Journal(sys.argv[1]).writing(PLAN) as writer:
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    for number in range(1000):
        try:
            writer.append(episode(f"t{{number}}"))
        except JournalUnwritable as error:
            print(number, error)
            sys.exit(error.exit_code)
"""


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
        assert [name for name in made if name != "write"] == ["fsync", "replace", "fsync"]


def test_lines_are_forced_to_the_disk_without_being_asked(tmp_path, calls):
    assert 0 < SYNC_INTERVAL_S <= 0.1  # what is promised
    made, _ = calls
    with Journal(tmp_path / "j").writing(PLAN) as writer:
        for _ in range(3):
            made.clear()
            writer.append(episode())
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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere /dev/null has no locks")
def test_a_disk_that_does_not_take_a_sync_is_said_at_the_next_line_or_at_the_end(tmp_path):
    """/dev/null takes every line and refuses every sync."""
    (tmp_path / "j").mkdir()
    (tmp_path / "j" / "episodes.jsonl").symlink_to("/dev/null")
    with pytest.raises(JournalUnwritable, match="make room"), Journal(tmp_path / "j").writing(PLAN) as writer:
        writer.append(episode())
    writer = Journal(tmp_path / "j").writing(PLAN)
    writer.append(episode())
    with pytest.raises(JournalUnwritable, match="cannot be written"):
        wait_for(lambda: writer.append(episode()))
    with pytest.raises(JournalUnwritable, match="cannot be written"):
        writer.close()
    writer.close()  # closed is closed
