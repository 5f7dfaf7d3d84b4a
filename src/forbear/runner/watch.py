"""What a worker is calling, where its parent can see it: also when the worker can no longer say anything.

A loop that is blocked and a process that is gone send no messages, so each call of foreign code is announced in memory
that both share. `time.monotonic` is one clock for all processes of a machine.
"""

import contextlib
import time
from collections.abc import Iterator, MutableSequence, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Part: TypeAlias = Literal["agent", "environment", "critic", "intervention"]

_PARTS: tuple[Part, ...] = ("agent", "environment", "critic", "intervention")

SLOTS = 4
"""Doubles that an announcement takes: part (0: none), arm, since when, and its time limit."""


@dataclass(frozen=True, slots=True)
class Doing:
    """A call that has begun and not ended."""

    part: Part
    arm: str
    since_s: float
    """On the clock of `time.monotonic`."""
    limit_s: float
    """How long it may wait."""

    @property
    def overdue_s(self) -> float:
        """By how much its time is over; below 0 before."""
        return time.monotonic() - self.since_s - self.limit_s


class Watch:
    """Announces calls on one side, and says what is announced on the other."""

    def __init__(self, slots: MutableSequence[float], *, arms: Sequence[str]) -> None:
        """Looks at shared memory.

        Args:
            slots: `SLOTS` doubles, all 0 at first.
            arms: All of the plan, in the same order on both sides.
        """
        self._slots = slots
        self._arms = tuple(arms)

    @contextlib.contextmanager
    def calling(self, part: Part, *, arm: str, limit_s: float) -> Iterator[None]:
        """Announces a call while it lasts."""
        slots = self._slots
        slots[1], slots[2], slots[3] = float(self._arms.index(arm)), time.monotonic(), limit_s
        slots[0] = 1.0 + _PARTS.index(part)
        try:
            yield
        finally:
            slots[0] = 0.0

    def doing(self) -> Doing | None:
        """What is being called now, or was when the process ended."""
        part, arm, since_s, limit_s = self._slots[0:SLOTS]
        return Doing(_PARTS[int(part) - 1], self._arms[int(arm)], since_s, limit_s) if part else None
