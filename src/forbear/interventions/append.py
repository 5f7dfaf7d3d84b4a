from collections.abc import Mapping
from dataclasses import dataclass

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Continue
from forbear.errors import InvalidInput
from forbear.interventions.message import check_message, fill_message
from forbear.records.model import JSON, Action, Trajectory

DEFAULT_MESSAGE = "A monitor expects this attempt to fail (probability {p_fail}). Check your progress before you go on."


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Lets the proposed action run and shows a message with the next observation.

    Undoes nothing. Where the action ends the episode, the message comes too late and is never seen.

    Raises:
        InvalidInput: An empty message, or one with a hole that nothing fills.
    """

    message: str = DEFAULT_MESSAGE
    """`{action}`, `{p_fail}` and `{why}` are filled in."""

    def __post_init__(self) -> None:
        if not isinstance(self.message, str) or not self.message:
            raise InvalidInput(f"Append needs a message that is not empty, got {self.message!r:.60}.")
        check_message(self.message, whose="Append")

    @property
    def name(self) -> str:
        """`append`."""
        return "append"

    def apply(self, trajectory: Trajectory, proposed: Action, *, score: Score, draw: Draw) -> Continue:
        """Returns the message."""
        return Continue(message=fill_message(self.message, proposed=proposed, score=score))

    def config(self) -> Mapping[str, JSON]:
        """Returns the message."""
        return {"kind": self.name, "message": self.message}
