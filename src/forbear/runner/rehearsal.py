"""Tries a plan on a few tasks before it is paid for in full."""

import tempfile
from dataclasses import replace
from pathlib import Path

from msgspec import structs

from forbear.analysis.cautions import MOST_FAULTS
from forbear.analysis.result import PilotResult, findings_digest
from forbear.errors import InvalidInput
from forbear.models.session import ModelSettings
from forbear.policy.arm import Arm
from forbear.records.journal import Journal
from forbear.runner.ledger import Budget
from forbear.runner.order import planned_order
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan, freeze
from forbear.wording import amount, counted, shown

MOST_TASKS = 5
"""Tasks tried at most, until an arm has intervened."""


async def shadow(
    plan: PilotPlan, *, tasks: int, models: ModelSettings, concurrency: int, budget: Budget | None
) -> PilotResult:
    """Runs the first tasks of the planned order under every arm, to see what the rest will take.

    What language models answer is kept where the pilot itself looks for it, so that it pays for nothing again.

    Args:
        plan: Of the pilot.
        tasks: How many, at least 1.
        models: Settled for the pilot's own journal.
        concurrency: Tasks under way at a time.
        budget: What may be paid for.

    Raises:
        ForbearError: What `run_pilot` raises.
    """
    ordered = planned_order(plan.tasks, order_seed=plan.order_seed)[:tasks]
    first = [structs.replace(task, cluster=None) for task in ordered]
    small = replace(plan, arms=_apart(plan), tasks=first, looks=None, earlier=())
    with tempfile.TemporaryDirectory(prefix="forbear-shadow-") as directory:
        return await run_pilot(small, Journal(directory), concurrency=concurrency, models=models, budget=budget)


def _apart(plan: PilotPlan) -> list[Arm]:
    """The arms without a ladder: there is nothing to choose by so few tasks, and all are to be tried."""
    return [replace(arm, in_ladder=False) for arm in plan.arms]


async def rehearse(plan: PilotPlan, *, models: ModelSettings | None = None) -> list[str]:
    """Runs the first task (more, up to five, until an arm intervenes) with every arm, twice.

    Nothing is kept but what language models answered, so that the second run, and the pilot, pay for nothing again.

    Args:
        plan: Of the pilot.
        models: Settled for the pilot's own journal; None: answers are kept for the second run only.

    Returns:
        What was seen, a line each.

    Raises:
        ForbearError: What `run_pilot` raises; a part that breaks its contract says so here, a critic too.
    """
    with tempfile.TemporaryDirectory(prefix="forbear-check-") as directory:
        models = models or ModelSettings().settled(Path(directory), plan_digest="")
        for count in range(1, min(MOST_TASKS, len(plan.tasks)) + 1):
            # So few have no clusters to speak of.
            tasks = [structs.replace(task, cluster=None) for task in plan.tasks[:count]]
            small = replace(plan, arms=_apart(plan), tasks=tasks, seeds=plan.seeds[:1], looks=None, earlier=())
            result, digest = await _run(small, models)
            if any(arm.interventions for arm in result.arms.values()):
                break
        _, again = await _run(small, models)
    _require_agent(result)
    _require_critics(result)
    return [*_told_of_the_parts(plan, result, is_same=digest == again), *_told_of_the_arms(result, tasks=count)]


def _told_of_the_parts(plan: PilotPlan, result: PilotResult, *, is_same: bool) -> list[str]:
    arms, frozen = result.arms.values(), freeze(plan)
    calls, paid = sum(arm.agent_calls for arm in arms), sum(arm.new_agent_calls for arm in arms)
    bill, design = result.bill, result.design
    world = frozen.conditions
    way = (
        "restored" if world.world_restorable else "replayed" if frozen.can_go_back else "neither replayed nor restored"
    )
    critics = ", ".join(shown(name) for name in frozen.critics) or "none"
    lines = [
        f"ran {counted(len(result.plan.tasks), 'task')} under {', '.join(map(shown, result.arms))}; critics: {critics}",
        f"design {design}: the world can be {way}, so arms "
        + ("share what they have in common" if design == "coupled" else "are run apart, and pay for all they do"),
        f"agent calls: {paid} made, {calls} without sharing",
        "twice the same, to the last byte"
        if is_same
        else "two runs differed: the agent or the world is not a function of its draws, so arms do not share draws",
    ]
    if bill.tokens is not None:
        cost = "; no [prices], so no cost" if bill.cost is None else f", a cost of {amount(bill.cost)}"
        lines.append(
            f"language models: {bill.tokens:,} tokens{cost}; what they answered is kept by request and draw, and not "
            "asked again"
        )
    lines.append(
        "an outage is a ProviderError, raised by the agent, or anything that the world raises: it has no outcome and "
        "is tried again; whatever else the agent raises is its failure"
    )
    return lines


def _told_of_the_arms(result: PilotResult, *, tasks: int) -> list[str]:
    lines, arms = list[str](), result.arms.values()
    broken = [episode for episode in result.episodes.values() if episode.termination.is_agent_fault]
    if broken:
        lines.append(
            f"the agent broke in {counted(len(broken), 'run')}, e.g. {shown(broken[0].cause or '', limit=200)}"
        )
    for arm in arms:
        name = shown(arm.name)
        if arm.interventions:
            noops = f", {arm.rollback_noops} of them in vain" if arm.rollback_noops else ""
            lines.append(f"arm {name}: {arm.interventions} interventions{noops}")
        if arm.missing:
            lines.append(f"arm {name}: {arm.missing} episodes have no outcome, the outside world broke them")
        if arm.critic_faults:
            lines.append(f"arm {name}: its critic owed {arm.critic_faults} of {arm.critic_calls} scores")
    if not any(arm.interventions for arm in arms):
        lines.append(f"no arm intervened in {tasks} tasks; if you expect more, look at threshold and min_step")
    return lines


def _require_critics(result: PilotResult) -> None:
    """Refuses a critic that breaks, with what it said first."""
    for arm in result.arms.values():
        if arm.critic_faults > MOST_FAULTS * arm.critic_calls:
            raise InvalidInput(
                f"arm {shown(arm.name)}: its critic owed {arm.critic_faults} of {arm.critic_calls} scores; the first "
                f"time: {shown(_first_fault(result, arm.name), limit=400)}. `score` returns a number in [0, 1], or "
                "None to abstain."
            )


def _first_fault(result: PilotResult, arm: str) -> str:
    for episode in result.episodes.values():
        for step in episode.steps if episode.arm == arm else ():
            for proposal in step.proposals:
                for critic in proposal.faults:
                    return proposal.why.get(critic, proposal.faults[critic])
    return "it did not say"


def _require_agent(result: PilotResult) -> None:
    """Refuses an agent that only ever broke."""
    causes = [episode.cause for episode in result.episodes.values() if episode.termination.is_agent_fault]
    if causes and len(causes) == len(result.episodes):
        raise InvalidInput(
            f"the agent broke in each of its {counted(len(causes), 'run')}: {shown(causes[0] or '', limit=400)}."
        )


async def _run(plan: PilotPlan, models: ModelSettings) -> tuple[PilotResult, str]:
    with tempfile.TemporaryDirectory(prefix="forbear-check-") as directory:
        journal = Journal(directory)
        result = await run_pilot(plan, journal, concurrency=1, max_critic_faults=None, models=models)
        return result, findings_digest(result.plan, journal.read())
