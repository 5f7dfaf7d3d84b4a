"""One policy at work in one episode, without runner, memo or journal."""

import asyncio
from dataclasses import dataclass, fields, replace

import pytest

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Continue, Halt, Replace, Retry
from forbear.interventions import Append, Placebo, Restart, Rollback, Stop
from forbear.policy.judge import CONTINUE, Judge, Review, Ruling, ask, undoes_for_good
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import PROCEED, REFUSED, Action, Step, Task, Trajectory, Usage
from forbear.testing import ScriptedCritic, WordCritic

OPEN = Action("open")
FEEDBACK = Usage(calls=1, output_tokens=9, cost=0.01)


def trajectory(executed=0, *, irreversible=()):
    steps = [
        Step(index=i, observation=f"door {i}", executed=OPEN, irreversible=i in irreversible) for i in range(executed)
    ]
    return Trajectory(task=Task(id="t"), steps=(*steps, Step(index=executed, observation="here")))


def draw(role):
    return Draw(task_id="t", seed=1, role=role)


class Critic:
    """Answers with whatever it was given, or what that returns."""

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    async def score(self, trajectory, proposed, *, draw):
        self.asked.append((trajectory, proposed, draw))
        return await self.answer() if callable(self.answer) else self.answer

    def config(self):
        return {"name": "critic"}


@dataclass(frozen=True)
class Gives:
    """An intervention that gives one effect, and keeps what it was told."""

    effect: object
    told: list

    name = "gives"

    def apply(self, trajectory, proposed, *, score, draw):
        self.told.append((trajectory, proposed, score, draw))
        return self.effect() if callable(self.effect) else self.effect

    def config(self):
        return {"kind": "gives"}


def gives(effect):
    return Gives(effect, [])


async def hang():
    await asyncio.sleep(10)


async def crash():
    raise RuntimeError("CUDA out of\x1b[31m memory\n")


def policy(critic, intervention=None, **options):
    return InterventionPolicy(critic=critic, intervention=intervention or Stop(), **options)


def check(judge, seen=None, proposed=OPEN):
    return asyncio.run(
        judge.check(seen or trajectory(), proposed, review_draw=draw("critic"), draw=draw("intervention"))
    )


def rulings(made, count=3, *, proposed=OPEN):
    """What becomes of one proposal at each of the first steps."""
    judge = Judge(made)
    return [check(judge, trajectory(index), proposed).decision for index in range(count)]


# Asking ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (0.25, Review(Score(0.25))),
        (None, Review(Score(None))),
        (Score(0.25, "a hunch", FEEDBACK), Review(Score(0.25, "a hunch", FEEDBACK))),
        (Score(None, "too early to say"), Review(Score(None, "too early to say"))),
        (crash, Review(Score(None, "RuntimeError: CUDA out of [31m memory"), "error")),
        (hang, Review(Score(None, "no answer within 0.01 s"), "timeout")),
        (2.0, Review(Score(None, "a wrong answer: a score is a number in [0, 1] or None, got 2.0."), "invalid")),
        ("high", Review(Score(None, "a wrong answer: a score is a number in [0, 1] or None, got 'high'."), "invalid")),
    ],
)
def test_whatever_a_critic_does_there_is_an_answer(answer, expected):
    critic, deadline_s = Critic(answer), 0.01 if answer is hang else 5.0  # a busy machine may take 10 ms for the others
    assert asyncio.run(ask(critic, trajectory(2), OPEN, draw=draw("critic"), deadline_s=deadline_s)) == expected
    assert critic.asked == [(trajectory(2), OPEN, draw("critic"))]


def test_a_critic_that_blocks_is_asked_in_a_thread():
    class Synchronous(Critic):
        def score(self, trajectory, proposed, *, draw):
            return 0.9

    review = asyncio.run(ask(Synchronous(0), trajectory(), OPEN, draw=draw("critic"), deadline_s=1))
    assert (review.fault, review.score.p_fail) == (None, 0.9)


def test_being_cancelled_is_no_answer():
    async def cancelled():
        task = asyncio.ensure_future(ask(Critic(hang), trajectory(), OPEN, draw=draw("critic"), deadline_s=60))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())


# The whole way --------------------------------------------------------------------------------------------------------


def test_the_critic_is_asked_the_policy_decides_and_the_intervention_says_what():
    intervention = gives(Halt())
    judge = Judge(policy(Critic(Score(0.9, "a wall")), intervention))
    ruling = check(judge, trajectory(1))
    assert (ruling.effect, ruling.decision) == (Halt(), "gives")
    assert intervention.told == [(trajectory(1), OPEN, Score(0.9, "a wall"), draw("intervention"))]
    assert (judge.state.used, judge.state.last_step) == (1, 1)


@pytest.mark.parametrize("answer", [0.6, 0.0, None, Score(None, "I abstain")])
def test_below_the_threshold_and_where_the_critic_abstains_the_agent_goes_on(answer):
    intervention = gives(Halt())
    for fail_open in (True, False):
        ruling = check(Judge(policy(Critic(answer), intervention, fail_open=fail_open)))
        assert (ruling.effect, ruling.decision) == (CONTINUE, PROCEED)
    assert intervention.told == []


@pytest.mark.parametrize("answer", [crash, hang, 2.0])
def test_a_critic_at_fault_lets_the_agent_go_on_or_counts_as_certain_failure(answer):
    intervention = gives(Halt())
    made = policy(Critic(answer), intervention, critic_deadline_s=0.01)
    assert check(Judge(made)).decision == PROCEED
    assert check(Judge(replace(made, fail_open=False))).decision == "gives"
    ((_, _, score, _),) = intervention.told
    assert score.p_fail == 1.0
    assert score.why  # what was wrong
    # It is the policy's own p_fail: whatever else holds the policy back still does.
    assert check(Judge(replace(made, fail_open=False, threshold=1.0))).decision == PROCEED
    assert check(Judge(replace(made, fail_open=False, min_step=1))).decision == PROCEED
    # Fail closed is fail closed, whatever the band.
    assert check(Judge(replace(made, fail_open=False, up_to=0.8))).decision == "gives"


@pytest.mark.parametrize(
    ("advantage", "decision"),
    [(-0.2, PROCEED), (0.1, PROCEED), (0.1001, "gives"), (0.3, "gives"), (0.3001, PROCEED), (1.0, PROCEED)],
)
def test_a_band_holds_for_critics_of_advantages_too(advantage, decision):
    intervention = gives(Halt())
    made = policy(Critic(Score(None, advantage=advantage)), intervention, threshold=0.1, up_to=0.3)
    assert check(Judge(made)).decision == decision
    assert [told[2].advantage for told in intervention.told] == [advantage] * (decision == "gives")


def test_a_critic_of_advantages_that_fails_closed_is_within_the_band():
    made = policy(Critic(crash), gives(Halt()), threshold=0.1, up_to=0.3, fail_open=False)
    assert check(Judge(made)).decision == "gives"


def test_a_budget_is_one_episodes_and_remembered():
    made = policy(Critic(0.9), Placebo(), budget=2)
    assert rulings(made, 4) == ["placebo", "placebo", PROCEED, PROCEED]
    assert rulings(made, 4) == ["placebo", "placebo", PROCEED, PROCEED]  # another episode, another judge


@pytest.mark.parametrize("effect", [Continue(message="so"), Replace(Action("jump")), Retry(exclude=True), Halt()])
def test_every_effect_is_handed_on(effect):
    assert check(Judge(policy(Critic(0.9), gives(effect)))).effect == effect


def test_an_intervention_may_take_its_time_and_say_what_it_took():
    async def later():
        await asyncio.sleep(0)
        return Continue(message="Look at the map.", usage=FEEDBACK)

    ruling = check(Judge(policy(Critic(0.9), gives(later))))
    assert ruling.effect == Continue(message="Look at the map.", usage=FEEDBACK)
    assert ruling.decision == "gives"


def test_a_late_intervention_is_refused_and_spends_the_budget():
    made = policy(Critic(0.9), gives(hang), critic_deadline_s=0.01, budget=1)
    judge = Judge(made)
    ruling = check(judge)
    assert (ruling.effect, ruling.decision) == (CONTINUE, REFUSED)
    assert check(judge).decision == PROCEED


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (crash, "error: RuntimeError: CUDA out of [31m memory"),
        (hang, "timeout: no answer within 0.01 s"),
        ("halt", "invalid: a wrong answer: an intervention must return Continue, Retry, Replace or Halt, got str."),
    ],
)
def test_an_intervention_that_breaks_is_refused_with_the_reason_and_the_agent_goes_on(answer, refusal):
    ruling = check(Judge(policy(Critic(0.9), gives(answer), critic_deadline_s=0.01)))
    assert ruling == Ruling(CONTINUE, REFUSED, refusal=refusal)


@pytest.mark.parametrize(
    ("executed", "irreversible", "undo", "refused"),
    [
        (3, (), 3, False),
        (3, (2,), 0, False),
        (3, (2,), 1, True),
        (3, (1,), 1, False),
        (3, (1,), 2, True),
        (3, (0,), 2, False),
        (3, (0,), 3, True),
        (3, (0,), 99, True),
        (3, (), 99, False),
        (0, (), 5, False),
    ],
)
def test_nothing_irreversible_is_undone(executed, irreversible, undo, refused):
    seen = trajectory(executed, irreversible=irreversible)
    assert undoes_for_good(seen, undo) is (refused and undo > 0)
    ruling = check(Judge(policy(Critic(0.9), gives(Retry(undo=undo)))), seen)
    assert ruling.decision == (REFUSED if refused else "gives")
    assert ruling.effect == (CONTINUE if refused else Retry(undo=undo))


# What is deployed is what was piloted ---------------------------------------------------------------------------------

CHANGES = {
    "critic": WordCritic({"open": 0.1}),
    "intervention": Append(),
    "threshold": 0.95,
    "up_to": 0.8,
    "min_step": 1,
    "budget": 1,
    "cooldown": 2,
    "critic_deadline_s": 0.02,
    "fail_open": False,
}


def slow_then_broken():
    """A critic that takes 0.1 s at the second step and breaks at the third."""

    class Slow(WordCritic):
        async def score(self, trajectory, proposed, *, draw):
            index = len(trajectory.steps) - 1
            if index == 1:
                await asyncio.sleep(0.1)
            if index == 2:
                raise RuntimeError("gone")
            return await super().score(trajectory, proposed, draw=draw)

    return Slow({"open": 0.9})


@pytest.mark.parametrize("name", [one.name for one in fields(InterventionPolicy) if one.init])
def test_every_field_changes_behaviour_and_the_digest(name):
    base = policy(slow_then_broken(), Placebo(), critic_deadline_s=20)
    changed = replace(base, **{name: CHANGES[name]})
    assert rulings(base) == ["placebo", "placebo", PROCEED]
    assert rulings(changed) != rulings(base)
    assert changed.digest() != base.digest()


def test_two_policies_of_one_digest_behave_alike():
    made = [
        policy(ScriptedCritic([0.9, None, 0.7, 0.9]), Rollback(depth=2, message=message), threshold=threshold)
        for message in (None, "")
        for threshold in (0, 0.0)
    ]
    assert len({one.digest() for one in made}) == 1
    assert len({one.critic_name for one in made}) == 1
    seen = [[check(Judge(one), trajectory(index)) for index in range(4)] for one in made]
    assert all(one == seen[0] for one in seen)


def test_restart_undoes_everything_that_may_be_undone():
    made = policy(Critic(0.9), Restart())
    assert check(Judge(made), trajectory(3)).effect == Retry(undo=3)
    assert check(Judge(made), trajectory(0)).effect == Retry()
    assert check(Judge(made), trajectory(3, irreversible=(0,))).decision == REFUSED
