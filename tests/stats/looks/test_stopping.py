import itertools
import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import reference_looks as slow
from forbear import ClusteredOutcomes, DecisionRule, InvalidInput, Looks, PairedOutcomes
from forbear.stats import AssumedEffect, boundary_constant
from forbear.stats.looks.stopping import StoppingRule, corrected_gain, is_futile, looked_power
from forbear.stats.looks.watch import watch_threshold

RULE = DecisionRule()
EFFICACY_ONLY = DecisionRule(harm_alpha=1e-9)
DESIGNS = [
    Looks(tasks=(20, 40), gain=0.15, discordance=0.3),
    Looks(tasks=(20, 40), watch=False, gain=0.15, discordance=0.3),
    Looks(tasks=(20, 40, 60), futility=0.0),
    Looks(tasks=(15, 30), watch=False, futility=0.0, shape="pocock"),
]


def table(recovered, disrupted, n):
    return PairedOutcomes(both_fail=0, recovered=recovered, disrupted=disrupted, both_succeed=n - recovered - disrupted)


def reference_design(looks, rule=RULE):
    """The same design from its constants alone."""
    harm = rule.harm_alpha / 2 if looks.watch else rule.harm_alpha
    gain = rule.worthwhile if looks.gain is None else looks.gain
    threshold = None
    if looks.watch:
        threshold = watch_threshold(looks, alpha=rule.harm_alpha, margin=rule.worthwhile)
    return slow.design(
        looks.tasks,
        helps=boundary_constant(looks, alpha=rule.alpha, margin=rule.margin),
        too_little=boundary_constant(looks, alpha=harm, margin=-rule.worthwhile),
        worthwhile=rule.worthwhile,
        threshold=threshold,
        futility=looks.futility,
        planned_shares=slow.shares(gain, looks.discordance),
        shape=looks.shape,
    )


# --- Where it stops -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("looks", [*DESIGNS, pytest.param(Looks(), marks=pytest.mark.slow)])
def test_the_regions_are_those_of_the_definitions(looks):
    rule, expected = StoppingRule(looks, DecisionRule()), reference_design(looks)
    for tasks in range(1, looks.planned + 1):
        recovered, disrupted = np.indices((tasks + 1, tasks + 1))
        possible = recovered + disrupted <= tasks
        here, left, nothing = rule(tasks), possible, np.zeros_like(possible)
        found = {} if here is None else {"forbear": here.forbear, "intervene": here.intervene, "futile": here.futile}
        wanted = dict(expected(tasks))
        watch = wanted.pop("watch", nothing)
        if here is not None:
            wanted = {**wanted, "forbear": wanted.get("forbear", nothing) | watch}
        for what in ("forbear", "intervene", "futile"):
            region = wanted.get(what, nothing)
            assert (found.get(what, nothing)[left] == region[left]).all(), (tasks, what)
            left = left & ~region
        any_expected = np.logical_or.reduce([np.zeros_like(possible), *expected(tasks).values()])
        any_found = np.zeros_like(possible) if here is None else here.any
        assert (any_found[possible] == any_expected[possible]).all(), tasks
        if tasks < rule.first:
            assert not any_found[possible].any()


@pytest.mark.parametrize("looks", DESIGNS[:2])
def test_futile_is_where_the_chance_to_intervene_is_small(looks):
    # Forward from each table by itself, where the design goes backward from the end through all of them.
    rule = DecisionRule()
    constant = boundary_constant(looks, alpha=rule.alpha)
    up, down = slow.shares(looks.gain, looks.discordance)
    ahead, behind = looks.planned - 20, slow.crossed(40, constant, 0.0)
    for recovered in range(13):
        for disrupted in range(13 - recovered):
            (_, reached), *_ = slow.forward(ahead, up, down, lambda _: {})["last"]
            here = behind[recovered : recovered + ahead + 1, disrupted : disrupted + ahead + 1]
            chance = float(reached[here].sum())
            futile = is_futile(looks, rule, table(recovered, disrupted, 20), tasks=20)
            assert futile == (chance < looks.futility), (recovered, disrupted, chance)


@pytest.mark.slow
def test_futility_of_larger_and_clustered_pilots_is_the_normal_probability():
    rule = DecisionRule()
    exact = Looks(tasks=(200, 400), gain=0.05, discordance=0.2)
    near = replace(exact, tasks=(201, 402))
    flips = {
        looks: next(c for c in range(40) if not is_futile(looks, rule, table(c, 20, n), tasks=n))
        for looks, n in ((exact, 200), (near, 201))
    }
    assert abs(flips[exact] - flips[near]) <= 1
    # Seeds that always agree tell nothing new: futile where one pair per task is.
    for recovered in range(0, 40, 3):
        before = [[False] * 3] * recovered + [[True] * 3] * (200 - recovered)
        after = [[True] * 3] * recovered + [[False] * 3] * 20 + [[True] * 3] * (180 - recovered)
        outcomes = ClusteredOutcomes.from_outcomes(baseline=before, treated=after)
        if abs(recovered - flips[exact]) > 2:
            assert is_futile(exact, rule, outcomes, tasks=200) == (recovered < flips[exact])


# --- Power --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tasks", "power", "mean_tasks"),
    [((50, 100), 0.884, 86), pytest.param((50, 100, 150, 200), 0.992, 121, marks=pytest.mark.slow)],
)
def test_power_and_mean_tasks_of_the_looks_alone(tasks, power, mean_tasks):
    # METHODS 5: Δ = .10, ψ = .14, stops for a gain only.
    looks = Looks(tasks=tasks, watch=False, futility=0.0)
    found = looked_power(AssumedEffect(gain=0.10, discordance=0.14), looks=looks, rule=EFFICACY_ONLY)
    assert found.intervene == pytest.approx(power, abs=1e-3)
    assert found.expected_tasks == pytest.approx(mean_tasks, abs=0.5)
    # The same from probabilities pushed forward under an independently found constant.
    forward = slow.forward(
        tasks[-1], *slow.shares(0.10, 0.14), slow.looks_at(tasks, slow.smallest_constant(tasks, 0.05))
    )
    assert found.intervene == pytest.approx(slow.chance(forward, "crossed"), abs=1e-12)
    expected = sum(n * mass.sum() for masses in forward.values() for n, mass in masses)
    assert found.expected_tasks == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("looks", [*DESIGNS, pytest.param(Looks(), marks=pytest.mark.slow)])
@pytest.mark.parametrize(("gain", "psi"), [(0.0, 0.2), (0.15, 0.3), (-0.25, 0.35), (0.02, 0.02), (1.0, 1.0)])
def test_power_is_that_of_the_forward_programme(looks, gain, psi):
    found = looked_power(AssumedEffect(gain=gain, discordance=psi), looks=looks)
    forward = slow.forward(looks.planned, *slow.shares(gain, psi), reference_design(looks))
    forbear = slow.chance(forward, "forbear") + slow.chance(forward, "watch")
    assert found.intervene == pytest.approx(slow.chance(forward, "intervene"), abs=1e-11)
    assert found.forbear == pytest.approx(forbear, abs=1e-11)
    assert found.futile == pytest.approx(slow.chance(forward, "futile"), abs=1e-11)
    assert found.undecided == pytest.approx(slow.chance(forward, "last"), abs=1e-11)
    expected = sum(n * mass.sum() for masses in forward.values() for n, mass in masses)
    assert found.expected_tasks == pytest.approx(expected, abs=1e-9)
    for look, stopped in zip(looks.tasks[:-1], found.stopped_by, strict=False):
        by_then = sum(mass.sum() for what in forward for n, mass in forward[what] if n <= look)
        assert stopped == pytest.approx(by_then, abs=1e-11)
    assert found.stopped_by[-1] == 1.0


def test_power_with_looks_is_for_at_most_400_tasks():
    with pytest.raises(InvalidInput, match="at most 400 tasks"):
        looked_power(AssumedEffect(gain=0.1, discordance=0.2), looks=Looks(tasks=(200, 500)))


# --- False verdicts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("looks", [DESIGNS[0], pytest.param(Looks(), marks=pytest.mark.slow)])
def test_false_verdicts_of_a_whole_design(looks):
    # Watch, looks and futility together, stopped for good: every discordance on a grid.
    for psi in (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0):
        assert looked_power(AssumedEffect(gain=0.0, discordance=psi), looks=looks).intervene <= 0.05
        assert looked_power(AssumedEffect(gain=0.02, discordance=psi), looks=looks).forbear <= 0.05


# --- The corrected estimate ---------------------------------------------------------------------------------

TRUTHS = [(0.0, 0.1), (0.02, 0.02), (0.1, 0.14), (0.3, 0.5), (-0.1, 0.2), (-0.255, 0.35), (0.5, 0.5), (0.0, 1.0)]


@cache
def estimates(looks):
    design = StoppingRule(replace(looks, futility=0.0), DecisionRule())
    found = {}
    for tasks in range(1, looks.planned + 1):
        stops = design(tasks)
        if stops is not None:
            recovered, disrupted = np.nonzero(np.ones((tasks + 1, tasks + 1)))
            inside = recovered + disrupted <= tasks
            values = np.zeros((tasks + 1, tasks + 1))
            for c, b in zip(recovered[inside].tolist(), disrupted[inside].tolist(), strict=True):
                if stops.any[c, b] or tasks == looks.planned:
                    value = corrected_gain(looks, DecisionRule(), recovered=c, disrupted=b, tasks=tasks)
                    values[c, b] = math.nan if value is None else value
            found[tasks] = values
    return found


@pytest.mark.parametrize("gain_and_discordance", TRUTHS)
@pytest.mark.parametrize(
    "looks",
    [
        Looks(tasks=(20, 40), futility=0.0),
        Looks(tasks=(20, 40), futility=0.0, watch=False),
        Looks(tasks=(20, 40), futility=0.0, watch=False, shape="pocock"),
        pytest.param(Looks(tasks=(50, 100), futility=0.0), marks=pytest.mark.slow),
        pytest.param(Looks(tasks=(40, 80, 120), futility=0.0), marks=pytest.mark.slow),
        pytest.param(Looks(futility=0.0, watch=False), marks=pytest.mark.slow),
    ],
)
def test_the_corrected_gain_is_unbiased(looks, gain_and_discordance):
    gain, psi = gain_and_discordance
    forward = slow.forward(looks.planned, *slow.shares(gain, psi), reference_design(looks))
    mean = 0.0
    for masses in forward.values():
        for tasks, mass in masses:
            reached = mass > 0
            mean += float((mass[reached] * estimates(looks)[tasks][reached]).sum())
    assert mean == pytest.approx(gain, abs=1e-12)


def orders_of(tasks):
    """Every order of so many pairs, by its table."""
    found = {}
    for order in itertools.product((1, 0, -1), repeat=tasks):
        found.setdefault((order.count(1), order.count(-1)), []).append(order)
    return found


@pytest.mark.parametrize("watch", [True, False])
def test_the_corrected_gain_is_the_count_over_orders(watch):
    # Every order of every table of eight pairs: the first tasks' gain, averaged over those that no stop would have cut.
    looks, rule = Looks(tasks=(5, 8), watch=watch, futility=0.0), DecisionRule(alpha=0.2, harm_alpha=0.4)
    stops = reference_design(looks, rule)
    regions = {n: np.logical_or.reduce([np.zeros((n + 1, n + 1), bool), *stops(n).values()]) for n in range(1, 9)}
    first = next(
        n
        for n, region in regions.items()
        if n in looks.tasks or any(region[c, b] for c in range(n + 1) for b in range(n + 1 - c))
    )
    met = 0
    for tasks in range(first, 9):
        for (recovered, disrupted), orders in orders_of(tasks).items():
            kept = [
                order
                for order in orders
                if not any(regions[n][order[:n].count(1), order[:n].count(-1)] for n in range(first, tasks))
            ]
            found = corrected_gain(looks, rule, recovered=recovered, disrupted=disrupted, tasks=tasks)
            if not kept:
                assert found is None
                continue
            assert found == pytest.approx(np.mean([sum(order[:first]) / first for order in kept]), abs=1e-13)
            met += found != pytest.approx((recovered - disrupted) / tasks)
    assert met > 10, "some estimate must be corrected"


def test_before_any_stop_nothing_is_corrected():
    looks = Looks(tasks=(20, 40), watch=False)
    assert corrected_gain(looks, DecisionRule(), recovered=4, disrupted=3, tasks=10) == pytest.approx(0.1)
    assert corrected_gain(looks, DecisionRule(), recovered=4, disrupted=3, tasks=20) == pytest.approx(0.05)


def test_more_arms_ask_more_of_each():
    looks = Looks(tasks=(20, 40), watch=False, futility=0.0)
    one, four = (StoppingRule(looks, DecisionRule(), arms=arms)(20).intervene for arms in (1, 4))
    assert (four <= one).all()
    assert four.sum() < one.sum()
    keywords = {"recovered": 14, "disrupted": 3, "tasks": 40}
    assert corrected_gain(looks, DecisionRule(), arms=4, **keywords) != corrected_gain(
        looks, DecisionRule(), **keywords
    )
