"""What code of others cancels of our tasks is not over; what their owner cancels is."""

import asyncio
import contextlib

import pytest

from forbear.policy.crew import Crew
from forbear.policy.foreign import ForeignFault, answer, answer_at_once, as_it_is

ITSELF = ("error", "CancelledError: it cancelled the task that it was called in")
OTHERS = ("provider", "CancelledError: other code in this process cancelled the task that it was called in")


def cancel_itself():
    asyncio.current_task().cancel()


def cancel_all():
    for task in asyncio.all_tasks():
        task.cancel()


def told(*calls):
    """What became of calls that are made at the same time, each then of a harmless one in the same task."""
    became = {}

    async def work(number, call):
        for name, one in ((number, call), (f"after {number}", harmless)):
            try:
                became[name] = await answer(one, seconds=5, check=as_it_is)
            except ForeignFault as fault:
                became[name] = (fault.kind, fault.text)

    async def main():
        crew = Crew(waits=asyncio.current_task())
        return await crew.run(work(number, call) for number, call in enumerate(calls))

    return asyncio.run(main()), became


async def harmless():
    await asyncio.sleep(0.01)
    return "fine"


def calls_that(cancel):
    async def returns():
        cancel()

    async def waits():
        cancel()
        await asyncio.sleep(0)

    async def waits_first():
        await asyncio.sleep(0)
        cancel()

    async def swallows():
        cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    async def raises():
        cancel()
        raise KeyError

    return [returns, waits, waits_first, swallows, raises]


@pytest.mark.parametrize("call", calls_that(cancel_itself), ids=lambda call: call.__name__)
def test_a_call_that_cancels_its_task_is_at_fault_and_nobody_else(call):
    assert told(call, harmless) == (True, {0: ITSELF, "after 0": "fine", 1: "fine", "after 1": "fine"})


@pytest.mark.parametrize("call", calls_that(cancel_all), ids=lambda call: call.__name__)
def test_a_call_that_cancels_all_tasks_ends_none(call):
    assert told(harmless, call) == (True, {0: OTHERS, "after 0": "fine", 1: ITSELF, "after 1": "fine"})


def test_a_task_that_was_cancelled_before_it_began_is_told_of():
    whole, became = told(calls_that(cancel_all)[0], harmless)
    assert not whole
    assert became == {0: ITSELF, "after 0": "fine"}


def test_a_call_that_cannot_wait_leaves_no_cancellation_to_the_next_one():
    async def work():
        for _ in range(2):
            with pytest.raises(ForeignFault) as raised:
                answer_at_once(cancel_all, check=as_it_is)
            assert (raised.value.kind, raised.value.text) == ITSELF
        assert answer_at_once(lambda: 7, check=as_it_is) == 7
        assert await answer(harmless, seconds=5, check=as_it_is) == "fine"

    async def main():
        assert await Crew(waits=asyncio.current_task()).run([work()])

    asyncio.run(main())


def test_a_host_that_went_on_after_it_was_cancelled_is_not_stopped():
    async def main():
        asyncio.current_task().cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        crew, became = Crew(waits=asyncio.current_task()), []

        async def work():
            with pytest.raises(ForeignFault) as raised:
                await answer(calls_that(cancel_all)[0], seconds=5, check=as_it_is)
            became.append((raised.value.kind, raised.value.text))

        await crew.run([work()])
        return became

    assert asyncio.run(main()) == [ITSELF]


def test_who_joins_a_crew_for_a_while_leaves_it_as_he_came():
    async def main():
        crew, task = Crew(), asyncio.current_task()
        for call in calls_that(cancel_all):
            async with crew.joined():
                with pytest.raises(ForeignFault):
                    await answer(call, seconds=5, check=as_it_is)
            assert task.cancelling() == 0
            await asyncio.sleep(0)

    asyncio.run(main())


def test_a_time_limit_of_a_call_is_its_own():
    async def limits_itself():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        return "fine"

    assert told(limits_itself) == (True, {0: "fine", "after 0": "fine"})


@pytest.mark.parametrize("everything", [False, True])
def test_who_cancels_the_task_that_waits_ends_the_others(everything):
    ended = []

    async def call():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)

    async def main():
        async def pilot():
            await Crew(waits=asyncio.current_task()).run(answer(call, seconds=60, check=as_it_is) for _ in range(3))

        running = asyncio.ensure_future(pilot())
        await asyncio.sleep(0.01)
        for task in asyncio.all_tasks() - {asyncio.current_task()} if everything else {running}:
            task.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert len(ended) == 3


def test_the_first_error_ends_the_others():
    async def breaks():
        raise LookupError

    async def main():
        await Crew(waits=asyncio.current_task()).run([answer(harmless, seconds=5, check=as_it_is), breaks()])

    with pytest.raises(LookupError):
        asyncio.run(main())
