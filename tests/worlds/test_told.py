import pytest

from forbear.interventions.append import DEFAULT_MESSAGE
from forbear.interventions.ready import TOLD
from forbear.records.model import Step
from forbear.worlds.told import REMARKS, WARNINGS, lately_told, words_of


def test_the_last_messages_are_found():
    steps = [Step(index=i, observation="", messages=("Look Out, 2!",) if i == 1 else ()) for i in range(9)]
    assert lately_told(steps[:2]) == (frozenset({"look", "out"}), 0)
    assert lately_told(steps[:4]) == (frozenset({"look", "out"}), 2)
    assert lately_told(steps) == (frozenset(), None)
    assert words_of(["x" * 150 + " " * 60 + "late"]) == {"x" * 150}


@pytest.mark.parametrize("said", [DEFAULT_MESSAGE, TOLD])
def test_no_sentence_of_demonstrations_is_one_that_interventions_say(said):
    assert said not in (*WARNINGS, *REMARKS)
