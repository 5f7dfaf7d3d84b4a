"""Coupling saves calls and changes nothing: each arm's episode is the one that it would have run alone."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from forbear.interventions import Append, Placebo, Rollback, Stop
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.runner.episode import run_episode
from forbear.runner.memo import Memo
from forbear.runner.plan import freeze
from forbear.testing import CoinCritic, ScriptedCritic
from runner.pilots import WORD, agent, corridor, plan, restorable
from runner.test_episode import timeless

messages = st.sampled_from(["no {action}", "careful"])
interventions = st.one_of(
    st.builds(
        Rollback,
        depth=st.integers(1, 4),
        message=st.none() | messages,
        exclude=st.booleans(),
        costs_step=st.booleans(),
    ),
    st.builds(Append, message=messages),
    st.just(Placebo()),
    st.just(Stop()),
)
policies = st.builds(
    InterventionPolicy,
    critic=st.sampled_from([WORD, CoinCritic(0.4), ScriptedCritic([0.1, 0.9, None, 0.7])]),
    intervention=interventions,
    threshold=st.sampled_from([0.0, 0.6, 0.8]),
    min_step=st.integers(0, 3),
    budget=st.integers(0, 4),
    cooldown=st.integers(0, 2),
)


def behaviour(episode):
    """What happened, without who watched and who paid."""
    steps = tuple(
        replace(s, proposals=tuple(replace(p, p_fail={}, faults={}) for p in s.proposals)) for s in episode.steps
    )
    return (steps, episode.termination, episode.success, episode.final_observation, episode.usage.agent.calls)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(policies, min_size=1, max_size=4), st.integers(0, 10**6), st.sampled_from([corridor, restorable]))
def test_an_arm_among_others_does_what_it_does_alone(drawn, seed, environment):
    arms = [Arm.baseline(), *(Arm(f"arm{number}", policy) for number, policy in enumerate(drawn))]
    frozen = freeze(plan(arms, n=1, environment=environment, agent=agent, seeds=[seed]))
    shared, written = Memo(), []
    for arm in frozen.arms:
        cell = frozen.cell(frozen.plan.tasks[0], seed, arm)
        coupled = asyncio.run(run_episode(cell, arm.policy, shared))
        alone = asyncio.run(run_episode(cell, arm.policy, Memo()))
        assert behaviour(coupled) == behaviour(alone)
        assert coupled.usage.agent.paid.calls <= alone.usage.agent.paid.calls == alone.usage.agent.calls
        refilled = Memo()  # as in a process that resumes after every episode
        for episode in written:
            refilled.fill(episode)
        resumed = asyncio.run(run_episode(cell, arm.policy, refilled))
        assert timeless(resumed) == timeless(coupled)
        written.append(coupled)
