"""What an intervention is, and the effects that it may have."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.records.model import JSON, Action, Trajectory, Usage
from forbear.wording import described


@dataclass(frozen=True, slots=True, kw_only=True)
class Continue:
    """The proposed action runs."""

    message: str | None = None
    """Shown with the next observation."""
    usage: Usage | None = None
    """What writing the message took, where a model wrote it."""


@dataclass(frozen=True, slots=True)
class Replace:
    """Another action runs instead of the proposed one: a critic that corrects."""

    action: Action
    """What runs. The agent sees it as the step's action, as if it had proposed it itself."""
    message: str | None = field(default=None, kw_only=True)
    """Shown with the next observation."""
    usage: Usage | None = field(default=None, kw_only=True)
    """What writing the message took, where a model wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """The proposed action is dropped, `undo` executed steps are undone, and the agent proposes again there."""

    undo: int = 0
    """Executed steps to undo, at least 0; more than there are undoes all."""
    message: str | None = None
    """Shown before the agent proposes again."""
    exclude: bool = False
    """The agent is asked not to propose again what it did or proposed there."""
    costs_step: bool = False
    """The dropped proposal is charged to the budget of steps."""
    usage: Usage | None = None
    """What writing the message took, where a model wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """The episode ends here, undone."""


Effect: TypeAlias = Continue | Replace | Retry | Halt


class Intervention(Protocol):
    """Changes a run when a policy says so; never scores.

    Two more properties may be there, and count as False where they are not:

    - `undoes_steps: bool`: it may return `Retry(undo=n)` with n above 0, which needs a world that can be restored or
      replayed. A plan whose world can do neither is refused when it is made.
    - `is_control: bool`: its arm is there to be compared with and is never deployed. It is decided by itself and takes
      no share of alpha. A critic may say so too.
    """

    @property
    def name(self) -> str:
        """One word, as reports call it, e.g. "rollback"."""
        ...

    def apply(
        self, trajectory: Trajectory, proposed: Action, *, score: Score, draw: Draw
    ) -> Effect | Awaitable[Effect]:
        """Returns what is to happen instead of plainly running `proposed`: a pure function of its arguments.

        It may be an `async def`, for feedback that a model writes.

        Args:
            trajectory: As the agent saw it: its last step is open.
            proposed: What the agent proposes to do there.
            score: What the critic said of it; its `p_fail` is a number in [0, 1].
            draw: All the randomness that it may use.
        """
        ...

    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its effect; two that differ in effect differ here."""
        ...


def undoes_steps(intervention: Intervention) -> bool:
    """Whether it may undo executed steps, which needs a world that can be restored or replayed; False where unsaid.

    Raises:
        InvalidInput: It says something other than True or False.
    """
    return _flag(intervention, "undoes_steps")


def is_control(part: object) -> bool:
    """Whether an intervention, or a critic, is there to be compared with and never deployed; False where unsaid.

    Raises:
        InvalidInput: It says something other than True or False.
    """
    return _flag(part, "is_control")


def _flag(part: object, name: str) -> bool:
    value = getattr(part, name, False)
    if not isinstance(value, bool):  # a method without @property is always true
        kind = type(part).__name__
        raise InvalidInput(f"{kind}.{name} must be a property that is True or False, got {described(value)}.")
    return value
