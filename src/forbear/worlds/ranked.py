"""Learned agents of the worlds: they draw what to do from what may be done, ranked by a fitted logit."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput
from forbear.learned.ranker import Described, RankerWeights, scorer
from forbear.records.model import JSON, Action, Trajectory

MAX_OBSERVATION = 20_000
"""Characters; neither world says more."""


class RankedAgent(ABC):
    """Draws an action from softmax(score / temperature); a pure function of trajectory, draw and exclusions."""

    name: ClassVar[str]

    def __init__(self, weights: RankerWeights, *, temperature: float = 1.0) -> None:
        """Makes one.

        Raises:
            InvalidInput: Unless 0.01 ≤ temperature ≤ 100.
        """
        if not 0.01 <= temperature <= 100:
            raise InvalidInput(f"the temperature must lie between 0.01 and 100, got {temperature!r}.")
        self._temperature = temperature
        self._sha256, self._score = scorer(weights)

    @abstractmethod
    def offered(self, trajectory: Trajectory, *, excluded: Collection[str]) -> tuple[list[str], Sequence[Described]]:
        """Returns what may be done, each different, and how each is described; an excluded one only for want of others.

        Raises:
            AgentError: It is no situation of this world.
        """

    def choose(self, trajectory: Trajectory, *, draw: Draw, excluded: Sequence[Action] = ()) -> Action:
        """`act`, without a loop to run in."""
        if any(len(step.observation) > MAX_OBSERVATION for step in trajectory.steps):
            raise AgentError(
                f"an observation is longer than {MAX_OBSERVATION} characters: not of the world of {self.name}."
            )
        texts, described = self.offered(trajectory, excluded={action.text for action in excluded})
        scores = [self._score(choice) / self._temperature for choice in described]
        return Action(texts[draw.gumbel_choice(scores, keys=texts)])

    async def act(self, trajectory: Trajectory, *, draw: Draw, excluded: Sequence[Action] = ()) -> Action:
        """Returns the next action; an excluded one only where there is nothing else.

        Raises:
            AgentError: It is no situation of this world, or an observation is longer than any of its.
        """
        return self.choose(trajectory, draw=draw, excluded=excluded)

    def config(self) -> Mapping[str, JSON]:
        """Returns its name, the temperature and the hash of its weights."""
        return {"name": self.name, "version": 1, "temperature": self._temperature, "sha256": self._sha256}
