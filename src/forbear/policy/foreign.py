"""Calls of foreign code: it answers in time and as the contract says, or there is a `ForeignFault` that tells why not.

Whatever foreign code raises is its own: also `SystemExit`, a `CancelledError` that nobody here asked for and a
`KeyboardInterrupt` that the user did not send. A process that it forked goes no further than its call.
"""

import asyncio
import functools
import inspect
import os
import signal
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, Literal, NoReturn, TypeAlias, TypeVar

from forbear.errors import InvalidInput, ProviderError, brief_error
from forbear.models.session import in_thread
from forbear.policy.crew import CREWS, MEMBER, UNSETTLED, current_task

_T = TypeVar("_T")
_Checked = TypeVar("_Checked")

Kind: TypeAlias = Literal["error", "timeout", "invalid", "provider"]

GRACE_S = 5.0
"""How long a call that was cancelled may clean up, at most; never longer than its time limit."""


_forks = 0
"""How often this process and its parents were forked: asking the system for the process cost a tenth of a step."""


def _note_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_note_fork)


class ForeignFault(Exception):
    """What foreign code did instead of answering; caught by whoever asked it."""

    def __init__(self, kind: Kind, text: str) -> None:
        """Keeps what happened.

        Args:
            kind: `error` (it raised), `timeout`, `invalid` (a wrong answer) or `provider` (a `ProviderError`).
            text: One bounded line for records and messages.
        """
        super().__init__(text)
        self.kind: Kind = kind
        self.text = text


async def answer(
    call: Callable[[], Coroutine[Any, Any, _T]], *, seconds: float, check: Callable[[_T], _Checked]
) -> _Checked:
    """Returns what the call returns, checked.

    Most agents, worlds and critics that run in this process never wait. `asyncio.timeout` would set and cancel a timer
    for each of their calls, a quarter of the runner's time per step; so the timer is set when a call first waits.

    Args:
        call: Makes the coroutine.
        seconds: How long it may take, above 0. A call that is cancelled then and goes on waiting is left where it is
            after a grace; one that computes without waiting cannot be stopped from within its process, and is late.
        check: Returns the answer as it is to be used; what it raises is a wrong answer.

    Raises:
        ForeignFault: It did something else than answer.
    """
    task = MEMBER.get()
    if UNSETTLED and task in UNSETTLED and task is current_task():
        await CREWS[task].settle()
    forks, started = _forks, time.perf_counter()
    resumed: _Resumed[_T] | None = None
    try:
        coroutine = call()
        if not asyncio.iscoroutine(coroutine):
            raise InvalidInput(
                f"act, score, reset and step must be `async def`; one returned {type(coroutine).__name__} at once."
            )
        try:
            awaited = coroutine.send(None)
        except StopIteration as returned:
            answered: _T = returned.value
        else:
            if _forks != forks:
                os._exit(0)
            resumed = _Resumed(coroutine, awaited, seconds=seconds)
            answered = await resumed
    except BaseException as error:
        if _forks != forks:
            os._exit(0)
        if resumed is not None and resumed.is_closed:
            raise
        if task is not None and task.cancelling():
            _tell_cancelled(task, resumed)
        _tell(error)
    if _forks != forks:
        os._exit(0)
    if task is not None and task.cancelling():
        _tell_cancelled(task, resumed)
    if time.perf_counter() - started > seconds:
        raise ForeignFault(
            "timeout",
            f"no answer within {seconds:g} s; it blocked the event loop, so that nobody could cut it off: run what "
            "blocks by asyncio.to_thread, or the pilot with workers",
        )
    return _checked(answered, check)


def called(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
    """Calls a method that is an `async def`; one that is not is called in a thread, since it may block.

    Such a call cannot be stopped: when it is late, nobody waits for it any longer.
    """
    if _is_async(getattr(method, "__func__", method)):
        return method(*args, **kwargs)  # type: ignore[no-any-return]
    return _in_thread(lambda: method(*args, **kwargs))


async def _in_thread(call: Callable[[], Any]) -> Any:
    said = await in_thread(call)
    return await said if inspect.isawaitable(said) else said


@functools.lru_cache(maxsize=256)
def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function)


def answer_at_once(call: Callable[[], _T], *, check: Callable[[_T], _Checked]) -> _Checked:
    """Returns what a call that does not wait returns, checked.

    Raises:
        ForeignFault: It did something else than answer.
    """
    forks, task = _forks, MEMBER.get()
    before = 0 if task is None else task.cancelling()
    try:
        answered = call()
    except BaseException as error:
        if _forks != forks:
            os._exit(0)
        if task is not None and task.cancelling() > before:
            _tell_cancelled(task)
        _tell(error)
    if _forks != forks:
        os._exit(0)
    if task is not None and task.cancelling() > before:
        _tell_cancelled(task)
    return _checked(answered, check)


def as_it_is(value: _T) -> _T:
    """The check of what is opaque to forbear."""
    return value


def _checked(answered: _T, check: Callable[[_T], _Checked]) -> _Checked:
    try:
        return check(answered)
    except InvalidInput as error:
        raise ForeignFault("invalid", f"a wrong answer: {brief_error(error).removeprefix('InvalidInput: ')}") from None
    except Exception as error:  # an answer whose own methods raise
        raise ForeignFault("invalid", f"a wrong answer: reading it raised {brief_error(error)}") from error


def _tell(error: BaseException) -> NoReturn:
    """Raises what came out of foreign code: as a fault of it, or as it is where it is ours or the user's."""
    if _is_ours(error):
        raise error
    if isinstance(error, _Late):
        raise ForeignFault("timeout", str(error)) from None
    raise ForeignFault("provider" if isinstance(error, ProviderError) else "error", brief_error(error)) from error


def _tell_cancelled(task: asyncio.Task[Any], resumed: "_Resumed[Any] | None" = None) -> None:
    """Raises what a call is told as whose task was cancelled: by itself, by other code, or by who may."""
    crew = CREWS.get(task)
    if crew is None or task is not current_task():
        return  # a task of others: what it makes of it is their affair
    if resumed is None:
        crew.spare()
    if crew.is_stopped:
        raise asyncio.CancelledError
    UNSETTLED.add(task)
    if resumed is None or resumed.by_itself:
        raise ForeignFault("error", "CancelledError: it cancelled the task that it was called in")
    raise ForeignFault(
        "provider", "CancelledError: other code in this process cancelled the task that it was called in"
    )


def _is_ours(error: BaseException) -> bool:
    if isinstance(error, asyncio.CancelledError):
        task = current_task()
        if task in CREWS:
            return CREWS[task].is_stopped
        return task is not None and task.cancelling() > 0
    if not isinstance(error, KeyboardInterrupt):
        return False
    handler = signal.getsignal(signal.SIGINT)
    main = handler.keywords.get("main_task") if isinstance(handler, functools.partial) else None
    if isinstance(main, asyncio.Task):
        # asyncio.run answers the first Ctrl-C by cancelling its main task, and raises only at the second.
        return main.cancelling() > 0
    return callable(handler)


class _Late(Exception):
    """It waited and did not answer in time."""


class _Resumed(Generic[_T]):
    """A call that is suspended: hands on what it waits for, then goes on with it, until its time is over."""

    def __init__(self, call: Coroutine[Any, Any, _T], awaited: object, *, seconds: float) -> None:
        self._call = call
        self.by_itself = False
        """The call cancelled the task that it is in."""
        self._awaited = awaited
        self._seconds = seconds
        self._expired = 0
        """How often this cancelled the task that waits."""
        self.is_closed = False
        """Whoever awaits this was closed: there is nobody left to tell anything."""

    def __await__(self) -> Generator[Any, Any, _T]:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        forks, awaited, is_cut = _forks, self._awaited, False
        self._notice(task, 0)

        def expire() -> None:
            self._expired += 1
            task.cancel()

        timer = loop.call_later(self._seconds, expire)
        try:
            while True:
                if _forks != forks:
                    os._exit(0)
                try:
                    sent = yield awaited
                except asyncio.CancelledError as error:  # the call's to clean up after
                    awaited = self._step(self._call.throw, error, task)
                    if not task.cancelling():
                        continue  # what it waited for was cancelled by others: its own affair
                    if is_cut:
                        _abandon(self._call)
                        raise
                    is_cut = True
                    timer.cancel()
                    timer = loop.call_later(min(GRACE_S, self._seconds), expire)
                except GeneratorExit:
                    self.is_closed = True
                    _abandon(self._call)
                    raise
                except BaseException as error:
                    awaited = self._step(self._call.throw, error, task)
                else:
                    awaited = self._step(self._call.send, sent, task)
        except StopIteration as returned:
            self._end(task)
            value: _T = returned.value
            return value
        except BaseException:
            self._end(task)
            raise
        finally:
            timer.cancel()

    def _step(self, step: Callable[[Any], object], sent: object, task: asyncio.Task[Any]) -> object:
        before = task.cancelling()
        try:
            return step(sent)
        finally:
            self._notice(task, before)

    def _notice(self, task: asyncio.Task[Any], before: int) -> None:
        """Whether the call has just cancelled its task, in which nothing else runs meanwhile."""
        if task.cancelling() > before and task in CREWS:
            self.by_itself = True
            CREWS[task].spare()

    def _end(self, task: asyncio.Task[Any]) -> None:
        """Takes back what was cancelled here; whatever the call made of being cancelled, it is over."""
        for _ in range(self._expired):
            task.uncancel()
        if task.cancelling():
            raise asyncio.CancelledError
        if self._expired:
            raise _Late(f"no answer within {self._seconds:g} s")


_ABANDONED: list[object] = []
"""Calls that go on after they were cancelled and closed: kept, because their end would be told of as an error."""


def _abandon(call: Coroutine[Any, Any, Any]) -> None:
    try:
        call.close()
    except BaseException:  # it does not even heed that
        _ABANDONED.append(call)
