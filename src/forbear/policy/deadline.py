"""A time limit that costs nothing where there is nothing to wait for."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

from forbear.errors import InvalidInput

_T = TypeVar("_T")


async def within(seconds: float, call: Coroutine[Any, Any, _T]) -> _T:
    """Returns what the call returns.

    Most agents, worlds and critics that run in this process never wait. `asyncio.timeout` would set and cancel a timer
    for each of their calls, a quarter of the runner's time per step; so the timer is set when a call first waits.

    Raises:
        TimeoutError: It waited and did not return in time. A call that computes without waiting cannot be stopped.
        InvalidInput: It is no coroutine.
    """
    if not asyncio.iscoroutine(call):
        raise InvalidInput(
            f"act, score, reset and step must be `async def`; one returned {type(call).__name__} at once."
        )
    try:
        awaited = call.send(None)
    except StopIteration as returned:
        value: _T = returned.value
        return value
    async with asyncio.timeout(seconds):
        resumed: _Resumed[_T] = _Resumed(call, awaited)
        return await resumed


class _Resumed(Generic[_T]):
    """A call that is suspended: hands on what it waits for, then goes on with it."""

    def __init__(self, call: Coroutine[Any, Any, _T], awaited: object) -> None:
        self._call = call
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, _T]:
        awaited = self._awaited
        while True:
            try:
                try:
                    sent = yield awaited
                except BaseException as error:  # cancellation and timeouts are the call's to clean up after
                    awaited = self._call.throw(error)
                else:
                    awaited = self._call.send(sent)
            except StopIteration as returned:
                value: _T = returned.value
                return value
