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
    from forbear.records.journal import Journal

    click.echo(Journal(directory).read().digest())
