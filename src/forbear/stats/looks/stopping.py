"""Where a pilot with looks stops, one pair per task: its verdicts' probabilities, its futility, its estimate."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.special import ndtr

from forbear.errors import InvalidInput
from forbear.outcomes.graded import GradedOutcomes
from forbear.outcomes.missing import Brought
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.clustered import clustered_gain
from forbear.stats.looks.lattice import Bools, Reached, Tables, walk
from forbear.stats.looks.looks import MOST_EXACT_TASKS, Looks, boundary_constant, look_region
from forbear.stats.looks.watch import can_stop, watch_edges, watch_threshold
from forbear.stats.planning import AssumedEffect
from forbear.stats.regions import Counts, Floats
from forbear.stats.rule import DecisionRule

FORBEAR_HOPELESS = 0.2
"""A look is futile only where FORBEAR is less probable than this: harm is to get its verdict."""
_PRIOR_TASKS = 10
"""Tasks without a gain, at the planned discordance, that Pólya's urn holds beside those seen."""


@dataclass(frozen=True, slots=True)
class Stops:
    """What happens at the tables [C, B] after so many tasks; the three exclude each other."""

    intervene: Bools
    forbear: Bools
    futile: Bools

    @property
    def any(self) -> Bools:
        """Where the pilot stops, before its last look."""
        return self.intervene | self.forbear | self.futile


class StoppingRule:
    """The stops of looks by number of tasks, for pilots of at most 400 tasks with one pair each.

    Several arms: `arms` of them share α; an arm is then taken to stop where it rejects at α/arms, Holm's first step.
    """

    def __init__(self, looks: Looks, rule: DecisionRule, *, arms: int = 1) -> None:
        self.looks = looks
        self.rule = rule
        self._at_looks = _look_stops(looks, rule, arms)
        self._edges: list[Counts] | None = None
        self.first = looks.tasks[0]
        """The first number of tasks at which it can stop."""
        if looks.watch:
            threshold = watch_threshold(looks, alpha=rule.harm_alpha, margin=rule.worthwhile)
            self._edges = watch_edges(looks.planned, log_value=threshold, margin=rule.worthwhile)
            possible = (n for n, edge in enumerate(self._edges) if can_stop(edge))
            self.first = min(self.first, next(possible, self.first))

    def __call__(self, tasks: int) -> Stops | None:
        """What happens after so many tasks; None where nothing can."""
        at_look = self._at_looks.get(tasks)
        watch = None if self._edges is None else np.arange(tasks + 1)[None, :] >= self._edges[tasks][:, None]
        if at_look is None:
            if watch is None:
                return None
            nothing = np.zeros_like(watch)
            return Stops(nothing, watch, nothing)
        if watch is None:
            return at_look
        return Stops(at_look.intervene & ~watch, at_look.forbear | watch, at_look.futile & ~watch)

    def walk(self, *, until: int | None = None, with_early: bool = False) -> Iterator[Reached]:
        """All that can be reached, task by task from the first possible stop on."""
        last = self.looks.planned if until is None else until
        return walk(first=self.first, last=last, stops=self._any, with_early=with_early)

    def _any(self, tasks: int) -> Bools | None:
        stops = self(tasks)
        return None if stops is None else stops.any


def _look_stops(looks: Looks, rule: DecisionRule, arms: int) -> dict[int, Stops]:
    helps = boundary_constant(looks, alpha=rule.alpha / arms, margin=rule.margin)
    too_little = boundary_constant(looks, alpha=looks_share(looks, rule), margin=-rule.worthwhile)
    hopeless = _futile_regions(looks, rule) if looks.futility else {}
    stops = {}
    for tasks, factor in zip(looks.tasks, looks.factors, strict=True):
        # Δ ≥ worthwhile is rejected by few recovered pairs: the mirrored region.
        forbear = look_region(tasks, at_least=too_little * factor, margin=-rule.worthwhile).T
        intervene = look_region(tasks, at_least=helps * factor, margin=rule.margin) & ~forbear
        futile = hopeless.get(tasks, np.zeros_like(forbear)) & ~intervene & ~forbear
        stops[tasks] = Stops(intervene, forbear, futile)
    return stops


def looks_share(looks: Looks, rule: DecisionRule) -> float:
    """The part of `harm_alpha` that the looks have; a watch has what is left of it (`watch.watch_threshold`)."""
    return rule.harm_alpha / 2 if looks.watch else rule.harm_alpha


def planned_effect(looks: Looks, rule: DecisionRule) -> AssumedEffect:
    """The alternative that futility is judged by."""
    gain = looks.gain
    if gain is None:
        # Where the question is whether it is worse, no difference is what is hoped for.
        gain = rule.worthwhile if rule.margin >= 0 else max(0.0, rule.worthwhile)
    return AssumedEffect(gain=gain, discordance=max(looks.discordance, abs(gain)))


@lru_cache(maxsize=64)
def _futile_regions(looks: Looks, rule: DecisionRule) -> dict[int, Bools]:
    """By look before the last, where neither verdict is probable any more: one pass backward through the lattice.

    Other arms are left out of account (the boundary is that of one arm), so it errs on the side of going on.
    """
    effect, decisions = planned_effect(looks, rule), _stopping_rule(replace(looks, futility=0.0), rule, 1)
    up, down = (effect.discordance + effect.gain) / 2, (effect.discordance - effect.gain) / 2
    of_each = _PRIOR_TASKS * effect.discordance / 2
    end = decisions(looks.planned)
    assert end is not None, "the last look decides"
    helps, fails = end.intervene.astype(float), end.forbear.astype(float)
    futile = {}
    for tasks in range(looks.planned - 1, looks.tasks[0] - 1, -1):
        count, all_drawn = np.arange(tasks + 1.0), tasks + _PRIOR_TASKS
        recovering, disrupting = (count[:, None] + of_each) / all_drawn, (count[None, :] + of_each) / all_drawn
        helps = _one_sooner(helps, up, down)
        fails = _one_sooner(fails, recovering, disrupting)
        if tasks in looks.tasks:
            futile[tasks] = (helps < looks.futility) & (fails < FORBEAR_HOPELESS)
        if (stops := decisions(tasks)) is not None:
            helps = np.where(stops.any, stops.intervene, helps)
            fails = np.where(stops.any, stops.forbear, fails)
    return futile


def _one_sooner(chance: Floats, up: Floats | float, down: Floats | float) -> Floats:
    """[C, B]: a chance a task before, from those after it: recovered, disrupted, or neither."""
    sooner: Floats = up * chance[1:, :-1] + down * chance[:-1, 1:] + np.maximum(1 - up - down, 0.0) * chance[:-1, :-1]
    return sooner


def is_futile(looks: Looks, rule: DecisionRule, outcomes: Brought, *, tasks: int) -> bool:
    """Whether neither verdict is to be expected of the looks after this one.

    INTERVENE: less probable than `looks.futility` under the planned effect. FORBEAR, by a look or the watch: less
    probable than .2 where the tasks to come are drawn from Pólya's urn: those seen, and 10 more at the planned
    discordance without a gain. Exact for one pair per task and 400 tasks; else the normal probabilities at the last
    look, with the design effect seen so far. Stopping so raises no error rate: it only gives up verdicts.

    Args:
        looks: As declared.
        rule: As it is applied.
        outcomes: All pairs so far.
        tasks: At a look before the last.

    Checked: forward from single tables, and by drawing from the urn (tests/stats/looks/test_stopping.py).
    """
    if isinstance(outcomes, PairedOutcomes) and looks.planned <= MOST_EXACT_TASKS:
        return bool(_futile_regions(looks, rule)[tasks][outcomes.recovered, outcomes.disrupted])
    # Of scores a task is a pair whose outcome has moved by its difference: their variance is less than that of pairs.
    pairs, inflation = float(outcomes.tasks if isinstance(outcomes, GradedOutcomes) else outcomes.pairs), 1.0
    if isinstance(outcomes, PairedOutcomes):
        recovered, disrupted = float(outcomes.recovered), float(outcomes.disrupted)
    elif isinstance(outcomes, GradedOutcomes):
        differences = outcomes.differences
        recovered, disrupted = (float(np.maximum(sign * differences, 0).sum()) for sign in (1, -1))
    else:
        now = clustered_gain(outcomes)
        pairs, recovered, disrupted, inflation = now.pairs, now.recovered, now.disrupted, now.design_effect
    planned, prior = pairs * looks.planned / tasks, _PRIOR_TASKS * pairs / tasks
    rest, effect, drawn = planned - pairs, planned_effect(looks, rule), pairs + prior

    def rejected(excess: float, margin: float, alpha: float, *, gain: float, discordance: float, wider: float) -> float:
        """The probability that the last look rejects a gain of the margin, as an excess of so much goes on."""
        constant = boundary_constant(looks, alpha=alpha, margin=margin)
        needed = planned * margin + constant * math.sqrt(inflation * planned * max(discordance - margin**2, 0.0))
        spread = math.sqrt(inflation * rest * wider * max(discordance - gain**2, 1e-300))
        return float(ndtr((excess + rest * gain - needed) / spread))

    excess = recovered - disrupted
    helps = rejected(excess, rule.margin, rule.alpha, gain=effect.gain, discordance=effect.discordance, wider=1.0)
    # What comes from an urn varies more than what comes from its present shares.
    fails = rejected(
        -excess,
        -rule.worthwhile,
        looks_share(looks, rule),
        gain=-excess / drawn,
        discordance=(recovered + disrupted + prior * effect.discordance) / drawn,
        wider=(drawn + rest) / (drawn + inflation),
    )
    return helps < looks.futility and fails < FORBEAR_HOPELESS


@lru_cache(maxsize=8)
def _stopping_rule(looks: Looks, rule: DecisionRule, arms: int) -> StoppingRule:
    return StoppingRule(looks, rule, arms=arms)


@lru_cache(maxsize=16)
def _corrected(looks: Looks, rule: DecisionRule, arms: int, tasks: int) -> Floats:
    """[C, B]: the corrected gain after so many tasks; NaN where the looks cannot have led there."""
    *_, reached = _stopping_rule(looks, rule, arms).walk(until=tasks, with_early=True)
    assert reached.early_weight is not None, "asked for"
    gains: Floats = np.full_like(reached.weight, np.nan)
    return np.divide(reached.early_weight, reached.weight, out=gains, where=reached.weight > 0)


def corrected_gain(
    looks: Looks, rule: DecisionRule, *, recovered: int, disrupted: int, tasks: int, arms: int = 1
) -> float | None:
    """The gain without the bias of stopping as soon as the numbers look decisive, one pair per task.

    The gain of the first tasks, before any stop is possible, is unbiased; this is its mean over all orders of the table
    in which neither look nor watch would have decided earlier (Rao–Blackwell). Without stops for futility it is exactly
    unbiased, whatever the truth. Those are left out on purpose: corrected for, the few pilots that go on would be
    flattered (17 recovered and 14 disrupted of 200 would read +4.6 points); so, where they happen, it errs downwards.

    Returns:
        A fraction; None where the looks could not have led to this table.

    Source: Emerson & Fleming (1990, Biometrika 77:875), Jung & Kim (2004, Statistics in Medicine 23:881). Checked:
    its expectation over all stops equals Δ to 1e-12 on a grid of truths, and the count over orders by brute force.
    """
    unhurried = replace(looks, futility=0.0)
    if tasks <= _stopping_rule(unhurried, rule, arms).first:  # before any stop
        return (recovered - disrupted) / tasks
    gain = float(_corrected(unhurried, rule, arms, tasks)[recovered, disrupted])
    return None if math.isnan(gain) else gain


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedPower:
    """What looks do under a truth: probabilities of its verdicts, and how many tasks it takes."""

    intervene: float
    forbear: float
    futile: float
    undecided: float
    """Nothing at the last look; with the other three it adds up to one."""
    expected_tasks: float
    stopped_by: tuple[float, ...]
    """By look: the probability to have stopped at it or before."""


@lru_cache(maxsize=8)
def _stop_tables(looks: Looks, rule: DecisionRule) -> dict[str, Tables]:
    """By what is said: the tables at which one arm stops."""
    stopping = _stopping_rule(looks, rule, 1)
    parts: dict[str, list[Tables]] = {"intervene": [], "forbear": [], "futile": []}
    for reached in stopping.walk():
        stops = stopping(reached.tasks)
        for what, found in parts.items() if stops is not None else ():
            found.append(Tables.of([(reached, getattr(stops, what))]))
    return {what: Tables.joined(found) for what, found in parts.items()}


def looked_power(effect: AssumedEffect, *, looks: Looks, rule: DecisionRule = DecisionRule()) -> LookedPower:
    """The probability of each verdict, and the mean number of tasks, of one arm with one pair per task: exact.

    Args:
        effect: The truth.
        looks: At most 400 tasks.
        rule: As it will be applied.

    Raises:
        InvalidInput: More than 400 tasks.

    Checked: simulation, and a forward dynamic programme over probabilities (tests/stats/looks/test_stopping.py).
    """
    if looks.planned > MOST_EXACT_TASKS:
        raise InvalidInput(
            f"power with looks is computed for at most {MOST_EXACT_TASKS} tasks, got looks to {looks.planned}. Scale "
            "the looks and the tasks down, the discordance up."
        )
    totals: dict[str, float] = {}
    by_tasks = np.zeros(looks.planned + 1)
    for what, tables in _stop_tables(looks, rule).items():
        masses = tables.masses(gain=effect.gain, discordance=effect.discordance)
        totals[what] = float(masses.sum())
        by_tasks += np.bincount(tables.tasks, weights=masses, minlength=looks.planned + 1)
    expected = float(by_tasks @ np.arange(looks.planned + 1))
    undecided = max(0.0, 1 - sum(totals.values()))
    return LookedPower(
        **totals,
        undecided=undecided,
        expected_tasks=expected + undecided * looks.planned,
        stopped_by=(*np.cumsum(by_tasks)[list(looks.tasks[:-1])].tolist(), 1.0),
    )
