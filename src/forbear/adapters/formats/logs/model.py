"""What every reader of logs gives: runs of tasks, as the log has them, before anybody names arms or numbers repeats."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Value = bool | float | str | None
"""A score as it is written; None where the log holds no value."""

Fault = Literal["", "error", "missing"]
"""Why a run has no outcome: it has one or its score tells; something outside the agent broke; it was never scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of one task."""

    task: str
    key: str = ""
    """What tells tasks apart across files where `task` is only a number there; "": `task` does."""
    group: str = ""
    """The benchmark that the task belongs to; part of its name where several are read."""
    arm: str = ""
    """What the log calls the condition; "": the file is one."""
    repeat: int | None = None
    """The log's own index of the repeat; None where it has none."""
    success: bool | None = None
    """What the tool itself says; None where only `scores` tell."""
    scores: Mapping[str, Value] = field(default_factory=dict)
    fault: Fault = ""
    reason: str = ""
    """Of a fault, in a few words."""
    place: str = ""
    """Where in the file, for messages ("line 7", "results[3]")."""
    uid: str = ""
    """What names this run in all files: one that is stored twice is one run. "": unknown."""
    started: str = ""
    """When, as text that sorts; "" where unknown."""
    opening: str = ""
    """What the agent was told before its first step; read only where episodes are asked for."""
    steps: tuple[tuple[str, str], ...] = ()
    """Each action, and what was observed after it; the same."""
    said: tuple[Mapping[str, float], ...] = ()
    """By step, what monitors said of it, in [0, 1], by their names; empty where none watched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The runs of one file, or of several that together are one run of a benchmark."""

    format: str
    path: Path
    runs: list[Run]
    config: Mapping[str, str] = field(default_factory=dict)
    """What the log says of its arm, most telling first: model, agent, ...; values that differ name the arm."""
    main: str = ""
    """The score that `success` was made of, which --threshold reads; "" where success is no score."""
    field: str = ""
    """Where the outcome was found, as a user would write it."""
    together: str = ""
    """Logs of the same format and the same non-empty text here are one run (a folder with a file per task)."""
    repeats: bool = False
    """Whether the same arm in two files is a repeat of it: the file itself holds several arms by name."""
    full: bool = False
    """Whether a score below 1 is a failure, by the tool's own rule."""
    named: bool = False
    """Whether a score must be named to be an outcome, even a single one: they are judgements of many kinds."""
    absent: Literal["", "failure", "missing"] = ""
    """What it means that a task of the others is not in this log; "": this arm was not meant to run it."""
    started: str = ""
    weight: int = 0
    """Of a run that two logs tell of, the log of greater weight is believed."""
    remarks: tuple[str, ...] = ()
