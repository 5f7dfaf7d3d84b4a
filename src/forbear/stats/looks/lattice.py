"""Every way in which a pilot can come to a table, one pair per task: exact probabilities of several looks.

Given the table (C recovered, B disrupted) after n tasks, each order of its pairs is equally likely, whatever the truth.
So the share of orders in which a pilot is still going when it comes to a table belongs to the looks alone:

    share(n; C, B) = C/n·going(n − 1; C − 1, B) + B/n·going(n − 1; C, B − 1) + (n − C − B)/n·going(n − 1; C, B)

with going = share where they do not stop it. The probability to come to the table under a truth is that share
times its trinomial probability.

What is carried along is the share times the table's probability under the truth (⅓, ⅓, ⅓), for which the recursion is a
plain mean of three neighbours: sums of positive terms, so nothing cancels, and to 600 tasks nothing underflows.

Where only the worst case under Δ = margin is asked for, `first_stops` follows the tables that are not negligible there:
a band of about 8½ standard deviations on each side of the margin, which is a third of all and lies still in memory.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
_LARGE = 1 << 20
"""More than all tasks of a pilot."""
_CHUNK = 1 << 16
"""Probabilities that are held in memory at once."""
_SAFE = 1 + 1e-12
"""Sums of thousands of terms are rounded; a probability of false rejection only ever upwards."""
_MOST_GROWTH = 256
"""Tasks after which counts of orders are scaled down: in so many they grow by 3²⁵⁶, about 10¹²²."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What a pilot can have come to after so many tasks."""

    tasks: int
    weight: Floats
    """[C, B]: the share of a table's orders in which the pilot had not stopped before, times 3⁻ⁿ for each order."""
    early_weight: Floats | None
    """[C, B]: the same times the mean, over those orders, of the gain of the first tasks (those before any stop)."""


def walk(*, first: int, last: int, stops: Region, with_early: bool = False) -> Iterator[Reached]:
    """Goes through a pilot task by task.

    Args:
        first: The first number of tasks at which it can stop.
        last: Tasks of the whole pilot.
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

    @classmethod
    def every(cls, tasks: int, recovered: Counts, disrupted: Counts) -> Self:
        """Tables of so many tasks with all their orders."""
        size = np.full(len(recovered), tasks)
        return cls(size, recovered, disrupted, _log_orders(size, recovered, disrupted))

    @property
    def _rest(self) -> Counts:
        return self.tasks - self.recovered - self.disrupted

    def masses(self, *, gain: float, discordance: float) -> Floats:
        """The probability of coming to each of them under a truth with |gain| ≤ discordance ≤ 1."""
        masses: Floats = self.masses_over(gain=gain, discordance=np.array([discordance]))[0]
        return masses

    def masses_over(self, *, gain: float, discordance: Floats) -> Floats:
        """The same for several discordances: (discordances, tables)."""
        shares = (discordance + gain) / 2, (discordance - gain) / 2, 1 - discordance
        # Finite where nothing is possible: nothing of it has probability one, and something of it none.
        up, down, same = np.log(np.maximum(shares, 1e-300))[:, :, None]
        # Not a matrix product: its last bits differ from call to call.
        masses: Floats = up * self.recovered + self.log_orders
        masses += down * self.disrupted
        masses += same * self._rest
        np.exp(masses, out=masses)
        return masses

    def probability(self, *, gain: float, discordance: Floats) -> Floats:
        """Of coming to any of them, for each of several discordances with |gain| ≤ ψ ≤ 1."""
        at_once = max(1, _CHUNK // max(1, len(self.tasks)))
        parts = [discordance[first : first + at_once] for first in range(0, len(discordance), at_once)]
        return np.concatenate([self.masses_over(gain=gain, discordance=part).sum(axis=1) for part in parts])

    def worst_case(self, margin: float) -> float:
        """The largest probability under Δ = margin over every discordance in [|margin|, 1]."""
        return self.peak(margin, tasks=int(self.tasks.max(initial=1)))[0]

    def peak(self, margin: float, *, tasks: int) -> tuple[float, Floats]:
        """The same, and the probability at each of `discordances(tasks, margin)`, between which it was looked for."""
        tables, angle = self._possible(margin), _angles(tasks)
        if not len(tables.tasks):
            return 0.0, np.zeros(len(angle))
        if margin == 0:
            tables = tables._by_discordant()
        first = values = tables.probability(gain=margin, discordance=_discordance(angle, margin))
        for _ in range(5):  # each round looks between the neighbours of the largest, at a quarter of the distance
            top = int(values.argmax())
            low, high = angle[max(top - 1, 0)], angle[min(top + 1, len(angle) - 1)]
            angle = np.linspace(low, high, 9)
            values = tables.probability(gain=margin, discordance=_discordance(angle, margin))
        return min(float(values.max()) * _SAFE, 1.0), first

    def _by_discordant(self) -> "Tables":
        """At Δ = 0 tables with as many discordant pairs are equally likely: one stands for all, and has all orders."""
        discordant = self.recovered + self.disrupted
        kind, of = np.unique(self.tasks * _LARGE + discordant, return_inverse=True)
        most = np.full(len(kind), -np.inf)
        np.maximum.at(most, of, self.log_orders)
        orders = most + np.log(np.bincount(of, weights=np.exp(self.log_orders - most[of])))
        return Tables(kind // _LARGE, kind % _LARGE, np.zeros(len(kind), np.int64), orders)

    def _possible(self, margin: float) -> "Tables":
        """Those whose probability under Δ = margin is not negligible at every discordance."""
        kept = _likeliest(self.tasks, self.recovered, self.disrupted, self.log_orders, margin) > _NEGLIGIBLE
        return Tables(self.tasks[kept], self.recovered[kept], self.disrupted[kept], self.log_orders[kept])


def discordances(tasks: int, margin: float) -> Floats:
    """Discordances in [|margin|, 1], so close that a probability of tables of so many tasks is smooth in between."""
    return _discordance(_angles(tasks), margin)


def _angles(tasks: int) -> Floats:
    # Even in the arc sine, where a binomial has constant spread; its features are then about 1/√n wide.
    return np.linspace(0, np.pi / 2, 24 + int(4 * np.sqrt(tasks)))


def _discordance(angle: Floats, margin: float) -> Floats:
    discordance: Floats = abs(margin) + (1 - abs(margin)) * np.sin(angle) ** 2
    return discordance


def _likeliest(tasks: Counts, recovered: Counts, disrupted: Counts, log_orders: Floats, margin: float) -> Floats:
    """log of the largest probability of tables under Δ = margin, over the discordance."""
    up, down = recovered.astype(float), disrupted.astype(float)
    psi = restricted_discordance(up, down, n=tasks.astype(float), gain=margin)
    psi = np.minimum(np.maximum(psi, abs(margin)), 1.0)
    logs: Floats = log_orders + xlogy(tasks - recovered - disrupted, 1 - psi)
    logs += xlogy(up, (psi + margin) / 2) + xlogy(down, (psi - margin) / 2)
    return logs


# --- Under the hypothesis only ------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def likely_tables(tasks: int, margin: float) -> tuple[Counts, Counts]:
    """C and B of the tables of so many tasks whose probability under Δ = margin is not negligible everywhere."""
    discordant = np.repeat(np.arange(tasks + 1), np.arange(1, tasks + 2))
    recovered = np.arange(len(discordant)) - discordant * (discordant + 1) // 2
    disrupted, size = discordant - recovered, np.full(len(discordant), tasks)
    kept = _likeliest(size, recovered, disrupted, _log_orders(size, recovered, disrupted), margin) > _NEGLIGIBLE
    return recovered[kept], disrupted[kept]


def first_stops(
    *, first: int, last: int, margin: float, stops: Callable[[int], tuple[Counts, Counts] | None]
) -> Tables:
    """Where a pilot first stops, as far as that is not negligible under Δ = margin.

    Args:
        first: The first number of tasks at which it can stop.
        last: Tasks of the whole pilot.
        margin: The gain in question, −1 < margin < 1.
        stops: Of a number of tasks, C and B of the tables at which it stops, those that cannot be reached or are
            negligible left out or not; None where it does not.

    The tables are kept as [m, j]: m discordant pairs, m//2 + j + a constant of them recovered. A task more leaves both
    as they are, or leads from an even m to m + 1 and j or j + 1, from an odd m to m + 1 and j or j − 1.
    """
    ends = [likely_tables(tasks, margin) for tasks in (first, last)]
    columns = np.concatenate([recovered - (recovered + disrupted) // 2 for recovered, disrupted in ends])
    lowest, rows = int(columns.min()), last // 2 + 1
    weight = np.zeros((2, rows, int(columns.max()) - lowest + 1))  # even and odd m apart
    flat, new = weight.reshape(-1), np.empty_like(weight[0])

    def index_of(recovered: Counts, disrupted: Counts) -> Counts:
        half, odd = np.divmod(recovered + disrupted, 2)
        return (odd * rows + half) * weight.shape[2] + recovered - half - lowest

    recovered, disrupted = ends[0]
    flat[index_of(recovered, disrupted)] = np.exp(_log_orders(np.array(first), recovered, disrupted) - first * _LOG_3)
    scaled, found = first, []
    for tasks in range(first, last + 1):
        if tasks > first:
            _take_one(weight, new, upto=tasks // 2 + 1)
        if tasks - scaled >= _MOST_GROWTH:
            weight *= 3.0**-_MOST_GROWTH
            scaled += _MOST_GROWTH
        if (where := stops(tasks)) is None:
            continue
        recovered, disrupted = where
        column = recovered - (recovered + disrupted) // 2 - lowest
        inside = (column >= 0) & (column < weight.shape[2])
        recovered, disrupted = recovered[inside], disrupted[inside]
        at = index_of(recovered, disrupted)
        reached = flat[at] > 0
        recovered, disrupted, at = recovered[reached], disrupted[reached], at[reached]
        orders = np.log(flat[at]) + scaled * _LOG_3
        found.append(Tables(np.full(len(at), tasks), recovered, disrupted, orders))
        flat[at] = 0.0
    return Tables.joined(found)


def _take_one(weight: Floats, new: Floats, *, upto: int) -> None:
    """A task more: the orders that lead to each table, from those of its three neighbours."""
    (even, odd), new = weight[:, :upto], new[:upto]
    new[:, 0] = even[:, 0]
    np.add(even[:, 1:], even[:, :-1], out=new[:, 1:])
    even[1:] += odd[:-1]
    even[1:, :-1] += odd[:-1, 1:]
    odd += new
