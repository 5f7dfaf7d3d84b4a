"""`forbear bench household`: a pilot for each player that comes with forbear, as one table."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forbear.errors import InvalidInput
from forbear.wording import listed, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forbear.analysis.evidence import Evidence
    from forbear.analysis.pilot_study import CallsToDecision, PilotStudy
    from forbear.analysis.result import PilotResult
    from forbear.cli.foreign import Ours
    from forbear.cli.stopping import Stopper
    from forbear.report.bench_view import Benched
    from forbear.runner.plan import PilotPlan

_PILOT = 50
"""Tasks of the pilots that are drawn."""

_HELP = """Players that learned, critics that learned, and what acting on them did.

\b
Each player of the household runs a pilot with these arms:
    u-rollback, c-rollback   drop the proposal and say so; the critic raw,
    u-append, c-append       or calibrated; let it run and say so
    charged                  c-rollback, the dropped proposal costs a step
    restart                  begin the task again, once
    placebo, blind-rollback, blind-append, rerun     controls
and, from baseline and rerun, best-of-2: the critic chooses between two runs.

The table says success, C, B, r, d, p*, gain and verdict of each arm, and its
critic's AUROC; docs/results.md has a full run. Journals lie in DIR, one a
player: what was stopped goes on, and what is done is only read.

\b
Examples:
    forbear bench household
    forbear bench household --agents doubter --arms c-append,rerun --tasks 50
    forbear bench household --tasks 1000 --workers 2 --journal runs/full \\
        --pilot-study --calls

Exit codes: 0 done, 1 a bug, 2 bad input, changed plan or locked journal,
3 could not complete, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
"""


@click.command(help=_HELP, short_help="Learned players with and without their critics.")
@click.option("--agents", metavar="NAME,...", help="Players. [default: all]")
@click.option("--arms", metavar="NAME,...", help="Arms beside the baseline. [default: all]")
@click.option("--tasks", type=click.IntRange(1), default=200, metavar="N", help="Households. [default: 200]")
@click.option("--seeds", type=click.IntRange(1), default=2, metavar="K", help="Draws per household. [default: 2]")
@click.option("--workers", type=click.IntRange(1), default=1, metavar="N", help="Processes. [default: 1]")
@click.option(
    "--journal",
    type=click.Path(path_type=Path),
    default=Path("runs/bench-household"),
    metavar="DIR",
    help="Where the journals lie. [default: runs/bench-household]",
)
@click.option("--pilot-study", "studying", is_flag=True, help="Draw 1,000 pilots of 50 tasks from each arm.")
@click.option("--calls", "counting", is_flag=True, help="Say how many calls it takes to decide.")
@click.option("--html", is_flag=True, help="Write each pilot's page beside its journal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def household(
    agents: str | None,
    arms: str | None,
    tasks: int,
    seeds: int,
    workers: int,
    journal: Path,
    studying: bool,
    counting: bool,
    html: bool,
    as_json: bool,
) -> None:
    """Runs what is left, and prints the tables."""
    import json

    from forbear.cli.decide import color
    from forbear.cli.foreign import foreign_output
    from forbear.cli.stopping import stoppable
    from forbear.report.bench_view import bench_text, bench_view
    from forbear.worlds.household.bench import ARMS, bench_plan
    from forbear.worlds.household.players import PLAYERS

    players = _names(agents, known=list(PLAYERS), what="player")
    chosen = _names(arms, known=list(ARMS), what="arm")
    if studying and tasks < 2 * _PILOT:
        raise InvalidInput(f"--pilot-study draws pilots of {_PILOT} tasks: ask for --tasks {2 * _PILOT} or more.")
    if counting and seeds < 2:
        raise InvalidInput("--calls compares arms run apart, which are pairs of different seeds: ask for --seeds 2.")
    kept = f"stopped; every finished episode is kept in {journal}. The same command goes on."
    colored = color()
    with foreign_output() as ours, stoppable(kept) as stopper:
        found = [
            _benched(
                bench_plan(player, arms=chosen, tasks=tasks, seeds=seeds),
                player,
                journal / player,
                stopper,
                ours,
                _Asked(workers=workers, studying=studying, counting=counting, html=html),
            )
            for player in players
        ]
        view = bench_view("household", found)
        if as_json:
            click.echo(json.dumps(view, indent=2, allow_nan=False), file=ours.out)
            return
        click.echo(bench_text(view, color=colored), nl=False, color=True, file=ours.out)
        click.echo(f"\nJournals: {journal}", file=ours.out)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    workers: int
    studying: bool
    counting: bool
    html: bool


def _benched(plan: PilotPlan, player: str, directory: Path, stopper: Stopper, ours: Ours, asked: _Asked) -> Benched:
    """Runs what one player's pilot lacks, and arranges it."""
    from forbear.analysis.bench import benched
    from forbear.analysis.evidence import evidence_of
    from forbear.analysis.selection import best_of_two
    from forbear.policy.policy import critic_name
    from forbear.records.journal import Journal
    from forbear.report.bench_view import Benched
    from forbear.runner.pilot import run_pilot
    from forbear.worlds.household.pilot import critic

    if ours.console.is_terminal:
        ours.console.print(f"{shown(player)} ...")
    result = stopper.run(run_pilot(plan, Journal(directory), workers=asked.workers))
    evidence = evidence_of(result)
    judge = critic(player=player)
    chooses = critic_name(judge) in result.plan.critics and "rerun" in result.arms
    selections = {critic_name(judge): best_of_two(result, judge)} if chooses else {}
    if asked.html:
        _write_page(result, evidence, player, directory)
    study, calls = _pilots(result, evidence, player, asked)
    found = benched(player, result, evidence, selections=selections)
    return Benched(found=found, journal=str(directory), study=study, calls=calls)


def _pilots(
    result: PilotResult, evidence: Evidence, player: str, asked: _Asked
) -> tuple[dict[str, PilotStudy] | None, dict[str, CallsToDecision] | None]:
    """What pilots drawn from this run say; the same run always says the same."""
    import numpy as np

    from forbear.analysis.paired_runs import paired_runs
    from forbear.analysis.pilot_study import calls_to_decision, pilot_study

    if not (asked.studying or asked.counting):
        return None, None
    runs = {arm: paired_runs(result, arm) for arm in result.plan.treated if result.plan.arms[arm].kind == "policy"}
    seeds = {arm: zlib.crc32(f"{player} {arm}".encode()) for arm in runs}
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


def _write_page(result: PilotResult, evidence: Evidence, player: str, directory: Path) -> None:
    from forbear.errors import OutputUnwritable
    from forbear.files import write_whole
    from forbear.report.html import pilot_html
    from forbear.report.pilot_view import pilot_view

    path = directory / "report.html"
    view = pilot_view(result, evidence, title=f"Household, {player}", journal=str(directory), report=str(path))
    try:
        write_whole(path, pilot_html(view).encode("utf-8", "replace"))
    except OSError as error:
        raise OutputUnwritable(f"{shown(str(path), limit=200)}: cannot be written ({error.strerror}).") from None
