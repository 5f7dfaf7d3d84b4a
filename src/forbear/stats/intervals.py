"""Intervals for rates, for the paired gain and for the break-even failure rate.

Sources: Wilson (1927, JASA 22:209); Clopper & Pearson (1934, Biometrika 26:404); Tango (1998, Statistics in Medicine
17:891); Jeffreys (1946). How each was checked: docs/methods.md.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaincinv, betaln, ndtri

from forbear.errors import InvalidInput
from forbear.outcomes.paired import PairedOutcomes

Numbers = TypeVar("Numbers", float, NDArray[np.float64])
"""One table or many: the formulas are the same."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Two bounds, low ≤ high, in the unit of what they bound."""

    low: float
    high: float


class EstimateJson(TypedDict):
    """An estimate in JSON."""

    value: float | None
    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its interval, as fractions; `value` is None where it is undefined and the interval says so."""

    value: float | None
    low: float
    high: float
    confidence: float
    """Two-sided coverage, between 0 and 1."""

    def to_dict(self) -> EstimateJson:
        """The estimate as a JSON object."""
        return EstimateJson(value=self.value, low=self.low, high=self.high, confidence=self.confidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """k of n: a proportion that knows its counts.

    Raises:
        InvalidInput: Unless 0 ≤ k ≤ n.
    """

    k: int
    n: int

    def __post_init__(self) -> None:
        if not 0 <= self.k <= self.n:
            raise InvalidInput(f"a rate needs 0 <= k <= n, got k = {self.k}, n = {self.n}.")

    @property
    def value(self) -> float | None:
        """k/n; None when n is 0."""
        return self.k / self.n if self.n else None

    def interval(
        self, *, confidence: float = 0.95, method: Literal["wilson", "clopper-pearson"] = "wilson"
    ) -> Interval:
        """Interval for the proportion; [0, 1] when n is 0.

        Args:
            confidence: Two-sided coverage, 0 < confidence < 1.
            method: "wilson" (near nominal on average) or "clopper-pearson" (never below nominal, wider).

        Raises:
            InvalidInput: confidence out of range, or another method.
        """
        check_confidence(confidence)
        if method not in {"wilson", "clopper-pearson"}:
            raise InvalidInput(f'method must be "wilson" or "clopper-pearson", got {method!r}.')
        if not self.n:
            return Interval(0.0, 1.0)
        if method == "clopper-pearson":
            return _clopper_pearson(self.k, self.n, confidence)
        return wilson_limits(self.k, self.n, quantile=float(ndtri((1 + confidence) / 2)))

    def estimate(self, *, confidence: float) -> Estimate:
        """The value with its Wilson interval."""
        bounds = self.interval(confidence=confidence)
        return Estimate(value=self.value, low=bounds.low, high=bounds.high, confidence=confidence)


def check_confidence(confidence: float) -> None:
    """Raises InvalidInput unless 0 < confidence < 1."""
    if not (isinstance(confidence, int | float | np.floating) and 0 < confidence < 1):
        raise InvalidInput(f"confidence must be between 0 and 1 (exclusive), got {confidence!r}.")


def wilson_limits(k: float, n: float, *, quantile: float) -> Interval:
    """The proportions whose score statistic lies within ± quantile; counts may be fractional (a design effect)."""
    z2 = quantile**2
    centre = (k + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (k * (n - k) / n + z2 / 4)) / (n + z2)
    # At k = 0 and k = n the bound is exactly 0 and 1; rounding would leave it a hair inside.
    return Interval(0.0 if k == 0 else centre - half, 1.0 if k == n else centre + half)


def _clopper_pearson(k: int, n: int, confidence: float) -> Interval:
    tail = (1 - confidence) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k else 0.0
    high = float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0
    return Interval(low, high)


def paired_gain_interval(pairs: PairedOutcomes, *, confidence: float = 0.95) -> Interval:
    """Score interval for the gain in success rate, treated minus baseline, one pair per task.

    Keeps near-nominal coverage at pilot sizes (exact minimum .927 at 95 %, 50 to 200 pairs) and has width even when no
    pair is discordant, where Wald's collapses to a point.

    Args:
        pairs: At least one pair.
        confidence: Two-sided coverage, 0 < confidence < 1.

    Returns:
        Bounds in [−1, 1] as fractions, around the estimate; above 0 the intervention helps.

    Raises:
        InvalidInput: No pairs, or confidence out of range.

    Source: Tango (1998), Statistics in Medicine 17:891. Checked: tests/stats/test_intervals.py, against published
    limits and against bisection on the defining score equation with a restricted likelihood maximised numerically.
    """
    check_confidence(confidence)
    if not pairs.pairs:
        raise InvalidInput("an interval for the gain needs at least one pair, got none.")
    return tango_limits(
        recovered=pairs.recovered,
        disrupted=pairs.disrupted,
        n=pairs.pairs,
        quantile=float(ndtri((1 + confidence) / 2)),
    )


def tango_limits(*, recovered: float, disrupted: float, n: float, quantile: float) -> Interval:
    """The gains whose score statistic lies within ± quantile; counts may be fractional (a design effect)."""
    high = _upper_limit(recovered, disrupted, n, quantile)
    low = -_upper_limit(disrupted, recovered, n, quantile)
    return Interval(low, high)


def _upper_limit(recovered: float, disrupted: float, n: float, quantile: float) -> float:
    low, high = (recovered - disrupted) / n, 1.0
    # The statistic falls from 0 at the estimate; at 1 it is −∞, or still 0 when every pair is recovered.
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return high
        if float(tango_statistic(recovered, disrupted, n=n, gain=middle)) > -quantile:
            low = middle
        else:
            high = middle


def tango_statistic(recovered: Numbers, disrupted: Numbers, *, n: float, gain: float) -> Numbers:
    """Score statistic of Δ = gain: (C − B − n·gain) over its standard error at the restricted likelihood maximum.

    Args:
        recovered: C, a number or an array.
        disrupted: B, of the same shape.
        n: All pairs.
        gain: The hypothesised gain, −1 < gain < 1.

    Returns:
        Approximately standard normal under Δ = gain; above 0 when the observed gain is larger; 0 when it has no
        variance (no discordant pair at gain 0).
    """
    excess = recovered - disrupted - n * gain
    # Var(C − B)/n is ψ − gain², with ψ the discordance.
    variance = n * (restricted_discordance(recovered, disrupted, n=n, gain=gain) - gain * gain)
    if isinstance(variance, np.ndarray):
        ratio: NDArray[np.float64] = excess / np.sqrt(np.where(variance > 0, variance, np.inf))
        return ratio
    return excess / math.sqrt(variance) if variance > 0 else 0.0


def restricted_discordance(recovered: Numbers, disrupted: Numbers, *, n: Numbers | float, gain: float) -> Numbers:
    """The discordance ψ in [|gain|, 1] that maximises the likelihood among truths with Δ = gain."""
    if gain < 0:  # the mirrored problem keeps the discriminant free of cancellation
        recovered, disrupted, gain = disrupted, recovered, -gain
    linear = (2 * n - recovered + disrupted) * gain - (recovered + disrupted)
    root: Numbers = (linear * linear + 8 * n * gain * (1 - gain) * disrupted) ** 0.5
    return (root - linear) / (2 * n) + gain


def break_even_interval(pairs: PairedOutcomes, *, confidence: float = 0.95) -> Interval | None:
    """Interval for the break-even failure rate p* = d/(r + d) from independent Jeffreys posteriors of r and d.

    Not for comparison with p, which is estimated from the same pairs: the test of the gain is that comparison.

    Args:
        pairs: The table.
        confidence: Two-sided probability, 0 < confidence < 1.

    Returns:
        Bounds in [0, 1], the lower 0 when nothing was disrupted, the upper 1 when nothing was recovered; None where
        p* is undefined (no failures, no successes, or no discordant pair).

    Raises:
        InvalidInput: confidence out of range.

    Source: P(d/(r+d) ≤ x) = E[F_d(r·x/(1−x))]. Checked against 10⁷ draws and against adaptive quadrature.
    """
    check_confidence(confidence)
    if pairs.break_even_failure_rate is None:
        return None
    bounds = break_even_limits(
        recovered=pairs.recovered,
        both_fail=pairs.both_fail,
        disrupted=pairs.disrupted,
        both_succeed=pairs.both_succeed,
        confidence=confidence,
    )
    value = pairs.break_even_failure_rate
    return Interval(min(bounds.low, value), max(bounds.high, value))


def break_even_limits(
    *, recovered: float, both_fail: float, disrupted: float, both_succeed: float, confidence: float
) -> Interval:
    """Posterior quantiles of p*; counts may be fractional (a design effect)."""
    below = _break_even_cdf((recovered + 0.5, both_fail + 0.5), (disrupted + 0.5, both_succeed + 0.5))
    z = float(ndtri((1 + confidence) / 2))
    # Where the search begins: the normal approximation of log d − log r.
    odds = (disrupted + 0.5) / (disrupted + both_succeed + 1) / (recovered + 0.5) * (recovered + both_fail + 1)
    centre, sd = math.log(odds), math.sqrt(1 / (recovered + 0.5) + 1 / (disrupted + 0.5))
    low = 0.0 if not disrupted else _solve(below, (1 - confidence) / 2, near=centre - z * sd, step=sd / 4)
    high = 1.0 if not recovered else _solve(below, (1 + confidence) / 2, near=centre + z * sd, step=sd / 4)
    return Interval(low, high)


def _break_even_cdf(r: tuple[float, float], d: tuple[float, float]) -> Callable[[float], float]:
    """The probability that the log-odds of p* lie below a value, where r and d are Beta with these parameters."""
    log_r, weight_r = _beta_nodes(*r)
    log_d, weight_d = _beta_nodes(*d)

    def below(log_odds: float) -> float:
        # p* ≤ x exactly where d ≤ r·x/(1 − x). Integrating over the other rate when x > ½ keeps that bound within
        # (0, 1): no kink, so the trapezoid rule stays exact to rounding.
        if log_odds <= 0:
            return float(weight_r @ betainc(*d, np.exp(log_r + log_odds)))
        return 1.0 - float(weight_d @ betainc(*r, np.exp(log_d - log_odds)))

    return below


def _beta_nodes(a: float, b: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes (logarithms of x) and weights that integrate smooth functions over Beta(a, b)."""
    # In log-odds a Beta density is analytic with exponential tails, so the trapezoid rule converges geometrically.
    # 40/a and 40/b: where the tails exp(a·t) and exp(−b·t) have fallen below 1e-17; ±14 sd for the Gaussian core.
    mode, sd = math.log(a / b), math.sqrt(1 / a + 1 / b)
    t = np.linspace(mode - 14 * sd - 40 / a, mode + 14 * sd + 40 / b, 500)
    log_x = -np.logaddexp(0, -t)
    weight = np.exp(a * log_x - b * np.logaddexp(0, t) - betaln(a, b))
    kept = weight > 1e-18 * weight.max()
    return log_x[kept], weight[kept] / weight.sum()


def _solve(below: Callable[[float], float], probability: float, *, near: float, step: float) -> float:
    """The probability whose log-odds solve below(log-odds) = probability: a bracket, then regula falsi (Illinois)."""
    low, high = near - step, near + step
    while (f_low := below(low) - probability) > 0:
        low, high, step = low - 2 * step, low, 2 * step
    while (f_high := below(high) - probability) < 0:
        low, high, f_low, step = high, high + 2 * step, f_high, 2 * step
    x, kept = low, 0
    for _ in range(100):
        x = (low * f_high - high * f_low) / (f_high - f_low)
        f = below(x) - probability
        if abs(f) < 1e-13 or high - low < 1e-12:
            break
        if f < 0:
            low, f_low, f_high, kept = x, f, (f_high / 2 if kept == 1 else f_high), 1
        else:
            high, f_high, f_low, kept = x, f, (f_low / 2 if kept == -1 else f_low), -1
    return 1 / (1 + math.exp(-x))
