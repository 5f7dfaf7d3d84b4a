"""Whatever foreign code does instead of answering is told as its own; what is the user's or ours stays so."""

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from forbear.errors import AgentError, InvalidInput, ProviderError
from forbear.policy.foreign import ForeignFault, answer, answer_at_once, as_it_is


class Hostile(Exception):
    """An error that does not want to be told of."""

    def __str__(self):
        raise SystemExit("no")


ERRORS = [
    (RuntimeError("CUDA"), "error", "RuntimeError: CUDA"),
    (AgentError("gave up"), "error", "AgentError: gave up"),
    (ProviderError("503"), "provider", "ProviderError: 503"),
    (InvalidInput("no"), "error", "InvalidInput: no"),
    (TimeoutError("socket"), "error", "TimeoutError: socket"),
    (SystemExit(0), "error", "SystemExit: 0"),
    (asyncio.CancelledError(), "error", "CancelledError"),
    (KeyboardInterrupt(), "error", "KeyboardInterrupt"),
    (MemoryError(), "error", "MemoryError"),
    (RecursionError("deep"), "error", "RecursionError: deep"),
    (OSError(errno.ENOSPC, "no space left"), "error", "OSError: [Errno 28] no space left"),
    (BrokenPipeError(errno.EPIPE, "broken"), "error", "BrokenPipeError: [Errno 32] broken"),
    (GeneratorExit(), "error", "GeneratorExit"),
    (BaseException("own"), "error", "BaseException: own"),
    (BaseExceptionGroup("two", [SystemExit(1)]), "error", "BaseExceptionGroup: two (1 sub-exception)"),
    (Hostile(), "error", "Hostile: its text could not be read"),
    (ValueError("x" * 10**6), "error", "ValueError: " + "x" * 300),
    (ValueError("\x1b[2J\n"), "error", "ValueError:  [2J"),
]


def fault_of(call, *, seconds=5.0, check=as_it_is):
    with pytest.raises(ForeignFault) as raised:
        asyncio.run(answer(call, seconds=seconds, check=check))
    return raised.value.kind, raised.value.text


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(("error", "kind", "text"), ERRORS, ids=[type(error).__name__ for error, _, _ in ERRORS])
def test_whatever_is_raised_is_the_fault_of_who_raised_it(error, kind, text, waits):
    async def call():
        if waits:
            await asyncio.sleep(0)
        raise error

    assert fault_of(call) == (kind, text)


@pytest.mark.parametrize(("error", "kind", "text"), ERRORS, ids=[type(error).__name__ for error, _, _ in ERRORS])
def test_also_where_there_is_nothing_to_wait_for(error, kind, text):
    def call():
        raise error

    async def at_once():
        answer_at_once(call, check=as_it_is)

    with pytest.raises(ForeignFault) as raised:
        asyncio.run(at_once())
    assert (raised.value.kind, raised.value.text) == (kind, text)


def test_what_another_task_was_cancelled_for_is_no_cancellation_of_ours():
    async def call():
        inner = asyncio.ensure_future(asyncio.sleep(60))
        asyncio.get_running_loop().call_later(0.01, inner.cancel)
        await inner

    assert fault_of(call) == ("error", "CancelledError")


def test_after_its_time_a_call_is_late_whatever_it_makes_of_being_cancelled():
    async def obeys():
        await asyncio.sleep(60)

    async def answers():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return 1

    async def raises():
        try:
            await asyncio.sleep(60)
        finally:
            raise RuntimeError("while cleaning up")

    async def goes_on():
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    over = []

    async def heeds_nothing():
        while not over:
            with contextlib.suppress(BaseException):
                await asyncio.sleep(60)

    for call in (obeys, answers, raises, goes_on, heeds_nothing):
        assert fault_of(call, seconds=0.02) == ("timeout", "no answer within 0.02 s"), call
    over.append(True)


@pytest.mark.parametrize("waits_first", [False, True])
def test_a_call_that_blocks_the_loop_is_late_and_told_the_remedy(waits_first):
    async def call():
        if waits_first:
            await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 - the fault
        return 7

    kind, text = fault_of(call, seconds=0.02)
    assert kind == "timeout"
    assert "blocked the event loop" in text
    assert "asyncio.to_thread" in text
    assert "workers" in text


def test_a_call_in_time_is_answered_and_leaves_nothing_behind():
    async def call():
        await asyncio.sleep(0.001)
        return 7

    async def twice():
        first = await answer(call, seconds=0.05, check=str)
        await asyncio.sleep(0.1)
        return first, asyncio.current_task().cancelling()

    assert asyncio.run(twice()) == ("7", 0)


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_cancellation_of_ours_arrives_also_where_the_call_swallows_it(stubborn):
    async def call():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if not stubborn:
                raise

    async def cancelled():
        task = asyncio.ensure_future(answer(call, seconds=60, check=as_it_is))
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())


def test_a_caller_that_is_closed_closes_the_call():
    closed = []

    async def call():
        try:
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    async def close():
        waiting = answer(call, seconds=60, check=as_it_is)
        waiting.send(None)
        waiting.close()

    asyncio.run(close())
    assert closed == [True]


@pytest.mark.parametrize("waits", [False, True])
def test_ctrl_c_is_the_users(waits):
    async def call():
        os.kill(os.getpid(), signal.SIGINT)
        if waits:
            await asyncio.sleep(60)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(answer(call, seconds=60, check=as_it_is))


def test_what_is_no_coroutine_and_what_cannot_be_read_are_wrong_answers():
    class Unreadable:
        def __bool__(self):
            raise SystemError("no")

    async def unreadable():
        return Unreadable()

    def refuse(value):
        raise InvalidInput(f"expected a text, got {value!r}.")

    async def seven():
        return 7

    assert fault_of(lambda: 7)[1].startswith("InvalidInput: act, score, reset and step must be `async def`")
    assert fault_of(unreadable, check=bool) == ("invalid", "a wrong answer: reading it raised SystemError: no")
    assert fault_of(seven, check=refuse) == ("invalid", "a wrong answer: expected a text, got 7.")


FORKS = """
import asyncio, os
from forbear.policy.foreign import answer, answer_at_once, as_it_is

async def forks():
    os.fork()
    await asyncio.sleep(0)
    return 1

async def forks_late():
    await asyncio.sleep(0)
    os.fork()
    await asyncio.sleep(0)
    return 1

async def forks_and_raises():
    if not os.fork():
        raise RuntimeError
    return 1

async def all_of_them():
    for call in (forks, forks_late, forks_and_raises):
        await answer(call, seconds=5, check=as_it_is)
        print("answered", flush=True)
    answer_at_once(os.fork, check=as_it_is)
    print("answered", flush=True)

asyncio.run(all_of_them())
"""


def test_a_forked_process_goes_no_further_than_its_call():
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["answered"] * 4
