"""What makes the verdict weaker than it looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from forbear.stats.verdict import RemarkJson

if TYPE_CHECKING:
    from forbear.report.terminal import Terminal


class CautionsView(TypedDict):
    """What is shown."""

    cautions: list[RemarkJson]


def text(terminal: Terminal, arm: CautionsView) -> None:
    """Prints a list."""
    terminal.bullets("Cautions", (caution["text"] for caution in arm["cautions"]))
