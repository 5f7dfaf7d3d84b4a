"""A pilot's report as one HTML page without scripts and without anything loaded from elsewhere.

Whatever agents, worlds and files said is escaped by the template engine and bounded by its filters.
"""

import functools

from jinja2 import Environment, PackageLoader, StrictUndefined

from forbear.errors import shown
from forbear.report.pilot_view import PilotView
from forbear.report.view import ArmView
from forbear.stats.verdict import points


def pilot_html(view: PilotView) -> str:
    """Renders the report of a pilot."""
    return _environment().get_template("pilot.html").render(view=view)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("forbear.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "points": points,
        "number": _number,
        # Line breaks are fine in a page; `shown` would mark them as what cannot be printed.
        "bounded": lambda text, limit: shown(" ".join(text[: 4 * limit].split()), limit=limit),
        "gain_chart": _gain_chart,
    }
    return environment


def _percent(fraction: float | None, digits: int = 1) -> str:
    return "undefined" if fraction is None else f"{100 * fraction:.{digits}f} %"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _gain_chart(arm: ArmView) -> dict[str, float | list[tuple[float, str]]]:
    """Horizontal positions, 0 to 640, of the gain, its interval and the marks on the line."""
    gain, half = arm["gain"], 320
    marks = {0.0: "no change"}
    marks |= {value: name for name, value in (("margin", arm["margin"]), ("worthwhile", arm["worthwhile"])) if value}
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
