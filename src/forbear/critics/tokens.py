"""The critic that costs nothing: how sure the agent's model was of the tokens that it wrote."""

import math
from collections.abc import Mapping

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.records.model import JSON, Action, Trajectory


class TokenProbability:
    """p_fail is one minus the mean probability of the proposal's tokens; no call is made.

    It needs an agent whose actions carry log-probabilities (of the chat agent, `logprobs = true`). As a probability of
    failure it is not calibrated; as a ranking it is often better than asking (docs/results.md).
    """

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score:
        """Returns the score.

        Raises:
            InvalidInput: The proposal carries no log-probabilities.
        """
        if not proposed.logprobs:
            raise InvalidInput(
                "the agent's proposals carry no log-probabilities, which this critic reads: set logprobs = true for "
                "the chat agent, with mode text or line (few servers give those of tool calls), or "
                "Action(..., logprobs=...) in one of your own."
            )
        sure = math.fsum(map(math.exp, proposed.logprobs)) / len(proposed.logprobs)
        return Score(min(max(1.0 - sure, 0.0), 1.0))

    def config(self) -> Mapping[str, JSON]:
        """Returns its name."""
        return {"name": "token-probability"}
