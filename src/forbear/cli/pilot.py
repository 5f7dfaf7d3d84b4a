"""`forbear pilot`: from an agent to a verdict."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from forbear.errors import InvalidInput
from forbear.wording import shown

if TYPE_CHECKING:
    from forbear.adapters.pilot_file import PilotFile
    from forbear.records.journal import JournalContent
    from forbear.records.model import Episode
    from forbear.runner.plan import FrozenPlan

FILE = click.argument("file", metavar="PILOT.toml", type=click.Path(path_type=Path))
JOURNAL = click.option(
    "--journal", type=click.Path(path_type=Path), metavar="DIR", help="Where episodes are kept. [default: runs/NAME]"
)


_CONCURRENCY = click.option("--concurrency", type=click.IntRange(1), help="Tasks under way at a time.")
_WORKERS = click.option("--workers", type=click.IntRange(1), help="Processes that run tasks, for agents that compute.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")

_HELP = """Run the same tasks with and without an intervention, and decide.

\b
forbear pilot init                writes a commented pilot.toml
forbear pilot check pilot.toml    tries one task from end to end
forbear pilot plan pilot.toml     says what it will cost at most
forbear pilot run pilot.toml      runs it, or goes on where it was stopped
forbear pilot extend pilot.toml   runs as far as the next declared look
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

Exit codes: 0 done, 1 a bug, 2 bad input, changed plan or locked journal,
3 could not complete (an outage, a full disk), 130 Ctrl-C.
"""


@click.group(help=_HELP, short_help="From an agent to a verdict: init, check, plan, run, extend, status, ask, tell.")
def pilot() -> None:
    """The group."""


@pilot.command()
@click.argument("file", metavar="[PILOT.toml]", default="pilot.toml", type=click.Path(path_type=Path))
def init(file: Path) -> None:
    """Write a commented example to start from."""
    from importlib.resources import files

    if file.exists():
        raise InvalidInput(f"{shown(str(file), limit=200)} is there already. Name another file.")
    text = files("forbear.adapters").joinpath("pilot.toml").read_text(encoding="utf-8")
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{shown(str(file), limit=200)}: cannot be written ({error.strerror}).") from None
    click.echo(f"wrote {file}\nnext: forbear pilot check {file}")


@pilot.command()
@FILE
def check(file: Path) -> None:
    """Try tasks from end to end: configs, determinism, the fork, the critic."""
    import asyncio

    from forbear.adapters.pilot_file import read_pilot_file
    from forbear.runner.rehearsal import rehearse

    described = read_pilot_file(file)
    for line in asyncio.run(rehearse(described.plan)):
        click.echo(line)
    click.echo(f"next: forbear pilot plan {file}")


@pilot.command()
@FILE
def plan(file: Path) -> None:
    """Say what the pilot will do and what it will cost at most."""
    from forbear.adapters.pilot_file import read_pilot_file
    from forbear.report.pilot_text import plan_text
    from forbear.runner.plan import freeze

    click.echo(plan_text(freeze(read_pilot_file(file).plan)), nl=False)
    click.echo(f"next: forbear pilot run {file}")


@pilot.command()
@FILE
@JOURNAL
@_CONCURRENCY
@_WORKERS
@click.option("--look", type=click.IntRange(1), metavar="K", help="Go no further than the K-th declared look.")
@JSON
def run(
    file: Path, journal: Path | None, concurrency: int | None, workers: int | None, look: int | None, as_json: bool
) -> None:
    """Run the pilot, or go on where it was stopped, until it is decided; then say so."""
    with _goes_on(directory_of(file, journal)):
        opened = _opened(file, journal)
        declared = opened.frozen.looks.tasks
        if look is not None and look > len(declared):
            raise InvalidInput(
                f"--look {look}: {shown(file.name)} declares {len(declared)} looks, at "
                f"{', '.join(map(str, declared))} tasks. Name one of them by its number."
            )
        _run(opened, concurrency=concurrency, workers=workers, until_look=look, as_json=as_json)


@pilot.command()
@FILE
@JOURNAL
@_CONCURRENCY
@_WORKERS
@JSON
def extend(file: Path, journal: Path | None, concurrency: int | None, workers: int | None, as_json: bool) -> None:
    """Run as far as the next declared look, which is the only honest way to add tasks."""
    from forbear.analysis.monitor import monitor_of

    _require_started(file, journal)
    opened = _opened(file, journal)
    where, plan = shown(str(opened.directory), limit=200), opened.frozen.record
    monitor = monitor_of(plan, opened.content(where=where))
    if monitor.over:
        ends = sorted({end.reason for end in monitor.ends.values() if end.arm in plan.candidates})
        why = f"after {monitor.tasks} tasks ({', '.join(ends) or 'run to the end'})"
        raise InvalidInput(
            f"{where}: the pilot is over {why}, and no declared look is left to take. More "
            "tasks would be another chance to be fooled: each further test at .05 adds false verdicts. Start a fresh "
            "pilot (another journal, new tasks), or plan one for `forbear decide --anytime`, which may be asked after "
            "every task."
        )
    with _goes_on(opened.directory):
        _run(opened, concurrency=concurrency, workers=workers, until_look=monitor.looks_taken + 1, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A pilot's file, read once and its parts made once, and where its journal lies."""

    described: PilotFile
    frozen: FrozenPlan
    directory: Path
    again: str
    """The arguments that name the same pilot."""

    def content(self, *, where: str) -> JournalContent:
        """What its journal holds, if it is this plan's."""
        from forbear.analysis.plan_record import PlanRecord
        from forbear.records.journal import Journal

        content = Journal(self.directory).read()
        self.frozen.record.require(PlanRecord.of(content.plan, where=where), where=where)
        return content


def _opened(file: Path, journal: Path | None) -> _Opened:
    from forbear.adapters.pilot_file import read_pilot_file
    from forbear.runner.plan import freeze

    described = read_pilot_file(file)
    return _Opened(described, freeze(described.plan), directory_of(file, journal), again(file, journal))


def _run(
    opened: _Opened, *, concurrency: int | None, workers: int | None, until_look: int | None, as_json: bool
) -> None:
    import asyncio

    from forbear.analysis.evidence import evidence_of
    from forbear.cli.decide import color
    from forbear.records.journal import Journal
    from forbear.report.html import pilot_html
    from forbear.report.pilot_text import pilot_text
    from forbear.report.pilot_view import pilot_json, pilot_view
    from forbear.runner.pilot import run_pilot

    described, directory = opened.described, opened.directory
    with _progress(opened.frozen, directory, until_look=until_look) as on_episode:
        result = asyncio.run(
            run_pilot(
                opened.frozen,
                Journal(directory),
                concurrency=concurrency or described.concurrency,
                workers=workers or described.workers,
                retries=described.retries,
                sync=described.sync,
                until_look=until_look,
                on_episode=on_episode,
            )
        )
    evidence = evidence_of(result)
    report = directory / "report.html"
    title = f"Pilot {described.path.stem}"
    view = pilot_view(result, evidence, title=title, journal=str(directory), report=str(report))
    try:
        report.write_text(pilot_html(view), encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{shown(str(report), limit=200)}: cannot be written ({error.strerror}).") from None
    if as_json:
        click.echo(pilot_json(view))
        return
    click.echo(pilot_text(view, color=color()), nl=False, color=True)
    if not view["over"]:
        click.echo(f"\nNext:    forbear pilot extend {opened.again}")
    click.echo(f"\nJournal: {directory}\nReport:  {report}  (open it in a browser)")


@pilot.command()
@FILE
@JOURNAL
def status(file: Path, journal: Path | None) -> None:
    """Say how far the pilot is."""
    from forbear.adapters.host_file import is_host_file
    from forbear.report.pilot_text import status_text

    if is_host_file(file):
        from forbear.cli.pilot_ask import host_status

        host_status(file, journal)
        return
    _require_started(file, journal)
    opened = _opened(file, journal)
    where = shown(str(opened.directory), limit=200)
    text = status_text(opened.frozen.record, opened.content(where=where), journal=str(opened.directory))
    click.echo(text, nl=False)


def _require_started(file: Path, journal: Path | None) -> None:
    directory = directory_of(file, journal)
    if not (directory / "plan.json").exists():
        raise InvalidInput(
            f"not started: there is no journal in {directory}. forbear pilot run {again(file, journal)} starts it."
        )


def again(file: Path, journal: Path | None) -> str:
    """The arguments that name the same pilot."""
    return str(file) if journal is None else f"{file} --journal {journal}"


def directory_of(file: Path, journal: Path | None) -> Path:
    """Where the journal lies."""
    return Path("runs") / file.stem if journal is None else journal


@contextlib.contextmanager
def _progress(frozen: FrozenPlan, directory: Path, *, until_look: int | None) -> Iterator[Callable[[Episode], None]]:
    """A bar on standard error while episodes come in."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    # To the last look that may be taken: a stop ends it earlier.
    total = frozen.looks.tasks[:until_look][-1] * len(frozen.plan.seeds) * len(frozen.arms)
    done = 0
    if (directory / "episodes.jsonl").exists():
        # Lines, not episodes: near enough for a bar, and the run itself reads the journal.
        done = (directory / "episodes.jsonl").read_bytes().count(b"\n")
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
        episodes = bar.add_task("episodes", total=total, completed=min(done, total))
        yield lambda episode: bar.advance(episodes, 0 if episode.success is None else 1)


@contextlib.contextmanager
def _goes_on(directory: Path) -> Iterator[None]:
    """Gives Ctrl-C the words that the command line prints for it."""
    try:
        yield
    except KeyboardInterrupt:
        kept = f"stopped; every finished episode is kept in {directory}. The same command goes on."
        raise KeyboardInterrupt(kept) from None
