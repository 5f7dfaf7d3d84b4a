"""The arms of a pilot."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from forbear.contracts.intervention import is_control
from forbear.errors import InvalidInput
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import JSON


@dataclass(frozen=True, slots=True)
class Arm:
    """A named condition of a pilot.

    A placebo is a policy whose intervention is `Placebo`: `Arm("placebo", replace(policy, intervention=Placebo()))`.
    """

    name: str
    policy: InterventionPolicy | None = None
    """None leaves the agent alone."""
    is_rerun: bool = field(default=False, kw_only=True)
    """Whether it is the baseline at a derived seed, which measures churn."""
    blind_of: str | None = field(default=None, kw_only=True)
    """Name of the arm whose intervention it gives at random moments (`critics.blind.blind_arm`)."""

    in_ladder: bool = field(default=False, kw_only=True)
    """Whether the first look chooses one of it and its likes, which later tasks test."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or not self.name.isprintable():
            raise InvalidInput(f"an arm's name must be a printable text that is not empty, got {self.name!r:.60}.")
        if self.is_rerun and self.policy is not None:
            raise InvalidInput(f"arm {self.name!r}: a rerun is the agent alone, it has no policy.")
        if self.blind_of is not None and (self.policy is None or self.blind_of == self.name):
            raise InvalidInput(
                f"arm {self.name!r}: what is blind has a policy, that of another arm but for its critic."
            )

    @classmethod
    def baseline(cls) -> "Arm":
        """Returns the agent alone, with every critic watching."""
        return cls("baseline")

    @classmethod
    def rerun(cls) -> "Arm":
        """Returns the agent alone, at a derived seed."""
        return cls("rerun", is_rerun=True)

    @property
    def is_baseline(self) -> bool:
        """Whether it is what the others are compared with."""
        return self.policy is None and not self.is_rerun

    @property
    def is_control(self) -> bool:
        """Whether it is there to be compared with, not to be deployed."""
        if self.is_rerun or self.blind_of is not None:
            return True
        parts = () if self.policy is None else (self.policy.intervention, self.policy.critic)
        return any(map(is_control, parts))

    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its behaviour; arms of equal config do the same under different names."""
        if self.policy is not None:
            return {"kind": "policy", "policy": self.policy.config()}
        return {"kind": "rerun" if self.is_rerun else "baseline"}
