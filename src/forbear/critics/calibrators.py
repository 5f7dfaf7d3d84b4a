"""Maps from a critic's scores to probabilities that mean what they say: fitted, chosen by held-out loss, applied.

Each rises with the score, so that no order changes within a step; isotonic regression makes ties, and a map by step
changes the order between steps. Fit them on tasks that neither training nor evaluation uses.

Sources: temperature, Guo et al. 2017 (ICML); Platt 1999, also by step (`calibration.fit_step_lines`); beta, Kull, Silva
Filho & Flach 2017 (AISTATS); isotonic, Zadrozny & Elkan 2002 (KDD) by pooling adjacent violators. How each was checked:
docs/methods.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from forbear.critics.calibration import StepLines, fit_step_lines, fit_temperature
from forbear.critics.estimates import Judgements
from forbear.critics.measures import calibration_error, log_loss
from forbear.critics.splits import stable_number
from forbear.errors import InvalidInput
from forbear.wording import described

Floats: TypeAlias = NDArray[np.float64]
Method: TypeAlias = Literal["temperature", "platt", "beta", "isotonic", "by-step"]
METHODS: tuple[Method, ...] = ("temperature", "platt", "beta", "isotonic", "by-step")
"""The simpler first: it is kept where another is no better."""

_EDGE = 1e-6
"""Scores nearer to 0 or 1 are taken for this near: a logit is finite."""
_FOLDS = 5
_RIDGE = 1e-9
"""Penalty on slopes, per row: where scores separate the outcomes, the likelihood alone would have no maximum."""
_MOST_KNOTS = 10_000
_FEWEST = 20
"""Steps of an index from which on it has a line of its own; all later ones share that of the last such index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrator:
    """A fitted map from [0, 1] to [0, 1] that never falls.

    Raises:
        InvalidInput: Another method, or numbers that do not make such a map.
    """

    method: Method
    parameters: tuple[float, ...]
    """temperature: T; platt: slope, offset; beta: a, b, c of a·ln p − b·ln(1 − p) + c; isotonic: the scores of the
    knots, then as many probabilities; by-step: the slopes of the steps, then as many offsets, the last for all later
    steps."""

    def __post_init__(self) -> None:
        values = np.array(self.parameters, dtype=np.float64)
        if self.method not in METHODS:
            raise InvalidInput(f"a calibration is one of {', '.join(METHODS)}, got {described(self.method)}.")
        if self.method == "by-step":
            _lines(values)
            return
        sizes = {"temperature": 1, "platt": 2, "beta": 3}
        fits = len(values) == sizes.get(self.method, len(values)) and bool(np.isfinite(values).all())
        if self.method == "isotonic":
            at, gives = np.split(values, 2) if len(values) and len(values) % 2 == 0 else (values[:0], values[:0])
            fits = fits and 0 < len(at) <= _MOST_KNOTS and bool((np.diff(at) > 0).all() and (np.diff(gives) >= 0).all())
            fits = fits and bool((values >= 0).all() and (values <= 1).all())
        elif self.method == "temperature":
            fits = fits and values[0] > 0
        else:
            fits = fits and bool((values[:-1] >= 0).all())
        if not fits:
            raise InvalidInput(f"the numbers of the {self.method} calibration make no rising map; calibrate again.")

    def __call__(self, p_fail: ArrayLike, steps: ArrayLike | None = None) -> Floats:
        """Returns the calibrated probabilities, of the same shape.

        Args:
            p_fail: Scores in [0, 1].
            steps: Index of the step of each, from 0; only a map by step asks for them.

        Raises:
            InvalidInput: A map by step, and no steps.
        """
        p = np.asarray(p_fail, dtype=np.float64)
        values = np.array(self.parameters)
        if self.method == "by-step":
            if steps is None:
                raise InvalidInput("a calibration by step needs the index of each step beside the scores.")
            return _expit(_lines(values)(_logit(p), steps))
        if self.method == "isotonic":
            at, gives = np.split(values, 2)
            found: Floats = np.interp(p, at, gives)
            return found
        if self.method == "temperature":
            return _expit(_logit(p) / values[0])
        if self.method == "platt":
            return _expit(values[0] * _logit(p) + values[1])
        return _expit(_beta_columns(p) @ values)

    def to_dict(self) -> dict[str, Any]:
        """Its plain numbers, for JSON."""
        return {"method": self.method, "parameters": list(self.parameters)}


def fit_calibrator(method: Method, failed: ArrayLike, p_fail: ArrayLike, steps: ArrayLike | None = None) -> Calibrator:
    """Fits a map by maximum likelihood (isotonic: least squares, which is the same).

    Args:
        method: Which.
        failed: Outcomes, shape (n,), of both kinds.
        p_fail: Scores in [0, 1], shape (n,).
        steps: Index of the step of each, from 0, shape (n,); for a map by step.

    Raises:
        InvalidInput: One outcome only, lengths that differ, no score in [0, 1], no steps for a map by step.
    """
    y, p = np.asarray(failed), np.asarray(p_fail, dtype=np.float64)
    log_loss(y, p)  # refuses what is no outcome or no score
    if y.all() or not y.any():
        raise InvalidInput("a calibration needs runs that failed and runs that succeeded; all ended alike.")
    y = y.astype(np.float64)
    if method == "temperature":
        fitted: Sequence[float] = [fit_temperature(y, _logit(p))]
    elif method == "platt":
        fitted = _likeliest(np.column_stack([_logit(p), np.ones_like(p)]), y)
    elif method == "beta":
        fitted = _likeliest(_beta_columns(p), y)
    elif method == "isotonic":
        fitted = _isotonic(y, p)
    elif method == "by-step":
        if steps is None:
            raise InvalidInput("a calibration by step needs the index of each step beside the scores.")
        often = np.flatnonzero(np.bincount(np.asarray(steps, dtype=np.int64)) >= _FEWEST)
        lines = fit_step_lines(y, _logit(p), steps, last=max(1, int(often.max(initial=0))))
        fitted = [*lines.slope.tolist(), *lines.shift.tolist()]
    else:
        raise InvalidInput(f"a calibration is one of {', '.join(METHODS)}, got {described(method)}.")
    return Calibrator(method=method, parameters=tuple(float(value) for value in fitted))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenCalibrator:
    """The best of the methods, fitted on all rows."""

    calibrator: Calibrator
    held_out_log_loss: Mapping[str, float]
    """By method, and of the scores as they were (`none`): mean over the rows, each predicted by the other folds."""
    calibration_error: float
    """Of the chosen method, held out."""


def choose_calibrator(
    judged: Judgements, *, methods: Sequence[Method] = METHODS, folds: int = _FOLDS
) -> ChosenCalibrator:
    """Chooses by log loss on held-out tasks: each row is predicted by a map fitted on the other folds.

    Args:
        judged: Scored steps. Tasks, not steps, are split.
        methods: The simpler first.
        folds: How many, at least 2.

    Raises:
        InvalidInput: Fewer tasks than folds, one outcome only, grades, or a fold whose other folds all ended alike.
    """
    if judged.ordinal:
        raise InvalidInput("grades are no probabilities: a calibration needs scores in [0, 1].")
    tasks = np.unique(judged.tasks)
    if not 2 <= folds <= len(tasks):
        raise InvalidInput(f"{folds} folds of tasks need at least as many tasks, got {len(tasks)}. Collect more.")
    order = sorted(tasks.tolist(), key=lambda task: stable_number(str(task), "fold"))
    fold_of = {task: place % folds for place, task in enumerate(order)}
    fold = np.array([fold_of[task] for task in judged.tasks.tolist()])
    losses = {"none": log_loss(judged.failed, np.clip(judged.p_fail, _EDGE, 1 - _EDGE))}
    held_out: dict[Method, Floats] = {}
    for method in methods:
        predicted = np.empty(len(judged.p_fail))
        for one in range(folds):
            others = fold != one
            fitted = fit_calibrator(method, judged.failed[others], judged.p_fail[others], judged.steps[others])
            predicted[~others] = fitted(judged.p_fail[~others], judged.steps[~others])
        held_out[method] = predicted
        losses[method] = log_loss(judged.failed, np.clip(predicted, _EDGE, 1 - _EDGE))
    best = min(methods, key=lambda method: losses[method])
    return ChosenCalibrator(
        calibrator=fit_calibrator(best, judged.failed, judged.p_fail, judged.steps),
        held_out_log_loss=losses,
        calibration_error=calibration_error(judged.failed, held_out[best]),
    )


def _lines(values: Floats) -> StepLines:
    slope, shift = np.split(values, 2) if len(values) % 2 == 0 else (values, values[:0])
    return StepLines(slope=slope, shift=shift)


def _logit(p: Floats) -> Floats:
    near = np.clip(p, _EDGE, 1 - _EDGE)
    logit: Floats = np.log(near) - np.log1p(-near)
    return logit


def _expit(logit: Floats) -> Floats:
    found: Floats = expit(logit)
    return found


def _beta_columns(p: Floats) -> Floats:
    near = np.clip(p, _EDGE, 1 - _EDGE)
    return np.stack([np.log(near), -np.log1p(-near), np.ones_like(near)], axis=-1)


def _likeliest(columns: Floats, y: Floats) -> list[float]:
    """Logistic regression with slopes of at least 0, the last column being the constant: the best over active sets."""
    slopes = columns.shape[1] - 1
    best: tuple[float, Floats] | None = None
    for mask in range(1 << slopes):
        kept = [column for column in range(slopes) if mask >> column & 1] + [slopes]
        theta = np.zeros(slopes + 1)
        theta[kept] = _newton(columns[:, kept], y)
        if (theta[:-1] < 0).any():
            continue
        z = columns @ theta
        loss = float(np.sum(np.logaddexp(0.0, z) - y * z))
        if best is None or loss < best[0]:
            best = loss, theta
    assert best is not None  # the constant alone has no slope
    return [float(value) for value in best[1]]


def _newton(columns: Floats, y: Floats) -> Floats:
    """Maximum likelihood by damped Newton steps; the loss is convex."""
    ridge = np.diag([_RIDGE * (column < columns.shape[1] - 1) for column in range(columns.shape[1])]) * len(y)

    def loss(theta: Floats) -> float:
        z = columns @ theta
        return float(np.sum(np.logaddexp(0.0, z) - y * z) + 0.5 * theta @ ridge @ theta)

    theta = np.zeros(columns.shape[1])
    for _ in range(100):
        q = expit(columns @ theta)
        gradient = columns.T @ (q - y) + ridge @ theta
        hessian = (columns * (q * (1 - q))[:, None]).T @ columns + ridge
        step = np.linalg.lstsq(hessian + 1e-12 * np.eye(len(theta)), gradient, rcond=None)[0]
        size, now = 1.0, loss(theta)
        while size > 1e-8 and loss(theta - size * step) > now:
            size /= 2
        theta = theta - size * step
        if np.abs(step).max() < 1e-10:
            break
    return theta


def _isotonic(y: Floats, p: Floats) -> list[float]:
    """Knots of the rising map nearest to the outcomes, none nearer to 0 or 1 than one row more could say."""
    at, group = np.unique(p, return_inverse=True)
    sums, counts = np.bincount(group, weights=y), np.bincount(group).astype(np.float64)
    blocks: list[list[float]] = []  # sum, count, first and last score
    for score, total, count in zip(at.tolist(), sums.tolist(), counts.tolist(), strict=True):
        blocks.append([total, count, score, score])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            total, count, _, last = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
            blocks[-1][3] = last
    edge = 1 / (len(y) + 2)
    knots: dict[float, float] = {}
    for total, count, first, last in blocks:
        knots[first] = knots[last] = min(max(total / count, edge), 1 - edge)
    return [*knots, *knots.values()]
