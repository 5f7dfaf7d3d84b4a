"""A ladder of settings: arms that differ in when they step in, of which a pilot confirms the best."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from forbear.errors import InvalidInput
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.wording import described, listed

SETTINGS = ("threshold", "up_to", "min_step", "budget", "cooldown")
"""What a ladder may vary: when a policy steps in."""
MOST_RUNGS = 64


def ladder_arms(
    policy: InterventionPolicy, settings: Mapping[str, Sequence[float]], *, name: str = "ladder"
) -> list[Arm]:
    """Makes the arms of a ladder: every combination of settings.

    A pilot runs all of them to its first look. The one with the largest gain there goes on, and is tested on the tasks
    after that look alone, at the whole alpha: what chose it says nothing of what confirms it.

    Args:
        policy: What the arms have in common.
        settings: By name of an option of the policy, the values that are tried.
        name: Of the ladder; the arms' names begin with it.

    Raises:
        InvalidInput: An option that no ladder varies, no or too many combinations, or a value out of range.
    """
    unknown = [option for option in settings if option not in SETTINGS]
    if unknown or not settings:
        raise InvalidInput(
            f"a ladder varies {listed(SETTINGS)}; got {listed(unknown) if unknown else 'nothing to vary'}."
        )
    for option, values in settings.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values or len({*values}) < len(values):
            raise InvalidInput(f"a ladder's {option} is a list of different values, got {described(values)}.")
    rungs = list(itertools.product(*settings.values()))
    if not 2 <= len(rungs) <= MOST_RUNGS:
        raise InvalidInput(f"a ladder has 2 to {MOST_RUNGS} combinations, got {len(rungs)}.")
    arms = []
    for rung in rungs:
        options = dict(zip(settings, rung, strict=True))
        said = " ".join(f"{option} {value:g}" for option, value in options.items())
        arms.append(Arm(f"{name} {said}", replace(policy, **options), ladder=name))  # type: ignore[arg-type]  # it checks
    return arms
