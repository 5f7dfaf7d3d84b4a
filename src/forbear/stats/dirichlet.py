"""Tests of a mean from random Dirichlet weights over the units, the worst possible value added.

Where rare units lose everything, a sample that missed them looks like a gain. The added value keeps room for one unit
that was not seen, so the test needs no variance, no normality and no minimum size.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from forbear.stats.exact import OneSided
from forbear.stats.intervals import Interval

Floats = NDArray[np.float64]

_STEP = 0.1
"""Of the trapezoidal rule. The nearest singularity lies π/4 or more from the line of integration, measured in the
transformed variable, so the error is about exp(−2π·(π/4)/.1), 1e-21 of the integral."""
_BLOCK = 16
"""Points taken at a time, until they add nothing."""
_NEGLIGIBLE = 1e-17
_PRECISION, _STEPS = 1e-10, 120
"""Of a limit, and of its normal quantile."""
_ENDS: tuple[tuple[OneSided, float], ...] = (("greater", -1.0), ("less", 1.0))
_MOST_UNITS = 1 << 20
_ENTRIES = 2_000_000
"""Entries of one block: about 64 MB."""


class Units(NamedTuple):
    """Distinct differences of the units, with how often each occurs; a unit of several parts is worth so many."""

    differences: Floats
    """In [−1, 1], treated minus baseline."""
    sizes: Floats
    """What the unit counts for in the mean, above 0."""
    counts: Floats
    """How many units are like that."""

    @property
    def mean(self) -> float:
        """Σ size·difference/Σ size."""
        weights = self.sizes * self.counts
        return float(weights @ self.differences / weights.sum())

    @classmethod
    def of(cls, differences: Floats, sizes: Floats | None = None) -> "Units":
        """Groups equal units; differences within 1e-9 of each other are equal.

        Args:
            differences: (units,), in [−1, 1].
            sizes: (units,), above 0; omitted: all alike.
        """
        known = np.ones(len(differences)) if sizes is None else sizes
        keys = np.round(differences, 9) + 1j * np.round(known, 9)  # complex numbers sort as pairs do, and fast
        _, first, counts = np.unique(keys, return_index=True, return_counts=True)
        return cls(differences=differences[first], sizes=known[first], counts=counts.astype(float))


def dirichlet_tail(values: Floats, weights: Floats) -> Floats:
    """P(Σ W·values ≤ 0) where W is Dirichlet with these weights.

    As Dirichlet weights are independent gamma variables over their sum, this is P(Σ G_j·v_j ≤ 0), G_j ~ Gamma(w_j): the
    integral of exp(K(s))/(−2πi·s) along a vertical line left of 0, K(s) = −Σ w_j·log(1 − v_j·s). The line goes through
    the saddle, where the integrand is positive and largest, so nothing cancels and the relative error is of rounding.

    Args:
        values: (k,).
        weights: (..., k), 0 or more; where a value is below 0 some weight on it is above 0.

    Returns:
        (...,), in [0, 1]; 1 where no weight lies on a value above 0.

    Source: Daniels (1954, Ann. Math. Stat. 25:631) for the contour. Checked: the beta distribution function where two
    values occur, divided differences in rational arithmetic where all differ, the Lugannani–Rice approximation, draws.
    """
    flat = np.atleast_2d(weights).astype(float)
    used = (values != 0) & (flat > 0).any(axis=0)
    values, flat = values[used], flat[:, used]
    tail = np.ones(len(flat))
    above, below = values > 0, values < 0
    rows = (flat[:, above] > 0).any(axis=1)
    if rows.any():
        none_below = ~(flat[:, below] > 0).any(axis=1)
        tail[rows & none_below] = 0.0
        rows &= ~none_below
        at_once = max(1, _ENTRIES // (_BLOCK * max(len(values), 1)))
        chosen = np.flatnonzero(rows)
        for first in range(0, len(chosen), at_once):
            part = chosen[first : first + at_once]
            tail[part] = _integral(values, flat[part])
    return np.clip(tail, 0.0, 1.0).reshape(np.shape(weights)[:-1])


def _saddle(values: Floats, weights: Floats) -> Floats:
    """How far left of 0 the integrand is least on the axis, to a thousandth of the way to the nearer end."""
    low, high = np.full(len(weights), -30.0), np.full(len(weights), 30.0)  # log odds
    for _ in range(16):
        middle = (low + high) / 2
        distance = expit(middle)
        left = (weights * values / (1 + values * distance[:, None])).sum(axis=1) > -1 / distance
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    found: Floats = expit((low + high) / 2)
    return found


def _integral(values: Floats, weights: Floats) -> Floats:
    # On the scale of the least value the line crosses the axis between −1 and 0.
    values = np.where(weights > 0, values, 0.0)
    values = values / -values.min(axis=1, keepdims=True)  # (rows, k)
    distance = _saddle(values, weights)
    base = 1 + values * distance[:, None]
    curvature = (weights * (values / base) ** 2).sum(axis=1) + distance**-2
    scale = 1 / np.sqrt(curvature)
    top = -(weights * np.log(base)).sum(axis=1) - np.log(distance)
    total, point = np.zeros(len(weights)), 0.0
    while True:
        u = point + _STEP * np.arange(_BLOCK)
        t = scale[:, None] * np.sinh(u)  # (rows, points)
        angle = values[:, :, None] * t[:, None, :] / base[:, :, None]  # (rows, k, points)
        # 1 − v·s over its value at the saddle is 1 − i·angle; −1/s over its value there is 1/(1 − i·t/distance).
        out = t / distance[:, None]
        modulus = (weights[:, :, None] * np.log1p(angle**2)).sum(axis=1) / 2 + np.log1p(out**2) / 2
        phase = (weights[:, :, None] * np.arctan(angle)).sum(axis=1) + np.arctan(out)
        terms = np.exp(-modulus) * np.cos(phase) * np.cosh(u)
        sizes = np.exp(-modulus) * np.cosh(u)
        if point == 0.0:
            terms[:, 0] /= 2
        total += terms.sum(axis=1)
        point += _STEP * _BLOCK
        if (sizes[:, -1] <= _NEGLIGIBLE * np.abs(total)).all():
            break
    tail: Floats = np.exp(top) * scale * total * _STEP / np.pi
    return tail


def mean_pvalue(units: Units, *, margin: float, alternative: OneSided, weight: float) -> float:
    """One-sided p-value of mean ≤ margin ("greater") or mean ≥ margin ("less").

    P(Σ W·size·(difference − margin) ≤ 0), W Dirichlet with weight 1 on every unit and `weight` on one more, as large as
    the largest, whose difference is −1 (mirrored for "less").

    Where a mean below 0 is tested (above 0 for "less"), units that are as they were count as gains, and a pilot that
    missed the few that lose everything has nothing else to show: (1 − 2 %)¹⁰⁰ = .13. There the weight is 1, unless the
    mean 0 is rejected too.

    Args:
        units: At least one.
        margin: −1 < margin < 1.
        alternative: "greater" when a mean above the margin is claimed.
        weight: Of the added unit. 1 is Gaffke's bound: p-values valid for independent units whose mean is at most the
            margin, alike or not, at any number. Less is calibrated by search, not proven.

    Returns:
        In [0, 1], growing with the margin ("greater") or falling.

    Source: Gaffke (2005, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative
    variable", Math. Methods Statist. 14:451); Learned-Miller & Thomas (2020, arXiv 1905.06208). That it is valid is
    reported as proven in arXiv 2607.08415, which was not read here. Checked: measurements/several_seeds.py.
    """
    sign = 1.0 if alternative == "greater" else -1.0
    if weight < 1 and sign * margin < 0:
        # min: a mean that is not above 0 is rejected with 0, so the p-value grows with the margin.
        return min(
            _tail_of(units, margin=margin, sign=sign, weight=1.0), _tail_of(units, margin=0.0, sign=sign, weight=weight)
        )
    return _tail_of(units, margin=margin, sign=sign, weight=weight)


def _tail_of(units: Units, *, margin: float, sign: float, weight: float) -> float:
    excess = units.sizes * (sign * (units.differences - margin))
    worst = -float(units.sizes.max()) * (1 + sign * margin)
    return float(dirichlet_tail(np.append(excess, worst), np.append(units.counts, weight)))


def mean_limits(units: Units, *, confidence: float, weight: float) -> Interval:
    """The means that neither one-sided test rejects at (1 − confidence)/2; they hold the mean of the units.

    Args:
        units: At least one.
        confidence: Two-sided, 0 < confidence < 1.
        weight: As `mean_pvalue`.

    Returns:
        Bounds in [−1, 1].
    """
    quantile, mean = float(ndtri((1 - confidence) / 2)), units.mean
    bounds = []
    for alternative, outside in _ENDS:

        def excess(margin: float, alternative: OneSided = alternative) -> float:
            pvalue = mean_pvalue(units, margin=margin, alternative=alternative, weight=weight)
            return float(ndtri(min(max(pvalue, 1e-300), 1 - 1e-16))) - quantile

        bounds.append(_root(excess, outside, mean))
    return Interval(*bounds)


def units_needed(
    units: Units, *, weight: float, gain: float, margin: float, alternative: OneSided, alpha: float, power: float
) -> int | None:
    """Units of a new pilot that would reject Δ ≤ margin ("greater") or Δ ≥ margin ("less") with about this power.

    The first number of units, spread like these around a mean of `gain`, that rejects where their mean lies as many
    standard errors towards the margin as leave the power.

    Args:
        units: As observed, at least one.
        weight: As `mean_pvalue`.
        gain: The mean that is assumed, in [−1, 1].
        margin: −1 < margin < 1.
        alternative: "greater" when a mean above the margin is claimed.
        alpha: One-sided level, 0 < alpha < 1.
        power: Probability to reject, 0 < power < 1.

    Returns:
        At least 1; None where a million do not suffice.

    Checked: units that are all alike against (1 + distance)^−n in closed form; pilots drawn anew from the units.
    """
    sign, total = 1.0 if alternative == "greater" else -1.0, units.sizes * units.counts
    now, mean = float(units.counts.sum()), units.mean
    variance = float(units.counts @ (units.sizes * (units.differences - mean)) ** 2) / float(total.sum()) ** 2
    quantile = float(ndtri(power))

    def rejects(count: int) -> bool:
        shift = gain - mean - sign * quantile * math.sqrt(variance * now / count)
        there = Units(units.differences + shift, units.sizes, units.counts * (count / now))
        return mean_pvalue(there, margin=margin, alternative=alternative, weight=weight) <= alpha

    most = 1
    while not rejects(most):
        most *= 2
        if most > _MOST_UNITS:
            return None
    return bisect_left(range(most // 2 + 1, most), True, key=rejects) + most // 2 + 1


def _root(excess: Callable[[float], float], outside: float, inside: float) -> float:
    """Where a monotone function turns, approached from outside, where it is below 0 (Illinois; Dowell & Jarratt 1971).

    On the scale of normal quantiles p-values are almost straight lines, so a few steps suffice.
    """
    below, above = excess(outside), excess(inside)
    if below >= 0 or above < 0:
        return outside if below >= 0 else inside
    last = 0
    for _ in range(_STEPS):
        if abs(outside - inside) < _PRECISION:
            break
        middle = (outside * above - inside * below) / (above - below)
        value = excess(middle)
        if abs(value) < _PRECISION:
            return middle
        # An end that stays twice would pin the line: its value is halved.
        if value < 0:
            above, last = (above / 2 if last < 0 else above), -1
            outside, below = middle, value
        else:
            below, last = (below / 2 if last > 0 else below), 1
            inside, above = middle, value
    return outside
