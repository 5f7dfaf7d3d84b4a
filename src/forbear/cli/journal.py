"""`forbear journal`: what a journal holds."""

from pathlib import Path

import click

_HELP = """Look into the journal of a pilot.

\b
Examples:
    forbear journal digest runs/pilot

Exit codes: 0 done, 1 a bug, 2 no readable journal, 130 Ctrl-C.
"""


@click.group(help=_HELP, short_help="What a journal holds: digest.")
def journal() -> None:
    """The group."""


@journal.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def digest(directory: Path) -> None:
    """Print the sha256 of what was found: the same for any order, concurrency or interruption."""
    from forbear.analysis.plan_record import PlanRecord
    from forbear.analysis.result import findings_digest
    from forbear.records.journal import Journal

    content = Journal(directory).read()
    click.echo(findings_digest(PlanRecord.of(content.plan, where=str(directory)), content))
