import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import pytest
from msgspec.structs import replace

from forbear.errors import InvalidInput, JournalLocked, JournalUnwritable, PlanChanged
from forbear.records.codec import ArmEnd, Missing, encode_record
from forbear.records.journal import SYNC_INTERVAL_S, Journal
from forbear.records.model import Action, Episode, Origin, Step, Task, Termination
from forbear.records.planned import plan_digest


def sealed(plan):
    """With the digest that it would have been written with."""
    return {**plan, "digest": plan_digest(plan)}


def plan_of(*tasks, seeds=(1,), arms=("baseline", "rollback"), **more):
    """Of what is being run the journal knows the cells: the rest is any JSON."""
    baseline = {"tasks": [[task, "ü", None] for task in tasks], "seeds": list(seeds)}
    kinds = {arm: {"kind": "baseline"} if arm == "baseline" else {} for arm in arms}
    return sealed({"format": "forbear-plan-2", "baseline": baseline, "arms": kinds, "mine": [1, {"a": None}], **more})


PLAN = plan_of(*[f"t{n}" for n in range(1, 101)])


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


def written_by_another(journal, body, *, plan=PLAN):
    """A line that is sealed and linked as it should be, whatever it says."""
    before = lines_of(journal).read_bytes()
    root = zlib.crc32(plan["digest"].encode())
    seal = b"%08x" % zlib.crc32(body, root)
    link = zlib.crc32(seal, int(before[-11:-3], 16) if before else root)
    lines_of(journal).write_bytes(before + body + b',"check":"%b%08x"}\n' % (seal, link))


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
    with journal.writing(plan_of("t1", "t2")):
        pass
    line = b'{"format":"forbear-end-1","arm":"rollback","tasks":2,"reason":"watch","check":"5102f620c4b5ac55"}\n'
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
        lines_of(journal).write_bytes(flipped)
        with pytest.raises(InvalidInput, match=r"line 2: it (is|was) not (what was )?written"):
            journal.read()


@pytest.mark.parametrize(
    ("order", "line"),
    [
        ("234", 1),
        ("134", 2),
        ("124", 3),
        ("11234", 2),
        ("12234", 3),
        ("12344", 5),
        ("2134", 1),
        ("1324", 2),
        ("1243", 3),
        ("4123", 1),
        ("12341234", 5),
    ],
)
def test_a_line_that_is_removed_doubled_or_moved_is_found_though_it_is_whole(journal, order, line):
    lines = lines_of(journal).read_bytes().splitlines(keepends=True)
    lines_of(journal).write_bytes(b"".join(lines[int(number) - 1] for number in order))
    with pytest.raises(InvalidInput, match=rf"line {line}: it was not written after the line before it") as raised:
        journal.read()
    assert "forbear journal repair" in str(raised.value)


def test_a_line_of_another_journal_is_found(journal, tmp_path):
    """Be it of another plan or of the same one."""
    mine = lines_of(journal).read_bytes().splitlines(keepends=True)
    for plan in (PLAN, sealed({**PLAN, "mine": 2})):
        other = Journal(tmp_path / plan["digest"])
        with other.writing(plan) as writer:
            writer.append(episode(success=False), SHARED, BROKEN)
        theirs = lines_of(other).read_bytes().splitlines(keepends=True)
        for place in range(3):
            lines_of(journal).write_bytes(b"".join([*mine[:place], theirs[place], *mine[place + 1 :]]))
            with pytest.raises(InvalidInput, match=r"line [123]: it (is|was) not (what was )?written"):
                journal.read()
        (journal.directory / "plan.json").write_bytes((other.directory / "plan.json").read_bytes())
        lines_of(journal).write_bytes(b"".join(mine))
        if plan is not PLAN:
            with pytest.raises(InvalidInput, match="line 1: it is not what was written"):
                journal.read()


def said_of(record):
    """A record as a line's beginning."""
    return encode_record(record)[:-1]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (episode("t0"), "the plan has no task 't0', seed 1, arm 'baseline'"),
        (replace(episode("t3"), seed=2), "the plan has no task 't3', seed 2"),
        (episode("t3", arm="other"), "arm 'other'"),
        (Missing(task_id="t3", seed=1, arm="other", reason=""), "arm 'other'"),
        (ArmEnd(arm="other", tasks=1, reason=""), "arm 'other' ended after 1 tasks; the plan has no such arm"),
        (ArmEnd(arm="rollback", tasks=101, reason=""), "or fewer"),
        (episode(success=False), "task 't1', seed 1, arm 'baseline' had its outcome, or was given up, before"),
        (episode("t2"), "task 't2', seed 1, arm 'baseline' had its outcome, or was given up, before"),
        (Missing(task_id="t1", seed=1, arm="baseline", reason=""), "had its outcome, or was given up, before"),
        (LOST, "had its outcome, or was given up, before"),
    ],
)
def test_what_the_plan_cannot_have_or_what_contradicts_is_neither_read_nor_written(journal, record, said):
    before = lines_of(journal).read_bytes()
    with journal.writing(PLAN) as writer, pytest.raises(InvalidInput) as raised:
        writer.append(episode("t4"), record)
    assert said in str(raised.value)
    assert lines_of(journal).read_bytes() == before
    written_by_another(journal, said_of(record))
    with pytest.raises(InvalidInput, match="line 5: ") as raised:
        journal.read()
    assert said in str(raised.value)


def test_two_outcomes_for_one_cell_are_refused_within_an_append(tmp_path):
    with Journal(tmp_path / "j").writing(PLAN) as writer:
        for batch in ([episode(), episode(success=False)], [LOST, LOST], [episode(), replace(LOST, task_id="t1")]):
            with pytest.raises(InvalidInput, match="had its outcome, or was given up, before"):
                writer.append(*batch)
        first = ArmEnd(arm="rollback", tasks=1, reason="watch")
        with pytest.raises(InvalidInput, match="ended before, after 1 tasks"):
            writer.append(first, replace(first, tasks=2))
        with pytest.raises(
            InvalidInput, match=r"cannot continue task 't1', seed 1, arm 'baseline', which has no outcome"
        ):
            writer.append(SHARED)
    assert lines_of(Journal(tmp_path / "j")).read_bytes() == b""


@pytest.mark.slow
def test_what_json_cannot_hold_is_refused_before_a_byte_is_written(tmp_path):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with Journal(tmp_path / "j").writing(PLAN) as writer:
        for payload in (object(), "\ud800", deep):
            with pytest.raises(InvalidInput, match="cannot be written as JSON"):
                writer.append(episode(), replace(episode("t2"), final_payload=payload))
        with pytest.raises(
            InvalidInput, match=r"a record of 67,1\d\d,\d\d\d bytes: larger than 64 MiB.*FORBEAR_MAX_INPUT"
        ):
            writer.append(replace(episode(), final_observation="x" * (64 << 20)))
        with pytest.raises(InvalidInput, match="an episode of 1 steps cannot share 2"):
            writer.append(episode(), replace(SHARED, origin=Origin(arm="baseline", step=2)))
        writer.append(episode())
    assert len(Journal(tmp_path / "j").read().episodes) == 1


def test_a_newer_format_is_named(journal):
    written_by_another(journal, b'{"format":"forbear-episode-9","x":1')
    with pytest.raises(InvalidInput, match=r"line 5: this version .* 'forbear-episode-9'"):
        journal.read()


def test_a_journal_of_the_first_version_is_refused_with_what_to_do(journal):
    written_by_another(journal, b'{"format":"forbear-stop-1","arm":"rollback","tasks":2,"reason":"watch"')
    with pytest.raises(InvalidInput, match=r"line 5: written by an earlier version .* start the pilot afresh"):
        journal.read()


@pytest.mark.parametrize("changed", [sealed({**PLAN, "mine": 2}), sealed({**PLAN, "more": None})])
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
        with pytest.raises(InvalidInput, match=r"mine: plan\.json is not what the pilot was started with \("):
            use()


def test_every_flipped_bit_of_the_plan_is_found_or_changes_nothing(tmp_path):
    """One sentence that names the file, never an error of a decoder; what changes nothing is the case of an escape."""
    journal = Journal(tmp_path / "j")
    plan = plan_of("t1", "ü", alpha=0.05)
    with journal.writing(plan) as writer:
        writer.append(episode())
    path = journal.directory / "plan.json"
    whole = path.read_bytes()
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << (position % 8)
        path.write_bytes(flipped)
        try:
            assert journal.read().plan == plan
        except InvalidInput as error:
            said = str(error).removeprefix(f"{journal.directory}: ")
            assert said.startswith(("plan.json is not", "this version of forbear does not know the format"))


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
from records.test_journal import PLAN, episode

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


def test_what_is_no_file_is_read_without_waiting_and_bounded(journal):
    for path in (lines_of(journal), journal.directory / "plan.json"):
        before = path.read_bytes()
        path.unlink()
        if path == lines_of(journal):
            os.mkfifo(path)
            assert journal.read().episodes == {}
            path.unlink()
        path.symlink_to("/dev/zero")
        with pytest.raises(InvalidInput, match=r"(line 1|plan\.json): larger than 64 MiB"):
            journal.read()
        path.unlink()
        path.write_bytes(before)
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
from records.test_journal import PLAN, episode

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
from records.test_journal import PLAN, episode

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
