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


# --- Numbers: fractions come in, per cent and points go out -------------------------------------------------


def points(gain: float | None, *, unit: str = " pp", undefined: str = "undefined") -> str:
    """A gain as signed percentage points: "-4.0 pp"."""
    # Minus zero is zero: a gain that rounds to nothing has no sign.
    return undefined if gain is None else f"{round(100 * gain, 1) + 0.0:+.1f}{unit}"


def worth(gain: float) -> str:
    """A small gain that is never below 0, in hundredths of a point: "0.12 pp"."""
    return f"{100 * gain:.2f} pp"


def gain_or_loss(gain: float) -> str:
    """A gain by its direction: "a gain of 3.1 pp", "a loss of 11.4 pp"."""
    return f"a {'loss' if gain < 0 else 'gain'} of {100 * abs(gain):.1f} pp"


def at_most(gain: float) -> str:
    """All gains up to one: "a gain of +2.0 pp or less", "a loss of 5.0 pp or more"."""
    return f"{gain_or_loss(gain)} or more" if gain < 0 else f"a gain of {points(gain)} or less"


def at_least(gain: float) -> str:
    """All gains from one on: "a gain of +2.0 pp or more", "a loss of 5.0 pp or less"."""
    return f"{gain_or_loss(gain)} or less" if gain < 0 else f"a gain of {points(gain)} or more"


def points_interval(low: float, high: float, *, unit: str = " pp") -> str:
    """Both ends of a gain's interval: "-11.4 to +3.1 pp"."""
    return f"{points(low, unit='')} to {points(high, unit=unit)}"


def points_confidence(low: float, high: float, *, confidence: float) -> str:
    """A gain's interval for a sentence: "90% CI -11.4 pp to +3.1 pp"."""
    return f"{share(confidence, unit='%')} CI {points(low)} to {points(high)}"


def percent(fraction: float | None, digits: int = 1, *, undefined: str = "undefined") -> str:
    """A rate in per cent, with so many digits after the point: "42.0 %"."""
    return undefined if fraction is None else f"{100 * fraction:.{digits}f} %"


def percent_interval(low: float, high: float) -> str:
    """Both ends of a rate's interval: "34.2 to 50.2 %"."""
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def share(fraction: float, *, unit: str = " %") -> str:
    """A stated share or confidence in per cent, as short as it is: "90 %", "97.5 %"."""
    return f"{100 * fraction:.4g}{unit}"


def pvalue(value: float | None, *, name: str = "") -> str:
    """A p-value, three digits or below .001: "0.041", "< 0.001"; with a name "p = 0.041", "p < 0.001"."""
    if value is None:
        return f"{name} undefined".strip()
    equals, less = (f"{name} = ", f"{name} < ") if name else ("", "< ")
    return f"{equals}{value:.3f}" if value >= 0.001 else f"{less}0.001"


def number(value: float | None) -> str:
    """A measure without unit: "0.863"."""
    return "undefined" if value is None else f"{value:.3f}"


def amount(value: float | None) -> str:
    """So much of something: "1,234", "12.3", "0.00412"; "-" where it is not known."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def count(value: int | None) -> str:
    """A whole number: "1,234"; "-" where there is none."""
    return "-" if value is None else f"{value:,}"


def counted(value: int, noun: str) -> str:
    """A number of things: "1 pair", "1,234 pairs"."""
    return f"{value:,} {plural(noun, value)}"


def plural(noun: str, value: int | None) -> str:
    """The noun for so many things: "success" for 1, else "successes"."""
    if value == 1:
        return noun
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"
