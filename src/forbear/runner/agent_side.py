"""The agent's side of one episode: made and asked only where the memo does not know what it would propose."""

from collections.abc import Sequence

from forbear.contracts.agent import Agent
from forbear.contracts.border import checked_action
from forbear.contracts.environment import Restorable, Snapshot
from forbear.errors import AgentError, InvalidInput, ProviderError, brief_error
from forbear.policy.deadline import within
from forbear.records.model import Action, Termination, Trajectory
from forbear.runner.cell import Cell, Fault
from forbear.runner.memo import Recorded


class AgentSide:
    """Asks an agent; one with a memory of its own is first brought to the state in which it would be here."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._agent: Agent | None = None
        self._held: Snapshot | None = None
        """State that the agent is in; None when fresh. Of agents without memory, and below, always None."""
        self._present: Snapshot | None = None
        """State that it would be in at this point of the episode."""
        self._before: list[Snapshot | None] = []
        """State before the standing proposal at each index."""

    async def propose(self, trajectory: Trajectory, *, attempt: int, excluded: Sequence[Action]) -> Recorded:
        """Asks for a proposal and pays for it.

        Raises:
            Fault: What the agent relies on is down, or it did not answer in time.
            InvalidInput: It returned something else than an action.
        """
        agent = self._awaken()
        draw = self._cell.draw("agent", step_index=len(trajectory.steps) - 1, attempt=attempt)
        deadline_s = self._cell.conditions.call_deadline_s
        try:
            action = await within(deadline_s, agent.act(trajectory, draw=draw, excluded=excluded))
        except TimeoutError:
            raise Fault(Termination.PROVIDER_ERROR, f"the agent did not answer within {deadline_s:g} s") from None
        except ProviderError as error:
            raise Fault(Termination.PROVIDER_ERROR, brief_error(error)) from error
        except AgentError as error:
            return Recorded(Action(""), payer=self._cell.arm, error=brief_error(error))
        try:
            action = checked_action(action)
        except InvalidInput as error:
            raise InvalidInput(f"{self._cell.name}: {error}") from None
        if self._cell.conditions.agent_remembers and isinstance(agent, Restorable):
            self._held = agent.snapshot()
        return Recorded(action, payer=self._cell.arm, after=self._held)

    def live_through(self, recorded: Recorded, *, index: int) -> None:
        """Goes on to the state after a proposal, whoever paid for it."""
        self._before[index:] = [self._present]
        self._present = recorded.after

    def go_back(self, index: int) -> None:
        """Returns to the state before the proposal that stood at `index`: a rollback is no memory of the agent's."""
        self._present = self._before[index]

    def _awaken(self) -> Agent:
        if self._agent is None or (self._present is None and self._held is not None):
            self._agent, self._held = self._cell.conditions.agent(), None
        if self._present is not self._held and isinstance(self._agent, Restorable):
            self._agent.restore(self._present)
        return self._agent
