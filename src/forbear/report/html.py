"""A pilot's report as one HTML page without scripts and without anything loaded from elsewhere.

Whatever agents, worlds and files said is escaped by the template engine and bounded by its filters.
"""

import functools

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from forbear.report.charts import advantage_chart, gain_chart, path_chart
from forbear.report.pilot_view import PilotView
from forbear.wording import amount, count, number, percent, points, shown


def pilot_html(view: PilotView) -> str:
    """Renders the report of a pilot."""
    return page("pilot.html").render(view=view)


def page(name: str) -> Template:
    """A template whose values are escaped."""
    return _environment().get_template(name)


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
        "percent": percent,
        "points": points,
        "count": count,
        "number": number,
        "amount": amount,
        # Line breaks are fine in a page; `shown` would mark them as what cannot be printed.
        "bounded": lambda text, limit: shown(" ".join(text[: 4 * limit].split()), limit=limit),
        "gain_chart": gain_chart,
        "path_chart": path_chart,
        "advantage_chart": advantage_chart,
    }
    return environment
