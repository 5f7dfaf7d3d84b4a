"""The folder of a trained critic, written: its arrays, and `critic.json`, which says how good they are."""

import hashlib
import json
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import scipy

from forbear import __version__
from forbear.critics.advantage import AdvantageTraining, advantage_warning
from forbear.critics.estimates import CriticReport, Judgements, evaluate_critic
from forbear.critics.runs import JudgedRun
from forbear.critics.trained import ADVANTAGE_FORMAT, ARRAYS, CARD, CARD_FORMAT, features_card, task_key
from forbear.critics.training import Measured, Training, warning_of
from forbear.errors import OutputUnwritable
from forbear.files import write_whole
from forbear.records.model import JSON
from forbear.stats.intervals import EstimateJson
from forbear.wording import shown


def metrics_of(training: Measured, *, seed: int = 0) -> dict[str, EstimateJson | None]:
    """Held-out measures with intervals over tasks: AUROC, at the first step, of the index alone, ECE, Brier."""
    held_out = training.held_out
    first = held_out.where(held_out.steps == 0)
    clock = Judgements(failed=held_out.failed, p_fail=training.index_only, tasks=held_out.tasks, steps=held_out.steps)

    def report(judged: Judgements) -> CriticReport:
        return evaluate_critic(judged, rng=np.random.default_rng(seed))

    overall = report(held_out).overall
    estimates = {
        "auroc": overall["auroc"],
        "first_step_auroc": None if first is None else report(first).overall["auroc"],
        "step_count_auroc": report(clock).overall["auroc"],
        "ece": overall["calibration_error"],
        "brier": overall["brier"],
    }
    return {name: None if estimate is None else estimate.to_dict() for name, estimate in estimates.items()}


def write_critic(
    training: Training,
    folder: Path,
    *,
    runs: Sequence[JudgedRun],
    metrics: Mapping[str, EstimateJson | None],
    sources: Sequence[str],
    left_out: Mapping[str, int],
) -> dict[str, JSON]:
    """Writes the folder and returns what its `critic.json` says.

    Raises:
        OutputUnwritable: It cannot be written.
    """
    weights = training.weights
    arrays = weights.to_bytes()
    shuffled = training.shuffled
    card: dict[str, JSON] = {
        "format": CARD_FORMAT,
        "sha256": hashlib.sha256(arrays).hexdigest(),
        "features": features_card(buckets=weights.bags.shape[1], history=weights.history is not None),
        "trained": {
            "sources": list(sources),
            "runs": training.runs,
            "failed": training.failed,
            "steps": len(training.held_out.failed),
            "tasks": len(training.tasks),
            "left_out": dict(left_out),
            "agents": dict(Counter(run.agent or "unknown" for run in runs)),
            "models": dict(Counter(run.model or "unknown" for run in runs)),
            "strength": training.strength,
            "history_tasks": None if weights.history is None else len(weights.history.counts),
        },
        "splits": {"by": "task or cluster", "folds": training.folds, "of_each_task": dict(training.fold_of)},
        "metrics": {name: None if value is None else written(value) for name, value in metrics.items()},
        "leaks": {"shuffled_auroc": {"mean": shuffled.mean, "low": shuffled.low, "high": shuffled.high}},
        "warning": warning_of(training),
        "versions": _versions(),
        "tasks": [task_key(task) for task in training.tasks],
    }
    _write(folder, arrays, card)
    return card


def write_advantage_critic(
    training: AdvantageTraining, folder: Path, *, sources: Sequence[str], arms: Sequence[str]
) -> dict[str, JSON]:
    """Writes the folder of a critic of advantages and returns what its `critic.json` says.

    Raises:
        OutputUnwritable: It cannot be written.
    """
    arrays = training.weights.to_bytes()
    card: dict[str, JSON] = {
        "format": ADVANTAGE_FORMAT,
        "target": "advantage",
        "sha256": hashlib.sha256(arrays).hexdigest(),
        "features": features_card(buckets=training.weights.bags.shape[1], history=False),
        "trained": {
            "sources": list(sources),
            "arms": list(arms),
            "forks": training.forks,
            "continuations": training.continuations,
            "tasks": len(training.tasks),
            "strength": training.strength,
            "slope": training.weights.slope,
        },
        "splits": {"by": "task or cluster", "folds": training.folds, "of_each_task": dict(training.fold_of)},
        "metrics": {
            name: None if found is None else written(found.to_dict()) for name, found in training.metrics.items()
        },
        "warning": advantage_warning(training),
        "versions": _versions(),
        "tasks": [task_key(task) for task in training.tasks],
    }
    _write(folder, arrays, card)
    return card


def _versions() -> dict[str, JSON]:
    return {
        "forbear": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "scipy": scipy.__version__,
    }


def _write(folder: Path, arrays: bytes, card: Mapping[str, JSON]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ARRAYS, arrays)
        write_whole(folder / CARD, json.dumps(card, indent=1, sort_keys=True, allow_nan=False).encode("ascii") + b"\n")
    except OSError as error:
        raise OutputUnwritable(
            f"{shown(str(folder), limit=200)}: the critic cannot be written ({error.strerror})."
        ) from None


def written(value: EstimateJson) -> dict[str, JSON]:
    """The estimate, as it stands in a card."""
    return {"value": value["value"], "low": value["low"], "high": value["high"], "confidence": value["confidence"]}
