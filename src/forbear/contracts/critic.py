"""What a critic is: it judges a proposal before it runs."""

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct

from forbear.contracts.draw import Draw
from forbear.records.model import JSON, Action, Trajectory, Usage


class Score(Struct, frozen=True, gc=False):
    """What a critic says of a proposal."""

    p_fail: float | None
    """The probability, in [0, 1], that the episode will fail; None abstains."""
    why: str | None = None
    """Its reason, in words, where it has one."""
    usage: Usage = Usage()
    """What it took, where the critic knows; `calls` may stay 0, the runner counts them."""
    advantage: float | None = None
    """Instead of a probability: by how much more often, in [-1, 1], a run succeeds in which somebody steps in here than
    one that is let go on."""

    @property
    def signal(self) -> float | None:
        """What a policy holds against its threshold: `p_fail`, or where there is none the advantage; None abstains."""
        return self.advantage if self.p_fail is None else self.p_fail


class Critic(Protocol):
    """Judges a proposed action before it runs; never acts, and remembers nothing."""

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score | float | None:
        """Returns a score, or its bare probability in [0, 1] that the episode will fail; None abstains.

        Args:
            trajectory: As the agent saw it: its last step is open.
            proposed: What the agent proposes to do there.
            draw: All the randomness that the critic may use.

        Raises:
            ProviderError: What it relies on is down: in a pilot the episode has no outcome, a guard lets the agent go
                on. Whatever else it raises is a fault: the agent goes on, and it is recorded.
        """
        ...

    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its scores; two that score differently differ here."""
        ...
