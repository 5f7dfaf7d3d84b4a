"""What an agent is: it proposes actions."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from forbear.contracts.draw import Draw
from forbear.records.model import JSON, Action, Trajectory


class Agent(Protocol):
    """Proposes actions: a pure function of (trajectory, draw, excluded).

    One with memory of its own also implements `Restorable`; else its pilot has to be of independent design.
    """

    async def act(self, trajectory: Trajectory, *, draw: Draw, excluded: Sequence[Action] = ()) -> Action:
        """Returns the next action.

        Args:
            trajectory: Its last step is open: what is seen now, with the messages and legal actions that hold now.
            draw: All the randomness that the agent may use.
            excluded: Actions that were dropped here; an agent that can choose should not propose them again.

        Raises:
            AgentError: The agent cannot go on; the episode is a failure, as after any exception that is not the next.
            ProviderError: What it relies on is down; the episode has no outcome.
        """
        ...

    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its behaviour; two that behave differently differ here.

        The key "name", where present, is how reports call it. Learned parts include the sha256 of their arrays,
        callables a name and a version. No keys, no secrets.
        """
        ...
