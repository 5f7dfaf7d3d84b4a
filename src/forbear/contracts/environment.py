"""What an environment is: the world of one episode."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from forbear.contracts.draw import Draw
from forbear.records.model import JSON, Action, Task

Snapshot: TypeAlias = object
"""A state, opaque to forbear: any instance from the same factory restores it, for the same task, as often as asked.

Never written to disk.
"""


class Observation(Struct, frozen=True, kw_only=True, gc=False):
    """What an environment answers."""

    text: str
    payload: Any = None
    """JSON beside the text: messages, results of tools, whatever the agent reads that a text does not hold."""
    done: bool = False
    """The episode is over."""
    success: bool | None = None
    """Whether the task was done; must be told when `done`, ignored before."""
    legal_actions: tuple[str, ...] | None = None
    """Texts of what may be done next, where the environment knows."""
    irreversible: bool = False
    """The action just executed cannot be undone: no rollback may cross it."""


class Environment(Protocol):
    """The world of one episode; made fresh for each."""

    @property
    def replay_safe(self) -> bool:
        """Whether its actions may be executed again from a fresh reset; a world with side effects says no."""
        ...

    async def reset(self, task: Task, *, draw: Draw) -> Observation:
        """Sets up the task and returns what is seen first.

        Raises:
            ProviderError: The world is broken; the episode has no outcome, as after any other exception.
        """
        ...

    async def step(self, action: Action, *, draw: Draw) -> Observation:
        """Executes an action: the same actions under the same draws give the same observations.

        Raises:
            ProviderError: The world is broken; the episode has no outcome, as after any other exception.
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
