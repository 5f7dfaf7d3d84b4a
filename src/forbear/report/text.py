"""A decision's view as text for a terminal: its sections one after the other."""

from forbear.report.sections import cautions, counts, headline, how, next_steps, overview, rates, reasons, value
from forbear.report.terminal import Terminal
from forbear.report.view import DecisionView
from forbear.wording import listed, shown


def decision_text(view: DecisionView, *, width: int = 80, color: bool = False) -> str:
    """Renders a decision.

    Args:
        view: From `decision_view`.
        width: Columns of the terminal.
        color: Whether terminal codes may be used; without them the text is plain.

    Returns:
        Lines without trailing blanks, the last one ended.
    """
    terminal, arms = Terminal(width=width, color=color), list(view["verdicts"].values())
    several = len(arms) > 1
    if several:
        overview.text(terminal, arms)
    for arm in arms:
        if several:
            terminal.rule(shown(arm["arm"], limit=50))
        headline.text(terminal, arm)
        counts.text(terminal, arm)
        rates.text(terminal, arm)
        reasons.text(terminal, arm)
        cautions.text(terminal, arm)
        value.text(terminal, arm)
        next_steps.text(terminal, arm)
        how.text(terminal, arm)
        if several:
            terminal.line()
    terminal.bullets("Read", (remark["text"] for remark in view["understood"]))
    if view["ignored_columns"]:
        terminal.line(f"Columns not used: {listed(view['ignored_columns'])}.")
    return terminal.text
