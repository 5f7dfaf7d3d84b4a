import pytest

from forbear.models.transcript import transcript
from forbear.records.model import Action, Step, Task, Trajectory

DONE = [
    Step(index=i, observation=f"door {i + 1}", executed=Action("open"), messages=("Hm.",) if i == 1 else ())
    for i in range(4)
]
OPEN = Step(index=4, observation="door 5", messages=("Careful.", "Twice."))


def of(*steps):
    return Trajectory(task=Task(id="t"), steps=steps)


def test_what_was_seen_done_and_said_in_order():
    assert transcript(of(*DONE[:2], Step(index=2, observation="door 3", messages=("Careful.",)))) == (
        "door 1\nAction: open\nObservation: door 2\nHm.\nAction: open\nObservation: door 3\nCareful."
    )


@pytest.mark.parametrize("last", [1, 0])
def test_the_first_and_the_last_steps_are_told_always(last):
    told = transcript(of(*DONE, OPEN), last_steps=last)
    assert told == ("door 1\n(... 3 steps left out ...)\nAction: open\nObservation: door 5\nCareful.\nTwice.")


def test_as_many_as_there_are():
    whole = transcript(of(*DONE, OPEN))
    assert transcript(of(*DONE, OPEN), last_steps=4) == transcript(of(*DONE, OPEN), last_steps=99) == whole


def test_a_long_one_loses_its_middle():
    told = transcript(of(Step(index=0, observation="a" * 50_000 + "z" * 50_000)), most=300)
    assert told == "a" * 100 + "\n(... 99,700 characters left out ...)\n" + "z" * 200


def test_nothing_seen_nothing_told():
    assert transcript(of()) == ""
    assert transcript(of(Step(index=0, observation=""))) == ""


def test_it_quotes_and_fills_nothing():
    assert transcript(of(Step(index=0, observation="{action} {{\x1b[2J"))) == "{action} {{\x1b[2J"
