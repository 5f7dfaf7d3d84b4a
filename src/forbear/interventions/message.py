"""What interventions tell the agent: texts with holes."""

from forbear.contracts.critic import Score
from forbear.records.model import Action
from forbear.templates import check_template, fill_template

HOLES = ("action", "p_fail", "why")
"""`{action}`: the proposed action's text. `{p_fail}`: the critic's probability of failure, in per cent. `{why}`: its
reason, or `NO_REASON`. Doubled braces are literal ones."""

NO_REASON = "no reason given"
"""What `{why}` says where the critic gave none."""


def check_message(template: str | None, *, whose: str) -> None:
    """Refuses a template that cannot be filled.

    Args:
        template: The text; None is none.
        whose: Whom to blame, e.g. "Append".

    Raises:
        InvalidInput: No text, a hole that nothing fills, or a brace without its other half.
    """
    if template is not None:
        check_template(template, holes=HOLES, whose=f"{whose}'s message")


def fill_message(template: str, *, proposed: Action, score: Score) -> str:
    """Returns a checked template with its holes filled; what is filled in is quoted, never filled again."""
    p_fail = "unknown" if score.p_fail is None else f"{score.p_fail:.0%}"
    return fill_template(template, {"action": proposed.text, "p_fail": p_fail, "why": score.why or NO_REASON})
