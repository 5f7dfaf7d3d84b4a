"""A pilot of many arms as one table: a line for each, the best one's gain corrected for having been chosen."""

from typing import Any

from forbear.report.pilot_view import PilotView
from forbear.report.terminal import STYLES, Terminal
from forbear.report.view import ArmView
from forbear.wording import counted, percent, points, points_interval, pvalue, shown


def sweep_text(view: PilotView, *, width: int = 80, color: bool = False) -> str:
    """Renders a pilot, arm by arm in the order of its file.

    Args:
        view: From `pilot_view`.
        width: Columns of the terminal.
        color: Whether terminal codes may be used.
    """
    terminal, baseline = Terminal(width=width, color=color), view["baseline"]
    terminal.line(
        f"{counted(view['tasks'], 'task')} x {counted(view['seeds'], 'run')}, baseline success "
        f"{percent(baseline['success'])}; {counted(len(view['arms']), 'arm')}, design {view['design']}."
    )
    terminal.line()
    rows = []
    for name, arm in view["arms"].items():
        verdict = arm["verdict"]
        gain, said, touched = verdict["success_gain"], verdict["recommendation"], arm["interventions_per_episode"]
        rows.append(
            (
                shown(name, limit=30),
                "-" if touched is None else f"{touched:.2f}",
                f"{verdict['recovered']}:{verdict['disrupted']}",
                points(gain["value"], unit=""),
                points_interval(gain["low"], gain["high"], unit=""),
                pvalue(verdict["p_value_gain"]),
                (said, STYLES[said]),
            )
        )
    terminal.table(("arm", "acts", "C:B", "gain", "interval", "p (Holm)", "verdict"), rows, left=(0, 6), gap=1)
    terminal.line()
    for name, remark in _chosen(view):
        terminal.line(f"{shown(name)}: {remark}")
    calls, is_ladder = view["calls"], any(_remarks(arm["verdict"], "ladder") for arm in view["arms"].values())
    terminal.line(
        f"acts: interventions per episode; C:B recovered and disrupted pairs. Run apart, the arms would have taken "
        f"{calls['alone']:,} agent calls; sharing what they have in common took {calls['paid']:,}. "
        + (_OF_A_LADDER if is_ladder else _OF_A_FAMILY)
    )
    return terminal.text


_OF_A_FAMILY = (
    "All arms that may be deployed share one error rate, so that a setting which was looked for here may be switched "
    "on by its verdict; its gain is too large on average, because it was looked for."
)
_OF_A_LADDER = (
    "The setting that was looked for on the first tasks is judged by the tasks after them alone, so that its gain is "
    "not flattered; those of the others are of the first tasks, and no verdict."
)


def _remarks(verdict: ArmView, code: str) -> list[Any]:
    return [remark for remark in verdict["cautions"] if remark["code"] == code]


def _chosen(view: PilotView) -> list[tuple[str, str]]:
    """What is said of the best arm; nothing where arms ended early, which no correction knows."""
    found: list[tuple[str, str]] = []
    for name, arm in view["arms"].items():
        found += [(name, remark["text"]) for remark in _remarks(arm["verdict"], "best_of")]
        ladder = _remarks(arm["verdict"], "ladder")
        found += [(name, remark["text"]) for remark in ladder if remark["values"]["chosen"] == name]
    return found
