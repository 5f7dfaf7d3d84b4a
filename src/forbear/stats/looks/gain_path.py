"""How a pilot with looks came to where it is, for people to look at."""

import math
from dataclasses import dataclass

import numpy as np

from forbear.outcomes.graded import GradedOutcomes
from forbear.outcomes.missing import Outcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.clustered import clustered_gain
from forbear.stats.intervals import Interval, restricted_discordance
from forbear.stats.looks.betting import confidence_sequence
from forbear.stats.looks.looks import boundary_constant
from forbear.stats.looks.sequential import Sequential, SequentialOutcomes, enough_differ
from forbear.stats.looks.stopping import looks_share
from forbear.stats.rule import DecisionRule


@dataclass(frozen=True, slots=True, kw_only=True)
class LookTaken:
    """One look at an arm."""

    number: int
    tasks: int
    recovered: float
    disrupted: float
    gain: float
    """Of the counts at this look."""
    interval: Interval
    """What is not rejected by all looks to this one, and by the watch: holds for all looks together."""
    intervene_from: float | None
    """The gain that says INTERVENE here, at the share of pairs that differ here; a fraction. Of several arms, whatever
    the others show (Holm's first step). None where none would: too few pairs differ, or it would exceed 1."""
    forbear_to: float | None
    """The gain that says FORBEAR here; None where none would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GainPath:
    """An arm's way through the pilot."""

    tasks: int
    gains: tuple[float | None, ...]
    """(tasks,): of the counts so far, after each task; None before the first pair."""
    low: tuple[float, ...]
    """(tasks,): of the confidence sequence, which is valid after every task, whatever the reason to stop."""
    high: tuple[float, ...]
    looks: tuple[LookTaken, ...]


def gain_path_of(outcomes: SequentialOutcomes, rule: DecisionRule) -> GainPath | None:
    """The way of one arm; None where the order of its tasks is not known, and of scores."""
    differences = outcomes.differences
    if differences is None or isinstance(outcomes.now, GradedOutcomes):
        return None
    weights = np.ones(len(differences)) if outcomes.weights is None else outcomes.weights
    known = ~np.isnan(differences)
    pairs = np.cumsum(np.where(known, weights, 0.0))
    sums = np.cumsum(np.where(known, weights * differences, 0.0))
    gains = [gain / weight if weight else None for gain, weight in zip(sums.tolist(), pairs.tolist(), strict=True)]
    several = not isinstance(outcomes.now, PairedOutcomes)
    looks = []
    for number, (tasks, at_look) in enumerate(zip(outcomes.looks.tasks, outcomes.at_looks, strict=False), start=1):
        if at_look is not None and not isinstance(at_look, GradedOutcomes):
            looks.append(_look(outcomes, at_look, rule, number=number, tasks=tasks))
    sequence = confidence_sequence(differences, weights=weights, confidence=1 - 2 * rule.alpha, several_seeds=several)
    return GainPath(
        tasks=outcomes.tasks,
        gains=tuple(gains),
        low=tuple(sequence.low.tolist()),
        high=tuple(sequence.high.tolist()),
        looks=tuple(looks),
    )


def _look(outcomes: SequentialOutcomes, at_look: Outcomes, rule: DecisionRule, *, number: int, tasks: int) -> LookTaken:
    looks, factor = outcomes.looks, outcomes.looks.factors[number - 1]
    if isinstance(at_look, PairedOutcomes):
        recovered, disrupted, pairs, inflation = (
            float(at_look.recovered),
            float(at_look.disrupted),
            float(at_look.pairs),
            1.0,
        )
    else:
        total = clustered_gain(at_look)
        recovered, disrupted, pairs, inflation = total.recovered, total.disrupted, total.pairs, total.design_effect

    def bound(margin: float, constant: float, sign: int) -> float | None:
        """The margin and, on that side of it, the statistic's standard error times what it has to reach."""
        if not enough_differ(at_look, sign * margin):
            return None
        spread = restricted_discordance(recovered, disrupted, n=pairs, gain=margin) - margin * margin
        gain = margin + sign * constant * factor * math.sqrt(max(spread, 0.0) * inflation / pairs)
        return gain if abs(gain) <= 1 else None

    here = SequentialOutcomes(
        looks=looks,
        tasks=tasks,
        now=at_look,
        at_looks=outcomes.at_looks[:number],
        differences=None if outcomes.differences is None else outcomes.differences[:tasks],
        weights=None if outcomes.weights is None else outcomes.weights[:tasks],
        arms=outcomes.arms,
    )
    helps = boundary_constant(looks, alpha=rule.alpha / outcomes.arms, margin=rule.margin)
    too_little = boundary_constant(looks, alpha=looks_share(looks, rule), margin=-rule.worthwhile)
    return LookTaken(
        number=number,
        tasks=tasks,
        recovered=recovered,
        disrupted=disrupted,
        gain=(recovered - disrupted) / pairs,
        interval=Sequential(here, rule).bounds(rule.alpha),
        intervene_from=bound(rule.margin, helps, 1),
        forbear_to=bound(rule.worthwhile, too_little, -1),
    )
