"""What stepping in was worth, by the step and the score at which it first happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from forbear.stats.intervals import EstimateJson
from forbear.wording import counted, points, points_interval, share, shown

if TYPE_CHECKING:
    from forbear.analysis.advantage import Range
    from forbear.analysis.result import PilotResult
    from forbear.report.terminal import Terminal

CAVEAT = "Each range by itself, not corrected for their number: where to look in a new pilot, no verdict."


class RangeView(TypedDict):
    """The runs first touched within a range; gains are fractions, treated minus baseline."""

    label: str
    begin: float
    end: float | None
    """The first that is no part of it; None: it has no end."""
    runs: int
    recovered: int
    disrupted: int
    gain: EstimateJson | None
    """None where they are too few for an interval."""


class AdvantageView(TypedDict):
    """What is shown of one arm."""

    runs: int
    """That it touched."""
    continuations: int
    """Of each task's prefix; 1: one run under each arm."""
    caveat: str
    by_step: list[RangeView]
    by_score: list[RangeView]
    """By the critic's score of the first proposal that was acted on, in tenths; none of a blind arm, a coin."""


def view(arm: str, result: PilotResult) -> AdvantageView | None:
    """An arm's advantage over going on from the same prefix; None where arms share no prefix, or it touched nothing."""
    from forbear.analysis.advantage import advantage_of

    found = advantage_of(result, arm)
    if found is None:
        return None
    by_score = [] if result.plan.arms[arm].blind_of is not None else found.by_score
    return AdvantageView(
        runs=found.all.runs,
        continuations=result.plan.continuations,
        caveat=CAVEAT,
        by_step=[_range(one, _steps(one)) for one in found.by_step],
        by_score=[_range(one, f"p_fail {one.begin:.1f}-{one.end or 1.0:.1f}") for one in by_score],
    )


def _steps(one: Range) -> str:
    if one.end is None:
        return f"step {one.begin:.0f} on"
    return f"steps {one.begin:.0f}-{one.end - 1:.0f}"


def _range(one: Range, label: str) -> RangeView:
    touched = one.touched
    return RangeView(
        label=label,
        begin=one.begin,
        end=one.end,
        runs=touched.runs,
        recovered=touched.recovered,
        disrupted=touched.disrupted,
        gain=None if touched.gain is None else touched.gain.to_dict(),
    )


def text(terminal: Terminal, arm: str, advantage: AdvantageView | None) -> None:
    """Prints a table; nothing where there is none."""
    if advantage is None:
        return
    ranges = [*advantage["by_step"], *advantage["by_score"]]
    confidence = next((one["gain"]["confidence"] for one in ranges if one["gain"] is not None), None)
    terminal.line(f"What {shown(arm, limit=30)} did where it first stepped in", style="bold")
    if advantage["continuations"] > 1:
        terminal.line(f"{counted(advantage['continuations'], 'continuation')} of each task from its first trigger.")
    rows = [
        (one["label"], f"{one['runs']:,}", f"{one['recovered']:,}", f"{one['disrupted']:,}", *_gain(one["gain"]))
        for one in ranges
    ]
    interval = "" if confidence is None else f"{share(confidence, unit=' %')} interval"
    terminal.table(("first at", "runs", "recovered", "disrupted", "gain", interval), rows, left=(0,))
    terminal.line(advantage["caveat"])
    terminal.line()


def _gain(gain: EstimateJson | None) -> tuple[str, str]:
    if gain is None:
        return "-", ""
    low, high = gain["low"], gain["high"]
    return points(gain["value"]), "" if low is None or high is None else points_interval(low, high)
