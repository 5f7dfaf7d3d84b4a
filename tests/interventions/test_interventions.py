import asyncio
from dataclasses import dataclass

import pytest

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Continue, Halt, Replace, Retry, is_control, undoes_steps
from forbear.errors import InvalidInput
from forbear.interventions import Append, Placebo, Restart, Rollback, Stop
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.testing import InterventionContract

OPEN = Trajectory(task=Task(id="t"), steps=(Step(index=0, observation="door 1"),))
LATER = Trajectory(
    task=Task(id="t"),
    steps=(
        Step(index=0, observation="door 1", executed=Action("open")),
        Step(index=1, observation="door 2", executed=Action("open")),
        Step(index=2, observation="door 3"),
    ),
)
JUMP = Action("jump")
DRAW = Draw(task_id="t", seed=1, role="intervention")


def applied(intervention, proposed=JUMP, *, seen=OPEN, p_fail=0.9, why=None):
    return intervention.apply(seen, proposed, score=Score(p_fail, why), draw=DRAW)


class Contract(InterventionContract):
    def proposals(self):
        return [(OPEN, JUMP), (LATER, JUMP)]


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
            Restart(),
            Stop(),
        ]


class TestDeepRollback(Contract):
    def make(self):
        return Rollback(depth=3)


class TestRestart(Contract):
    def make(self):
        return Restart()

    def variants(self):
        return [Restart(message="Again."), Restart(exclude=True), Restart(costs_step=True)]


class TestAppend(Contract):
    def make(self):
        return Append(message="{why}")

    def variants(self):
        return [Append(message="Careful.")]


class TestPlacebo(Contract):
    def make(self):
        return Placebo()


class TestStop(Contract):
    def make(self):
        return Stop()


@dataclass(frozen=True)
class Adviser:
    """As small as an intervention can be, and one that has to wait."""

    name = "adviser"

    async def apply(self, trajectory, proposed, *, score, draw):
        await asyncio.sleep(0)
        return Replace(Action("look"), message=f"{score.why} {draw.uniform():.3f}")

    def config(self):
        return {"kind": "adviser"}


class TestAdviser(Contract):
    """What somebody else writes keeps the contract without the optional properties."""

    def make(self):
        return Adviser()

    def test_what_is_not_said_is_false(self):
        assert not undoes_steps(Adviser())
        assert not is_control(Adviser())


@pytest.mark.parametrize(
    ("intervention", "effect"),
    [
        (Rollback(), Retry()),
        (
            Rollback(depth=3, message="Not {action}: {p_fail}.", exclude=True, costs_step=True),
            Retry(undo=2, message="Not jump: 90%.", exclude=True, costs_step=True),
        ),
        (Append(message="{p_fail} of {{x}}"), Continue(message="90% of {x}")),
        (Placebo(), Retry()),
        (Restart(), Retry()),
        (Stop(), Halt()),
    ],
)
def test_effects(intervention, effect):
    assert applied(intervention) == effect


def test_a_restart_undoes_every_executed_step():
    restart = Restart(message="{action}: from the start.", exclude=True, costs_step=True)
    expected = Retry(undo=2, message="jump: from the start.", exclude=True, costs_step=True)
    assert applied(restart, seen=LATER) == expected


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("{action}|{p_fail}|{why}", "{p_fail}{action}|50%|because {why}"),
        ("{{action}} {{{action}}} }}{{", "{action} {{p_fail}{action}} }{"),
        ("plain", "plain"),
    ],
)
def test_what_is_filled_in_is_quoted_not_filled_again(message, said):
    proposed = Action("{p_fail}{action}")
    assert applied(Append(message=message), proposed, p_fail=0.5, why="because {why}").message == said


@pytest.mark.parametrize("why", [None, ""])
def test_a_reason_that_was_not_given_is_said_to_be_missing(why):
    assert applied(Append(message="Stop: {why}."), why=why).message == "Stop: no reason given."


@pytest.mark.parametrize("make", [Rollback, Append, Restart])
@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("{pfail}", r"nothing fills \{pfail\}; known are \{action\}, \{p_fail\}, \{why\}.*did you mean \{p_fail\}\?"),
        ("so {Action}", r"nothing fills \{Action\}.*did you mean \{action\}\?"),
        ("{ why }", r"nothing fills \{ why \}.*did you mean \{why\}\?"),
        ("{p_fail:.2f}", r"nothing fills \{p_fail:.2f\}.*did you mean \{p_fail\}\?"),
        ("{p_fail!r}", "nothing fills"),
        ("{}", r"nothing fills \{\}; known are"),
        ("{zebra}", r"nothing fills \{zebra\}.*\.$"),
        ("{action", r"'\{' without its other half"),
        ("action}", r"'\}' without its other half"),
        ("{{action}", r"'\}' without its other half"),
        ("{\x1b[31m}", "nothing fills {\ufffd"),
        (3, "must be a text, got 3|message that is not empty, got 3"),
    ],
)
def test_a_typo_in_a_message_is_refused_when_the_intervention_is_made(make, message, says):
    with pytest.raises(InvalidInput, match=says) as caught:
        make(message=message)
    assert make.__name__ in str(caught.value)
    assert str(caught.value).isprintable()


def test_only_what_goes_back_undoes_steps():
    assert [undoes_steps(i) for i in (Rollback(), Rollback(depth=2), Restart(), Append(), Placebo(), Stop())] == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]


def test_only_a_placebo_is_a_control():
    made = (Rollback(), Restart(), Append(), Placebo(), Stop())
    assert [is_control(i) for i in made] == [False, False, False, True, False]


def test_a_method_is_not_taken_for_a_property():
    class Careless(Adviser):
        def is_control(self):
            return False

    with pytest.raises(InvalidInput, match=r"Careless\.is_control must be a property that is True or False"):
        is_control(Careless())


@pytest.mark.parametrize("depth", [0, -1, 1.5, True])
def test_a_depth_below_one_is_refused(depth):
    with pytest.raises(InvalidInput, match="depth"):
        Rollback(depth=depth)


@pytest.mark.parametrize("message", ["", None])
def test_nothing_cannot_be_appended(message):
    with pytest.raises(InvalidInput, match="message"):
        Append(message=message)
