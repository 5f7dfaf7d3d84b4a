"""What an intervention is, and the effects that it may have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from forbear.records.model import JSON, Action, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """The proposed action runs."""

    message: str | None = None
    """Shown with the next observation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The proposed action is dropped, `undo` executed steps are undone, and the agent proposes again there."""

    undo: int = 0
    """Executed steps to undo; no more than there are."""
    message: str | None = None
    """Shown before the agent proposes again."""
    exclude: bool = False
    """The agent is asked not to propose again what it did or proposed there."""
    costs_step: bool = False
    """The dropped proposal is charged to the budget of steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """The episode ends here, undone."""


Effect: TypeAlias = Continue | Retry | Halt


class Intervention(Protocol):
    """Changes a run when a policy says so; never scores."""

    @property
    def name(self) -> str:
        """One word, as reports call it, e.g. "rollback"."""
        ...

    @property
    def undoes_steps(self) -> bool:
        """Whether it may undo executed steps, which needs a world that can be restored or replayed."""
        ...

    def apply(self, trajectory: Trajectory, proposed: Action, *, p_fail: float) -> Effect:
        """Returns what is to happen instead of plainly running `proposed`; pure."""
        ...

    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its effect; two that differ in effect differ here."""
        ...
