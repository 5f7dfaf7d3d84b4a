"""Training a critic on what stepping in was worth: least squares on forks, everything split by task.

The label of a prefix is the difference of its continuations, treated minus baseline: −1, 0 or 1 for one pair, a mean
for several. Least squares, because what it estimates is that mean itself, which a policy can hold against a threshold:
its sign would leave out the pairs that ended alike, and so how often stepping in changes anything.
Features and head are those of `training`; the penalty is chosen on held-out tasks, and what held-out scores promise is
shrunk to what held-out forks gave, to nothing where they gave nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from forbear.critics.bags import BAGS, bag_of, texts_of
from forbear.critics.behaviour import behaviour
from forbear.critics.forks import JudgedFork
from forbear.critics.leaks import require_disjoint
from forbear.critics.trained import TrainedWeights, task_key
from forbear.critics.training import MIN_OUTCOMES, MIN_TASKS, Recipe, Rows, design, matrix
from forbear.errors import InvalidInput
from forbear.learned.hashing import bucket
from forbear.learned.optimiser import minimise
from forbear.stats.intervals import Estimate
from forbear.wording import counted

Floats = NDArray[np.float64]

STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Inverse penalties that are tried: labels are mostly chance, so that all of them are strong."""
_RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvantageTraining:
    """A critic's weights, and how well it did on tasks that it had not seen."""

    weights: TrainedWeights
    """Their logit is the advantage."""
    strength: float
    held_out: Floats
    """By fork, the advantage that critics of the same recipe told of tasks that they were not trained on."""
    gains: Floats
    """By fork, what it was."""
    metrics: Mapping[str, Estimate | None]
    """On held-out tasks, with 95 % intervals over tasks: `gain` of all forks, `upper_half` and `lower_half`, those told
    to be worth more and less than the median, their `difference`, and `explained`: the share of the squared error of
    the mean that is gone (below 0 it is worse than the mean)."""
    forks: int
    continuations: int
    """Pairs of runs in all."""
    tasks: tuple[str, ...]
    """Ids, sorted."""
    folds: int
    fold_of: Mapping[str, int]
    """By `task_key`, in which fold a task was held out."""


def train_advantage(forks: Sequence[JudgedFork], *, recipe: Recipe | None = None) -> AdvantageTraining:
    """Trains a critic of advantages.

    Args:
        forks: To learn from, of one intervention.
        recipe: Buckets, folds, iterations and the seed of the intervals are taken from it.

    Raises:
        InvalidInput: Fewer than `MIN_TASKS` tasks, or fewer than `MIN_OUTCOMES` pairs that differ.
    """
    recipe = recipe or Recipe()
    _require_enough(forks)
    rows = _rows_of(forks, recipe)
    gains = np.array([fork.gain for fork in forks])
    raw = np.empty((len(STRENGTHS), len(forks)))
    for fold in range(recipe.folds):
        train = rows.fold != fold
        x = design(rows, train)[0]
        theta = np.zeros(x.shape[1] + 1)
        for at, strength in enumerate(STRENGTHS):
            theta = _solve(x[train], gains[train], rows.weight[train], strength, theta, recipe.iterations)
            raw[at, ~train] = x[~train] @ theta[:-1] + theta[-1]
    losses = [float(np.add.reduce(rows.weight * (gains - scores) ** 2)) for scores in raw]
    best = int(np.argmin(losses))
    held_out = np.empty(len(forks))
    for fold in range(recipe.folds):
        here = rows.fold == fold
        slope, shift = _shrunk(raw[best][~here], gains[~here], rows.weight[~here])
        held_out[here] = np.clip(slope * raw[best][here] + shift, -1.0, 1.0)
    slope, shift = _shrunk(raw[best], gains, rows.weight)
    weights = replace(_fit(rows, gains, STRENGTHS[best], recipe), slope=slope, shift=shift)
    return AdvantageTraining(
        weights=weights,
        strength=STRENGTHS[best],
        held_out=held_out,
        gains=gains,
        metrics=_metrics(forks, held_out, gains, rows, seed=recipe.seed),
        forks=len(forks),
        continuations=sum(len(fork.gains) for fork in forks),
        tasks=tuple(sorted({fork.task for fork in forks})),
        folds=recipe.folds,
        fold_of={task_key(fork.task): int(fold) for fork, fold in zip(forks, rows.fold.tolist(), strict=True)},
    )


def _require_enough(forks: Sequence[JudgedFork]) -> None:
    groups = len({fork.group for fork in forks})
    if groups < MIN_TASKS:
        raise InvalidInput(
            f"forks of {counted(groups, 'task')} to learn from; at least {MIN_TASKS} are needed, since a critic is "
            "judged on tasks that it has not seen. Some hundreds make a useful one."
        )
    differing = sum(gain != 0 for fork in forks for gain in fork.gains)
    if differing < MIN_OUTCOMES:
        raise InvalidInput(
            f"stepping in changed the outcome of {counted(differing, 'pair')} of runs; a critic learns from those, and "
            f"needs at least {MIN_OUTCOMES}. Collect more."
        )


def _rows_of(forks: Sequence[JudgedFork], recipe: Recipe) -> Rows:
    bags: list[list[tuple[NDArray[np.int64], Floats]]] = [[] for _ in BAGS]
    numbers: list[list[float]] = []
    for fork in forks:
        numbers.append(behaviour(fork.trajectory, fork.proposed))
        for bag, text in zip(bags, texts_of(fork.trajectory, fork.proposed), strict=True):
            bag.append(bag_of(text, buckets=recipe.buckets))
    runs_of: dict[str, int] = {}
    for fork in forks:
        runs_of[fork.group] = runs_of.get(fork.group, 0) + len(fork.gains)
    # In an order that says nothing of the gains, and is the same for a longer list.
    ordered = sorted(runs_of, key=lambda group: (bucket(group), group))
    fold_of = {group: position % recipe.folds for position, group in enumerate(ordered)}
    fold = np.array([fold_of[fork.group] for fork in forks])
    for number in range(recipe.folds):
        require_disjoint(
            (fork.group for fork, at in zip(forks, fold, strict=True) if at == number),
            (fork.group for fork, at in zip(forks, fold, strict=True) if at != number),
        )
    count = np.arange(len(forks))
    return Rows(
        bags=tuple(matrix(bag, buckets=recipe.buckets) for bag in bags),
        numbers=np.array(numbers),
        # A task counts once, a prefix by how often it was continued.
        weight=np.array([len(fork.gains) / runs_of[fork.group] for fork in forks]),
        run=count,
        fold=fold,
        index=np.array([fork.trajectory.steps[-1].index for fork in forks]),
        left=np.zeros_like(count),
    )


def _solve(x: csr_array, y: Floats, weight: Floats, strength: float, start: Floats, most: int) -> Floats:
    """Weights and, last, the bias, of the penalised least squares."""
    x_t = csr_array(x.T)

    def objective(theta: Floats) -> tuple[float, Floats]:
        error = x @ theta[:-1] + theta[-1] - y
        penalty = np.append(theta[:-1], 0.0) / strength
        pull = weight * error
        gradient = np.append(x_t @ pull, np.add.reduce(pull)) + penalty
        return float(0.5 * np.add.reduce(pull * error) + 0.5 * np.add.reduce(penalty * theta)), gradient

    return minimise(objective, start, iterations=most, tolerance=1e-4)


def _fit(rows: Rows, gains: Floats, strength: float, recipe: Recipe) -> TrainedWeights:
    everywhere = np.ones(len(gains), dtype=bool)
    x, idf, mean, sd = design(rows, everywhere)
    theta = _solve(x, gains, rows.weight, strength, np.zeros(x.shape[1] + 1), recipe.iterations)
    size = len(BAGS) * recipe.buckets
    # Rounded as they are stored, so that what was trained is what is loaded.
    bags = theta[:size].astype("<f4").astype(np.float64).reshape(len(BAGS), recipe.buckets)
    return TrainedWeights(idf=idf, bags=bags, mean=mean, sd=sd, dense=theta[size:-1], bias=float(theta[-1]))


def _shrunk(raw: Floats, gains: Floats, weight: Floats) -> tuple[float, float]:
    """Slope, in [0, 1], and shift that make scores of held-out forks what these gave on average."""
    share = weight / np.add.reduce(weight)
    center, mean = float(np.add.reduce(share * raw)), float(np.add.reduce(share * gains))
    spread = float(np.add.reduce(share * (raw - center) ** 2))
    slope = float(np.add.reduce(share * (raw - center) * (gains - mean))) / spread if spread > 1e-12 else 0.0
    slope = min(max(slope, 0.0), 1.0)
    return slope, mean - slope * center


def _metrics(
    forks: Sequence[JudgedFork], told: Floats, gains: Floats, rows: Rows, *, seed: int
) -> dict[str, Estimate | None]:
    """On held-out forks, with intervals over tasks."""
    groups = {group: number for number, group in enumerate(dict.fromkeys(fork.group for fork in forks))}
    of_fork = np.array([groups[fork.group] for fork in forks])
    upper = told > np.median(told)
    # Each fold's own mean: that of the others, as a critic that knows nothing would say.
    known = np.empty(len(gains))
    for fold in np.unique(rows.fold):
        others = rows.fold != fold
        known[rows.fold == fold] = np.average(gains[others], weights=rows.weight[others])

    def measured(weight: Floats) -> list[float]:
        def mean(chosen: NDArray[np.bool_]) -> float:
            total = float(np.add.reduce(weight[chosen]))
            return float(np.add.reduce((weight * gains)[chosen])) / total if total else float("nan")

        high, low = mean(upper), mean(~upper)
        error, base = (float(np.add.reduce(weight * (gains - said) ** 2)) for said in (told, known))
        return [mean(upper | ~upper), high, low, high - low, 1 - error / base if base else float("nan")]

    rng = np.random.default_rng(seed)
    values = measured(rows.weight)
    draws = np.array(
        [
            measured(
                rows.weight * np.bincount(rng.integers(0, len(groups), len(groups)), minlength=len(groups))[of_fork]
            )
            for _ in range(_RESAMPLES)
        ]
    )
    names = ("gain", "upper_half", "lower_half", "difference", "explained")
    return {
        name: None
        if np.isnan(value) or np.isnan(draw).mean() >= 0.5
        else Estimate(value=value, low=float(low), high=float(high), confidence=0.95)
        for name, value, draw in zip(names, values, draws.T, strict=True)
        for low, high in [np.nanquantile(draw, (0.025, 0.975)) if not np.isnan(draw).all() else (0.0, 0.0)]
    }


def advantage_warning(training: AdvantageTraining) -> str | None:
    """What a user should know of a critic that is not shown to tell where stepping in is worth more."""
    difference = training.metrics["difference"]
    if training.weights.slope <= 0:
        return "it learned nothing that held on unseen tasks, and says the mean gain everywhere."
    if difference is not None and difference.low is not None and difference.low > 0:
        return None
    return "on unseen tasks it is not shown to tell where stepping in is worth more. Collect more forks."
