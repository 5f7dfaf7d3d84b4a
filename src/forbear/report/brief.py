"""A decision in one line an arm, for logs and for many arms."""

from forbear.report.view import DecisionView
from forbear.wording import counted, points, points_interval, pvalue, share, shown


def brief_text(view: DecisionView) -> str:
    """Renders a decision; an arm's line names its verdict, gain, interval, p-value, size and how many cautions it has.

    Args:
        view: From `decision_view`.
    """
    arms = list(view["verdicts"].values())
    wide = max(len(shown(arm["arm"], limit=30)) for arm in arms)
    lines = []
    for arm in arms:
        gain, cautions = arm["success_gain"], len(arm["cautions"])
        confidence = share(gain["confidence"], unit="%")
        cells = [
            f"{arm['recommendation']:<9}",
            f"{shown(arm['arm'], limit=30):<{wide}}",
            f"{points(gain['value']):>8} ({confidence} CI {points_interval(gain['low'], gain['high'], unit='')})",
            pvalue(arm["p_value_gain"], name="p"),
            counted(arm["tasks"], "task"),
            *([counted(cautions, "caution")] if cautions else []),
        ]
        lines.append("  ".join(cells))
    return "".join(f"{line}\n" for line in lines)
