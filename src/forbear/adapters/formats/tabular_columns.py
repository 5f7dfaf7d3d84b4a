"""Which columns of a table are meant: as named, else the usual name, else a guess from a list, which is said."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from forbear.adapters.formats.reading import Condition, Named, Reading
from forbear.errors import InvalidInput
from forbear.wording import listed, shown

GUESSES: dict[str, tuple[tuple[str, ...], ...]] = {
    "task": (
        ("task_id",),
        (
            *("task", "task_name", "instance_id", "sample_id", "example_id", "question_id", "problem_id", "item_id"),
            *("test_id", "case_id", "scenario_id", "prompt_id", "doc_id"),
        ),
        ("id", "instance", "sample", "example", "question", "problem", "item", "test", "case", "scenario", "name"),
    ),
    "arm": (
        ("arm",),
        ("condition", "variant", "treatment", "group", "arm_name"),
        ("model", "model_name", "agent", "agent_name", "system", "policy", "method", "config", "strategy", "provider"),
    ),
    "seed": (
        ("seed",),
        ("trial", "epoch", "repeat", "repetition", "replicate", "rep", "run", "trial_id", "run_index", "trial_index"),
    ),
    "success": (
        ("success",),
        (
            *("passed", "pass", "resolved", "is_resolved", "correct", "is_correct", "solved", "succeeded"),
            *("successful", "is_success"),
        ),
        (
            *("outcome", "result", "score", "reward", "final_reward", "verdict", "label", "grade", "status"),
            *("accuracy", "acc", "exact_match"),
        ),
    ),
    "cluster": (("cluster",),),
    "stratum": (("stratum",),),
    "reason": (("reason",),),
}
"""What a column may be called, the usual name first. Of the first group that a table has one of, that one is taken; two
of one group cannot be told apart, and are asked about."""

ERRORS = frozenset(
    {
        "error",
        "errors",
        "exception",
        "errormessage",
        "errormsg",
        "errortype",
        "exceptioninfo",
        "traceback",
        "infraerror",
    }
)
"""Folded names of columns that may say that something broke: not read unasked, nor passed over in silence."""

OPTIONS = {role: f"--{role}-col" for role in (*GUESSES, "error")}

_MOST_NAMES = 100_000
"""Columns that are looked at for a guess, a list or a hint: a hostile header may hold millions."""


def folded(name: str) -> str:
    """A column's name without what people write differently: "Task ID", "taskId" and "task_id" are one."""
    return re.sub(r"[\s_\-]+", "", name).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which columns of one table hold what; None where it has no such column."""

    task: str | None
    """None where rows are paired by where they stand."""
    arm: str | None
    seed: str | None
    success: str | None
    """None in a wide table."""
    arms: tuple[str, ...] = ()
    """Of a wide table: the column of each arm."""
    cluster: str | None
    stratum: str | None
    reason: str | None
    error: str | None
    """Where runs say that something broke, by the user's word."""
    suspect: str | None
    """The same, not by his word: it is not read, only counted."""
    by: str | None
    where: tuple[Condition, ...] = ()
    """With the names of this table."""
    ignored: tuple[str, ...] = ()
    """The other columns."""
    guessed: dict[str, str] = field(default_factory=dict)
    """By role: the column that was taken without being named or bearing the usual name."""

    @property
    def outcomes(self) -> tuple[str, ...]:
        """The columns that hold outcomes."""
        return self.arms if self.success is None else (self.success,)


class Header(Protocol):
    """What a table says of its columns before its rows are read."""

    @property
    def place(self) -> str:
        """For messages."""

    @property
    def names(self) -> Sequence[str]:
        """The columns."""

    def find(self, name: str) -> int:
        """How many columns bear exactly this name; in JSON it may be the path of a field."""


def locate(header: Header, reading: Reading, *, file: int, needs_arm: bool, guess_arm: bool) -> Layout:
    """Finds the columns in a header.

    Args:
        header: Of the table.
        reading: What was said of the columns.
        file: Which of the files it is, from 0 on.
        needs_arm: Whether there has to be a column of arms.
        guess_arm: Whether another name than the usual one may be taken for it.

    Raises:
        InvalidInput: A needed or named column is missing, its name stands there twice, or a guess could be two.
    """
    finder = _Finder(header, reading, file)
    wide = finder.wide()
    task = None if reading.key == "row" else finder.role("task", needed=True)
    success = None if wide else finder.role("success", needed=True)
    arm = None
    if not wide and (needs_arm or finder.named("arm") is not None or finder.usual("arm") is not None or guess_arm):
        arm = finder.role("arm", needed=needs_arm, guess=guess_arm)
    seed = None if reading.number_runs else finder.role("seed", needed=False)
    cluster, stratum = (finder.role(role, needed=False) for role in ("cluster", "stratum"))
    reason = finder.role("reason", needed=False) if reading.failures else None
    error = finder.role("error", needed=False, guess=False)
    by = None if reading.by is None else finder.column(reading.by, option="--by")
    where = tuple(
        Condition(column=finder.column(one.column, option="--where"), values=one.values, negated=one.negated)
        for one in merged(reading.where)
    )
    found = [at for at in (task, success, arm, seed, cluster, stratum, reason, error, *wide) if at is not None]
    if len(set(found)) != len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise InvalidInput(
            f"{header.place}: task, arm, seed, success, cluster, stratum and reason must be different columns; "
            f"'{shown(twice)}' was named twice."
        )
    used = {*found, *(one.column for one in where), *([] if by is None else [by])}
    suspects = [name for name in header.names[:_MOST_NAMES] if folded(name) in ERRORS and name not in used]
    return Layout(
        task=task,
        arm=arm,
        seed=seed,
        success=success,
        arms=wide,
        cluster=cluster,
        stratum=stratum,
        reason=reason,
        error=error,
        suspect=suspects[0] if suspects and error is None else None,
        by=by,
        where=where,
        ignored=tuple(name for name in header.names if name not in used),
        guessed=finder.guessed,
    )


def merged(conditions: Sequence[Condition]) -> list[Condition]:
    """Conditions with `=` on one column as one with all their values."""
    by_column: dict[tuple[str, bool], tuple[str, ...]] = {}
    for one in conditions:
        key = (one.column, one.negated)
        by_column[key] = (*by_column.get(key, ()), *one.values)
    return [Condition(column=column, values=values, negated=no) for (column, no), values in by_column.items()]


class _Finder:
    def __init__(self, header: Header, reading: Reading, file: int) -> None:
        self.header, self.reading, self.file = header, reading, file
        self.guessed: dict[str, str] = {}
        self.taken: set[str] = set()
        self.folded: dict[str, list[str]] = {}
        for known in dict.fromkeys(header.names[:_MOST_NAMES]):
            self.folded.setdefault(folded(known), []).append(known)
        # What was named for one purpose is no guess for another.
        for name in (*map(self.named, OPTIONS), reading.by, *(x.column for x in reading.where), *reading.arm_columns):
            self.taken |= set() if name is None else set(self._like(name))

    def named(self, role: str) -> str | None:
        """What the user calls the column of this file."""
        names: Named = getattr(self.reading.columns, role)
        if names is None or isinstance(names, str):
            return names
        if not names:
            return None
        return names[min(self.file, len(names) - 1)]

    def usual(self, role: str) -> str | None:
        """The column with the usual name."""
        found = [name for name in self._like(GUESSES[role][0][0]) if name not in self.taken]
        return found[0] if found else None

    def _like(self, name: str) -> list[str]:
        """The columns that are meant by a name: that one, or those that differ in case, blanks and underscores."""
        return [name] if self.header.find(name) else self.folded.get(folded(name), [])

    def column(self, name: str, *, option: str) -> str:
        """The one column that is meant by a name."""
        found = self._like(name)
        if not found:
            raise InvalidInput(missing_column(name, self.header, option=option))
        if len(found) > 1:
            raise InvalidInput(
                f"{self.header.place}: '{shown(name)}' could be {_or(found)}. Name it as it is written: {option}."
            )
        self._once(found[0])
        return found[0]

    def role(self, role: str, *, needed: bool, guess: bool = True) -> str | None:
        """The column of a role.

        Raises:
            InvalidInput: It was named, or is needed, and is not there; or it could be several.
        """
        name = self.named(role)
        if name is not None:
            return self.column(name, option=f"{OPTIONS[role]} NAME")
        for rank, names in enumerate(GUESSES.get(role, ())):
            found = [
                known
                for wanted in names
                for known in ([wanted] if self.header.find(wanted) else self.folded.get(folded(wanted), []))
                if known not in self.taken or (needed and not rank)
            ]
            found = list(dict.fromkeys(found))
            if len(found) > 1:
                raise InvalidInput(
                    f"{self.header.place}: the {role} column could be {_or(found)}. Say which: {OPTIONS[role]} NAME."
                )
            if found:
                self._once(found[0])
                self.taken.add(found[0])
                if rank or folded(found[0]) != folded(names[0]):
                    self.guessed[role] = found[0]
                return found[0]
            if not guess:
                break
        if needed:
            raise InvalidInput(missing_column(GUESSES[role][0][0], self.header, option=f"{OPTIONS[role]} NAME"))
        return None

    def _once(self, name: str) -> None:
        if (count := self.header.find(name)) > 1:
            raise InvalidInput(f"{self.header.place} has {count} columns named '{shown(name)}'. Keep one.")

    def wide(self) -> tuple[str, ...]:
        """The columns of the arms, where the table has one for each."""
        if self.reading.arm_columns:
            return tuple(self.column(name, option="--arm-cols") for name in self.reading.arm_columns)
        if self.named("success") is not None or self.named("arm") is not None:
            return ()
        found = [name for wanted in ("baseline", "treated") for name in self._like(wanted)]
        long = [name for role in ("success", "arm") for names in GUESSES[role] for name in names]
        if len(found) != 2 or any(self._like(name) for name in long):
            return ()
        self.guessed["arms"] = " and ".join(found)
        self.taken |= set(found)
        return tuple(found)


def missing_column(name: str, header: Header, *, option: str) -> str:
    """The message for a column that is not there, with the nearest name that is."""
    # A hostile header may hold a million long names; the nearest of the first hundred is help enough.
    names = header.names[:_MOST_NAMES]
    lowered = {shown(known).lower(): known for known in reversed(names[:100])}
    near = difflib.get_close_matches(name.lower()[:60], lowered, n=1, cutoff=0.5)
    hint = f" Did you mean '{shown(lowered[near[0]], limit=30)}'?" if near else ""
    extra = ""
    if option.startswith("--arm-col"):
        extra = " Or give two files, baseline first; or, where each arm has a column of its own: --arm-cols NAME,NAME."
    elif option.startswith("--success-col") and len(names) > 2:
        extra = " Or, where each arm has a column of its own: --arm-cols NAME,NAME."
    elif option.startswith("--task-col"):
        extra = " Or, where rows stand in the same order in every arm: --key row."
    how = f"Name the column: {option}" if option.endswith("NAME") else f"Correct {option}"
    return f"{header.place} has no column '{shown(name)}'; it has {listed(names)}.{hint} {how}.{extra}"


def _or(names: Sequence[str]) -> str:
    return " or ".join(f"'{shown(name, limit=30)}'" for name in names[:5])
