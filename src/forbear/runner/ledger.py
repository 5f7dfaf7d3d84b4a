"""What a pilot may spend over all its resumes, and what it has spent."""

import contextlib
import multiprocessing
from collections.abc import MutableSequence
from typing import cast

from msgspec import Struct

from forbear.errors import BudgetSpent, InvalidInput
from forbear.records.model import Usage
from forbear.wording import described

_FIELDS = ("calls", "tokens", "cost", "seconds")


class Budget(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Limits of what all arms of a pilot pay for; None: no limit.

    Reaching one stops the pilot once the calls that are under way have been answered; what they found is kept.

    Raises:
        InvalidInput: A limit that is no number above 0.
    """

    max_calls: int | None = None
    """Of agents, critics and interventions together, in language models or not."""
    max_tokens: int | None = None
    """Input and output, as far as they are known."""
    max_cost: float | None = None
    """In the currency of the prices, as far as costs are known."""
    max_seconds: float | None = None
    """Waited for calls, added up: not the time on the wall, where several wait at once."""

    def __post_init__(self) -> None:
        for name, limit in zip(self.__struct_fields__, self.limits(), strict=True):
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float) or not limit > 0):
                raise InvalidInput(f"{name} must be a number above 0, got {described(limit)}.")

    def limits(self) -> tuple[float | None, ...]:
        """Of calls, tokens, cost, seconds."""
        return (self.max_calls, self.max_tokens, self.max_cost, self.max_seconds)


class Purse:
    """A budget and what is spent of it, in memory that processes share; handed to them when they are started."""

    def __init__(self, budget: Budget) -> None:
        """Begins with nothing spent."""
        self.budget = budget
        self._spent = multiprocessing.get_context("spawn").Array("d", len(_FIELDS))

    def ledger(self) -> "Ledger":
        """The ledger of the process that asks."""
        spent = cast(MutableSequence[float], self._spent.get_obj())  # typeshed knows no element of a shared array
        return Ledger(self.budget, spent=spent, lock=self._spent.get_lock())


class Ledger:
    """Adds up what is paid for."""

    def __init__(
        self,
        budget: Budget,
        *,
        spent: MutableSequence[float] | None = None,
        lock: contextlib.AbstractContextManager[object] | None = None,
    ) -> None:
        """Begins a ledger, or looks at one that other processes write too (`Purse`)."""
        self.budget = budget
        self._limits = budget.limits()
        self._lock: contextlib.AbstractContextManager[object] = contextlib.nullcontext() if lock is None else lock
        self._spent: MutableSequence[float] = [0.0] * len(_FIELDS) if spent is None else spent

    def add(self, usage: Usage) -> None:
        """Charges it with a call or several."""
        amounts = (usage.calls, usage.tokens or 0, usage.cost or 0.0, usage.seconds or 0.0)
        with self._lock:
            for index, amount in enumerate(amounts):
                self._spent[index] += amount

    @property
    def is_spent(self) -> bool:
        """Whether a limit has been reached."""
        return any(limit is not None and spent >= limit for limit, spent in zip(self._limits, self._spent, strict=True))

    def error(self) -> BudgetSpent:
        """What is said when it is."""
        reached = [
            f"max_{name} = {limit:g} ({spent:,.10g} spent)"
            for name, limit, spent in zip(_FIELDS, self._limits, self._spent, strict=True)
            if limit is not None and spent >= limit
        ]
        return BudgetSpent(
            f"the budget is spent: {', '.join(reached)}. The pilot stopped and lost nothing; raise the limit and run "
            "the same again to go on."
        )
