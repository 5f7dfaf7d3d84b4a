"""`forbear pilot`: from an agent to a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forbear.cli.pilot_options import How, Which, how_it_runs, which_pilot
from forbear.cli.screen import columns
from forbear.cli.stopping import Stopper, stoppable
from forbear.errors import (
    BudgetSpent,
    InvalidInput,
    OutputUnwritable,
    ProviderError,
    TooManyAgentErrors,
    TooManyCriticFaults,
)
from forbear.wording import shown

if TYPE_CHECKING:
    from rich.console import Console

    from forbear.adapters.pilot_file import PilotFile
    from forbear.cli.progress import Tally
    from forbear.records.journal import JournalContent
    from forbear.report.pilot_view import PilotView
    from forbear.runner.plan import FrozenPlan

_STOPPED = (BudgetSpent, ProviderError, TooManyAgentErrors, TooManyCriticFaults)
"""What ends a pilot in the middle, with everything kept."""

_TEMPLATES = {
    "household": ("household.toml",),
    "chat": ("chat.toml",),
    "tools": ("tools.toml",),
    "own": ("own.toml", "my_parts.py"),
    "sweep": ("sweep.toml",),
    "heuristics": ("heuristics.toml",),
    "oracle": ("oracle.toml",),
    "feedback": ("feedback.toml",),
    "gaia": ("gaia.toml", "gaia-sample.jsonl", "gaia_inspect.py"),
    "swebench-lite": ("swebench-lite.toml", "instances.jsonl", "tell_reports.py"),
}
"""What `init` writes: the pilot's file, and what lies beside it."""

_HELP = """Run the same tasks with and without an intervention, and decide.

\b
forbear pilot init                writes a commented pilot.toml
forbear pilot check pilot.toml    tries one task from end to end
forbear pilot plan pilot.toml     tries three and says what it will cost
forbear pilot run pilot.toml      runs it, or goes on where it was stopped
forbear pilot extend pilot.toml   runs as far as the next declared look
forbear pilot sweep sweep.toml    runs many settings, a line for each
forbear pilot status pilot.toml   says how far it is
forbear pilot ask, tell           are for pilots that their host runs

A pilot stops at the first declared look ([run] looks) at which every arm is
decided or futile, and drops an arm as soon as its watch sees harm.

\b
Examples:
    forbear pilot init && forbear pilot run pilot.toml
    forbear pilot run mine.toml --journal runs/second --json
    forbear pilot run mine.toml --look 1 && forbear pilot extend mine.toml

What agents, worlds and critics print comes out on standard error, behind "| ".

Exit codes: 0 done, 1 a bug, 2 bad input, changed plan or locked journal,
3 could not complete (an outage, a full disk, a report that cannot be written),
130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
"""


@click.group(help=_HELP, short_help="From an agent to a verdict: init, check, plan, run, extend, status, ask, tell.")
def pilot() -> None:
    """The group."""


@pilot.command()
@click.argument("file", metavar="[PILOT.toml]", default="pilot.toml", type=click.Path(path_type=Path))
@click.option("--template", type=click.Choice(list(_TEMPLATES)), default="household", help="What to start from.")
def init(file: Path, template: str) -> None:
    """Write a commented pilot that runs as it stands.

    \b
    household   a small learned agent in a text world; no key, no download
    chat        a real language model in this process answers questions
    tools       a model that calls tools, behind an OpenAI-compatible endpoint
    own         your agent, world and critic: three functions
    sweep       the household's policy at many thresholds, steps and budgets
    heuristics  the household's critic beside clocks and coins
    oracle      beside one that knows how each run ends; needs the sweep's journal
    feedback    told, silent, or told what a model writes; a local language model
    gaia        questions in GAIA's layout; with tools, run by Inspect
    swebench-lite   outcomes that SWE-bench's harness reports, as you run it
    """  # noqa: D301  # click reads the character
    from importlib.resources import files

    from forbear.adapters.host_file import is_host_file
    from forbear.files import write_whole

    names = {source: file if source.endswith(".toml") else file.parent / source for source in _TEMPLATES[template]}
    for path in names.values():
        if path.exists():
            raise InvalidInput(f"{shown(str(path), limit=200)} is there already. Name another file or folder.")
    for source, path in names.items():
        try:
            write_whole(path, files("forbear.adapters").joinpath("pilots", source).read_bytes())
        except OSError as error:
            raise OutputUnwritable(f"{shown(str(path), limit=200)}: cannot be written ({error.strerror}).") from None
        click.echo(f"wrote {path}")
    click.echo("next: python tell_reports.py ask" if is_host_file(file) else f"next: forbear pilot check {file}")


@pilot.command()
@which_pilot
def check(which: Which) -> None:
    """Try tasks from end to end: configs, determinism, the fork, the critic."""
    from forbear.cli.foreign import foreign_output
    from forbear.runner.rehearsal import rehearse

    with foreign_output() as ours, stoppable("stopped; nothing was started.") as stopper:
        opened = _opened(which)
        models = opened.described.models.settled(opened.directory, plan_digest=opened.frozen.digest)
        for line in stopper.run(rehearse(opened.described.plan, models=models)):
            click.echo(line, file=ours.out)
        click.echo(f"next: forbear pilot plan {which.again}", file=ours.out)


@pilot.command()
@which_pilot
@click.option("--try", "tries", type=click.IntRange(0), default=3, metavar="N", help="Tasks to try first. [default: 3]")
def plan(which: Which, tries: int) -> None:
    """Try a few tasks, then say what the pilot will do and what it will cost."""
    from forbear.cli.foreign import foreign_output
    from forbear.report.pilot_text import plan_text
    from forbear.runner.rehearsal import shadow

    with foreign_output() as ours, stoppable("stopped; nothing was started.") as stopper:
        opened, tried = _opened(which), None
        described = opened.described
        if tries:
            models = described.models.settled(opened.directory, plan_digest=opened.frozen.digest)
            tried = stopper.run(
                shadow(
                    described.plan,
                    tasks=tries,
                    models=models,
                    concurrency=described.concurrency,
                    budget=described.budget,
                )
            )
        text = plan_text(opened.frozen, shadow=tried, concurrency=described.concurrency)
        click.echo(text, nl=False, file=ours.out)
        click.echo(f"next: forbear pilot run {which.again}", file=ours.out)


@pilot.command()
@which_pilot
@how_it_runs
@click.option("--look", type=click.IntRange(1), metavar="K", help="Go no further than the K-th declared look.")
def run(which: Which, how: How, look: int | None) -> None:
    """Run the pilot, or go on where it was stopped, until it is decided; then say so."""

    def last_look(opened: _Opened) -> int | None:
        declared = opened.frozen.looks.tasks
        if look is not None and look > len(declared):
            raise InvalidInput(
                f"--look {look}: {shown(which.file.name)} declares {len(declared)} looks, at "
                f"{', '.join(map(str, declared))} tasks. Name one of them by its number."
            )
        return look

    _run(which, how, until_look=last_look)


@pilot.command()
@which_pilot
@how_it_runs
def extend(which: Which, how: How) -> None:
    """Run as far as the next declared look, which is the only honest way to add tasks."""
    from forbear.analysis.monitor import monitor_of

    def next_look(opened: _Opened) -> int:
        plan = opened.frozen.record
        monitor = monitor_of(plan, opened.content())
        if monitor.over:
            ends = sorted({end.reason for end in monitor.ends.values() if end.arm in plan.candidates})
            why = f"after {monitor.tasks} tasks ({', '.join(ends) or 'run to the end'})"
            raise InvalidInput(
                f"{opened.journal_name}: the pilot is over {why}, and no declared look is left to take. More "
                "tasks would be another chance to be fooled: each further test at .05 adds false verdicts. Start a "
                "fresh pilot (another journal, new tasks), or plan one for `forbear decide --anytime`, which may be "
                "asked after every task."
            )
        return monitor.looks_taken + 1

    _require_started(which)
    _run(which, how, until_look=next_look)


@pilot.command()
@which_pilot
@how_it_runs
def sweep(which: Which, how: How) -> None:
    """Run a pilot of many settings, and print a line for each.

    An arm whose intervention, threshold, up_to, min_step, budget or cooldown
    is a list is one arm for each combination. They share one error rate.

    forbear pilot init --template sweep   writes one of thresholds and budgets
    """
    from forbear.report.sweep_text import sweep_text

    _run(which, how, until_look=lambda opened: None, text_of=sweep_text)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A pilot's file, read once and its parts made once, and where its journal lies."""

    described: PilotFile
    frozen: FrozenPlan
    directory: Path
    """Absolute: parts may change the working directory."""
    journal_name: str
    """The directory for messages, as it was given."""

    def content(self) -> JournalContent:
        """What its journal holds, if it is this plan's."""
        from forbear.analysis.plan_record import PlanRecord
        from forbear.records.journal import Journal

        content, where = Journal(self.directory).read(), self.journal_name
        self.frozen.record.require(PlanRecord.of(content.plan, where=where), where=where)
        return content

    def status(self) -> str:
        """How far it is, in a few lines."""
        from forbear.report.pilot_text import status_text

        return status_text(self.frozen.record, self.content(), journal=self.journal_name)


def _opened(which: Which) -> _Opened:
    from forbear.adapters.pilot_file import read_pilot_file
    from forbear.runner.plan import freeze

    absolute = which.directory.absolute()  # before anything of somebody else's is imported
    described = read_pilot_file(which.file)
    if which.continuations is not None:
        described = replace(described, plan=replace(described.plan, continuations=which.continuations))
    return _Opened(described, freeze(described.plan), absolute, shown(str(which.directory), limit=200))


def _run(
    which: Which,
    how: How,
    *,
    until_look: Callable[[_Opened], int | None],
    text_of: Callable[..., str] | None = None,
) -> None:
    """Runs, prints the verdict, writes the report: in this order, so that nothing that fails costs what came before."""
    from forbear.cli.decide import color
    from forbear.cli.foreign import foreign_output
    from forbear.cli.report import write_report
    from forbear.report.pilot_text import pilot_text
    from forbear.report.pilot_view import pilot_json

    directory, colored, width = which.directory, color(), columns()
    kept = f"stopped; every finished episode is kept in {directory}. The same command goes on."
    # To the end, since a thread or process that an agent has left behind may still print.
    with foreign_output() as ours:
        with stoppable(kept) as stopper:
            opened = _opened(which)
            try:
                view = _found(
                    opened,
                    stopper,
                    ours.console,
                    concurrency=how.concurrency or opened.described.concurrency,
                    workers=how.workers or opened.described.workers,
                    until_look=until_look(opened),
                    report=directory / "report.html",
                    command=f"forbear pilot run {which.again}",
                )
            except _STOPPED:
                if not how.as_json:
                    click.echo(opened.status(), nl=False, file=ours.out)
                raise
        path = opened.directory / "report.html"
        if how.as_json:
            problem = write_report(view, path)
            if problem is not None:
                view["report"] = None
            click.echo(pilot_json(view), file=ours.out)
        else:
            text = [(text_of or pilot_text)(view, width=width, color=colored)]
            if not view["over"]:
                text.append(f"\nNext:    forbear pilot extend {which.again}\n")
            text.append(f"\nJournal: {directory}\n")
            try:
                click.echo("".join(text), nl=False, color=True, file=ours.out)
            finally:
                problem = write_report(view, path)
            if problem is None:
                click.echo(f"Report:  {view['report']}  (open it in a browser)", file=ours.out)
        if problem is not None:
            raise problem


def _found(
    opened: _Opened,
    stopper: Stopper,
    console: Console,
    *,
    concurrency: int,
    workers: int,
    until_look: int | None,
    report: Path,
    command: str,
) -> PilotView:
    """Runs what is left, and arranges what was found."""
    from forbear.analysis.evidence import evidence_of
    from forbear.cli.progress import progress
    from forbear.records.journal import Journal
    from forbear.report.pilot_view import pilot_view
    from forbear.runner.pilot import run_pilot

    with progress(_tally(opened, until_look=until_look), console) as on_episode:
        result = stopper.run(
            run_pilot(
                opened.frozen,
                Journal(opened.directory),
                concurrency=concurrency,
                workers=workers,
                retries=opened.described.retries,
                max_memory_mb=opened.described.max_memory_mb,
                sync=opened.described.sync,
                max_agent_errors=opened.described.max_agent_errors,
                max_critic_faults=opened.described.max_critic_faults,
                budget=opened.described.budget,
                models=opened.described.models,
                until_look=until_look,
                on_episode=on_episode,
            )
        )
    title = f"Pilot {opened.described.path.stem}"
    return pilot_view(
        result, evidence_of(result), title=title, journal=str(report.parent), report=str(report), command=command
    )


@pilot.command()
@which_pilot
def status(which: Which) -> None:
    """Say how far the pilot is."""
    from forbear.adapters.host_file import is_host_file
    from forbear.cli.foreign import foreign_output

    if is_host_file(which.file):
        from forbear.cli.pilot_ask import host_status

        host_status(which.file, which.journal)
        return
    _require_started(which)
    with foreign_output() as ours:
        click.echo(_opened(which).status(), nl=False, file=ours.out)


def _require_started(which: Which) -> None:
    if not (which.directory / "plan.json").exists():
        raise InvalidInput(
            f"not started: there is no journal in {which.directory}. forbear pilot run {which.again} starts it."
        )


def _tally(opened: _Opened, *, until_look: int | None) -> Tally:
    """Episodes to the last look that may be taken, and those that are there."""
    from forbear.cli.progress import Tally

    frozen, lines = opened.frozen, opened.directory / "episodes.jsonl"
    total = frozen.looks.tasks[:until_look][-1] * len(frozen.runs) * len(frozen.arms)
    done = 0
    if lines.exists():
        with lines.open("rb") as file:
            # Lines, not episodes: near enough for a bar, and the run itself reads the journal.
            done = sum(1 for _ in file)
    return Tally(done=done, total=total)
