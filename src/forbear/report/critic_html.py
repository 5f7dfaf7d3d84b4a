"""An evaluation of a critic as one HTML page without scripts and without anything loaded from elsewhere."""

from typing import TypedDict

from forbear.report.critic_text import MEANINGS
from forbear.report.critic_view import CriticView
from forbear.report.html import page

_SIDE, _LEFT, _TOP = 300, 46, 12
"""Of the square in which a curve is drawn, and where it begins."""


class SquareChart(TypedDict):
    """Coordinates of a picture of two shares, 0 to 1 each, that is 362 wide and 348 high."""

    line: str
    dots: list[tuple[float, float, float]]
    """Across, down and radius."""
    left: float
    right: float
    top: float
    bottom: float
    ticks: list[tuple[float, float, str]]
    """Across, down and what is written at both axes."""


def critic_html(view: CriticView) -> str:
    """Renders an evaluation."""
    return page("critic.html").render(
        view=view, meanings=MEANINGS, roc=roc_chart(view), reliability=reliability_chart(view)
    )


def roc_chart(view: CriticView) -> SquareChart | None:
    """Where to draw the ROC; None where it is undefined."""
    return _square(view["roc"], []) if view["roc"] else None


def reliability_chart(view: CriticView) -> SquareChart | None:
    """Where to draw failure rate over mean score, a dot a bin; None of grades."""
    bins = view["reliability"]
    if not bins:
        return None
    corners = [(one["mean_p_fail"], one["failure_rate"]) for one in bins]
    most = max(one["count"] for one in bins)
    return _square(corners, [2.0 + 3.0 * (one["count"] / most) ** 0.5 for one in bins])


def _square(corners: list[tuple[float, float]], radii: list[float]) -> SquareChart:
    def place(corner: tuple[float, float]) -> tuple[float, float]:
        return round(_LEFT + _SIDE * corner[0], 1), round(_TOP + _SIDE * (1 - corner[1]), 1)

    places = [place(corner) for corner in corners]
    return SquareChart(
        line=" ".join(f"{across},{down}" for across, down in places),
        dots=[(across, down, round(radius, 1)) for (across, down), radius in zip(places, radii, strict=False)],
        left=_LEFT,
        right=_LEFT + _SIDE,
        top=_TOP,
        bottom=_TOP + _SIDE,
        ticks=[(*place((share, share)), f"{share:g}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)],
    )
