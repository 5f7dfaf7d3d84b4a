"""Small pilots whose behaviour is known, shared by the runner's tests."""

import asyncio
from dataclasses import replace

from forbear.analysis.plan_record import PlanRecord
from forbear.analysis.result import findings_digest
from forbear.interventions import Append, Placebo, Rollback, Stop
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import Task
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan, freeze
from forbear.testing import CoinCritic, CoinFlipAgent, Corridor, RestorableCorridor, WordCritic

WORD = WordCritic({"jump": 0.9})
POLICY = InterventionPolicy(critic=WORD, intervention=Rollback())
WEIGHTS = {"open": 3, "wait": 2, "back": 1, "jump": 0.7}


def tasks(count):
    return [Task(id=f"t{number:02}") for number in range(count)]


def agent():
    return CoinFlipAgent(WEIGHTS, warned={"open": 5, "wait": 1})


def corridor():
    return Corridor(doors=4, slip=0.2)


def restorable():
    return RestorableCorridor(doors=4, slip=0.2)


def with_(intervention, **options):
    return replace(POLICY, intervention=intervention, **options)


ALL_ARMS = [
    Arm.baseline(),
    Arm("rollback", POLICY),
    Arm("same", POLICY),
    Arm("append", with_(Append())),
    Arm("placebo", with_(Placebo())),
    Arm("deep", with_(Rollback(depth=3, message="not {action}", exclude=True), min_step=1)),
    Arm("charged", with_(Rollback(costs_step=True, message="no"), cooldown=1)),
    Arm("stop", with_(Stop(), threshold=0.8)),
    Arm.rerun(),
    Arm("coin", InterventionPolicy(critic=CoinCritic(0.3), intervention=Append(), budget=2)),
]


def plan(arms=ALL_ARMS, *, n=8, **options):
    options = {"tasks": tasks(n), "agent": agent, "environment": corridor, "max_steps": 12, **options}
    return PilotPlan(arms=arms, **options)


def order(plan):
    """The ids of the tasks in the order in which they are run and count."""
    return [task.id for task in freeze(plan).plan.tasks]


def run(plan, directory, **options):
    return asyncio.run(run_pilot(plan, Journal(directory), **options))


def digest(directory):
    content = Journal(directory).read()
    return findings_digest(PlanRecord.of(content.plan, where=str(directory)), content)


def arms_of(result, task, seed=42):
    """The episodes of one task, by arm."""
    return {arm: episode for (t, s, arm), episode in result.episodes.items() if (t, s) == (task, seed)}
