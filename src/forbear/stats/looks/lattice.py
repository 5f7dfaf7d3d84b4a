"""Every way in which a pilot can come to a table, one pair per task: exact probabilities of designs with several looks.

Given the table (C recovered, B disrupted) after n tasks, each order of its pairs is equally likely, whatever the truth.
So the share of orders in which a pilot is still going when it comes to a table belongs to the design alone:

    share(n; C, B) = C/n·going(n − 1; C − 1, B) + B/n·going(n − 1; C, B − 1) + (n − C − B)/n·going(n − 1; C, B)

with going = share where the design does not stop. The probability to come to the table under a truth is that share
times its trinomial probability.

What is carried along is the share times the table's probability under the truth (⅓, ⅓, ⅓), for which the recursion is a
plain mean of three neighbours: sums of positive terms, so nothing cancels, and to 600 tasks nothing underflows.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from forbear.stats.intervals import restricted_discordance
from forbear.stats.regions import Counts, Floats, log_factorial

Bools = NDArray[np.bool_]
Region = Callable[[int], Bools | None]
"""Of a number of tasks, the tables [C, B] at which something happens, shape (n + 1, n + 1); None where nothing can."""

_LOG_3 = math.log(3)
_NEGLIGIBLE = -36.0
"""Tables whose probability is below exp(−36) at every discordance are not worth a term: there are some 10⁴."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What a design can have come to after so many tasks."""

    tasks: int
    weight: Floats
    """[C, B]: the share of a table's orders in which the pilot had not stopped before, times 3⁻ⁿ for each order."""
    early_weight: Floats | None
    """[C, B]: the same times the mean, over those orders, of the gain of the first tasks (those before any stop)."""

    @property
    def share(self) -> Floats:
        """[C, B]: the share of a table's orders in which the pilot had not stopped before."""
        recovered, disrupted = _axes(self.tasks)
        log_uniform = _log_orders(np.full_like(self.weight, self.tasks, dtype=np.int64), recovered, disrupted)
        share: Floats = self.weight / np.exp(log_uniform - self.tasks * _LOG_3)
        return np.where(recovered + disrupted <= self.tasks, share, 0.0)


def walk(*, first: int, last: int, stops: Region, with_early: bool = False) -> Iterator[Reached]:
    """Goes through a design task by task.

    Args:
        first: The first number of tasks at which it can stop.
        last: Tasks of the whole design.
        stops: Where it stops; asked once for each number of tasks from `first` on.
        with_early: Also follow the gain of the first tasks.

    Yields:
        What was reached after each number of tasks from `first` to `last`.
    """
    recovered, disrupted = _axes(first)
    orders = _log_orders(np.full((first + 1, first + 1), first), recovered, disrupted) - first * _LOG_3
    weight = np.where(recovered + disrupted <= first, np.exp(orders), 0.0)
    early = weight * (recovered - disrupted) / first if with_early else None
    for tasks in range(first, last + 1):
        if tasks > first:
            weight = _one_more(weight)
            early = None if early is None else _one_more(early)
        yield Reached(tasks, weight, early)
        stopped = stops(tasks)
        if stopped is not None:
            weight = np.where(stopped, 0.0, weight)
            early = None if early is None else np.where(stopped, 0.0, early)


def _one_more(going: Floats) -> Floats:
    """From what is still going to what is reached a task later: recovered, disrupted, or neither."""
    going = going / 3
    size = len(going) + 1
    reached = np.zeros((size, size))
    reached[:-1, :-1] = going
    reached[1:, :-1] += going
    reached[:-1, 1:] += going
    return reached


def _axes(tasks: int) -> tuple[Counts, Counts]:
    """The counts C, as a column, and B, as a row, of all tables of so many tasks."""
    count = np.arange(tasks + 1)
    return count[:, None], count[None, :]


def _log_orders(tasks: Counts, recovered: Counts, disrupted: Counts) -> Floats:
    """log of the number of orders of each table; of any value where there is no such table."""
    factorial = log_factorial(int(tasks.max(initial=0)))
    rest = np.maximum(tasks - recovered - disrupted, 0)
    logs: Floats = factorial[tasks] - (factorial[recovered] + factorial[disrupted] + factorial[rest])
    return logs


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables with the number of their orders that counts, flat."""

    tasks: Counts
    recovered: Counts
    disrupted: Counts
    log_orders: Floats

    @classmethod
    def of(cls, parts: Iterable[tuple[Reached, Bools]]) -> Self:
        """Those of what was reached that lie in a region [C, B], by number of tasks."""
        found = []
        for reached, region in parts:
            up, down = np.nonzero(region & (reached.weight > 0))
            orders = np.log(reached.weight[up, down]) + reached.tasks * _LOG_3
            found.append(cls(np.full(len(up), reached.tasks), up, down, orders))
        return cls.joined(found)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All of several."""
        none = np.empty(0, np.int64)
        return cls(
            tasks=np.concatenate([none, *(part.tasks for part in parts)]),
            recovered=np.concatenate([none, *(part.recovered for part in parts)]),
            disrupted=np.concatenate([none, *(part.disrupted for part in parts)]),
            log_orders=np.concatenate([np.empty(0), *(part.log_orders for part in parts)]),
        )

    @property
    def _rest(self) -> Counts:
        return self.tasks - self.recovered - self.disrupted

    def masses(self, *, gain: float, discordance: float) -> Floats:
        """The probability of coming to each of them under a truth with |gain| ≤ discordance ≤ 1."""
        up, down = max((discordance + gain) / 2, 0.0), max((discordance - gain) / 2, 0.0)
        # xlogy: where nothing is possible, nothing of it has probability one.
        log_mass = xlogy(self.recovered, up) + xlogy(self.disrupted, down)
        masses: Floats = np.exp(self.log_orders + log_mass + xlogy(self._rest, max(1 - discordance, 0.0)))
        return masses

    def probability(self, *, gain: float, discordance: Floats) -> Floats:
        """Of coming to any of them, for each of several discordances with |gain| ≤ ψ ≤ 1."""
        return np.array([self.masses(gain=gain, discordance=psi).sum() for psi in discordance.tolist()])

    def worst_case(self, margin: float) -> float:
        """The largest probability under Δ = margin over every discordance in [|margin|, 1]."""
        tables = self._possible(margin)
        if not len(tables.tasks):
            return 0.0
        # Even in the arc sine, where a binomial has constant spread; its features are then about 1/√n wide.
        angle = np.linspace(0, np.pi / 2, 24 + int(4 * np.sqrt(tables.tasks.max())))

        def at(angles: Floats) -> Floats:
            return tables.probability(gain=margin, discordance=abs(margin) + (1 - abs(margin)) * np.sin(angles) ** 2)

        values = at(angle)
        for _ in range(5):  # each round looks between the neighbours of the largest, at a quarter of the distance
            top = int(values.argmax())
            low, high = angle[max(top - 1, 0)], angle[min(top + 1, len(angle) - 1)]
            angle = np.linspace(low, high, 9)
            values = at(angle)
        return min(float(values.max()), 1.0)

    def _possible(self, margin: float) -> "Tables":
        """Those whose probability under Δ = margin is not negligible at every discordance."""
        up, down = self.recovered.astype(float), self.disrupted.astype(float)
        psi = restricted_discordance(up, down, n=self.tasks.astype(float), gain=margin)
        psi = np.minimum(np.maximum(psi, abs(margin)), 1.0)
        likeliest = self.log_orders + xlogy(self._rest, 1 - psi)
        likeliest += xlogy(up, (psi + margin) / 2) + xlogy(down, (psi - margin) / 2)
        kept = likeliest > _NEGLIGIBLE
        return Tables(self.tasks[kept], self.recovered[kept], self.disrupted[kept], self.log_orders[kept])
