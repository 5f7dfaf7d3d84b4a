"""Runs a small pilot with one fault in it and checks what must hold whatever the fault is."""

import asyncio
import random
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

from faults.machine import FAULTS, Machine
from faults.parts import (
    WAITS,
    Agent,
    Critic,
    Injected,
    Injector,
    Make,
    Remembering,
    RestorableWorld,
    World,
    faults_of,
)
from forbear.analysis.plan_record import PlanRecord
from forbear.analysis.result import findings_digest
from forbear.errors import ForbearError
from forbear.interventions import Append, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import Task
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan

SCENARIOS = {
    "coupled": ("coupled", Agent, World),
    "independent": ("independent", Agent, World),
    "restored": ("coupled", Remembering, RestorableWorld),
}

CLEAN = Injector()

CLOCK_STRIDE = 5
"""A clock is looked at some hundred times, most of them alike."""


def deadline_of(fault):
    """Seconds: short where the fault waits for it, long where a pause of a busy machine must not be taken for one."""
    return 0.05 if fault in WAITS else 5.0


def plan_of(scenario, injector=CLEAN, deadline_s=5.0):
    design, agent, world = SCENARIOS[scenario]
    policy = partial(InterventionPolicy, critic=Critic(injector), critic_deadline_s=deadline_s)
    return PilotPlan(
        tasks=[Task(id=f"t{number}") for number in range(3)],
        agent=Make("agent.factory", agent, injector),
        environment=Make("world.factory", world, injector),
        arms=[
            Arm.baseline(),
            Arm("rollback", policy(intervention=Injected(Rollback(depth=2, message="no"), injector))),
            Arm("append", policy(intervention=Injected(Append(), injector))),
        ],
        design=design,
        max_steps=6,
        call_deadline_s=deadline_s,
    )


def run(scenario, directory, injector=CLEAN, deadline_s=5.0, **options):
    plan = plan_of(scenario, injector, deadline_s)
    # So few scores that a single fault would be too many of them.
    options = {"max_critic_faults": None, **options}
    return asyncio.run(run_pilot(plan, Journal(directory), concurrency=1, **options))


def run_on_a_machine(scenario, directory, injector, deadline_s=5.0, **options):
    """With a disk, a lock and a clock that may break; `always`, so that each line is forced to the disk by itself."""
    with Machine(injector, directory):
        return run(scenario, directory, injector, deadline_s, sync="always", **options)


def digest_of(content, directory):
    return findings_digest(PlanRecord.of(content.plan, where=str(directory)), content)


@cache
def clean(scenario, deadline_s=5.0):
    """What a run without fault finds: its outcomes, its digest, and how often each point is called."""
    injector = Injector()
    with TemporaryDirectory() as directory:
        run_on_a_machine(scenario, directory, injector, deadline_s)
        content = Journal(directory).read()
        return {k: told(e) for k, e in content.episodes.items()}, digest_of(content, directory), dict(injector.calls)


def told(episode):
    """What an episode came to, without who paid and what was said of it."""
    return episode.termination, episode.success, [step.executed for step in episode.steps]


def is_excused(episode):
    """Whether the record itself says that somebody broke in it."""
    proposals = [proposal for step in episode.steps for proposal in step.proposals]
    if episode.termination.is_agent_fault:
        return bool(episode.cause) and episode.success is False
    return any(proposal.faults or proposal.refusal for proposal in proposals)


def injections(scenarios=tuple(SCENARIOS)):
    """Every fault at every call of every point, in a random order that is always the same."""
    every = [
        (scenario, point, fault, nth)
        for scenario in scenarios
        for point, calls in clean(scenario)[2].items()
        for fault in FAULTS.get(point) or faults_of(point)
        for nth in range(1, calls + 1, CLOCK_STRIDE if point.startswith("clock.") else 1)
    ]
    random.Random(12).shuffle(every)
    return every


def check(scenario, point, fault, nth, *, workers=1):
    """Injects one fault.

    Returns:
        What became of it: `failure`, `tried again`, `went on` or the name of the error that stopped the pilot.
    """
    deadline_s = deadline_of(fault)
    outcomes, clean_digest, _ = clean(scenario, deadline_s)
    where, stopped = f"{scenario}: {fault} at call {nth} of {point}", None
    with TemporaryDirectory() as directory:
        try:
            on = run_on_a_machine if point in FAULTS else run
            result = on(scenario, directory, Injector(point, fault, nth), deadline_s, workers=workers)
            assert len(result.episodes) + len(result.missing) == len(outcomes), where
        except ForbearError as error:
            stopped = type(error).__name__
        if point.startswith("disk."):
            assert stopped, where  # nothing that the system refused passes in silence
            is_begun = (Path(directory) / "plan.json").exists()
            assert all(told(e) == outcomes[k] for k, e in Journal(directory).read().episodes.items()) if is_begun else 1
            run(scenario, directory)
            assert digest_of(Journal(directory).read(), directory) == clean_digest, where
            return stopped
        content = Journal(directory).read()
        differing = [key for key, episode in content.episodes.items() if told(episode) != outcomes[key]]
        for key in differing:
            assert is_excused(content.episodes[key]), (where, key, told(content.episodes[key]), outcomes[key])
        broken, before = dict(content.broken), content.episodes.keys()
        run(scenario, directory, deadline_s=deadline_s)
        again = Journal(directory).read()
        assert again.episodes.keys() | again.missing.keys() == outcomes.keys(), where
        for key, episode in again.episodes.items():
            assert told(episode) == outcomes[key] or is_excused(episode), (where, key)
        excused = any(is_excused(episode) for episode in again.episodes.values())
        if not excused:
            assert digest_of(again, directory) == clean_digest, where
        assert before <= again.episodes.keys(), where
        if point.startswith("world") or fault == "ProviderError":
            assert not differing or point in ("critic.score", "intervention.apply"), where
    if stopped is not None:
        return stopped
    if broken:
        return "tried again"
    return "failure" if any(e.termination.is_agent_fault for e in content.episodes.values()) else "went on"
