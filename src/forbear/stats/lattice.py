"""Every way in which a pilot can come to a table, one pair per task: exact probabilities of designs with several looks.

Given the table (C recovered, B disrupted) after n tasks, each order of its pairs is equally likely, whatever the truth.
So the share of orders in which a pilot is still going when it comes to a table belongs to the design alone:

    share(n; C, B) = C/n·going(n − 1; C − 1, B) + B/n·going(n − 1; C, B − 1) + (n − C − B)/n·going(n − 1; C, B)

with going = share where the design does not stop. The probability to come to the table under a truth is that share
times its trinomial probability. Shares lie in [0, 1] and are sums of positive terms: nothing overflows or cancels.
"""

from collections.abc import Callable, Iterable, Iterator
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

_NOTHING = 1e-15
"""Shares below it are not worth a term: a design has some 10⁴ tables."""
_NEGLIGIBLE = -36.0
"""Nor are tables whose probability is below exp(−36) at every discordance."""


@dataclass(frozen=True, slots=True)
class Reached:
    """What a design can have come to after so many tasks."""

    tasks: int
    share: Floats
    """[C, B]: the share of a table's orders in which the pilot had not stopped before."""
    early: Floats | None
    """[C, B]: share times the mean, over those orders, of the gain of the first tasks (those before any stop)."""


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
    share = np.where(recovered + disrupted <= first, 1.0, 0.0)
    early = share * (recovered - disrupted) / first if with_early else None
    for tasks in range(first, last + 1):
        if tasks > first:
            share = _one_more(share, tasks)
            early = None if early is None else _one_more(early, tasks)
        yield Reached(tasks, share, early)
        stopped = stops(tasks)
        if stopped is not None:
            share = np.where(stopped, 0.0, share)
            early = None if early is None else np.where(stopped, 0.0, early)


def _one_more(going: Floats, tasks: int) -> Floats:
    """From what is still going after `tasks` − 1 tasks to what is reached after `tasks`."""
    recovered, disrupted = _axes(tasks - 1)
    going = going / tasks
    reached = np.zeros((tasks + 1, tasks + 1))
    reached[:-1, :-1] = going * (tasks - recovered - disrupted)
    reached[1:, :-1] += going * (recovered + 1)
    reached[:-1, 1:] += going * (disrupted + 1)
    return reached


def _axes(tasks: int) -> tuple[Counts, Counts]:
    """The counts C, as a column, and B, as a row, of all tables of so many tasks."""
    count = np.arange(tasks + 1)
    return count[:, None], count[None, :]


@dataclass(frozen=True, slots=True)
class Tables:
    """Tables with the share of their orders that counts, flat."""

    tasks: Counts
    recovered: Counts
    disrupted: Counts
    share: Floats

    @classmethod
    def of(cls, parts: Iterable[tuple[int, Floats]]) -> Self:
        """Collects shares [C, B] by number of tasks."""
        none = np.empty(0, np.int64)
        tasks, recovered, disrupted, shares = [none], [none], [none], [np.empty(0)]
        for number, share in parts:
            up, down = np.nonzero(share > _NOTHING)
            tasks.append(np.full(len(up), number))
            recovered.append(up)
            disrupted.append(down)
            shares.append(share[up, down])
        return cls(np.concatenate(tasks), np.concatenate(recovered), np.concatenate(disrupted), np.concatenate(shares))

    @property
    def _rest(self) -> Counts:
        return self.tasks - self.recovered - self.disrupted

    @property
    def _log_ways(self) -> Floats:
        factorial = log_factorial(int(self.tasks.max(initial=0)))
        ways: Floats = np.log(self.share) + factorial[self.tasks]
        ways -= factorial[self.recovered] + factorial[self.disrupted] + factorial[self._rest]
        return ways

    def probability(self, *, gain: float, discordance: Floats) -> Floats:
        """Of coming to any of them, for each of several discordances with |gain| ≤ ψ ≤ 1."""
        rest, log_ways = self._rest, self._log_ways
        found = np.empty(len(discordance))
        for i, psi in enumerate(discordance.tolist()):
            up, down = max((psi + gain) / 2, 0.0), max((psi - gain) / 2, 0.0)
            # xlogy: where nothing is possible, nothing of it has probability one.
            log_mass = xlogy(self.recovered, up) + xlogy(self.disrupted, down) + xlogy(rest, max(1 - psi, 0.0))
            found[i] = np.exp(log_ways + log_mass).sum()
        return found

    def worst_case(self, margin: float) -> float:
        """The largest probability under Δ = margin over every discordance in [|margin|, 1]."""
        tables = self._possible(margin)
        if not len(tables.share):
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
        likeliest = self._log_ways + xlogy(self._rest, 1 - psi)
        likeliest += xlogy(up, (psi + margin) / 2) + xlogy(down, (psi - margin) / 2)
        kept = likeliest > _NEGLIGIBLE
        return Tables(self.tasks[kept], self.recovered[kept], self.disrupted[kept], self.share[kept])
