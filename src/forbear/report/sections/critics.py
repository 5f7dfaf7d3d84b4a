"""The critic offline beside what acting on it did: the first does not imply the second."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypedDict

from forbear.report.critic_view import BinView, reliability_view, thinned
from forbear.stats.intervals import EstimateJson
from forbear.wording import number, points, points_interval, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forbear.analysis.evidence import Evidence
    from forbear.report.terminal import Terminal
    from forbear.report.view import ArmView

MeasuresView: TypeAlias = dict[str, EstimateJson | None]
"""By measure, an estimate with its interval; None where it is undefined."""


class CurvesView(TypedDict):
    """What stands behind the measures of one critic."""

    roc: list[list[float]]
    """Corners: shares of succeeding and of failing steps at or above a score; empty where it is undefined."""
    reliability: list[BinView]


_PRINTED = ("auroc", "average_precision", "calibration_error")
"""Measures for the terminal; JSON and the page have them all."""


def view(evidence: Evidence) -> dict[str, MeasuresView]:
    """By critic that scored more than one task, its measures on the baseline's proposals."""
    return {
        name: {measure: None if e is None else e.to_dict() for measure, e in report.overall.items()}
        for name, report in evidence.critics.items()
        if report is not None
    }


def curves(evidence: Evidence) -> dict[str, CurvesView]:
    """By critic that scored more than one task, its curves on the baseline's proposals."""
    return {
        name: CurvesView(
            roc=[list(corner) for corner in thinned(evidence.roc.get(name, ()))], reliability=reliability_view(report)
        )
        for name, report in evidence.critics.items()
        if report is not None
    }


def text(terminal: Terminal, critics: Mapping[str, MeasuresView], verdicts: Mapping[str, ArmView]) -> None:
    """Prints a table."""
    rows = []
    for critic, measures in critics.items():
        for measure in _PRINTED:
            if (found := measures.get(measure)) is not None:
                low, high = found["low"], found["high"]
                interval = "" if low is None else f"{number(low)} to {number(high)}"
                rows.append((f"{measure} of {shown(critic, limit=30)}", number(found["value"]), interval))
    for name, verdict in verdicts.items():
        gain = verdict["success_gain"]
        interval = f"{points_interval(gain['low'], gain['high'])} ({gain['confidence']:.0%})"
        rows.append((f"gain of {shown(name, limit=30)}", points(gain["value"]), interval))
    terminal.line("The critic offline, its arms online", style="bold")
    terminal.table(("", "value", "95 % interval"), rows, left=(0,))
    terminal.line()
