import asyncio
import contextvars
import threading
import time

import pytest

from forbear.models.session import (
    Meter,
    ModelSettings,
    Session,
    current_loop,
    current_meter,
    current_session,
    in_thread,
    priced,
)
from forbear.records.model import Usage

HELD = contextvars.ContextVar("held", default="nothing")


def test_a_call_in_a_thread_sees_the_context_and_leaves_the_loop_free():
    async def run():
        HELD.set("this")
        beside = asyncio.create_task(asyncio.sleep(0.01, "beside"))

        def call():
            time.sleep(0.05)
            return HELD.get(), current_loop() is loop, threading.current_thread().daemon

        loop = asyncio.get_running_loop()
        said = await in_thread(call)
        assert beside.done()
        assert current_loop() is None
        return said

    assert asyncio.run(run()) == ("this", True, True)


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), SystemExit(3), KeyboardInterrupt()])
def test_what_a_call_raises_comes_out(error):
    def call():
        raise error

    async def run():
        with pytest.raises(type(error)) as raised:
            await in_thread(call)
        return raised.value

    assert asyncio.run(run()) is error


def test_a_stop_iteration_is_told_as_an_error():
    async def run():
        with pytest.raises(RuntimeError, match="StopIteration: 7"):
            await in_thread(lambda: next(iter(()), None) or _stop())

    def _stop():
        raise StopIteration(7)

    asyncio.run(run())


def test_a_call_that_hangs_is_waited_for_by_nobody():
    released = threading.Event()

    async def run():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await in_thread(released.wait)

    started = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - started < 2
    released.set()


def test_many_calls_run_at_once():
    everybody = threading.Barrier(40, timeout=10)

    async def run():
        return await asyncio.gather(*[in_thread(everybody.wait) for _ in range(40)])

    assert sorted(asyncio.run(run())) == list(range(40))


def test_a_session_is_there_while_it_is_active(tmp_path):
    assert current_session() is None
    session = Session()
    with session.active():
        assert current_session() is session
        with Session().active() as inner:
            assert current_session() is inner
        assert current_session() is session
    assert current_session() is None
    assert priced(Usage(calls=1), model="x") == Usage(calls=1)


def test_what_is_open_is_closed_with_the_session(tmp_path):
    closed = []

    async def close():
        closed.append(current_session() is not None)

    async def run():
        async with ModelSettings(responses=tmp_path / "r.jsonl", owner="a").opened() as session:
            session.closers.append(close)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(run())
    assert closed == [True]
    assert not (tmp_path / "r.jsonl").exists()


def test_meters_nest_and_count_what_is_theirs():
    session = Session()
    with session.active(), Meter() as outer:
        outer.add(Usage(calls=1, input_tokens=5), key="a", paid=True)
        with Meter() as inner:
            assert current_meter() is inner
            inner.add(Usage(calls=1, input_tokens=7), key="b", paid=True)
            inner.add(Usage(calls=1, input_tokens=5), key="a", paid=False)
        assert current_meter() is outer
        assert (outer.paid.input_tokens, inner.paid.input_tokens, inner.reused.input_tokens) == (5, 7, 5)
        assert inner.claim() == Usage(calls=1, input_tokens=7)
        assert (outer.has("b"), outer.has("a"), inner.has("a")) == (True, True, False)
    assert Meter().claim() is None
    assert current_meter() is not current_meter()


def test_who_is_cut_off_while_a_provider_is_asked_waited_for_it():
    async def asks(meter):
        with meter.asking():
            assert meter.waits
            await asyncio.sleep(5)

    async def run():
        with Meter() as meter:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asks(meter), 0.01)
            assert meter.waits
        with Meter() as other:
            with pytest.raises(ZeroDivisionError), other.asking():
                raise ZeroDivisionError
            assert not other.waits

    asyncio.run(run())
