"""What an adapter can do with its framework, and what it hands on."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from forbear.contracts.intervention import Replace, Retry, undoes_steps
from forbear.errors import InvalidInput
from forbear.policy.judge import CONTINUE, Ruling
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import REFUSED, Action

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an adapter can do with its framework; what it does not declare is refused."""

    propose: bool = True
    """The model's answer is seen before anything runs, and can be dropped."""
    append: bool = True
    """The agent can be told something."""
    undo: bool = False
    """Executed steps can be undone."""
    fork_agent: bool = False
    """The agent's state can be copied."""
    fork_world: bool = False
    """So can the world's; without both, pilots are of independent design."""

    def require(self, policy: InterventionPolicy) -> None:
        """Refuses a policy that needs more.

        Raises:
            InvalidInput: Its intervention undoes executed steps, and the adapter cannot.
        """
        if undoes_steps(policy.intervention) and not self.undo:
            raise InvalidInput(
                f"intervention {policy.intervention.name!r:.60} undoes executed steps, which this adapter cannot: take "
                "one that drops only the proposal, as Rollback(depth=1), or run_pilot with a world that is restored."
            )


AT_THE_MODEL = Capabilities()
"""Of whatever is reached at its model's calls alone, as all adapters here; a `Watch` can do no more."""


@dataclass(frozen=True, slots=True)
class Sampled(Generic[_T]):
    """One answer of the framework's model."""

    raw: _T
    """As the framework takes it."""
    action: Action
    """What it proposes; its usage is what the answer took."""


def possible(ruling: Ruling) -> Ruling:
    """The ruling, refused where no call of a model can follow it."""
    effect = ruling.effect
    if isinstance(effect, Replace):
        return Ruling(CONTINUE, REFUSED, refusal="invalid: this adapter cannot put another action into its framework")
    if isinstance(effect, Retry) and effect.undo:
        return Ruling(CONTINUE, REFUSED, refusal="invalid: this adapter cannot undo executed steps")
    if isinstance(effect, Retry) and effect.costs_step:
        return Ruling(CONTINUE, REFUSED, refusal="invalid: this adapter cannot charge the framework's limit of steps")
    return ruling
