import json
import os
import tracemalloc

import pytest
from msgspec.structs import replace

from forbear.errors import InvalidInput, PlanChanged
from forbear.records.codec import ArmEnd, Missing, encode_record
from forbear.records.journal import Journal
from forbear.records.model import Origin, Task
from forbear.records.repair import repair, survey
from records.samples import BROKEN, LOST, PLAN, SHARED, episode, lines_of, plan_of, sealed, written_by_another


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


def test_what_is_no_file_is_refused_without_waiting(journal):
    lines, plan = lines_of(journal), journal.directory / "plan.json"
    whole = lines.read_bytes(), plan.read_bytes()
    for put in (os.mkfifo, lambda path: path.symlink_to("/dev/zero"), lambda path: path.symlink_to("/dev/null")):
        lines.unlink()
        put(lines)
        for use in (journal.read, lambda: journal.writing(PLAN), lambda: survey(journal), lambda: repair(journal)):
            with pytest.raises(InvalidInput, match=r"episodes\.jsonl: it is no file, but a pipe or a device\. Restore"):
                use()
    lines.unlink()
    lines.write_bytes(whole[0])
    plan.unlink()
    plan.symlink_to("/dev/zero")
    with pytest.raises(InvalidInput, match=r"plan\.json: larger than 64 MiB"):
        journal.read()
    plan.unlink()
    plan.write_bytes(whole[1])
    assert len(journal.read().episodes) == 2


def test_a_line_and_all_lines_are_bounded_and_the_error_says_how_to_read_more(journal, monkeypatch):
    lines = lines_of(journal)
    size = lines.stat().st_size
    os.truncate(lines, 100 << 20)  # a hole: it takes no room
    with pytest.raises(InvalidInput, match=r"line 5: larger than 64 MiB, .* set FORBEAR_MAX_INPUT_MIB \(now 64\)"):
        journal.read()
    os.truncate(lines, (2 << 30) + 1)
    for use in (journal.read, lambda: journal.writing(PLAN), lambda: survey(journal)):
        tracemalloc.start()
        with pytest.raises(InvalidInput, match=r"larger than 2048 MiB, .* set FORBEAR_MAX_INPUT_MIB \(now 2048\)"):
            use()
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "1")
    with pytest.raises(InvalidInput, match="larger than 2048 MiB"):  # what could be written can be read
        journal.read()
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "3000")
    os.truncate(lines, (3000 << 20) + 1)
    with pytest.raises(InvalidInput, match="larger than 3000 MiB"):
        journal.read()
    os.truncate(lines, size)
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
