"""Arms that people really ship, ready to be named: interventions of the kinds beside, with their words chosen.

No words here name the critic's reason: told to the agent, a reason can hold the answer (arXiv 2605.26047), and a pilot
would measure that. Whoever wants it told writes `{why}` into a message of `Rollback` or `Append`.
"""

from dataclasses import dataclass

from forbear.errors import InvalidInput
from forbear.interventions.append import Append
from forbear.interventions.rollback import Rollback

NUDGE = "Check whether what you are doing brings you closer to your task."
TOLD = "A monitor expects this attempt to fail if you go on like that. Think again, then propose what you do next."


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge(Append):
    """An `Append` that speaks of no critic: the reminder that many frameworks show."""

    message: str = NUDGE
    """`{action}`, `{p_fail}` and `{why}` are filled in."""

    @property
    def name(self) -> str:
        """`nudge`."""
        return "nudge"


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentRollback(Rollback):
    """A `Rollback` that says nothing: the agent does not know that it was stopped.

    Raises:
        InvalidInput: A message.
    """

    def __post_init__(self) -> None:
        Rollback.__post_init__(self)
        if self.message:
            raise InvalidInput("a silent rollback says nothing; take rollback-told, or rollback with a message.")

    @property
    def name(self) -> str:
        """`rollback-silent`."""
        return "rollback-silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRollback(Rollback):
    """A `Rollback` that says that a monitor expects failure, and not why."""

    message: str | None = TOLD
    """Shown before the agent proposes again; `{action}`, `{p_fail}` and `{why}` are filled in."""

    @property
    def name(self) -> str:
        """`rollback-told`."""
        return "rollback-told"
