"""A critic whose scores are mapped to probabilities that mean what they say."""

from collections.abc import Mapping

from forbear.contracts.border import checked_score
from forbear.contracts.critic import Critic, Score
from forbear.contracts.draw import Draw
from forbear.critics.calibrators import Calibrator
from forbear.policy.foreign import called
from forbear.records.model import JSON, Action, Trajectory


class CalibratedCritic:
    """Asks another critic and maps what it says."""

    def __init__(self, critic: Critic, *, calibrator: Calibrator) -> None:
        self._critic, self._calibrator = critic, calibrator

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score:
        """Returns the other's score, calibrated; abstains where it does."""
        said = checked_score(await called(self._critic.score, trajectory, proposed, draw=draw))
        if said.p_fail is None:
            return said
        step = len(trajectory.steps) - 1
        return Score(float(self._calibrator(said.p_fail, step)), said.why, said.usage)

    def config(self) -> Mapping[str, JSON]:
        """Returns the other's config and the map."""
        return {"name": "calibrated", "critic": self._critic.config(), "calibration": self._calibrator.to_dict()}
