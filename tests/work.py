"""Work counted in lines of Python: what a stopwatch would say, the same on every machine."""

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass


class TooMuchWork(BaseException):
    """Raised on the line that is one too many, so that what would never end does."""


@dataclass
class Work:
    lines: int = 0


@contextlib.contextmanager
def work(*, most: int) -> Iterator[Work]:
    """Counts the lines that are executed inside, and ends it when there are more than `most`."""
    done = Work()

    def count(frame, event, argument):
        if event == "line":
            done.lines += 1
            if done.lines > most:
                raise TooMuchWork(f"more than {most:,} lines of Python")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        yield done
    finally:
        sys.settrace(before)
