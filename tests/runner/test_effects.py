"""Corrections and new beginnings from end to end, what critics say, and who paid for what."""

import asyncio
import itertools

import pytest

from forbear.contracts.critic import Score
from forbear.contracts.environment import Observation
from forbear.contracts.intervention import Continue
from forbear.interventions import Append, Restart, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy, critic_name
from forbear.records.journal import Journal
from forbear.records.model import REFUSED, Action, Usage
from forbear.testing import CoinFlipAgent, Corridor, WordCritic
from runner.parts import Correct
from runner.pilots import WEIGHTS, WORD, arms_of, digest, plan, run, tasks, with_

SURE = WordCritic({"jump": 0.9, "back": 0.8, "wait": 0.7})


def arm(name, intervention, *, critic=SURE, **options):
    return Arm(name, InterventionPolicy(critic=critic, intervention=intervention, **options))


ARMS = [
    Arm.baseline(),
    arm("correct", Correct()),
    arm("told", Correct(action="wait", message="I waited instead.")),
    arm("restart", Restart(message="Again, without {action}.", exclude=True), min_step=1, budget=1),
    arm("costly", Restart(costs_step=True), min_step=2),
]


def from_every_line(made, tmp_path):
    """Resumes after every line of a journal; gives the result of the whole one."""
    whole = run(made, tmp_path / "whole", max_critic_faults=None)
    lines = (tmp_path / "whole/episodes.jsonl").read_bytes().splitlines(keepends=True)
    for k in range(len(lines)):
        directory = tmp_path / str(k)
        directory.mkdir()
        (directory / "plan.json").write_bytes((tmp_path / "whole/plan.json").read_bytes())
        (directory / "episodes.jsonl").write_bytes(b"".join(lines[:k]))
        again = run(made, directory, max_critic_faults=None)
        assert digest(directory) == digest(tmp_path / "whole")
        assert bills(again) == bills(whole)
    return whole


def bills(result):
    """What every arm took, by role, paid and re-used; without seconds."""
    return {
        (name, role, kind): (usage.calls, usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.cost)
        for name, found in result.arms.items()
        for role in ("agent", "critic", "feedback")
        for kind in ("paid", "reused")
        for usage in [getattr(getattr(found.usage, role), kind)]
    }


@pytest.mark.parametrize("design", ["coupled", pytest.param("independent", marks=pytest.mark.slow)])
def test_a_correction_runs_instead_and_stays_one_after_every_line(tmp_path, design):
    result = from_every_line(plan(ARMS, n=3, design=design), tmp_path)
    corrected = 0
    for task in tasks(3):
        for name, action in (("correct", "open"), ("told", "wait")):
            for step in arms_of(result, task.id)[name].steps:
                (proposal,) = step.proposals
                if proposal.decision != "correct":
                    assert step.executed == proposal.action
                    continue
                corrected += 1
                assert proposal.action.text != "open"
                assert step.executed == Action(action, payload={"instead_of": proposal.action.text})
    assert corrected > 3
    told = [step for task in tasks(3) for step in arms_of(result, task.id)["told"].steps]
    assert any(step.messages == ("I waited instead.",) for step in told)
    assert not any(found.rollback_noops for found in result.arms.values() if found.name in ("correct", "told"))


def test_a_corrected_agent_sees_the_correction_as_its_own(tmp_path):
    shown = []

    class Watching(CoinFlipAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            shown.append([step.executed and step.executed.text for step in trajectory.steps])
            return await super().act(trajectory, draw=draw)

    made = plan([Arm.baseline(), arm("correct", Correct(action="wait"))], n=1, agent=lambda: Watching({"jump": 1}))
    result = run(made, tmp_path / "j")
    corrected = arms_of(result, "t00")["correct"]
    assert [step.executed.text for step in corrected.steps] == ["wait", "wait", "wait", "jump"]  # a budget of three
    assert ["wait", "wait", "wait", None] in shown
    assert corrected.interventions == 3


@pytest.mark.parametrize("design", ["coupled", pytest.param("independent", marks=pytest.mark.slow)])
def test_a_new_beginning_undoes_everything_and_stays_one_after_every_line(tmp_path, design):
    result = from_every_line(plan(ARMS, n=5, design=design), tmp_path)
    begun = 0
    for task in tasks(5):
        steps = arms_of(result, task.id)["restart"].steps
        for before, after in itertools.pairwise(steps):
            if before.proposals[-1].decision == "restart":
                begun += 1
                dropped = before.proposals[-1].action
                assert (after.index, after.observation) == (0, steps[0].observation)
                assert after.messages == (f"Again, without {dropped.text}.",)
                assert after.proposals[0].excluded == (steps[0].executed,)
                assert after.proposals[0].attempt == 1
    assert begun >= 2


class OneWay(Corridor):
    """A door falls shut behind whoever opens it."""

    def __init__(self):
        super().__init__(doors=4)

    async def step(self, action, *, draw):
        seen = await super().step(action, draw=draw)
        return Observation(text=seen.text, done=seen.done, success=seen.success, irreversible=action.text == "open")


@pytest.mark.slow
def test_no_new_beginning_undoes_what_cannot_be_undone(tmp_path):
    made = plan([Arm.baseline(), arm("restart", Restart(), min_step=1)], n=6, environment=OneWay)
    result = from_every_line(made, tmp_path)
    decisions = [
        (any(step.irreversible for step in episode.steps[:number]), proposal.decision)
        for key, episode in result.episodes.items()
        if key[2] == "restart"
        for number, step in enumerate(episode.steps)
        for proposal in step.proposals
    ]
    assert (True, REFUSED) in decisions
    assert (True, "restart") not in decisions
    assert result.arm("restart").refusals > 0


# What critics say -----------------------------------------------------------------------------------------------------


class Talking(WordCritic):
    """Says why, and what it took; breaks where an agent waits."""

    async def score(self, trajectory, proposed, *, draw):
        p_fail = await super().score(trajectory, proposed, draw=draw)
        if proposed.text == "wait":
            raise RuntimeError("out of \x1b memory \ud800")
        why = f"{proposed.text}? \u2028 <b>no</b> \ud800" if p_fail else None
        return Score(p_fail, why, Usage(input_tokens=10 * len(trajectory.steps), cached_tokens=5, cost=0.5))

    def config(self):
        return {**super().config(), "name": "talking"}


@pytest.mark.slow
def test_what_a_critic_said_is_in_the_journal_and_heard_again(tmp_path):
    talking = Talking({"jump": 0.9})
    told = [arm(one.name, one, critic=talking) for one in (Append(message="{why}"), Rollback(message="{why}"))]
    from_every_line(plan([Arm.baseline(), *told], n=3), tmp_path)
    name = critic_name(talking)
    kept = [
        (proposal.action.text, proposal)
        for episode in Journal(tmp_path / "whole").read().episodes.values()
        for step in episode.steps
        for proposal in step.proposals
    ]
    for text, proposal in kept:
        assert proposal.why.get(name) == {
            "jump": "jump? \u2028 <b>no</b> \ufffd",
            "wait": "RuntimeError: out of   memory",
        }.get(text)
        assert proposal.faults.get(name) == ("error" if text == "wait" else None)
        assert (name in proposal.critic_usage) is (text != "wait")
    assert {"jump", "wait"} <= {text for text, _ in kept}
    messages = [
        step.messages
        for episode in Journal(tmp_path / "whole").read().episodes.values()
        if episode.arm == "rollback"
        for step in episode.steps
    ]
    assert ("jump? \u2028 <b>no</b> \ufffd",) in messages


# Who paid -------------------------------------------------------------------------------------------------------------


class Billed(CoinFlipAgent):
    """Says what every proposal took."""

    async def act(self, trajectory, *, draw, excluded=()):
        action = await super().act(trajectory, draw=draw, excluded=excluded)
        usage = Usage(calls=2, input_tokens=100 + draw.step_index, output_tokens=7, cost=0.25, seconds=3.0)
        return Action(action.text, usage=usage, rationale="because", logprobs=[-0.5])


class Advising:
    """A model writes the message."""

    name = "advise"

    async def apply(self, trajectory, proposed, *, score, draw):
        await asyncio.sleep(0)
        return Continue(message="Think again.", usage=Usage(input_tokens=40, output_tokens=8, cost=0.125))

    def config(self):
        return {"kind": self.name}


def billed():
    return Billed(WEIGHTS, warned={"open": 5, "wait": 1})


BILLED = [
    Arm.baseline(),
    arm("append", Append(), critic=Talking({"open": 0.9})),
    arm("advise", Advising(), critic=Talking({"open": 0.9})),
    arm("same", Append(), critic=Talking({"open": 0.9})),
    arm("word", Append(), critic=WORD),
]


@pytest.mark.slow
def test_every_token_and_every_call_is_paid_for_once(tmp_path):
    result = from_every_line(plan(BILLED, n=4, agent=billed), tmp_path)
    for found in result.arms.values():
        agent = found.usage.agent
        executed = [
            (step.index, proposal.action.usage)
            for (_, _, name), episode in result.episodes.items()
            if name == found.name
            for step in episode.steps
            for proposal in step.proposals
        ]
        # What it would have taken by itself is the sum over all that it proposed, whoever paid.
        assert agent.calls == agent.all.calls == 2 * len(executed)
        assert agent.all.input_tokens == sum(100 + index for index, _ in executed)
        assert agent.all.output_tokens == 7 * len(executed)
        assert agent.all.cost == 0.25 * len(executed)
        assert agent.paid.seconds == (3.0 * agent.paid.calls / 2 if agent.paid.calls else None)
        assert all(usage.calls == 2 for _, usage in executed)
    baseline, append, advise, same = (result.arm(name).usage for name in ("baseline", "append", "advise", "same"))
    assert baseline.agent.reused == Usage()
    assert append.agent.reused.calls > 0
    assert append.agent.paid.cost > 0
    assert (same.agent.paid.calls, same.critic.paid.calls) == (0, 0)
    assert same.agent.reused.cost == append.agent.all.cost
    # Two critics watch the baseline; only one of them says what it took.
    talked = [
        proposal.critic_usage[critic_name(Talking({"open": 0.9}))]
        for (_, _, name), episode in result.episodes.items()
        if name == "baseline"
        for step in episode.steps
        for proposal in step.proposals
        if proposal.action.text != "wait"
    ]
    assert baseline.critic.paid.input_tokens == sum(usage.input_tokens for usage in talked)
    assert baseline.critic.paid.cached_tokens == 5 * len(talked)
    assert baseline.critic.calls == baseline.agent.calls  # two critics a proposal, and two calls
    interventions = result.arm("advise").interventions
    assert interventions > 0
    assert (advise.feedback.paid.calls, advise.feedback.paid.cost) == (interventions, 0.125 * interventions)
    assert append.feedback.paid == append.feedback.reused == advise.feedback.reused == Usage()


def test_of_an_agent_that_reports_nothing_only_calls_and_seconds_are_known(tmp_path):
    result = run(plan([Arm.baseline(), Arm("append", with_(Append()))], n=3), tmp_path / "j")
    usage = result.arm("baseline").usage
    assert usage.agent.paid.seconds > 0
    for role in (usage.agent, usage.critic):
        assert (role.all.tokens, role.all.cost, role.all.cached_tokens) == (None, None, None)
    assert "tokens" not in (tmp_path / "j/episodes.jsonl").read_text()
