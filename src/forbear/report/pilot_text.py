"""A pilot's view as text for a terminal, at most 80 columns wide; what agents and files said is made inert."""

from rich.table import Table
from rich.text import Text

from forbear.analysis.monitor import monitor_of
from forbear.analysis.plan_record import PlanRecord
from forbear.records.journal import JournalContent
from forbear.report.pilot_view import PathView, PilotView, describe_arm
from forbear.report.terminal import plain_console, printed
from forbear.report.text import decision_text
from forbear.report.view import FORMAT, ArmView, DecisionView
from forbear.runner.plan import FrozenPlan
from forbear.stats.looks.looks import MOST_EXACT_TASKS
from forbear.stats.looks.stopping import looked_power, planned_effect
from forbear.stats.power import AssumedEffect
from forbear.wording import count, number, percent, points, points_interval, share, shown

_SHOWN = ("auroc", "average_precision", "calibration_error")
"""Critic metrics for the terminal; the HTML report has them all."""


def pilot_text(view: PilotView, *, width: int = 80, color: bool = False) -> str:
    """Renders a pilot: each arm's verdict, the critics offline beside the gain online, what it cost.

    Args:
        view: From `pilot_view`.
        width: Columns of the terminal; more than 80 are not used.
        color: Whether terminal codes may be used.
    """
    arms = [arm["decision"] for arm in view["arms"]]
    decision = DecisionView(
        format=FORMAT,
        baseline=arms[0]["baseline"],
        verdicts={arm["arm"]: arm for arm in arms},
        ignored_columns=[],
    )
    console = plain_console(width=width, color=color)
    console.print()
    for arm in view["arms"]:
        console.print(Text(f"The path of {shown(arm['decision']['arm'], limit=40)}", style="bold"))
        if arm["path"]["points"]:
            console.print(_path(arm["path"], arm["decision"]))
        console.print(Text(arm["path"]["ended"]))
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
            f"common took {view['calls_paid']:,} ({percent(saved / max(view['calls_alone'], 1))} saved)."
        )
    )
    if view["unused"]:
        text = "1 episode lies" if len(view["unused"]) == 1 else f"{len(view['unused'])} episodes lie"
        console.print(Text(f"{text} beyond the end of an arm: kept in the journal, not used."))
    return decision_text(decision, width=width, color=color) + printed(console)


def _path(path: PathView, decision: ArmView) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    sequence = f"{share(path['confidence'])} sequence"
    for heading in ("tasks", "recovered", "disrupted", "gain", sequence, "FORBEAR to", "INTERVENE from"):
        table.add_column(heading, justify="right")
    at = {point["tasks"]: point for point in path["points"]}
    for look in path["looks"]:
        point = at[look["tasks"]]
        table.add_row(
            str(look["tasks"]),
            f"{look['recovered']:g}",
            f"{look['disrupted']:g}",
            points(look["gain"], unit=""),
            points_interval(point["low"], point["high"], unit=""),
            points(look["forbear_to"], unit="", undefined="none"),
            points(look["intervene_from"], unit="", undefined="none"),
        )
    end = path["points"][-1]
    if all(look["tasks"] != end["tasks"] for look in path["looks"]):  # between two looks
        counts = (count(decision["recovered"]), count(decision["disrupted"]))
        sequence = points_interval(end["low"], end["high"], unit="")
        gain = points(end["gain"], unit="", undefined="none")
        table.add_row(str(end["tasks"]), *counts, gain, sequence, "-", "-")
    return table


def _critics(view: PilotView) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("", "value", "95 % interval"):
        table.add_column(heading, justify="right" if heading else "left")
    for row in view["critics"]:
        if row["measure"] not in _SHOWN:
            continue
        interval = "" if row["low"] is None else f"{number(row['low'])} to {number(row['high'])}"
        table.add_row(Text(f"{row['measure']} of {shown(row['critic'], limit=30)}"), number(row["value"]), interval)
    for arm in view["arms"]:
        gain = arm["decision"]["success_gain"]
        interval = f"{points_interval(gain['low'], gain['high'])} ({gain['confidence']:.0%})"
        table.add_row(Text(f"gain of {shown(arm['decision']['arm'], limit=30)}"), points(gain["value"]), interval)
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
            percent(row["success"], undefined="-"),
            "-" if per_episode is None else f"{per_episode:.2f}",
            percent(row["cascade_rate"], undefined="-"),
            percent(row["no_answer_rate"], undefined="-"),
            count(row["agent_calls"]),
            count(row["new_agent_calls"]),
            count(row["new_critic_calls"]),
        )
    return table


def plan_text(frozen: FrozenPlan) -> str:
    """What a plan will do, and what it can cost."""
    plan, looks = frozen.plan, frozen.looks
    cells, steps = len(plan.tasks) * len(plan.seeds), plan.max_steps
    # An intervention costs one proposal more than the steps of the budget.
    more = sum(cells * (steps + (arm.policy.budget if arm.policy is not None else 0)) for arm in frozen.arms[1:])
    lines = [
        f"{len(plan.tasks)} tasks x {len(plan.seeds)} seed(s) x {len(frozen.arms)} arms: {cells * len(frozen.arms):,} "
        f"episodes of at most {steps} steps; design: {frozen.design}",
        *(
            f"  {shown(arm.name, limit=30)}: {shown(describe_arm(frozen.record.arms[arm.name]), limit=400)}"
            for arm in frozen.arms
        ),
        f"agent calls: at most {cells * steps:,} for the baseline, and {more:,} for all arms together, each of which "
        "pays only from where it first acts",
        f"looks at {', '.join(map(str, looks.tasks))} tasks"
        + (", watched for harm after every task" if looks.watch else ""),
    ]
    console = plain_console(width=80, color=False)
    for line in lines:
        console.print(Text(line))
    clustered = any(task.cluster for task in plan.tasks)
    if looks.planned <= MOST_EXACT_TASKS and len(plan.seeds) == 1 and not clustered:
        effect = planned_effect(looks, plan.rule)
        console.print(Text(f"What to expect where {100 * effect.discordance:.3g} % of the pairs differ:"))
        console.print(_expected(frozen, calls=cells * steps + more))
        more_said = "Above: an arm by itself; several end with the last of them, and share alpha."
    else:
        more_said = f"What to expect is computed for one pair per task, to {MOST_EXACT_TASKS} tasks."
    console.print(Text(f"Worst case: {looks.planned:,} tasks, {cells * steps + more:,} agent calls. {more_said}"))
    console.print(Text(f"plan {frozen.digest[:12]}"))
    return printed(console)


def _expected(frozen: FrozenPlan, *, calls: int) -> Table:
    """What the looks would do with one arm under a few truths."""
    rule, looks = frozen.plan.rule, frozen.looks
    planned = planned_effect(looks, rule)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("if the gain is", "INTERVENE", "FORBEAR", "futile", "undecided", "tasks", "calls, at most"):
        table.add_column(heading, justify="right")
    for gain in sorted({-0.1, 0.0, planned.gain, 0.1}):
        effect = AssumedEffect(gain=gain, discordance=max(planned.discordance, abs(gain)))
        found = looked_power(effect, looks=looks, rule=rule)
        table.add_row(
            points(gain),
            *(percent(p, 0) for p in (found.intervene, found.forbear, found.futile, found.undecided)),
            f"{found.expected_tasks:.0f}",
            f"{calls * found.expected_tasks / looks.planned:,.0f}",
        )
    return table


def status_text(plan: PlanRecord, content: JournalContent, *, journal: str) -> str:
    """How far a pilot is."""
    rows, planned = [], len(plan.tasks) * len(plan.seeds)
    monitor = monitor_of(plan, content)
    following = next((n for n in plan.looks.tasks if n > monitor.tasks), None)
    then = "over" if monitor.over else f"next look at {following}"
    rows.append(f"evidence: the first {monitor.tasks} of {len(plan.tasks)} tasks; {then}")
    for arm in plan.arms:
        done = sum(key[2] == arm for key in content.episodes)
        missing = sum(key[2] == arm for key in content.missing)
        rest = f", {missing} without outcome" if missing else ""
        end = monitor.ends.get(arm)
        rest += f"; ended after {end.tasks} tasks ({shown(end.reason)})" if end is not None else ""
        rows.append(f"{shown(arm, limit=30)}: {done} of {planned} episodes{rest}")
    rows.append(f"journal: {shown(journal, limit=200)}")
    return "".join(f"{row}\n" for row in rows)
