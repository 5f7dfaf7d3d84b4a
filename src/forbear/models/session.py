"""What the models of one pilot have in common while it runs: what they answered, and what it cost.

A session is entered by the runner; models find it by context, so that an agent's own loop need hand nothing on. A meter
is open around each call of an agent, a critic or an intervention and adds up what models answered in it: who speaks
through a `ChatModel` need not report its usage.
"""

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from forbear.errors import ForbearError
from forbear.models.prices import NO_PRICES, Prices
from forbear.models.store import NAME, ResponseStore
from forbear.records.model import Usage

_SESSION: ContextVar["Session | None"] = ContextVar("forbear-models", default=None)
_METER: ContextVar["Meter | None"] = ContextVar("forbear-meter", default=None)

_NOTHING = Usage()
_T = TypeVar("_T")


class Turns:
    """Of those in one loop who are due at once, lets one go on in each of its rounds.

    A loop takes everybody who is ready one stage further, then everybody the next stage, and a request leaves in the
    last. Calls that were answered together would all leave only when the last of them had been worked on, and be
    answered together again: 64 of .4 ms each waited 25 ms for one another, each time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nobody waits yet."""
        self._loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_taken = False
        """Somebody goes on in this round."""

    async def take(self) -> None:
        """Waits for the caller's turn; whoever asks first in a round has it, and whoever runs in another loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            return
        if not self._is_taken:
            self._is_taken = True
            loop.call_soon(self._next_round)
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _next_round(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # or its task was cancelled
                turn.set_result(None)
                self._loop.call_soon(self._next_round)
                return
        self._is_taken = False


@dataclass(slots=True)
class Session:
    """Of one pilot, in one process."""

    store: ResponseStore | None = None
    """Where answers are kept and found; None: nowhere."""
    prices: Prices = NO_PRICES
    claimed: set[str] = field(default_factory=set)
    """Keys of kept answers that a record of this process has been charged with."""
    broken: ForbearError | None = None
    """What makes every further call vain (a full disk, a key that is refused, options that the model cannot follow):
    the pilot has to stop, whatever the code that asked makes of the error."""

    turns: Turns | None = None
    """Of those who were answered, on their way to what they ask next."""
    closers: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What is to be closed before the loop ends: connections to providers."""

    @contextlib.contextmanager
    def active(self) -> Iterator["Session"]:
        """Makes it the session of whatever runs inside."""
        before = _SESSION.set(self)
        try:
            yield self
        finally:
            _SESSION.reset(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What a pilot says of the language models that its parts ask through a `ChatModel`."""

    prices: Prices = NO_PRICES
    responses: Path | None = None
    """The file in which answers are kept and found. None: one in the journal; pilots that are to share what they pay
    for name one and the same."""
    earlier: tuple[Path, ...] = ()
    """Files of earlier pilots whose runs are taken: what is answered there is not asked again."""
    owner: str | None = None
    """Who pays: answers that others paid for are re-used. None: with a file in the journal, whoever writes it; with
    another one, the plan."""

    def settled(self, journal: Path, *, plan_digest: str) -> "ModelSettings":
        """Returns them with nothing left open.

        Args:
            journal: The journal's directory.
            plan_digest: Of its plan.
        """
        owner = self.owner if self.owner is not None else "" if self.responses is None else plan_digest
        return replace(self, responses=self.responses or journal / NAME, owner=owner)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Session]:
        """Opens a session and makes it the current one; afterwards its models have let go of their connections.

        Raises:
            InvalidInput: The answers of before cannot be read.
        """
        assert self.responses is not None, "settled before they are used"
        assert self.owner is not None
        turns = Turns(asyncio.get_running_loop())
        with (
            ResponseStore(self.responses, owner=self.owner, earlier=self.earlier) as store,
            Session(store=store, prices=self.prices, turns=turns).active() as session,
        ):
            try:
                yield session
            finally:
                for close in session.closers:
                    await close()


_LOOP: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("forbear-loop", default=None)


async def in_thread(call: Callable[[], _T]) -> _T:
    """Runs a call that blocks in a thread; models that it asks synchronously are asked by the loop that waits here."""
    loop, process = asyncio.get_running_loop(), os.getpid()
    answered: asyncio.Future[_T] = loop.create_future()
    context = copy_context()
    context.run(_LOOP.set, loop)

    def tell(told: Callable[[], None]) -> None:
        if not answered.done():
            told()

    def work() -> None:
        told: Callable[[], None]
        try:
            said = context.run(call)
        except StopIteration as error:  # which no future takes
            told = partial(answered.set_exception, RuntimeError(f"StopIteration: {error.value!r:.100}"))
        except BaseException as error:
            told = partial(answered.set_exception, error)
        else:
            told = partial(answered.set_result, said)
        if os.getpid() != process:  # it forked, and this is the child
            os._exit(0)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, told)

    # One of its own: a pool has few threads, and the interpreter waits at its end for those that hang.
    threading.Thread(target=work, name="forbear-call", daemon=True).start()
    return await answered


def current_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that waits for the caller's thread, if any."""
    return _LOOP.get()


def current_session() -> Session | None:
    """The session that the caller runs in, if any."""
    return _SESSION.get()


class Meter:
    """What models answered inside one call of an agent, a critic or an intervention; open as a context manager.

    Leaving it raises what makes every further call of a model vain (`Session.broken`).
    """

    # Defaults of the class, for most meters stay at zero.
    paid: Usage = _NOTHING
    """New answers, and kept ones that this plan had paid for but no record had been charged with."""
    reused: Usage = _NOTHING
    """Kept answers that others had been charged with."""
    keys: list[str] | None = None
    """Of what was paid for."""
    waiting: int = 0
    """Requests that a provider has not answered yet."""
    had_trouble: bool = False
    """A provider failed, and was asked again."""
    was_cut: bool = False
    """A request was given up before its provider had answered it."""

    def __init__(self, session: Session | None = None) -> None:
        """Starts at zero.

        Args:
            session: By default the current one.
        """
        self.session = _SESSION.get() if session is None else session

    def __enter__(self) -> Self:
        self._before = _METER.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _METER.reset(self._before)
        session = self.session
        if session is not None and session.broken is not None:
            raise session.broken  # whatever the code that was called made of it

    def add(self, usage: Usage, *, key: str, paid: bool) -> None:
        """Counts one answer."""
        if paid:
            self.paid += usage
            self.keys = [*(self.keys or ()), key]
        else:
            self.reused += usage

    def has(self, key: str) -> bool:
        """Whether it has counted this answer, or a record of this process has been charged with it."""
        claimed = self.session is not None and key in self.session.claimed
        return claimed or (self.keys is not None and key in self.keys)

    def claim(self) -> Usage | None:
        """Charges the caller's record with what was answered.

        Returns:
            What was paid; where nothing was, what the re-used answers had taken; None where no model was asked.
        """
        if self.keys is None and self.reused is _NOTHING:
            return None
        if self.keys is not None and self.session is not None:
            self.session.claimed.update(self.keys)
        if self.paid.calls:
            return self.paid
        return self.reused if self.reused.calls else None

    @property
    def is_free(self) -> bool:
        """Whether models were asked, and everything they said had been paid for before."""
        return not self.paid.calls and self.reused.calls > 0

    @property
    def waits(self) -> bool:
        """Whether whoever is late now waited for a provider."""
        return self.waiting > 0 or self.was_cut

    def asking(self) -> "_Asking":
        """While a provider is being asked: who is cut off then waited for the provider."""
        return _Asking(self)


class _Asking:
    """A context manager, by hand: a generator's would take a hundredth of a call."""

    __slots__ = ("_meter",)

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def __enter__(self) -> None:
        self._meter.waiting += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._meter.waiting -= 1
        if kind is not None and not issubclass(kind, Exception):
            self._meter.was_cut = True


def current_meter() -> Meter:
    """The meter that is open, or one that nobody reads."""
    return _METER.get() or Meter()


def priced(usage: Usage, *, model: str) -> Usage:
    """Adds what it cost, where the session knows the model's price."""
    session = _SESSION.get()
    return usage if session is None else session.prices.of(model, usage)
