"""How outcomes are read from files: what `decide`, `churn` and `power` ask alike, and what every reader is handed."""

from dataclasses import dataclass, field
from typing import Literal

from forbear.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Names of the columns; None means: the usual name, if there is such a column."""

    task: str | None = None
    arm: str | None = None
    seed: str | None = None
    success: str | None = None
    cluster: str | None = None
    stratum: str | None = None
    reason: str | None = None
    """Why a run has no outcome; read only where reasons count as failures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How outcomes are read."""

    columns: Columns = field(default_factory=Columns)
    """The names of the columns, where they are not the usual ones."""
    graded: bool = False
    """Whether success holds scores between 0 and 1."""
    threshold: float | None = None
    """Scores of at least this are successes, the others failures; of a table 0 < threshold ≤ 1."""

    failures: tuple[str, ...] = ()
    """Reasons for which a run without an outcome counts as a failure, in any case and in every arm alike."""

    format: str | None = None
    """Of logs the name of their format; None: found by content."""
    scorer: str | None = None
    """Of logs the score, metric or feedback that is the outcome; None: the only one."""
    lower_is_better: bool = False
    """Whether low scores of logs are the good ones."""
    episodes: bool = False
    """Of logs, whether what agents did is wanted, too."""
    arms_by: Literal["auto", "config", "file"] = "auto"
    """What makes an arm of logs: `config`: equal model and agent; `file`: each file."""

    def check_table(self) -> None:
        """Refuses what cannot be said of a table.

        Raises:
            InvalidInput: A threshold that is none of its scores', or an option of logs.
        """
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise InvalidInput(f"threshold is a score above 0 and at most 1, got {self.threshold!r}.")
        said = {"--scorer": self.scorer, "--lower-is-better": self.lower_is_better or None}
        said["--arms-by"] = None if self.arms_by == "auto" else self.arms_by
        for option, value in said.items():
            if value is not None:
                raise InvalidInput(f"{option} is for logs, and this is a table; name its columns (--success-col NAME).")

    @property
    def scored(self) -> bool:
        """Whether success holds scores."""
        return self.graded or self.threshold is not None
