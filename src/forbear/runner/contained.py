"""What foreign code does beside answering: it prints, changes the working directory, ends the event loop."""

import contextlib
import io
import logging
from collections.abc import Iterator

from forbear.errors import ProviderError
from forbear.wording import shown

logger = logging.getLogger(__name__)

_LINE = 1000
"""Characters of a printed line that are kept."""


class Printed(io.TextIOBase):
    """Stands for the standard output: what is printed there goes to the log, a line at a time."""

    def __init__(self) -> None:
        """Has nothing to tell yet."""
        self._line = ""

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Takes a text; whole lines are logged."""
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            logger.info("printed: %s", shown(line, limit=_LINE))
        self._line = self._line[:_LINE]
        return len(text)


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Around whatever runs foreign code, in a command: its output and working directory stay the command's.

    Raises:
        ProviderError: Something raised `SystemExit` where nobody could catch it: in a task of its own.
    """
    with contextlib.redirect_stdout(Printed()), contextlib.chdir("."):
        try:
            yield
        except SystemExit as stop:
            raise ProviderError(
                f"a part of the pilot ended the event loop with SystemExit({shown(repr(stop.code))}), in a task that "
                "it had started itself. Every finished episode is kept; have it catch what its tasks raise, then run "
                "the same again."
            ) from None
