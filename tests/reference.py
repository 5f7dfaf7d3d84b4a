"""Slow, obvious implementations that share no code with forbear: definitions written out, in plain Python and numpy."""

import functools
import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np


def bisect(f: Callable[[float], float], low: float, high: float) -> float:
    """The root of a function that falls from positive to negative."""
    for _ in range(200):
        middle = (low + high) / 2
        if f(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


# --- Tango's interval from its definition -------------------------------------------------------------------


def restricted_disruption(recovered: float, disrupted: float, n: float, gain: float) -> float:
    """Maximises C·log(q + gain) + B·log(q) + (N − C − B)·log(1 − 2q − gain) over q by bisection on its derivative."""
    concordant = n - recovered - disrupted
    low, high = max(0.0, -gain), (1 - gain) / 2

    def slope(q: float) -> float:
        total = 0.0
        if recovered:
            total += recovered / max(q + gain, 1e-300)
        if disrupted:
            total += disrupted / max(q, 1e-300)
        if concordant:
            total -= 2 * concordant / max(1 - 2 * q - gain, 1e-300)
        return total

    return bisect(slope, low, high)


def score(recovered: float, disrupted: float, n: float, gain: float) -> float:
    q = restricted_disruption(recovered, disrupted, n, gain)
    variance = n * (2 * q + gain - gain**2)
    excess = recovered - disrupted - n * gain
    return excess / math.sqrt(variance) if variance > 1e-18 else 0.0


def tango(recovered: float, disrupted: float, n: float, z: float) -> tuple[float, float]:
    estimate = (recovered - disrupted) / n
    low = bisect(lambda gain: score(recovered, disrupted, n, gain) - z, -1.0, estimate)
    high = bisect(lambda gain: score(recovered, disrupted, n, gain) + z, estimate, 1.0)
    return low, high


# --- Unconditional tests over the full lattice --------------------------------------------------------------


@functools.lru_cache
def lattice(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All tables (recovered, disrupted) of n pairs and their multinomial coefficients."""
    tables = [(c, b) for c in range(n + 1) for b in range(n + 1 - c)]
    ways = [math.comb(n, c) * math.comb(n - c, b) for c, b in tables]
    return np.array([c for c, _ in tables]), np.array([b for _, b in tables]), np.array(ways, dtype=float)


def masses(n: int, gain: float, discordance: float) -> np.ndarray:
    recovered, disrupted, ways = lattice(n)
    up, down, same = (discordance + gain) / 2, (discordance - gain) / 2, 1 - discordance
    return ways * float(up) ** recovered * float(max(down, 0)) ** disrupted * float(same) ** (n - recovered - disrupted)


@functools.lru_cache
def midp(recovered: int, disrupted: int) -> Fraction:
    n = recovered + disrupted
    above = sum(math.comb(n, k) for k in range(recovered + 1, n + 1))
    return Fraction(2 * above + math.comb(n, recovered), 2 ** (n + 1))


def midp_ordering(n: int) -> np.ndarray:
    recovered, disrupted, _ = lattice(n)
    exact = [midp(int(c), int(b)) for c, b in zip(recovered, disrupted, strict=True)]
    rank = {value: i for i, value in enumerate(sorted(set(exact)))}
    return np.array([rank[value] for value in exact])


@functools.lru_cache
def estimated_pvalues(n: int, gain: float) -> np.ndarray:
    """E: for each table, the probability of a statistic at least as large, at its own restricted nuisance."""
    recovered, disrupted, _ = lattice(n)
    tables = list(zip(recovered.tolist(), disrupted.tolist(), strict=True))
    scores = np.round([score(c, b, n, gain) for c, b in tables], 9)
    result = []
    for (c, b), value in zip(tables, scores, strict=True):
        psi = 2 * restricted_disruption(c, b, n, gain) + gain
        psi = min(max(psi, abs(gain)), 1.0)
        result.append(masses(n, gain, psi)[scores >= value].sum())
    return np.array(result)


def worst_case(n: int, gain: float, region: np.ndarray, *, points: int = 600) -> float:
    """M: the largest probability of a set of tables over a grid of discordances, then by golden section beside it."""

    def chance(angle: float) -> float:
        return float(masses(n, gain, abs(gain) + (1 - abs(gain)) * math.sin(angle) ** 2)[region].sum())

    angles = np.linspace(0, math.pi / 2, points)
    values = np.array([chance(angle) for angle in angles])
    best, golden = 0.0, (math.sqrt(5) - 1) / 2
    padded = np.concatenate(([-1.0], values, [-1.0]))
    for i in np.flatnonzero((values > padded[:-2]) & (values >= padded[2:]) & (values > values.max() - 1e-3)):
        low, high = angles[max(i - 1, 0)], angles[min(i + 1, points - 1)]
        for _ in range(25):
            left, right = high - golden * (high - low), low + golden * (high - low)
            low, high = (low, right) if chance(left) > chance(right) else (left, high)
        best = max(best, chance((low + high) / 2), values[i])
    return best


# --- A certificate for the worst case -----------------------------------------------------------------------


def certified_at_most(critical: np.ndarray, gain: float, limit: float) -> bool:
    """Whether P(region) ≤ limit for every discordance in [|gain|, 1], proven by Bernstein subdivision.

    With ψ = |gain| + (1 − |gain|)·u a pair is "open" with probability u; the probability of the region is then the
    Bernstein polynomial of its probabilities given k open pairs. A Bernstein polynomial never exceeds its largest
    coefficient, and halving the interval (de Casteljau) brings coefficients and polynomial together.
    """
    return bernstein_at_most(_coefficients(critical, gain), limit)


def bernstein_at_most(coefficients: np.ndarray, limit: float) -> bool:
    """Whether the polynomial with these Bernstein coefficients is at most `limit` on all of [0, 1]."""
    stack = [(coefficients, 0)]
    while stack:
        coefficients, depth = stack.pop()
        if coefficients.max() <= limit:
            continue
        if max(coefficients[0], coefficients[-1]) > limit or depth > 40:
            return False
        left, right, rest = [], [], coefficients
        for _ in range(len(coefficients)):
            left.append(rest[0])
            right.append(rest[-1])
            rest = (rest[:-1] + rest[1:]) / 2
        stack += [(np.array(left), depth + 1), (np.array(right[::-1]), depth + 1)]
    return True


def _coefficients(critical: np.ndarray, gain: float) -> np.ndarray:
    n, size = len(critical) - 1, abs(gain)
    result = np.zeros(n + 1)
    for opened in range(n + 1):
        split = _binomial(opened, (1 + gain) / 2)
        for shifted, weight in enumerate(_binomial(n - opened, size)):
            if weight:
                needed = int(critical[opened + shifted]) - (shifted if gain > 0 else 0)
                result[opened] += weight * split[max(needed, 0) :].sum()
    return result


@functools.cache
def _binomial(trials: int, p: float) -> np.ndarray:
    return np.array([math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(trials + 1)])
