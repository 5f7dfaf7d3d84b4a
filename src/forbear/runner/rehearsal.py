"""Tries a plan on a few tasks before it is paid for in full."""

import tempfile
from dataclasses import replace

from msgspec import structs

from forbear.analysis.result import PilotResult, findings_digest
from forbear.errors import InvalidInput
from forbear.models.session import ModelSettings
from forbear.records.journal import Journal
from forbear.runner.ledger import Budget
from forbear.runner.order import planned_order
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan
from forbear.wording import counted, shown

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
    small = replace(plan, tasks=first, looks=None)
    with tempfile.TemporaryDirectory(prefix="forbear-shadow-") as directory:
        return await run_pilot(small, Journal(directory), concurrency=concurrency, models=models, budget=budget)


async def rehearse(plan: PilotPlan) -> list[str]:
    """Runs the first task (more, up to five, until an arm intervenes) with every arm, twice, and keeps nothing.

    Returns:
        What was seen, a line each.

    Raises:
        ForbearError: What `run_pilot` raises; a part that breaks its contract says so here, a critic too.
    """
    for count in range(1, min(MOST_TASKS, len(plan.tasks)) + 1):
        tasks = [
            structs.replace(task, cluster=None) for task in plan.tasks[:count]
        ]  # so few have no clusters to speak of
        small = replace(plan, tasks=tasks, seeds=plan.seeds[:1], looks=None)
        result, digest = await _run(small)
        if any(arm.interventions for arm in result.arms.values()):
            break
    _, again = await _run(small)
    _require_agent(result)
    arms = result.arms.values()
    calls, paid = sum(arm.agent_calls for arm in arms), sum(arm.new_agent_calls for arm in arms)
    lines = [
        f"ran {count} task{'s' if count > 1 else ''} under {', '.join(result.arms)}: design {result.design}",
        f"agent calls: {paid} made, {calls} without sharing",
        "twice the same, to the last byte"
        if digest == again
        else "two runs differed: the agent or the world is not a function of its draws, so arms do not share draws",
    ]
    broken = [episode for episode in result.episodes.values() if episode.termination.is_agent_fault]
    if broken:
        lines.append(
            f"the agent broke in {counted(len(broken), 'run')}, e.g. {shown(broken[0].cause or '', limit=200)}"
        )
    for arm in arms:
        if arm.interventions:
            noops = f", {arm.rollback_noops} of them in vain" if arm.rollback_noops else ""
            lines.append(f"arm {arm.name}: {arm.interventions} interventions{noops}")
        if arm.missing:
            lines.append(f"arm {arm.name}: {arm.missing} episodes have no outcome, the outside world broke them")
        if arm.critic_faults and arm.critic_faults >= arm.critic_calls:
            raise InvalidInput(
                f"arm {arm.name}: its critic never gave a probability ({arm.critic_faults} times it broke, was late or "
                "returned something else). `score` must be async and return a number in [0, 1], or None to abstain."
            )
        if arm.critic_faults:
            lines.append(f"arm {arm.name}: its critic broke, hung or gave no probability {arm.critic_faults} times")
    if not any(arm.interventions for arm in arms):
        lines.append(f"no arm intervened in {count} tasks; if you expect more, look at threshold and min_step")
    return lines


def _require_agent(result: PilotResult) -> None:
    """Refuses an agent that only ever broke."""
    causes = [episode.cause for episode in result.episodes.values() if episode.termination.is_agent_fault]
    if causes and len(causes) == len(result.episodes):
        raise InvalidInput(
            f"the agent broke in each of its {counted(len(causes), 'run')}: {shown(causes[0] or '', limit=400)}."
        )


async def _run(plan: PilotPlan) -> tuple[PilotResult, str]:
    with tempfile.TemporaryDirectory(prefix="forbear-check-") as directory:
        journal = Journal(directory)
        result = await run_pilot(plan, journal, concurrency=1)
        return result, findings_digest(result.plan, journal.read())
