"""Critics whose scores are known exactly."""

from collections.abc import Mapping, Sequence

from forbear.contracts.draw import Draw
from forbear.records.model import JSON, Action, Trajectory


class ScriptedCritic:
    """Scores by the open step's index; abstains after the end of its script."""

    def __init__(self, scores: Sequence[float | None], *, name: str = "scripted") -> None:
        self._scores = tuple(scores)
        self._name = name

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> float | None:
        """Returns the score of the open step."""
        index = len(trajectory.steps) - 1
        return self._scores[index] if index < len(self._scores) else None

    def config(self) -> Mapping[str, JSON]:
        """Returns the script."""
        return {"name": self._name, "scores": self._scores}


class WordCritic:
    """Scores by the text of the proposed action."""

    def __init__(self, scores: Mapping[str, float | None], *, otherwise: float | None = 0.0) -> None:
        self._scores = dict(scores)
        self._otherwise = otherwise

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> float | None:
        """Returns the score of the proposed text."""
        return self._scores.get(proposed.text, self._otherwise)

    def config(self) -> Mapping[str, JSON]:
        """Returns the scores."""
        return {"name": "word", "scores": self._scores, "otherwise": self._otherwise}


class CoinCritic:
    """Says `high` with probability `rate`, else `low`, whatever it is shown."""

    def __init__(self, rate: float, *, low: float = 0.1, high: float = 0.9) -> None:
        self._rate, self._low, self._high = rate, low, high

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> float | None:
        """Returns the draw's side of the coin."""
        return self._high if draw.uniform() < self._rate else self._low

    def config(self) -> Mapping[str, JSON]:
        """Returns the rate and both scores."""
        return {"name": "coin", "rate": self._rate, "low": self._low, "high": self._high}
