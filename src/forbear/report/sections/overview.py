"""One line for each of several treated arms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypedDict

from forbear.stats.intervals import EstimateJson
from forbear.wording import points, points_interval, pvalue, shown

if TYPE_CHECKING:
    from forbear.report.terminal import Terminal


class OverviewView(TypedDict):
    """What is shown of each arm."""

    arm: str
    recommendation: str
    success_gain: EstimateJson
    p_value_gain: float


def text(terminal: Terminal, arms: Iterable[OverviewView]) -> None:
    """Prints a table."""
    from forbear.report.terminal import STYLES

    rows = []
    for arm in arms:
        gain, verdict = arm["success_gain"], arm["recommendation"]
        interval = points_interval(gain["low"], gain["high"], unit="")
        name = shown(arm["arm"], limit=30)
        rows.append((name, (verdict, STYLES[verdict]), points(gain["value"]), interval, pvalue(arm["p_value_gain"])))
    terminal.table(("treated arm", "verdict", "gain", "interval", "p (Holm)"), rows, left=(0, 1))
    terminal.line()
