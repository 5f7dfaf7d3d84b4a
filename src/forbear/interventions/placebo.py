from collections.abc import Mapping
from dataclasses import dataclass

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Retry
from forbear.records.model import JSON, Action, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Placebo:
    """Makes the agent propose once more: a fresh draw, nothing said, nothing excluded, nothing charged.

    What it changes is churn, which is what a placebo arm measures. Undoes nothing: the proposal has not run.
    """

    @property
    def name(self) -> str:
        """`placebo`."""
        return "placebo"

    @property
    def is_control(self) -> bool:
        """Always: it shows what a fresh draw does, and is not meant to be deployed."""
        return True

    def apply(self, trajectory: Trajectory, proposed: Action, *, score: Score, draw: Draw) -> Retry:
        """Returns a bare retry."""
        return Retry()

    def config(self) -> Mapping[str, JSON]:
        """Returns its kind."""
        return {"kind": self.name}
