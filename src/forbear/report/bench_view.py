"""A benchmark as plain data: JSON is this, text renders this and computes nothing. Format `forbear-bench-1`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from forbear.report import bench_pilots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forbear.analysis.bench import BenchedAgent, BenchRow
    from forbear.analysis.pilot_study import CallsToDecision, PilotStudy
    from forbear.stats.intervals import Estimate, EstimateJson

FORMAT = "forbear-bench-1"


class RowView(TypedDict):
    """One arm of one agent; rates and gains are fractions, what is undefined is null."""

    arm: str
    kind: str
    """`candidate`, `control` or `selection`."""
    recommendation: str
    harmful: bool
    """FORBEAR, and no change or better is rejected too."""
    success: EstimateJson
    pairs: int
    recovered: int | None
    """C."""
    disrupted: int | None
    """B."""
    failure_rate: EstimateJson | None
    """p."""
    recovery_rate: EstimateJson | None
    """r."""
    disruption_rate: EstimateJson | None
    """d."""
    break_even_failure_rate: EstimateJson | None
    """p*."""
    success_gain: EstimateJson
    p_value_gain: float
    """After Holm among the candidates."""
    p_value_harm: float
    critic: str | None
    auroc: EstimateJson | None
    interventions_per_episode: float | None
    cascade_rate: float | None
    early_disruptions: float | None
    early_touches: float | None
    no_answer_rate: float | None
    noop_rate: float | None
    oracle_gain: float | None
    agent_calls_per_episode: float
    against_blind: EstimateJson | None
    selection_gain_at_these_calls: dict[str, float]
    """By the row of a selection, what it gains where it may take no more calls than this one."""


class AgentView(TypedDict):
    """One agent with its rows."""

    agent: str
    tasks: int
    seeds: int
    success: EstimateJson
    no_answer_rate: float | None
    agent_calls_per_episode: float
    oracle_best_of_two: float | None
    journal: str
    rows: list[RowView]
    pilot_study: dict[str, Any] | None
    """By arm, how pilots drawn from this run decide; None where it was not asked for."""
    calls_to_decision: dict[str, Any] | None
    """By arm, what it takes to decide; None where it was not asked for."""


class BenchView(TypedDict):
    """A whole benchmark."""

    format: str
    name: str
    agents: list[AgentView]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benched:
    """One agent of a benchmark, as it is arranged for a report."""

    found: BenchedAgent
    journal: str
    """Where it lies."""
    study: Mapping[str, PilotStudy] | None = None
    """By arm."""
    calls: Mapping[str, CallsToDecision] | None = None
    """By arm."""


def bench_view(name: str, agents: Sequence[Benched]) -> BenchView:
    """Arranges a benchmark.

    Args:
        name: Of the benchmark.
        agents: What was found.
    """
    return BenchView(
        format=FORMAT,
        name=name,
        agents=[
            AgentView(
                agent=one.found.agent,
                tasks=one.found.tasks,
                seeds=one.found.seeds,
                success=one.found.success.to_dict(),
                no_answer_rate=one.found.no_answer_rate,
                agent_calls_per_episode=one.found.calls,
                oracle_best_of_two=one.found.oracle_gain,
                journal=one.journal,
                rows=[_row(row) for row in one.found.rows],
                pilot_study=None if one.study is None else {arm: asdict(study) for arm, study in one.study.items()},
                calls_to_decision=None
                if one.calls is None
                else {arm: bench_pilots.calls_values(calls) for arm, calls in one.calls.items()},
            )
            for one in agents
        ],
    )


def _row(row: BenchRow) -> RowView:
    verdict = row.verdict
    return RowView(
        arm=row.arm,
        kind=row.kind,
        recommendation=verdict.recommendation.value,
        harmful=verdict.harmful,
        success=row.success.to_dict(),
        pairs=verdict.pairs,
        recovered=verdict.recovered,
        disrupted=verdict.disrupted,
        failure_rate=_written(verdict.failure_rate),
        recovery_rate=_written(verdict.recovery_rate),
        disruption_rate=_written(verdict.disruption_rate),
        break_even_failure_rate=_written(verdict.break_even_failure_rate),
        success_gain=verdict.success_gain.to_dict(),
        p_value_gain=verdict.p_value_gain,
        p_value_harm=verdict.p_value_harm,
        critic=row.critic,
        auroc=_written(row.auroc),
        interventions_per_episode=row.interventions,
        cascade_rate=row.cascade_rate,
        early_disruptions=row.early_disruptions,
        early_touches=row.early_touches,
        no_answer_rate=row.no_answer_rate,
        noop_rate=row.noop_rate,
        oracle_gain=row.oracle_gain,
        agent_calls_per_episode=row.calls,
        against_blind=_written(row.against_blind),
        selection_gain_at_these_calls=dict(row.selection_gains),
    )


def _written(estimate: Estimate | None) -> Any:
    return None if estimate is None else estimate.to_dict()


OUTCOMES = ("arm", "C", "B", "r", "d", "p*", "gain", "interval", "p (Holm)", "verdict")
BEHAVIOUR = ("arm", "success", "touched", "casc.", "early", "no ans.", "no-op", "oracle", "calls", "bo2")
"""Headings of the two halves of an agent's table, each at most 80 columns wide."""


def outcome_cells(row: RowView) -> tuple[str, ...]:
    """One arm under `OUTCOMES`."""
    from forbear.wording import count, percent, points, points_interval, pvalue, shown

    def rate(name: str) -> str:
        found: Any = row[name]  # type: ignore[literal-required]
        return "-" if found is None else percent(found["value"]).removesuffix(" %")

    gain = row["success_gain"]
    return (
        shown(row["arm"], limit=20),
        count(row["recovered"]),
        count(row["disrupted"]),
        rate("recovery_rate"),
        rate("disruption_rate"),
        rate("break_even_failure_rate"),
        points(gain["value"], unit=""),
        points_interval(gain["low"], gain["high"], unit=""),
        pvalue(row["p_value_gain"]),
        row["kind"] if row["kind"] != "candidate" else "harmful" if row["harmful"] else row["recommendation"],
    )


def behaviour_cells(row: RowView) -> tuple[str, ...]:
    """One arm under `BEHAVIOUR`."""
    from forbear.wording import percent, points, shown

    def rate(value: float | None) -> str:
        return percent(value, 0, undefined="-").removesuffix(" %")

    def gain(value: float | None) -> str:
        return points(value, unit="", undefined="-")

    touched = row["interventions_per_episode"]
    return (
        shown(row["arm"], limit=20),
        percent(row["success"]["value"]).removesuffix(" %"),
        "-" if touched is None else f"{touched:.2f}",
        rate(row["cascade_rate"]),
        f"{rate(row['early_disruptions'])}/{rate(row['early_touches'])}" if touched else "-",
        rate(row["no_answer_rate"]),
        rate(row["noop_rate"]),
        gain(row["oracle_gain"]),
        f"{row['agent_calls_per_episode']:.1f}",
        gain(row["selection_gain_at_these_calls"].get("best-of-2")),
    )


def equal_calls(rows: Sequence[RowView]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows: what choosing gains where it may take no more calls than an arm. Empty with one selection."""
    from forbear.wording import points, shown

    names = sorted({name for row in rows for name in row["selection_gain_at_these_calls"]})
    if len(names) < 2:
        return (), []
    cells = [
        (
            shown(row["arm"], limit=20),
            f"{row['agent_calls_per_episode']:.1f}",
            points(row["success_gain"]["value"], unit=""),
            *(points(row["selection_gain_at_these_calls"].get(name), unit="", undefined="-") for name in names),
        )
        for row in rows
        if row["kind"] != "control"
    ]
    return ("at the calls of", "calls", "gain", *names), cells


LEGEND = (
    "C recovered, B disrupted pairs; r = C/failures, d = B/successes, p* = d/(r + d), in per cent; gain and interval "
    "(90 %) in points. Candidates share one error rate (Holm); controls and selections are judged alone and never "
    "deployed. harmful: FORBEAR, and no change or better is rejected too.",
    "touched: interventions per episode. casc.: episodes with three or more, early: disrupted runs / all touched runs "
    "that were first touched at step 0 or 1, no ans.: episodes without an end of their own, no-op: interventions after "
    "which the same was proposed again; in per cent. oracle: what an intervention that never disrupts would gain. "
    "calls: the agent's, per episode. bo2: what the critic's best of 2 gains on so many tasks that it takes no more "
    "calls; at the calls of: likewise, for more runs to choose from.",
)


def bench_text(view: BenchView, *, width: int = 80, color: bool = False) -> str:
    """The tables for a terminal."""
    from forbear.report.terminal import Terminal
    from forbear.wording import number, percent, percent_interval, points, shown

    terminal = Terminal(width=width, color=color)
    for one in view["agents"]:
        success = one["success"]
        terminal.rule(shown(one["agent"], limit=40))
        terminal.line(
            f"{one['tasks']:,} tasks x {one['seeds']} seeds. Baseline {percent(success['value'])} "
            f"({percent_interval(success['low'], success['high'])}), {one['agent_calls_per_episode']:.1f} calls per "
            f"episode, no answer {percent(one['no_answer_rate'], 0, undefined='-')}."
        )
        for critic, auroc in _critics(one):
            terminal.line(
                f"AUROC of {shown(critic)}: {number(auroc['value'])} ({auroc['low']:.3f} to {auroc['high']:.3f})"
            )
        if one["oracle_best_of_two"] is not None:
            terminal.line(f"The better of two runs, whoever chooses: {points(one['oracle_best_of_two'])}.")
        terminal.line()
        for headings, cells in ((OUTCOMES, outcome_cells), (BEHAVIOUR, behaviour_cells)):
            last = len(headings) - 1
            terminal.table(headings, map(cells, one["rows"]), left=(0, last) if cells is outcome_cells else (0,), gap=1)
            terminal.line()
        sizes, choices = equal_calls(one["rows"])
        if choices:
            terminal.table(sizes, choices, left=(0,), gap=1)
            terminal.line()
        beside = against_blind(one["rows"])
        for line in (*beside, "") if beside else ():
            terminal.line(line)
        bench_pilots.text(terminal, one["rows"], study=one["pilot_study"], calls=one["calls_to_decision"])
    for line in LEGEND:
        terminal.line(line)
    asked = view["agents"][0] if view["agents"] else None
    if asked is not None and asked["pilot_study"] is not None:
        terminal.line(bench_pilots.STUDY_LEGEND)
    if asked is not None and asked["calls_to_decision"] is not None:
        terminal.line(bench_pilots.CALLS_LEGEND)
        terminal.line(bench_pilots.FEWER_LEGEND)
    return terminal.text


def against_blind(rows: Sequence[RowView]) -> list[str]:
    """What the critic adds to the same sentences at random moments, a line an arm."""
    from forbear.wording import points, points_interval, shown

    return [
        f"The critic adds to {shown(row['arm'])} at random moments: {points(found['value'])} "
        f"({points_interval(found['low'], found['high'])})."
        for row in rows
        if (found := row["against_blind"]) is not None
    ]


def _critics(one: AgentView) -> list[tuple[str, EstimateJson]]:
    found: dict[str, EstimateJson] = {}
    for row in one["rows"]:
        if row["critic"] is not None and row["auroc"] is not None:
            found.setdefault(row["critic"], row["auroc"])
    return list(found.items())
