"""How outcomes are read from files: what `decide`, `churn` and `power` ask alike, and what every reader is handed."""

from dataclasses import dataclass, field

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
    """How outcomes are read.

    Raises:
        InvalidInput: A threshold that is none.
    """

    columns: Columns = field(default_factory=Columns)
    """The names of the columns, where they are not the usual ones."""
    graded: bool = False
    """Whether success holds scores between 0 and 1."""
    threshold: float | None = None
    """Scores of at least this are successes, the others failures; 0 < threshold ≤ 1."""

    failures: tuple[str, ...] = ()
    """Reasons for which a run without an outcome counts as a failure, in any case and in every arm alike."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise InvalidInput(f"threshold is a score above 0 and at most 1, got {self.threshold!r}.")

    @property
    def scored(self) -> bool:
        """Whether success holds scores."""
        return self.graded or self.threshold is not None
