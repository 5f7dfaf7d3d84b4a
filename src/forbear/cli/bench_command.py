"""What every `forbear bench NAME` does: run a world's benchmark, a pilot an agent, and print it as one table.

A command is its own options and a `Benchmark` (`runner/benchmark.py`). The common options come from `bench_options`,
which hands them over as one `BenchOptions`; `run_bench` does the rest.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forbear.errors import InvalidInput
from forbear.wording import listed, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forbear.analysis.evidence import Evidence
    from forbear.analysis.pilot_study import CallsToDecision, PilotStudy
    from forbear.analysis.result import PilotResult
    from forbear.cli.foreign import Ours
    from forbear.models.session import ModelSettings
    from forbear.records.journal import Journal
    from forbear.report.bench_view import Benched
    from forbear.runner.benchmark import Benchmark
    from forbear.runner.ledger import Budget
    from forbear.runner.plan import PilotPlan

_PILOT = 50
"""Tasks of the pilots that are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """What a command was asked for."""

    agents: str | None
    """Names with commas between them; None: all. Likewise the arms."""
    arms: str | None
    tasks: int
    seeds: int
    workers: int
    journal: Path
    studying: bool
    counting: bool
    html: bool
    as_json: bool


def bench_options(
    *, tasks: int, seeds: int, folder: str, of: str = "Tasks"
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options that every benchmark has; it is called with `BenchOptions` before its own options.

    Args:
        tasks: How many at most, where nothing is said.
        seeds: Draws per task, where nothing is said.
        folder: Where the journals lie, where nothing is said.
        of: What the tasks are called.
    """
    options = [
        click.option("--agents", metavar="NAME,...", help="Agents. [default: all]"),
        click.option("--arms", metavar="NAME,...", help="Arms beside the baseline. [default: all]"),
        click.option("--tasks", type=click.IntRange(1), default=tasks, metavar="N", help=f"{of}. [default: {tasks}]"),
        click.option(
            "--seeds", type=click.IntRange(1), default=seeds, metavar="K", help=f"Draws per task. [default: {seeds}]"
        ),
        click.option("--workers", type=click.IntRange(1), default=1, metavar="N", help="Processes. [default: 1]"),
        click.option(
            "--journal",
            type=click.Path(path_type=Path),
            default=Path(folder),
            metavar="DIR",
            help=f"Where the journals lie. [default: {folder}]",
        ),
        click.option(
            "--pilot-study", "studying", is_flag=True, help=f"Draw 1,000 pilots of {_PILOT} tasks from each arm."
        ),
        click.option("--calls", "counting", is_flag=True, help="Say how many calls it takes to decide."),
        click.option("--html", is_flag=True, help="Write each pilot's page beside its journal."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."),
    ]

    def given(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def collected(**said: Any) -> None:
            common = {name: said.pop(name) for name in BenchOptions.__dataclass_fields__}
            command(BenchOptions(**common), **said)

        decorated: Callable[..., None] = collected
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return given


def run_bench(
    benchmark: Benchmark, asked: BenchOptions, *, budget: Budget | None = None, models: ModelSettings | None = None
) -> None:
    """Runs what a benchmark's pilots lack, and prints the tables.

    Args:
        benchmark: What to run.
        asked: How much of it.
        budget: What may be paid for, of agents that ask language models; None: anything. Likewise the models' prices.
        models: None: without prices.

    Raises:
        BudgetSpent: The budget is; under a larger one the same command goes on.
        InvalidInput: A name that the benchmark does not have, options that do not go together, or a journal of another
            plan.
    """
    import json

    from forbear.cli.decide import color
    from forbear.cli.foreign import foreign_output
    from forbear.cli.stopping import stoppable
    from forbear.models.session import ModelSettings
    from forbear.report.bench_view import bench_text, bench_view
    from forbear.runner.pilot import run_pilot

    agents = _names(asked.agents, known=benchmark.agents, what=benchmark.agent_word)
    arms = _names(asked.arms, known=benchmark.arms, what="arm")
    if asked.counting and asked.seeds < 2:
        raise InvalidInput("--calls compares arms run apart, which are pairs of different seeds: ask for --seeds 2.")
    plans = {agent: _plan(benchmark, agent, arms, asked) for agent in agents}
    kept = f"stopped; every finished episode is kept in {asked.journal}. The same command goes on."
    colored = color()
    with foreign_output() as ours, stoppable(kept) as stopper:

        def run(plan: PilotPlan, journal: Journal) -> PilotResult:
            return stopper.run(
                run_pilot(plan, journal, workers=asked.workers, budget=budget, models=models or ModelSettings())
            )

        found = [_benched(benchmark, agent, plan, asked, run, ours) for agent, plan in plans.items()]
        view = bench_view(benchmark.name, found)
        if asked.as_json:
            click.echo(json.dumps(view, indent=2, allow_nan=False), file=ours.out)
            return
        click.echo(bench_text(view, color=colored), nl=False, color=True, file=ours.out)
        click.echo(f"\nJournals: {asked.journal}", file=ours.out)


def _names(text: str | None, *, known: Sequence[str], what: str) -> list[str]:
    """The names in a list with commas; all where there is none."""
    if text is None:
        return list(known)
    asked = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in asked if name not in known]
    if unknown or not asked:
        raise InvalidInput(
            f"expected {what}s among {', '.join(known)}, with commas between them, got {listed(unknown) or 'none'}."
        )
    return [name for name in known if name in asked]


def _plan(benchmark: Benchmark, agent: str, arms: Sequence[str], asked: BenchOptions) -> PilotPlan:
    plan = benchmark.plan(agent, arms=arms, tasks=asked.tasks, seeds=asked.seeds)
    if asked.studying and len(plan.tasks) < 2 * _PILOT:
        raise InvalidInput(
            f"--pilot-study draws pilots of {_PILOT} tasks from {2 * _PILOT} or more, got {len(plan.tasks)}: ask for "
            f"--tasks {2 * _PILOT}, where there are so many."
        )
    return plan


def _benched(
    benchmark: Benchmark,
    agent: str,
    plan: PilotPlan,
    asked: BenchOptions,
    run: Callable[[PilotPlan, Journal], PilotResult],
    ours: Ours,
) -> Benched:
    """Runs what one agent's pilot lacks, and arranges it."""
    from forbear.analysis.bench import MOST_RUNS, benched
    from forbear.analysis.evidence import evidence_of
    from forbear.analysis.selection import best_of, runs_to_choose_from
    from forbear.policy.policy import critic_name
    from forbear.records.journal import Journal
    from forbear.report.bench_view import Benched

    directory = asked.journal / agent
    if ours.console.is_terminal:
        ours.console.print(f"{shown(agent)} ...")
    result = run(plan, Journal(directory))
    evidence = evidence_of(result)
    judge = benchmark.critic(agent)
    sizes = range(2, min(MOST_RUNS, runs_to_choose_from(result)) + 1)
    chooses = judge is not None and critic_name(judge) in result.plan.critics and len(sizes) > 0
    selections = {critic_name(judge): best_of(result, judge, sizes=sizes)} if judge is not None and chooses else {}
    if asked.html:
        _write_page(result, evidence, f"{benchmark.title}, {agent}", directory)
    study, calls = _pilots(result, evidence, agent, asked)
    found = benched(agent, result, evidence, selections=selections)
    return Benched(found=found, journal=str(directory), study=study, calls=calls)


def _pilots(
    result: PilotResult, evidence: Evidence, agent: str, asked: BenchOptions
) -> tuple[dict[str, PilotStudy] | None, dict[str, CallsToDecision] | None]:
    """What pilots drawn from this run say; the same run always says the same."""
    import numpy as np

    from forbear.analysis.paired_runs import paired_runs
    from forbear.analysis.pilot_study import calls_to_decision, pilot_study

    if not (asked.studying or asked.counting):
        return None, None
    runs = {arm: paired_runs(result, arm) for arm in result.plan.treated if result.plan.arms[arm].kind == "policy"}
    seeds = {arm: zlib.crc32(f"{agent} {arm}".encode()) for arm in runs}
    study = {
        arm: pilot_study(one, full=evidence.verdicts[arm], rng=np.random.default_rng([0, seeds[arm]]), tasks=_PILOT)
        for arm, one in runs.items()
        if asked.studying
    }
    calls = {
        arm: calls_to_decision(one, rule=result.plan.rule, rng=np.random.default_rng([1, seeds[arm]]))
        for arm, one in runs.items()
        if asked.counting
    }
    return study if asked.studying else None, calls if asked.counting else None


def _write_page(result: PilotResult, evidence: Evidence, title: str, directory: Path) -> None:
    from forbear.errors import OutputUnwritable
    from forbear.files import write_whole
    from forbear.report.html import pilot_html
    from forbear.report.pilot_view import pilot_view

    path = directory / "report.html"
    view = pilot_view(result, evidence, title=title, journal=str(directory), report=str(path))
    try:
        write_whole(path, pilot_html(view).encode("utf-8", "replace"))
    except OSError as error:
        raise OutputUnwritable(f"{shown(str(path), limit=200)}: cannot be written ({error.strerror}).") from None
