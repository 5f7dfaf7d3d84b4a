"""A report as one HTML page: one script of ours, named by its hash, and nothing loaded from elsewhere.

Whatever agents, worlds and files said is escaped by the template engine and bounded by its filters; the page is whole
without its script, which only filters, sorts and shows sentences that were computed here.
"""

import functools
from collections.abc import Mapping
from typing import Any

from jinja2 import BaseLoader, Environment, PackageLoader, Template

from forbear import __version__
from forbear.report import charts, pictures
from forbear.report.engine import asset, engine
from forbear.report.pilot_view import PilotView
from forbear.report.sections import overview
from forbear.report.sections.breakeven import BreakEvenView
from forbear.report.view import FORMAT, DecisionView
from forbear.report.words import WORDS

MOST_DRAWN = 12
"""Arms with all their pictures; a sweep has many, and a page is to be sent."""
MOST_TOLD = 60
"""Arms with numbers of their own; all stand in the overview and in what `forbear decide` reads."""


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
    rest = {"oracle_gain": None, "path": None, "advantage": None, "sources": None}
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


def _rendered(name: str, *, verdicts: DecisionView, view: Mapping[str, Any], **values: object) -> str:
    arms = view["arms"]
    # Those that are to be switched on first, in the order of the plan.
    order = sorted(arms, key=lambda arm: arms[arm]["verdict"]["recommendation"] != "INTERVENE")
    return page(name).render(
        style=asset("page.css"),
        script=asset("pilot.js"),
        words=WORDS,
        view=view,
        verdicts=verdicts,
        ids={arm: f"arm-{number}" for number, arm in enumerate(arms, 1)},
        drawn=set(order[:MOST_DRAWN]),
        told=set(order[:MOST_TOLD]),
        **values,
    )


def page(name: str) -> Template:
    """A template whose values are escaped."""
    return _pages().get_template(name)


@functools.cache
def _pages() -> Environment:
    return environment(PackageLoader("forbear.report"))


def environment(loader: BaseLoader) -> Environment:
    """The template engine of pages: it knows their pictures too."""
    made = engine(loader)
    made.filters |= {
        "gain_bars": charts.gain_bars,
        "break_even_chart": charts.break_even_chart,
        "gain_picture": pictures.gain,
        "flow_picture": pictures.flow,
        "break_even_picture": pictures.break_even,
        "path_picture": pictures.path,
        "advantage_picture": pictures.advantage,
        "sources_picture": pictures.sources,
        "strata_picture": pictures.strata,
        "doings_picture": pictures.doings,
        "ceilings_picture": pictures.ceilings,
        "offline_picture": pictures.offline,
        "roc_picture": pictures.roc,
        "reliability_picture": pictures.reliability,
        "sparkline": charts.sparkline,
        "in_order": charts.in_order,
    }
    return made
