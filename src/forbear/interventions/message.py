"""What interventions tell the agent: texts with holes."""

import difflib
import functools
import re

from forbear.contracts.critic import Score
from forbear.errors import InvalidInput
from forbear.records.model import Action
from forbear.wording import described, shown

HOLES = ("action", "p_fail", "why")
"""`{action}`: the proposed action's text. `{p_fail}`: the critic's probability of failure, in per cent. `{why}`: its
reason, or `NO_REASON`. Doubled braces are literal ones."""

NO_REASON = "no reason given"
"""What `{why}` says where the critic gave none."""

_PIECES = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")


def check_message(template: str | None, *, whose: str) -> None:
    """Refuses a template that cannot be filled.

    Args:
        template: The text; None is none.
        whose: Whom to blame, e.g. "Append".

    Raises:
        InvalidInput: No text, a hole that nothing fills, or a brace without its other half.
    """
    if template is None:
        return
    if not isinstance(template, str):
        raise InvalidInput(f"{whose}'s message must be a text, got {described(template)}.")
    for piece in _PIECES.findall(template):
        name = piece[1:-1]
        if piece in ("{{", "}}") or name in HOLES:
            continue
        known = ", ".join(f"{{{hole}}}" for hole in HOLES)
        literal = "write {{ and }} for braces of the text itself"
        if len(piece) == 1:
            raise InvalidInput(
                f"{whose}'s message has a '{piece}' without its other half in '{shown(template)}'; known are {known}; "
                f"{literal}."
            )
        near = difflib.get_close_matches(name.strip().lower()[:80], HOLES, n=1, cutoff=0.5)
        meant = f"; did you mean {{{near[0]}}}?" if near else "."
        raise InvalidInput(f"{whose}'s message: nothing fills {shown(piece)}; known are {known}; {literal}{meant}")


def fill_message(template: str, *, proposed: Action, score: Score) -> str:
    """Returns a checked template with its holes filled; what is filled in is quoted, never filled again."""
    fills = {
        "{{": "{",
        "}}": "}",
        "{action}": proposed.text,
        "{p_fail}": "unknown" if score.p_fail is None else f"{score.p_fail:.0%}",
        "{why}": score.why or NO_REASON,
    }
    return "".join(fills.get(piece, piece) for piece in _split(template))


@functools.lru_cache(maxsize=256)
def _split(template: str) -> tuple[str, ...]:
    return tuple(re.split(f"({_PIECES.pattern})", template))
