"""A pilot of a language model: nothing is paid for twice, everything is counted, and whose fault it was is known."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from forbear.errors import BudgetSpent, InvalidInput, ModelUnusable, ProviderError, TooManyCriticFaults
from forbear.interventions import Rollback
from forbear.models.prices import Prices
from forbear.models.session import ModelSettings
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import Action, Termination
from forbear.runner.ledger import Budget
from forbear.testing import ScriptedAgent, ScriptedModel
from forbear.testing.chat_server import ChatServer, Reply, answer, refused
from runner.chats import PAID, chat, chat_plan, churning, fixed
from runner.pilots import digest, run


def records(directory):
    return list(Journal(directory).read().last_attempts())


def paid(directory, field="calls"):
    usages = [role.paid for e in records(directory) for role in (e.usage.agent, e.usage.critic, e.usage.feedback)]
    return sum(getattr(usage, field) or 0 for usage in usages)


def test_a_model_that_never_says_the_same_again_is_coupled_and_asked_once(tmp_path):
    with ChatServer(churning()) as server:
        result = run(chat_plan(server.url), tmp_path / "a")
        asked = len(server.requests)
        assert result.design == "coupled"
        assert any(arm.interventions for arm in result.arms.values())
        agent = sum(arm.usage.agent.paid.calls for arm in result.arms.values())
        tokens = sum(
            (arm.usage.agent.paid.tokens or 0) + (arm.usage.critic.paid.tokens or 0) for arm in result.arms.values()
        )
        assert tokens == asked * sum(PAID)
        assert agent < asked
        before = digest(tmp_path / "a")
        (tmp_path / "a" / "episodes.jsonl").unlink()
        run(chat_plan(server.url), tmp_path / "a")
        assert (len(server.requests), digest(tmp_path / "a")) == (asked, before)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_budget_stops_and_a_larger_one_goes_on_to_the_same_end(tmp_path, workers):
    limit, width = 40 * sum(PAID), 2
    with ChatServer(fixed) as server:
        plan = chat_plan(server.url)
        run(plan, tmp_path / "whole")
        whole = len(server.requests)
        with pytest.raises(BudgetSpent, match=r"max_tokens = 4400 \(.*raise the limit"):
            run(plan, tmp_path / "cut", budget=Budget(max_tokens=limit), concurrency=width, workers=workers)
        cut = len(server.requests) - whole
        assert 40 <= cut <= 40 + width
        assert paid(tmp_path / "cut", "input_tokens") == cut * PAID[0]
        with pytest.raises(BudgetSpent):
            run(plan, tmp_path / "cut", budget=Budget(max_tokens=limit), workers=workers)
        assert len(server.requests) == whole + cut
        run(plan, tmp_path / "cut", budget=Budget(max_tokens=10**9), workers=workers)
        assert len(server.requests) == 2 * whole
        assert digest(tmp_path / "cut") == digest(tmp_path / "whole")


def test_money_is_counted_and_limited(tmp_path):
    prices = Prices.of_table({"test": {"input": 1000, "output": 10_000}})
    each = (PAID[0] * 1000 + PAID[1] * 10_000) / 1e6
    with ChatServer(fixed) as server:
        run(chat_plan(server.url), tmp_path / "a", models=ModelSettings(prices=prices))
        assert paid(tmp_path / "a", "cost") == pytest.approx(len(server.requests) * each)
        with pytest.raises(BudgetSpent, match="max_cost = 1"):
            run(
                chat_plan(server.url),
                tmp_path / "b",
                models=ModelSettings(prices=prices),
                budget=Budget(max_cost=1),
                concurrency=1,
            )
        assert paid(tmp_path / "b", "cost") == pytest.approx(1, abs=each)


def test_two_journals_that_share_their_answers_pay_once(tmp_path):
    with ChatServer(churning()) as server:
        run(chat_plan(server.url), tmp_path / "a", models=ModelSettings(responses=tmp_path / "shared.jsonl"))
        asked = len(server.requests)
        plan = chat_plan(server.url, order_seed=1)
        result = run(plan, tmp_path / "b", models=ModelSettings(responses=tmp_path / "shared.jsonl"))
        assert len(server.requests) == asked
        assert all(arm.usage.agent.paid.tokens is None for arm in result.arms.values())
        assert result.arms["baseline"].usage.agent.reused.tokens


KILLED = """
import sys
sys.path[:0] = {path!r}
from runner.chats import chat_plan
from runner.pilots import run
run(chat_plan(sys.argv[1]), sys.argv[2], concurrency=3, workers=int(sys.argv[3]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_it_pays_for_nothing_twice(tmp_path, workers):
    kills = int(os.environ.get("FORBEAR_KILLS", "8")) // workers  # 20 were survived; a process takes seconds to start
    code = KILLED.format(path=sys.path)
    rng = random.Random(workers)
    with ChatServer(lambda request: Reply(body=fixed(request).body, stall_s=0.01)) as server:
        run(chat_plan(server.url), tmp_path / "whole")
        whole = len(server.requests)
        args = [sys.executable, "-c", code, server.url, str(tmp_path / "killed"), str(workers)]
        cut = in_flight = 0
        for number in range(kills):
            directory = tmp_path / f"k{number}"
            before = len(server.requests)
            process = subprocess.Popen([*args[:-2], str(directory), str(workers)])
            reached = before + rng.randint(1, whole - 1)
            while len(server.requests) < reached and process.poll() is None:
                time.sleep(0.001)
            cut += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.1)
            subprocess.run([*args[:-2], str(directory), str(workers)], check=True)
            in_flight = max(in_flight, len(server.requests) - before - whole)
            assert digest(directory) == digest(tmp_path / "whole")
            assert paid(directory, "input_tokens") == whole * PAID[0]
    assert cut > kills // 2
    assert in_flight <= 3


def test_a_critic_that_cannot_be_read_stops_the_pilot_with_what_it_said(tmp_path):
    def respond(request):
        return answer("I would rather\x1b not say") if request.get("top_logprobs") else fixed(request)

    with (
        ChatServer(respond) as server,
        pytest.raises(TooManyCriticFaults, match="gives no log-probabilities"),
    ):
        run(chat_plan(server.url), tmp_path)
    content = Journal(tmp_path).read()
    faults = [p for e in content.episodes.values() for s in e.steps for p in s.proposals if p.faults]
    assert faults
    assert all("log-probabilities" in "".join(p.why.values()) for p in faults)


def test_a_provider_that_is_slow_is_not_the_agents_failure(tmp_path):
    with ChatServer(lambda request: Reply(body=fixed(request).body, stall_s=0.5)) as server:
        plan = chat_plan(server.url, n=1, arms=[Arm.baseline(), Arm.rerun()], call_deadline_s=0.1)
        with pytest.raises(Exception, match="in a row had no outcome"):
            run(plan, tmp_path, retries=1)
    assert {episode.termination for episode in records(tmp_path)} == {Termination.PROVIDER_ERROR}
    assert all("its model gave no answer within 0.1 s" in episode.cause for episode in records(tmp_path))


@pytest.mark.parametrize("design", ["coupled", "independent"])
def test_an_attempt_that_broke_is_charged_once_whoever_goes_on(tmp_path, design):
    """By the same process, after its others, and by the next one: the same digest, and the bill of the server."""
    rng, is_faulty = random.Random(3), [False]

    def respond(request):
        return refused(500) if is_faulty[0] and rng.random() < 0.15 else fixed(request)

    with ChatServer(respond) as server:
        run(chat_plan(server.url, design=design), tmp_path / "clean")
        whole = server.answered
        assert paid(tmp_path / "clean", "input_tokens") == whole * PAID[0]
        is_faulty[0], impatient = True, chat(server.url, patience_s=0.01)
        for name, budget in (("one", None), ("cut", Budget(max_tokens=60 * sum(PAID)))):
            before = server.answered
            plan = chat_plan(server.url, design=design, model=impatient)
            try:
                run(plan, tmp_path / name, retries=20, outage_after=1000, budget=budget)
            except BudgetSpent:
                run(plan, tmp_path / name, retries=20, outage_after=1000)
            assert Journal(tmp_path / name).read().broken
            assert server.answered - before == whole
            assert paid(tmp_path / name, "input_tokens") == whole * PAID[0]
            assert digest(tmp_path / name) == digest(tmp_path / "clean")


def test_a_key_that_is_refused_stops_the_pilot_whatever_the_agent_makes_of_it(tmp_path):
    class Stubborn(ScriptedAgent):
        def __init__(self, model):
            super().__init__(["open"])
            self.model = model

        async def act(self, trajectory, *, draw, excluded=()):
            try:
                await self.model.complete([{"role": "user", "content": "?"}], draw=draw)
            except Exception:
                return Action("open")

    with ChatServer(lambda request: refused(401, "no")) as server:
        model = chat(server.url)
        plan = chat_plan(server.url, arms=[Arm.baseline(), Arm.rerun()], agent=lambda: Stubborn(model))
        with pytest.raises(ModelUnusable, match="refuses the key"):
            run(plan, tmp_path)
    assert not any(episode.success for episode in records(tmp_path))


def test_an_agent_of_ones_own_is_metered_without_a_word(tmp_path):
    class Own(ScriptedAgent):
        def __init__(self, model):
            super().__init__(["open"])
            self.model = model

        def act(self, trajectory, *, draw, excluded=()):
            for number in range(2):
                said = self.model.complete_sync([{"role": "user", "content": "?"}], draw=draw.sample(number))
            return Action(said.text)

    with ChatServer(fixed) as server:
        model = chat(server.url)
        plan = chat_plan(server.url, n=3, arms=[Arm.baseline(), Arm.rerun()], agent=lambda: Own(model))
        result = run(plan, tmp_path)
        counted = [result.arms[name].usage.agent.paid.calls for name in ("baseline", "rerun")]
        assert paid(tmp_path) == len(server.requests) == sum(counted)


def test_a_budget_is_above_zero():
    for limits in ({"max_calls": 0}, {"max_cost": -1.0}, {"max_seconds": True}):
        with pytest.raises(InvalidInput, match="above 0"):
            Budget(**limits)


def test_a_policy_may_share_its_model_with_the_agent():
    critic = chat_plan("http://127.0.0.1:1/v1").arms[1].policy.critic
    policy = InterventionPolicy(critic=critic, intervention=Rollback())
    assert "http://127.0.0.1:1/v1" in str(policy.config())


def test_whatever_a_provider_does_outcomes_are_right_and_the_bill_is_exact(tmp_path):
    rng, good, is_faulty = random.Random(5), [0], [False]
    faults = [
        refused(429),
        refused(429, retry_after="0.05"),
        refused(500),
        refused(503, retry_after="0.02"),
        Reply(body=b"{"),
        Reply(body=b'{"error": {"message": "busy"}}'),
        Reply(body=b"\xff\xfe"),
        Reply(body=fixed({}).body, cut_after=30),
        Reply(body=b"{}", stall_s=0.4),
    ]

    def respond(request):
        if is_faulty[0] and rng.random() < 0.25:
            return rng.choice(faults)
        good[0] += 1
        return fixed(request)

    with ChatServer(respond) as server:
        run(chat_plan(server.url), tmp_path / "clean")
        whole = len(server.requests)
        clean = {key: episode.success for key, episode in Journal(tmp_path / "clean").read().episodes.items()}
        good[0], is_faulty[0] = 0, True
        model = chat(server.url, timeout_s=0.2, patience_s=30.0)
        run(chat_plan(server.url, model=model), tmp_path / "faulty")
        assert len(server.requests) > whole * 2.15
    content = Journal(tmp_path / "faulty").read()
    assert {key: episode.success for key, episode in content.episodes.items()} == clean
    assert not content.missing
    assert paid(tmp_path / "faulty", "input_tokens") == good[0] * PAID[0] == whole * PAID[0]


def test_a_provider_that_is_down_for_good_costs_outcomes_and_no_failures(tmp_path):
    # Taken one at a time, by whatever thread. Four of the six tasks need at least 40 together, so three are cut off
    # in whatever order they are answered: less would be no outage. The shortest episode needs 3.
    answers = 36
    left = iter(range(answers))

    def respond(request):
        return fixed(request) if is_up[0] or next(left, None) is not None else refused(503)

    is_up = [False]

    with ChatServer(respond) as server:
        plan = chat_plan(server.url, model=chat(server.url, patience_s=0.2))
        with pytest.raises(ProviderError, match="in a row had no outcome"):
            run(plan, tmp_path, outage_after=4)
        is_up[0] = True
        run(chat_plan(server.url), tmp_path / "clean")
    clean = Journal(tmp_path / "clean").read().episodes
    content = Journal(tmp_path).read()
    assert content.episodes
    assert {key: e.success for key, e in content.episodes.items()}.items() <= {
        k: e.success for k, e in clean.items()
    }.items()
    assert paid(tmp_path, "input_tokens") <= answers * PAID[0]


def test_an_outage_of_the_critic_alone_is_an_outage_too(tmp_path):
    is_up = [False]

    def respond(request):
        return refused(503) if request.get("top_logprobs") and not is_up[0] else fixed(request)

    with ChatServer(respond) as server:
        plan = chat_plan(server.url, model=chat(server.url, patience_s=0.1))
        with pytest.raises(ProviderError, match=r"critic 'chat-critic:.*HTTP 503"):
            run(plan, tmp_path, outage_after=4)
        content = Journal(tmp_path).read()
        assert not content.episodes
        assert content.broken
        is_up[0] = True
        asked = len(server.requests)
        run(plan, tmp_path)
        run(plan, tmp_path / "clean")
    assert digest(tmp_path) == digest(tmp_path / "clean")
    assert asked > 0


def test_options_that_a_model_cannot_follow_stop_the_pilot_and_are_no_failure(tmp_path):
    model = ScriptedModel(lambda asked: InvalidInput("this model knows no tools"))
    plan = chat_plan("", model=model, arms=[Arm.baseline(), Arm.rerun()])
    with pytest.raises(InvalidInput, match="knows no tools"):
        run(plan, tmp_path)
    assert not Journal(tmp_path).read().episodes
