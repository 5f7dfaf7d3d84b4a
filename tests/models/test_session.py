import asyncio
import contextvars
import threading
import time
from itertools import pairwise

import pytest

from forbear.models.session import (
    Meter,
    ModelSettings,
    Session,
    Turns,
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


async def _in_rounds(works, *, rounds):
    """Starts all works in one round of the loop; by round, who had gone on when it was over."""
    tasks = [asyncio.create_task(work) for work in works]
    done = []
    for _ in range(rounds):
        await asyncio.sleep(0)
        done.append([task.done() for task in tasks])
    return tasks, done


def test_of_those_who_are_due_at_once_one_goes_on_in_each_round_in_their_order():
    async def run():
        turns = Turns(asyncio.get_running_loop())
        _, done = await _in_rounds([turns.take() for _ in range(5)], rounds=12)
        counts = [sum(row) for row in done]
        assert counts[0] == 1, "the first waits for nobody"
        assert all(after - before <= 1 for before, after in pairwise(counts))
        assert counts[-1] == 5
        assert all(row == sorted(row, reverse=True) for row in done)
        _, (again, *_) = await _in_rounds([turns.take()], rounds=3)
        assert again == [True], "nobody is due any more"

    asyncio.run(run())


def test_a_turn_whose_task_is_cancelled_is_the_next_ones():
    async def run():
        turns = Turns(asyncio.get_running_loop())
        tasks, done = await _in_rounds([turns.take() for _ in range(4)], rounds=1)
        assert done == [[True, False, False, False]]
        tasks[1].cancel()
        tasks[2].cancel()
        await asyncio.wait_for(tasks[3], timeout=5)
        assert tasks[1].cancelled()
        assert tasks[2].cancelled()

    asyncio.run(run())


def test_in_another_loop_nobody_waits():
    async def make():
        return Turns(asyncio.get_running_loop())

    turns = asyncio.run(make())

    async def run():
        _, done = await _in_rounds([turns.take() for _ in range(3)], rounds=1)
        assert done == [[True, True, True]]

    asyncio.run(run())
