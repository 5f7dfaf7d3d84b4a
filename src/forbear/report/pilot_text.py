"""A pilot's view as text for a terminal: its sections one after the other."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from forbear.analysis.blind import matching_rates
from forbear.analysis.monitor import monitor_of
from forbear.analysis.plan_record import PlanRecord
from forbear.analysis.result import PilotResult
from forbear.records.journal import JournalContent
from forbear.report.pilot_view import PilotView, describe_arm
from forbear.report.sections import advantage, costs, critics, path
from forbear.report.terminal import Terminal, plain_console, printed
from forbear.report.text import decision_text
from forbear.report.view import FORMAT, DecisionView
from forbear.runner.plan import FrozenPlan
from forbear.stats.looks.looks import MOST_EXACT_TASKS
from forbear.stats.looks.stopping import looked_power, planned_effect
from forbear.stats.planning import AssumedEffect
from forbear.wording import amount, counted, percent, points, shown


def pilot_text(view: PilotView, *, width: int = 80, color: bool = False) -> str:
    """Renders a pilot: each arm's verdict, the critics offline beside the gain online, what it cost.

    Args:
        view: From `pilot_view`.
        width: Columns of the terminal.
        color: Whether terminal codes may be used.
    """
    baseline, verdicts = view["baseline"]["arm"], {name: arm["verdict"] for name, arm in view["arms"].items()}
    decision = DecisionView(format=FORMAT, baseline=baseline, verdicts=verdicts, ignored_columns=[], understood=[])
    terminal = Terminal(width=width, color=color)
    terminal.line()
    for arm in view["arms"].values():
        path.text(terminal, arm["path"], arm["verdict"])
    for name, arm in view["arms"].items():
        advantage.text(terminal, name, arm["advantage"])
    critics.text(terminal, view["critics"], verdicts)
    arms = {baseline: view["baseline"], **view["arms"]}
    switched = {name: arm["switching_on"] for name, arm in view["arms"].items()}
    costs.text(terminal, arms, switched=switched, calls=view["calls"], unused=view["unused"])
    return decision_text(decision, width=width, color=color) + terminal.text


def plan_text(frozen: FrozenPlan, *, shadow: PilotResult | None = None, concurrency: int = 1) -> str:
    """What a plan will do, and what it can cost.

    Args:
        frozen: The plan.
        shadow: Its first tasks, run to see what the others will take; None: none were.
        concurrency: Tasks under way at a time.
    """
    plan, looks = frozen.plan, frozen.looks
    cells, steps = len(plan.tasks) * len(frozen.runs), plan.max_steps
    # An intervention costs one proposal more than the steps of the budget.
    more = sum(cells * (steps + (arm.policy.budget if arm.policy is not None else 0)) for arm in frozen.arms[1:])
    lines = [
        f"{len(plan.tasks)} tasks x {_runs(frozen)} x {len(frozen.arms)} arms: {cells * len(frozen.arms):,} "
        f"episodes of at most {steps} steps; design: {frozen.design}",
        *(
            f"  {shown(arm.name, limit=30)}: {shown(describe_arm(frozen.record.arms[arm.name]), limit=400)}"
            for arm in frozen.arms
        ),
        *_reused(frozen.record),
        f"agent calls: at most {cells * steps:,} for the baseline, and {more:,} for all arms together, each of which "
        "pays only from where it first acts",
        f"looks at {', '.join(map(str, looks.tasks))} tasks"
        + (", watched for harm after every task" if looks.watch else ""),
        *(
            [
                f"a ladder of {len(ladder)} settings: the best of them after {looks.tasks[0]} tasks goes on, and is "
                "tested on the tasks after those alone"
            ]
            if (ladder := frozen.record.ladder)
            else []
        ),
    ]
    console = plain_console(width=80, color=False)
    for line in lines:
        console.print(Text(line))
    clustered = any(task.cluster for task in plan.tasks)
    if looks.planned <= MOST_EXACT_TASKS and len(frozen.runs) == 1 and not (clustered or ladder or plan.logged):
        effect = planned_effect(looks, plan.rule)
        console.print(Text(f"What to expect where {100 * effect.discordance:.3g} % of the pairs differ:"))
        console.print(_expected(frozen, calls=cells * steps + more))
        more_said = "Above: an arm by itself; several end with the last of them, and share alpha."
    else:
        more_said = f"What to expect is computed for one pair per task, to {MOST_EXACT_TASKS} tasks."
    console.print(Text(f"Worst case: {looks.planned:,} tasks, {cells * steps + more:,} agent calls. {more_said}"))
    if shadow is not None:
        _print_shadow(console, frozen, shadow, concurrency=concurrency)
    console.print(Text(f"plan {frozen.digest[:12]}"))
    return printed(console)


def _reused(plan: PlanRecord) -> list[str]:
    """What is said of runs of the baseline that were there before."""
    taken = [
        f"{counted(one.runs, 'run')} of the baseline taken from {shown(one.source, limit=80)}, not paid for again; "
        f"sha256 {one.sha256[:12]}"
        for one in plan.baseline.earlier
    ]
    logged = plan.baseline.logged
    if logged is None:
        return taken
    runs = sum(map(len, logged.runs))
    left_out = f"; {logged.without_outcome:,} without an outcome left out" if logged.without_outcome else ""
    return [
        f"{counted(runs, 'logged run')} of the baseline beside its own, {runs / len(logged.runs):.3g} a task: "
        f"{shown(logged.source, limit=80)}, sha256 {logged.digest[:12]}{left_out}"
    ]


def _print_shadow(console: Console, frozen: FrozenPlan, shadow: PilotResult, *, concurrency: int) -> None:
    """What the rest will take if it is like the first tasks, and at most."""
    bill, ran = shadow.bill, len(shadow.plan.tasks)
    known = [bill.calls, bill.tokens, bill.cost, bill.seconds]
    took = f"{bill.calls:,} calls"
    took += "" if bill.tokens is None else f", {bill.tokens:,} tokens"
    took += "" if bill.cost is None else f", a cost of {amount(bill.cost)}"
    console.print(
        Text(
            f"Tried: the first {counted(ran, 'task')} under every arm took {took}, critics included. What models "
            "answered is kept; the run does not pay for it again. If the rest is like it, run to a look it takes:"
        )
    )
    at_most = _calls_at_most(frozen) / len(frozen.plan.tasks) / (bill.calls / ran) if bill.calls else 1.0
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("to the look at", "", "calls", "tokens", "cost", "time"):
        table.add_column(heading, justify="right")
    for look in frozen.looks.tasks:
        rest = max(look - ran, 0) / ran
        for label, factor in (("expected", rest), ("at most", rest * at_most)):
            calls, tokens, cost, seconds = (None if one is None else one * factor for one in known)
            minutes = None if seconds is None else seconds / min(concurrency, look) / 60
            time = "-" if minutes is None else f"{minutes:,.1f} min"
            table.add_row(
                f"{look:,}" if label == "expected" else "", label, amount(calls), amount(tokens), amount(cost), time
            )
    console.print(table)
    console.print(Text("At most: every episode to its last step, nothing shared, each call as dear as those tried."))
    if frozen.record.ladder:
        console.print(
            Text("After the first look one setting of the ladder is run, and less is taken than the table says.")
        )
    for arm in shadow.plan.candidates:
        if rates := matching_rates(shadow, arm):
            console.print(Text(f"A blind arm steps in as often as '{shown(arm, limit=30)}' did with rates = {rates}."))


def _calls_at_most(frozen: FrozenPlan) -> int:
    """Of agents, critics and messages, were every episode to run to its last step and nothing to be shared."""
    plan = frozen.plan
    calls = plan.max_steps * (1 + len(frozen.critics))
    for arm in frozen.arms[1:]:
        policy = arm.policy
        calls += plan.max_steps if policy is None else (plan.max_steps + policy.budget) * 2 + policy.budget
    return calls * len(plan.tasks) * len(frozen.runs)


def _runs(frozen: FrozenPlan) -> str:
    """How often each arm attempts a task."""
    count = frozen.plan.continuations
    return f"{len(frozen.plan.seeds)} seed(s)" if count == 1 else f"{count} continuations"


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
    rows += _reused(plan)
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
