"""Many simulated pilots with several seeds per task at once, and the clustered statistic written out for all of them.

A pilot's statistic depends only on how many tasks show each split of their seeds, so a pilot is one multinomial draw.
"""

import functools

import numpy as np
from scipy import stats

from forbear import PairedOutcomes
from forbear.stats.exact import exact_unconditional

Truth = list[tuple[float, float, float]]
"""A mixture of kinds of task: (share of tasks, chance of a seed to recover, chance to be disrupted)."""


def splits(seeds: int) -> np.ndarray:
    """All (recovered, disrupted) counts of one task."""
    return np.array([(c, b) for c in range(seeds + 1) for b in range(seeds + 1 - c)])


def split_chances(seeds: int, truth: Truth) -> np.ndarray:
    """The probability of each split; given its kind, the seeds of a task are independent."""
    chances = np.zeros(len(splits(seeds)))
    for share, up, down in truth:
        chances += [
            share * stats.multinomial.pmf([c, b, seeds - c - b], seeds, [up, down, max(1 - up - down, 0.0)])
            for c, b in splits(seeds)
        ]
    return chances / chances.sum()


def gain_of(truth: Truth) -> float:
    return sum(share * (up - down) for share, up, down in truth)


def agreeing(discordance: float, gain: float, agreement: float) -> Truth:
    """Seeds of a share `agreement` of the tasks always agree; those of the others are independent."""
    up, down = (discordance + gain) / 2, (discordance - gain) / 2
    return [
        (1 - agreement, up, down),
        (agreement * up, 1.0, 0.0),
        (agreement * down, 0.0, 1.0),
        (agreement * (1 - up - down), 0.0, 0.0),
    ]


def draw(rng: np.random.Generator, *, tasks: int, seeds: int, truth: Truth, pilots: int) -> np.ndarray:
    """Pilots × splits: the number of tasks that show each."""
    return rng.multinomial(tasks, split_chances(seeds, truth), size=pilots)


def statistics(counts: np.ndarray, seeds: int, gain: float) -> np.ndarray:
    """Tango's statistic over the root of the shrunk design effect, from the definitions."""
    split = splits(seeds)
    tasks = int(counts[0].sum())
    n = tasks * seeds
    recovered, disrupted = counts @ split[:, 0], counts @ split[:, 1]
    squares = counts @ (split[:, 0] - split[:, 1]) ** 2
    estimate, discordance = (recovered - disrupted) / n, (recovered + disrupted) / n
    informative = counts[:, split.sum(axis=1) > 0].sum(axis=1)
    clustered = tasks / (tasks - 1) * (squares - tasks * (seeds * estimate) ** 2) / n**2
    independent = (discordance - estimate**2) / n
    ratio = np.divide(clustered, independent, out=np.full(len(counts), float(seeds)), where=independent > 0)
    effect = (informative * np.clip(ratio, 0.2, seeds) + 2 * seeds) / (informative + 2)
    # Restricted maximum: q solves 2n·q² − q·(C + B − (2n − C + B)·gain) − B·gain·(1 − gain) = 0 (Tango 1998).
    if gain < 0:
        mirror = [int(np.flatnonzero((split == s[::-1]).all(axis=1))[0]) for s in split]
        return -statistics(counts[:, mirror], seeds, -gain)
    linear = (2 * n - recovered + disrupted) * gain - recovered - disrupted
    q = (np.sqrt(linear**2 + 8 * n * disrupted * gain * (1 - gain)) - linear) / (4 * n)
    variance = n * (2 * q + gain * (1 - gain))
    excess = recovered - disrupted - n * gain
    return np.divide(excess, np.sqrt(variance), out=np.zeros(len(counts)), where=variance > 0) / np.sqrt(effect)


def seedwise_rejects(
    rng: np.random.Generator, *, tasks: int, seeds: int, truth: Truth, pilots: int, alpha: float
) -> np.ndarray:
    """Whether the exact test of "no gain" rejects at alpha/seeds on any seed index, pilot by pilot."""
    critical = critical_counts(tasks, alpha / seeds)
    kinds = rng.multinomial(tasks, [share for share, _, _ in truth], size=pilots)
    rejected = np.zeros(pilots, dtype=bool)
    for _ in range(seeds):
        recovered, disrupted = np.zeros(pilots, dtype=int), np.zeros(pilots, dtype=int)
        for kind, (_, up, down) in enumerate(truth):
            recovered_here = rng.binomial(kinds[:, kind], up)
            recovered += recovered_here
            disrupted += rng.binomial(kinds[:, kind] - recovered_here, down / (1 - up) if up < 1 else 0.0)
        rejected |= recovered >= critical[recovered + disrupted]
    return rejected


@functools.cache
def critical_counts(n: int, alpha: float) -> np.ndarray:
    """By discordant total, the smallest recovered count at which the exact unconditional test of "no gain" rejects."""
    critical, count = np.zeros(n + 1, dtype=int), 0
    for total in range(n + 1):
        count = min(count, total + 1)
        while count <= total and pvalue(count, total - count, n) > alpha:
            count += 1
        while count > 0 and pvalue(count - 1, total - count + 1, n) <= alpha:
            count -= 1
        critical[total] = count
    return critical


def pvalue(recovered: int, disrupted: int, n: int) -> float:
    same = n - recovered - disrupted
    return exact_unconditional(
        PairedOutcomes(both_fail=same, recovered=recovered, disrupted=disrupted, both_succeed=0)
    ).pvalue
