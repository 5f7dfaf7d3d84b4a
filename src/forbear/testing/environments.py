"""A world small enough to know by heart."""

from collections.abc import Mapping

from forbear.contracts.draw import Draw
from forbear.contracts.environment import Observation, Snapshot
from forbear.records.model import JSON, Action, Task

OPEN, WAIT, BACK, JUMP = "open", "wait", "back", "jump"


class Corridor:
    """A row of doors: `open` goes one on, `back` one back, `wait` nowhere, `jump` out of the window, a failure.

    The task is done behind the last door. With `slip`, a door stays shut that often; with `replay_safe=False` it claims
    that its actions have side effects.
    """

    def __init__(self, *, doors: int = 3, slip: float = 0.0, replay_safe: bool = True) -> None:
        self._doors = doors
        self._slip = slip
        self.replay_safe = replay_safe
        self._position = 0

    async def reset(self, task: Task, *, draw: Draw) -> Observation:
        """Goes to the first door."""
        self._position = 0
        return self._observe()

    async def step(self, action: Action, *, draw: Draw) -> Observation:
        """Does one of the four actions; anything else is answered "Nothing happens."."""
        if action.text == JUMP:
            return Observation(text="You are outside.", done=True, success=False)
        if action.text not in (OPEN, WAIT, BACK):
            return Observation(text="Nothing happens.", legal_actions=(OPEN, WAIT, BACK, JUMP))
        if action.text == OPEN and not (self._slip and draw.uniform() < self._slip):
            self._position += 1
        elif action.text == BACK:
            self._position = max(0, self._position - 1)
        return self._observe()

    def config(self) -> Mapping[str, JSON]:
        """Returns the size and the chance to slip."""
        return {"name": "corridor", "doors": self._doors, "slip": self._slip, "replay_safe": self.replay_safe}

    def _observe(self) -> Observation:
        if self._position == self._doors:
            return Observation(text="You are through.", done=True, success=True)
        return Observation(
            text=f"You stand at door {self._position + 1} of {self._doors}.", legal_actions=(OPEN, WAIT, BACK, JUMP)
        )


class RestorableCorridor(Corridor):
    """A corridor that can be put back to where one stood."""

    def snapshot(self) -> Snapshot:
        """Returns the position."""
        return self._position

    def restore(self, snapshot: Snapshot) -> None:
        """Goes there."""
        assert isinstance(snapshot, int)
        self._position = snapshot

    def config(self) -> Mapping[str, JSON]:
        """Returns the corridor's, under its own name."""
        return {**super().config(), "name": "restorable-corridor"}
