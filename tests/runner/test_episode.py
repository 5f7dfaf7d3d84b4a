"""One episode at a time: what interventions do, what is shared, what is metered, and what breaks."""

import asyncio
import math
import threading

import numpy as np
import pytest
from msgspec.structs import replace

from forbear.contracts.draw import Draw
from forbear.contracts.environment import Observation
from forbear.errors import AgentError, ProviderError
from forbear.interventions import Append, Placebo, Rollback, Stop
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy, critic_name
from forbear.records.model import FAILED, PROCEED, REFUSED, Action, EpisodeUsage, RoleUsage, Termination, Usage
from forbear.runner.episode import run_episode
from forbear.runner.memo import Memo, share
from forbear.runner.plan import freeze
from forbear.testing import Corridor, RestorableCorridor, ScriptedAgent, ScriptedCritic, WordCritic
from runner.pilots import POLICY, corridor, plan, with_

JUMPS = WordCritic({"jump": 0.9}, otherwise=0.1)


class TryingAgent:
    """Proposes its list's entry for the attempt, and keeps what it was shown."""

    def __init__(self, by_step, seen=None):
        self.by_step = by_step
        self.seen = [] if seen is None else seen

    async def act(self, trajectory, *, draw, excluded=()):
        self.seen.append((trajectory, draw, tuple(excluded)))
        options = self.by_step[min(draw.step_index, len(self.by_step) - 1)]
        return Action(options[min(draw.attempt, len(options) - 1)])

    def config(self):
        return {"name": "trying", "by_step": self.by_step}


def episodes(arms, agent, *, environment=lambda: Corridor(doors=3), max_steps=6, memo=None, check=None, **options):
    """Runs the arms in order over one memo; returns the frozen plan's arms by name."""
    frozen = freeze(plan(arms, n=1, agent=agent, environment=environment, max_steps=max_steps, **options))
    memo = memo or Memo()
    found = {}
    for arm in frozen.arms:
        cell = frozen.cell(frozen.plan.tasks[0], 42, arm)
        found[arm.name] = asyncio.run(run_episode(cell, arm.policy, memo, check=check))
    return found


def treated(intervention, agent, *, critic=JUMPS, **options):
    policy_options = {
        key: options.pop(key)
        for key in ("budget", "min_step", "cooldown", "threshold", "critic_deadline_s", "fail_open")
        if key in options
    }
    policy = InterventionPolicy(critic=critic, intervention=intervention, **policy_options)
    found = episodes([Arm.baseline(), Arm("treated", policy)], agent, **options)
    return found["baseline"], found["treated"]


def timeless(episode):
    """Without what depends on the clock."""

    def calm(role):
        return RoleUsage(paid=replace(role.paid, seconds=None), reused=replace(role.reused, seconds=None))

    roles = {name: calm(getattr(episode.usage, name)) for name in ("agent", "critic", "feedback")}
    return replace(episode, usage=EpisodeUsage(**roles))


def actions(episode):
    return [[(p.action.text, p.decision) for p in step.proposals] for step in episode.steps]


def executed(episode):
    return [step.executed and step.executed.text for step in episode.steps]


def test_the_baseline_runs_to_the_worlds_end_with_every_critic_watching():
    seen = []
    baseline, _ = treated(Rollback(), lambda: TryingAgent([["open"], ["jump"]], seen))
    assert executed(baseline) == ["open", "jump"]
    assert (baseline.termination, baseline.success) == (Termination.FINISHED, False)
    assert baseline.final_observation == "You are outside."
    assert [step.observation for step in baseline.steps] == ["You stand at door 1 of 3.", "You stand at door 2 of 3."]
    assert [dict(p.p_fail) for s in baseline.steps for p in s.proposals] == [
        {critic_name(JUMPS): 0.1},
        {critic_name(JUMPS): 0.9},
    ]
    assert baseline.interventions == 0
    usage = baseline.usage
    assert (usage.agent.calls, usage.agent.paid.calls, usage.critic.calls, usage.critic.paid.calls) == (2, 2, 2, 2)
    # What the agent was shown: steps without scores, the last one open, with what may be done.
    trajectory, draw, excluded = seen[1]
    assert trajectory.steps[0].executed == Action("open")
    assert trajectory.steps[0].proposals == ()
    assert trajectory.steps[0].legal_actions is None
    assert trajectory.steps[1].executed is None
    assert trajectory.steps[1].legal_actions == ("open", "wait", "back", "jump")
    assert draw == Draw(task_id="t00", seed=42, role="agent", step_index=1, attempt=0)
    assert excluded == ()


def test_a_rollback_drops_the_proposal_and_touches_nothing_else():
    seen = []
    agent = lambda: TryingAgent([["open"], ["jump", "wait"], ["open"]], seen)  # noqa: E731
    baseline, rollback = treated(Rollback(), agent)
    assert actions(rollback)[1] == [("jump", "rollback"), ("wait", PROCEED)]
    assert executed(rollback) == ["open", "wait", "open", "open"]
    assert rollback.success
    assert rollback.steps[1].messages == ()
    assert rollback.interventions == 1
    assert rollback.first_intervention == 1
    assert (rollback.usage.agent.calls, rollback.usage.agent.paid.calls) == (5, 3)
    assert (rollback.usage.critic.calls, rollback.usage.critic.paid.calls) == (5, 3)
    # The retry was drawn as attempt 1, saw no trace of the dropped proposal, and shares the baseline's first step.
    trajectory, draw, _ = seen[2]
    assert draw.attempt == 1
    assert trajectory.steps[-1].proposals == ()
    assert trajectory.steps[-1].messages == ()
    shared = share(rollback, [baseline])
    assert shared.origin.step == 1
    assert shared.steps[0] is baseline.steps[0]


def test_a_rollback_may_say_why_and_exclude():
    seen = []
    agent = lambda: TryingAgent([["jump", "jump", "open"], ["open"]], seen)  # noqa: E731
    _, rollback = treated(Rollback(message="Not {action}.", exclude=True), agent)
    assert actions(rollback)[0] == [("jump", "rollback"), ("jump", "rollback"), ("open", PROCEED)]
    assert rollback.steps[0].messages == ("Not jump.", "Not jump.")
    assert [p.shown for p in rollback.steps[0].proposals] == [0, 1, 2]
    assert [p.excluded for p in rollback.steps[0].proposals] == [(), (Action("jump"),), (Action("jump"),)]
    assert rollback.rollback_noops == 1
    # Messages stay in the step's record for later steps to see.
    assert seen[-1][0].steps[0].messages == ("Not jump.", "Not jump.")


def test_the_budget_of_interventions_is_a_limit_and_noops_are_counted():
    _, rollback = treated(Rollback(), lambda: ScriptedAgent(["jump"]), budget=2)
    assert actions(rollback) == [[("jump", "rollback"), ("jump", "rollback"), ("jump", PROCEED)]]
    assert rollback.rollback_noops == 2
    assert rollback.success is False


@pytest.mark.parametrize(("costs_step", "steps"), [(False, 4), (True, 2)])
def test_a_rollback_costs_steps_only_if_it_says_so(costs_step, steps):
    agent = lambda: TryingAgent([["jump", "wait"]])  # noqa: E731
    _, rollback = treated(Rollback(costs_step=costs_step), agent, max_steps=4, budget=9)
    assert len([text for text in executed(rollback) if text]) == steps
    assert rollback.termination is Termination.STEP_LIMIT
    assert rollback.success is False


def test_a_charge_may_spend_the_last_step():
    _, rollback = treated(Rollback(costs_step=True), lambda: TryingAgent([["open"], ["jump"]]), max_steps=2)
    assert executed(rollback) == ["open", None]
    assert rollback.termination is Termination.STEP_LIMIT
    assert rollback.final_observation is None


def test_an_appended_message_comes_with_the_next_observation():
    seen = []
    critic = WordCritic({"wait": 0.9})
    agent = lambda: TryingAgent([["open"], ["wait"], ["open"]], seen)  # noqa: E731
    baseline, append = treated(Append(message="{action}?"), agent, critic=critic)
    assert executed(append) == executed(baseline) == ["open", "wait", "open", "open"]
    assert [step.messages for step in append.steps] == [(), (), ("wait?",), ()]
    assert seen[4][0].steps[-1].messages == ("wait?",)
    # Step 1 was shared but for the decision, so the draw at step 2 is the baseline's: (step, attempt), not transcript.
    assert seen[4][1] == seen[2][1]
    assert append.usage.agent.paid.calls == 2


def test_a_placebo_is_a_silent_fresh_draw():
    _, placebo = treated(Placebo(), lambda: TryingAgent([["jump", "open"], ["open"]]))
    assert actions(placebo)[0] == [("jump", "placebo"), ("open", PROCEED)]
    assert placebo.steps[0].messages == ()


def test_stop_ends_the_episode_as_a_failure():
    _, stopped = treated(Stop(), lambda: TryingAgent([["open"], ["jump"]]))
    assert (stopped.termination, stopped.success) == (Termination.STOPPED, False)
    assert executed(stopped) == ["open", None]


@pytest.mark.parametrize("environment", [lambda: Corridor(doors=3), lambda: RestorableCorridor(doors=3)])
def test_a_deep_rollback_undoes_executed_steps(environment):
    seen = []
    agent = lambda: TryingAgent([["open"], ["wait", "open"], ["jump", "open"]], seen)  # noqa: E731
    _, deep = treated(Rollback(depth=2, message="Back.", exclude=True), agent, environment=environment)
    assert [step.index for step in deep.steps] == [0, 1, 2, 1, 2]
    assert executed(deep) == ["open", "wait", None, "open", "open"]
    assert deep.success
    assert deep.steps[3].messages == ("Back.",)
    assert deep.steps[3].observation == deep.steps[1].observation
    assert deep.steps[3].proposals[0].excluded == (Action("wait"),)
    assert deep.steps[3].proposals[0].attempt == 1
    # Index 2 is reached for the second time: its next draw is a fresh one too.
    assert deep.steps[4].proposals[0].attempt == 1
    assert [step.executed.text for step in deep.trajectory.steps] == ["open", "open", "open"]
    assert deep.rollback_noops == 0


def test_undone_steps_stay_spent_and_depth_ends_at_the_start():
    agent = lambda: TryingAgent([["open"], ["jump", "wait"], ["wait"]])  # noqa: E731
    _, deep = treated(Rollback(depth=9), agent, max_steps=3)
    assert [step.index for step in deep.steps] == [0, 1, 0, 1]
    assert executed(deep) == ["open", None, "open", "wait"]
    assert deep.termination is Termination.STEP_LIMIT


class OneWay(RestorableCorridor):
    """Doors fall shut behind you."""

    async def step(self, action, *, draw):
        return replace(await super().step(action, draw=draw), irreversible=action.text == "open")


def test_no_rollback_crosses_an_irreversible_action():
    agent = lambda: TryingAgent([["open"], ["wait"], ["jump", "wait"], ["open"]])  # noqa: E731
    _, across = treated(Rollback(depth=3), agent, environment=OneWay)
    assert actions(across)[2] == [("jump", REFUSED)]
    assert across.interventions == 0
    assert across.steps[0].irreversible
    _, within = treated(Rollback(depth=2), agent, environment=OneWay)
    assert actions(within)[2] == [("jump", "rollback")]


def test_equal_policies_share_all_and_pay_once():
    arms = [Arm.baseline(), Arm("one", POLICY), Arm("two", POLICY), Arm("never", with_(Rollback(), min_step=99))]
    found = episodes(arms, lambda: TryingAgent([["open"], ["jump", "wait"], ["open"]]))
    assert found["one"].steps == found["two"].steps
    assert found["two"].usage.agent.paid.calls == found["two"].usage.critic.paid.calls == 0
    assert share(found["two"], [found["baseline"], found["one"]]).origin.arm == "one"
    assert share(found["never"], [found["baseline"]]).origin.step is None
    assert found["never"].usage.agent.calls == found["baseline"].usage.agent.calls


def test_a_memo_filled_from_records_is_the_memo_that_made_them():
    arms = [
        Arm.baseline(),
        Arm("deep", with_(Rollback(depth=2, message="no", exclude=True))),
        Arm("append", with_(Append())),
    ]
    agent = lambda: TryingAgent([["open"], ["wait", "open"], ["jump", "open"]])  # noqa: E731
    found = episodes(arms, agent)
    memo = Memo()
    for episode in found.values():
        memo.fill(episode)

    class Silent(TryingAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            pytest.fail("asked for what is known")

    again = episodes(arms, lambda: Silent([["open"], ["wait", "open"], ["jump", "open"]]), memo=memo)
    for name, episode in found.items():
        assert timeless(again[name]) == timeless(episode)


# What breaks ----------------------------------------------------------------------------------------------------------


class Raising(TryingAgent):
    def __init__(self, error, *, at=1):
        super().__init__([["open"]])
        self.error, self.at = error, at

    async def act(self, trajectory, *, draw, excluded=()):
        if draw.step_index == self.at:
            raise self.error
        return await super().act(trajectory, draw=draw, excluded=excluded)


def test_an_agent_that_breaks_has_failed():
    seen = []

    class Counting(Raising):
        async def act(self, trajectory, *, draw, excluded=()):
            seen.append(draw)
            return await super().act(trajectory, draw=draw, excluded=excluded)

    baseline, treated_ = treated(Rollback(), lambda: Counting(AgentError("lost my \x1b[31mplan\n")))
    for episode in (baseline, treated_):
        assert (episode.termination, episode.success) == (Termination.AGENT_ERROR, False)
        assert episode.cause == "AgentError: lost my  [31mplan"
        assert actions(episode) == [[("open", PROCEED)], [("", FAILED)]]
    assert len(seen) == 2  # the treated arm shares the failure too
    assert share(treated_, [baseline]).origin.step is None


def test_an_outage_is_no_outcome_and_what_was_paid_stays_paid():
    down = [True]

    class Flaky(Raising):
        async def act(self, trajectory, *, draw, excluded=()):
            if down[0] and draw.step_index == 2:
                raise ProviderError("503")
            return await TryingAgent.act(self, trajectory, draw=draw)

    memo = Memo()
    arms = [Arm.baseline()]
    broken = episodes(arms, lambda: Flaky(None), memo=memo)["baseline"]
    assert (broken.termination, broken.success) == (Termination.PROVIDER_ERROR, None)
    assert broken.cause == "ProviderError: 503"
    assert executed(broken) == ["open", "open"]
    down[0] = False
    calls = []

    class Counting(TryingAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            calls.append(draw.step_index)
            return await super().act(trajectory, draw=draw)

    whole = episodes(arms, lambda: Counting([["open"]]), memo=memo)["baseline"]
    assert whole.success
    assert calls == [2]
    assert whole.usage.agent.paid.calls == 3  # the arm's own, whenever they were paid


@pytest.mark.parametrize("method", ["reset", "step"])
def test_a_world_that_breaks_is_no_outcome(method):
    class Broken(Corridor):
        pass

    async def broken(self, *_, draw):
        raise ProviderError("no such container")

    setattr(Broken, method, broken)
    episode = episodes([Arm.baseline()], lambda: ScriptedAgent(["open"]), environment=Broken)["baseline"]
    assert (episode.termination, episode.success) == (Termination.ENVIRONMENT_ERROR, None)
    assert executed(episode) == ([] if method == "reset" else [None])


def test_a_part_that_hangs_has_a_deadline():
    class Hanging(Corridor):
        async def step(self, action, *, draw):
            await asyncio.sleep(60)

    class Thinking(ScriptedAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            await asyncio.Event().wait()

    baseline = [Arm.baseline()]
    hung = episodes(baseline, lambda: ScriptedAgent(["open"]), environment=Hanging, call_deadline_s=0.02)["baseline"]
    assert hung.termination is Termination.ENVIRONMENT_ERROR
    assert "within 0.02 s" in hung.cause
    thinking = episodes(baseline, lambda: Thinking(["open"]), call_deadline_s=0.02)["baseline"]
    assert (thinking.termination, thinking.success) == (Termination.AGENT_TIMEOUT, False)
    assert thinking.cause == "the agent gave no answer within 0.02 s"


def broken_critic(answer):
    class Broken:
        async def score(self, trajectory, proposed, *, draw):
            return await answer() if callable(answer) else answer

        def config(self):
            return {"name": "broken", "how": repr(answer)[:20]}

    return Broken()


async def crash():
    raise RuntimeError("CUDA out of memory")


async def hang():
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (math.nan, "invalid"),
        (2.0, "invalid"),
        (-0.1, "invalid"),
        (math.inf, "invalid"),
        ("0.9", "invalid"),
        (True, "invalid"),
        (crash, "error"),
        (hang, "timeout"),
        (None, None),
    ],
)
def test_a_critic_that_cannot_answer_lets_the_agent_go_on_and_is_counted(answer, fault):
    critic = broken_critic(answer)
    name = critic_name(critic)
    baseline, rollback = treated(
        Rollback(), lambda: ScriptedAgent(["open"]), critic=critic, threshold=0.0, critic_deadline_s=0.01
    )
    assert baseline.success
    assert rollback.success
    for episode in (baseline, rollback):
        for step in episode.steps:
            assert step.proposals[0].p_fail == {name: None}
            assert step.proposals[0].faults == ({name: fault} if fault else {})
            if fault == "timeout":  # its own deadline, no other
                assert step.proposals[0].why == {name: "no answer within 0.01 s"}


def test_numpys_floats_are_probabilities_too():
    baseline, _ = treated(Rollback(), lambda: ScriptedAgent(["open"]), critic=broken_critic(np.float32(0.25)))
    (score,) = baseline.steps[0].proposals[0].p_fail.values()
    assert (type(score), score) == (float, 0.25)


def test_a_realised_score_is_never_drawn_again():
    class Changeable(ScriptedCritic):
        calls = 0

        async def score(self, trajectory, proposed, *, draw):
            type(self).calls += 1
            return 0.9 if self.calls > 4 else 0.1

    baseline, rollback = treated(Rollback(), lambda: ScriptedAgent(["wait"]), critic=Changeable([]), max_steps=4)
    assert rollback.steps == baseline.steps
    assert Changeable.calls == 4


class Speechless(Corridor):
    async def step(self, action, *, draw):
        return Observation(text="end", done=True)


@pytest.mark.parametrize(
    ("agent", "environment", "ends", "said"),
    [
        (lambda: ScriptedAgent(["open"]), Speechless, Termination.ENVIRONMENT_ERROR, "done with success=None"),
        (lambda: broken_agent("open"), corridor, Termination.AGENT_ERROR, "must return an Action, got str"),
    ],
)
def test_a_broken_contract_is_said_in_a_sentence(agent, environment, ends, said):
    episode = episodes([Arm.baseline()], agent, environment=environment)["baseline"]
    assert episode.termination is ends
    assert said in episode.cause


def broken_agent(answer):
    class Broken(ScriptedAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            return answer

    return Broken([])


def test_an_agent_and_a_world_that_block_run_in_threads():
    threads = set()

    class Blocking(ScriptedAgent):
        def act(self, trajectory, *, draw, excluded=()):
            threads.add(threading.current_thread())
            return Action("open")

    class BlockingWorld(Corridor):
        def step(self, action, *, draw):
            threads.add(threading.current_thread())
            return asyncio.run(super().step(action, draw=draw))

    episode = episodes([Arm.baseline()], lambda: Blocking([]), environment=lambda: BlockingWorld(doors=3))["baseline"]
    assert (episode.termination, episode.success, len(episode.steps)) == (Termination.FINISHED, True, 3)
    assert threading.main_thread() not in threads


def test_a_thread_that_hangs_is_left_behind_and_is_the_agents_failure():
    released = threading.Event()

    class Hanging(ScriptedAgent):
        def act(self, trajectory, *, draw, excluded=()):
            released.wait(30)
            return Action("open")

    def raising(error):
        class Raising(ScriptedAgent):
            def act(self, trajectory, *, draw, excluded=()):
                raise error

        return lambda: Raising([])

    late = episodes([Arm.baseline()], lambda: Hanging([]), call_deadline_s=0.05)["baseline"]
    released.set()
    assert (late.termination, late.success) == (Termination.AGENT_TIMEOUT, False)
    for error in (ValueError("no"), SystemExit(3), StopIteration(), KeyboardInterrupt()):
        broken = episodes([Arm.baseline()], raising(error))["baseline"]
        assert (broken.termination, broken.success) == (Termination.AGENT_ERROR, False)


def test_tokens_are_summed_where_they_are_known():
    class Frugal(ScriptedAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            return Action("open", usage=Usage(output_tokens=10))

    def tokens(agent):
        return episodes([Arm.baseline()], agent)["baseline"].usage.agent.all.tokens

    assert tokens(lambda: Frugal([])) == 30
    assert tokens(lambda: ScriptedAgent(["open"])) is None
