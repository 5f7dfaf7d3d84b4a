"""Whether a remark's sentence says a number that its values do not hold."""

import re
from collections.abc import Iterator, Mapping

from forbear.stats.verdict import Remark

_NUMBER = re.compile(r"(?<![\w.])[+-]?\d[\d,]*(?:\.\d+)?")


def unsaid(remark: Remark) -> list[str]:
    """The numbers of the sentence that are no value of the remark, however it is rounded; quoted names left out."""
    allowed = {form for value in _numbers(remark.values) for form in _forms(value)}
    found = _NUMBER.findall(re.sub(r"'[^']*'", "", remark.text))
    return [number for number in found if number.rstrip(",") not in allowed]


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, Mapping):
        for one in value.values():
            yield from _numbers(one)
    elif isinstance(value, list):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def _forms(value: float) -> Iterator[str]:
    yield from (f"{value:,}", f"{value}", f"{value:.3f}")
    percent = round(100 * value, 1) + 0.0
    yield from (f"{percent:+.1f}", f"{percent:.1f}", f"{abs(percent):.1f}", f"{100 * value:.4g}", f"{100 * value:.0f}")
    if 0 <= value < 0.001:  # "p < 0.001"
        yield "0.001"
