"""What a benchmark says of pilots: would a small one have known, and what does it take to decide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forbear.analysis.pilot_study import CallsToDecision
    from forbear.report.terminal import Terminal

STUDY = ("pilots of", "full run", "INTERV.", "FORBEAR", "UNDEC.", "p > p*", "worth", "verdict", "p > p*", "worth")
"""Headings; the last three are how often each contradicts the full run."""

STUDY_LEGEND = (
    "Pilots of so many tasks drawn from this run, in per cent of them: the verdict, how often the point rule p > p* "
    "and the value line (worth) say go, and how often each of the three contradicts the full run's verdict; - where "
    "that is UNDECIDED."
)

CALLS = ("to decide", "gain", "right", "var.", "tasks", "apart", "calls", "apart", "calls", "tokens")
"""Headings; the last two are ratios."""

CALLS_LEGEND = (
    "Until the right verdict, in 80 % of pilots: tasks and agent calls on average with the default looks, coupled, and "
    "with two fresh arms of fixed size (apart), at the same error rate; then how many times fewer calls, and tokens "
    "read where each call reads the whole history. var.: variance of the gain apart to coupled. Coupled arms draw "
    "alike after the fork too; where a provider's draws are not common, less is saved (docs/results.md)."
)


FEWER = ("fewer calls", "quarters", "every 10", "tasks", "calls", "re-used", "fewer", "both")
"""Headings; `tasks` and `calls` are those of looks every 10 tasks, `re-used` the calls that a paid baseline leaves."""

FEWER_LEGEND = (
    "Fewer calls than two fresh arms take, with looks at every quarter, and every 10 tasks from 50 on (at most 41 "
    "looks: farther apart where more than 400 tasks are planned), with its tasks and calls. re-used: the calls left to "
    "make where the baseline's runs were paid for before ([baseline] from), how many times fewer that is than two "
    "fresh arms, and than one, whose baseline is taken from the log as well. What the log cost is in none of them."
)


def calls_values(calls: CallsToDecision) -> dict[str, Any]:
    """The numbers, by name; what is undefined is None."""
    return {
        "right": calls.right.value,
        "gain": calls.gain,
        "variance_ratio": calls.variance_ratio if isfinite(calls.variance_ratio) else None,
        "coupled": None if calls.coupled is None else asdict(calls.coupled),
        "dense": None if calls.dense is None else asdict(calls.dense),
        "apart": None if calls.apart is None else asdict(calls.apart),
        "fewer_calls": calls.fewer_calls,
        "fewer_calls_dense": calls.fewer_calls_dense,
        "fewer_calls_reused": calls.fewer_calls_reused,
        "fewer_calls_both_reused": calls.fewer_calls_both_reused,
        "fewer_tokens": calls.fewer_read,
    }


def study_cells(arm: str, study: Mapping[str, Any], *, full: str) -> tuple[str, ...]:
    """One arm under `STUDY`."""
    from forbear.wording import percent, shown

    names = ("intervene", "forbear", "undecided", "point_rule", "worth", "verdict_wrong", "point_rule_wrong")
    rates = [percent(study[name], undefined="-").removesuffix(" %") for name in (*names, "worth_wrong")]
    return (shown(arm, limit=20), full, *rates)


def calls_cells(arm: str, calls: Mapping[str, Any]) -> tuple[str, ...]:
    """One arm under `CALLS`."""
    from forbear.wording import points, shown

    def many(design: str, what: str) -> str:
        return "-" if calls[design] is None else f"{calls[design][what]:,.0f}"

    def times(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f}x"

    return (
        shown(arm, limit=20),
        points(calls["gain"], unit=""),
        calls["right"],
        times(calls["variance_ratio"]),
        many("coupled", "tasks"),
        many("apart", "tasks"),
        many("coupled", "calls"),
        many("apart", "calls"),
        times(calls["fewer_calls"]),
        times(calls["fewer_tokens"]),
    )


def fewer_cells(arm: str, calls: Mapping[str, Any]) -> tuple[str, ...]:
    """One arm under `FEWER`."""
    from forbear.wording import shown

    def times(name: str) -> str:
        return "-" if calls[name] is None else f"{calls[name]:.1f}x"

    counts = ("-",) * 3 if (dense := calls["dense"]) is None else tuple(f"{dense[name]:,.0f}" for name in _COUNTS)
    return (
        shown(arm, limit=20),
        times("fewer_calls"),
        times("fewer_calls_dense"),
        *counts,
        times("fewer_calls_reused"),
        times("fewer_calls_both_reused"),
    )


_COUNTS = ("tasks", "calls", "added_calls")


def text(
    terminal: Terminal, rows: Iterable[Any], *, study: Mapping[str, Any] | None, calls: Mapping[str, Any] | None
) -> None:
    """Prints the tables that were asked for."""
    full = {row["arm"]: row["recommendation"] for row in rows}
    if study:
        first = f"{next(iter(study.values()))['tasks']} tasks"
        cells = [study_cells(arm, one, full=full[arm]) for arm, one in study.items()]
        terminal.table((first, *STUDY[1:]), cells, left=(0, 1), gap=1)
        terminal.line()
    if calls:
        terminal.table(CALLS, [calls_cells(arm, one) for arm, one in calls.items()], left=(0, 2), gap=1)
        terminal.line()
        terminal.table(FEWER, [fewer_cells(arm, one) for arm, one in calls.items()], left=(0,), gap=1)
        terminal.line()
