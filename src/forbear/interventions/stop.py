from collections.abc import Mapping
from dataclasses import dataclass

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Halt
from forbear.records.model import JSON, Action, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Ends the episode before the proposed action runs; the episode counts as a failure.

    Undoes nothing that was executed. It saves cost and harm, it recovers nothing.
    """

    @property
    def name(self) -> str:
        """`stop`."""
        return "stop"

    def apply(self, trajectory: Trajectory, proposed: Action, *, score: Score, draw: Draw) -> Halt:
        """Returns the end."""
        return Halt()

    def config(self) -> Mapping[str, JSON]:
        """Returns its kind."""
        return {"kind": self.name}
