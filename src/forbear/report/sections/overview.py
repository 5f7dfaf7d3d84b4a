"""All treated arms at once: what to do, in a sentence, and a line for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypedDict

from forbear.stats.intervals import EstimateJson
from forbear.wording import listed, points, points_interval, pvalue, shown

if TYPE_CHECKING:
    from forbear.report.terminal import Terminal
    from forbear.stats.verdict import RemarkJson


class OverviewView(TypedDict):
    """What is shown of each arm."""

    arm: str
    recommendation: str
    success_gain: EstimateJson
    p_value_gain: float
    headline: RemarkJson


def view(arms: Iterable[OverviewView]) -> RemarkJson:
    """What to do about all arms that may be deployed, in a sentence."""
    from forbear.stats.verdict import Remark

    by_verdict: dict[str, list[str]] = {}
    helps = True
    for arm in arms:
        by_verdict.setdefault(arm["recommendation"], []).append(arm["arm"])
        helps = helps and (arm["recommendation"] != "INTERVENE" or arm["headline"]["code"] == "helps")
    go, stop, wait = (by_verdict.get(name, []) for name in ("INTERVENE", "FORBEAR", "UNDECIDED"))
    rest = [f"FORBEAR: {listed(stop)}"] if stop else []
    rest += [f"UNDECIDED: {listed(wait)}"] if wait else []
    said = "Leave it off" if len(stop + wait) == 1 else "Leave all off"
    if go:  # of several each was piloted by itself, and no two together; what is merely not worse does not help
        which = f"{'one of ' if len(go) > 1 else ''}{listed(go)}"
        said = f"Switch on {which}, as piloted" if helps else f"INTERVENE on {which}, as its own sentence says"
    text = f"{said}. {'; '.join(rest)}." if rest else f"{said}."
    return Remark(code="overview", text=text, values=dict(by_verdict)).to_dict()


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
