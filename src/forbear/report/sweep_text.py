"""A pilot of many arms as one table: a line for each, the best one's gain corrected for having been chosen."""

from typing import Any

from forbear.report.pilot_view import PilotView
from forbear.report.terminal import STYLES, Terminal
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
    calls = view["calls"]
    terminal.line(
        f"acts: interventions per episode; C:B recovered and disrupted pairs. Run apart, the arms would have taken "
        f"{calls['alone']:,} agent calls; sharing what they have in common took {calls['paid']:,}. All arms that may "
        "be deployed share one error rate, so that a setting which was looked for here may be switched on by its "
        "verdict; its gain is too large on average, because it was looked for."
    )
    return terminal.text


def _chosen(view: PilotView) -> list[tuple[str, str]]:
    """What is said of the best arm; nothing where arms ended early, which no correction knows."""
    found: list[tuple[str, str]] = []
    for name, arm in view["arms"].items():
        remarks: list[Any] = list(arm["verdict"]["cautions"])
        found += [(name, remark["text"]) for remark in remarks if remark["code"] == "best_of"]
    return found
