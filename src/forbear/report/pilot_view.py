"""What a pilot's report shows, as plain data: JSON is this, terminal and page render this and compute nothing.

Format `forbear-pilot-2`. Made of what the sections add (`report.sections`); rates and gains are fractions.
"""

import json
from typing import Any, TypedDict

from forbear import __version__
from forbear.analysis.evidence import Evidence
from forbear.analysis.plan_record import ArmRecord
from forbear.analysis.result import PilotResult
from forbear.report.sections import advantage, breakeven, ceilings, costs, critics, forks, overview, path, sources
from forbear.report.view import ArmView, arm_view
from forbear.stats.verdict import RemarkJson
from forbear.wording import counted, shown

FORMAT = "forbear-pilot-2"

_MOST_SEEDS = 20
"""Named in a report."""

ESTIMAND = (
    "The gain is that over tasks like these with fresh draws of the agent: tasks count as a sample of the deployment's."
)


class BaselineView(costs.CostView):
    """The arm that the others are compared with."""

    arm: str
    logged: dict[str, Any] | None
    """Its logged runs beside its own; None where none are re-used."""


class TreatedView(costs.CostView):
    """One treated arm: its verdict, how it came there, what it did and cost."""

    verdict: ArmView
    path: path.PathView
    description: str
    critic: str | None
    """Whom it listens to; None of a rerun, and of arms that a host runs."""
    is_control: bool
    switching_on: costs.SwitchingOnView | None
    """What it takes more than the agent alone; None for controls."""
    oracle_gain: float | None
    """What an intervention that never disrupted would have gained."""
    disruption_tax: float | None
    """What the disruptions took of it."""
    break_even: breakeven.BreakEvenView | None
    """The gain over failure rates; None where the baseline only failed or only succeeded."""
    against_blind: dict[str, Any] | None
    """What its critic adds to the same intervention at random moments; None where no arm is blind to it."""
    advantage: advantage.AdvantageView | None
    """Its gain by where it first stepped in; None where arms share no prefix, or it touched nothing."""
    sources: sources.SourcesView | None
    """Its changes by step, by number of interventions, by kind of task; None where it never stepped in."""
    forks: list[forks.ForkView]
    forks_left_out: int


class PilotView(TypedDict):
    """Everything that the report of a pilot says."""

    format: str
    title: str
    plan_digest: str
    journal: str
    report: str | None
    """Where the page lies."""
    command: str | None
    """What makes it again."""
    made_by: str
    """Version of forbear."""
    tasks: int
    """That count: to the end of the last arm, or to the last look that was taken."""
    planned_tasks: int
    seeds: int
    seed_values: list[int]
    """The first of them; every run's draws follow from its task and its seed."""
    continuations: int
    """More than 1: that many runs of each task go on from its first trigger, and `seeds` counts them."""
    design: str
    looks: dict[str, Any]
    over: bool
    estimand: str
    overview: RemarkJson
    """What to do about all arms that may be deployed, in a sentence."""
    baseline: BaselineView
    arms: dict[str, TreatedView]
    """By name."""
    critic: critics.MeasuresView | None
    """Of the first critic."""
    critics: dict[str, critics.MeasuresView]
    curves: dict[str, critics.CurvesView]
    """By critic, its ROC and reliability."""
    ceilings: ceilings.CeilingsView
    """What was gained beside what could have been."""
    calls: costs.CallsView
    unused: list[costs.UnusedView]


def pilot_view(
    result: PilotResult,
    evidence: Evidence,
    *,
    title: str,
    journal: str,
    report: str | None = None,
    command: str | None = None,
) -> PilotView:
    """Arranges a pilot for its report.

    Args:
        result: What was found.
        evidence: What it says.
        title: Of the report, e.g. the name of the pilot's file.
        journal: Where the journal lies.
        report: Where the page lies, if there is one.
        command: What makes it again, if it was a command.
    """
    plan, measured = result.plan, critics.view(evidence)
    baseline = result.arms[plan.baseline_arm]
    arms = {arm: _treated(arm, result, evidence) for arm in plan.treated}
    return PilotView(
        format=FORMAT,
        title=title,
        plan_digest=result.plan_digest,
        journal=journal,
        report=report,
        command=command,
        made_by=f"forbear {__version__}",
        tasks=result.tasks,
        planned_tasks=len(plan.tasks),
        seeds=len(plan.seeds),
        seed_values=list(plan.seeds[:_MOST_SEEDS]),
        continuations=plan.continuations,
        design=result.design,
        looks=plan.looks.to_dict(),
        over=result.monitor.over,
        estimand=ESTIMAND,
        overview=overview.view(arm["verdict"] for arm in arms.values() if not arm["is_control"]),
        baseline=BaselineView(
            **costs.view(baseline),
            arm=baseline.name,
            logged=None if evidence.logged is None else evidence.logged.values(),
        ),
        arms=arms,
        critic=next(iter(measured.values()), None),
        critics=measured,
        curves=critics.curves(evidence),
        ceilings=ceilings.view(result, evidence),
        calls=costs.calls_view(result.arms, bill=result.bill, earlier=result.plan.baseline.earlier),
        unused=costs.unused_view(result.unused),
    )


def pilot_json(view: PilotView) -> str:
    """The view for programs, strict JSON."""
    return json.dumps(view, indent=2, allow_nan=False)


def describe_arm(arm: ArmRecord) -> str:
    """One line on what an arm does."""
    policy = arm.policy
    if arm.kind == "host":
        config = ", ".join(f"{key} {value!r}" for key, value in (policy or {}).items())
        return f"as its host runs it{f' ({config})' if config else ''}"
    if policy is None:
        return "the agent alone, at another seed" if arm.kind == "rerun" else "the agent alone"
    options = ", ".join(f"{key} {value!r}" for key, value in policy["intervention"].items() if key != "kind" and value)
    band = f" and at most {policy['up_to']:g}" if "up_to" in policy else ""
    when = f"when p_fail > {policy['threshold']:g}{band}"
    if arm.blind_of:
        when = f"at random, as often as '{arm.blind_of}'"
    text = f"{arm.intervention}{f' ({options})' if options else ''} {when}"
    return f"{text}, from step {policy['min_step']} on, at most {counted(policy['budget'], 'time')}, by {arm.critic}"


def _control(arm: ArmRecord, *, chosen: bool) -> str:
    if arm.in_ladder:
        return "CHOSEN: to be tested on the tasks to come." if chosen else "NOT CHOSEN at the first look: not tested."
    if arm.blind_of is not None:
        return f"CONTROL: the intervention of '{shown(arm.blind_of)}' at random moments; never deployed."
    return "CONTROL: what changes without help or harm from anybody; never deployed."


def _treated(arm: str, result: PilotResult, evidence: Evidence) -> TreatedView:
    is_control, ceiling = arm in evidence.controls, evidence.ceilings.get(arm)
    verdict = arm_view(arm, evidence.verdicts[arm], baseline=result.plan.baseline_arm)
    if is_control:
        verdict["recommendation"] = "CONTROL"
        text = _control(result.plan.arms[arm], chosen=result.monitor.chosen == arm)
        verdict["headline"] = {"code": "control", "text": text, "values": {}}
        verdict["next"] = []
        verdict["value"] = verdict["no_value"] = None
    changed, left_out = forks.view(arm, result)
    return TreatedView(
        **costs.view(result.arms[arm]),
        verdict=verdict,
        path=path.view(arm, result, evidence),
        description=describe_arm(result.plan.arms[arm]),
        critic=result.plan.arms[arm].critic,
        is_control=is_control,
        switching_on=None
        if is_control
        else costs.switching_on_view(
            result.arms[arm], result.arms[result.plan.baseline_arm], recovered=evidence.verdicts[arm].recovered
        ),
        oracle_gain=None if ceiling is None else ceiling.oracle_gain.value,
        disruption_tax=None if ceiling is None else ceiling.disruption_tax.value,
        break_even=None
        if (curve := evidence.elsewhere.get(arm)) is None
        else breakeven.view(curve, baseline=result.plan.baseline_arm),
        against_blind=None if arm not in evidence.blind else evidence.blind[arm].values(),
        advantage=advantage.view(arm, result),
        sources=sources.view(arm, result),
        forks=changed,
        forks_left_out=left_out,
    )
