"""SIGTERM and SIGHUP end a pilot as Ctrl-C does: with what was found kept, and a message that says how to go on."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Coroutine, Iterator
from types import FrameType
from typing import Any, TypeVar

from forbear.errors import ProviderError
from forbear.wording import shown

T = TypeVar("T")

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """Somebody ended the command; the text says what is kept."""

    def __init__(self, text: str, *, number: int = signal.SIGINT) -> None:
        super().__init__(text)
        self.number = number
        """Of the signal."""


class Stopper:
    """Hears signals; made by `stoppable`."""

    def __init__(self) -> None:
        self.number: int = signal.SIGINT
        """Of the signal that ended the command; Ctrl-C where there was no other."""
        self._heard = False
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Ends what runs; a second signal does not wait for it."""
        again, self._heard, self.number = self._heard, True, number
        if self._running is None or again:
            raise KeyboardInterrupt
        loop, task = self._running
        loop.call_soon_threadsafe(task.cancel)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """`asyncio.run`, which a signal cancels.

        Raises:
            KeyboardInterrupt: A signal came.
            ProviderError: A part ended it where nobody could see whose doing it was: in a task of its own.
        """

        async def main() -> T:
            task = asyncio.current_task()
            assert task is not None
            self._running = asyncio.get_running_loop(), task
            try:
                return await work
            finally:
                self._running = None

        try:
            return asyncio.run(main())
        except asyncio.CancelledError:
            if self._heard:
                raise KeyboardInterrupt from None
            raise ProviderError(
                "a task that a part of the pilot had started itself cancelled the pilot. Every finished episode is "
                "kept; have it cancel only tasks that it made, then run the same again."
            ) from None
        except SystemExit as stop:
            raise ProviderError(
                f"a part of the pilot ended the event loop with SystemExit({shown(repr(stop.code))}), in a task that "
                "it had started itself. Every finished episode is kept; have it catch what its tasks raise, then run "
                "the same again."
            ) from None


@contextlib.contextmanager
def stoppable(text: str) -> Iterator[Stopper]:
    """Gives Ctrl-C, SIGTERM and SIGHUP the words that the command line prints for them.

    Raises:
        Stopped: One of them came.
    """
    stopper, before = Stopper(), {}
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored, and means it
                before[number] = signal.signal(number, stopper.hear)
    try:
        yield stopper
    except KeyboardInterrupt:
        raise Stopped(text, number=stopper.number) from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
