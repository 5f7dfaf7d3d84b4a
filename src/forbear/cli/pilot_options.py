"""What all commands of `forbear pilot` take, and where their journal lies."""

from pathlib import Path

import click

FILE = click.argument("file", metavar="PILOT.toml", type=click.Path(path_type=Path))
JOURNAL = click.option(
    "--journal", type=click.Path(path_type=Path), metavar="DIR", help="Where episodes are kept. [default: runs/NAME]"
)
CONTINUATIONS = click.option(
    "--continuations",
    type=click.IntRange(1),
    metavar="K",
    help="Runs of a task from where an arm first would act, instead of what the file says.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")


def again(file: Path, journal: Path | None, continuations: int | None = None) -> str:
    """The arguments that name the same pilot."""
    more = "" if continuations is None else f" --continuations {continuations}"
    return (str(file) if journal is None else f"{file} --journal {journal}") + more


def directory_of(file: Path, journal: Path | None) -> Path:
    """Where the journal lies."""
    return Path("runs") / file.stem if journal is None else journal
