"""How outcomes are read from files: what `decide`, `churn` and `power` ask alike, and what every reader is handed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
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

    def __post_init__(self) -> None:
        if self.threshold is not None and not math.isfinite(self.threshold):
            raise InvalidInput(f"threshold is a number, got {self.threshold!r}.")
        meant: dict[str, str] = {}
        for name in ("success_values", "failure_values", "missing_values"):
            for word in getattr(self, name):
                if meant.setdefault(word.lower(), name) != name:
                    raise InvalidInput(f"'{shown(word)}' is among {meant[word.lower()]} and {name}. Keep one.")

    @property
    def scored(self) -> bool:
        """Whether success holds scores."""
        return self.graded or self.threshold is not None
