"""Runs that an earlier pilot paid for are taken, call for call what a fresh pilot finds, and paid for once."""

import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from msgspec import structs

from forbear.analysis.evidence import evidence_of
from forbear.analysis.result import analyse_journal
from forbear.errors import InvalidInput, NotReproducible, PlanChanged
from forbear.interventions import Append, Placebo, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.codec import config_digest
from forbear.records.journal import Journal
from forbear.records.model import Task
from forbear.runner.earlier import read_earlier
from forbear.runner.plan import freeze
from forbear.testing import CoinCritic, CoinFlipAgent, RestorableCorridor
from forbear.testing.chat_server import ChatServer
from runner.chats import chat_plan, churning
from runner.pilots import POLICY, WEIGHTS, agent, plan, run, with_
from runner.test_repeats import Remembering

BEFORE = [Arm.baseline(), Arm("strict", with_(Append(), threshold=0.95)), Arm("rollback", replace(POLICY, budget=1))]
NOW = [
    Arm.baseline(),
    Arm("append", with_(Append())),
    Arm("rollback", POLICY),
    Arm("placebo", with_(Placebo())),
    Arm("coin", InterventionPolicy(critic=CoinCritic(0.3), intervention=Append(), budget=2)),
    Arm.rerun(),
]


def found(result):
    """What was found, without who paid for it and what it took."""
    return {key: structs.replace(episode, usage=None, cause=None) for key, episode in result.episodes.items()} | {
        ("calls", *key): episode.usage.agent.calls for key, episode in result.episodes.items()
    }


def said(result):
    """The verdicts, without what is said of where runs came from."""
    return {
        arm: replace(verdict, cautions=tuple(one for one in verdict.cautions if one.code != "tried_before"))
        for arm, verdict in evidence_of(result).verdicts.items()
    }


def paid(result):
    return sum(arm.new_agent_calls for arm in result.arms.values())


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    directory = tmp_path_factory.mktemp("earlier") / "before"
    run(plan(BEFORE, n=8), directory)
    return directory


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    return run(plan(NOW, n=12), tmp_path_factory.mktemp("fresh") / "journal")


def now(before, arms=NOW, *, n=12, **options):
    return plan(arms, n=n, earlier=[read_earlier(before)], **options)


@pytest.mark.parametrize("options", [{}, {"concurrency": 1}, pytest.param({"workers": 2}, marks=pytest.mark.slow)])
def test_a_pilot_that_takes_runs_finds_what_a_fresh_one_finds_and_pays_less(tmp_path, before, fresh, options):
    again = run(now(before), tmp_path / "again", **options)
    assert found(again) == found(fresh)
    assert said(again) == said(fresh)
    baseline = {task.id: again.episodes[task.id, 42, "baseline"].usage for task in again.plan.tasks}
    taken = {f"t{number:02}" for number in range(8)}
    assert all((usage.agent.paid.calls == 0) == (task in taken) for task, usage in baseline.items())
    assert all(usage.critic.paid.calls > 0 for usage in baseline.values())  # the coin is a critic that was not there
    assert paid(again) < paid(fresh) - sum(baseline[task].agent.calls for task in taken) + 1
    assert again.plan.baseline.earlier[0].runs == 8


def test_scores_of_a_critic_that_is_the_same_are_taken_too(tmp_path, before):
    arms = [Arm.baseline(), Arm("append", with_(Append()))]
    again = run(now(before, arms, n=8), tmp_path / "again")
    baseline = again.arms["baseline"]
    assert (baseline.new_agent_calls, baseline.usage.critic.paid.calls) == (0, 0)
    assert baseline.usage.critic.calls == baseline.critic_calls > 0


def test_what_an_arm_there_had_paid_for_after_a_fork_is_taken_where_an_arm_here_does_the_same(tmp_path, before):
    arms = [Arm.baseline(), Arm("more", POLICY)]  # there it stepped in once, and here again
    fresh, again = run(plan(arms, n=8), tmp_path / "fresh"), run(now(before, arms, n=8), tmp_path / "again")
    assert found(again) == found(fresh)
    assert 0 < again.arms["more"].new_agent_calls < fresh.arms["more"].new_agent_calls


def test_the_journal_alone_tells_all_of_it(tmp_path, before):
    copy = shutil.copytree(before, tmp_path / "copy")
    again = run(now(copy), tmp_path / "again")
    shutil.rmtree(copy)
    assert found(analyse_journal(Journal(tmp_path / "again"))) == found(again)


def test_the_same_critic_tried_on_the_same_runs_is_said_beside_the_verdict(tmp_path, before):
    again = run(now(before), tmp_path / "again")
    cautions = {
        arm: [one.values for one in verdict.cautions if one.code == "tried_before"]
        for arm, verdict in evidence_of(again).verdicts.items()
    }
    seen = [{"source": "before", "runs": 8, "arms": ["strict", "rollback"]}]
    assert cautions == {"append": seen, "rollback": seen, "placebo": [], "coin": [], "rerun": []}


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from pathlib import Path
from runner.pilots import run
from runner.test_earlier import now

announced = 0

def announce(episode):
    global announced
    announced += 1
    if announced == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

run(now(Path(sys.argv[1])), sys.argv[2], on_episode=announce, concurrency=4)
"""


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 7, 26, 60])
def test_killed_in_the_middle_it_goes_on_and_pays_for_nothing_twice(tmp_path, before, fresh, k):
    whole = run(now(before), tmp_path / "whole")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED.format(path=sys.path), str(before), str(tmp_path / "again"), str(k)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    again = run(now(before), tmp_path / "again")
    assert found(again) == found(fresh)
    assert paid(again) == paid(whole)


@pytest.mark.parametrize("k", [0, 3, 11, 40])
def test_cut_after_any_line_it_goes_on_and_pays_for_nothing_twice(tmp_path, before, k):
    whole = run(now(before), tmp_path / "again")
    lines = (tmp_path / "again" / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "again" / "episodes.jsonl").write_bytes(b"".join(lines[:k]))
    again = run(now(before), tmp_path / "again")
    assert found(again) == found(whole)
    assert paid(again) == paid(whole)


def test_what_was_taken_is_part_of_the_plan(tmp_path, before):
    run(now(before), tmp_path / "again")
    with pytest.raises(PlanChanged, match=r"baseline\.earlier is gone"):
        run(plan(NOW, n=12), tmp_path / "again")
    run(plan(BEFORE, n=9), tmp_path / "other")
    other = replace(read_earlier(tmp_path / "other"), source="before")
    with pytest.raises(PlanChanged, match=r"earlier\[0\]\.sha256 was"):
        run(plan(NOW, n=12, earlier=[other]), tmp_path / "again")


def test_several_journals_are_taken_from(tmp_path, before, fresh):
    more = [Task(id=f"t{number:02}") for number in range(6, 12)]
    run(plan(BEFORE[:2], tasks=more), tmp_path / "more")
    again = run(plan(NOW, n=12, earlier=[read_earlier(before), read_earlier(tmp_path / "more")]), tmp_path / "again")
    assert found(again) == found(fresh)
    assert again.arms["baseline"].new_agent_calls == 0


def test_continuations_take_the_first_run_of_a_task(tmp_path, before):
    arms = [Arm.baseline(), Arm("rollback", with_(Rollback(message="no")))]
    fresh = run(plan(arms, n=8, continuations=3), tmp_path / "fresh")
    again = run(now(before, arms, n=8, continuations=3), tmp_path / "again")
    assert found(again) == found(fresh)
    first = [again.episodes[task.id, 42, "baseline"].usage.agent.paid.calls for task in again.plan.tasks]
    assert sum(first) == 0 < paid(again) < paid(fresh)
    # The other way round: of a journal with continuations the first runs alone draw as others do.
    third = run(
        plan([Arm.baseline(), Arm("x", POLICY)], n=8, earlier=[read_earlier(tmp_path / "fresh")]), tmp_path / "x"
    )
    assert third.arms["baseline"].new_agent_calls == 0
    assert third.plan.baseline.earlier[0].runs == 8


def other_world():
    return RestorableCorridor(doors=3, slip=0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agent": lambda: CoinFlipAgent({**WEIGHTS, "open": 4})}, "before: its agent was .* the pilot's is"),
        ({"environment": other_world}, "its environment was"),
        ({"max_steps": 11}, "its max_steps was 12, the pilot's is 11"),
        ({"call_deadline_s": 60.0}, "its call_deadline_s was 600.0, the pilot's is 60.0"),
        ({"seeds": [7]}, r"no run of the agent alone on the pilot's tasks under the pilot's seeds \(7\); it ran .*42"),
        ({"tasks": [Task(id="elsewhere")]}, "no run of the agent alone on the pilot's tasks"),
        ({"tasks": [Task(id="t01", payload="else")]}, "the tasks 't01' were others there"),
        ({"design": "independent"}, "is independent, where logged runs count"),
    ],
)
def test_runs_that_the_pilot_would_not_make_are_refused(before, options, message):
    with pytest.raises(InvalidInput, match=message):
        freeze(now(before, **options))


def test_an_arm_that_was_tried_on_these_tasks_is_not_decided_on_again(before):
    arms = [Arm.baseline(), Arm("again", BEFORE[2].policy)]
    with pytest.raises(InvalidInput, match="it has tried arm 'again' on these tasks, there called 'rollback'"):
        freeze(now(before, arms))


def test_an_agent_with_a_memory_and_a_design_apart_are_refused(tmp_path, before):
    with pytest.raises(InvalidInput, match="memory of its own"):
        freeze(now(before, agent=Remembering))
    run(plan(BEFORE[:2], n=3, design="independent"), tmp_path / "apart")
    with pytest.raises(InvalidInput, match="its arms were run apart"):
        freeze(now(tmp_path / "apart"))


def test_a_damaged_journal_is_refused(tmp_path, before):
    copy = shutil.copytree(before, tmp_path / "copy")
    lines = (copy / "episodes.jsonl").read_bytes()
    (copy / "episodes.jsonl").write_bytes(lines.replace(b"wait", b"open", 1))
    with pytest.raises(InvalidInput, match="line 1"):
        read_earlier(copy)


class Changed(CoinFlipAgent):
    """Says that it is the agent of before, and draws otherwise."""

    async def act(self, trajectory, *, draw, excluded=()):
        return await super().act(trajectory, draw=structs.replace(draw, seed=draw.seed + 1), excluded=excluded)


def test_an_agent_that_no_longer_does_what_it_did_is_found_out(tmp_path, before):
    assert config_digest(Changed(WEIGHTS, warned={"open": 5, "wait": 1}).config()) == config_digest(agent().config())
    with pytest.raises(NotReproducible, match="earlier pilot's runs were taken"):
        run(now(before, agent=lambda: Changed(WEIGHTS, warned={"open": 5, "wait": 1})), tmp_path / "again")


def test_journals_of_agents_that_differ_contradict_each_other(tmp_path, before):
    run(plan(BEFORE[:2], agent=lambda: Changed(WEIGHTS, warned={"open": 5, "wait": 1})), tmp_path / "changed")
    with pytest.raises(InvalidInput, match="went otherwise there"):
        freeze(plan(NOW, n=12, earlier=[read_earlier(before), read_earlier(tmp_path / "changed")]))


def test_a_model_that_never_says_the_same_again_is_not_asked_again(tmp_path):
    with ChatServer(churning()) as server:
        baseline, rollback, append, coin = chat_plan(server.url).arms
        run(chat_plan(server.url, arms=[baseline, rollback]), tmp_path / "before")
        asked = len(server.requests)
        kept = (tmp_path / "before" / "responses.jsonl").read_bytes()
        plan_now = chat_plan(
            server.url, arms=[baseline, append, coin], earlier=[read_earlier(tmp_path / "before")], n=7
        )
        again = run(plan_now, tmp_path / "again")
        usage = {task.id: again.episodes[task.id, 42, "baseline"].usage for task in again.plan.tasks}
        assert all((one.agent.paid.calls == 0) == (task != "t06") for task, one in usage.items())
        took = sum(arm.usage.agent.paid.calls + arm.usage.critic.paid.calls for arm in again.arms.values())
        assert 0 < len(server.requests) - asked < took  # a coin is a critic too, and asks no model
        assert (tmp_path / "before" / "responses.jsonl").read_bytes() == kept
        # Without what it had answered, the model is no function any more, and that is found out.
        (tmp_path / "before" / "responses.jsonl").unlink()
        with pytest.raises(NotReproducible, match="responses"):
            run(replace(plan_now, earlier=[read_earlier(tmp_path / "before")]), tmp_path / "other")
