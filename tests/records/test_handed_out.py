"""What was given to a host: a line like the others, that what is told of it settles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.errors import InvalidInput
from forbear.records.codec import HandedOut, Missing, decode_record, encode_record
from forbear.records.journal import Journal
from forbear.records.model import Episode, Task, Termination
from records.samples import plan_of

PLAN = plan_of("t", arms=("baseline", "a"))
GIVEN = HandedOut(task_id="t", seed=1, arm="a", until=10.5)


def episode(success):
    termination = Termination.FINISHED if success is not None else Termination.PROVIDER_ERROR
    return Episode(task=Task(id="t"), arm="a", seed=1, steps=(), termination=termination, success=success)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(), st.text("ab\n\x00\u2028\u202e"))
def test_it_round_trips_in_one_line(task, seed, arm):
    record = HandedOut(task_id=task, seed=seed, arm=arm, until=1e9)
    line = encode_record(record)
    assert b"\n" not in line
    assert decode_record(line, where="here") == record


@pytest.mark.parametrize("until", ["soon", -1, 1e301, None])
def test_a_lease_is_a_time(until):
    line = encode_record(GIVEN).replace(b"10.5", {"soon": b'"soon"', None: b"null"}.get(until, str(until).encode()))
    with pytest.raises(InvalidInput, match=r"here: .*\$.until"):
        decode_record(line, where="here")


@pytest.mark.parametrize(
    "settled", [episode(True), episode(None), Missing(task_id="t", seed=1, arm="a", reason="gone")]
)
def test_what_is_told_settles_it_and_another_lease_replaces_it(tmp_path, settled):
    later = HandedOut(task_id="t", seed=1, arm="a", until=20.0)
    with Journal(tmp_path).writing(PLAN) as writer:
        writer.append(GIVEN)
        assert writer.content.handed_out == {GIVEN.key: GIVEN}
        writer.append(later)
        assert Journal(tmp_path).read().handed_out == {GIVEN.key: later}
        writer.append(settled)
        assert Journal(tmp_path).read().handed_out == writer.content.handed_out == {}


def test_what_broke_is_counted_to_the_next_outcome(tmp_path):
    with Journal(tmp_path).writing(PLAN) as writer:
        for _ in range(3):
            writer.append(episode(None))
        assert len(Journal(tmp_path).read().broken_in_a_row) == len(writer.content.broken_in_a_row) == 3
        writer.append(episode(False))
        assert Journal(tmp_path).read().broken_in_a_row == writer.content.broken_in_a_row == []
