"""The pictures of a report, each made once: a page puts it into a figure, `--charts` into a file of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from markupsafe import Markup

from forbear.report import bars, charts
from forbear.report.engine import bounded, own_templates
from forbear.wording import count, number, percent, points, points_interval

if TYPE_CHECKING:
    from forbear.report.critic_view import BinView
    from forbear.report.pilot_view import PilotView
    from forbear.report.sections.advantage import AdvantageView
    from forbear.report.sections.breakeven import BreakEvenView
    from forbear.report.sections.ceilings import CeilingsView
    from forbear.report.sections.costs import CostView
    from forbear.report.sections.path import PathView
    from forbear.report.sections.sources import SourcesView
    from forbear.report.view import ArmView, DecisionView

_WIDE, _SQUARE = 640, (362, 348)
_MOST_SAID = 20
"""Arms whose numbers are read to those who do not see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is drawn, and what is said of it. Names of arms and critics in it are bounded; who writes it escapes."""

    kind: str
    """`flow`, `gain`, ...: names a file."""
    title: str
    says: str
    """What is to be seen, for those who do not see it."""
    caption: str
    """How to read it; empty where it says itself."""
    wide: float
    high: float
    body: Markup
    """What stands within the SVG element, in classes of `page.css`."""


class _Drawer(Protocol):
    def __call__(self, *values: object) -> Markup: ...


def _drawn(macro: str, *values: object) -> Markup:
    draw: _Drawer = getattr(own_templates().get_template("pictures.html").module, macro)
    return draw(*values)


def gain(arm: ArmView) -> Picture:
    """The gain with its interval, beside no change, margin and what would pay."""
    found = arm["success_gain"]
    return Picture(
        kind="gain",
        title=f"Gain of {bounded(arm['arm'], 40)} over {bounded(arm['baseline'], 40)}",
        says=f"gain {points(found['value'])}, interval {points_interval(found['low'], found['high'])}",
        caption="",
        wide=_WIDE,
        high=92,
        body=_drawn("gain", charts.gain_chart(arm), arm),
    )


def flow(arm: ArmView) -> Picture | None:
    """What became of the baseline's successes and failures; None where runs are not paired."""
    chart = charts.flow_chart(arm)
    if chart is None:
        return None
    return Picture(
        kind="flow",
        title=f"What {bounded(arm['arm'], 40)} made of the outcomes of {bounded(arm['baseline'], 40)}",
        says=f"Of {count(arm['pairs'])} pairs {count(arm['recovered'])} recovered, {count(arm['disrupted'])} "
        f"disrupted, {count(arm['both_succeed'])} succeeded and {count(arm['both_fail'])} failed under both arms",
        caption="",
        wide=_WIDE,
        high=chart["height"],
        body=_drawn("flow", chart, arm),
    )


def break_even(
    arm: ArmView, curve: BreakEvenView, *, shared: bool, watched: bool = False, slider: str = ""
) -> Picture | None:
    """The gain over failure rates of the baseline, with p and p*; None where p is unknown.

    Args:
        arm: Whose gain it is.
        curve: The gain.
        shared: Whether several looks share the error of the band.
        watched: Whether the watch ended the arm between two looks.
        slider: What names its line that a page moves; empty: there is none.
    """
    chart = charts.break_even_chart(arm, curve)
    if chart is None:
        return None
    caption = (
        "Line: the gain by the slope over several seeds."
        if curve["unchanged"] is None
        else "Solid: if r and d were everywhere as here (p·r − (1 − p)·d, which is 0 at p*). Dashed: if the gain did "
        "not depend on the failure rate. The truth lies between; one run a task cannot tell where."
    )
    error = "the error shared by the declared looks" if shared else "for a single look"
    caption += f" Band: {percent(curve['confidence'])}, {error}."
    if watched:
        caption += " The watch ended this arm between two looks, which the band does not count."
    name, baseline = bounded(arm["arm"], 40), bounded(arm["baseline"], 40)
    return Picture(
        kind="break-even",
        title=f"Gain of {name} where {baseline} fails more, or less",
        says=f"the gain over failure rates of {baseline}",
        caption=caption,
        wide=_WIDE,
        high=250,
        body=_drawn("break_even", chart, slider),
    )


def path(way: PathView, arm: str = "") -> Picture | None:
    """The gain after each task in its sequence, and the looks; None where there is none."""
    chart = charts.path_chart(way)
    if chart is None:
        return None
    return Picture(
        kind="path",
        title=_of("Evidence over time", arm),
        says="the gain after each task, in its confidence sequence",
        caption=f"The gain of the counts so far, in its {percent(way['confidence'], 0)} confidence sequence, which "
        "holds after every task at once. Dashed: the declared looks. ▲: from here on a look says INTERVENE; ▼: up to "
        "here it says FORBEAR.",
        wide=_WIDE,
        high=240,
        body=_drawn("path", chart),
    )


def advantage(found: AdvantageView, arm: str = "") -> Picture:
    """The gain by where an arm first stepped in."""
    chart = charts.advantage_chart(found)
    return Picture(
        kind="advantage",
        title=_of("Gain", arm) + ", by where it first stepped in",
        says="gain by the step and the score of the first intervention",
        caption=found["caveat"],
        wide=_WIDE,
        high=chart["height"],
        body=_drawn("rows", chart),
    )


def sources(found: SourcesView, arm: str = "") -> Picture:
    """Recovered and disrupted runs by the step of the first intervention, and by how many there were."""
    said = [
        f"{one['label']}: {one['recovered']} recovered, {one['disrupted']} disrupted of {one['runs']}"
        for one in found["by_step"] or found["by_interventions"]
    ]
    by = "step of the first intervention" if found["by_step"] else "interventions in the run"
    return Picture(
        kind="sources",
        title=f"Where harm and help{_of('', arm)} come from",
        says=f"runs by {by}; {'; '.join(said)}",
        caption=found["caveat"],
        wide=_WIDE,
        high=210,
        body=_drawn("columns", bars.columns_chart(found)),
    )


def strata(found: SourcesView, arm: str = "") -> Picture | None:
    """The gain by kind of task; None where there are fewer than two."""
    if not found["by_stratum"]:
        return None
    chart = charts.rows_chart([found["by_stratum"]])
    return Picture(
        kind="strata",
        title=_of("Gain by kind of task", arm),
        says="gain by kind of task",
        caption=found["of_strata"],
        wide=_WIDE,
        high=chart["height"],
        body=_drawn("rows", chart),
    )


def doings(arms: Mapping[str, CostView]) -> Picture:
    """How many episodes of each arm had no answer, how many were cascades, and what was tried in vain."""
    chart = bars.doings_chart(arms)
    more = _more(len(arms))
    return Picture(
        kind="doings",
        title="What each arm did",
        says="shares of episodes without an answer and with three interventions or more; of interventions in vain",
        caption="No answer: episodes that ended before the world said that they are over. Cascades: three "
        f"interventions or more. Same again: of interventions, those after which the agent proposed the same.{more}",
        wide=_WIDE,
        high=chart["height"],
        body=_drawn("doings", chart),
    )


def _more(rows: int) -> str:
    """What is said of the rows for which a picture of bars has no place."""
    return f" {count(rows - bars.MOST_ROWS)} more stand in the table." if rows > bars.MOST_ROWS else ""


def ceilings(found: CeilingsView) -> Picture:
    """Gains beside what could have been gained."""
    chart = bars.ceilings_chart(found)
    more = _more(len(found["rows"]))
    return Picture(
        kind="ceilings",
        title="What could have been gained",
        says="the gain of each arm, between what its disruptions took and what it would have gained without them",
        caption="Bars: pairs that were disrupted and recovered, as shares of all; without disruptions an arm would "
        "have gained the right one. Of a choice between runs: what one gains that knows the outcomes. Dots: the gain, "
        f"with its interval.{more}",
        wide=_WIDE,
        high=chart["height"],
        body=_drawn("ceilings", chart),
    )


def offline(view: PilotView) -> Picture | None:
    """How well each arm's critic tells failures, beside what acting on it gained; None where no critic is known."""
    rows = []
    for name, arm in view["arms"].items():
        auroc = view["critics"].get(arm["critic"] or "", {}).get("auroc")
        if auroc is not None and auroc["value"] is not None:
            rows.append((name, auroc, arm["verdict"]["success_gain"]))
    if not rows:
        return None
    chart = bars.offline_chart(rows[: bars.MOST_ROWS])
    return Picture(
        kind="offline",
        title="The critic offline, its arms online",
        says="; ".join(
            f"{bounded(name, 40)}: AUROC {number(auroc['value'])}, gain {points(gained['value'])}"
            for name, auroc, gained in rows[:_MOST_SAID]
        ),
        caption="Left: of a failing and a succeeding step, how often the failing one has the higher score; a coin has "
        "0.5. Right: what acting on those scores did to success. The first does not imply the second."
        + _more(len(rows)),
        wide=_WIDE,
        high=chart["height"],
        body=_drawn("offline", chart),
    )


def roc(corners: Sequence[Sequence[float]], critic: str = "") -> Picture | None:
    """How well scores tell failing from succeeding; None where that is undefined."""
    chart, name = charts.roc_chart(corners), _of("ROC", critic)
    if chart is None:
        return None
    return Picture(
        kind="roc",
        title=name,
        says=name,
        caption=f"{name}: shares of steps at or above each score. The diagonal is a coin.",
        wide=_SQUARE[0],
        high=_SQUARE[1],
        body=_drawn("square", chart, "of succeeding steps", "of failing steps"),
    )


def reliability(bins: Sequence[BinView], critic: str = "") -> Picture | None:
    """Whether scores mean what they say; None of grades."""
    chart, name = charts.reliability_chart(bins), _of("Reliability", critic)
    if chart is None:
        return None
    return Picture(
        kind="reliability",
        title=name,
        says=name,
        caption=f"{name}: bins of equal mass. On the diagonal, scores mean what they say.",
        wide=_SQUARE[0],
        high=_SQUARE[1],
        body=_drawn("square", chart, "mean score", "failure rate"),
    )


def _of(what: str, critic: str) -> str:
    return f"{what} of {bounded(critic, 60)}" if critic else what


def pilot_pictures(view: PilotView) -> Iterator[tuple[str, Picture]]:
    """All pictures of a pilot's report, each with the name of the arm or critic that it is about.

    Args:
        view: From `pilot_view`.

    Yields:
        Names (empty: of all arms) and pictures, as `write_pictures` takes them.
    """
    for name, arm in view["arms"].items():
        verdict, stepped, curve, where = arm["verdict"], arm["advantage"], arm["break_even"], arm["sources"]
        found = [
            flow(verdict) if verdict["failure_rate"] else None,
            gain(verdict),
            None
            if curve is None
            else break_even(verdict, curve, shared=True, watched=arm["path"]["reason"] == "watch"),
            None if where is None else sources(where, name),
            None if where is None else strata(where, name),
            None if stepped is None else advantage(stepped, name),
            path(arm["path"], name),
        ]
        yield from ((name, picture) for picture in found if picture is not None)
    yield "", doings({view["baseline"]["arm"]: view["baseline"], **view["arms"]})
    if view["ceilings"]["rows"]:
        yield "", ceilings(view["ceilings"])
    if (found_offline := offline(view)) is not None:
        yield "", found_offline
    for critic, curves in view["curves"].items():
        for picture in (roc(curves["roc"], critic), reliability(curves["reliability"], critic)):
            if picture is not None:
                yield critic, picture


def decision_pictures(view: DecisionView, curves: Mapping[str, BreakEvenView]) -> Iterator[tuple[str, Picture]]:
    """All pictures of a decision's report, each with the name of its arm."""
    for name, arm in view["verdicts"].items():
        found = [
            flow(arm) if arm["failure_rate"] else None,
            gain(arm),
            break_even(arm, curves[name], shared=False) if name in curves else None,
        ]
        yield from ((name, picture) for picture in found if picture is not None)
