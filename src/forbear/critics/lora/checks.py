"""Checks that what a model reads of a step tells nothing that a critic will not know, before it is trained on it."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import expit

from forbear.critics.bags import bag_of
from forbear.critics.leaks import (
    ShuffledResult,
    require_blind_to_the_end,
    require_blind_to_the_rest,
    require_disjoint,
    shuffled_labels,
)
from forbear.critics.runs import JudgedRun
from forbear.critics.training import matrix, solve
from forbear.records.model import Action, Trajectory

Prompt = Callable[[Trajectory, Action], list[int]]

_BUCKETS = 1 << 15
_MOST_RUNS = 1500
"""Runs whose prompts are looked at; more say no more."""


def require_no_leak(
    split: Mapping[str, Sequence[JudgedRun]], prompt: Prompt, *, rng: np.random.Generator
) -> ShuffledResult:
    """The checks of `leaks`, on prompts.

    What a model of this size would learn of shuffled outcomes costs as much as training it five times; so the words of
    its prompts are what is learned from, by a logistic regression, on the same split.

    Args:
        split: By part, its runs; what the first holds is learned from, the others are judged.
        prompt: The tokens of a step.
        rng: Shuffles.

    Raises:
        InvalidInput: A task in two parts; a prompt that changes with what comes after its step, or tells a run's last
            step from others; shuffled outcomes that are predicted all the same.
    """
    parts = list(split.values())
    for at, part in enumerate(parts):
        require_disjoint((run.group for run in part), (run.group for other in parts[at + 1 :] for run in other))
    share = min(1.0, _MOST_RUNS / sum(map(len, parts)))
    kept = [list(part[: max(2, round(share * len(part)))]) if part else [] for part in parts]
    runs = [run for part in kept for run in part]
    require_blind_to_the_rest(prompt, runs)
    prompts = [[prompt(seen, proposed) for seen, proposed in run.judged()] for run in runs]
    index = np.concatenate([np.arange(len(found)) for found in prompts])
    left = np.concatenate([np.arange(len(found))[::-1] for found in prompts])
    lengths = np.array([[float(len(tokens))] for found in prompts for tokens in found])
    require_blind_to_the_end(lengths, ["length of the prompt"], index=index, left=left)
    of_run = np.repeat(np.arange(len(runs)), list(map(len, prompts)))
    learned = of_run < len(kept[0])
    return _shuffled([tokens for found in prompts for tokens in found], of_run, learned, runs, rng)


def _shuffled(
    prompts: Sequence[Sequence[int]],
    of_run: NDArray[np.int64],
    learned: NDArray[np.bool_],
    runs: Sequence[JudgedRun],
    rng: np.random.Generator,
) -> ShuffledResult:
    bags = matrix([bag_of(" ".join(map(str, tokens)), buckets=_BUCKETS) for tokens in prompts], buckets=_BUCKETS)
    squares = np.bincount(np.repeat(np.arange(bags.shape[0]), np.diff(bags.indptr)), weights=bags.data**2)
    x = csr_array(bags.multiply(1 / np.sqrt(np.maximum(squares, 1.0))[:, None]))
    weight = 1.0 / np.bincount(of_run)[of_run]

    def judge(outcomes: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        y = outcomes[of_run]
        theta = solve(x[learned], y[learned], weight[learned], 1.0, np.zeros(x.shape[1] + 1), 40)
        return y[~learned], expit(x[~learned] @ theta[:-1] + theta[-1])

    return shuffled_labels(judge, [run.failed for run in runs], rng=rng)
