"""Where things stand in the pictures of a page: coordinates, and nothing else."""

from collections.abc import Sequence
from typing import TypedDict

from forbear.report.critic_view import BinView
from forbear.report.sections.advantage import AdvantageView, RangeView
from forbear.report.sections.breakeven import BreakEvenView
from forbear.report.sections.counts import CountsView
from forbear.report.sections.forks import DroppedView, StepView
from forbear.report.sections.path import PathView
from forbear.report.view import ArmView
from forbear.wording import percent, points, points_interval


def gain_chart(arm: ArmView) -> dict[str, float | list[tuple[float, str, float]]]:
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
        return round(half + value / reach * (half - 60), 1)

    estimate = gain["value"] if gain["value"] is not None else (gain["low"] + gain["high"]) / 2
    return {
        "low": x(gain["low"]),
        "high": x(gain["high"]),
        "value": x(estimate),
        "marks": [(x(value), name, value) for value, name in marks.items()],
    }


class GainBar(TypedDict):
    """Horizontal positions, 0 to 200, of one arm's gain on a line that all arms share."""

    low: float
    high: float
    value: float
    zero: float


def gain_bars(arms: Sequence[ArmView]) -> list[GainBar]:
    """The gains of all arms, to be seen at once."""
    gains = [arm["success_gain"] for arm in arms]
    reach = max([0.02, *(abs(gain[end]) for gain in gains for end in ("low", "high"))])

    def x(value: float) -> float:
        return round(100 + 94 * value / reach, 1)

    return [
        GainBar(
            low=x(gain["low"]),
            high=x(gain["high"]),
            value=x((gain["low"] + gain["high"]) / 2 if gain["value"] is None else gain["value"]),
            zero=x(0.0),
        )
        for gain in gains
    ]


class FlowView(TypedDict):
    """A band from what the baseline did to what the arm did."""

    path: str
    kind: str
    word: str
    count: int
    text_x: float
    text_y: float


class BlockView(TypedDict):
    """All failures, or all successes, of one side."""

    x: float
    y: float
    height: float
    text_x: float
    text_y: float
    anchor: str
    count: int
    word: str


class FlowChart(TypedDict):
    """Where the four kinds of pairs flow, 640 wide."""

    height: float
    flows: list[FlowView]
    blocks: list[BlockView]


_FLOW_TOP, _FLOW_HIGH, _FLOW_GAP, _FLOW_LEFT, _FLOW_RIGHT = 24, 150, 44, 120, 510


def flow_chart(arm: CountsView) -> FlowChart | None:
    """Where to draw the pairs as flows, successes above failures; None where runs are not paired."""
    counts = [arm[key] for key in ("both_succeed", "disrupted", "recovered", "both_fail")]
    succeed, disrupted, recovered, fail = (count or 0 for count in counts)
    pairs = succeed + disrupted + recovered + fail
    if None in counts or not pairs:
        return None
    unit = _FLOW_HIGH / pairs
    failed_top = {
        "left": _FLOW_TOP + (succeed + disrupted) * unit + _FLOW_GAP,
        "right": _FLOW_TOP + (succeed + recovered) * unit + _FLOW_GAP,
    }
    # Each band leaves and arrives below those that are named before it.
    flows = [
        ("band", "succeed under both", succeed, _FLOW_TOP, _FLOW_TOP),
        ("stop-wash", "disrupted", disrupted, _FLOW_TOP + succeed * unit, failed_top["right"]),
        ("go-wash", "recovered", recovered, failed_top["left"], _FLOW_TOP + succeed * unit),
        (
            "band",
            "fail under both",
            fail,
            failed_top["left"] + recovered * unit,
            failed_top["right"] + disrupted * unit,
        ),
    ]
    sides = [
        (_FLOW_LEFT - 10, "end", _FLOW_LEFT - 16, succeed + disrupted, recovered + fail, failed_top["left"]),
        (_FLOW_RIGHT, "start", _FLOW_RIGHT + 16, succeed + recovered, disrupted + fail, failed_top["right"]),
    ]
    return FlowChart(
        height=_FLOW_TOP + _FLOW_HIGH + _FLOW_GAP + 8,
        flows=[_flow(kind, word, count, left, right, unit) for kind, word, count, left, right in flows],
        blocks=[
            BlockView(
                x=x,
                y=round(top, 1),
                height=round(count * unit, 1),
                text_x=text_x,
                text_y=round(top + count * unit / 2 + 4, 1),
                anchor=anchor,
                count=count,
                word=word,
            )
            for x, anchor, text_x, won, lost, lower in sides
            for word, count, top in (("succeed", won, _FLOW_TOP), ("fail", lost, lower))
        ],
    )


def _flow(kind: str, word: str, count: int, left: float, right: float, unit: float) -> FlowView:
    start, end, middle, high = _FLOW_LEFT, _FLOW_RIGHT, (_FLOW_LEFT + _FLOW_RIGHT) / 2, count * unit
    path = (
        f"M{start},{left:.1f} C{middle},{left:.1f} {middle},{right:.1f} {end},{right:.1f} "
        f"L{end},{right + high:.1f} C{middle},{right + high:.1f} {middle},{left + high:.1f} {start},{left + high:.1f} Z"
    )
    # The two that cross are named on their own side of the crossing.
    share = {"disrupted": 0.2, "recovered": 0.2}.get(word, 0.5)
    bend = share * share * (3 - 2 * share)
    return FlowView(
        path=path,
        kind=kind,
        word=word,
        count=count,
        text_x=round(start + share * (end - start), 1),
        text_y=round(left + bend * (right - left) + high / 2 + 4, 1),
    )


class BreakEvenChart(TypedDict):
    """Coordinates of the gain over failure rates, 640 wide and 250 high."""

    left: float
    right: float
    band: str
    line: str
    unchanged: float | None
    zero: float
    labels: list[tuple[float, str]]
    ticks: list[tuple[float, str]]
    marks: list[tuple[float, str]]
    """Where the pilot stands, and where the line breaks even."""
    here: int
    """The pilot's failure rate in per cent, where a slider begins."""


def break_even_chart(arm: ArmView, curve: BreakEvenView) -> BreakEvenChart | None:
    """Where to draw the gain over failure rates; None where that of the baseline is unknown."""
    failure = arm["failure_rate"]
    if failure is None or failure["value"] is None:
        return None
    left, right, top, bottom = 68.0, 616.0, 16.0, 212.0
    way = curve["points"]
    reach = max(0.05, *(abs(point[end]) for point in way for end in ("low", "high")))

    def x(rate: float) -> float:
        return round(left + (right - left) * rate, 1)

    def y(gain: float) -> float:
        return round((top + bottom) / 2 - (bottom - top) / 2 * gain / reach, 1)

    upper = [f"{x(point['failure_rate'])},{y(point['high'])}" for point in way]
    lower = [f"{x(point['failure_rate'])},{y(point['low'])}" for point in reversed(way)]
    gains = [(point["failure_rate"], point["gain"] if point["line"] is None else point["line"]) for point in way]
    marks, even = [(x(failure["value"]), f"p {percent(failure['value'])}")], arm["break_even_failure_rate"]
    if even is not None and even["value"] is not None:
        marks.append((x(even["value"]), f"p* {percent(even['value'])}"))
    return BreakEvenChart(
        left=left,
        right=right,
        band=" ".join(upper + lower),
        line=" ".join(f"{x(rate)},{y(gain)}" for rate, gain in gains if gain is not None),
        unchanged=None if curve["unchanged"] is None else y(curve["unchanged"]),
        zero=y(0.0),
        labels=[(y(gain), points(gain)) for gain in (reach, reach / 2, 0.0, -reach / 2, -reach)],
        ticks=[(x(rate), percent(rate, 0)) for rate in (0.0, 0.25, 0.5, 0.75, 1.0)],
        marks=marks,
        here=round(100 * failure["value"]),
    )


class Sparkline(TypedDict):
    """A critic's scores over the steps of one side, 240 wide and 34 high, 1 above."""

    lines: list[str]
    """Broken where it gave none."""
    touched: list[tuple[float, float]]
    """Scores of proposals at which an intervention was applied."""
    first: float
    last: float


def sparkline(steps: Sequence[StepView]) -> Sparkline | None:
    """Where to draw the scores; None where there are fewer than two."""
    known = [step["p_fail"] for step in steps if step["p_fail"] is not None]
    if len(known) < 2:
        return None

    def place(step: int, p_fail: float) -> tuple[float, float]:
        return round(4 + 232 * step / (len(steps) - 1), 1), round(31 - 28 * p_fail, 1)

    lines: list[list[str]] = [[]]
    for number, step in enumerate(steps):
        if step["p_fail"] is None:
            lines.append([])
        else:
            lines[-1].append("{},{}".format(*place(number, step["p_fail"])))
    touched = [
        place(number, one["p_fail"])
        for number, step in enumerate(steps)
        for one in step["dropped"]
        if one["p_fail"] is not None
    ]
    return Sparkline(
        lines=[" ".join(line) for line in lines if len(line) > 1], touched=touched, first=known[0], last=known[-1]
    )


def in_order(step: StepView) -> list[tuple[str, str | DroppedView]]:
    """What the agent was told in a step (`told`) and what of its proposals did not simply run, as it happened."""
    messages, told = step["messages"], 0
    events: list[tuple[str, str | DroppedView]] = []
    for one in step["dropped"]:
        events += [("told", message) for message in messages[told : one["shown"]]]
        told = max(told, one["shown"])
        events.append(("dropped", one))
    return events + [("told", message) for message in messages[told:]]


_SIDE, _SQUARE_LEFT, _SQUARE_TOP = 300, 46, 12
"""Of the square in which a curve is drawn, and where it begins."""


class SquareChart(TypedDict):
    """Coordinates of a picture of two shares, 0 to 1 each, that is 362 wide and 348 high."""

    line: str
    dots: list[tuple[float, float, float]]
    """Across, down and radius."""
    left: float
    right: float
    top: float
    bottom: float
    ticks: list[tuple[float, float, str]]
    """Across, down and what is written at both axes."""


def roc_chart(corners: Sequence[Sequence[float]]) -> SquareChart | None:
    """Where to draw an ROC; None where it is undefined."""
    return _square(corners, []) if corners else None


def reliability_chart(bins: Sequence[BinView]) -> SquareChart | None:
    """Where to draw failure rate over mean score, a dot a bin; None of grades."""
    if not bins:
        return None
    corners = [(one["mean_p_fail"], one["failure_rate"]) for one in bins]
    most = max(one["count"] for one in bins)
    return _square(corners, [2.0 + 3.0 * (one["count"] / most) ** 0.5 for one in bins])


def _square(corners: Sequence[Sequence[float]], radii: Sequence[float]) -> SquareChart:
    def place(corner: Sequence[float]) -> tuple[float, float]:
        return round(_SQUARE_LEFT + _SIDE * corner[0], 1), round(_SQUARE_TOP + _SIDE * (1 - corner[1]), 1)

    places = [place(corner) for corner in corners]
    return SquareChart(
        line=" ".join(f"{across},{down}" for across, down in places),
        dots=[(across, down, round(radius, 1)) for (across, down), radius in zip(places, radii, strict=False)],
        left=_SQUARE_LEFT,
        right=_SQUARE_LEFT + _SIDE,
        top=_SQUARE_TOP,
        bottom=_SQUARE_TOP + _SIDE,
        ticks=[(*place((share, share)), f"{share:g}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)],
    )


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


_ROW, _FROM, _TO = 22, 270, 500


def advantage_chart(advantage: AdvantageView) -> AdvantageChart:
    """Where to draw the gain of each range, those by step above those by score."""
    return rows_chart([advantage["by_step"], advantage["by_score"]])


def rows_chart(groups: Sequence[Sequence[RangeView]]) -> AdvantageChart:
    """Where to draw the gain of each range; groups stand a little apart."""
    ranges = [(one, place) for place, group in enumerate(groups) for one in group]
    gains = [one["gain"] for one, _ in ranges if one["gain"] is not None]
    ends = [abs(end) for gain in gains for end in (gain["low"], gain["high"]) if end is not None]
    reach = 1.1 * max(0.05, *ends) if ends else 0.05

    def x(value: float | None) -> float | None:
        return None if value is None else round((_FROM + _TO) / 2 + value / reach * (_TO - _FROM) / 2, 1)

    rows = []
    for number, (one, place) in enumerate(ranges):
        gain = one["gain"]
        low, high, value = (None, None, None) if gain is None else (gain["low"], gain["high"], gain["value"])
        interval = "" if low is None or high is None else f" ({points_interval(low, high, unit='')})"
        rows.append(
            RangeRow(
                label=one["label"],
                runs=f"{one['runs']:,} run{'' if one['runs'] == 1 else 's'}",
                y=12.0 + _ROW * number + 8 * place,
                low=x(low),
                high=x(high),
                value=x(value),
                told="" if value is None else f"{points(value, unit='')}{interval}",
            )
        )
    return AdvantageChart(height=_ROW * len(ranges) + 4 + 8 * (len(groups) - 1), zero=(_FROM + _TO) / 2, rows=rows)
