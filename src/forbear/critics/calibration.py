"""Temperature: one number that makes a critic's scores mean what they say, without changing their order.

Source: Guo et al. 2017 (ICML). Fit it on tasks that neither training nor evaluation uses (METHODS 8).
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from forbear.errors import InvalidInput

_LOWEST, _HIGHEST = 0.02, 50.0


def fit_temperature(failed: ArrayLike, logits: ArrayLike, *, weights: ArrayLike | None = None) -> float:
    """Returns the temperature that maximises the likelihood of the outcomes.

    The negative log-likelihood is convex in 1/temperature; its derivative is bisected to 1e-12.

    Args:
        failed: Outcomes, shape (n,).
        logits: Log-odds of failing that the critic gives, shape (n,), finite.
        weights: Weight of each row, shape (n,), not negative; equal by default.

    Returns:
        In [0.02, 50]. An end of this range where the data ask for more: 0.02 where the sign of the logits separates
        the outcomes, 50 where logits carry no information or mislead.

    Raises:
        InvalidInput: No row, lengths that differ, or logits that are not finite.
    """
    y, z = np.asarray(failed, dtype=np.float64), np.asarray(logits, dtype=np.float64)
    w = np.ones_like(z) if weights is None else np.asarray(weights, dtype=np.float64)
    if y.ndim != 1 or not y.shape == z.shape == w.shape or not len(y):
        raise InvalidInput(
            f"expected one logit and one weight for each of at least one outcome, got shapes {y.shape}, {z.shape}, "
            f"{w.shape}."
        )
    if not np.isfinite(z).all():
        raise InvalidInput("logits must be finite numbers; leave out the steps at which the critic abstained.")

    def slope(inverse: float) -> float:
        return float(np.sum(w * z * (expit(inverse * z) - y)))

    low, high = 1.0 / _HIGHEST, 1.0 / _LOWEST
    if slope(low) >= 0:
        return _HIGHEST
    if slope(high) <= 0:
        return _LOWEST
    while high - low > 1e-12 * high:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 2.0 / (low + high)
