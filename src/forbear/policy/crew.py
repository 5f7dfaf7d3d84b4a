"""Tasks of ours in which code of others is called: who may cancel them, and what becomes of others who do.

Code of others finds these tasks by `asyncio.current_task` and `asyncio.all_tasks`. What it cancels is not over: only
whoever cancels the task that waits for them ends them.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any


class Crew:
    """The tasks of one pilot, and the task that waits for them."""

    def __init__(self, *, waits: asyncio.Task[Any] | None = None) -> None:
        """Nobody works yet.

        Args:
            waits: May be cancelled by its owner, which ends the others; None where nobody may cancel anything.
        """
        self._waits = waits
        self._asked = 0 if waits is None else waits.cancelling()
        """How often it was cancelled before, and went on nevertheless."""
        self._over = False

    @property
    def is_stopped(self) -> bool:
        """Whether somebody who may has ended the work."""
        return self._over or (self._waits is not None and self._waits.cancelling() > self._asked)

    async def run(self, works: Iterable[Coroutine[Any, Any, None]]) -> bool:
        """Runs all of them, or up to the first error.

        Returns:
            Whether all came to their end; False where code of others cancelled one that had not begun.
        """
        tasks = [self._task(work) for work in works]
        self._over, pending = False, set(tasks)
        error: BaseException | None = None

        def end(reason: BaseException) -> None:
            nonlocal error
            if error is None:
                error, self._over = reason, True
                for task in tasks:
                    task.cancel()

        def note(task: asyncio.Task[None]) -> None:
            failure = None if task.cancelled() else task.exception()
            if failure is not None:
                end(failure)

        for task in tasks:
            task.add_done_callback(note)
        while pending:
            try:
                _, pending = await asyncio.wait(pending)
            except asyncio.CancelledError as cancelled:
                if self.is_stopped:
                    end(cancelled)
        for task in tasks:
            del CREWS[task]
        UNSETTLED.difference_update(tasks)
        if error is not None:
            raise error
        return not any(task.cancelled() for task in tasks)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        context = contextvars.copy_context()
        task = asyncio.get_running_loop().create_task(work, context=context)
        context.run(MEMBER.set, task)
        CREWS[task] = self
        return task

    @contextlib.asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """The task that asks is one of it, for a while."""
        task = asyncio.current_task()
        assert task is not None
        CREWS[task], token = self, MEMBER.set(task)
        try:
            yield
        finally:
            await self.settle()
            MEMBER.reset(token)
            del CREWS[task]

    async def settle(self) -> None:
        """Lets other tasks go on, and takes back what code of others has cancelled here.

        Raises:
            asyncio.CancelledError: The work is over.
        """
        task = asyncio.current_task()
        assert task is not None
        try:
            await asyncio.sleep(0)  # before Python 3.13 nothing else makes a task forget that it is to be cancelled
        except asyncio.CancelledError:
            if self.is_stopped:
                raise
        while not self.is_stopped and task.cancelling():
            task.uncancel()
        UNSETTLED.discard(task)

    def spare(self) -> None:
        """Goes on waiting, although code of others has cancelled all tasks that it found, the one that waits too.

        To be called before anything else runs: later nobody can tell whose wish it was.
        """
        if self._waits is not None and self._waits.cancelling() > self._asked:
            self._waits.uncancel()


MEMBER: contextvars.ContextVar[asyncio.Task[Any] | None] = contextvars.ContextVar("forbear_member", default=None)
"""The task of a crew that this code runs in, or was begun from: for a look at it that costs nothing."""

CREWS: dict[asyncio.Task[Any], Crew] = {}
"""By task: the others are the host's, or of others."""

UNSETTLED: set[asyncio.Task[Any]] = set()
"""Tasks of crews that code of others has cancelled, which they have not heard of yet."""


def current_task() -> asyncio.Task[Any] | None:
    """The task that asks; None outside of one, also where there is no loop."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
