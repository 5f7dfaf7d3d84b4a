"""What switching an intervention on is worth, and what knowing more would be: beside a verdict, never instead of it.

A verdict bounds how often a useless intervention is switched on; it does not weigh that against real gains left unused.
Under a stated prior both can be weighed. The shares of recovered, disrupted and alike tasks are Dirichlet a priori, so
also given a table, and every number here is a sum of positive terms or one quadrature; nothing is drawn.

Sources: Claxton (1999, J. Health Econ. 18:341) for deciding by expected value and the value of information; Raiffa and
Schlaifer (1961) for its preposterior form. How each was checked: docs/methods.md.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, betaln, gammaln

from forbear.errors import InvalidInput
from forbear.stats.context.prior import PUBLISHED, Prior

Floats = NDArray[np.float64]

NEXT_TASKS = (50, 100, 200)
"""Sizes of a new pilot whose worth is said."""

_MOST_TASKS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What an intervention costs, in fractions of a success (0.02: two successes in a hundred tasks).

    Raises:
        InvalidInput: Unless 0 ≤ intervening < 1 and 0 ≤ harm ≤ 100.
    """

    intervening: float = 0.0
    """Of having it switched on, a task."""
    harm: float = 0.0
    """Of a disrupted task, beyond the success that is lost."""

    def __post_init__(self) -> None:
        if not (0 <= self.intervening < 1 and 0 <= self.harm <= 100):
            raise InvalidInput(
                "costs are fractions of a success: of intervening from 0 to below 1, of harm from 0 to 100, got "
                f"{self.intervening!r} and {self.harm!r}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What is expected of switching on, given a table and a prior; fractions of success, a task."""

    prior: Prior
    costs: Costs
    gain: float
    """Expected gain in success, treated minus baseline, before costs."""
    net: float
    """The same after costs: switching on is worth it, on average, where this is above 0."""
    loss_probability: float
    """That switching on loses: that the true gain after costs is below 0."""
    next_tasks: tuple[int, ...]
    """Sizes of a new pilot."""
    information: tuple[float, ...]
    """What each would add to the expected net gain of every later task, on average, by changing the choice."""
    perfect: float
    """The same if the truth were known: no pilot is worth more."""

    @property
    def pays(self) -> bool:
        """Whether switching on has an expected net gain."""
        return self.net > 0


def value_of(
    *,
    recovered: float,
    disrupted: float,
    pairs: float,
    prior: Prior = PUBLISHED,
    costs: Costs = Costs(),
    next_tasks: tuple[int, ...] = NEXT_TASKS,
) -> Value:
    """Weighs a table under a prior.

    With shares u recovered and d disrupted, the net gain is u − (1 + harm)·d − intervening. It is linear in the shares,
    so its expectation needs their posterior means only; the worth of m further tasks sums the larger of 0 and the then
    expected net gain over every table that they can show (Dirichlet-multinomial), less the larger of 0 and today's.

    Args:
        recovered: C, 0 or more; counts may be fractional (several seeds of a task count as one task).
        disrupted: B, 0 or more.
        pairs: All pairs, at least C + B.
        prior: What is believed before.
        costs: What intervening and harm cost.
        next_tasks: Sizes of a new pilot, 1 to 1,000.

    Raises:
        InvalidInput: Counts or sizes out of their range.

    Source: Claxton (1999). Checked: simulation of truths and pilots from the prior, and adaptive quadrature over the
    two shares.
    """
    if not (recovered >= 0 and disrupted >= 0 and recovered + disrupted <= pairs < math.inf):
        raise InvalidInput(
            f"expected counts with recovered + disrupted <= pairs, got {recovered!r}, {disrupted!r}, {pairs!r}."
        )
    if not all(1 <= tasks <= _MOST_TASKS for tasks in next_tasks):
        raise InvalidInput(f"a new pilot has 1 to {_MOST_TASKS:,} tasks, got {next_tasks!r}.")
    up, down = prior.recovered + recovered, prior.disrupted + disrupted
    alike = prior.alike + pairs - recovered - disrupted
    total, weight = up + down + alike, 1 + costs.harm
    net = (up - weight * down) / total - costs.intervening
    loss, above = _loss_and_positive_part(up, down, alike, costs)
    information = [_expected_best(up, down, alike, costs, tasks) - max(net, 0.0) for tasks in next_tasks]
    return Value(
        prior=prior,
        costs=costs,
        gain=(up - down) / total,
        net=net,
        loss_probability=loss,
        next_tasks=next_tasks,
        information=tuple(max(0.0, worth) for worth in information),
        perfect=max(0.0, above - max(net, 0.0)),
    )


def _loss_and_positive_part(up: float, down: float, alike: float, costs: Costs) -> tuple[float, float]:
    """P(net < 0) and E[max(net, 0)].

    The discordance ψ ~ Beta(up + down, alike) and the recovered share of it s ~ Beta(up, down) are independent, and
    net = ψ·(s·(2 + harm) − (1 + harm)) − intervening: closed in s, and one quadrature over ψ.
    """
    psi, mass = _beta_nodes(up + down, alike)
    slope = 2 + costs.harm
    # Switching on loses where s is below this share of the differing tasks.
    share = np.minimum((1 + costs.harm + costs.intervening / psi) / slope, 1.0)
    below = betainc(up, down, share)
    mean_above = up / (up + down) * (1 - betainc(up + 1, down, share))  # E[s; s > share]
    positive = psi * (slope * mean_above - (1 + costs.harm) * (1 - below)) - costs.intervening * (1 - below)
    return float(mass @ below), float(mass @ positive)


def _beta_nodes(a: float, b: float) -> tuple[Floats, Floats]:
    """Nodes and weights of Beta(a, b): the trapezoid rule in log-odds, where the density is smooth and light-tailed."""
    mode, sd = math.log(a / b), math.sqrt(1 / a + 1 / b)
    t = np.linspace(mode - 10 * sd - 30 / a, mode + 10 * sd + 30 / b, 2000)
    log_x, log_rest = -np.logaddexp(0, -t), -np.logaddexp(0, t)
    weight = np.exp(a * log_x + b * log_rest - betaln(a, b))
    kept = weight > 1e-16 * weight.max()
    return np.exp(log_x[kept]), weight[kept] / weight[kept].sum()


def _expected_best(up: float, down: float, alike: float, costs: Costs, tasks: int) -> float:
    """E[max(0, expected net gain after so many new tasks)], over every table that they can show."""
    total, count = up + down + alike, np.arange(tasks + 1)
    log_up, log_down, log_alike = (_log_choose(count, weight) for weight in (up, down, alike))
    log_all, best = float(_log_choose(np.array([tasks]), total)[0]), 0.0
    for recovered in range(tasks + 1):
        rest = tasks - recovered + 1
        net = (up + recovered - (1 + costs.harm) * (down + count[:rest])) / (total + tasks) - costs.intervening
        mass = np.exp(log_up[recovered] + log_down[:rest] + log_alike[:rest][::-1] - log_all)
        best += float(mass @ np.maximum(net, 0.0))
    return best


def _log_choose(count: NDArray[np.int64], weight: float) -> Floats:
    """log of Γ(weight + count) / (Γ(weight)·count!): one factor of a Dirichlet-multinomial probability."""
    logs: Floats = gammaln(weight + count) - gammaln(weight) - gammaln(count + 1.0)
    return logs
