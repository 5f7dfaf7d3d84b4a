"""Many simulated pilots with several seeds per task at once, and the p-values of all of them.

A pilot's p-value depends only on how many tasks show each split of their seeds, so a pilot is one multinomial draw.
"""

import numpy as np
from scipy import stats

from forbear.stats.dirichlet import dirichlet_tail

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


def pvalues(
    counts: np.ndarray, seeds: int, *, margin: float = 0.0, alternative: str = "greater", weight: float | None = None
) -> np.ndarray:
    """Of every pilot (pilots × splits): the test of several seeds, at the calibrated weight unless another is named."""
    split = splits(seeds)
    difference = split[:, 0] - split[:, 1]
    tasks = np.stack([counts[:, difference == d].sum(axis=1) for d in range(-seeds, seeds + 1)], axis=1)
    return lattice_pvalues(tasks, seeds, margin=margin, alternative=alternative, weight=weight)


def lattice_pvalues(
    tasks: np.ndarray, seeds: int, *, margin: float = 0.0, alternative: str = "greater", weight: float | None = None
) -> np.ndarray:
    """The same of pilots × (2·seeds + 1): how many tasks have each difference from −1 to 1."""
    return value_pvalues(
        np.arange(-seeds, seeds + 1) / seeds,
        tasks,
        margin=margin,
        alternative=alternative,
        weight=calibrated(seeds) if weight is None else weight,
    )


def value_pvalues(
    values: np.ndarray, tasks: np.ndarray, *, margin: float = 0.0, alternative: str = "greater", weight: float
) -> np.ndarray:
    """The same of pilots × values: how many tasks have each difference; weight 1 where docs/methods.md says so."""
    sign = 1.0 if alternative == "greater" else -1.0
    values, margin = sign * values, sign * margin
    distinct, which = np.unique(tasks, axis=0, return_inverse=True)
    calm = distinct[:, np.abs(values) < 1e-9].sum(axis=1) >= 0.1 * distinct.sum(axis=1)

    def tails(margin: float, weights: np.ndarray | float) -> np.ndarray:
        rows = np.column_stack([distinct, np.broadcast_to(weights, len(distinct))])
        return dirichlet_tail(np.append(values - margin, -1 - margin), rows)

    if margin >= 0 or weight == 1:
        found = tails(margin, np.where(calm, weight, 1.0))
    else:
        found = np.minimum(tails(margin, 1.0), np.where(calm, tails(0.0, weight), 1.0))
    return found[which.ravel()]


def calibrated(seeds: int) -> float:
    """The weight of the worst value, as published in docs/methods.md."""
    return {2: 0.55, 3: 0.55, 4: 0.6, 5: 0.6}.get(seeds, 0.7 if seeds <= 10 else 1.0)
