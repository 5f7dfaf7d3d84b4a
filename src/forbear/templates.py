"""Texts with named holes, e.g. `{action}`: checked before they are used, filled without being read twice."""

import difflib
import functools
import re
from collections.abc import Collection, Mapping

from forbear.errors import InvalidInput
from forbear.wording import described, shown

_PIECES = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")


def check_template(template: object, *, holes: Collection[str], whose: str) -> None:
    """Refuses a template that cannot be filled.

    Args:
        template: The text; doubled braces are literal ones.
        holes: Names of what can be filled in.
        whose: Whom to blame, e.g. "Append's message".

    Raises:
        InvalidInput: No text, a hole that nothing fills, or a brace without its other half.
    """
    if not isinstance(template, str):
        raise InvalidInput(f"{whose} must be a text, got {described(template)}.")
    for piece in _PIECES.findall(template):
        name = piece[1:-1]
        if piece in ("{{", "}}") or name in holes:
            continue
        known = ", ".join(f"{{{hole}}}" for hole in holes)
        literal = "write {{ and }} for braces of the text itself"
        if len(piece) == 1:
            raise InvalidInput(
                f"{whose} has a '{piece}' without its other half in '{shown(template)}'; known are {known}; {literal}."
            )
        near = difflib.get_close_matches(name.strip().lower()[:80], holes, n=1, cutoff=0.5)
        meant = f"; did you mean {{{near[0]}}}?" if near else "."
        raise InvalidInput(f"{whose}: nothing fills {shown(piece)}; known are {known}; {literal}{meant}")


def fill_template(template: str, fills: Mapping[str, str]) -> str:
    """Returns a checked template with its holes filled; what is filled in is quoted, never filled again.

    Args:
        template: As `check_template` passed it.
        fills: By name of the hole.
    """
    literal = {"{{": "{", "}}": "}"}
    return "".join(literal.get(piece) or fills.get(piece[1:-1], piece) for piece in _split(template))


@functools.lru_cache(maxsize=256)
def _split(template: str) -> tuple[str, ...]:
    return tuple(re.split(f"({_PIECES.pattern})", template))
