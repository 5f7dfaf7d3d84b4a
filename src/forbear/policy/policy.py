"""When to intervene: the pure policy that a pilot tests and a guard deploys, and the arms of a pilot."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from forbear.contracts.border import config_of
from forbear.contracts.critic import Critic
from forbear.contracts.intervention import Intervention
from forbear.errors import InvalidInput
from forbear.records.codec import config_digest
from forbear.records.model import JSON


class Decision(Enum):
    """What a policy made of one proposal, and why."""

    ACT = "act"
    """The intervention is applied."""
    LOW_RISK = "low_risk"
    """p_fail does not exceed the threshold."""
    HOPELESS = "hopeless"
    """p_fail is above the band, `up_to`."""
    ABSTAINED = "abstained"
    """The critic gave no p_fail; the agent goes on."""
    TOO_EARLY = "too_early"
    """It would have acted, before `min_step`."""
    BUDGET_SPENT = "budget_spent"
    """It would have acted, once too often."""
    COOLING_DOWN = "cooling_down"
    """It would have acted, too soon after the last time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyState:
    """What a policy remembers within one episode. Starts as `PolicyState()`."""

    used: int = 0
    """Interventions so far."""
    last_step: int | None = None
    """Index from which the executed steps since the last intervention are counted; None before the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterventionPolicy:
    """When to apply which intervention; immutable. This is the thing under test.

    Raises:
        InvalidInput: An option out of range, or parts whose config cannot be written as JSON.
    """

    critic: Critic
    intervention: Intervention
    threshold: float = 0.6
    """Acts when p_fail exceeds it, in [0, 1]; of a critic that says what stepping in is worth, when that does: 0 is any
    gain."""
    up_to: float = 1.0
    """Acts when p_fail is at most this, in (threshold, 1]: below 1, runs that are as good as lost are left alone."""
    min_step: int = 0
    """Acts from this step index on."""
    budget: int = 3
    """Interventions an episode may have."""
    cooldown: int = 0
    """Executed steps that must lie between two interventions."""
    critic_deadline_s: float = 30.0
    """Seconds after which the critic's answer, or the intervention's message, is not waited for any longer."""
    fail_open: bool = True
    """A critic that breaks, is late or talks nonsense lets the agent go on. False: it counts as p_fail = `up_to`."""
    critic_name: str = field(init=False, repr=False, compare=False)
    """Name of the critic in records: its config's "name", and the start of its digest."""

    def __post_init__(self) -> None:
        if not (isinstance(self.threshold, float | int) and 0 <= self.threshold <= 1):
            raise InvalidInput(f"threshold must be a number in [0, 1], got {self.threshold!r:.60}.")
        up_to = self.up_to
        is_number = isinstance(up_to, float | int) and not isinstance(up_to, bool)
        if not is_number or not (self.threshold < up_to <= 1 or up_to == 1):
            raise InvalidInput(
                f"up_to must be a number above the threshold ({self.threshold:g}) and at most 1, got {up_to!r:.60}: "
                "the policy acts when threshold < p_fail <= up_to."
            )
        for name in ("min_step", "budget", "cooldown"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise InvalidInput(f"{name} must be a whole number of at least 0, got {value!r:.60}.")
        deadline_s = self.critic_deadline_s
        if not isinstance(deadline_s, float | int) or isinstance(deadline_s, bool) or not 0 < deadline_s < math.inf:
            raise InvalidInput(f"critic_deadline_s must be a number of seconds above 0, got {deadline_s!r:.60}.")
        if not isinstance(self.fail_open, bool):
            raise InvalidInput(f"fail_open must be True or False, got {self.fail_open!r:.60}.")
        object.__setattr__(self, "critic_name", critic_name(self.critic))
        self.digest()  # now, not in the middle of a pilot: the config has to be JSON

    def decide(self, state: PolicyState, step_index: int, p_fail: float | None) -> tuple[Decision, PolicyState]:
        """Decides on one proposal; pure.

        Args:
            state: As this returned it for the proposal before, `PolicyState()` for an episode's first.
            step_index: Index of the step for which the action is proposed; goes back when a rollback undoes steps.
            p_fail: The critic's probability of failure, or the advantage that it gives instead; None when it abstained
                or could not answer.

        Returns:
            The decision, and the state for the next proposal.
        """
        last = state.last_step
        if last is not None and step_index < last:
            last = step_index  # steps were undone: what is executed since counts from here
        decision = self._reason(state.used, last, step_index, p_fail)
        if decision is Decision.ACT:
            return decision, PolicyState(used=state.used + 1, last_step=step_index)
        return decision, state if last == state.last_step else PolicyState(used=state.used, last_step=last)

    def _reason(self, used: int, last: int | None, step_index: int, p_fail: float | None) -> Decision:
        if p_fail is None:
            return Decision.ABSTAINED
        if math.isnan(p_fail) or p_fail <= self.threshold:
            return Decision.LOW_RISK
        if p_fail > self.up_to:
            return Decision.HOPELESS
        if step_index < self.min_step:
            return Decision.TOO_EARLY
        if used >= self.budget:
            return Decision.BUDGET_SPENT
        if last is not None and step_index - last < self.cooldown:
            return Decision.COOLING_DOWN
        return Decision.ACT

    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its behaviour, parts included."""
        return {
            "critic": config_of(self.critic, what="critic"),
            "intervention": config_of(self.intervention, what="intervention"),
            "threshold": float(self.threshold),
            # Left out where it changes nothing, so that digests of policies without a band stay what they were.
            **({"up_to": float(self.up_to)} if self.up_to < 1 else {}),
            "min_step": self.min_step,
            "budget": self.budget,
            "cooldown": self.cooldown,
            "critic_deadline_s": float(self.critic_deadline_s),
            "fail_open": self.fail_open,
        }

    def digest(self) -> str:
        """Returns the sha256 of its config: what is piloted and what is deployed agree in it."""
        return config_digest(self.config())


def critic_name(critic: Critic) -> str:
    """Returns the name of a critic in records: its config's "name" (else its class's) and 8 digits of its digest."""
    config = config_of(critic, what="critic")
    name = config.get("name")
    return f"{name if isinstance(name, str) else type(critic).__name__}:{config_digest(config)[:8]}"
