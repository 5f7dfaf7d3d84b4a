"""Where the baseline would have to fail more often, or less: the gain over failure rates, beside p and p*."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forbear.stats.context.transport import GainAt


class GainAtView(TypedDict):
    """The gain to expect where the baseline fails at another rate."""

    failure_rate: float
    gain: float | None
    """None between no change and the line."""
    low: float
    high: float
    line: float | None
    """p′·r − (1 − p′)·d; None where the slope over several seeds is known."""
    says: str
    """The sentence."""


class BreakEvenView(TypedDict):
    """What is shown."""

    confidence: float
    method: str
    unchanged: float | None
    """The pilot's own gain; None where the slope is known."""
    points: list[GainAtView]
    """From 0 to 1, in hundredths."""


def view(curve: Sequence[GainAt], *, baseline: str) -> BreakEvenView:
    """The gain over failure rates."""
    return BreakEvenView(
        confidence=curve[0].gain.confidence,
        method=curve[0].method,
        unchanged=curve[0].unchanged,
        points=[
            GainAtView(
                failure_rate=one.failure_rate,
                gain=one.gain.value,
                low=one.gain.low,
                high=one.gain.high,
                line=one.line,
                says=one.remark(baseline=baseline).text,
            )
            for one in curve
        ],
    )
