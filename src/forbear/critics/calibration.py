"""What makes a critic's log-odds mean what they say: one temperature, or a line for each step of a run.

Sources: temperature, Guo et al. 2017 (ICML); a line, Platt 1999. Fit them on tasks that neither training nor evaluation
uses (METHODS 8).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from forbear.errors import InvalidInput
from forbear.learned.optimiser import minimise

Floats = NDArray[np.float64]

_LOWEST, _HIGHEST = 0.02, 50.0
_MOST_STEPS = 10_000
_LIMIT = 1e4
_RIDGE = 1e-4
"""Penalty on the coefficients, per row: where scores separate the outcomes, the likelihood alone has no maximum."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepLines:
    """Log-odds = slope·(log-odds before) + shift, by the index of the step: within one step no order changes.

    Raises:
        InvalidInput: Lengths that differ, no step, more than 10,000, a negative slope, or no sane numbers.
    """

    slope: Floats
    shift: Floats
    """Shape (steps,); the last entry is for all later steps too."""

    def __post_init__(self) -> None:
        if self.slope.ndim != 1 or self.slope.shape != self.shift.shape or not 1 <= len(self.slope) <= _MOST_STEPS:
            raise InvalidInput(
                f"a line for each step takes as many slopes as shifts, up to {_MOST_STEPS}, got shapes "
                f"{self.slope.shape} and {self.shift.shape}."
            )
        if not ((self.slope >= 0) & (self.slope <= _LIMIT) & (np.abs(self.shift) <= _LIMIT)).all():
            raise InvalidInput(f"slopes must lie in [0, {_LIMIT:g}] and shifts within ±{_LIMIT:g}; calibrate again.")

    def __call__(self, logits: ArrayLike, steps: ArrayLike) -> Floats:
        """Returns the calibrated log-odds.

        Args:
            logits: Log-odds before, shape (n,).
            steps: Index of each step, from 0, shape (n,).
        """
        at = np.minimum(np.asarray(steps, dtype=np.int64), len(self.slope) - 1)
        found: Floats = self.slope[at] * np.asarray(logits, dtype=np.float64) + self.shift[at]
        return found


def fit_step_lines(failed: ArrayLike, logits: ArrayLike, steps: ArrayLike, *, last: int, degree: int = 3) -> StepLines:
    """Fits slopes and shifts that are polynomials of the step's index, by maximum likelihood.

    A run that is still going late has failed more often than its transcript alone tells; a score that knows no clock is
    too hopeful there.

    Args:
        failed: Outcomes, shape (n,), of both kinds.
        logits: Log-odds of failing, shape (n,), finite.
        steps: Index of each step, from 0, shape (n,).
        last: Index from which on all steps have the same line, at least 1: nothing is extrapolated.
        degree: Of the polynomials, at least 0.

    Returns:
        Lines of `last` + 1 steps; a slope that came out negative is 0, for scores are never turned round.

    Raises:
        InvalidInput: One outcome only, lengths that differ, logits that are not finite, or an argument out of range.

    Checked: against scipy's minimiser and by simulation of known lines (tests/critics/test_calibration.py).
    """
    y, z = np.asarray(failed, dtype=np.float64), np.asarray(logits, dtype=np.float64)
    t = np.asarray(steps, dtype=np.int64)
    if y.ndim != 1 or not y.shape == z.shape == t.shape or not len(y) or y.min() == y.max():
        raise InvalidInput(
            f"expected a logit and a step for each of some outcomes of both kinds, got shapes {y.shape}, {z.shape}, "
            f"{t.shape}."
        )
    if not np.isfinite(z).all() or t.min() < 0 or last < 1 or degree < 0:
        raise InvalidInput("logits must be finite numbers, steps and degree at least 0, and last at least 1.")
    # Chebyshev's polynomials: their coefficients hardly depend on each other, so that the search is short.
    powers = np.polynomial.chebyshev.chebvander(np.minimum(t, last) / last * 2 - 1, degree)
    scale = float(np.std(z)) or 1.0
    columns = np.concatenate([powers * (z / scale)[:, None], powers], axis=1)

    def objective(theta: Floats) -> tuple[float, Floats]:
        log_odds = np.add.reduce(columns * theta, axis=1)
        loss = float(np.mean(np.logaddexp(0.0, log_odds) - y * log_odds))
        gradient = np.add.reduce(columns * (expit(log_odds) - y)[:, None], axis=0) / len(y)
        return loss + 0.5 * _RIDGE * float(np.add.reduce(theta * theta)), gradient + _RIDGE * theta

    start = np.zeros(columns.shape[1])
    start[0] = scale
    theta = minimise(objective, start, iterations=500, tolerance=1e-7)
    each = np.polynomial.chebyshev.chebvander(np.arange(last + 1) / last * 2 - 1, degree)
    slope = np.add.reduce(each * theta[: degree + 1], axis=1) / scale
    return StepLines(slope=np.maximum(slope, 0.0), shift=np.add.reduce(each * theta[degree + 1 :], axis=1))


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
