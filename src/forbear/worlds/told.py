"""What learned players are told while they learn, and how they hear what they are told when they play.

The sentences stand before some steps of demonstrations. A remark is about something else; a warning asks for care,
and what follows one is the demonstrator's manner, which each world says. No sentence is one that an intervention of
this package says by default.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from forbear.records.model import Step

RECENT = 6
"""How many executed steps "recently" means."""
CARE = 3
"""How many steps a warning that is heeded lasts, the one at which it is shown included."""

WARNINGS = (
    "Careful: this may be going wrong.",
    "Please check your progress before you act.",
    "This attempt is likely to fail. Think again.",
    "You may be making a mistake. Look at the task again.",
    "Stop and reconsider: does this help with the task?",
    "A reviewer doubts that this will work.",
    "Warning: failure is expected unless you change course.",
    "Your last action did not help. Try something better.",
)
REMARKS = (
    "It is a sunny day.",
    "The room was painted last year.",
    "Somebody is singing next door.",
    "The clock on the wall has stopped.",
    "Dinner will be served in the evening.",
    "The neighbours are on holiday.",
    "A letter arrived this morning.",
    "There is a new carpet in the hall.",
)


def words_of(messages: Sequence[str]) -> frozenset[str]:
    """The words of messages, lower case, the first 200 characters of each."""
    return frozenset(word for message in messages for word in _words(message[:200]))


def lately_told(steps: Sequence[Step]) -> tuple[frozenset[str], int | None]:
    """The words of the last messages and how many steps ago they came (0: now); none: no words and None."""
    for ago, step in enumerate(reversed(steps[-RECENT:])):
        if step.messages:
            return words_of(step.messages), ago
    return frozenset(), None


@lru_cache(maxsize=1024)
def _words(message: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z]+", message.lower()))
