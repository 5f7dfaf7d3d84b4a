"""Would a pilot have known? Small pilots drawn from a full run, and what it takes to decide, beside the study's way."""

import copy
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from forbear.analysis.paired_runs import PairedRuns
from forbear.errors import InvalidInput
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.context.prior import PUBLISHED
from forbear.stats.context.value import Costs, value_of
from forbear.stats.decision import decide
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.paths import stop_paths
from forbear.stats.planning import AssumedEffect, tasks_needed
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import Recommendation, Verdict

COST = 0.02
"""Of intervening, in success: what the value line of a report reckons with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotStudy:
    """How pilots of a few tasks, drawn from a full run, decide. Shares of pilots."""

    tasks: int
    pilots: int
    intervene: float
    forbear: float
    undecided: float
    point_rule: float
    """"Deploy if p > p*", in one sample more recovered than disrupted."""
    worth: float
    """The value line: a positive expected net gain under the prior."""
    verdict_wrong: float | None
    """Verdicts against the full run's: FORBEAR where it says INTERVENE and the reverse. None where that is undecided,
    for then nothing contradicts it."""
    point_rule_wrong: float | None
    """The point rule against the full run's verdict: it leaves off what is INTERVENE, deploys what is FORBEAR."""
    worth_wrong: float | None


def pilot_study(
    runs: PairedRuns, *, full: Verdict, rng: np.random.Generator, tasks: int = 50, pilots: int = 1000
) -> PilotStudy:
    """Draws pilots without replacement, each under one of the seeds, and decides each by itself at one look.

    Args:
        runs: Of the full run.
        full: Its verdict.
        rng: Source of the draws.
        tasks: Of a pilot.
        pilots: How many.

    Raises:
        InvalidInput: A pilot larger than half of the full run, which would be that run, or no pilot.
    """
    total, seeds = runs.baseline.shape
    if not 1 <= tasks <= total / 2 or pilots < 1:
        raise InvalidInput(
            f"pilots of 1 to {total // 2} tasks can be drawn from {total}, got {pilots} pilots of {tasks}."
        )
    seen: Counter[tuple[int, int, int]] = Counter()
    for _ in range(pilots):
        drawn, seed = rng.choice(total, size=tasks, replace=False), int(rng.integers(seeds))
        before, after = runs.baseline[drawn, seed], runs.treated[drawn, seed]
        seen[int(before.sum()), int((~before & after).sum()), int((before & ~after).sum())] += 1
    said, points, worths = Counter[Recommendation](), 0, 0
    for (successes, recovered, disrupted), times in seen.items():
        said[_verdict(tasks, successes, recovered, disrupted, full.rule)] += times
        points += times * (0 < successes < tasks and recovered > disrupted)
        worths += times * _pays(recovered, disrupted, tasks)
    truth = full.recommendation
    opposite = {Recommendation.INTERVENE: Recommendation.FORBEAR, Recommendation.FORBEAR: Recommendation.INTERVENE}

    def against(goes: int) -> float | None:
        if truth not in opposite:
            return None
        return (goes if truth is Recommendation.FORBEAR else pilots - goes) / pilots

    return PilotStudy(
        tasks=tasks,
        pilots=pilots,
        intervene=said[Recommendation.INTERVENE] / pilots,
        forbear=said[Recommendation.FORBEAR] / pilots,
        undecided=said[Recommendation.UNDECIDED] / pilots,
        point_rule=points / pilots,
        worth=worths / pilots,
        verdict_wrong=said[opposite[truth]] / pilots if truth in opposite else None,
        point_rule_wrong=against(points),
        worth_wrong=against(worths),
    )


@lru_cache(maxsize=65536)
def _verdict(tasks: int, successes: int, recovered: int, disrupted: int, rule: DecisionRule) -> Recommendation:
    pairs = PairedOutcomes(
        both_fail=tasks - successes - recovered,
        recovered=recovered,
        disrupted=disrupted,
        both_succeed=successes - disrupted,
    )
    return decide(pairs, rule).recommendation


@lru_cache(maxsize=65536)
def _pays(recovered: int, disrupted: int, pairs: int) -> bool:
    costs = Costs(intervening=COST)
    found = value_of(recovered=recovered, disrupted=disrupted, pairs=pairs, prior=PUBLISHED, costs=costs, next_tasks=())
    return found.pays


POWER = 0.8
SIZES = (50, 100, 150, 200, 300, 400, 500, 650, 800, 1000, 1300, 1600, 2000, 2500, 3200, 4000, 5000, 6400)
"""Planned sizes that are tried, in tasks; what lies between two is interpolated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionCost:
    """What a design takes to find the right verdict with probability `POWER`."""

    tasks: float
    """On average, of one pilot."""
    calls: float
    read: float
    """Characters that the agent reads at those calls."""
    added_calls: float
    """Of them those that remain where the baseline's runs were paid for before."""
    added_read: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CallsToDecision:
    """The default design beside two fresh arms and a fixed number of tasks, at the same error rate and power."""

    right: Recommendation
    """INTERVENE where the runs gain, else FORBEAR."""
    gain: float
    variance_ratio: float
    """Of the gain per task, of arms run apart to coupled ones; inf where coupled arms never differ."""
    coupled: DecisionCost | None
    """Looks at every quarter, the default. None where no size that was tried suffices."""
    dense: DecisionCost | None
    """Looks every 10 tasks from 50 on, at most 41 of them: farther apart where more than 400 tasks are planned."""
    apart: DecisionCost | None

    @property
    def fewer_calls(self) -> float | None:
        """Calls of the study's way to those of the default design."""
        return None if self.coupled is None or self.apart is None else self.apart.calls / self.coupled.calls

    @property
    def fewer_read(self) -> float | None:
        """The same in characters read."""
        return None if self.coupled is None or self.apart is None else self.apart.read / self.coupled.read

    @property
    def fewer_calls_dense(self) -> float | None:
        """Calls of the study's way to those with denser looks."""
        return None if self.dense is None or self.apart is None else self.apart.calls / self.dense.calls

    @property
    def fewer_calls_reused(self) -> float | None:
        """The same where the baseline's runs were paid for before, and the study's way pays for its own.

        What was paid before is left out on one side: it says what a second pilot on the same runs costs beside the
        study's way of making one, and not what both pilots cost.
        """
        return None if self.dense is None or self.apart is None else _ratio(self.apart.calls, self.dense.added_calls)

    @property
    def fewer_calls_both_reused(self) -> float | None:
        """The same where the study's way takes its baseline from the log too, a run of each task."""
        if self.dense is None or self.apart is None:
            return None
        return _ratio(self.apart.added_calls, self.dense.added_calls)


def _ratio(apart: float, coupled: float) -> float | None:
    return apart / coupled if coupled else None


def calls_to_decision(
    runs: PairedRuns,
    *,
    rule: DecisionRule,
    rng: np.random.Generator,
    paths: int = 1000,
    sizes: Sequence[int] = SIZES,
) -> CallsToDecision:
    """What it takes until the right verdict, where pilots are drawn from these runs with replacement.

    The default design: one treated arm, coupled, one seed, looks as `Looks.for_tasks` places them with the watch, no
    stop for futility; what it pays is the baseline's calls and those that the arm adds. The same pilots with denser
    looks. The study's way: both arms are run afresh on the same tasks, and decided once, by the same test; their pairs
    are those of different seeds.

    Args:
        runs: Of at least two seeds.
        rule: As it is applied.
        rng: Source of the draws.
        paths: Pilots drawn for each size.
        sizes: Planned sizes that are tried, rising.

    Raises:
        InvalidInput: Runs of one seed, which show no pair that was run apart.
    """
    apart = runs.discordance_apart
    if apart is None:
        raise InvalidInput("arms run apart are pairs of different seeds: run the benchmark with 2 seeds or more.")
    gain = runs.gain
    right = Recommendation.INTERVENE if gain > rule.margin else Recommendation.FORBEAR
    spread = runs.discordance - gain**2
    fixed = tasks_needed(AssumedEffect(gain=gain, discordance=max(apart, abs(gain))), rule=rule, power=POWER)
    again = copy.deepcopy(rng)  # both designs see the same pilots
    costs = (runs.baseline_cost + runs.treated_cost, runs.treated_cost)
    per_task = np.concatenate(costs, axis=-1).mean(axis=(0, 1))
    return CallsToDecision(
        right=right,
        gain=gain,
        variance_ratio=(apart - gain**2) / spread if spread > 0 else math.inf,
        coupled=_coupled(runs, right, Looks.for_tasks, rule, rng, paths, sizes),
        dense=_coupled(runs, right, _dense, rule, again, paths, sizes),
        apart=None if fixed is None else _cost([fixed, *(fixed * per_task)]),
    )


def _dense(tasks: int) -> Looks:
    return Looks.every(10 * math.ceil(tasks / 400), tasks=tasks)


def _cost(found: Sequence[float] | NDArray[np.float64]) -> DecisionCost:
    tasks, calls, read, added_calls, added_read = map(float, found)
    return DecisionCost(tasks=tasks, calls=calls, read=read, added_calls=added_calls, added_read=added_read)


def _coupled(
    runs: PairedRuns,
    right: Recommendation,
    looks_of: Callable[[int], Looks],
    rule: DecisionRule,
    rng: np.random.Generator,
    paths: int,
    sizes: Sequence[int],
) -> DecisionCost | None:
    """The first planned size with enough power; between it and the one before, by the power of both."""
    changes = runs.changes.reshape(-1)
    costs = np.concatenate((runs.baseline_cost + runs.added_cost, runs.added_cost), axis=-1).reshape(-1, 4)
    before: tuple[float, NDArray[np.float64]] | None = None
    for size in sizes:
        drawn = rng.integers(0, len(changes), size=(paths, size))
        stopped = stop_paths(changes[drawn], looks=looks_of(size), rule=rule)
        decided = stopped.intervene if right is Recommendation.INTERVENE else stopped.forbear
        taken = np.arange(size)[None, :] < stopped.tasks[:, None]
        spent = [float((costs[drawn, which] * taken).sum(axis=1).mean()) for which in range(4)]
        power, found = float(decided.mean()), np.array([stopped.tasks.mean(), *spent])
        if power >= POWER:
            if before is not None and power > before[0]:
                share = (POWER - before[0]) / (power - before[0])
                found = before[1] + share * (found - before[1])
            return _cost(found)
        before = power, found
    return None
