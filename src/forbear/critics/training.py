"""Training a critic on runs: bags of words and behaviour, logistic regression, everything split by task.

The recipe is the best of some sixty that were measured on real logs (docs/critics.md): bags of unit length, behaviour
clipped and scaled, steps weighted 1/(steps of the run) so that runs count alike, the penalty chosen on held-out tasks,
Platt's calibration on the scores of held-out tasks. The same runs give the same bytes.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack
from scipy.special import expit

from forbear.critics.bags import BAGS, bag_of, texts_of
from forbear.critics.behaviour import BEHAVIOUR, behaviour
from forbear.critics.estimates import Judgements
from forbear.critics.leaks import (
    ShuffledResult,
    require_blind_to_the_end,
    require_blind_to_the_rest,
    require_disjoint,
    shuffled_labels,
)
from forbear.critics.measures import auroc
from forbear.critics.runs import JudgedRun
from forbear.critics.trained import CLIP, HISTORY, SCALE, TaskHistory, TrainedWeights, task_key
from forbear.errors import InvalidInput
from forbear.learned.hashing import bucket
from forbear.learned.optimiser import minimise
from forbear.wording import counted

Floats = NDArray[np.float64]

MIN_TASKS = 10
MIN_OUTCOMES = 5
"""Runs of either outcome that there must be at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What is varied; the defaults are what was measured."""

    buckets: int = 1 << 15
    """Of each bag; a power of two."""
    strengths: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0)
    """Inverse penalties that are tried: larger fits closer."""
    folds: int = 5
    iterations: int = 80
    shuffles: int = 5
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A critic's weights, and how well it did on tasks that it had not seen."""

    weights: TrainedWeights
    strength: float
    held_out: Judgements
    """Scores of critics of the same recipe for tasks that they were not trained on, calibrated on others."""
    index_only: Floats
    """The same steps scored by their index alone."""
    shuffled: ShuffledResult
    runs: int
    failed: int
    tasks: tuple[str, ...]
    """Ids, sorted."""
    folds: int
    fold_of: Mapping[str, int]
    """By `task_key`, in which fold a task was held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Steps as arrays: one row each."""

    bags: tuple[csr_array, ...]
    """1 + log tf."""
    numbers: Floats
    weight: Floats
    run: NDArray[np.int64]
    fold: NDArray[np.int64]
    index: NDArray[np.int64]
    left: NDArray[np.int64]


def train_critic(
    runs: Sequence[JudgedRun], *, history: Sequence[JudgedRun] | None = None, recipe: Recipe | None = None
) -> Training:
    """Trains a critic.

    Args:
        runs: To learn from.
        history: Earlier runs of the same or other tasks; how they ended becomes a feature of a task. A run that is
            among `runs` as well is not counted for itself.
        recipe: How.

    Raises:
        InvalidInput: Fewer than `MIN_TASKS` tasks, fewer than `MIN_OUTCOMES` runs of either outcome, or a leak.
    """
    recipe = recipe or Recipe()
    require_enough(runs)
    past = None if history is None else history_of(history)
    failed = np.array([run.failed for run in runs])
    rows = _rows_of(runs, failed, past, history or (), recipe)
    names = (*BEHAVIOUR, *(HISTORY if past else ()))
    require_blind_to_the_rest(behaviour, runs)
    require_blind_to_the_end(rows.numbers, names, index=rows.index, left=rows.left)
    shuffled = _shuffled(rows, runs, failed, recipe)
    y = failed[rows.run]
    strength, raw = _chosen(rows, y, recipe)
    p_fail = np.empty(len(y))
    for fold in range(recipe.folds):
        here = rows.fold == fold
        slope, shift = platt(y[~here], raw[~here])
        p_fail[here] = expit(slope * raw[here] + shift)
    whole = _fit(rows, y, np.ones(len(y), dtype=bool), strength, recipe)
    slope, shift = platt(y, raw)
    groups = {group: code for code, group in enumerate(sorted({run.group for run in runs}))}
    held_out = Judgements(
        failed=y,
        p_fail=p_fail,
        tasks=np.array([groups[run.group] for run in runs])[rows.run],
        steps=rows.index,
    )
    return Training(
        weights=replace(whole, slope=slope, shift=shift, history=past),
        strength=strength,
        held_out=held_out,
        index_only=_index_only(rows, y, recipe),
        shuffled=shuffled,
        runs=len(runs),
        failed=int(failed.sum()),
        tasks=tuple(sorted({run.task for run in runs})),
        folds=recipe.folds,
        fold_of={
            task_key(runs[number].task): fold
            for number, fold in zip(rows.run.tolist(), rows.fold.tolist(), strict=True)
        },
    )


def require_enough(runs: Sequence[JudgedRun]) -> None:
    """Refuses runs that are too few, or too much alike.

    Raises:
        InvalidInput: Fewer than `MIN_TASKS` tasks, or than `MIN_OUTCOMES` runs of either outcome.
    """
    groups, failures = len({run.group for run in runs}), sum(run.failed for run in runs)
    if groups < MIN_TASKS:
        raise InvalidInput(
            f"{counted(groups, 'task')} to learn from; at least {MIN_TASKS} are needed, since a critic is judged on "
            "tasks that it has not seen. A few hundred make a useful one."
        )
    for name, count in (("failed", failures), ("succeeded", len(runs) - failures)):
        if count < MIN_OUTCOMES:
            raise InvalidInput(
                f"{counted(count, 'run')} of {len(runs)} {name}; a critic learns from failures and successes, and "
                f"needs at least {MIN_OUTCOMES} of each. Collect more."
            )


def history_of(runs: Sequence[JudgedRun]) -> TaskHistory:
    """Counts how runs ended, by task.

    Raises:
        InvalidInput: No runs.
    """
    if not runs:
        raise InvalidInput("the history holds no runs.")
    failures, all_ = Counter[str](), Counter[str]()
    for run in runs:
        key = task_key(run.task)
        failures[key] += run.failed
        all_[key] += 1
    counts = {key: (failures[key], n) for key, n in all_.items()}
    return TaskHistory(counts=counts, rate=failures.total() / len(runs))


# --- Rows -------------------------------------------------------------------------------------------------


def _rows_of(
    runs: Sequence[JudgedRun],
    failed: NDArray[np.bool_],
    past: TaskHistory | None,
    history: Sequence[JudgedRun],
    recipe: Recipe,
) -> Rows:
    bags: list[list[tuple[NDArray[np.int64], Floats]]] = [[] for _ in BAGS]
    numbers: list[list[float]] = []
    number_of: list[int] = []
    known = {(run.task, run.run, run.agent, run.model, run.trajectory.steps) for run in history} if past else set()
    for number, run in enumerate(runs):
        more: list[float] = []
        if past is not None:
            own = (run.task, run.run, run.agent, run.model, run.trajectory.steps) in known
            more = past.numbers(run.task, without=(int(run.failed), 1) if own else (0, 0))
        for seen, proposed in run.judged():
            number_of.append(number)
            numbers.append([*behaviour(seen, proposed), *more])
            for bag, text in zip(bags, texts_of(seen, proposed), strict=True):
                bag.append(bag_of(text, buckets=recipe.buckets))
    lengths = [len(run.trajectory.steps) for run in runs]
    index = np.concatenate([np.arange(length) for length in lengths])
    of_run = np.array(number_of)
    return Rows(
        bags=tuple(matrix(bag, buckets=recipe.buckets) for bag in bags),
        numbers=np.array(numbers),
        weight=1.0 / np.array(lengths)[of_run],
        run=of_run,
        fold=np.array(_folds(runs, failed, folds=recipe.folds))[of_run],
        index=index,
        left=np.array(lengths)[of_run] - 1 - index,
    )


def matrix(bag: Sequence[tuple[NDArray[np.int64], Floats]], *, buckets: int) -> csr_array:
    """Bags as the rows of a sparse matrix."""
    starts = np.cumsum([0, *(len(where) for where, _ in bag)])
    columns, values = (np.concatenate(parts) for parts in zip(*bag, strict=True))
    return csr_array((values, columns, starts), shape=(len(bag), buckets))


def _folds(runs: Sequence[JudgedRun], failed: NDArray[np.bool_], *, folds: int) -> list[int]:
    """The fold of each run: that of its task. Tasks are dealt out by rising failure rate, so that folds are alike."""
    outcomes: dict[str, list[bool]] = {}
    for run, lost in zip(runs, failed.tolist(), strict=True):
        outcomes.setdefault(run.group, []).append(lost)

    def rate_and_chance(group: str) -> tuple[float, int, str]:
        return sum(outcomes[group]) / len(outcomes[group]), bucket(group), group

    ordered = sorted(outcomes, key=rate_and_chance)
    fold = {group: position % folds for position, group in enumerate(ordered)}
    for number in range(folds):
        require_disjoint(
            (run.group for run in runs if fold[run.group] == number),
            (run.group for run in runs if fold[run.group] != number),
        )
    return [fold[run.group] for run in runs]


# --- Fitting ----------------------------------------------------------------------------------------------


def design(rows: Rows, train: NDArray[np.bool_]) -> tuple[csr_array, Floats, Floats, Floats]:
    """The features of all rows, scaled by what the rows of `train` look like; and idf, mean and deviation."""
    parts, idfs = [], []
    n = int(train.sum())
    for bag in rows.bags:
        hit = bag[train]
        pairs = np.unique(np.repeat(np.arange(n), np.diff(hit.indptr)) * bag.shape[1] + hit.indices)
        idf = (np.log((1 + n) / (1 + np.bincount(pairs % bag.shape[1], minlength=bag.shape[1]))) + 1).astype("<f4")
        scaled = csr_array((bag.data * idf[bag.indices], bag.indices, bag.indptr), shape=bag.shape)
        squares = np.bincount(
            np.repeat(np.arange(bag.shape[0]), np.diff(bag.indptr)), weights=scaled.data**2, minlength=bag.shape[0]
        )
        lengths = np.sqrt(np.where(squares > 0, squares, 1.0))
        scaled.data /= np.repeat(lengths, np.diff(bag.indptr))
        parts.append(scaled)
        idfs.append(idf.astype(np.float64))
    weight = rows.weight[train] / rows.weight[train].sum()
    mean = weight @ rows.numbers[train]
    sd = np.sqrt(weight @ (rows.numbers[train] - mean) ** 2)
    sd = np.where(sd > 1e-6, sd, 1.0)
    dense = np.clip((rows.numbers - mean) / sd, -CLIP, CLIP) * SCALE
    return csr_array(hstack([*parts, csr_array(dense)])), np.array(idfs), mean, sd


def solve(x: csr_array, y: NDArray[np.bool_], weight: Floats, strength: float, start: Floats, most: int) -> Floats:
    """Weights and, last, the bias, of the penalised maximum likelihood; `most` iterations."""
    x_t = csr_array(x.T)

    def objective(theta: Floats) -> tuple[float, Floats]:
        z = x @ theta[:-1] + theta[-1]
        loss = np.add.reduce(weight * (np.logaddexp(0.0, z) - y * z))
        slope = weight * (expit(z) - y)
        penalty = np.append(theta[:-1], 0.0) / strength
        gradient = np.append(x_t @ slope, np.add.reduce(slope)) + penalty
        return float(loss + 0.5 * np.add.reduce(penalty * theta)), gradient

    return minimise(objective, start, iterations=most, tolerance=1e-3)


def _fit(rows: Rows, y: NDArray[np.bool_], train: NDArray[np.bool_], strength: float, recipe: Recipe) -> TrainedWeights:
    x, idf, mean, sd = design(rows, train)
    start = np.zeros(x.shape[1] + 1)
    theta = solve(x[train], y[train], rows.weight[train], strength, start, recipe.iterations)
    size = len(BAGS) * recipe.buckets
    # Rounded as they are stored, so that what was trained is what is loaded.
    bags = theta[:size].astype("<f4").astype(np.float64).reshape(len(BAGS), recipe.buckets)
    return TrainedWeights(
        idf=idf,
        bags=bags,
        mean=mean,
        sd=sd,
        dense=theta[size:-1],
        bias=float(theta[-1]),
        history=None if len(mean) == len(BEHAVIOUR) else TaskHistory(counts={}, rate=0.5),
    )


def _chosen(rows: Rows, y: NDArray[np.bool_], recipe: Recipe) -> tuple[float, Floats]:
    """The strength with the least loss on tasks that were held out, and what it scored them."""
    raw = np.empty((len(recipe.strengths), len(y)))
    for fold in range(recipe.folds):
        train = rows.fold != fold
        x = design(rows, train)[0]
        theta = np.zeros(x.shape[1] + 1)
        for at, strength in enumerate(recipe.strengths):
            theta = solve(x[train], y[train], rows.weight[train], strength, theta, recipe.iterations)
            raw[at, ~train] = x[~train] @ theta[:-1] + theta[-1]
    losses = []
    for scores in raw:
        slope, shift = platt(y, scores)
        z = slope * scores + shift
        losses.append(float(np.add.reduce(rows.weight * (np.logaddexp(0.0, z) - y * z))))
    best = int(np.argmin(losses))
    return recipe.strengths[best], raw[best]


def _shuffled(rows: Rows, runs: Sequence[JudgedRun], failed: NDArray[np.bool_], recipe: Recipe) -> ShuffledResult:
    """Half of the tasks are judged by what was learned of the shuffled outcomes of the others, by turns."""
    half = rows.fold < recipe.folds // 2
    folds = np.array([rows.fold[rows.run == number][0] for number in range(len(runs))]) < recipe.folds // 2
    groups = [run.group for run in runs]
    require_disjoint(
        (group for group, at in zip(groups, folds, strict=True) if at),
        (group for group, at in zip(groups, folds, strict=True) if not at),
    )
    x = design(rows, ~half)[0]

    def judge(outcomes: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Floats]:
        y = outcomes[rows.run]
        theta = solve(x[~half], y[~half], rows.weight[~half], 1.0, np.zeros(x.shape[1] + 1), recipe.iterations // 2)
        return y[half], expit(x[half] @ theta[:-1] + theta[-1])

    return shuffled_labels(judge, failed.tolist(), rng=np.random.default_rng(recipe.seed), shuffles=recipe.shuffles)


def _index_only(rows: Rows, y: NDArray[np.bool_], recipe: Recipe) -> Floats:
    """The failure rate of the other folds' steps at the same index; beyond what they have, at their last."""
    scores = np.empty(len(y))
    for fold in range(recipe.folds):
        here = rows.fold == fold
        most = int(rows.index[~here].max())
        hits = np.bincount(rows.index[~here], weights=y[~here], minlength=most + 1)
        sizes = np.bincount(rows.index[~here], minlength=most + 1)
        rate = float(y[~here].mean())
        scores[here] = ((hits + rate) / (sizes + 1))[np.minimum(rows.index[here], most)]
    return scores


def platt(failed: NDArray[np.bool_], raw: Floats) -> tuple[float, float]:
    """Slope and shift that make logits mean what they say, by maximum likelihood.

    The slope is at least .01: scores that mislead are flattened, never turned round.

    Source: Platt 1999, with his targets, which keep finite what separates perfectly.
    """
    hits = int(failed.sum())
    target = np.where(failed, (hits + 1) / (hits + 2), 1 / (len(failed) - hits + 2))
    scale = float(np.std(raw)) or 1.0

    def objective(theta: Floats) -> tuple[float, Floats]:
        z = theta[0] * raw / scale + theta[1]
        error = expit(z) - target
        value = float(np.mean(np.logaddexp(0.0, z) - target * z))
        return value, np.array([float(np.mean(error * raw / scale)), float(np.mean(error))])

    slope, shift = minimise(objective, np.array([1.0, 0.0]), iterations=200, tolerance=1e-8)
    if slope / scale < 0.01:
        rate = min(max(hits / len(failed), 1e-3), 1 - 1e-3)
        return 0.01, float(np.log(rate / (1 - rate)) - 0.01 * np.mean(raw))
    return float(slope / scale), float(shift)


class Measured(Protocol):
    """A training whose critic was tried on tasks that it did not learn from."""

    @property
    def held_out(self) -> Judgements:
        """What it said of them."""
        ...

    @property
    def index_only(self) -> Floats:
        """What the step's index alone says of the same steps."""
        ...


def warning_of(training: Measured) -> str | None:
    """What a user should know of a critic that hardly tells more than the step's index, or than nothing."""
    held_out = training.held_out
    mine, clock = auroc(held_out.failed, held_out.p_fail), auroc(held_out.failed, training.index_only)
    if mine is None or clock is None or mine > clock + 0.01:
        return None
    return f"on unseen tasks it tells no more (AUROC {mine:.3f}) than the step's index does ({clock:.3f})."
