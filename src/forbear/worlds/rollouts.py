"""What a learned player did on its own, and a critic that learns from it: shared by the worlds.

A critic is fitted on one set of rollouts, calibrated on another and measured on a third; the worlds say which, by the
seeds of their generators.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from scipy.special import expit

from forbear.critics.calibration import fit_step_lines, fit_temperature
from forbear.critics.estimates import CriticReport, Judgements, evaluate_critic
from forbear.critics.logistic import Features, LogisticCritic, LogisticWeights, TranscriptFeatures, train_logistic
from forbear.records.model import Action, Step, Trajectory
from forbear.stats.intervals import Estimate, EstimateJson

Calibration: TypeAlias = Literal["by step", "temperature"]
"""A line for each step's index, or one number for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One episode of a player on its own."""

    trajectory: Trajectory
    success: bool


def judged(rollouts: Sequence[Rollout]) -> Iterator[tuple[Rollout, Trajectory, Action]]:
    """Yields each step of each rollout as a critic meets it."""
    for rollout in rollouts:
        steps = rollout.trajectory.steps
        for index, step in enumerate(steps):
            assert step.executed is not None
            opened = Step(index=index, observation=step.observation)
            yield rollout, Trajectory(task=rollout.trajectory.task, steps=(*steps[:index], opened)), step.executed


def fit_critic(rollouts: Sequence[Rollout], *, features: TranscriptFeatures, l2: float) -> LogisticWeights:
    """Fits a logistic critic to the steps of rollouts, of which some failed and some did not; it is not calibrated."""
    rows, failed = list[Features](), list[bool]()
    for rollout, seen, proposed in judged(rollouts):
        rows.append(features(seen, proposed))
        failed.append(not rollout.success)
    return train_logistic(rows, failed, row_weights=[1.0] * len(rows), l2=l2)


def raw_scores(
    weights: LogisticWeights, rollouts: Sequence[Rollout], *, features: TranscriptFeatures
) -> tuple[list[bool], list[float], list[int]]:
    """What an uncalibrated critic says of each step: whether its run failed, the log-odds, the step's index."""
    critic = LogisticCritic(weights, features=features)
    met = [
        (not rollout.success, critic.raw(seen, proposed), len(seen.steps) - 1)
        for rollout, seen, proposed in judged(rollouts)
    ]
    fails, logits, steps = zip(*met, strict=True)
    return list(fails), list(logits), list(steps)


def calibrate_critic(
    weights: LogisticWeights,
    rollouts: Sequence[Rollout],
    *,
    features: TranscriptFeatures,
    calibration: Calibration,
    steps: int,
) -> LogisticWeights:
    """Calibrates a critic on rollouts that it has not met; `steps` is their budget, up to which lines of steps go."""
    fails, logits, indices = raw_scores(weights, rollouts, features=features)
    if calibration == "temperature":
        return replace(weights, temperature=fit_temperature(fails, logits))
    return replace(weights, by_step=fit_step_lines(fails, logits, indices, last=steps - 1))


def measured(rollouts: Sequence[Rollout], critic: LogisticCritic) -> tuple[float, CriticReport]:
    """Returns the player's success and the critic's report, on rollouts of tasks that neither has met."""
    met = list(judged(rollouts))
    judgements = Judgements.of(
        failed=[not rollout.success for rollout, _, _ in met],
        p_fail=[float(expit(critic.logit(seen, proposed))) for _, seen, proposed in met],
        tasks=[seen.task.id for _, seen, _ in met],
        steps=[len(seen.steps) - 1 for _, seen, _ in met],
    )
    success = sum(rollout.success for rollout in rollouts) / len(rollouts)
    return success, evaluate_critic(judgements, rng=np.random.default_rng(0))


def written(estimates: Mapping[str, Estimate | None]) -> dict[str, EstimateJson | None]:
    """A report's numbers as JSON."""
    return {name: None if value is None else value.to_dict() for name, value in estimates.items()}
