"""Several continuations of a fork tested by task: false verdicts as rare as stated, whatever share of tasks forks."""

import math

import numpy as np
import pytest

from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.stats.clustered import clustered_gain_test

PILOTS = 500
TASKS = 60


def pilots(rng, *, count, continuations, forking, fork):
    """Outcomes (pilots, tasks, runs) of both arms: a task that does not fork has one outcome, under both arms alike.

    Args:
        rng: Draws.
        count: Of pilots.
        continuations: K.
        forking: The share of tasks that fork.
        fork: Makes the chances of success behind a fork, baseline's and treated's, from uniforms; equal on average.
    """
    shape = (count, TASKS)
    forked = rng.random(shape) < forking
    before, after = fork(rng.random(shape), rng.random(shape))
    runs = rng.random((2, *shape, continuations)) < np.stack([before, after])[..., None]
    once = np.broadcast_to((rng.random(shape) < 0.8)[..., None], runs.shape[1:])
    return tuple(np.where(forked[..., None], arm, once) for arm in runs)


def harmless(first, _):
    """What is to come is as good, or as bad, under both arms."""
    return first, first


def rarely_fatal(first, _):
    """One fork in ten is lost altogether, which the others make good."""
    lost = first < 0.1
    return np.where(lost, 1.0, 0.4), np.where(lost, 0.0, 0.4 + 0.1 / 0.9)


def opposed(first, second):
    """Each fork is won or lost, by the prefix: what is drawn after it says nothing."""
    return (first < 0.5).astype(float), (second < 0.5).astype(float)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("fork", "continuations", "forking"), [(harmless, 2, 0.5), (rarely_fatal, 3, 0.15), (opposed, 2, 0.5)]
)
def test_a_useless_arm_is_deployed_in_at_most_one_pilot_of_twenty(fork, continuations, forking):
    rng = np.random.default_rng(continuations)
    before, after = pilots(rng, count=PILOTS, continuations=continuations, forking=forking, fork=fork)
    assert abs(after.mean() - before.mean()) < 0.01
    said = sum(
        clustered_gain_test(ClusteredOutcomes.from_outcomes(baseline=b.tolist(), treated=a.tolist())).pvalue <= 0.05
        for b, a in zip(before, after, strict=True)
    )
    assert said <= PILOTS * 0.05 + 3 * math.sqrt(PILOTS * 0.05 * 0.95)


@pytest.mark.statistical
def test_more_continuations_find_a_gain_of_the_same_tasks_more_often():
    def helped(first, _):
        return 0.5 * first, 0.5 * first + 0.25

    rng, found = np.random.default_rng(0), {}
    for continuations in (1, 3):
        before, after = pilots(rng, count=300, continuations=continuations, forking=0.5, fork=helped)
        found[continuations] = sum(
            clustered_gain_test(ClusteredOutcomes.from_outcomes(baseline=b.tolist(), treated=a.tolist())).pvalue <= 0.05
            for b, a in zip(before, after, strict=True)
        )
    assert found[3] > found[1] + 5 * math.sqrt(300) / 2 / 2
