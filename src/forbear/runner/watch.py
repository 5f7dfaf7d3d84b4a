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

SLOTS = 5
"""Doubles that an announcement takes: part (0: none), arm, since when, its time limit, and which critic."""


@dataclass(frozen=True, slots=True)
class Doing:
    """A call that has begun and not ended."""

    part: Part
    arm: str
    since_s: float
    """On the clock of `time.monotonic`."""
    limit_s: float
    """How long it may wait."""
    critic: str | None
    """Which one, where it is a critic."""

    @property
    def overdue_s(self) -> float:
        """By how much its time is over; below 0 before."""
        return time.monotonic() - self.since_s - self.limit_s


class Watch:
    """Announces calls on one side, and says what is announced on the other."""

    def __init__(self, slots: MutableSequence[float], *, arms: Sequence[str], critics: Sequence[str]) -> None:
        """Looks at shared memory.

        Args:
            slots: `SLOTS` doubles, all 0 at first.
            arms: All of the plan, in the same order on both sides.
            critics: Likewise.
        """
        self._slots = slots
        self._arms = tuple(arms)
        self._critics = tuple(critics)

    @contextlib.contextmanager
    def calling(self, part: Part, *, arm: str, limit_s: float, critic: str | None = None) -> Iterator[None]:
        """Announces a call while it lasts."""
        slots = self._slots
        slots[4] = 0.0 if critic is None else float(self._critics.index(critic))
        slots[1], slots[2], slots[3] = float(self._arms.index(arm)), time.monotonic(), limit_s
        slots[0] = 1.0 + _PARTS.index(part)
        try:
            yield
        finally:
            slots[0] = 0.0

    def doing(self) -> Doing | None:
        """What is being called now, or was when the process ended."""
        number, arm, since_s, limit_s, critic = self._slots[0:SLOTS]
        if not number:
            return None
        part = _PARTS[int(number) - 1]
        name = self._critics[int(critic)] if part == "critic" else None
        return Doing(part, self._arms[int(arm)], since_s, limit_s, name)
