"""How outcomes are read from files: what `decide`, `churn` and `power` ask alike, and what every reader is handed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, Self

from forbear.errors import InvalidInput
from forbear.wording import shown

Named = str | Sequence[str] | None
"""One name for every file, or one a file in their order; None: the usual name or a guess (docs/formats.md)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the columns; None means: the usual name or a guess, if there is such a column.

    A name is taken as it stands, else without regard to case, blanks and underscores. In JSON `a.b` is the field `b` of
    the object `a`. Two files that name a column differently need two names, in the order of the files.
    """

    task: Named = None
    arm: Named = None
    seed: Named = None
    success: Named = None
    cluster: Named = None
    stratum: Named = None
    reason: Named = None
    """Why a run has no outcome; read only where reasons count as failures."""
    error: Named = None
    """Filled where something broke: a run that did not succeed then has no outcome. Never guessed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Rows that are read: those whose column holds one of some values, or none of them."""

    column: str
    values: tuple[str, ...]
    negated: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `column=value` or `column!=value`.

        Raises:
            InvalidInput: There is no `=`, or no column before it.
        """
        column, equals, value = text.partition("=")
        negated = column.endswith("!")
        column = column[: -1 if negated else None].strip()
        if not equals or not column:
            raise InvalidInput(
                f"--where needs column=value, got '{shown(text)}'. Example: --where filter=strict-match."
            )
        return cls(column=column, values=(value.strip(),), negated=negated)

    def __str__(self) -> str:
        equals = " is not " if self.negated else " is "
        values = " or ".join(f"'{shown(value)}'" for value in self.values)
        return f"'{shown(self.column)}'{equals}{values}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How outcomes are read.

    Raises:
        InvalidInput: A threshold that is no number, or a word that is to mean two things.
    """

    columns: Columns = field(default_factory=Columns)
    where: tuple[Condition, ...] = ()
    """Rows have to fulfil all of them; two on one column with `=` are one with both values."""
    by: str | None = None
    """Each value of this column is a comparison of its own."""
    records: str | None = None
    """Where the records of a JSON document are, as a dotted path; None: found, or asked for."""
    arm_columns: tuple[str, ...] = ()
    """Of a wide table: the columns that hold the outcomes of one arm each."""
    key: Literal["id", "row"] = "id"
    """What pairs rows: the task's id, or where they stand among the rows of their arm (or of their file)."""
    number_runs: bool = False
    """Whether rows of one task and arm are separate runs, numbered as they stand; in place of a column of seeds."""
    graded: bool = False
    """Whether success holds scores between 0 and 1."""
    threshold: float | None = None
    """Scores of at least this are successes, the others failures."""
    success_values: tuple[str, ...] = ()
    """Words for success, in any case, beside the usual ones; they go before those."""
    failure_values: tuple[str, ...] = ()
    """The same for failure."""
    missing_values: tuple[str, ...] = ()
    """The same for a run without an outcome."""
    failures: tuple[str, ...] = ()
    """Reasons for which a run without an outcome counts as a failure, in any case and in every arm alike."""

    format: str | None = None
    """Of logs the name of their format; None: found by content."""
    scorer: str | None = None
    """Of logs the score, metric or feedback that is the outcome; None: the only one."""
    lower_is_better: bool = False
    """Whether low scores of logs are the good ones."""
    arms_by: Literal["auto", "config", "file"] = "auto"
    """What makes an arm of logs: `config`: equal model and agent; `file`: each file."""
    episodes: bool = False
    """Of logs, whether what agents did is wanted, too."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise InvalidInput(f"threshold is a number, got {self.threshold!r}.")
        meant: dict[str, str] = {}
        for name in ("success_values", "failure_values", "missing_values"):
            for word in getattr(self, name):
                if meant.setdefault(word.lower(), name) != name:
                    raise InvalidInput(f"'{shown(word)}' is among {meant[word.lower()]} and {name}. Keep one.")

    @property
    def of_a_table(self) -> tuple[str, ...]:
        """What was said that only a table has: the options that say so."""
        said: dict[str, object] = {"--where": self.where, "--by": self.by, "--records": self.records}
        said |= {"--arm-cols": self.arm_columns, "--key": self.key == "row", "--number-runs": self.number_runs}
        said |= {"--success-values": self.success_values, "--failure-values": self.failure_values}
        said |= {"--missing-values": self.missing_values, "--graded": self.graded}
        columns = {"--reason-col": None} | {
            f"--{one.name}-col": getattr(self.columns, one.name) for one in fields(Columns)
        }
        return tuple(option for option, value in (said | columns).items() if value)

    @property
    def of_logs(self) -> tuple[str, ...]:
        """The same of logs."""
        said = {"--from": self.format, "--scorer": self.scorer, "--lower-is-better": self.lower_is_better}
        said |= {"--arms-by": self.arms_by != "auto", "--episodes": self.episodes}
        return tuple(option for option, value in said.items() if value)

    @property
    def scored(self) -> bool:
        """Whether success holds scores."""
        return self.graded or self.threshold is not None
