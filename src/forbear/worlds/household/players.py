"""The players that come with forbear, and what each was made of: they differ by demonstrations and temperature only.

Their features, their learner and its penalty are the same. How a player takes a warning was learned from its own
demonstrations (`demonstrations.py`), whose manner stands here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from forbear.errors import InvalidInput
from forbear.wording import described
from forbear.worlds.rollouts import Calibration

Manner: TypeAlias = Literal["takes care", "starts over", "doubts"]
"""What a demonstrator does when it is warned; see `demonstrations.py`."""

TEMPERATURE = 0.9
"""A little surer than the demonstrations; below 1 a player slips less than they did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How much of what; the defaults made the first player and its critic."""

    demonstrations: int = 800
    slip: float = 0.2
    """Chance of a random command in a demonstration, at each step."""
    told: float = 0.15
    """Chance of a message in a demonstration, at each step; half of them are warnings."""
    manner: Manner = "takes care"
    demonstration_steps: int = 40
    agent_l2: float = 0.5
    agent_iterations: int = 150
    temperature: float = TEMPERATURE
    """At which the player plays, also before its critic."""
    critic_tasks: int = 6000
    calibration_tasks: int = 2400
    calibration: Calibration = "by step"
    evaluation_tasks: int = 2000
    """Of 400 a critic whose scores mean exactly what they say would have calibration errors of .03 (to .05) in a range
    of steps, by chance."""
    critic_l2: float = 20.0
    steps: int = 20
    """Budget of the rollouts."""


HEED = "heed"
"""The first player: the one that is meant where none is named."""

BENCH_L2 = 1.0
"""Penalty of the critics that `forbear bench household` compares: light, so that they are surer than they should be, as
fine-tuned networks are (the study's had temperatures of 1.05 to 8.8), and calibration has something to do. On
households of seeds 777001 to 777003, with the first player alone: temperature 1.66 at a penalty of 1 and .99 at 20."""

_FIRST = Recipe(
    critic_l2=BENCH_L2, critic_tasks=2400, calibration_tasks=400, calibration="temperature", evaluation_tasks=400
)

PLAYERS: Mapping[str, Recipe] = {
    HEED: _FIRST,
    "novice": replace(_FIRST, demonstrations=40),
    "restarter": replace(_FIRST, manner="starts over"),
    "doubter": replace(_FIRST, manner="doubts", slip=0.05, temperature=0.5),
}
"""By name. What each was shown is told in docs/household.md."""


def recipe_of(player: str) -> Recipe:
    """Returns what a player was made of.

    Raises:
        InvalidInput: No player of this name comes with forbear.
    """
    found = PLAYERS.get(player) if isinstance(player, str) else None
    if found is None:
        raise InvalidInput(f"expected one of the players {', '.join(PLAYERS)}, got {described(player)}.")
    return found
