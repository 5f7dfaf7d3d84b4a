"""The agent's side of one episode: made and asked only where the memo does not know what it would propose."""

from collections.abc import Sequence

from msgspec.structs import replace

from forbear.contracts.agent import Agent
from forbear.contracts.border import checked_action, checked_agent
from forbear.contracts.environment import Restorable, Snapshot
from forbear.models.session import Meter
from forbear.policy.foreign import ForeignFault, answer, answer_at_once, as_it_is, called
from forbear.records.model import Action, Termination, Trajectory
from forbear.runner.cell import Cell, Fault
from forbear.runner.memo import ELSEWHERE, Recorded


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
        """Asks for a proposal and pays for it; whatever the agent does instead is its failure, and recorded as such.

        Raises:
            Fault: What the agent relies on is down.
        """
        draw = self._cell.draw("agent", step_index=len(trajectory.steps) - 1, attempt=attempt)
        limit_s = self._cell.conditions.call_deadline_s
        meter = self._cell.calling("agent", limit_s=limit_s)
        try:
            with meter:
                agent = self._awaken()
                action = await answer(
                    lambda: called(agent.act, trajectory, draw=draw, excluded=excluded),
                    seconds=limit_s,
                    check=checked_action,
                )
                if self._cell.conditions.agent_remembers and isinstance(agent, Restorable):
                    self._held = answer_at_once(agent.snapshot, check=as_it_is)
        except ForeignFault as fault:
            self._agent = None  # nobody knows what state it is in
            if fault.kind == "provider":
                raise Fault(Termination.PROVIDER_ERROR, fault.text) from fault
            if fault.kind == "timeout" and meter.waits:
                raise Fault(Termination.PROVIDER_ERROR, f"its model gave {fault.text}") from fault
            text = f"the agent gave {fault.text}" if fault.kind in ("timeout", "invalid") else fault.text
            broken = Recorded(Action(""), payer=self._cell.arm, error=text, is_late=fault.kind == "timeout")
            return self._charged(broken, meter)
        return self._charged(Recorded(action, payer=self._cell.arm, after=self._held), meter)

    def _charged(self, recorded: Recorded, meter: Meter) -> Recorded:
        """Says what models took for it, where they were asked; what was answered before is nobody's new expense."""
        usage = self._cell.claim(meter)
        if usage is not None:
            # Without seconds, which are no part of what was found.
            recorded.action = recorded.action.with_usage(replace(usage, seconds=None))
            recorded.seconds = usage.seconds
            recorded.payer = ELSEWHERE if meter.is_free else recorded.payer
        return recorded

    def live_through(self, recorded: Recorded, *, index: int) -> None:
        """Goes on to the state after a proposal, whoever paid for it."""
        self._before[index:] = [self._present]
        self._present = recorded.after

    def go_back(self, index: int) -> None:
        """Returns to the state before the proposal that stood at `index`: a rollback is no memory of the agent's."""
        self._present = self._before[index]

    def _awaken(self) -> Agent:
        agent, present = self._agent, self._present
        if agent is None or (present is None and self._held is not None):
            agent, self._held = answer_at_once(self._cell.conditions.agent, check=checked_agent), None
        if present is not self._held and isinstance(agent, Restorable):
            restore = agent.restore
            answer_at_once(lambda: restore(present), check=as_it_is)
            self._held = present
        self._agent = agent
        return agent
