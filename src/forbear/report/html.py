"""A report as one HTML page: one script of ours, named by its hash, and nothing loaded from elsewhere.

Whatever agents, worlds and files said is escaped by the template engine and bounded by its filters; the page is whole
without its script, which only filters, sorts and shows sentences that were computed here.
"""

import base64
import functools
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from forbear import __version__
from forbear.report import charts
from forbear.report.pilot_view import PilotView
from forbear.report.sections import overview
from forbear.report.sections.breakeven import BreakEvenView
from forbear.report.view import FORMAT, DecisionView
from forbear.wording import amount, count, number, percent, points, shown


def pilot_html(view: PilotView) -> str:
    """Renders the report of a pilot."""
    candidates = {name: arm["verdict"] for name, arm in view["arms"].items() if not arm["is_control"]}
    verdicts = DecisionView(
        format=FORMAT, baseline=view["baseline"]["arm"], verdicts=candidates, ignored_columns=[], understood=[]
    )
    return _rendered("pilot.html", view=view, overview=view["overview"], verdicts=verdicts)


def decision_html(
    view: DecisionView, *, title: str, break_even: Mapping[str, BreakEvenView], command: str | None = None
) -> str:
    """Renders the report of a decision.

    Args:
        view: From `decision_view`.
        title: Of the page.
        break_even: By arm, the gain over failure rates, where it is known.
        command: What makes it again, if it was a command.
    """
    rest = {"oracle_gain": None, "path": None, "advantage": None}
    arms = {
        name: {"verdict": verdict, "break_even": break_even.get(name), **rest}
        for name, verdict in view["verdicts"].items()
    }
    return _rendered(
        "decision.html",
        view={"arms": arms, **{name: view[name] for name in ("ignored_columns", "understood")}},
        overview=overview.view(view["verdicts"].values()),
        verdicts=view,
        title=title,
        command=command,
        made_by=f"forbear {__version__}",
    )


def _rendered(name: str, **values: object) -> str:
    return page(name).render(style=asset("page.css"), script=asset("pilot.js"), **values)


def page(name: str) -> Template:
    """A template whose values are escaped."""
    return _pages().get_template(name)


@functools.cache
def asset(name: str) -> str:
    """A style or a script of ours, as it stands in a page."""
    return files("forbear.report").joinpath("templates", "assets", name).read_text("utf-8")


def source_hash(text: str) -> str:
    """What a content security policy calls an inline style or script: nothing else of that kind is heeded."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def embedded(value: object) -> Markup:
    """A value as JSON within a page: no text in it can end the element or begin another."""
    text = json.dumps(value, allow_nan=False)
    for mark in "<>&":
        text = text.replace(mark, f"\\u{ord(mark):04x}")
    return Markup(text)  # nosec B704  # ASCII without markup, by the line above


@functools.cache
def _pages() -> Environment:
    return environment(PackageLoader("forbear.report"))


def environment(loader: BaseLoader) -> Environment:
    """A template engine that escapes values, refuses unknown ones, and knows our filters."""
    engine = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    engine.filters |= {
        "percent": percent,
        "points": points,
        "count": count,
        "number": number,
        "amount": amount,
        # Line breaks are fine in a page; `shown` would mark them as what cannot be printed.
        "bounded": lambda text, limit: shown(" ".join(text[: 4 * limit].split()), limit=limit),
        "embedded": embedded,
        "source_hash": source_hash,
        # Only for what `asset` reads, which is ours.
        "trusted": Markup,
        "gain_chart": charts.gain_chart,
        "gain_bars": charts.gain_bars,
        "flow_chart": charts.flow_chart,
        "break_even_chart": charts.break_even_chart,
        "path_chart": charts.path_chart,
        "advantage_chart": charts.advantage_chart,
        "roc_chart": charts.roc_chart,
        "reliability_chart": charts.reliability_chart,
        "sparkline": charts.sparkline,
        "in_order": charts.in_order,
    }
    return engine
