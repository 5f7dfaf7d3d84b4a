"""Agents whose behaviour is known exactly."""

import math
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from forbear.contracts.agent import Agent
from forbear.contracts.draw import Draw
from forbear.records.model import JSON, Action, Trajectory


class ScriptedAgent:
    """Proposes the action of its script at each step, the last one for ever after; never changes its mind."""

    def __init__(self, script: Sequence[str]) -> None:
        self._script = tuple(map(Action, script))

    async def act(self, trajectory: Trajectory, *, draw: Draw, excluded: Sequence[Action] = ()) -> Action:
        """Returns the script's action at the open step's index, excluded or not."""
        return self._script[min(len(trajectory.steps), len(self._script)) - 1]

    def config(self) -> Mapping[str, JSON]:
        """Returns the script."""
        return {"name": "scripted", "script": [action.text for action in self._script]}


class CoinFlipAgent:
    """Chooses among weighted actions, afresh at every step and attempt; heeds warnings if told how."""

    def __init__(self, weights: Mapping[str, float], *, warned: Mapping[str, float] | None = None) -> None:
        self._weights = dict(weights)
        self._warned = dict(weights if warned is None else warned)

    async def act(self, trajectory: Trajectory, *, draw: Draw, excluded: Sequence[Action] = ()) -> Action:
        """Returns an action with probability proportional to its weight; `warned` holds once a message was shown."""
        weights = self._warned if any(step.messages for step in trajectory.steps) else self._weights
        left = [text for text in weights if Action(text) not in excluded] or list(weights)
        scores = [math.log(weights[text]) if weights[text] > 0 else -math.inf for text in left]
        return Action(left[draw.gumbel_choice(scores, keys=left)])

    def config(self) -> Mapping[str, JSON]:
        """Returns the weights."""
        return {"name": "coin-flip", "weights": self._weights, "warned": self._warned}


class DeafAgent:
    """Another agent that never sees a message."""

    def __init__(self, inner: Agent) -> None:
        self._inner = inner

    async def act(self, trajectory: Trajectory, *, draw: Draw, excluded: Sequence[Action] = ()) -> Action:
        """Returns what the inner agent does when nobody has told it anything."""
        steps = tuple(replace(step, messages=()) if step.messages else step for step in trajectory.steps)
        return await self._inner.act(Trajectory(task=trajectory.task, steps=steps), draw=draw, excluded=excluded)

    def config(self) -> Mapping[str, JSON]:
        """Returns the inner agent's."""
        return {"name": "deaf", "inner": self._inner.config()}
