"""How probable it is that some look rejects although Δ = margin, for whatever constant; exact, in milliseconds.

All that a constant decides is how many tables reject at each look: their statistics, sorted once, say how many. Which
tables a constant nearby adds or takes away is known as well, and so is about what they change; so the smallest constant
that keeps α is found in about four walks through the lattice.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from forbear.stats.intervals import tango_statistic
from forbear.stats.looks.lattice import Tables, discordances, first_stops, likely_tables
from forbear.stats.regions import Counts, Floats

TIE = 1e-9
"""Statistics that differ by less are equal."""
_NEAR = 0.12
"""How far from a constant the next one is looked for."""
_COUNTED = 0.7
"""About the share of a table's probability by which that of crossing rises when a look rejects it too."""


class Crossing:
    """Looks at some numbers of tasks, the last at most a few hundred, under Δ = margin.

    Args:
        tasks: Numbers of tasks, rising.
        factors: By look: it rejects where z ≥ constant·factor.
        margin: The gain under test.
        fewest: By look, the differing pairs below which it does not reject.
    """

    def __init__(
        self, tasks: tuple[int, ...], factors: tuple[float, ...], *, margin: float, fewest: tuple[int, ...]
    ) -> None:
        self._tasks, self._factors, self._margin = tasks, factors, margin
        self._ranked = [_ranked(n, margin, least) for n, least in zip(tasks, fewest, strict=True)]
        self._known: dict[tuple[int, ...], tuple[float, Floats]] = {}

    def probability(self, constant: float) -> float:
        """The largest over every discordance."""
        return self._at(constant)[0]

    def _at(self, constant: float) -> tuple[float, Floats]:
        """The largest, and the one at each of some discordances."""
        counts = self._counts(constant)
        if counts not in self._known:
            crossed = self.rejected(constant)
            stopped = first_stops(first=self._tasks[0], last=self._tasks[-1], margin=self._margin, stops=crossed.get)
            self._known[counts] = stopped.peak(self._margin, tasks=self._tasks[-1])
        return self._known[counts]

    def rejected(self, constant: float) -> dict[int, tuple[Counts, Counts]]:
        """By tasks at a look, C and B of the tables at which it rejects, those that Δ = margin may lead to."""
        looks = zip(self._tasks, self._ranked, self._counts(constant), strict=True)
        return {tasks: (recovered[:count], disrupted[:count]) for tasks, (recovered, disrupted, _), count in looks}

    def _counts(self, constant: float) -> tuple[int, ...]:
        """By look, how many of the ranked tables reject."""
        looks = zip(self._ranked, self._factors, strict=True)
        return tuple(
            int(np.searchsorted(falling, TIE - constant * factor, "right")) for (_, _, falling), factor in looks
        )

    def least(self, alpha: float, *, start: float, step: float, shift: float) -> int:
        """The smallest k ≥ 0 for which the constant k·step − shift is crossed with probability at most alpha.

        Args:
            alpha: The level.
            start: About the answer, as a constant.
            step: Between the constants that are asked for.
            shift: What they are lowered by.
        """
        low, high, at = -1, math.inf, max(0, math.ceil(start / step))
        counted, slow = _COUNTED, False
        before: tuple[float, Floats] | None = None
        while high - low > 1:
            gap, constant = high - low, at * step - shift
            largest, values = self._at(constant)
            low, high = (low, at) if largest <= alpha else (at, high)
            slow = low >= 0 and high < math.inf and not slow and 2 * (high - low) > gap
            nearby = self._around(constant)
            if before is not None:
                counted = nearby.counted(before[0], before[1] - values, otherwise=counted)
            before = constant, values
            aim = (low + high) / 2 if slow else (nearby.meets(alpha, largest, values, counted) + shift) / step
            at = int(min(max(math.floor(aim) + 1, low + 1), high - 1))
        return int(high)

    def _around(self, constant: float) -> "_Nearby":
        upto, parts = [], []
        fewest, most = self._counts(constant + _NEAR), self._counts(constant - _NEAR)
        looks = zip(self._tasks, self._factors, self._ranked, fewest, most, strict=True)
        for tasks, factor, (recovered, disrupted, falling), first, last in looks:
            near = slice(first, last)
            upto.append((TIE - falling[near]) / factor)
            parts.append(Tables.every(tasks, recovered[near], disrupted[near]))
        limits = np.concatenate(upto)
        order = np.argsort(-limits, kind="stable")
        grid = discordances(self._tasks[-1], self._margin)
        masses = Tables.joined(parts).masses_over(gain=self._margin, discordance=grid)[:, order]
        sums = np.concatenate((np.zeros((len(grid), 1)), np.cumsum(masses, axis=1)), axis=1)
        return _Nearby(constant, limits[order], sums)


@dataclass(frozen=True, slots=True)
class _Nearby:
    """Tables on whose rejection a constant decides, in the order in which a falling one takes them in."""

    constant: float
    upto: Floats
    """(tables,): the largest constant with which each rejects."""
    sums: Floats
    """(discordances, tables + 1): the probability of the first 0, 1, 2, ... of them, one by one."""

    def _added(self, constant: float) -> Floats:
        """(discordances, tables + 1): by how much the sums exceed that of the tables that a constant rejects."""
        return self.sums - self.sums[:, [self._rejected(constant)]]

    def _rejected(self, constant: float) -> int:
        return int(np.searchsorted(-self.upto, -constant, side="right"))

    def counted(self, constant: float, rise: Floats, *, otherwise: float) -> float:
        """The share of the sums by which the probability of crossing rose: many would have crossed elsewhere."""
        total = float(self._added(self.constant)[:, self._rejected(constant)].sum())
        return min(max(float(rise.sum()) / total, 0.1), 1.0) if abs(total) > 1e-9 else otherwise

    def meets(self, alpha: float, largest: float, values: Floats, counted: float) -> float:
        """About the constant above which the largest probability is at most alpha, from what it is here."""
        if largest == 0.0:
            return self.constant - _NEAR
        # Between the discordances it may be larger than at any of them.
        estimate = (values[:, None] + counted * self._added(self.constant)).max(axis=0) * (largest / values.max())
        count = int(np.searchsorted(estimate, alpha, side="right")) - 1
        if count < 0:
            return self.constant + _NEAR
        return float(self.upto[count]) if count < len(self.upto) else self.constant - _NEAR


@lru_cache(maxsize=32)
def _ranked(tasks: int, margin: float, fewest: int) -> tuple[Counts, Counts, Floats]:
    """C, B and −z of the tables at which a look may reject and that Δ = margin may lead to, by falling statistic z."""
    recovered, disrupted = likely_tables(tasks, margin)
    enough = recovered + disrupted >= fewest
    recovered, disrupted = recovered[enough], disrupted[enough]
    falling = -tango_statistic(recovered.astype(float), disrupted.astype(float), n=tasks, gain=margin)
    order = np.argsort(falling, kind="stable")
    return recovered[order], disrupted[order], falling[order]
