"""The paired table: how often each arm succeeded where the other did, or did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from forbear.stats.intervals import EstimateJson
from forbear.wording import count, counted, shown

if TYPE_CHECKING:
    from forbear.report.terminal import Terminal


class CountsView(TypedDict):
    """What is shown; counts are None where runs are not paired, the failure rate where they are scores."""

    baseline: str
    arm: str
    pairs: int
    both_fail: int | None
    recovered: int | None
    disrupted: int | None
    both_succeed: int | None
    failure_rate: EstimateJson | None


def text(terminal: Terminal, arm: CountsView) -> None:
    """Prints a 2×2 table; of graded scores how many tasks have them."""
    if arm["failure_rate"] is None:
        terminal.line(f"{counted(arm['pairs'], 'task')} with a score under both arms")
        terminal.line()
        return
    before, after = shown(arm["baseline"], limit=20), shown(arm["arm"], limit=20)
    rows = [
        (f"{before} fails", count(arm["both_fail"]), f"{count(arm['recovered'])} recovered"),
        (f"{before} succeeds", f"{count(arm['disrupted'])} disrupted", count(arm["both_succeed"])),
    ]
    columns = (counted(arm["pairs"], "pair"), f"{after} fails", f"{after} succeeds")
    terminal.table(columns, rows, left=(0,), gap=3)
    terminal.line()
