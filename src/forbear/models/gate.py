"""The way to one provider: rates that are held, and one pause for everybody while it is down.

Why not the retries of a client: each of 64 calls would wait by itself, and all would knock again at once. Here a limit
or an outage that one call meets holds back all of them; while it lasts, one call at a time tries whether it is over.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from forbear.errors import InvalidInput, ModelUnusable, ProviderError
from forbear.models.session import current_meter

T = TypeVar("T")

_FIRST_S = 0.5
_MOST_S = 30.0
"""Bounds of a pause that doubles with each failure in a row, half of it at random."""

_EVERYBODYS = 5
"""Failures in a row, of whatever calls, from which on the provider is taken to be down."""

_STRANGER_S = 20.0
"""How long an address that has never answered is tried: it may be wrong, or its server still starting."""


class Transient(Exception):
    """A request failed in a way that may pass; caught here, never seen outside."""

    def __init__(self, text: str, *, retry_after_s: float | None = None, everybody: bool = False) -> None:
        """Keeps what happened.

        Args:
            text: Bounded and without secrets.
            retry_after_s: What the provider asks for.
            everybody: It is not this request's affair: a rate limit, an overload, nobody there.
        """
        super().__init__(text)
        self.retry_after_s, self.everybody = retry_after_s, everybody


class Unreachable(Transient):
    """Nobody is at the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What may go out in any minute, by each process.

    Raises:
        InvalidInput: A rate that is no number above 0.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    """Input as estimated from its length (four characters a token), output as `max_tokens` allows."""

    def __post_init__(self) -> None:
        for rate in (self.requests_per_minute, self.tokens_per_minute):
            if rate is not None and not 0 < rate < float("inf"):
                raise InvalidInput(f"a rate is a number per minute above 0, got {rate!r:.60}.")


class Gate:
    """Of one provider, in one event loop."""

    def __init__(self, where: str, *, rates: Rates, patience_s: float) -> None:
        """Opens it.

        Args:
            where: Names the provider in messages.
            rates: What may go out.
            patience_s: How long one request is tried, and for how long a provider may be down.
        """
        self._where, self._patience_s = where, patience_s
        self._opens_at = 0.0
        """On the loop's clock: nobody sends before."""
        self._failures = 0
        """In a row, since anybody was answered."""
        self._down_since: float | None = None
        self._has_answered = False
        self._probe = asyncio.Lock()
        self._limiters: list[tuple[Any, bool]] = []
        if rates.requests_per_minute is not None or rates.tokens_per_minute is not None:
            from aiolimiter import AsyncLimiter

            given = ((rates.requests_per_minute, False), (rates.tokens_per_minute, True))
            self._limiters = [(AsyncLimiter(rate, 60.0), tokens) for rate, tokens in given if rate is not None]

    async def through(self, send: Callable[[], Awaitable[T]], *, tokens: int) -> T:
        """Sends a request, again where that may help.

        Args:
            send: Sends it once; raises `Transient` where another try may help.
            tokens: What it will take, about.

        Raises:
            ProviderError: It was in vain for too long.
            ModelUnusable: Nobody has ever answered at this address.
        """
        began, failures = time.monotonic(), 0
        while True:
            try:
                if self._is_wide_open():
                    answer = await send()
                else:
                    async with self._turn(tokens):
                        answer = await send()
            except Transient as error:
                failures += 1
                current_meter().had_trouble = True
                pause_s = self._failed(error, failures)
                self._require_hope(error, began, pause_s)
                await asyncio.sleep(pause_s)
            else:
                self._failures, self._down_since, self._has_answered = 0, None, True
                return answer

    def _is_wide_open(self) -> bool:
        return not self._limiters and not self._failures and self._opens_at <= time.monotonic()

    @contextlib.asynccontextmanager
    async def _turn(self, tokens: int) -> AsyncIterator[None]:
        for limiter, of_tokens in self._limiters:
            await limiter.acquire(min(tokens, limiter.max_rate) if of_tokens else 1)
        await self._pause()
        if self._failures:
            async with self._probe:  # one at a time until somebody is answered
                await self._pause()
                if self._failures:
                    yield
                    return
        yield

    async def _pause(self) -> None:
        # Not for an event: for a time, which others may put off while we wait.
        while (wait_s := self._opens_at - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(wait_s)

    def _failed(self, error: Transient, failures: int) -> float:
        """Notes a failure; says for how long this request has to wait."""
        now = time.monotonic()
        self._failures += 1
        if self._down_since is None:
            self._down_since = now
        if error.retry_after_s is not None:
            pause_s = error.retry_after_s
        else:
            pause_s = min(_MOST_S, _FIRST_S * 2 ** (failures - 1)) * (0.5 + 0.5 * random.random())  # nosec B311
        if error.everybody or error.retry_after_s is not None or self._failures >= _EVERYBODYS:
            self._opens_at = max(self._opens_at, now + pause_s)
        return pause_s

    def _require_hope(self, error: Transient, began: float, pause_s: float) -> None:
        now = time.monotonic()
        if isinstance(error, Unreachable) and not self._has_answered:
            if now + pause_s > began + min(_STRANGER_S, self._patience_s):
                raise ModelUnusable(
                    f"nothing answers at {self._where} ({error}). Start the server, or mend base_url."
                ) from None
            return
        down_s = now - (now if self._down_since is None else self._down_since)
        if max(now + pause_s - began, down_s) > self._patience_s:
            asked = f"; it asks to wait {pause_s:.0f} s" if error.retry_after_s is not None else ""
            raise ProviderError(f"{self._where}: {error}{asked}, given up after {now - began:.0f} s") from None
