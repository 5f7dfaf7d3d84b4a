"""`forbear journal`: what a journal holds."""

from pathlib import Path

import click


@click.group(short_help="What a journal holds: digest.")
def journal() -> None:
    """Look into the journal of a pilot."""


@journal.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def digest(directory: Path) -> None:
    """Print the sha256 of what was found: the same for any order, concurrency or interruption."""
    from forbear.records.journal import Journal

    click.echo(Journal(directory).read().digest())
