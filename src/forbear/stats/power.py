"""How many tasks a pilot needs.

Source: the sample size of Tango's score test, with the null variance at the restricted likelihood maximum of the
expected table; at margin 0 it is Miettinen (1968, Biometrics 24:339). Checked: exact power by enumeration at the sizes
it names (docs/methods.md).
"""

import math

from scipy.special import ndtri

from forbear.errors import InvalidInput
from forbear.stats.intervals import restricted_discordance


_MOST = 1e15
"""No pilot, and beyond it whole numbers are no longer exact in double precision."""


def tasks_needed(
    *, gain: float, discordance: float, margin: float = 0.0, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Tasks, one pair each, at which a one-sided score test at `alpha` tells the gain from the margin.

    Args:
        gain: The true gain Δ, a fraction; above the margin the test is of Δ ≤ margin, below it of Δ ≥ margin.
        discordance: The true share ψ of pairs whose outcomes differ, |gain| ≤ ψ ≤ 1.
        margin: The gain to be told from, −1 < margin < 1.
        alpha: One-sided level, 0 < alpha < 1.
        power: Probability to reject, alpha < power < 1.

    Returns:
        The number of tasks by the normal approximation, at least 1; None where gain and margin are equal or so close
        that more than 10¹⁵ tasks would be needed.

    Raises:
        InvalidInput: An argument out of its range.
    """
    if not (-1 < margin < 1 and 0 < alpha < 1 and alpha < power < 1):
        raise InvalidInput(
            "tasks_needed expects -1 < margin < 1 and 0 < alpha < power < 1, "
            f"got margin = {margin!r}, alpha = {alpha!r}, power = {power!r}."
        )
    if not abs(gain) <= discordance <= 1:
        raise InvalidInput(
            f"a gain of {gain!r} needs a discordance between {abs(gain)!r} and 1, got {discordance!r}: "
            "the gain is the difference of two shares that add up to the discordance."
        )
    if gain == margin:
        return None
    expected = (discordance + gain) / 2, (discordance - gain) / 2
    null = restricted_discordance(expected[0], expected[1], n=1.0, gain=margin) - margin**2
    true = discordance - gain**2
    spread = -float(ndtri(alpha)) * math.sqrt(max(null, 0.0)) + float(ndtri(power)) * math.sqrt(max(true, 0.0))
    tasks = (spread / (gain - margin)) ** 2 if abs(gain - margin) > 1e-150 else math.inf
    return max(1, math.ceil(tasks)) if tasks <= _MOST else None
