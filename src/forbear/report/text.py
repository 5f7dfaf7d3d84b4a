"""A view as text for a terminal, at most 80 columns wide. Nothing that agents or files said reaches it unescaped."""

import io
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from forbear.report.view import ArmView, DecisionView, EstimateView, RateView
from forbear.wording import (
    count,
    counted,
    listed,
    percent,
    percent_interval,
    points,
    points_interval,
    pvalue,
    share,
    shown,
)

_STYLES = {"INTERVENE": "bold green", "FORBEAR": "bold red", "UNDECIDED": "bold yellow", "CONTROL": "bold"}
_REMARK = 400


def decision_text(view: DecisionView, *, width: int = 80, color: bool = False) -> str:
    """Renders a decision.

    Args:
        view: From `decision_view`.
        width: Columns of the terminal; more than 80 are not used.
        color: Whether terminal codes may be used; without them the text is plain.

    Returns:
        Lines without trailing blanks, the last one ended.
    """
    console = plain_console(width=width, color=color)
    several = len(view["arms"]) > 1
    if several:
        _print_overview(console, view)
    for arm in view["arms"]:
        _print_arm(console, arm, baseline=view["baseline"], title=several)
        if several:
            console.print()
    if view["ignored_columns"]:
        console.print(Text(f"Columns not used: {listed(view['ignored_columns'])}."))
    return printed(console)


def plain_console(*, width: int, color: bool) -> Console:
    """A console that prints into memory, the same on every machine; read it with `printed`."""
    return Console(
        file=io.StringIO(),
        width=max(40, min(width, 80)),
        force_terminal=color,
        color_system="standard" if color else None,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
        _environ={},
    )


def printed(console: Console) -> str:
    """What was printed to a `plain_console`, without trailing blanks."""
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def _print_overview(console: Console, view: DecisionView) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("treated arm", "verdict", "gain", "interval", "p (Holm)"):
        table.add_column(heading, justify="left" if heading in ("treated arm", "verdict") else "right")
    for arm in view["arms"]:
        gain = arm["gain"]
        table.add_row(
            Text(shown(arm["arm"], limit=30)),
            Text(arm["recommendation"], style=_STYLES[arm["recommendation"]]),
            points(gain["value"]),
            points_interval(gain["low"], gain["high"], unit=""),
            pvalue(arm["p_value_gain"]),
        )
    console.print(table)
    console.print()


def _print_arm(console: Console, arm: ArmView, *, baseline: str, title: bool) -> None:
    if title:
        console.rule(Text(shown(arm["arm"], limit=50)), characters="-", align="left")
    console.print(Text(arm["headline"], style=_STYLES[arm["recommendation"]]))
    console.print()
    console.print(_counts(arm, baseline=baseline))
    console.print()
    console.print(_numbers(arm))
    console.print()
    for heading, texts in (("Why", arm["reasons"]), ("Cautions", arm["cautions"]), ("Next", arm["next"])):
        if texts:
            console.print(Text(heading, style="bold"))
            console.print(_bullets(texts))
    console.print(Text("How", style="bold"))
    console.print(_bullets(_how(arm)))


def _counts(arm: ArmView, *, baseline: str) -> Table:
    before, after = shown(baseline, limit=20), shown(arm["arm"], limit=20)
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False)
    table.add_column(Text(counted(arm["pairs"], "pair")))
    table.add_column(Text(f"{after} fails"), justify="right")
    table.add_column(Text(f"{after} succeeds"), justify="right")
    table.add_row(Text(f"{before} fails"), count(arm["both_fail"]), f"{count(arm['recovered'])} recovered")
    table.add_row(Text(f"{before} succeeds"), f"{count(arm['disrupted'])} disrupted", count(arm["both_succeed"]))
    return table


def _numbers(arm: ArmView) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column(f"{share(arm['gain']['confidence'])} interval", justify="right")
    table.add_column("")
    for rate in arm["rates"]:
        table.add_row(rate["symbol"], rate["name"], *_rate(rate))
    gain = arm["gain"]
    interval = points_interval(gain["low"], gain["high"])
    table.add_row("", "gain in success", points(gain["value"]), interval, "treated minus baseline")
    return table


def _rate(rate: RateView) -> tuple[str, str, str]:
    estimate = rate["estimate"]
    source = (
        rate["of"]
        if rate["k"] is None or rate["n"] is None
        else f"{count(rate['k'])} of {count(rate['n'])} {rate['of']}"
    )
    if estimate is None or estimate["value"] is None:
        return "undefined", "" if estimate is None else _interval(estimate), source
    return percent(estimate["value"]), _interval(estimate), source


def _interval(estimate: EstimateView) -> str:
    return percent_interval(estimate["low"], estimate["high"])


def _how(arm: ArmView) -> list[str]:
    gain, worthwhile = (pvalue(arm[key], name="p") for key in ("p_value_gain", "p_value_worthwhile"))
    return [
        f"INTERVENE rejects a gain of {points(arm['margin'])} or less at {arm['alpha']:g}: here {gain}.",
        f"FORBEAR rejects a gain of {points(arm['worthwhile'])} or more at {arm['harm_alpha']:g}: here {worthwhile}.",
        f"Method: {arm['method']}.",
        *arm["design"],
    ]


def _bullets(texts: Iterable[str]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    for text in texts:
        table.add_row("-", Text(shown(text, limit=_REMARK)))
    return table
