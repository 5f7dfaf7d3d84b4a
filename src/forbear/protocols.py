"""The contracts: what an agent, an environment, a critic and an intervention are.

`forbear.testing.contracts` holds tests that an implementation can inherit.

Faults are told from failures by the exception: `AgentError` from an agent is a failed episode, `ProviderError` from an
agent or an environment is an episode without outcome, and anything else is taken for a bug and stops the run. A critic
may raise whatever it likes: the agent goes on without it, as it would in production.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from forbear.draw import Draw
from forbear.records.model import JSON, Action, Task, Trajectory

Snapshot: TypeAlias = object
"""A state, opaque to forbear: any instance from the same factory restores it, for the same task, as often as asked.

Never written to disk.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What an environment answers."""

    text: str
    done: bool = False
    """The episode is over."""
    success: bool | None = None
    """Whether the task was done; must be told when `done`, ignored before."""
    legal_actions: tuple[str, ...] | None = None
    """Texts of what may be done next, where the environment knows."""
    irreversible: bool = False
    """The action just executed cannot be undone: no rollback may cross it."""


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
            AgentError: The agent cannot go on; the episode is a failure.
            ProviderError: What it relies on is down; the episode has no outcome.
        """
        ...

    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its behaviour; two that behave differently differ here.

        The key "name", where present, is how reports call it. Learned parts include the sha256 of their arrays,
        callables a name and a version. No keys, no secrets.
        """
        ...


class Environment(Protocol):
    """The world of one episode; made fresh for each."""

    @property
    def replay_safe(self) -> bool:
        """Whether its actions may be executed again from a fresh reset; a world with side effects says no."""
        ...

    async def reset(self, task: Task, *, draw: Draw) -> Observation:
        """Sets up the task and returns what is seen first.

        Raises:
            ProviderError: The world is broken; the episode has no outcome.
        """
        ...

    async def step(self, action: Action, *, draw: Draw) -> Observation:
        """Executes an action: the same actions under the same draws give the same observations.

        Raises:
            ProviderError: The world is broken; the episode has no outcome.
        """
        ...

    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its behaviour; two that behave differently differ here."""
        ...


@runtime_checkable
class Restorable(Protocol):
    """An environment, or an agent with memory, whose state can be kept and returned to."""

    def snapshot(self) -> Snapshot:
        """Returns the state as it is now; later steps do not change it."""
        ...

    def restore(self, snapshot: Snapshot) -> None:
        """Returns to that state; an environment from the same factory has been reset to the same task before."""
        ...


class Critic(Protocol):
    """Judges a proposed action before it runs; never acts, and remembers nothing."""

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> float | None:
        """Returns the probability, in [0, 1], that the episode will fail; None abstains.

        Args:
            trajectory: As the agent saw it: its last step is open.
            proposed: What the agent proposes to do there.
            draw: All the randomness that the critic may use.
        """
        ...

    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its scores; two that score differently differ here."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """The proposed action runs."""

    message: str | None = None
    """Shown with the next observation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The proposed action is dropped, `undo` executed steps are undone, and the agent proposes again there."""

    undo: int = 0
    """Executed steps to undo; no more than there are."""
    message: str | None = None
    """Shown before the agent proposes again."""
    exclude: bool = False
    """The agent is asked not to propose again what it did or proposed there."""
    costs_step: bool = False
    """The dropped proposal is charged to the budget of steps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """The episode ends here, undone."""


Effect: TypeAlias = Continue | Retry | Halt


class Intervention(Protocol):
    """Changes a run when a policy says so; never scores."""

    @property
    def name(self) -> str:
        """One word, as reports call it, e.g. "rollback"."""
        ...

    @property
    def undoes_steps(self) -> bool:
        """Whether it may undo executed steps, which needs a world that can be restored or replayed."""
        ...

    def apply(self, trajectory: Trajectory, proposed: Action, *, p_fail: float) -> Effect:
        """Returns what is to happen instead of plainly running `proposed`; pure."""
        ...

    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its effect; two that differ in effect differ here."""
        ...
