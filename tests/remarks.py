"""Whether a remark's sentence says a number that its values do not hold."""

import re
from collections.abc import Iterator, Mapping

from forbear.stats.verdict import Remark

_NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:,\d{3})*(?:\.\d+)?")


def unsaid(remark: Remark) -> list[str]:
    """The numbers of the sentence that are no value of the remark, however it is rounded; names left out."""
    values = list(_leaves(remark.values))
    allowed = {form for value in values if not isinstance(value, str) for form in _forms(value)}
    text = re.sub(r"'[^']*'", "", remark.text)
    for name in (value for value in values if isinstance(value, str)):
        text = text.replace(name, "")
    return [number for number in _NUMBER.findall(text) if number not in allowed]


def _leaves(value: object) -> Iterator[float | str]:
    if isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(one)
    elif isinstance(value, int | float | str) and not isinstance(value, bool):
        yield value


def _forms(value: float) -> Iterator[str]:
    yield from (f"{value:,}", f"{value}", f"{value:.3f}", f"{value:.2f}")
    percent = round(100 * value, 1) + 0.0
    yield from (f"{percent:+.1f}", f"{percent:.1f}", f"{abs(percent):.1f}", f"{100 * value:.4g}", f"{100 * value:.0f}")
    yield f"{100 * value:.2f}"
    if 0 <= value < 0.001:  # "p < 0.001"
        yield "0.001"
