"""Functions as an agent and as a world, and a pilot of them in one call."""

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from forbear.analysis.evidence import Evidence, evidence_of
from forbear.contracts.critic import Critic
from forbear.contracts.draw import Draw
from forbear.contracts.environment import Observation
from forbear.contracts.intervention import Intervention
from forbear.critics.heuristic import FunctionCritic
from forbear.errors import InvalidInput
from forbear.interventions.rollback import Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import JSON, Action, Task, Trajectory
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan
from forbear.wording import described


@dataclass(frozen=True, slots=True)
class FunctionAgent:
    """A function as an agent: of the trajectory and the draw, with or without waiting; one that blocks has a thread."""

    function: Callable[[Trajectory, Draw], Any]
    """Returns what to do: a text, or an `Action`."""
    name: str = "agent"
    version: int | str = 1
    """Another one for another behaviour: a function says nothing of itself."""

    def act(self, trajectory: Trajectory, *, draw: Draw, excluded: Sequence[Action] = ()) -> Any:
        """Returns what the function proposes."""
        said = self.function(trajectory, draw)
        return _awaited(said, _action) if inspect.isawaitable(said) else _action(said)

    def config(self) -> Mapping[str, JSON]:
        """Returns name and version."""
        return {"name": self.name, "version": self.version}


@dataclass(slots=True)
class FunctionWorld:
    """A function as a world: of the task and all actions so far, so that it can be replayed to any point."""

    function: Callable[[Task, Sequence[str]], Any]
    """Returns what is seen now: an `Observation`; or a text while it goes on, and True or False once it is over."""
    name: str = "world"
    version: int | str = 1
    """Another one for another behaviour."""
    _task: Task | None = field(default=None, init=False, repr=False)
    _actions: list[str] = field(default_factory=list, init=False, repr=False)

    @property
    def replay_safe(self) -> bool:
        """Yes: it is a function of its actions."""
        return True

    def reset(self, task: Task, *, draw: Draw) -> Any:
        """Returns what is seen before any action."""
        self._task, self._actions = task, []
        return self._seen()

    def step(self, action: Action, *, draw: Draw) -> Any:
        """Returns what is seen after one more."""
        self._actions.append(action.text)
        return self._seen()

    def _seen(self) -> Any:
        assert self._task is not None, "a world is reset before it is stepped"
        said = self.function(self._task, tuple(self._actions))
        return _awaited(said, _observation) if inspect.isawaitable(said) else _observation(said)

    def config(self) -> Mapping[str, JSON]:
        """Returns name and version."""
        return {"name": self.name, "version": self.version}


async def _awaited(said: Any, make: Callable[[Any], Any]) -> Any:
    return make(await said)


def _action(said: Any) -> Any:
    return Action(said) if isinstance(said, str) else said


def _observation(said: Any) -> Any:
    if isinstance(said, bool):
        return Observation(text="", done=True, success=said)
    return Observation(text=said) if isinstance(said, str) else said


def _critic(given: Any, version: int | str) -> Critic:
    if hasattr(given, "score"):
        return given  # type: ignore[no-any-return]
    if not callable(given):
        raise InvalidInput(f"critic must be a function of (trajectory, proposed) or a critic, got {described(given)}.")
    return FunctionCritic(given, name=getattr(given, "__name__", "critic"), version=version)


def pilot(
    agent: Callable[[Trajectory, Draw], Any],
    world: Callable[[Task, Sequence[str]], Any],
    critic: Callable[..., Any] | Critic,
    *,
    tasks: Sequence[Task | str],
    journal: str | Path,
    intervention: Intervention | None = None,
    threshold: float = 0.5,
    version: int | str = 1,
    run: Mapping[str, Any] | None = None,
    **options: Any,
) -> Evidence:
    """Runs a pilot of functions to its verdict; called again, it goes on where it was stopped.

    Args:
        agent: What to do next; see `FunctionAgent`.
        world: What is seen then; see `FunctionWorld`.
        critic: The probability that the episode will fail; see `FunctionCritic`. Or a critic.
        tasks: Tasks, or texts that name them.
        journal: The directory in which everything is kept.
        intervention: What to do when the critic's score exceeds the threshold; omitted: a silent `Rollback`.
        threshold: Of the critic's score, in [0, 1].
        version: Of the functions; another one where any of them changes.
        run: Options of `run_pilot`: `concurrency`, `budget`, `models`, ...
        **options: Of `PilotPlan`: `max_steps`, `seeds`, `looks`, `rule`, ...

    Returns:
        Verdicts by arm; the arm is called after the intervention. `print(evidence.verdicts["rollback"])` says all.

    Raises:
        InvalidInput: Something that is not what is asked for.
        ForbearError: What `run_pilot` raises.
    """
    judge = _critic(critic, version)
    policy = InterventionPolicy(critic=judge, intervention=intervention or Rollback(), threshold=threshold)
    plan = PilotPlan(
        tasks=[Task(id=task) if isinstance(task, str) else task for task in tasks],
        agent=partial(FunctionAgent, agent, getattr(agent, "__name__", "agent"), version),
        environment=partial(FunctionWorld, world, getattr(world, "__name__", "world"), version),
        arms=[Arm.baseline(), Arm(policy.intervention.name, policy)],
        **options,
    )
    return evidence_of(asyncio.run(run_pilot(plan, Journal(journal), **(run or {}))))
