"""What both readers of the tabular layout share: which columns are meant, what counts as success, what was read."""

import contextlib
import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forbear.adapters.formats.reading import Reading
from forbear.errors import InvalidInput
from forbear.outcomes.table import Labels
from forbear.wording import listed, shown

SUCCESS = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "pass"), True),  # 1.0: what pandas writes beside a missing value
    **dict.fromkeys(("0", "0.0", "false", "no", "fail"), False),
}
"""What a success column may hold, in any case."""

MISSING = frozenset({"", "error"})
"""What it holds, in any case, where a run has no outcome: the world failed, not the agent."""

BLANKS = " \t"
"""Stripped around every name and value."""


TWICE = (
    "{source}: task, arm, seed, success, cluster, stratum and reason must be different columns; one was named twice."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Where the columns stand in a header; None where the table has no such column."""

    task: int
    arm: int | None
    seed: int | None
    success: int
    cluster: int | None
    stratum: int | None
    reason: int | None
    ignored: tuple[str, ...]
    """The other columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The rows of all sources, one after the other. A column that a source lacks holds ""."""

    tasks: Labels
    arms: Labels
    seeds: Labels
    success: NDArray[np.bool_] | NDArray[np.float64]
    """Floats where scores were read."""
    missing: NDArray[np.bool_]
    """Where there is no outcome."""
    clusters: Labels | None
    """None where no source has such a column."""
    strata: Labels | None
    """The same."""
    reasons: Labels | None
    """The same."""
    lines: Sequence[Sequence[int]]
    """Per source: the line on which each of its rows starts."""
    has_arm: Sequence[bool]
    """Per source: whether it has an arm column."""
    ignored: tuple[str, ...]


def locate(header: Sequence[str], reading: Reading, *, source: str, needs_arm: bool) -> Positions:
    """Finds the columns in a header.

    Raises:
        InvalidInput: A needed or named column is missing, or its name stands there twice.
    """

    def find(name: str, option: str, *, needed: bool) -> int | None:
        count = header.count(name)
        if count > 1:
            raise InvalidInput(f"{source} has {count} columns named '{shown(name)}'. Keep one.")
        if count:
            return header.index(name)
        if needed:
            raise InvalidInput(missing_column(name, header, source=source, option=option))
        return None

    columns = reading.columns
    task = find(columns.task or "task_id", "--task-col", needed=True)
    success = find(columns.success or "success", "--success-col", needed=True)
    arm = find(columns.arm or "arm", "--arm-col", needed=needs_arm or columns.arm is not None)
    seed = find(columns.seed or "seed", "--seed-col", needed=columns.seed is not None)
    assert task is not None
    assert success is not None
    cluster = find(columns.cluster or "cluster", "--cluster-col", needed=columns.cluster is not None)
    stratum = find(columns.stratum or "stratum", "--stratum-col", needed=columns.stratum is not None)
    reason = find(columns.reason or "reason", "--reason-col", needed=True) if reading.failures else None
    found = [at for at in (task, success, arm, seed, cluster, stratum, reason) if at is not None]
    used = set(found)
    if len(used) != len(found):
        raise InvalidInput(TWICE.format(source=source))
    ignored = tuple(name for i, name in enumerate(header) if i not in used)
    return Positions(
        task=task,
        arm=arm,
        seed=seed,
        success=success,
        cluster=cluster,
        stratum=stratum,
        reason=reason,
        ignored=ignored,
    )


def missing_column(name: str, header: Sequence[str], *, source: str, option: str) -> str:
    """The message for a column that is not there, with the nearest name that is."""
    if len(header) == 1 and any(separator in header[0] for separator in ";|"):
        return f"{source} is separated by neither commas nor tabs: its header is {listed(header)}. Save it as CSV."
    # A hostile header may hold a million long names; the nearest of the first hundred is help enough.
    lowered = {shown(known).lower(): known for known in reversed(header[:100])}
    near = difflib.get_close_matches(name.lower()[:60], lowered, n=1, cutoff=0.5)
    hint = f" Did you mean '{shown(lowered[near[0]], limit=30)}'?" if near else ""
    extra = " Two files without it work too: baseline first." if option == "--arm-col" else ""
    return (
        f"{source} has no column '{shown(name)}'; it has {listed(header)}.{hint} Name the column: {option} NAME.{extra}"
    )


def success_of(value: str, *, place: str) -> bool | None:
    """Reads a success field; None where the run has no outcome.

    Raises:
        InvalidInput: Neither 0 nor 1, nor one of their spellings, nor missing.
    """
    known = SUCCESS.get(value.lower())
    if known is None and value.lower() not in MISSING:
        raise InvalidInput(not_binary(value, place=place))
    return known


def score_of(value: str, *, place: str) -> float | None:
    """Reads a success field that holds scores; None where the run has none.

    Raises:
        InvalidInput: No number from 0 to 1, nor a spelling of failure or success, nor missing.
    """
    word = value.lower()
    if word in MISSING:
        return None
    try:
        score = float(SUCCESS.get(word, word))
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        raise InvalidInput(
            f"{place}: success is '{shown(value)}'; expected a score from 0 to 1 (--graded). "
            "If this run has no score, write error: it is then left out and bounded."
        )
    return score


def not_binary(value: str, *, place: str) -> str:
    """The message for a value that is no outcome."""
    graded = ""
    with contextlib.suppress(ValueError):
        graded = " Scores between 0 and 1: --graded, or --threshold T." if 0 < float(value) < 1 else ""
    return (
        f"{place}: success is '{shown(value)}'; expected 0 or 1 (or true/false, yes/no, pass/fail). "
        f"If this run has no outcome, write error: it is then left out and bounded.{graded}"
    )
