"""Why: what the verdict rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from forbear.stats.verdict import RemarkJson

if TYPE_CHECKING:
    from forbear.report.terminal import Terminal


class ReasonsView(TypedDict):
    """What is shown."""

    reasons: list[RemarkJson]


def text(terminal: Terminal, arm: ReasonsView) -> None:
    """Prints a list; where to go on is said under "Next"."""
    terminal.bullets("Why", (reason["text"] for reason in arm["reasons"] if reason["code"] != "next_look"))
