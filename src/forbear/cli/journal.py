"""`forbear journal`: what a journal holds, whether it is whole, and what can be kept of one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from forbear.errors import InvalidInput
from forbear.wording import counted, shown

if TYPE_CHECKING:
    from forbear.records.codec import EpisodeKey
    from forbear.records.repair import Survey

_HELP = """Look into the journal of a pilot.

\b
Examples:
    forbear journal digest runs/pilot
    forbear journal check runs/pilot
    forbear journal repair runs/pilot

Exit codes: 0 done, 1 a bug, 2 no readable journal, or a damaged one, 3 full disk, 130 Ctrl-C.
"""

_MOST_LINES = 20
"""Of damaged ones, and of runs, that are named one by one."""

_DIRECTORY = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))


@click.group(help=_HELP, short_help="What a journal holds: digest, check, repair.")
def journal() -> None:
    """The group."""


@journal.command()
@_DIRECTORY
def digest(directory: Path) -> None:
    """Print the sha256 of what was found: the same for any order, concurrency or interruption."""
    from forbear.analysis.plan_record import PlanRecord
    from forbear.analysis.result import findings_digest
    from forbear.records.journal import Journal

    content = Journal(directory).read()
    click.echo(findings_digest(PlanRecord.of(content.plan, where=str(directory)), content))


@journal.command()
@_DIRECTORY
def check(directory: Path) -> None:
    """Say whether every line is as it was written, and what could be kept if not. Changes nothing."""
    from forbear.records.journal import Journal
    from forbear.records.repair import survey

    found = survey(Journal(directory))
    if not found.faults:
        _say_whole(found, directory)
        return
    _say_faults(found)
    _say_kept(found, would=True)
    raise InvalidInput(
        f"{shown(str(directory), limit=200)}: the journal is damaged. Restore it from a copy, or keep what is whole: "
        f"forbear journal repair {shown(str(directory), limit=200)}"
    )


@journal.command()
@_DIRECTORY
def repair(directory: Path) -> None:
    """Drop damaged records and what depends on them; `pilot run` runs them again. The damaged file is kept beside."""
    from forbear.records.journal import Journal
    from forbear.records.repair import repair

    found, copy = repair(Journal(directory))
    if copy is None:
        _say_whole(found, directory)
        return
    _say_faults(found)
    _say_kept(found, would=False)
    click.echo(f"The file as it was: {shown(str(copy), limit=200)}")


def _say_whole(found: Survey, directory: Path) -> None:
    whole = len(found.lines)
    click.echo(f"{shown(str(directory), limit=200)}: {counted(whole, 'line')}, as written. Nothing to repair.")
    if found.torn:
        click.echo(
            f"The last {counted(found.torn, 'byte')} are no whole line: what was being written when a process was "
            "killed. They are passed over, and written over by the next run."
        )


def _say_faults(found: Survey) -> None:
    for fault in found.faults[:_MOST_LINES]:
        click.echo(f"line {fault.line}: {shown(fault.what, limit=300)}{' (kept)' if fault.kept else ''}")
    if len(found.faults) > _MOST_LINES:
        click.echo(f"... and {len(found.faults) - _MOST_LINES:,} more")


def _say_kept(found: Survey, *, would: bool) -> None:
    runs = counted(len(found.to_run), "run")
    click.echo(f"{'Whole' if would else 'Kept'}: {counted(len(found.lines), 'record')}.")
    if not found.to_run:
        click.echo("Nothing has to be run again.")
        return
    click.echo(f"Without an outcome among the tasks that were begun, run next by `forbear pilot run`: {runs}")
    for key in found.to_run[:_MOST_LINES]:
        click.echo(f"  {_named(key)}")
    if len(found.to_run) > _MOST_LINES:
        click.echo(f"  ... and {len(found.to_run) - _MOST_LINES:,} more")


def _named(key: EpisodeKey) -> str:
    return f"task '{shown(key[0])}', seed {key[1]}, arm '{shown(key[2])}'"
