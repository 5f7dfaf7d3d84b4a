"""What all commands of `forbear pilot` take, and where their journal lies."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

FILE = click.argument("file", metavar="PILOT.toml", type=click.Path(path_type=Path))
JOURNAL = click.option(
    "--journal", type=click.Path(path_type=Path), metavar="DIR", help="Where episodes are kept. [default: runs/NAME]"
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """The pilot that a command is about, as it was named."""

    file: Path
    journal: Path | None
    continuations: int | None
    """Instead of what the file says."""

    @property
    def directory(self) -> Path:
        """Where its journal lies."""
        return directory_of(self.file, self.journal)

    @property
    def again(self) -> str:
        """The arguments that name the same pilot."""
        more = "" if self.continuations is None else f" --continuations {self.continuations}"
        return again(self.file, self.journal) + more


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How it is run, and what is printed."""

    concurrency: int | None
    workers: int | None
    as_json: bool


def which_pilot(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what names a pilot; the command is handed it as one argument, `which`."""
    continuations = click.option(
        "--continuations",
        type=click.IntRange(1),
        metavar="K",
        help="Runs of a task from where an arm first would act, instead of what the file says.",
    )

    @FILE
    @JOURNAL
    @continuations
    @wraps(command)
    def with_pilot(file: Path, journal: Path | None, continuations: int | None, **values: Any) -> Any:
        return command(which=Which(file=file, journal=journal, continuations=continuations), **values)

    return with_pilot


def how_it_runs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds how a pilot is run; the command is handed it as one argument, `how`."""

    @click.option("--concurrency", type=click.IntRange(1), help="Tasks under way at a time.")
    @click.option("--workers", type=click.IntRange(1), help="Processes that run tasks, for agents that compute.")
    @JSON
    @wraps(command)
    def with_how(concurrency: int | None, workers: int | None, as_json: bool, **values: Any) -> Any:
        return command(how=How(concurrency=concurrency, workers=workers, as_json=as_json), **values)

    return with_how


def again(file: Path, journal: Path | None) -> str:
    """The arguments that name the same pilot."""
    return shlex.join([str(file), *([] if journal is None else ["--journal", str(journal)])])


def directory_of(file: Path, journal: Path | None) -> Path:
    """Where the journal lies."""
    return Path("runs") / file.stem if journal is None else journal
