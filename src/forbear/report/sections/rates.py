"""The rates p, r, d and p* as so many of so many, and the gain; each with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from forbear.stats.intervals import EstimateJson
from forbear.stats.verdict import Verdict
from forbear.wording import count, percent, percent_interval, plural, points, points_interval, share

if TYPE_CHECKING:
    from forbear.report.terminal import Terminal


GRADED = "Failure, recovery and disruption rates are undefined for graded scores: --threshold T."
"""Said where rates would stand."""


class RateView(TypedDict):
    """A rate as k of n; the estimate is None where n is 0 or the rate is undefined."""

    symbol: str
    name: str
    k: int | None
    n: int | None
    of: str
    estimate: EstimateJson | None


class RatesView(TypedDict):
    """What is shown."""

    rates: list[RateView]
    success_gain: EstimateJson


def view(verdict: Verdict) -> list[RateView]:
    """p, r, d and p* of a verdict; none of graded scores, whose runs neither fail nor succeed."""
    if verdict.failure_rate is None:
        return []
    numbers = verdict.to_dict()
    failures = _sum(verdict.both_fail, verdict.recovered)
    successes = _sum(verdict.disrupted, verdict.both_succeed)

    def rate(symbol: str, name: str, k: int | None, n: int | None, of: str, estimate: EstimateJson | None) -> RateView:
        return RateView(symbol=symbol, name=name, k=k, n=n, of=of, estimate=estimate)

    pairs, won = plural("pair", verdict.pairs), plural("success", successes)
    return [
        rate("p", "failure rate", failures, verdict.pairs, pairs, numbers["failure_rate"]),
        rate("r", "recovery rate", verdict.recovered, failures, plural("failure", failures), numbers["recovery_rate"]),
        rate("d", "disruption rate", verdict.disrupted, successes, won, numbers["disruption_rate"]),
        rate("p*", "break-even failure rate", None, None, "d / (r + d)", numbers["break_even_failure_rate"]),
    ]


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first + second


def text(terminal: Terminal, arm: RatesView) -> None:
    """Prints a table."""
    gain = arm["success_gain"]
    interval = points_interval(gain["low"], gain["high"])
    rows = [(rate["symbol"], rate["name"], *_cells(rate)) for rate in arm["rates"]]
    name = "gain in success" if arm["rates"] else "gain in mean score"
    rows.append(("", name, points(gain["value"]), interval, "treated minus baseline"))
    terminal.table(("", "", "", f"{share(gain['confidence'])} interval", ""), rows, left=(0, 1, 4))
    if not arm["rates"]:
        terminal.line(GRADED)
    terminal.line()


def _cells(rate: RateView) -> tuple[str, str, str]:
    estimate = rate["estimate"]
    whole = rate["k"] is None or rate["n"] is None
    source = rate["of"] if whole else f"{count(rate['k'])} of {count(rate['n'])} {rate['of']}"
    interval = "" if estimate is None else percent_interval(estimate["low"], estimate["high"])
    return percent(None if estimate is None else estimate["value"]), interval, source
