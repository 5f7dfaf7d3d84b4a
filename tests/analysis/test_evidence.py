import asyncio

import pytest

from forbear.analysis.evidence import evidence_of
from forbear.analysis.pairing import pair_episodes
from forbear.errors import InvalidInput, ProviderError
from forbear.interventions import Append, Placebo, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import Action, Task
from forbear.runner.pilot import run_pilot
from forbear.runner.rehearsal import rehearse
from forbear.stats.decision import decide_arms
from forbear.testing import Corridor, DeafAgent, ScriptedCritic, WordCritic
from runner.pilots import POLICY, agent, corridor, plan, run, with_


def evidence(pilot, directory, **options):
    result = run(pilot, directory, **options)
    return result, evidence_of(result)


def codes(verdict):
    return [remark.code for remark in verdict.cautions]


@pytest.mark.slow
def test_verdicts_are_those_of_the_paired_outcomes(tmp_path):
    arms = [Arm.baseline(), Arm("rollback", POLICY), Arm("append", with_(Append())), Arm("placebo", with_(Placebo()))]
    result, found = evidence(plan(arms, n=40), tmp_path / "j")
    success = {key: episode.success for key, episode in result.episodes.items()}
    for name in ("rollback", "append", "placebo"):
        cells = [(success[f"t{i:02}", 42, "baseline"], success[f"t{i:02}", 42, name]) for i in range(40)]
        verdict = found.verdicts[name]
        assert (verdict.recovered, verdict.disrupted) == (cells.count((False, True)), cells.count((True, False)))
        assert verdict.pairs == 40
    assert found.controls == {"placebo"}
    # A control is no candidate: the family is the two arms that could be deployed.
    family = {name: pair_episodes(result.episodes.values(), treated=name).pairs for name in ("rollback", "append")}
    for name, verdict in decide_arms(family).items():
        assert found.verdicts[name].p_value_gain == verdict.p_value_gain
        assert "placebo_gain" in codes(found.verdicts[name])
    assert "control" in codes(found.verdicts["placebo"])


@pytest.mark.slow
def test_a_deaf_agent_is_not_changed_by_messages(tmp_path):
    arms = [Arm.baseline(), Arm("append", with_(Append()))]
    _, found = evidence(plan(arms, n=60, agent=lambda: DeafAgent(agent())), tmp_path / "j")
    verdict = found.verdicts["append"]
    assert verdict.recovered == verdict.disrupted == 0


@pytest.mark.slow
def test_the_critic_is_measured_on_the_baseline(tmp_path):
    pilot = plan([Arm.baseline(), Arm("rollback", POLICY)], n=60)
    result, found = evidence(pilot, tmp_path / "j")
    rows = [
        (proposal.p_fail[POLICY.critic_name], episode.success)
        for episode in result.episodes.values()
        if episode.arm == "baseline"
        for step in episode.steps
        for proposal in step.proposals
    ]
    pairs = [((a > b) + (a == b) / 2) for a, failed in rows if not failed for b, won in rows if won]
    assert found.critics[POLICY.critic_name].overall["auroc"].value == pytest.approx(sum(pairs) / len(pairs))


def test_a_critic_that_says_nothing_has_no_metrics(tmp_path):
    silent = InterventionPolicy(critic=ScriptedCritic([]), intervention=Rollback())
    _, found = evidence(plan([Arm.baseline(), Arm("rollback", silent)]), tmp_path / "j")
    assert list(found.critics.values()) == [None]
    assert "never_intervened" in codes(found.verdicts["rollback"])


@pytest.mark.slow
def test_cascades_and_vain_retries_are_named(tmp_path):
    # Every proposal is dropped and excluded until three are spent: each episode is touched at step 0, three times.
    always = InterventionPolicy(critic=WordCritic({}, otherwise=0.9), intervention=Rollback(exclude=True), budget=3)
    _, found = evidence(plan([Arm.baseline(), Arm("always", always)], n=30), tmp_path / "j")
    assert "cascades" in set(codes(found.verdicts["always"]))
    stubborn = InterventionPolicy(critic=WordCritic({"open": 0.9}), intervention=Rollback(), budget=1)
    _, found = evidence(
        plan([Arm.baseline(), Arm("stubborn", stubborn)], n=10, agent=lambda: _Opener()), tmp_path / "s"
    )
    assert "rollback_noops" in codes(found.verdicts["stubborn"])


class _Opener(DeafAgent):
    def __init__(self):
        super().__init__(agent())

    async def act(self, trajectory, *, draw, excluded=()):
        return Action("open")

    def config(self):
        return {"name": "opener"}


@pytest.mark.slow
def test_an_independent_design_says_so(tmp_path):
    world = lambda: Corridor(doors=4, slip=0.2, replay_safe=False)  # noqa: E731 -- a factory, as short as it gets
    result, found = evidence(plan([Arm.baseline(), Arm("rollback", POLICY)], n=40, environment=world), tmp_path / "j")
    assert {"independent_design", "churn", "net_rates"} <= set(codes(found.verdicts["rollback"]))
    assert found.controls == {"rerun"}
    # The flip rate that is named is the share of tasks on which the baseline and its rerun differ.
    flips = sum(
        result.episodes[f"t{i:02}", 42, "baseline"].success != result.episodes[f"t{i:02}", 42, "rerun"].success
        for i in range(40)
    )
    (text,) = [remark.text for remark in found.verdicts["rollback"].cautions if remark.code == "churn"]
    assert f"differ on {100 * flips / 40:.1f} % of tasks" in text


class _Outage(Corridor):
    """Breaks for one task, whatever is tried."""

    async def reset(self, task, *, draw):
        if task.id == "t03":
            raise ProviderError("down")
        return await super().reset(task, draw=draw)


def test_an_outage_is_counted_and_never_a_failure(tmp_path):
    pilot = plan([Arm.baseline(), Arm("rollback", POLICY)], environment=lambda: _Outage(doors=4, slip=0.2))
    result, found = evidence(pilot, tmp_path / "j")
    verdict = found.verdicts["rollback"]
    assert verdict.pairs == 7
    assert "missing_outcomes" in codes(verdict)
    assert all(key[0] != "t03" for key in result.episodes)


@pytest.mark.slow
def test_rehearsal_says_what_was_seen():
    lines = asyncio.run(rehearse(plan(n=8)))
    assert lines[0].startswith("ran ")
    assert "twice the same, to the last byte" in lines
    assert any(line.startswith("arm rollback: ") for line in lines)


def test_rehearsal_sees_an_agent_that_draws_elsewhere():
    calls = []

    class Fickle(DeafAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            calls.append(1)
            return Action("open" if len(calls) % 3 else "wait")

        def config(self):
            return {"name": "fickle"}

    pilot = plan([Arm.baseline()], environment=corridor, agent=lambda: Fickle(agent()))
    assert any(line.startswith("two runs differed") for line in asyncio.run(rehearse(pilot)))


@pytest.mark.slow
def test_the_same_journal_always_gives_the_same_evidence(tmp_path):
    pilot = plan([Arm.baseline(), Arm("rollback", POLICY)], n=20)
    _, first = evidence(pilot, tmp_path / "j")
    again = asyncio.run(run_pilot(pilot, Journal(tmp_path / "j")))
    assert evidence_of(again) == first


@pytest.mark.slow
def test_several_seeds_are_runs_of_a_task_not_tasks(tmp_path):
    result, found = evidence(plan([Arm.baseline(), Arm("rollback", POLICY)], n=12, seeds=[1, 2, 3]), tmp_path / "j")
    verdict = found.verdicts["rollback"]
    assert (verdict.tasks, verdict.pairs) == (12, 36)
    success = {key: episode.success for key, episode in result.episodes.items()}
    keys = [(f"t{i:02}", seed) for i in range(12) for seed in (1, 2, 3)]
    assert verdict.recovered == sum(success[*k, "rollback"] and not success[*k, "baseline"] for k in keys)


def test_an_outage_of_one_arm_is_bounded(tmp_path):
    pilot = plan([Arm.baseline(), Arm("rollback", POLICY)], environment=lambda: _Outage(doors=4, slip=0.2))
    _, found = evidence(pilot, tmp_path / "j")
    verdict = found.verdicts["rollback"]
    (text,) = [remark.text for remark in verdict.cautions if remark.code.startswith("missing_outcomes")]
    assert "1 of 'baseline' and 1 of 'rollback'" in text
    low, high = (round(100 * (verdict.recovered - verdict.disrupted + k) / 8, 1) for k in (-1, 1))
    assert f"between {low:+.1f} pp and {high:+.1f} pp" in text


def test_too_few_clusters_are_refused_before_the_first_episode():
    clustered = [Task(id=f"t{i}", cluster=f"c{i % 3}") for i in range(12)]
    with pytest.raises(InvalidInput, match="form 3 clusters"):
        plan([Arm.baseline()], tasks=clustered)


@pytest.mark.slow
def test_the_best_of_several_arms_is_corrected_for_having_been_chosen(tmp_path):
    arms = [Arm.baseline(), Arm("rollback", POLICY), Arm("append", with_(Append())), Arm("placebo", with_(Placebo()))]
    _, found = evidence(plan(arms, n=40), tmp_path / "j")
    gains = {name: found.verdicts[name].success_gain.value for name in ("rollback", "append")}
    best = max(gains, key=gains.get)
    named = {name for name, verdict in found.verdicts.items() if "best_of" in codes(verdict)}
    assert named == {best}
    (text,) = [remark.text for remark in found.verdicts[best].cautions if remark.code == "best_of"]
    assert text.startswith("The best of 2 arms")


@pytest.mark.slow
def test_ceilings_are_the_two_kinds_of_changed_pairs(tmp_path):
    _, found = evidence(plan([Arm.baseline(), Arm("rollback", POLICY)], n=40), tmp_path / "j")
    verdict, ceiling = found.verdicts["rollback"], found.ceilings["rollback"]
    assert ceiling.oracle_gain.value == pytest.approx(verdict.recovered / 40)
    assert ceiling.disruption_tax.value == pytest.approx(verdict.disrupted / 40)


class _Silent(WordCritic):
    async def score(self, trajectory, proposed, *, draw):
        return float("nan")


@pytest.mark.slow
def test_a_critic_that_never_answers_is_named_and_refused_by_the_rehearsal(tmp_path):
    policy = InterventionPolicy(critic=_Silent({}), intervention=Rollback())
    pilot = plan([Arm.baseline(), Arm("rollback", policy)], n=10)
    _, found = evidence(pilot, tmp_path / "j", max_critic_faults=None)
    (text,) = [r.text for r in found.verdicts["rollback"].cautions if r.code == "critic_faults"]
    assert "never answered" in text
    with pytest.raises(InvalidInput, match=r"its critic owed \d+ of \d+ scores; the first time: a wrong answer"):
        asyncio.run(rehearse(pilot))


class _Down(Corridor):
    async def reset(self, task, *, draw):
        raise ProviderError("down")


def test_a_pilot_without_any_outcome_could_not_complete(tmp_path):
    pilot = plan([Arm.baseline(), Arm("rollback", POLICY)], n=3, environment=lambda: _Down(doors=4))
    with pytest.raises(ProviderError, match="in a row had no outcome"):
        evidence(pilot, tmp_path / "j")
    with pytest.raises(ProviderError, match="no episode of arm 'baseline' has an outcome"):
        evidence_of(run(pilot, tmp_path / "none", retries=0))
