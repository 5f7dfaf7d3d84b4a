"""How an arm came to its verdict: the gain after each task in its sequence, the looks, and where it ended and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from forbear.wording import at_least, count, points, points_interval, share, shown

if TYPE_CHECKING:
    from forbear.analysis.evidence import Evidence
    from forbear.analysis.result import PilotResult
    from forbear.records.codec import ArmEnd
    from forbear.report.terminal import Terminal
    from forbear.report.view import ArmView
    from forbear.stats.looks.gain_path import GainPath

MOST_POINTS = 400
"""Of a path; more would not be told apart in a picture."""


class PointView(TypedDict):
    """The gain of the counts after so many tasks, in its confidence sequence."""

    tasks: int
    gain: float | None
    low: float
    high: float


class LookView(TypedDict):
    """One look that was taken."""

    number: int
    tasks: int
    recovered: float
    disrupted: float
    gain: float
    low: float
    high: float
    intervene_from: float | None
    """The gain from which on it says INTERVENE; None where none would."""
    forbear_to: float | None


class PathView(TypedDict):
    """What is shown."""

    planned: int
    looks_planned: list[int]
    confidence: float
    """Of the sequence, two-sided."""
    points: list[PointView]
    looks: list[LookView]
    ended: str
    """Where it ended and why, or what comes next, as a sentence."""
    ended_at: int | None
    """Tasks at its end; None while it is not over."""
    reason: str | None
    """`watch`, `decided`, `futile`, `last look`; None while it is not over."""


def view(arm: str, result: PilotResult, evidence: Evidence) -> PathView:
    """The path of a treated arm."""
    path, looks, end = evidence.paths.get(arm), result.plan.looks, result.monitor.ends.get(arm)
    # With a ladder the tasks of a test are counted from the first look on.
    begin = result.monitor.span(arm)[0]
    return PathView(
        planned=looks.planned - begin,
        looks_planned=[n - begin for n in looks.tasks if n > begin],
        confidence=round(1 - 2 * result.plan.rule.alpha, 12),
        points=[] if path is None else _points(path),
        looks=[] if path is None else _looks(path),
        ended=_ended(end, result),
        ended_at=None if end is None else end.tasks - begin,
        reason=None if end is None else end.reason,
    )


def _points(path: GainPath) -> list[PointView]:
    step = max(1, path.tasks // MOST_POINTS)
    kept = {*range(step - 1, path.tasks, step), *(look.tasks - 1 for look in path.looks), path.tasks - 1}
    return [PointView(tasks=at + 1, gain=path.gains[at], low=path.low[at], high=path.high[at]) for at in sorted(kept)]


def _looks(path: GainPath) -> list[LookView]:
    return [
        LookView(
            number=look.number,
            tasks=look.tasks,
            recovered=look.recovered,
            disrupted=look.disrupted,
            gain=look.gain,
            low=look.interval.low,
            high=look.interval.high,
            intervene_from=look.intervene_from,
            forbear_to=look.forbear_to,
        )
        for look in path.looks
    ]


def _ended(end: ArmEnd | None, result: PilotResult) -> str:
    from forbear.analysis.monitor import NOT_CHOSEN, WITH_THE_OTHERS
    from forbear.stats.looks.stopping import planned_effect

    looks, rule, monitor = result.plan.looks, result.plan.rule, result.monitor
    if end is None:
        following = next((n for n in looks.tasks if n > monitor.tasks), None)
        return "Run to the end." if following is None else f"Not over: the next look is at {following} tasks."
    number = looks.tasks.index(end.tasks) + 1 if end.tasks in looks.tasks else None
    at = f"at look {number} of {len(looks.tasks)}, after {end.tasks} tasks" if number else f"after {end.tasks} tasks"
    effect = planned_effect(looks, rule)
    return {
        "watch": f"The watch ended it {at}: by then {at_least(rule.worthwhile)} was rejected.",
        "decided": f"Decided {at}.",
        "futile": f"Ended as futile {at}: even with a gain of {points(effect.gain)} (and {effect.discordance:.0%} of "
        f"pairs differing) a later look would say INTERVENE in less than {looks.futility:.0%} of pilots, and FORBEAR "
        "was not to be expected either.",
        "last look": f"Still undecided at the last look, {number} of {len(looks.tasks)}, after {end.tasks} tasks.",
        NOT_CHOSEN: f"Not chosen {at}.",
        WITH_THE_OTHERS: f"Ended with the other arms {at}.",
    }.get(end.reason, f"Ended {at}.")


def text(terminal: Terminal, path: PathView, verdict: ArmView) -> None:
    """Prints the looks as a table, and where the arm ended."""
    terminal.line(f"The path of {shown(verdict['arm'], limit=40)}", style="bold")
    if path["points"]:
        at = {point["tasks"]: point for point in path["points"]}
        rows = [_row(look, at[look["tasks"]]) for look in path["looks"]]
        last = path["points"][-1]
        if all(look["tasks"] != last["tasks"] for look in path["looks"]):  # between two looks
            counts = (count(verdict["recovered"]), count(verdict["disrupted"]))
            gain = points(last["gain"], unit="", undefined="none")
            rows.append((str(last["tasks"]), *counts, gain, _sequence(last), "-", "-"))
        sequence = f"{share(path['confidence'])} sequence"
        columns = ("tasks", "recovered", "disrupted", "gain", sequence, "FORBEAR to", "INTERVENE from")
        terminal.table(columns, rows, left=())
    terminal.line(path["ended"])
    terminal.line()


def _row(look: LookView, point: PointView) -> tuple[str, ...]:
    return (
        str(look["tasks"]),
        f"{look['recovered']:g}",
        f"{look['disrupted']:g}",
        points(look["gain"], unit=""),
        _sequence(point),
        points(look["forbear_to"], unit="", undefined="none"),
        points(look["intervene_from"], unit="", undefined="none"),
    )


def _sequence(point: PointView) -> str:
    return points_interval(point["low"], point["high"], unit="")
