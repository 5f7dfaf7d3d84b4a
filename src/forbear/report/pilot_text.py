"""A pilot's view as text for a terminal, at most 80 columns wide; what agents and files said is made inert."""

import json

from rich.table import Table
from rich.text import Text

from forbear.errors import shown
from forbear.records.journal import JournalContent
from forbear.report.pilot_view import PilotView, describe_arm
from forbear.report.text import decision_text, plain_console, printed
from forbear.report.view import FORMAT, DecisionView
from forbear.runner.plan import FrozenPlan

_SHOWN = ("auroc", "average_precision", "calibration_error")
"""Critic metrics for the terminal; the HTML report has them all."""


def pilot_text(view: PilotView, *, width: int = 80, color: bool = False) -> str:
    """Renders a pilot: each arm's verdict, the critics offline beside the gain online, what it cost.

    Args:
        view: From `pilot_view`.
        width: Columns of the terminal; more than 80 are not used.
        color: Whether terminal codes may be used.
    """
    decision = DecisionView(
        format=FORMAT, baseline="baseline", arms=[arm["decision"] for arm in view["arms"]], ignored_columns=[]
    )
    console = plain_console(width=width, color=color)
    console.print()
    console.print(Text("The critic offline, its arms online", style="bold"))
    console.print(_critics(view))
    console.print()
    console.print(Text("Calls", style="bold"))
    console.print(_costs(view))
    saved = view["calls_alone"] - view["calls_paid"]
    console.print(
        Text(
            f"Run apart, the arms would have taken {view['calls_alone']:,} agent calls; sharing what they have in "
            f"common took {view['calls_paid']:,} ({_percent(saved / max(view['calls_alone'], 1))} saved)."
        )
    )
    return decision_text(decision, width=width, color=color) + printed(console)


def _critics(view: PilotView) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("", "value", "95 % interval"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in view["critics"]:
        if row["measure"] not in _SHOWN:
            continue
        interval = "" if row["low"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        value = "undefined" if row["value"] is None else f"{row['value']:.3f}"
        table.add_row(Text(f"{row['measure']} of {shown(row['critic'], limit=30)}"), value, interval)
    for arm in view["arms"]:
        gain = arm["decision"]["gain"]
        interval = f"{100 * gain['low']:+.1f} to {100 * gain['high']:+.1f} pp ({gain['confidence']:.0%})"
        value = "undefined" if gain["value"] is None else f"{100 * gain['value'] + 0.0:+.1f} pp"
        table.add_row(Text(f"gain of {shown(arm['decision']['arm'], limit=30)}"), value, interval)
    return table


def _costs(view: PilotView) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    headings = ("arm", "success", "interv./ep.", "cascades", "no answer", "calls", "new", "critic")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "arm" else "right")
    for row in view["costs"]:
        per_episode = row["interventions_per_episode"]
        table.add_row(
            Text(shown(row["arm"], limit=20)),
            _percent(row["success"]),
            "-" if per_episode is None else f"{per_episode:.2f}",
            _percent(row["cascade_rate"]),
            _percent(row["no_answer_rate"]),
            f"{row['agent_calls']:,}",
            f"{row['new_agent_calls']:,}",
            f"{row['new_critic_calls']:,}",
        )
    return table


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100 * fraction:.1f} %"


def plan_text(frozen: FrozenPlan) -> str:
    """What a plan will do, and the most it can cost."""
    plan = frozen.plan
    cells, steps = len(plan.tasks) * len(plan.seeds), plan.max_steps
    # An intervention costs one proposal more than the steps of the budget.
    more = sum(cells * (steps + (arm.policy.budget if arm.policy is not None else 0)) for arm in frozen.arms[1:])
    lines = [
        f"{len(plan.tasks)} tasks x {len(plan.seeds)} seed(s) x {len(frozen.arms)} arms: {cells * len(frozen.arms):,} "
        f"episodes of at most {steps} steps; design: {frozen.design}",
        *(f"  {shown(arm.name, limit=30)}: {shown(describe_arm(arm), limit=400)}" for arm in frozen.arms),
        f"agent calls: at most {cells * steps:,} for the baseline, and {more:,} for all arms together, each of which "
        "pays only from where it first acts",
        f"plan {frozen.digest[:12]}",
    ]
    console = plain_console(width=80, color=False)
    for line in lines:
        console.print(Text(line))
    return printed(console)


def status_text(frozen: FrozenPlan, content: JournalContent, *, journal: str) -> str:
    """How far a pilot is."""
    plan, rows = frozen.plan, []
    if content.plan != json.loads(json.dumps(frozen.record)):
        rows.append("the journal was started under another plan than this file's")
    planned = len(plan.tasks) * len(plan.seeds)
    for arm in frozen.arms:
        done = sum(key[2] == arm.name for key in content.episodes)
        excluded = sum(key[2] == arm.name for key in content.exclusions)
        rest = f", {excluded} without outcome" if excluded else ""
        rows.append(f"{shown(arm.name, limit=30)}: {done} of {planned} episodes{rest}")
    rows.append(f"journal: {shown(journal, limit=200)}")
    return "".join(f"{row}\n" for row in rows)
