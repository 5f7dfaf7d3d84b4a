import pytest

from forbear.errors import InvalidInput
from forbear.outcomes.logged import LoggedRuns


def test_runs_are_kept_by_task_and_have_a_digest_of_their_own():
    one = LoggedRuns(runs={"a": [1, 0], "b": [True]}, source="May")
    assert one.runs == {"a": (True, False), "b": (True,)}
    assert one.digest == LoggedRuns(runs={"b": [1], "a": [1, 0]}, source="June").digest
    assert one.digest != LoggedRuns(runs={"a": [1, 1], "b": [1]}, source="May").digest
    assert LoggedRuns(runs={"a": [1]}, source="May", digest="abc").digest == "abc"


def test_a_pilot_takes_those_of_its_tasks():
    logged = LoggedRuns(runs={"a": [1, 0], "b": [1], "c": [0]}, source="May", without_outcome=3)
    assert list(logged.of(["c", "a"]).runs.items()) == [("c", (False,)), ("a", (True, False))]
    with pytest.raises(InvalidInput, match="1 of 2 tasks have no logged run with an outcome: 'd'"):
        logged.of(["a", "d"])


@pytest.mark.parametrize(
    ("runs", "message"),
    [({}, "mapping"), ([1], "mapping"), ({"a": []}, "tasks 'a' have no logged run"), ({"a": [2]}, r"runs\['a'\]")],
)
def test_what_is_no_log_is_refused(runs, message):
    with pytest.raises(InvalidInput, match=message):
        LoggedRuns(runs=runs, source="May")
