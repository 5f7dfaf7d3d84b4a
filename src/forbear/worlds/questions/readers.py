"""The readers that come with forbear, and what each was made of: they differ by demonstrations and temperature only.

Their features, their learner and its penalty are the same. How a reader takes a warning was learned from its own
demonstrations (`demonstrations.py`), whose manner stands here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from forbear.errors import InvalidInput
from forbear.wording import described

Manner: TypeAlias = Literal["takes care", "reads on", "doubts"]
"""What a demonstrator does when it is warned; see `demonstrations.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How much of what."""

    demonstrations: int = 900
    haste: float = 0.2
    """Chance, at each step, of answering with something of the right kind that was read."""
    slip: float = 0.03
    """Chance of something random, at each step."""
    told: float = 0.15
    """Chance of a message, at each step; half of them are warnings."""
    manner: Manner = "takes care"
    agent_l2: float = 0.5
    agent_iterations: int = 150
    temperature: float = 0.7
    critic_tasks: int = 4000
    critic_l2: float = 0.3
    """Light, so that critics are surer than they should be, as fine-tuned networks are, and calibration has something
    to do; chosen on questions of seeds 777001 to 777003, with the first reader alone."""
    calibration_tasks: int = 400
    evaluation_tasks: int = 400
    steps: int = 10
    """Budget of demonstrations and rollouts."""


FIRST = "skimmer"
"""The reader that is meant where none is named."""

READERS: Mapping[str, Recipe] = {
    FIRST: Recipe(temperature=1.0),
    "beginner": Recipe(demonstrations=320),
    "rambler": Recipe(manner="reads on"),
    "waverer": Recipe(manner="doubts", haste=0.08),
}
"""By name. What each was shown is told in docs/questions.md."""


def recipe_of(reader: str) -> Recipe:
    """Returns what a reader was made of.

    Raises:
        InvalidInput: No reader of this name comes with forbear.
    """
    found = READERS.get(reader) if isinstance(reader, str) else None
    if found is None:
        raise InvalidInput(f"expected one of the readers {', '.join(READERS)}, got {described(reader)}.")
    return found
