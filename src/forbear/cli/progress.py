"""How a pilot gets on: a bar on a terminal, now and then a line where standard error goes elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from forbear.wording import amount, counted

if TYPE_CHECKING:
    from rich.console import Console

    from forbear.records.model import Episode

SECONDS = 30.0
"""Between two lines; a pilot that is over sooner prints none."""


class Tally:
    """Episodes so far and what they took.

    Args:
        done: Episodes that were there before.
        total: To the last look that may be taken; a stop ends it earlier.
        clock: Seconds.
    """

    def __init__(self, *, done: int, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.done, self.total = min(done, total), total
        self._began, self._before, self._clock = clock(), self.done, clock
        self._calls, self._cost = 0, 0.0

    def add(self, episode: Episode) -> None:
        """Counts an episode; one without an outcome will be tried again."""
        self.done = min(self.done + (episode.success is not None), self.total)
        for role in (episode.usage.agent, episode.usage.critic, episode.usage.feedback):
            self._calls += role.paid.calls
            self._cost += role.paid.cost or 0.0

    @property
    def spent(self) -> str:
        """What was paid since it began: "1,234 calls", "1,234 calls, a cost of 0.52"."""
        return counted(self._calls, "call") + (f", a cost of {amount(self._cost)}" if self._cost else "")

    @property
    def left(self) -> str:
        """How long it takes at most if the rest is like it: "2 min"; "?" before there is anything to go by."""
        new = self.done - self._before
        if not new:
            return "?"
        seconds = (self._clock() - self._began) / new * (self.total - self.done)
        return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

    def line(self) -> str:
        """All of it."""
        return f"{self.done:,} of at most {counted(self.total, 'episode')}; {self.spent}; {self.left} left"


@contextmanager
def progress(tally: Tally, console: Console) -> Iterator[Callable[[Episode], None]]:
    """Shows a tally while episodes come in; hand them to what it yields."""
    if not console.is_terminal:
        yield _lines(tally, console)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    texts = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[spent]}")
    with Progress(
        *texts,
        console=console,
        transient=True,
        redirect_stdout=False,  # `foreign_output` has done that
        redirect_stderr=False,
    ) as bar:
        episodes = bar.add_task("episodes", total=tally.total, completed=tally.done, spent="starting")

        def advance(episode: Episode) -> None:
            tally.add(episode)
            bar.update(episodes, completed=tally.done, spent=f"{tally.left} left, {tally.spent}")

        yield advance


def _lines(tally: Tally, console: Console, *, clock: Callable[[], float] = time.monotonic) -> Callable[[Episode], None]:
    told = clock()

    def advance(episode: Episode) -> None:
        nonlocal told
        tally.add(episode)
        if clock() - told >= SECONDS:
            told = clock()
            console.print(tally.line(), markup=False, highlight=False, soft_wrap=True)

    return advance
