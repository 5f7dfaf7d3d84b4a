"""The blind control: an arm's own intervention at random moments, as often at each step as its critic steps in there.

What it does to the agent is what stepping in does, whoever steps in; what the arm does beyond it, its critic does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.policy.arm import Arm
from forbear.records.model import JSON, Action, Trajectory
from forbear.wording import described


@dataclass(frozen=True, slots=True, kw_only=True)
class BlindCritic:
    """A coin for each step: knows how far the run has come, and nothing else of it."""

    rates: Sequence[float]
    """By step index, the share of proposals for which it says `says`, else 0; the last one is for all later steps."""
    says: float = 1.0
    """The p_fail that messages of the intervention show."""

    def __post_init__(self) -> None:
        given = tuple(self.rates) if isinstance(self.rates, Sequence) and not isinstance(self.rates, str) else ()
        if not given or not all(_is_share(rate) for rate in given):
            raise InvalidInput(
                "rates must be a list of numbers in [0, 1], one for each step, the last for all later ones, got "
                f"{described(self.rates)}. forbear pilot plan, and a pilot's report, say which match a critic."
            )
        if not _is_share(self.says):
            raise InvalidInput(f"says must be a number in [0, 1], got {described(self.says)}.")
        object.__setattr__(self, "rates", tuple(map(float, given)))

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> Score:
        """Returns `says` with the probability of the open step's index, else 0."""
        rate = self.rates[min(len(trajectory.steps), len(self.rates)) - 1]
        return Score(self.says if draw.uniform() < rate else 0.0)

    def config(self) -> Mapping[str, JSON]:
        """Returns its options."""
        return {"name": "blind", "rates": list(self.rates), "says": float(self.says)}


def blind_arm(like: Arm, *, rates: Sequence[float], name: str = "blind") -> Arm:
    """Makes the control that says whether an arm's critic matters, or only its intervention.

    The same policy (intervention, threshold, up_to, min_step, budget, cooldown) with a `BlindCritic`, which says a
    p_fail midway between threshold and up_to. A control: decided by itself, never deployed.

    Args:
        like: An arm with a policy, no control.
        rates: By step index, how often it fires where the policy may act; see `BlindCritic`.
        name: Of the arm.

    Raises:
        InvalidInput: `like` has no policy or is a control, or rates that are no shares.
    """
    if like.policy is None or like.is_control:
        raise InvalidInput(f"arm {like.name!r:.60} has no critic to be blind to: name an arm that may be deployed.")
    critic = BlindCritic(rates=rates, says=(like.policy.threshold + like.policy.up_to) / 2)
    return Arm(name, replace(like.policy, critic=critic), blind_of=like.name)


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
