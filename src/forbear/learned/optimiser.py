"""Minimising a smooth convex function, the same bits on every run.

scipy's L-BFGS calls BLAS for long vectors, whose sums depend on the number of threads; a shipped model has to be
retrained bit for bit. This one sums by numpy's reduction, in one thread and one order.

Source: Nocedal & Wright 2006, Numerical Optimization, algorithms 7.4 and 3.5 (backtracking).
"""

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from forbear.errors import InvalidInput

Vector = NDArray[np.float64]


def minimise(
    objective: Callable[[Vector], tuple[float, Vector]],
    start: Vector,
    *,
    iterations: int = 200,
    tolerance: float = 1e-6,
    memory: int = 10,
) -> Vector:
    """L-BFGS with Armijo backtracking.

    Args:
        objective: Returns value and gradient, shape of `start`; convex and bounded below.
        start: Where to begin, shape (n,).
        iterations: At most this many steps.
        tolerance: Stop when the largest entry of the gradient is at most this.
        memory: Pairs of steps and gradient changes kept.

    Returns:
        Where it stopped, shape (n,).

    Raises:
        InvalidInput: The objective is not finite at the start.
    """
    x = np.array(start, dtype=np.float64)
    value, gradient = objective(x)
    if not np.isfinite(value):
        raise InvalidInput("the objective is not finite at the start; check the features for NaN and infinity.")
    pairs: deque[tuple[Vector, Vector, float]] = deque(maxlen=memory)
    for _ in range(iterations):
        if float(np.abs(gradient).max(initial=0.0)) <= tolerance:
            break
        direction = _direction(gradient, pairs)
        slope = _dot(direction, gradient)
        if slope >= 0:  # rounding has used up the memory
            pairs.clear()
            direction, slope = -gradient, -_dot(gradient, gradient)
        size = 1.0 if pairs else 1.0 / max(1.0, float(np.sqrt(-slope)))
        while True:
            moved = x + size * direction
            new_value, new_gradient = objective(moved)
            if new_value <= value + 1e-4 * size * slope:
                break
            size *= 0.5
            if size < 1e-12:  # no descent left in double precision
                return x
        change, bend = moved - x, new_gradient - gradient
        curvature = _dot(change, bend)
        if curvature > 1e-12 * _dot(bend, bend):
            pairs.append((change, bend, 1.0 / curvature))
        stalled = new_value >= value  # rounding hides what is left to gain
        x, value, gradient = moved, new_value, new_gradient
        if stalled:
            break
    return x


def _direction(gradient: Vector, pairs: deque[tuple[Vector, Vector, float]]) -> Vector:
    direction = -gradient
    if not pairs:
        return direction
    shares = []
    for change, bend, rho in reversed(pairs):
        shares.append(rho * _dot(change, direction))
        direction = direction - shares[-1] * bend
    change, bend, rho = pairs[-1]
    direction = direction / (rho * _dot(bend, bend))
    for (change, bend, rho), share in zip(pairs, reversed(shares), strict=True):
        direction = direction + (share - rho * _dot(bend, direction)) * change
    return direction


def _dot(a: Vector, b: Vector) -> float:
    return float(np.add.reduce(a * b))
