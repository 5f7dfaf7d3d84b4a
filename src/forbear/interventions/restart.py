from collections.abc import Mapping
from dataclasses import dataclass

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Retry
from forbear.interventions.message import check_message, fill_message
from forbear.records.model import JSON, Action, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Drops the proposed action, undoes every executed step, and lets the agent begin the task again.

    The world is restored or replayed to its start; what its actions did outside of it is not undone, so it is refused
    once an action has run that the environment marks as irreversible. Undone steps stay spent: an episode that restarts
    late has few steps left. At the first step it is a rollback.

    Raises:
        InvalidInput: A message with a hole that nothing fills.
    """

    message: str | None = None
    """Shown before the agent begins again; `{action}`, `{p_fail}` and `{why}` are filled in. None says nothing, and the
    agent does not know that it has been here before."""
    exclude: bool = False
    """Whether the agent is asked not to begin with the same action again."""
    costs_step: bool = False
    """Whether the dropped proposal is charged to the budget of steps."""

    def __post_init__(self) -> None:
        check_message(self.message, whose="Restart")

    @property
    def name(self) -> str:
        """`restart`."""
        return "restart"

    @property
    def undoes_steps(self) -> bool:
        """Always."""
        return True

    def apply(self, trajectory: Trajectory, proposed: Action, *, score: Score, draw: Draw) -> Retry:
        """Returns the retry."""
        message = self.message and fill_message(self.message, proposed=proposed, score=score)
        executed = len(trajectory.steps) - 1
        return Retry(undo=executed, message=message or None, exclude=self.exclude, costs_step=self.costs_step)

    def config(self) -> Mapping[str, JSON]:
        """Returns its three options."""
        return {
            "kind": self.name,
            "message": self.message or None,
            "exclude": self.exclude,
            "costs_step": self.costs_step,
        }
