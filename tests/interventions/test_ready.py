import pytest

from forbear.adapters.pilot_file import read_pilot_file
from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Continue, Retry
from forbear.errors import InvalidInput
from forbear.interventions import Append, Nudge, Rollback, SilentRollback, ToldRollback
from forbear.interventions.ready import NUDGE, TOLD
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.testing import InterventionContract
from pilot_files import TEXT, write_pilot

OPEN = Trajectory(task=Task(id="t"), steps=(Step(index=0, observation="door 1"),))
JUMP = Action("jump")


class Contract(InterventionContract):
    def proposals(self):
        return [(OPEN, JUMP), (OPEN, Action("open"))]


class TestNudge(Contract):
    def make(self):
        return Nudge()

    def variants(self):
        return [Nudge(message="Hm."), Append(message=NUDGE)]


class TestSilentRollback(Contract):
    def make(self):
        return SilentRollback()

    def variants(self):
        return [SilentRollback(depth=2), SilentRollback(exclude=True), Rollback()]


class TestToldRollback(Contract):
    def make(self):
        return ToldRollback()

    def variants(self):
        return [ToldRollback(message="{why}"), ToldRollback(depth=2), Rollback(message=TOLD)]


@pytest.mark.parametrize(
    ("intervention", "effect"),
    [
        (Nudge(), Continue(message=NUDGE)),
        (SilentRollback(exclude=True), Retry(exclude=True)),
        (ToldRollback(), Retry(message=TOLD)),
        (ToldRollback(message="No: {why}"), Retry(message="No: it falls")),
    ],
)
def test_effects(intervention, effect):
    score = Score(0.9, "it falls")
    said = intervention.apply(OPEN, JUMP, score=score, draw=Draw(task_id="t", seed=1, role="i"))
    assert said == effect


def test_what_is_said_by_itself_names_no_reason():
    assert not any("{" in words for words in (NUDGE, TOLD))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SilentRollback(message="x"), "a silent rollback says nothing; take rollback-told"),
        (lambda: SilentRollback(depth=0), "depth must be a whole number"),
        (lambda: ToldRollback(message="{x}"), "nothing fills {x}"),
        (lambda: Nudge(message=""), "message that is not empty"),
    ],
)
def test_options_that_mean_nothing_are_refused(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()


def test_a_file_names_them_and_their_arms_are_called_so(tmp_path):
    arms = TEXT[TEXT.index("[[arm]]") : TEXT.index("[run]")]
    named = ("nudge", "rollback-silent", "rollback-told")
    text = TEXT.replace(arms, "".join(f'[[arm]]\nintervention = "{name}"\n' for name in named))
    plan = read_pilot_file(write_pilot(tmp_path, text=text)).plan
    assert [arm.name for arm in plan.arms[1:]] == [arm.policy.intervention.name for arm in plan.arms[1:]] == [*named]
    said = text.replace('intervention = "nudge"', 'intervention = "nudge"\nmessage = "Hm."')
    assert read_pilot_file(write_pilot(tmp_path, text=said)).plan.arms[1].policy.intervention == Nudge(message="Hm.")
