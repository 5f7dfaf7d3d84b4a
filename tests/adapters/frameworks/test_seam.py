"""What holds for every framework: a loop of a few lines stands for one."""

import asyncio

import pytest

from forbear.adapters.frameworks import AT_THE_MODEL, Capabilities, Sampled, Watch, run_hosted
from forbear.adapters.frameworks.proposals import action_of, seen_text
from forbear.errors import AgentError, InvalidInput, ModelUnusable, ProviderError
from forbear.interventions import Append, Nudge, Rollback, Stop
from forbear.models.prices import Price, Prices
from forbear.models.session import current_session
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import Task, Termination, Usage
from forbear.runner.ask_tell import HostPilot
from forbear.runner.host_plan import HostPlan
from forbear.testing import ScriptedModel

TASK = Task(id="t")
USAGE = Usage(calls=1, input_tokens=10, output_tokens=5)


class Dislikes:
    """A critic that expects failure of whatever has a word in it; asked through a model where it has one."""

    def __init__(self, word="bad", model=None):
        self.word, self.model = word, model

    async def score(self, trajectory, proposed, *, draw):
        if self.model is not None:
            await self.model.complete([{"role": "user", "content": proposed.text}], draw=draw)
        return 0.9 if self.word in proposed.text else 0.1

    def config(self):
        return {"name": "dislikes", "word": self.word}


class Down(Dislikes):
    """A critic whose provider is down."""

    async def score(self, trajectory, proposed, *, draw):
        raise ProviderError("down")


def policy(intervention, critic=None, **options):
    return InterventionPolicy(critic=critic or Dislikes(), intervention=intervention, threshold=0.5, **options)


def run(watch, answers, *, blocks=True):
    """A loop that says what it got and what its model was told."""
    answers, heard, got = iter(answers), [], []
    messages = [{"role": "user", "content": "go"}]

    def sample(told):
        heard.append([(one.at, one.text) for one in told])
        said = next(answers)
        if isinstance(said, Exception):
            raise said
        return Sampled(said, action_of(said, (), usage=USAGE))

    async def sampled(told):
        return sample(told)

    while not got or "end" not in got[-1]:
        got.append(watch.propose_sync(messages, sample) if blocks else asyncio.run(watch.propose(messages, sampled)))
        messages += [{"role": "assistant", "content": got[-1]}, {"role": "tool", "content": f"seen {got[-1]}"}]
    return got, heard


@pytest.mark.parametrize("blocks", [True, False])
def test_a_dropped_proposal_never_reaches_the_framework_and_is_metered(blocks):
    watch = Watch(TASK, policy=policy(Rollback()))
    got, heard = run(watch, ["look", "bad", "good", "end"], blocks=blocks)
    assert got == ["look", "good", "end"]
    assert heard == [[]] * 4
    episode = watch.episode(True)
    assert [step.observation for step in episode.steps] == ["go", "seen look", "seen good"]
    assert [[p.action.text for p in step.proposals] for step in episode.steps] == [["look"], ["bad", "good"], ["end"]]
    assert (episode.usage.agent.paid.calls, episode.usage.agent.paid.tokens) == (4, 60)
    assert watch.dropped == USAGE
    assert (episode.interventions, episode.rollback_noops, episode.success) == (1, 0, True)


def test_a_model_that_repeats_what_was_dropped_is_seen():
    watch = Watch(TASK, policy=policy(Rollback(), budget=2))
    got, _ = run(watch, ["bad", "bad", "bad", "end"])
    assert got == ["bad", "end"]
    assert watch.episode(False).rollback_noops == 2
    assert watch.dropped.calls == 2


def test_a_warning_comes_with_the_next_observation_and_stays_at_its_place():
    watch = Watch(TASK, policy=policy(Append(message="Careful."), budget=1))
    got, heard = run(watch, ["bad", "on", "end"])
    assert got == ["bad", "on", "end"]
    assert heard == [[], [(3, "Careful.")], [(3, "Careful.")]]
    assert [step.messages for step in watch.episode(True).steps] == [(), ("Careful.",), ()]


def test_a_nudge_is_told_before_the_agent_proposes_again():
    watch = Watch(TASK, policy=policy(Rollback(message="Not so.", exclude=True), budget=1))
    got, heard = run(watch, ["bad", "good", "end"])
    assert got == ["good", "end"]
    assert heard == [[], [(1, "Not so."), (1, "Do not do this: bad")], [(1, "Not so.")]]


def test_who_is_stopped_has_failed_whatever_the_framework_says():
    watch = Watch(TASK, policy=policy(Stop()))
    with pytest.raises(AgentError, match="ended this episode"):
        run(watch, ["bad"])
    with pytest.raises(AgentError, match="ended this episode"):
        run(watch, ["good"])
    assert (watch.episode(True).termination, watch.episode(True).success) == (Termination.STOPPED, False)


def test_a_model_that_is_down_leaves_no_outcome_unless_it_answers_when_asked_again():
    watch = Watch(TASK, policy=policy(Rollback()))
    with pytest.raises(ConnectionError):
        run(watch, [ConnectionError("down")])
    assert watch.episode(False).termination is Termination.PROVIDER_ERROR
    assert watch.episode(False).cause == "ConnectionError: down"
    run(watch, ["end"])
    assert watch.episode(False).success is False


def test_what_the_agent_itself_breaks_is_its_failure():
    watch = Watch(TASK)
    with pytest.raises(AgentError):
        run(watch, [AgentError("too long")])
    watch.crashed(AgentError("too long"))
    assert watch.episode(None).termination is Termination.AGENT_ERROR


def test_a_critic_whose_provider_is_down_leaves_no_outcome():
    watch = Watch(TASK, policy=policy(Rollback(), Down()))
    for _ in range(2):  # also where the framework makes nothing of it
        with pytest.raises(ProviderError, match="down"):
            run(watch, ["end"])
    assert watch.episode(True).success is None


def test_what_the_adapter_cannot_do_is_refused():
    with pytest.raises(InvalidInput, match="undoes executed steps"):
        Watch(TASK, policy=policy(Rollback(depth=2)))
    Capabilities(undo=True).require(policy(Rollback(depth=2)))
    assert Capabilities(propose=True, append=True, undo=False, fork_agent=False, fork_world=False) == AT_THE_MODEL
    watch = Watch(TASK, policy=policy(Rollback(costs_step=True)))
    got, _ = run(watch, ["bad", "end"])
    assert got == ["bad", "end"]
    assert "limit of steps" in watch.episode(True).steps[0].proposals[0].refusal


def test_the_critic_is_metered_and_priced_apart():
    prices = Prices({"scripted": Price(input=1e6, output=1e6)})
    watch = Watch(TASK, policy=policy(Rollback(), Dislikes(model=ScriptedModel(["no"]))), prices=prices)
    run(watch, ["bad", "end"])
    usage = watch.episode(True).usage
    assert (usage.agent.paid.calls, usage.critic.paid.calls, usage.critic.paid.cost) == (2, 2, 24.0)


def test_one_call_is_the_action_that_other_agents_propose():
    action = action_of("so", [("search", '{"q": "Rome"}')], usage=USAGE)
    assert (action.text, action.payload) == ("search[Rome]", {"tool": "search", "arguments": {"q": "Rome"}})
    assert action.rationale == "so"
    assert action_of("", [("a", {}), ("b", "not JSON")], usage=USAGE).text == "a({}); b(not JSON)"
    assert action_of(None, [], usage=USAGE).text == "(nothing)"


def test_what_was_seen_is_bounded_and_not_what_the_agent_said():
    assert seen_text([{"role": "assistant", "content": "mine"}, {"role": "tool", "content": [{"text": "x"}]}]) == "x"
    assert seen_text([{"role": "user", "content": [{"type": "image_url"}]}]) == "[image_url]"
    assert len(seen_text([{"role": "user", "content": "x" * 10**6}])) < 21_000


def test_every_task_run_and_arm_draws_by_itself():
    seeds = [Watch(Task(id=t), draw_seed=seed).model_seed for t in ("a", "b") for seed in (0, 1)]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_an_assignment_has_the_seed_for_a_model_that_its_watch_has(tmp_path):
    plan = HostPlan(tasks=[Task(id="a"), Task(id="b")], arms=["on"], looks=[2])
    with HostPilot(plan, Journal(tmp_path)) as pilot:
        asked = [it for _ in range(6) if (it := pilot.ask()) is not None]
    assert [it.model_seed for it in asked] == [Watch.of(it).model_seed for it in asked]
    assert len({it.model_seed for it in asked}) == 6


def test_a_hosted_pilot_keeps_episodes_and_goes_on_where_it_was(tmp_path):
    ran = []

    def solve(task, watch):
        ran.append((task.id, watch.arm))
        if task.id == "0" and len(ran) < 60 and ran.count(("0", watch.arm)) == 1:
            raise ProviderError("down")
        return run(watch, ["bad" if watch.draw_seed % 2 else "on", "end", "end"])[0][0] != "bad"

    options = {"tasks": [str(n) for n in range(20)], "policies": {"rollback": policy(Rollback())}, "looks": [20]}
    evidence = run_hosted(solve, journal=tmp_path / "j", host={"v": 1}, **options)
    assert len(ran) == 63  # three arms, and each once more for the first task
    assert set(evidence.verdicts) >= {"rollback"}
    assert run_hosted(solve, journal=tmp_path / "j", host={"v": 1}, **options).verdicts == evidence.verdicts
    assert len(ran) == 63
    episodes = Journal(tmp_path / "j").read().episodes
    assert sum(len(one.steps) > 0 for one in episodes.values()) == 60


def test_a_nudge_that_other_frameworks_could_not_show_is_one_of_ours():
    watch = Watch(TASK, policy=policy(Nudge(), budget=1))
    _, heard = run(watch, ["bad", "good", "end"])
    assert len(heard[1]) == 1


class Unpaid:
    """A model whose provider refuses the key, as `KeptModel` notes it."""

    async def complete(self, messages, *, draw):
        session = current_session()
        session.broken = ModelUnusable("the provider refuses the key")
        raise session.broken


@pytest.mark.parametrize("critic", [Down(), Dislikes(model=Unpaid())])
def test_a_critic_that_is_down_leaves_no_outcome_in_a_pilot_and_lets_the_agent_go_on_in_use(critic):
    watch = Watch(TASK, policy=policy(Rollback(), critic))
    with pytest.raises(ProviderError):
        run(watch, ["bad", "end"])
    assert (watch.episode(False).termination, watch.episode(False).success) == (Termination.PROVIDER_ERROR, None)
    used = Watch(TASK, policy=policy(Rollback(), critic), mode="apply")
    assert run(used, ["bad", "end"])[0] == ["bad", "end"]
    assert used.episode(True).success is True
    assert list(used.episode(True).steps[0].proposals[0].faults.values()) == ["error"]


def test_a_shadow_scores_says_what_was_due_and_changes_nothing():
    watch = Watch(TASK, policy=policy(Append(message="Careful!")), mode="shadow")
    got, heard = run(watch, ["bad", "end"])
    assert (got, heard) == (["bad", "end"], [[], []])
    first = watch.episode(True).steps[0].proposals[0]
    assert list(first.p_fail.values()) == [0.9]
    assert (first.decision, first.refusal) == ("refused", "shadow: append was due")
    assert watch.episode(True).interventions == 0
