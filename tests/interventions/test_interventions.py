import pytest

from forbear.contracts.intervention import Continue, Halt, Retry
from forbear.errors import InvalidInput
from forbear.interventions import Append, Placebo, Rollback, Stop
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.testing import InterventionContract

OPEN = Trajectory(task=Task(id="t"), steps=(Step(index=0, observation="door 1"),))
JUMP = Action("jump")


class Contract(InterventionContract):
    def proposals(self):
        return [(OPEN, JUMP)]


class TestRollback(Contract):
    def make(self):
        return Rollback(message="Not {action}!")

    def variants(self):
        return [
            Rollback(),
            Rollback(depth=2),
            Rollback(exclude=True),
            Rollback(costs_step=True),
            Append(),
            Placebo(),
            Stop(),
        ]


class TestAppend(Contract):
    def make(self):
        return Append()

    def variants(self):
        return [Append(message="Careful.")]


class TestPlacebo(Contract):
    def make(self):
        return Placebo()


class TestStop(Contract):
    def make(self):
        return Stop()


@pytest.mark.parametrize(
    ("intervention", "effect"),
    [
        (Rollback(), Retry()),
        (
            Rollback(depth=3, message="Not {action}: {p_fail}.", exclude=True, costs_step=True),
            Retry(undo=2, message="Not jump: 90%.", exclude=True, costs_step=True),
        ),
        (Append(message="{p_fail} of {x}"), Continue(message="90% of {x}")),
        (Placebo(), Retry()),
        (Stop(), Halt()),
    ],
)
def test_effects(intervention, effect):
    assert intervention.apply(OPEN, JUMP, p_fail=0.9) == effect


def test_an_action_is_quoted_not_filled_in():
    said = Append(message="{action}|{p_fail}").apply(OPEN, Action("{p_fail}{action}"), p_fail=0.5).message
    assert said == "{p_fail}{action}|50%"


def test_only_a_deep_rollback_undoes_steps():
    assert [i.undoes_steps for i in (Rollback(), Rollback(depth=2), Append(), Placebo(), Stop())] == [
        False,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("depth", [0, -1, 1.5, True])
def test_a_depth_below_one_is_refused(depth):
    with pytest.raises(InvalidInput, match="depth"):
        Rollback(depth=depth)


@pytest.mark.parametrize("message", ["", None])
def test_nothing_cannot_be_appended(message):
    with pytest.raises(InvalidInput, match="message"):
        Append(message=message)
