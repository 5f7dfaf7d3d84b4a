"""A terminal to print to: as wide as it is told, the same on every machine, and nothing unescaped reaches it."""

import io
from collections.abc import Container, Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from forbear.wording import shown

STYLES = {"INTERVENE": "bold green", "FORBEAR": "bold red", "UNDECIDED": "bold yellow", "CONTROL": "bold"}
"""By recommendation."""

_REMARK = 400


class Terminal:
    """Prints into memory; read it with `text`.

    Args:
        width: Columns of the terminal; at least 40.
        color: Whether terminal codes may be used; without them the text is plain.
    """

    def __init__(self, *, width: int = 80, color: bool = False) -> None:
        self._console = plain_console(width=width, color=color)

    @property
    def text(self) -> str:
        """What was printed: lines without trailing blanks, the last one ended."""
        return printed(self._console)

    def line(self, text: str = "", *, style: str = "") -> None:
        """One line, wrapped where it is too long."""
        self._console.print(Text(text, style=style))

    def rule(self, text: str) -> None:
        """A heading in a line across."""
        self._console.rule(Text(text), characters="-", align="left")

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str | tuple[str, str]]],
        *,
        left: Container[int],
        gap: int = 2,
    ) -> None:
        """A table without lines.

        Args:
            columns: Headings.
            rows: One cell a column; a pair is a text and its style.
            left: Columns, from 0 on, that are left-justified; numbers stand to the right.
            gap: Blanks between columns.
        """
        table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False)
        for index, heading in enumerate(columns):
            table.add_column(Text(heading), justify="left" if index in left else "right")
        for row in rows:
            table.add_row(*(Text(cell) if isinstance(cell, str) else Text(cell[0], style=cell[1]) for cell in row))
        self._console.print(table)

    def bullets(self, heading: str, texts: Iterable[str]) -> None:
        """A heading with a list below it; nothing where the list is empty."""
        table, found = Table.grid(padding=(0, 1, 0, 0)), False
        for text in texts:
            table.add_row("-", Text(shown(text, limit=_REMARK)))
            found = True
        if found:
            self.line(heading, style="bold")
            self._console.print(table)


def plain_console(*, width: int, color: bool) -> Console:
    """A console that prints into memory, the same on every machine; read it with `printed`."""
    return Console(
        file=io.StringIO(),
        width=max(40, width),
        force_terminal=color,
        color_system="standard" if color else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )


def printed(console: Console) -> str:
    """What was printed to a `plain_console`, without trailing blanks."""
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())
