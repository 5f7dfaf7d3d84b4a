"""How numbers, lists and hostile text are worded, once for messages, terminal and pages."""

from collections.abc import Iterable
from itertools import islice


def shown(text: str, *, limit: int = 60) -> str:
    """Hostile text for a message: one line of at most `limit` characters, without control characters.

    What cannot be printed (escape sequences, line breaks, direction marks, lone surrogates) becomes U+FFFD.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(ch if ch.isprintable() else "\ufffd" for ch in cut)


def listed(names: Iterable[str], *, limit: int = 5) -> str:
    """Some names for a message: the first `limit`, quoted and bounded; "..." says that there are more."""
    first = list(islice(names, limit + 1))
    text = ", ".join(f"'{shown(name, limit=30)}'" for name in first[:limit])
    return f"{text}, ..." if len(first) > limit else text


def described(value: object, *, limit: int = 80) -> str:
    """Any object for a message: its repr, bounded and inert; never raises."""
    try:
        text = repr(value)
    except Exception:  # a hostile __repr__ must not replace the message
        text = f"a {type(value).__name__}"
    return shown(text, limit=limit)


def points(fraction: float | None) -> str:
    """A gain as signed percentage points, for sentences."""
    # Minus zero is zero: a gain that rounds to nothing has no sign.
    return "undefined" if fraction is None else f"{round(100 * fraction, 1) + 0.0:+.1f} pp"
