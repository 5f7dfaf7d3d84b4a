import json
import os
import subprocess
import sys
import zlib
from dataclasses import replace

import pytest

from forbear.errors import InvalidInput, JournalLocked, PlanChanged
from forbear.records.codec import Journal, Missing
from forbear.records.model import Action, Episode, Origin, Step, Task, Termination, Usage

PLAN = {"format": "forbear-plan-1", "baseline": {"max_steps": 15, "tasks": [["t1", "a"], ["t2", "b"]]}, "arms": {}}


def episode(task="t1", arm="baseline", *, success=True, termination=Termination.FINISHED, **more):
    step = Step(index=0, observation="door", executed=Action("open"))
    return Episode(task=Task(id=task), arm=arm, seed=1, steps=(step,), termination=termination, success=success, **more)


BROKEN = episode("t2", success=None, termination=Termination.PROVIDER_ERROR, cause="503")
SHARED = replace(episode(arm="rollback"), origin=Origin(arm="baseline", step=None))
EXCLUDED = Missing(task_id="t2", seed=1, arm="baseline", reason="503")


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "runs" / "mine")
    with journal.writing(PLAN) as writer:
        writer.append(episode(), SHARED)
        writer.append(BROKEN)
        writer.append(EXCLUDED)
    return journal


def lines_of(journal):
    return journal.directory / "episodes.jsonl"


def test_what_was_written_is_read(journal):
    content = journal.read()
    assert content.plan == PLAN
    assert list(content.episodes.values()) == [episode(), SHARED]
    assert content.broken == {("t2", 1, "baseline"): 1}
    assert content.rows == {("t1", 1): [episode(), SHARED], ("t2", 1): [BROKEN]}
    assert content.missing == {EXCLUDED.key: EXCLUDED}
    assert sorted(path.name for path in journal.directory.iterdir()) == ["episodes.jsonl", "plan.json"]
    for line in lines_of(journal).read_text().splitlines():
        assert json.loads(line)["format"].startswith("forbear-")


def test_the_digest_is_of_what_was_found_not_of_how(journal, tmp_path):
    other = Journal(tmp_path / "other")
    with other.writing(PLAN) as writer:
        writer.append(replace(EXCLUDED, reason="timeout"))
        writer.append(replace(episode(), usage=Usage(seconds=3.5)))
        writer.append(SHARED)
    assert other.read().digest() == journal.read().digest()
    with other.writing(PLAN) as writer:
        writer.append(episode("t3", success=False))
    assert other.read().digest() != journal.read().digest()


STOPPABLE = {**PLAN, "arms": {"baseline": {"kind": "baseline"}, "rollback": {"kind": "policy"}}}


def test_a_stop_is_read_and_what_lies_beyond_it_is_no_part_of_the_digest(tmp_path):
    journal = Journal(tmp_path / "j")
    stop = ArmEnd(arm="rollback", tasks=1, reason="watch")
    with journal.writing(STOPPABLE) as writer:
        writer.append(episode(), SHARED, stop)
    digest = journal.read().digest()
    assert journal.read().stops == {"rollback": stop}
    with journal.writing(STOPPABLE) as writer:
        # Both were under way: the arm's is no evidence; nor is the baseline's, as no arm is left to compare with it.
        writer.append(episode("t2"), episode("t2", arm="rollback"))
    assert journal.read().digest() == digest


def test_a_line_of_the_first_version_loads(tmp_path):
    journal = Journal(tmp_path / "j")
    with journal.writing(STOPPABLE):
        pass
    line = b'{"format":"forbear-stop-1","arm":"rollback","tasks":2,"reason":"watch","check":"d040ad96"}\n'
    (journal.directory / "episodes.jsonl").write_bytes(line)
    assert journal.read().stops == {"rollback": ArmEnd(arm="rollback", tasks=2, reason="watch")}


@pytest.mark.parametrize(
    "stops",
    [
        [("rollback", 0)],
        [("rollback", -3)],
        [("rollback", 3)],
        [("baseline", 1)],
        [("other", 1)],
        [("rollback", 1), ("rollback", 2)],
    ],
)
def test_a_stop_that_cannot_be_is_refused(tmp_path, stops):
    journal = Journal(tmp_path / "j")
    with journal.writing(STOPPABLE) as writer:
        writer.append(*(ArmEnd(arm=arm, tasks=tasks, reason="watch") for arm, tasks in stops))
    with pytest.raises(InvalidInput, match=f"line {len(stops)}"):
        journal.read()


def test_a_pilot_that_has_grown_is_refused_with_the_reason(journal):
    grown = {**PLAN, "baseline": {**PLAN["baseline"], "tasks": [["t1", "a"], ["t2", "b"], ["t3", "c"]]}}
    with pytest.raises(PlanChanged, match="it has grown: 2 tasks were planned, now there are 3"):
        journal.writing(grown)


def test_a_torn_tail_is_dropped_and_written_over(journal):
    whole = lines_of(journal).read_bytes()
    for cut in range(1, 60):
        lines_of(journal).write_bytes(whole[:-cut])
        assert len(journal.read().missing) == 0
    with journal.writing(PLAN) as writer:
        assert not writer.content.missing
        writer.append(EXCLUDED)
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
    body = b'{"format":"forbear-episode-9","x":1'
    with lines_of(journal).open("ab") as file:
        file.write(body + f',"check":"{zlib.crc32(body):08x}"}}\n'.encode())
    with pytest.raises(InvalidInput, match=r"line 5: this version .* 'forbear-episode-9'"):
        journal.read()
    (journal.directory / "plan.json").write_text(json.dumps({**PLAN, "format": "forbear-plan-9"}))
    with pytest.raises(InvalidInput, match=r"plan.json: this version .* 'forbear-plan-9'"):
        journal.writing(PLAN)


def test_another_plan_is_refused_with_what_differs(journal):
    changed = {
        **PLAN,
        "baseline": {"max_steps": 20, "tasks": [["t1", "a"], ["t2", "c"]], "digest": "x"},
        "arms": {"rollback": {}},
    }
    with pytest.raises(PlanChanged) as raised:
        journal.writing(changed)
    said = str(raised.value)
    assert "baseline.max_steps was 15, is 20" in said
    assert "baseline.tasks[1][1] was 'b', is 'c'" in said
    assert "arms.rollback is new" in said
    assert "\n" not in said
    with journal.writing(PLAN) as writer:  # and the lock was let go
        assert len(writer.content.episodes) == 2


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
from forbear.records.journal import Journal
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
