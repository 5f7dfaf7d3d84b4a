import asyncio
import json
import os
import signal
import statistics
from dataclasses import replace

import pytest

from forbear.errors import InvalidInput, PlanChanged, ProviderError, TooManyAgentErrors
from forbear.interventions import Append, Placebo, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import Action, EpisodeUsage, Task, Termination
from forbear.runner.episode import ForkCheck
from forbear.runner.plan import PilotPlan, freeze
from forbear.stats.looks.looks import Looks
from forbear.testing import CoinCritic, CoinFlipAgent, Corridor, DeafAgent, RestorableCorridor, ScriptedAgent
from runner.pilots import (
    ALL_ARMS,
    POLICY,
    WEIGHTS,
    WORD,
    agent,
    arms_of,
    corridor,
    digest,
    order,
    plan,
    restorable,
    run,
    tasks,
    with_,
)


@pytest.mark.slow
def test_what_is_found_depends_on_neither_workers_nor_order_nor_how_the_world_goes_back(tmp_path):
    run(plan(), tmp_path / "1", concurrency=1)
    expected = digest(tmp_path / "1")
    for concurrency in (4, 64):
        run(plan(), tmp_path / str(concurrency), concurrency=concurrency)
        assert digest(tmp_path / str(concurrency)) == expected
    for number, given in enumerate((tasks(8)[::-1], tasks(8)[3:] + tasks(8)[:3])):
        run(plan(tasks=given), tmp_path / f"order{number}")
        assert digest(tmp_path / f"order{number}") == expected
    run(plan(environment=restorable), tmp_path / "restored")
    assert digest(tmp_path / "restored") == expected


@pytest.mark.slow
def test_a_pilot_that_is_done_only_counts(tmp_path):
    first = run(plan(), tmp_path / "j")
    lines = (tmp_path / "j" / "episodes.jsonl").read_bytes()

    class Absent(CoinFlipAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            raise AssertionError("asked again")

    announced = []
    again = run(
        plan(agent=lambda: Absent(WEIGHTS, warned={"open": 5, "wait": 1})), tmp_path / "j", on_episode=announced.append
    )
    assert again == first
    assert announced == []
    assert (tmp_path / "j" / "episodes.jsonl").read_bytes() == lines


def test_every_episode_is_accounted_for_and_every_call_is_metered(tmp_path):
    asked = []

    class Counting(CoinFlipAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            asked.append(draw)
            return await super().act(trajectory, draw=draw, excluded=excluded)

    announced = []
    counting = lambda: Counting(WEIGHTS, warned={"open": 5, "wait": 1})  # noqa: E731
    result = run(plan(agent=counting), tmp_path / "j", on_episode=announced.append)
    assert list(result.arms) == [arm.name for arm in ALL_ARMS]
    assert len(result.episodes) == len(announced) == 8 * len(ALL_ARMS)
    assert all(arm.episodes == 8 and arm.missing == 0 for arm in result.arms.values())
    # A few calls more than were charged: the checks at the first forks.
    assert len(asked) == sum(arm.new_agent_calls for arm in result.arms.values()) + ForkCheck().left
    baseline, rollback, same = (result.arm(name) for name in ("baseline", "rollback", "same"))
    assert baseline.new_agent_calls == baseline.agent_calls == baseline.steps
    assert baseline.critic_calls == 2 * baseline.agent_calls  # two critics, five policies
    assert rollback.new_agent_calls < rollback.agent_calls
    assert (same.new_agent_calls, same.new_critic_calls, same.shared_episodes) == (0, 0, 8)
    assert same.agent_calls == rollback.agent_calls
    assert same.critic_calls == rollback.critic_calls
    unpaid = {"usage": EpisodeUsage(), "shared_episodes": 0}
    assert replace(same, name="rollback", **unpaid) == replace(rollback, **unpaid)
    assert sum(rollback.first_interventions.values()) == 8 - rollback.shared_episodes
    assert result.arm("deep").interventions > 0
    assert result.arm("stop").no_answers >= sum(result.arm("stop").first_interventions.values())
    with pytest.raises(InvalidInput, match="there is no arm 'rolback'"):
        result.arm("rolback")


def test_arms_depart_from_the_baseline_where_they_first_act(tmp_path):
    result = run(plan(), tmp_path / "j")
    for task in tasks(8):
        found = arms_of(result, task.id)
        for name in ("rollback", "append", "placebo", "stop", "charged"):
            episode = found[name]
            if episode.interventions == 0:
                assert episode.steps == found["baseline"].steps
                assert episode.origin.step is None
                assert episode.usage.agent.paid.calls == 0
            else:
                first = episode.first_intervention
                assert episode.steps[:first] == found["baseline"].steps[:first]


def test_several_seeds_draw_differently_and_a_rerun_is_the_baseline_at_another_seed(tmp_path):
    result = run(plan([Arm.baseline(), Arm.rerun()], seeds=[1, 2], n=30), tmp_path / "j")
    moves = {
        (seed, arm): [
            [step.executed.text for step in e.steps]
            for (_, s, a), e in result.episodes.items()
            if (s, a) == (seed, arm)
        ]
        for seed in (1, 2)
        for arm in ("baseline", "rerun")
    }
    assert len({str(value) for value in moves.values()}) == 4
    assert result.arm("rerun").new_agent_calls == result.arm("rerun").agent_calls
    assert all(episode.origin is None for episode in result.episodes.values())


@pytest.mark.slow
def test_a_deaf_agent_is_not_moved_by_messages(tmp_path):
    """Common draws: what comes after an appended message is drawn as in the baseline, so r = d = 0 exactly."""
    coin = InterventionPolicy(critic=CoinCritic(0.4), intervention=Append())
    result = run(plan([Arm.baseline(), Arm("append", coin)], agent=lambda: DeafAgent(agent()), n=60), tmp_path / "j")
    assert result.arm("append").interventions > 50
    for task in tasks(60):
        found = arms_of(result, task.id)
        assert [s.executed for s in found["append"].steps] == [s.executed for s in found["baseline"].steps]
        assert found["append"].success is found["baseline"].success


def success_differences(result, arm, count):
    found = [arms_of(result, task.id) for task in tasks(count)]
    return [int(f[arm].success) - int(f["baseline"].success) for f in found]


@pytest.mark.statistical
def test_a_placebo_gains_nothing_on_average(tmp_path):
    """The critic tosses a coin, so whoever it stops is no worse off for proposing again: Δ has mean 0."""
    coin = InterventionPolicy(critic=CoinCritic(0.3), intervention=Placebo())
    result = run(plan([Arm.baseline(), Arm("placebo", coin)], n=2000), tmp_path / "j", concurrency=1)
    differences = success_differences(result, "placebo", 2000)
    assert sum(d != 0 for d in differences) > 50  # churn there is
    assert abs(statistics.fmean(differences)) < 3 * statistics.stdev(differences) / 2000**0.5


@pytest.mark.statistical
def test_coupling_keeps_the_gain_and_shrinks_its_variance(tmp_path):
    # The word critic warns of the jump alone, and a message after it is never seen; a coin warns anywhere.
    coin = InterventionPolicy(critic=CoinCritic(0.1), intervention=Append())
    arms = [Arm.baseline(), Arm("rollback", POLICY), Arm("append", coin)]
    found = {}
    for design in ("coupled", "independent"):
        whole = Looks(tasks=(800,), watch=False)
        result = run(plan(arms, n=800, design=design, looks=whole), tmp_path / design, concurrency=1)
        assert result.design == design
        for arm in ("rollback", "append"):
            differences = success_differences(result, arm, 800)
            found[design, arm] = statistics.fmean(differences), statistics.variance(differences) / 800
    for arm in ("rollback", "append"):
        (coupled, narrow), (independent, wide) = found["coupled", arm], found["independent", arm]
        assert abs(coupled - independent) < 3 * (narrow + wide) ** 0.5
        assert narrow < wide


# What the outside world breaks --------------------------------------------------------------------------------------


class FlakyCorridor(Corridor):
    """Breaks so many times when a task's third step is taken; not in the rerun, which has a seed of its own."""

    failures: dict[str, int] = {}  # noqa: RUF012

    async def reset(self, task, *, draw):
        self.task = task.id
        return await super().reset(task, draw=draw)

    async def step(self, action, *, draw):
        if (draw.step_index, draw.seed) == (2, 42) and self.failures.get(self.task, 0) > 0:
            self.failures[self.task] -= 1
            raise ProviderError("connection reset")
        return await super().step(action, draw=draw)


def flaky(failures):
    FlakyCorridor.failures = dict(failures)
    return lambda: FlakyCorridor(doors=4, slip=0.2)


@pytest.mark.slow
def test_what_breaks_is_tried_again_after_all_others_and_changes_nothing(tmp_path):
    run(plan(environment=flaky({})), tmp_path / "calm")
    written = []
    run(
        plan(environment=flaky({"t01": 1, "t04": 2})),
        tmp_path / "stormy",
        concurrency=1,
        on_episode=written.append,
    )
    assert sum(episode.success is None for episode in written) == 3
    baselines = [episode.task.id for episode in written if episode.arm == "baseline"]
    again = [task for task in order(plan()) if task in ("t01", "t04")]
    assert baselines == [*order(plan()), *again, "t04"]
    assert digest(tmp_path / "stormy") == digest(tmp_path / "calm")


@pytest.mark.slow
def test_what_keeps_breaking_is_excluded_counted_and_never_a_failure(tmp_path):
    result = run(plan(environment=flaky({"t01": 99})), tmp_path / "j", retries=1)
    # Whatever reaches a third step breaks; the baseline does, so no coupled arm of that task can have an outcome.
    excluded = {arm for (task, _, arm) in result.missing if task == "t01"}
    assert excluded >= {"baseline", "rollback", "append"}
    assert result.missing["t01", 42, "baseline"].reason == "environment_error: ProviderError: connection reset"
    assert result.missing["t01", 42, "append"].reason == "its baseline has no outcome"
    assert result.arm("baseline").missing == 1
    assert result.arm("baseline").episodes == 7
    assert ("t01", 42, "baseline") not in result.episodes
    content = Journal(tmp_path / "j").read()
    assert content.broken["t01", 42, "baseline"] == 2
    again = run(plan(environment=flaky({})), tmp_path / "j", retries=1)
    assert again == result


def test_an_outage_stops_the_pilot_and_it_goes_on_later(tmp_path):
    everything = {f"t{n:02}": 99 for n in range(8)}
    arms = [Arm.baseline(), Arm("rollback", POLICY)]
    with pytest.raises(ProviderError, match=r"3 episodes in a row .* connection reset.*run the same again") as raised:
        run(plan(arms, environment=flaky(everything)), tmp_path / "j", outage_after=3)
    assert raised.value.exit_code == 3
    run(plan(arms, environment=flaky({})), tmp_path / "j")
    run(plan(arms, environment=flaky({})), tmp_path / "calm")
    assert digest(tmp_path / "j") == digest(tmp_path / "calm")


# Designs ------------------------------------------------------------------------------------------------------------


class Worldly(Corridor):
    """Has side effects, and cannot be put back."""

    resets = 0

    def __init__(self):
        super().__init__(doors=4, slip=0.2, replay_safe=False)

    async def reset(self, task, *, draw):
        type(self).resets += 1
        return await super().reset(task, draw=draw)


def test_a_world_that_cannot_go_back_makes_the_design_independent_with_a_rerun(tmp_path):
    arms = [Arm.baseline(), Arm("rollback", POLICY)]
    assert freeze(plan(arms)).design == "coupled"
    Worldly.resets = 0
    result = run(plan(arms, environment=Worldly, n=10), tmp_path / "j")
    assert result.design == "independent"
    assert list(result.arms) == ["baseline", "rollback", "rerun"]
    assert Worldly.resets == 30  # never replayed
    for arm in result.arms.values():
        assert arm.new_agent_calls == arm.agent_calls
    # Draws of its own: an arm that never acts is not the baseline's episode.
    untouched = [
        (found["rollback"].steps, found["baseline"].steps)
        for found in (arms_of(result, task.id) for task in tasks(10))
        if not found["rollback"].interventions
    ]
    assert untouched
    assert any(mine != theirs for mine, theirs in untouched)


@pytest.mark.parametrize(
    ("arms", "design", "said"),
    [
        ([Arm("rollback", POLICY)], "coupled", "can neither be replayed"),
        ([Arm("deep", with_(Rollback(depth=2)))], "auto", "arm 'deep' undoes executed steps"),
    ],
)
def test_a_plan_that_needs_more_than_the_world_can_is_refused(arms, design, said):
    with pytest.raises(InvalidInput, match=said):
        freeze(plan([Arm.baseline(), *arms], design=design, environment=Worldly))


class Undoable(RestorableCorridor):
    """Has side effects, but can be put back."""

    def __init__(self):
        super().__init__(doors=4, slip=0.2, replay_safe=False)


@pytest.mark.slow
def test_a_world_that_can_only_be_restored_writes_a_tasks_arms_together(tmp_path):
    coupled = run(plan(environment=Undoable), tmp_path / "j")
    assert coupled.design == "coupled"

    first = order(plan(environment=Undoable))[:3]

    class Fragile(Undoable):
        async def step(self, action, *, draw):
            if draw.task_id not in first and draw.attempt == 1:  # after a deep rollback: not in the baseline
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(60)
            return await super().step(action, draw=draw)

    with pytest.raises(KeyboardInterrupt):
        run(plan(environment=Fragile), tmp_path / "killed", concurrency=1)
    written = Journal(tmp_path / "killed").read().rows
    assert 3 <= len(written) < 8
    assert {len(row) for row in written.values()} == {len(ALL_ARMS)}
    run(plan(environment=Undoable), tmp_path / "killed")
    assert digest(tmp_path / "killed") == digest(tmp_path / "j")


# Plans --------------------------------------------------------------------------------------------------------------


def test_a_changed_plan_is_refused_with_what_changed(tmp_path):
    arms = [Arm.baseline(), Arm("rollback", POLICY)]
    run(plan(arms), tmp_path / "j")
    place = order(plan(arms)).index("t07")
    for changed, said in [
        (plan(arms, max_steps=13), "baseline.max_steps was 12, is 13"),
        (
            plan([Arm.baseline(), Arm("rollback", replace(POLICY, threshold=0.7))]),
            "arms.rollback.policy.threshold was 0.6",
        ),
        (plan([Arm.baseline(), Arm("other", POLICY)]), "arms.rollback is gone; arms.other is new"),
        (plan(arms, seeds=[43]), r"baseline.seeds\[0\] was 42, is 43"),
        (plan(arms, agent=lambda: CoinFlipAgent({"open": 1})), "baseline.agent.weights"),
        (plan(arms, tasks=[*tasks(7), Task(id="t07", payload=1)]), rf"baseline.tasks\[{place}\]\[1\]"),
        (plan(arms, looks=[4, 8]), r"looks.tasks was \[8\], is \[4, 8\]"),
        (plan(arms, n=9), "it has grown: 8 tasks were planned, now there are 9"),
    ]:
        with pytest.raises(PlanChanged, match=said):
            run(changed, tmp_path / "j")


def test_digests_come_in_two_parts():
    arms = [Arm.baseline(), Arm("rollback", POLICY)]
    base = freeze(plan(arms))
    more = freeze(plan([*arms, Arm("append", with_(Append()))]))
    assert base.digest == freeze(plan(arms)).digest != more.digest
    assert base.record.baseline == more.record.baseline
    assert base.record.arms["rollback"] == more.record.arms["rollback"]
    assert freeze(plan(arms, max_steps=3)).record.baseline.digest != base.record.baseline.digest
    json.dumps(base.record.to_dict())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tasks": []}, "at least one task"),
        ({"tasks": [Task(id="a"), Task(id="a")]}, "task id 'a' occurs twice"),
        ({"seeds": [1, 1]}, "seed 1 occurs twice"),
        ({"seeds": ["1"]}, "seeds must be whole numbers"),
        ({"arms": [Arm("a", POLICY)]}, "exactly one baseline"),
        ({"arms": [Arm.baseline(), Arm("a")]}, "exactly one baseline"),
        ({"arms": [Arm.baseline(), Arm("baseline", POLICY)]}, "arm name 'baseline' occurs twice"),
        ({"max_steps": 0}, "max_steps"),
        ({"design": "paired"}, "design"),
        ({"call_deadline_s": float("inf")}, "call_deadline_s"),
    ],
)
def test_plans_that_cannot_be_run_are_refused(options, said):
    with pytest.raises(InvalidInput, match=said):
        PilotPlan(**{"tasks": tasks(1), "agent": agent, "environment": corridor, "arms": [Arm.baseline()], **options})


def test_arguments_out_of_range_are_refused(tmp_path):
    for bad in ({"concurrency": 0}, {"retries": -1}, {"outage_after": 0}, {"workers": 0}):
        with pytest.raises(InvalidInput, match=f"{next(iter(bad))} must be at least"):
            run(plan(), tmp_path / "j", **bad)
    assert not (tmp_path / "j").exists()


def test_arms_that_ask_one_critic_under_two_deadlines_are_refused():
    arms = [Arm.baseline(), Arm("one", POLICY), Arm("two", replace(POLICY, critic_deadline_s=2.5))]
    with pytest.raises(
        InvalidInput, match=r"critic 'word:\w+' has a deadline of 30 s in one arm and of 2.5 s in another"
    ):
        freeze(plan(arms))
    assert freeze(plan([arms[0], arms[2]])).deadlines == {POLICY.critic_name: 2.5}


@pytest.mark.slow
def test_a_plan_frozen_before_is_the_plan(tmp_path):
    run(plan(n=2), tmp_path / "plan")
    run(freeze(plan(n=2)), tmp_path / "frozen")
    assert digest(tmp_path / "frozen") == digest(tmp_path / "plan")
    assert (tmp_path / "frozen/plan.json").read_bytes() == (tmp_path / "plan/plan.json").read_bytes()


def failing_on(bad, *, error=KeyError):
    class Buggy(CoinFlipAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            if trajectory.task.id in bad:
                raise error("state")
            return await super().act(trajectory, draw=draw, excluded=excluded)

    return lambda: Buggy(WEIGHTS, warned={"open": 5, "wait": 1})


@pytest.mark.slow
def test_an_exception_of_the_agent_is_its_failure_and_changes_no_other_episode(tmp_path):
    bad = order(plan())[5]
    result = run(plan(agent=failing_on([bad])), tmp_path / "j", concurrency=1)
    whole = run(plan(), tmp_path / "whole")
    for key, episode in result.episodes.items():
        if key[0] == bad:
            assert (episode.termination, episode.success) == (Termination.AGENT_ERROR, False)
            assert episode.cause == "KeyError: 'state'"
        else:
            assert episode.steps == whole.episodes[key].steps


def test_an_agent_that_breaks_too_often_stops_the_pilot_with_the_commonest_cause(tmp_path):
    broken = order(plan(n=20))[4:]
    made = plan([Arm.baseline(), Arm("rollback", POLICY)], n=20, agent=failing_on(broken))
    with pytest.raises(
        TooManyAgentErrors, match=r"in 6 of 10 runs of arm 'baseline' the agent broke, more than 20 % of"
    ):
        run(made, tmp_path / "j", concurrency=1)
    kept = Journal(tmp_path / "j").read()
    assert sum(episode.termination is Termination.AGENT_ERROR for episode in kept.episodes.values()) == 11
    assert TooManyAgentErrors.exit_code == 3
    with pytest.raises(
        TooManyAgentErrors, match=r"in 3 of 3 runs .* more than 2 \(max_agent_errors\): 3 times KeyError"
    ):
        run(made, tmp_path / "j", concurrency=1, max_agent_errors=2)
    result = run(made, tmp_path / "j", concurrency=1, max_agent_errors=None)
    assert result.arm("baseline").episodes == 20


def test_a_share_is_judged_only_once_ten_runs_have_ended(tmp_path):
    made = plan([Arm.baseline(), Arm.rerun()], n=9, agent=failing_on(order(plan(n=9))))
    assert run(made, tmp_path / "j").arm("baseline").episodes == 9


@pytest.mark.slow
def test_one_task_whose_world_always_hangs_at_the_end_of_a_look_is_no_outage(tmp_path):
    """Nothing else is left to be tried between its tries, however many arms it has."""
    last = order(plan(n=5))[-1]
    result = run(plan(n=5, environment=flaky({last: 999}), design="independent"), tmp_path / "j", outage_after=4)
    assert {task for task, _, _ in result.missing} == {last}
    assert result.arm("baseline").missing == 1


def test_workers_are_bounded_and_overlap(tmp_path):
    now, most = 0, 0

    class Slow(ScriptedAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.001)
            now -= 1
            return Action("open")

    result = run(plan([Arm.baseline()], agent=lambda: Slow([]), n=20), tmp_path / "j", concurrency=5)
    assert most == 5
    assert all(e.termination is Termination.FINISHED for e in result.episodes.values())
    assert WORD.config()["name"] == "word"


@pytest.mark.parametrize("everything", [False, True])
def test_an_agent_that_cancels_tasks_fails_in_its_own_episodes_only(tmp_path, everything):
    bad = order(plan())[2]

    class Cancelling(CoinFlipAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            await asyncio.sleep(0)
            if trajectory.task.id == bad:
                for task in asyncio.all_tasks() if everything else [asyncio.current_task()]:
                    task.cancel()
            return await super().act(trajectory, draw=draw, excluded=excluded)

    made = plan([Arm.baseline(), Arm("rollback", POLICY)], design="independent")
    calm = run(made, tmp_path / "calm")
    result = run(
        replace(made, agent=lambda: Cancelling(WEIGHTS, warned={"open": 5, "wait": 1})), tmp_path / "j", concurrency=4
    )
    assert not result.missing
    for key, episode in result.episodes.items():
        if key[0] == bad:
            assert (episode.termination, episode.success) == (Termination.AGENT_ERROR, False)
            assert episode.cause == "CancelledError: it cancelled the task that it was called in"
        else:
            assert episode.steps == calm.episodes[key].steps
