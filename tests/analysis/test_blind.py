"""The blind control: rates that match, and the paired difference that says what a critic adds."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from forbear.analysis.blind import _after, _Counts, _Rhythm, against_blind, matching_rates
from forbear.analysis.evidence import evidence_of
from forbear.critics.blind import BlindCritic, blind_arm
from forbear.errors import InvalidInput
from forbear.interventions import Append, Placebo, Rollback
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy, PolicyState
from forbear.records.model import Task
from forbear.runner.plan import freeze
from forbear.stats.decision import decide
from forbear.stats.intervals import Estimate
from forbear.stats.looks.looks import Looks
from forbear.testing import CoinCritic
from runner.pilots import POLICY, plan, run, with_

APPEND = Arm("append", with_(Append()))


def one_look(count):
    return Looks(tasks=(count,), watch=False, futility=0.0)


def pilot(*, like=APPEND, rates=(0.2,), n=60, more=(), **options):
    arms = [Arm.baseline(), like, blind_arm(like, rates=rates), *more]
    return plan(arms, n=n, **{"looks": one_look(n), **options})


def per_episode(result, arm):
    return result.arms[arm].interventions / result.arms[arm].episodes


# --- Rates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("retries", [False, True])
@pytest.mark.parametrize(("budget", "min_step", "cooldown"), [(1, 0, 0), (2, 0, 0), (3, 1, 0), (2, 0, 2), (0, 0, 0)])
def test_what_is_expected_at_a_step_is_the_sum_over_all_coins(budget, min_step, cooldown, retries):
    """By enumeration: every sequence of coins that three steps can take, through the policy itself."""
    rates = [0.3, 0.6, 0.5]
    rhythm = _Rhythm(budget=budget, min_step=min_step, cooldown=cooldown, retries=retries)
    policy = InterventionPolicy(
        critic=CoinCritic(0.5), intervention=Append(), budget=budget, min_step=min_step, cooldown=cooldown
    )
    most, expected = 3 * (budget + 1), np.zeros(3)
    for coins in itertools.product([True, False], repeat=most):
        state, step, weight, acts = PolicyState(), 0, 1.0, np.zeros(3)
        for coin in coins:
            if step == 3:
                weight *= 0.5  # coins that are not tossed
                continue
            weight *= rates[step] if coin else 1 - rates[step]
            decision, state = policy.decide(state, step, 1.0 if coin else 0.0)
            acted = decision.value == "act"
            acts[step] += acted
            step += not (acted and retries)
        expected += weight * acts
    states = {(0, None): 1.0}
    for step, rate in enumerate(rates):
        found, states = _after(states, rate, step=step, rhythm=rhythm)
        assert found == pytest.approx(expected[step])
        assert sum(states.values()) == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "like", [APPEND, Arm("rollback", POLICY), Arm("slow", with_(Rollback(), cooldown=2, budget=2))]
)
def test_a_blind_arm_with_the_rates_of_an_arm_intervenes_as_often_at_each_step(like, tmp_path):
    """By simulation: rates from one pilot, interventions by step in another."""
    first = run(pilot(like=like, n=300), tmp_path / "first", concurrency=1)
    rates = matching_rates(first, like.name)
    second = run(pilot(like=like, n=300, rates=rates, order_seed=1), tmp_path / "second", concurrency=1)
    assert per_episode(second, "blind") == pytest.approx(per_episode(second, like.name), rel=0.15)
    counts = [_Counts.of(second, arm) for arm in (like.name, "blind")]
    for step in range(12):
        one, other = (count.acted[step] / count.episodes for count in counts)
        assert one == pytest.approx(other, abs=0.1)


def test_an_arm_that_never_intervened_has_no_rates(tmp_path):
    never = Arm("never", with_(Append(), budget=0))
    result = run(pilot(like=never, n=4), tmp_path)
    assert matching_rates(result, "never") == []
    assert matching_rates(result, "baseline") == []


# --- What the critic adds -------------------------------------------------------------------------------


def test_it_is_the_difference_of_the_two_arms_by_the_test_of_verdicts(tmp_path):
    result = run(pilot(more=[Arm("placebo", with_(Placebo()))]), tmp_path)
    success = {key: episode.success for key, episode in result.episodes.items()}
    cells = [(success[t.id, 42, "blind"], success[t.id, 42, "append"]) for t in result.plan.tasks]
    verdict = decide(PairedOutcomes.from_outcomes(baseline=[b for b, _ in cells], treated=[t for _, t in cells]))
    found = against_blind(result)["append"]
    assert (found.gain, found.p_value, found.p_value_worse) == (
        verdict.success_gain,
        verdict.p_value_gain,
        verdict.p_value_harm,
    )
    assert (found.tasks, found.blind) == (60, "blind")
    assert (found.interventions, found.blind_interventions) == (
        per_episode(result, "append"),
        per_episode(result, "blind"),
    )
    verdicts = evidence_of(result).verdicts
    (said,) = [r for r in verdicts["append"].cautions if r.code.startswith("critic_")]
    assert said.values["p_value"] == found.p_value
    assert not [r for r in verdicts["blind"].cautions if r.code in ("placebo_gain", "no_blind")]
    # One candidate: the blind arm takes no share of its alpha.
    alone = run(plan([Arm.baseline(), APPEND], n=60, looks=one_look(60)), tmp_path / "alone")
    assert verdicts["append"].p_value_gain == evidence_of(alone).verdicts["append"].p_value_gain


@pytest.mark.parametrize("clustered", [False, True])
def test_several_seeds_and_clusters_are_taken_as_verdicts_take_them(clustered, tmp_path):
    tasks = [Task(id=f"t{n:02}", cluster=f"c{n // 2}" if clustered else None) for n in range(30)]
    result = run(pilot(n=30, tasks=tasks, seeds=(1, 2)), tmp_path)
    runs = {
        arm: [[result.episodes[t.id, seed, arm].success for seed in (1, 2)] for t in result.plan.tasks]
        for arm in ("blind", "append")
    }
    verdict = decide(
        ClusteredOutcomes.from_outcomes(
            baseline=runs["blind"],
            treated=runs["append"],
            clusters=[t.cluster or t.id for t in result.plan.tasks] if clustered else None,
        )
    )
    found = against_blind(result)["append"]
    assert found.p_value == pytest.approx(verdict.p_value_gain)
    assert found.gain.low == pytest.approx(verdict.success_gain.low)


def test_doses_that_differ_are_said_with_the_rates_that_match(tmp_path):
    found = against_blind(run(pilot(rates=[0.9]), tmp_path / "often"))["append"]
    assert not found.is_matched
    (said,) = [remark for remark in found.remarks() if remark.code == "blind_mismatch"]
    assert said.values["rates"] == list(found.rates)
    matched = against_blind(run(pilot(rates=found.rates), tmp_path / "matched"))["append"]
    assert abs(matched.blind_interventions - matched.interventions) < abs(
        found.blind_interventions - found.interventions
    )


@pytest.mark.parametrize(
    ("low", "high", "p", "worse", "code"),
    [
        (0.01, 0.2, 0.01, 0.99, "critic_matters"),
        (-0.2, -0.01, 0.99, 0.01, "critic_worse_than_blind"),
        (-0.1, 0.1, 0.5, 0.5, "critic_not_shown_to_matter"),
        (0.0, 0.2, 0.01, 0.99, "critic_not_shown_to_matter"),
        (0.01, 0.2, 0.06, 0.99, "critic_not_shown_to_matter"),
    ],
)
def test_it_takes_test_and_interval_to_say_that_a_critic_matters(low, high, p, worse, code, tmp_path):
    found = against_blind(run(pilot(n=12), tmp_path))["append"]
    gain = Estimate(value=(low + high) / 2, low=low, high=high, confidence=0.9)
    assert replace(found, gain=gain, p_value=p, p_value_worse=worse).remarks()[0].code == code


@pytest.mark.statistical
def test_a_critic_that_is_a_coin_is_rarely_shown_to_matter(tmp_path):
    like = Arm("coin", InterventionPolicy(critic=CoinCritic(0.3), intervention=Append(), budget=3))
    shown = 0
    for n in range(100):
        made = pilot(like=like, rates=[0.3], n=30, seeds=(n,))
        shown += against_blind(run(made, tmp_path / str(n), concurrency=1))["coin"].is_better
    assert shown <= 11  # .05 of 100, and three standard deviations


# --- Plans ----------------------------------------------------------------------------------------------


def test_blind_critics_do_not_watch_the_baseline(tmp_path):
    result = run(pilot(n=4), tmp_path)
    assert result.plan.watching == [POLICY.critic_name]
    for key, episode in result.episodes.items():
        names = {name for step in episode.steps for proposal in step.proposals for name in proposal.p_fail}
        assert any(name.startswith("blind:") for name in names) is (key[2] == "blind")
    assert list(evidence_of(result).critics) == [POLICY.critic_name]


def test_a_plan_refuses_what_is_blind_to_nothing_or_differs_in_more():
    blind = blind_arm(APPEND, rates=[0.1])
    with pytest.raises(InvalidInput, match="is blind of 'append', which is no arm"):
        plan([Arm.baseline(), Arm("rollback", POLICY), blind])
    with pytest.raises(InvalidInput, match="differs from 'append' in more than the critic"):
        plan([Arm.baseline(), Arm("append", with_(Append(), budget=9)), blind])
    with pytest.raises(InvalidInput, match="what is blind has a policy"):
        Arm("blind", blind_of="append")
    record = freeze(plan([Arm.baseline(), APPEND, blind])).record
    assert (record.candidates, record.controls, record.blind_to("append")) == (["append"], ["blind"], "blind")
    assert isinstance(blind.policy.critic, BlindCritic)
