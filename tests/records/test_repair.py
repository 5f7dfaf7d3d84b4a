"""Whatever happens to the bytes of a journal is found and named, or changes nothing; what was not hit is kept."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from forbear.errors import InvalidInput, JournalLocked
from forbear.records.codec import ArmEnd, HandedOut, Missing, encode_record, episode_key
from forbear.records.journal import Journal
from forbear.records.model import Action, Episode, Origin, Step, Task, Termination
from forbear.records.repair import repair, survey
from records.samples import plan_of
from runner.pilots import digest, plan, run

TASKS = [f"t{n}" for n in range(6)]
ARMS = ("baseline", "rollback", "append")
PLAN = plan_of(*TASKS, arms=ARMS)


def episode(task, arm="baseline", *, says="door", success=True, origin=None, **more):
    step = Step(index=0, observation=says, payload={"check": "0123456789abcdef"}, executed=Action("open"))
    more = {"termination": Termination.FINISHED, **more}
    return Episode(task=Task(id=task), arm=arm, seed=1, steps=(step,), success=success, origin=origin, **more)


def records(*, says="door"):
    """A journal with everything in it: shared and continued episodes, broken and missing ones, an arm that ended."""
    found = []
    for number, task in enumerate(TASKS):
        base = episode(task, says=says)
        found.append(base)
        if number == 2:
            found.append(episode(task, "rollback", success=None, termination=Termination.PROVIDER_ERROR, cause="503"))
            found.append(Missing(task_id=task, seed=1, arm="rollback", reason="503"))
        else:
            found.append(replace(base, arm="rollback", origin=Origin(arm="baseline", step=1), final_observation="out"))
        if number < 4:
            parent = "baseline" if number % 2 else "rollback"
            of = Origin(arm=parent, step=None) if number != 2 else None
            found.append(replace(base, arm="append", origin=of))
        if number == 3:
            found.append(ArmEnd(arm="append", tasks=4, reason="futile"))
    found.append(HandedOut(task_id=TASKS[-1], seed=1, arm="append", until=1e9))
    return found


def written(folder, found, *, plan=PLAN):
    journal = Journal(folder)
    with journal.writing(plan) as writer:
        writer.append(*found)
    return journal


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The lines of a whole journal, its plan, and the lines of another one of the same plan."""
    folder = tmp_path_factory.mktemp("whole")
    first = written(folder / "first", records())
    second = written(folder / "second", records(says="wall"))
    return (
        first.lines_path.read_bytes(),
        first.plan_path.read_bytes(),
        second.lines_path.read_bytes(),
        list(map(encode_record, records())),
    )


def place(size):
    return st.integers(0, size - 1)


@st.composite
def damages(draw, lines):
    """One or several of: a bit flipped, bytes put in or taken out, the end cut off, lines moved, doubled or removed."""
    harmed = lines
    for _ in range(draw(st.integers(1, 3))):
        if not harmed:
            break
        at = draw(place(len(harmed)))
        parts = harmed.splitlines(keepends=True)
        one, other = draw(place(len(parts))), draw(place(len(parts)))
        match draw(st.sampled_from(["flip", "insert", "delete", "cut", "swap", "double", "remove", "zeros", "move"])):
            case "flip":
                flipped = harmed[at] ^ (1 << draw(st.integers(0, 7)))
                harmed = harmed[:at] + bytes([flipped]) + harmed[at + 1 :]
            case "insert":
                put = draw(st.binary(min_size=1, max_size=4) | st.sampled_from([b"\n", b'"}', b"{", b"\r", parts[one]]))
                harmed = harmed[:at] + put + harmed[at:]
            case "delete":
                harmed = harmed[:at] + harmed[at + draw(st.integers(1, 40)) :]
            case "cut":
                harmed = harmed[:at]
            case "zeros":
                harmed = harmed[:at] + bytes(len(harmed) - at)
            case "swap":
                parts[one], parts[other] = parts[other], parts[one]
                harmed = b"".join(parts)
            case "double":
                harmed = b"".join([*parts[:one], parts[one], *parts[one:]])
            case "move":
                moved = parts.pop(one)
                harmed = b"".join([*parts[:other], moved, *parts[other:]])
            case "remove":
                harmed = b"".join([*parts[:one], *parts[one + 1 :]])
    return harmed


def put(folder, plan, lines):
    journal = Journal(folder)
    journal.plan_path.write_bytes(plan)
    journal.lines_path.write_bytes(lines)
    return journal


def everything(content):
    rows = [one for row in content.rows.values() for one in row]
    return sorted(
        encode_record(one)
        for one in [*rows, *content.missing.values(), *content.ends.values(), *content.handed_out.values()]
    )


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_is_named_or_harmless_and_repair_keeps_every_record_that_was_not_hit(whole, data):
    lines, plan_bytes, _, encoded = whole
    check_damage(lines, plan_bytes, encoded, data.draw(damages(lines)))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_damage_is_named_or_harmless_and_repair_keeps_what_was_not_hit(whole, data):
    lines, plan_bytes, _, encoded = whole
    check_damage(lines, plan_bytes, encoded, data.draw(damages(lines)))


def check_damage(lines, plan_bytes, encoded, harmed):
    with tempfile.TemporaryDirectory() as folder:
        journal = put(Path(folder), plan_bytes, harmed)
        try:
            found = everything(journal.read())
            said = None
        except InvalidInput as error:
            said = str(error).removeprefix(str(journal.lines_path))
        if said is None:
            # Nothing but a shorter journal, as a kill leaves it: what is left of a line at its end is passed over.
            assert found == sorted(encoded[: len(found)])
        else:
            assert re.match(r", line \d+: ", said)
        assert (said is None) == (not survey(journal).faults)
        before = journal.lines_path.read_bytes()
        _, copy = repair(journal)
        assert copy is None or copy.read_bytes() == harmed
        content = journal.read()
        kept = everything(content)
        if copy is not None:
            assert must_be_kept(lines, encoded, harmed) <= set(kept)
        assert set(kept) <= set(encoded)
        assert len(kept) == len(set(kept))
        after = journal.lines_path.read_bytes()
        assert copy is not None or after == before
        assert repair(journal)[1] is None
        assert journal.lines_path.read_bytes() == after


def must_be_kept(lines, encoded, harmed):
    """The records whose lines still stand there, with all that they continue; an end with all of its evidence."""
    there = {}
    for record, line, text in zip(records(), lines.splitlines(), encoded, strict=True):
        if line not in harmed or isinstance(record, ArmEnd):
            continue
        key = episode_key(record) if isinstance(record, Episode) else record.key
        origin = getattr(record, "origin", None)
        broken = isinstance(record, Episode) and record.success is None
        if origin is None or (*key[:2], origin.arm) in there:
            there[(*key, "broken") if broken else key] = text
    kept = set(there.values())
    for record, line, text in zip(records(), lines.splitlines(), encoded, strict=True):
        if isinstance(record, ArmEnd) and line in harmed:
            cells = {(task, 1, arm) for task in TASKS[: record.tasks] for arm in ARMS}
            kept |= {text} if cells <= there.keys() else set()
    return kept


@pytest.mark.parametrize("cut", [0, 3, 7])
def test_two_journals_in_one_file_are_found_and_the_first_outcome_of_a_cell_stands(tmp_path, whole, cut):
    """Of the second one nothing is mixed in with what the first one has: no episode gets another's beginning."""
    lines, plan_bytes, other, encoded = whole
    mine = lines.splitlines(keepends=True)
    del mine[cut]
    journal = put(tmp_path, plan_bytes, b"".join(mine) + other)
    with pytest.raises(InvalidInput, match="line "):
        journal.read()
    repair(journal)
    theirs = list(map(encode_record, records(says="wall")))
    kept = everything(journal.read())
    assert set(kept) <= {*encoded, *theirs}
    assert {encoded[n] for n in (9, 10, 11)} <= set(kept)
    steps = {key: found.steps[0].observation for key, found in journal.read().episodes.items()}
    parents = {key: (*key[:2], one.origin.arm) for key, one in journal.read().episodes.items() if one.origin}
    assert all(steps[key] == steps[parent] for key, parent in parents.items())


def test_what_was_dropped_is_said_with_its_line_and_what_is_to_be_run(tmp_path, whole):
    lines, plan_bytes, _, _ = whole
    mine = lines.splitlines(keepends=True)
    journal = put(tmp_path, plan_bytes, b"".join([mine[0][:-30] + b"\n", *mine[1:5], mine[3], *mine[5:]]))
    found, copy = repair(journal)
    assert [fault.line for fault in found.faults] == [1, 2, 3, 6, 15]
    assert not any(fault.kept for fault in found.faults)
    assert found.faults[0].what == "it is not what was written (its checksum differs)"
    assert found.faults[1].what == "it continues task 't0', seed 1, arm 'baseline', which is gone"
    assert found.faults[2].what == "it continues task 't0', seed 1, arm 'rollback', which is gone"
    assert found.faults[3].what == "it repeats line 4"
    assert "the end of arm 'append' rests on episodes that are gone" in found.faults[4].what
    assert found.to_run == (*[("t0", 1, arm) for arm in ARMS], *[(task, 1, "append") for task in TASKS[4:]])
    assert copy == tmp_path / "episodes.jsonl.damaged"


def test_a_journal_that_is_written_is_not_repaired_and_a_copy_is_never_written_over(tmp_path, whole):
    lines, plan_bytes, _, _ = whole
    journal = put(tmp_path, plan_bytes, lines)
    with journal.writing(PLAN), pytest.raises(JournalLocked):
        repair(journal)
    copies = []
    for _ in range(2):
        journal.lines_path.write_bytes(journal.lines_path.read_bytes()[1:])
        copies.append(repair(journal)[1].name)
    assert copies == ["episodes.jsonl.damaged", "episodes.jsonl.damaged-2"]


FULL_DISK = """
import resource, signal, sys
sys.path[:0] = {path!r}
from forbear.errors import JournalUnwritable
from forbear.records.journal import Journal
from forbear.records.repair import repair

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    repair(Journal(sys.argv[1]))
except JournalUnwritable as error:
    print(error)
    sys.exit(error.exit_code)
"""


def test_a_disk_that_fills_up_while_it_is_repaired_changes_nothing(tmp_path, whole):
    lines, plan_bytes, _, _ = whole
    harmed = lines[1:]
    put(tmp_path, plan_bytes, harmed)
    command = [sys.executable, "-c", FULL_DISK.format(path=sys.path), str(tmp_path), str(len(harmed) - 1)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "")
    assert "cannot be written (File too large); it is as it was" in done.stdout
    assert (tmp_path / "episodes.jsonl").read_bytes() == harmed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["episodes.jsonl", "plan.json"]


def test_no_journal_is_made_by_looking_for_one(tmp_path):
    for look in (survey, repair):
        with pytest.raises(InvalidInput, match="no readable journal"):
            look(Journal(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def harms(lines):
    """What has been seen: a crash's zero bytes, lost and doubled lines, an editor's changes."""
    parts = lines.splitlines(keepends=True)
    half = len(parts) // 2
    yield "half", lines[: -len(parts[-1]) // 2]
    yield "zeros", b"".join(parts[:-3]) + bytes(4096)
    yield "zeros on a line", b"".join([*parts[:half], bytes(4096) + b"\n", *parts[half:]])
    yield "cut", b"".join([*parts[:half], parts[half][:40] + b"\n", *parts[half + 1 :]])
    yield "doubled", b"".join([*parts[:6], parts[5], *parts[6:]])
    yield "windows", lines.replace(b"\n", b"\r\n")
    yield "mark", b"\xef\xbb\xbf" + lines
    yield "swapped", b"".join([*parts[:3], parts[half], *parts[4:half], parts[3], *parts[half + 1 :]])
    yield "empty", b"".join([*parts[:half], b"\n", *parts[half:]])


@pytest.mark.slow
def test_a_pilot_that_was_repaired_goes_on_to_the_same_findings(tmp_path):
    run(plan(n=3), tmp_path / "whole")
    lines = (tmp_path / "whole" / "episodes.jsonl").read_bytes()
    for name, harmed in harms(lines):
        folder = tmp_path / name
        folder.mkdir()
        put(folder, (tmp_path / "whole" / "plan.json").read_bytes(), harmed)
        found, _ = repair(Journal(folder))
        if name in ("doubled", "windows", "mark", "swapped", "empty"):
            assert len(found.lines) == len(lines.splitlines()), name
        run(plan(n=3), folder)
        assert digest(folder) == digest(tmp_path / "whole"), name


@pytest.mark.slow
def test_whichever_line_is_lost_a_repaired_pilot_finds_the_same(tmp_path):
    """With what each arm paid and took: of a row, those go too that took from the run that is gone."""
    run(plan(n=2), tmp_path / "whole", concurrency=1)
    lines = (tmp_path / "whole" / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    counts = []
    for lost in range(len(lines)):
        folder = tmp_path / str(lost)
        folder.mkdir()
        harmed = [*lines[:lost], *([b"\n"] if lost == len(lines) - 1 else []), *lines[lost + 1 :]]
        found, _ = repair(put(folder, (tmp_path / "whole" / "plan.json").read_bytes(), b"".join(harmed)))
        counts.append(len(found.lines))
        run(plan(n=2), folder)
        assert digest(folder) == digest(tmp_path / "whole"), lost
    half = len(lines) // 2
    assert counts[half - 1] == counts[-1] == len(lines) - 1
    assert min(counts) >= half
