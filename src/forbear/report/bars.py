"""Where bars and columns stand in the pictures of a page: coordinates, and nothing else."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from forbear.report.sections.ceilings import CeilingsView
from forbear.report.sections.costs import CostView
from forbear.report.sections.sources import ColumnView, SourcesView
from forbear.stats.intervals import EstimateJson
from forbear.wording import points, points_interval


class Column(TypedDict):
    """Recovered runs above the line, disrupted ones below it."""

    middle: float
    left: float
    width: float
    up: float
    """Height of what was recovered."""
    down: float
    recovered: int
    disrupted: int
    runs: int
    label: str


class Panel(TypedDict):
    """Columns beside one another."""

    title: str
    left: float
    right: float
    columns: list[Column]


class ColumnsChart(TypedDict):
    """Coordinates of the columns, 640 wide and 216 high."""

    zero: float
    panels: list[Panel]


_ZERO, _REACH, _GAP = 102.0, 62.0, 24.0


def columns_chart(sources: SourcesView) -> ColumnsChart:
    """Where to draw the runs by the step of the first intervention, and by how many there were."""
    groups = [
        ("by the step of the first intervention", sources["by_step"]),
        ("by interventions in the run", sources["by_interventions"]),
    ]
    groups = [(title, columns) for title, columns in groups if columns]
    total = sum(len(columns) for _, columns in groups)
    most = max([1, *(max(one["recovered"], one["disrupted"]) for _, columns in groups for one in columns)])
    # The label of the rows stands to the left of all; each panel is as wide as it has columns, but not less than words.
    panels, left, room = [], 76.0, 640.0 - 76.0 - _GAP * (len(groups) - 1)
    for title, columns in groups:
        wide = max(room * len(columns) / total, 190.0 if len(groups) > 1 else room)
        wide = min(wide, room - 190.0) if len(groups) > 1 else wide
        panels.append(
            Panel(title=title, left=left, right=round(left + wide, 1), columns=_columns(columns, left, wide, most))
        )
        left = round(left + wide + _GAP, 1)
    return ColumnsChart(zero=_ZERO, panels=panels)


def _columns(columns: Sequence[ColumnView], left: float, wide: float, most: int) -> list[Column]:
    each = wide / len(columns)
    width = min(0.7 * each, 30.0)
    made = []
    for number, one in enumerate(columns):
        middle = left + each * (number + 0.5)
        made.append(
            Column(
                middle=round(middle, 1),
                left=round(middle - width / 2, 1),
                width=round(width, 1),
                up=round(_REACH * one["recovered"] / most, 1),
                down=round(_REACH * one["disrupted"] / most, 1),
                recovered=one["recovered"],
                disrupted=one["disrupted"],
                runs=one["runs"],
                label=one["label"],
            )
        )
    return made


class Bar(TypedDict):
    """A share as a bar; None where it is undefined."""

    left: float
    length: float | None
    share: float | None


class DoingsRow(TypedDict):
    """One arm."""

    arm: str
    y: float
    bars: list[Bar]


class DoingsChart(TypedDict):
    """Coordinates of what arms did, 640 wide."""

    height: float
    headings: list[tuple[float, str]]
    rows: list[DoingsRow]
    left_out: int


MOST_ROWS = 40
"""Arms in a picture of all."""
_FIRST, _STRIDE, _LENGTH = 168.0, 162.0, 96.0


def doings_chart(arms: Mapping[str, CostView]) -> DoingsChart:
    """Where to draw how many episodes of each arm had no answer, how many were cascades, what was tried in vain."""
    names = ("no answer", "cascades (3+)", "same again")
    lefts = [_FIRST + _STRIDE * number for number in range(len(names))]
    rows = []
    for number, (name, arm) in enumerate(list(arms.items())[:MOST_ROWS]):
        shares = (arm["no_answer_rate"], arm["cascade_rate"], arm["noop_rate"])
        bars = [
            Bar(left=left, length=None if share is None else round(_LENGTH * share, 1), share=share)
            for left, share in zip(lefts, shares, strict=True)
        ]
        rows.append(DoingsRow(arm=name, y=34.0 + 20 * number, bars=bars))
    return DoingsChart(
        height=44.0 + 20 * (len(rows) - 1),
        headings=list(zip(lefts, names, strict=True)),
        rows=rows,
        left_out=max(0, len(arms) - MOST_ROWS),
    )


class CeilingRow(TypedDict):
    """One arm, or one choice between runs."""

    label: str
    y: float
    ceiling: float
    """Right end of what could have been gained."""
    tax: float
    """Left end of what was disrupted; at zero where nothing can be."""
    low: float | None
    high: float | None
    value: float | None
    told: str


class CeilingsChart(TypedDict):
    """Coordinates of gains beside what could have been gained, 640 wide."""

    height: float
    zero: float
    rows: list[CeilingRow]


def ceilings_chart(ceilings: CeilingsView) -> CeilingsChart:
    """Where to draw what was gained, between what disruptions took and what could have been gained at best."""
    shown = ceilings["rows"][:MOST_ROWS]
    ends = [abs(one[end]) for one in shown for end in ("ceiling", "tax")]
    ends += [abs(one["gain"][end]) for one in shown if one["gain"] is not None for end in ("low", "high")]
    reach = 1.05 * max([0.02, *ends])

    def x(value: float) -> float:
        return round(330 + 150 * value / reach, 1)

    rows = []
    for number, one in enumerate(shown):
        gain = one["gain"]
        interval = "" if gain is None else f" ({points_interval(gain['low'], gain['high'], unit='')})"
        rows.append(
            CeilingRow(
                label=one["label"],
                y=14.0 + 22 * number,
                ceiling=x(one["ceiling"]),
                tax=x(-one["tax"]),
                low=None if gain is None else x(gain["low"]),
                high=None if gain is None else x(gain["high"]),
                value=None if gain is None or gain["value"] is None else x(gain["value"]),
                told="" if gain is None else f"{points(gain['value'], unit='')}{interval}",
            )
        )
    return CeilingsChart(height=22.0 * len(rows) + 20, zero=x(0.0), rows=rows)


class OfflineRow(TypedDict):
    """One arm: how well its critic tells failures offline, and what acting on it gained online."""

    label: str
    y: float
    auroc: tuple[float, float, float]
    """Left end, value and right end."""
    auroc_told: str
    gain: tuple[float, float | None, float]
    gain_told: str


class OfflineChart(TypedDict):
    """Coordinates of AUROC beside gain, 640 wide."""

    height: float
    coin: float
    """Where an AUROC of a half stands."""
    zero: float
    ticks: list[tuple[float, str]]
    rows: list[OfflineRow]


def offline_chart(rows: Sequence[tuple[str, EstimateJson, EstimateJson]]) -> OfflineChart:
    """Where to draw the AUROC of each arm's critic beside the arm's gain.

    Args:
        rows: Name of the arm, AUROC of its critic, gain; at least one.
    """
    least = min(0.5, *(auroc["low"] for _, auroc, _ in rows))
    reach = 1.05 * max(0.02, *(abs(gain[end]) for _, _, gain in rows for end in ("low", "high")))

    def across(auroc: float) -> float:
        return round(150 + 130 * (auroc - least) / (1 - least), 1)

    def x(value: float) -> float:
        return round(450 + 90 * value / reach, 1)

    made = []
    for number, (name, auroc, gain) in enumerate(rows):
        value, middle = auroc["value"], gain["value"]
        assert value is not None, "an AUROC that is undefined is not drawn"
        made.append(
            OfflineRow(
                label=name,
                y=34.0 + 22 * number,
                auroc=(across(auroc["low"]), across(value), across(auroc["high"])),
                auroc_told=f"{value:.2f}",
                gain=(x(gain["low"]), None if middle is None else x(middle), x(gain["high"])),
                gain_told=points(middle),
            )
        )
    return OfflineChart(
        height=34.0 + 22 * len(made),
        coin=across(0.5),
        zero=x(0.0),
        ticks=[(across(0.5), "0.5"), (across(1.0), "1")],
        rows=made,
    )
