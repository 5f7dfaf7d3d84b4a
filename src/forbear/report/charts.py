"""Where things stand in the pictures of a page: coordinates, and nothing else."""

from typing import TypedDict

from forbear.report.sections.advantage import AdvantageView
from forbear.report.sections.path import PathView
from forbear.report.view import ArmView
from forbear.wording import points, points_interval


def gain_chart(arm: ArmView) -> dict[str, float | list[tuple[float, str]]]:
    """Horizontal positions, 0 to 640, of the gain, its interval and the marks on the line."""
    gain, half = arm["success_gain"], 320
    marks = {0.0: "no change"}
    marks |= {
        value: name
        for name, value in (("margin", arm["rule"]["margin"]), ("worthwhile", arm["rule"]["worthwhile"]))
        if value
    }
    reach = 1.15 * max(0.02, abs(gain["low"]), abs(gain["high"]), *map(abs, marks))

    def x(value: float) -> float:
        return round(half + value / reach * (half - 10), 1)

    estimate = gain["value"] if gain["value"] is not None else (gain["low"] + gain["high"]) / 2
    return {
        "low": x(gain["low"]),
        "high": x(gain["high"]),
        "value": x(estimate),
        "marks": [(x(value), name) for value, name in marks.items()],
    }


_WIDTH, _HEIGHT, _LEFT, _TOP = 640, 240, 68, 12


class PathChart(TypedDict):
    """Coordinates of a path's picture, 640 wide and 240 high."""

    band: str
    gain: str
    zero: float
    labels: list[tuple[float, str]]
    """Heights of the axis, and what is written there."""
    ticks: list[tuple[float, int]]
    """Positions of the planned looks, and their tasks."""
    bounds: list[tuple[float, float, str]]
    """Where a look says something: position, height, and `go` or `stop`."""
    end: tuple[float, float]


def path_chart(path: PathView) -> PathChart | None:
    """Where to draw a path; None where there is nothing to draw."""
    way = path["points"]
    if not way:
        return None
    # From the fifth task on: before, the sequence fills the picture and says nothing.
    way = way[min(4, len(way) - 1) :]
    shown = [abs(point[key]) for point in way for key in ("low", "high")]
    bounds = [bound for look in path["looks"] for bound in (look["intervene_from"], look["forbear_to"])]
    shown += [abs(bound) for bound in bounds if bound is not None]
    reach = max(0.05, min(1.0, sorted(shown)[int(0.9 * (len(shown) - 1))]))

    def x(tasks: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - 12) * tasks / path["planned"], 1)

    def y(gain: float) -> float:
        inside = max(-reach, min(reach, gain))
        return round(_TOP + (_HEIGHT - 2 * _TOP - 16) * (1 - inside / reach) / 2, 1)

    upper = [f"{x(point['tasks'])},{y(point['high'])}" for point in way]
    lower = [f"{x(point['tasks'])},{y(point['low'])}" for point in reversed(way)]
    known = [(x(point["tasks"]), y(point["gain"])) for point in way if point["gain"] is not None]
    return PathChart(
        band=" ".join(upper + lower),
        gain=" ".join(f"{across},{down}" for across, down in known),
        zero=y(0.0),
        labels=[(y(gain), points(gain)) for gain in (reach, reach / 2, 0.0, -reach / 2, -reach)],
        ticks=[(x(tasks), tasks) for tasks in path["looks_planned"]],
        bounds=[
            (x(look["tasks"]), y(bound), says)
            for look in path["looks"]
            for bound, says in ((look["intervene_from"], "go"), (look["forbear_to"], "stop"))
            if bound is not None
        ],
        end=known[-1] if known else (x(0), y(0.0)),
    )


class RangeRow(TypedDict):
    """One range: where its words stand, and its gain with its interval."""

    label: str
    runs: str
    y: float
    low: float | None
    """None, as the others: there is no interval."""
    high: float | None
    value: float | None
    told: str


class AdvantageChart(TypedDict):
    """Coordinates of the gains by range, 640 wide."""

    height: int
    zero: float
    rows: list[RangeRow]


_ROW, _FROM, _TO = 22, 170, 470


def advantage_chart(advantage: AdvantageView) -> AdvantageChart:
    """Where to draw the gain of each range, those by step above those by score."""
    ranges = [*advantage["by_step"], *advantage["by_score"]]
    gains = [one["gain"] for one in ranges if one["gain"] is not None]
    ends = [abs(end) for gain in gains for end in (gain["low"], gain["high"]) if end is not None]
    reach = 1.1 * max(0.05, *ends) if ends else 0.05

    def x(value: float | None) -> float | None:
        return None if value is None else round((_FROM + _TO) / 2 + value / reach * (_TO - _FROM) / 2, 1)

    rows = []
    for number, one in enumerate(ranges):
        gain = one["gain"]
        low, high, value = (None, None, None) if gain is None else (gain["low"], gain["high"], gain["value"])
        interval = "" if low is None or high is None else f" ({points_interval(low, high, unit='')})"
        rows.append(
            RangeRow(
                label=one["label"],
                runs=f"{one['runs']:,} run{'' if one['runs'] == 1 else 's'}",
                y=12.0 + _ROW * number + (8 if number >= len(advantage["by_step"]) else 0),
                low=x(low),
                high=x(high),
                value=x(value),
                told=f"{points(value)}{interval}",
            )
        )
    return AdvantageChart(height=_ROW * len(ranges) + 12, zero=(_FROM + _TO) / 2, rows=rows)
