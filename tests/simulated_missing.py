"""Many simulated pilots in which runs are lost, and the rules for INTERVENE written out for all (margin 0, .05).

A pilot is one multinomial draw over what its two runs did and which of them were lost.
"""

import functools
import itertools
from collections.abc import Callable

import numpy as np

from forbear.stats.regions import rejection_region

Loss = Callable[[int, int], tuple[float, float]]
"""Of a pair's outcomes (0 or 1): the chances that the baseline's and the treated run are lost."""
ALPHA = 0.05

LOSSES: dict[str, Loss] = {
    "nothing": lambda b, t: (0, 0),
    "random 2 %": lambda b, t: (0.02, 0.02),
    "random 5 %": lambda b, t: (0.05, 0.05),
    "random 10 %": lambda b, t: (0.1, 0.1),
    "random 10 %, treated only": lambda b, t: (0, 0.1),
    "treated failures 10 %": lambda b, t: (0, 0.1 * (1 - t)),
    "treated failures 20 %": lambda b, t: (0, 0.2 * (1 - t)),
    "treated failures 40 %": lambda b, t: (0, 0.4 * (1 - t)),
    "treated failures 20 %, random 5 %": lambda b, t: (0.05, 0.05 + 0.2 * (1 - t)),
    "treated successes 20 %": lambda b, t: (0, 0.2 * t),
    "baseline failures 20 %": lambda b, t: (0.2 * (1 - b), 0),
    "baseline successes 10 %": lambda b, t: (0.1 * b, 0),
    "baseline successes 20 %": lambda b, t: (0.2 * b, 0),
    "failures of both arms 20 %": lambda b, t: (0.2 * (1 - b), 0.2 * (1 - t)),
    "disrupted runs 40 %": lambda b, t: (0, 0.4 * b * (1 - t)),
    "baseline successes 10 %, treated failures 10 %": lambda b, t: (0.1 * b, 0.1 * (1 - t)),
}
ONE_SIDED = (
    *("treated failures 10 %", "treated failures 20 %", "treated failures 40 %", "treated successes 20 %"),
    *("baseline failures 20 %", "baseline successes 10 %", "baseline successes 20 %"),
)
"""One arm loses failures or successes alike."""

KINDS = tuple(itertools.product((0, 1), (0, 1), (False, True), (False, True)))
"""Baseline's outcome, treated outcome, baseline's run lost, treated run lost."""


def draw(
    rng: np.random.Generator,
    *,
    tasks: int,
    gain: float,
    discordance: float,
    failure_rate: float,
    loss: Loss,
    pilots: int,
) -> np.ndarray:
    """Pilots × KINDS: how many tasks are of each."""
    up, down = (discordance + gain) / 2, (discordance - gain) / 2
    cells = {(0, 0): failure_rate - up, (0, 1): up, (1, 0): down, (1, 1): 1 - failure_rate - down}
    chances = []
    for b, t, no_b, no_t in KINDS:
        lost_b, lost_t = loss(b, t)
        chances.append(cells[b, t] * (lost_b if no_b else 1 - lost_b) * (lost_t if no_t else 1 - lost_t))
    return rng.multinomial(tasks, np.array(chances) / sum(chances), size=pilots)


def intervenes(drawn: np.ndarray) -> dict[str, np.ndarray]:
    """Whether INTERVENE is said under each rule, pilot by pilot."""
    kind = {key: drawn[:, i] for i, key in enumerate(KINDS)}

    def count(wanted: Callable[[int, int], bool], no_b: bool, no_t: bool) -> np.ndarray:
        return sum(kind[b, t, no_b, no_t] for b in (0, 1) for t in (0, 1) if wanted(b, t))

    recovered, disrupted = kind[0, 1, False, False], kind[1, 0, False, False]
    pairs = count(lambda b, t: True, False, False)
    only_t = count(lambda b, t: b == 1, False, True), count(lambda b, t: b == 0, False, True)
    only_b = count(lambda b, t: t == 0, True, False), count(lambda b, t: t == 1, True, False)
    both = count(lambda b, t: True, True, True)
    lost_t, lost_b = sum(only_t), sum(only_b)
    excess = np.abs(lost_t - lost_b) - np.sqrt(lost_t + lost_b) / 2
    excess[excess < 1] = 0.0
    share = excess / np.maximum(np.maximum(lost_t, lost_b), 1)
    more_t = lost_t > lost_b
    charged = np.ceil(share * np.where(more_t, only_t[0], only_b[0]) - 1e-9).astype(int)
    harmless = np.floor(share * np.where(more_t, only_t[1], only_b[1])).astype(int)
    exclude = _rejects(recovered, disrupted, pairs)
    held = _rejects(recovered, disrupted + charged, pairs + charged + harmless)
    worst = _rejects(recovered, disrupted + only_t[0] + only_b[0] + both, pairs + lost_t + lost_b + both)
    return {"exclude": exclude, "excess": exclude & held, "worst": exclude & worst}


def outcomes_of(pilot: np.ndarray) -> tuple[list[list[bool | None]], list[list[bool | None]]]:
    """The baseline's and the treated outcomes of one drawn pilot, for `planned_outcomes`."""
    baseline: list[list[bool | None]] = []
    treated: list[list[bool | None]] = []
    for (b, t, no_b, no_t), tasks in zip(KINDS, pilot.tolist(), strict=True):
        baseline += [[None if no_b else bool(b)]] * tasks
        treated += [[None if no_t else bool(t)]] * tasks
    return baseline, treated


def _rejects(recovered: np.ndarray, disrupted: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    rejected = np.zeros(len(pairs), dtype=bool)
    for n in np.unique(pairs).tolist():
        chosen = pairs == n
        critical = critical_counts(n)
        rejected[chosen] = recovered[chosen] >= critical[(recovered + disrupted)[chosen]]
    return rejected


@functools.cache
def critical_counts(n: int) -> np.ndarray:
    """By discordant total, the smallest recovered count at which a verdict on n pairs rejects "no gain"."""
    return rejection_region(n_pairs=n, margin=0.0, alpha=ALPHA)
