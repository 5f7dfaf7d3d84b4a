"""Agents and worlds that do not repeat themselves are found out; an agent's own memory is put back."""

import pytest
from msgspec.structs import replace

from forbear.errors import NotReproducible
from forbear.interventions import Append, Rollback
from forbear.policy.arm import Arm
from forbear.records.model import PROCEED, Action
from forbear.runner.episode import ForkCheck
from forbear.testing import Corridor, WordCritic
from runner.pilots import POLICY, with_
from runner.test_episode import TryingAgent, actions, episodes, executed, treated


class Whimsical(Corridor):
    """Says that it can be replayed, and counts its lives."""

    lives = 0

    async def reset(self, task, *, draw):
        type(self).lives += 1
        return replace(await super().reset(task, draw=draw), text=f"life {self.lives}")


def test_a_world_that_cannot_be_replayed_is_found_out():
    with pytest.raises(NotReproducible, match=r"not deterministic: replayed, it shows 'life 2' after reset"):
        treated(Rollback(), lambda: TryingAgent([["open"], ["jump", "open"]]), environment=Whimsical)


class Counter(TryingAgent):
    """Remembers in a global how often any of its kind was asked."""

    asked = 0

    async def act(self, trajectory, *, draw, excluded=()):
        type(self).asked += 1
        return Action("jump" if self.asked == 2 else "open")


def test_an_agent_that_does_not_repeat_itself_is_refused_at_the_first_fork():
    Counter.asked = 0
    check = ForkCheck()
    with pytest.raises(NotReproducible, match=r"proposed 'open', where 'jump' had been proposed.*implement Restorable"):
        treated(Rollback(), lambda: Counter([[]]), check=check)


def test_the_check_is_made_a_few_times_and_charged_to_nobody():
    seen = []
    check = ForkCheck()
    arms = [Arm.baseline(), Arm("rollback", POLICY), Arm("append", with_(Append()))]
    found = episodes(arms, lambda: TryingAgent([["open"], ["jump", "wait"], ["open"]], seen), check=check)
    made = ForkCheck().left - check.left
    assert made > 0
    assert len(seen) == sum(e.usage.agent.paid.calls for e in found.values()) + made


class Remembering:
    """Opens doors until it has counted to three by itself, whatever it is shown."""

    def __init__(self):
        self.count = 0

    async def act(self, trajectory, *, draw, excluded=()):
        self.count += 1
        return Action({1: "open", 2: "wait" if draw.attempt else "jump"}.get(self.count, "open"))

    def snapshot(self):
        return self.count

    def restore(self, snapshot):
        self.count = snapshot

    def config(self):
        return {"name": "remembering"}


def test_an_agent_with_a_memory_is_put_back_to_before_what_was_dropped():
    baseline, rollback = treated(Rollback(), Remembering, check=ForkCheck())
    assert executed(baseline) == ["open", "jump"]
    # Its count at the retry is 2 again: with a memory of the dropped proposal it would have opened.
    assert executed(rollback) == ["open", "wait", "open", "open"]
    assert rollback.usage.agent.paid.calls == 3


class Forgetful(Corridor):
    """In its second life one thing is not what it was."""

    lives = 0

    def __init__(self, **other):
        super().__init__(doors=3)
        self.other = other

    async def reset(self, task, *, draw):
        type(self).lives += 1
        return await super().reset(task, draw=draw)

    async def step(self, action, *, draw):
        seen = replace(await super().step(action, draw=draw), payload=[1], irreversible=True)
        return seen if self.lives == 1 else replace(seen, **self.other)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"text": "a wall"}, r"shows 'a wall' after step 0, where it had shown 'You stand at door 2 of 3\.'"),
        ({"payload": [2]}, r"shows another payload after step 0"),
        ({"irreversible": False}, r"shows another irreversible after step 0"),
        ({"legal_actions": ("open",), "payload": None}, r"shows another payload and legal_actions after step 0"),
        ({"done": True, "success": True}, r"shows another done and success after step 0"),
    ],
)
def test_everything_that_a_replayed_world_shows_is_compared(other, said):
    Forgetful.lives = 0
    agent = lambda: TryingAgent([["open"], ["jump", "open"], ["open"]])  # noqa: E731
    with pytest.raises(NotReproducible, match=said):
        treated(Rollback(), agent, environment=lambda: Forgetful(**other))


def test_a_world_that_repeats_itself_may_say_what_cannot_be_undone():
    Forgetful.lives = 0
    agent = lambda: TryingAgent([["open"], ["jump", "open"], ["open"]])  # noqa: E731
    _, rollback = treated(Rollback(), agent, environment=Forgetful)
    assert [step.irreversible for step in rollback.steps] == [True, True, True]


class Obliging(TryingAgent):
    """Proposes the first of its list that is not excluded: a function of what it is told, and of that alone."""

    async def act(self, trajectory, *, draw, excluded=()):
        self.seen.append(tuple(excluded))
        (options,) = self.by_step
        return next(action for action in map(Action, options) if action not in excluded)


def test_the_check_at_a_fork_tells_the_agent_what_was_excluded():
    """The second arm leaves the shared path at a proposal that the first one paid for, made with one excluded."""
    rollback = Rollback(exclude=True)
    arms = [
        Arm.baseline(),
        Arm("first", with_(rollback)),
        Arm("second", with_(rollback, critic=WordCritic({"jump": 0.9, "wait": 0.9}))),
    ]
    seen, check = [], ForkCheck()
    found = episodes(arms, lambda: Obliging([["jump", "wait", "open"]], seen), check=check, max_steps=2)
    assert actions(found["first"])[0] == [("jump", "rollback"), ("wait", PROCEED)]
    assert actions(found["second"])[0] == [("jump", "rollback"), ("wait", "rollback"), ("open", PROCEED)]
    jump, wait = Action("jump"), Action("wait")
    assert seen.count((jump,)) > sum(p.excluded == (jump,) for step in found["first"].steps for p in step.proposals), (
        "no check was made of a proposal with something excluded"
    )
    assert (jump, wait) in seen
    assert check.left < ForkCheck().left
