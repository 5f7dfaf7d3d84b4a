"""What every reader of a table gives: a header, and columns of text, some rows at a time."""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

BLANKS = " \t"
"""Stripped around every name and value."""

AT_ONCE = 256
"""Rows taken at a time: few enough to stay in the cache until they are columns."""

Batch: TypeAlias = tuple[list[Sequence[str]], Sequence[int]]
"""The columns that were asked for, stripped, and the number of each row: the line on which it starts, or its own."""


class Rows(Protocol):
    """The rows of one table; their columns may be read more than once."""

    @property
    def place(self) -> str:
        """For messages about the header."""

    @property
    def names(self) -> Sequence[str]:
        """The columns that it has."""

    @property
    def unit(self) -> str:
        """What rows are numbered by: "line" or "row"."""

    @property
    def comma(self) -> bool:
        """Whether a decimal comma may stand in a number."""

    def find(self, name: str) -> int:
        """How many columns bear exactly this name; in JSON it may be the path of a field."""

    def columns(self, names: Sequence[str], *, ids: Sequence[str], needed: Sequence[str]) -> Iterator[Batch]:
        """Columns of all rows.

        Args:
            names: Which.
            ids: Those that hold names of tasks, arms or seeds: text or whole numbers.
            needed: Those that every row has to have.

        Raises:
            InvalidInput: Whatever keeps a row from being read, with its line; those before it are given first.
        """
