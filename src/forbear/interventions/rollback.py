from collections.abc import Mapping
from dataclasses import dataclass

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Retry
from forbear.errors import InvalidInput
from forbear.interventions.message import check_message, fill_message
from forbear.records.model import JSON, Action, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """Drops the proposed action, undoes `depth` − 1 executed steps, and lets the agent propose again.

    With depth 1 nothing has touched the world. Deeper, the world is restored or replayed to where it was; what its
    actions did outside of it (a mail sent, money moved) is not undone, so it is refused across actions that the
    environment marks as irreversible. Undone steps stay spent: they are not given back to the budget of steps.

    Raises:
        InvalidInput: A depth below 1, or a message with a hole that nothing fills.
    """

    depth: int = 1
    message: str | None = None
    """Shown before the agent proposes again; `{action}`, `{p_fail}` and `{why}` are filled in. None says nothing."""
    exclude: bool = False
    """Whether the agent is asked not to propose the same again."""
    costs_step: bool = False
    """Whether the dropped proposal is charged to the budget of steps."""

    def __post_init__(self) -> None:
        if not isinstance(self.depth, int) or isinstance(self.depth, bool) or self.depth < 1:
            raise InvalidInput(f"Rollback's depth must be a whole number of at least 1, got {self.depth!r:.60}.")
        check_message(self.message, whose="Rollback")

    @property
    def name(self) -> str:
        """`rollback`."""
        return "rollback"

    @property
    def undoes_steps(self) -> bool:
        """Only deeper than 1."""
        return self.depth > 1

    def apply(self, trajectory: Trajectory, proposed: Action, *, score: Score, draw: Draw) -> Retry:
        """Returns the retry."""
        message = self.message and fill_message(self.message, proposed=proposed, score=score)
        return Retry(undo=self.depth - 1, message=message or None, exclude=self.exclude, costs_step=self.costs_step)

    def config(self) -> Mapping[str, JSON]:
        """Returns its four options."""
        return {
            "kind": self.name,
            "depth": self.depth,
            "message": self.message or None,
            "exclude": self.exclude,
            "costs_step": self.costs_step,
        }
