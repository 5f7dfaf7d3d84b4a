import itertools
import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import reference_looks as slow
from forbear import ClusteredOutcomes, DecisionRule, InvalidInput, Looks, PairedOutcomes
from forbear.stats import AssumedEffect, boundary_constant, power
from forbear.stats.looks.stopping import StoppingRule, corrected_gain, is_futile, looked_power, planned_effect
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


def played_on(design, rng, table_now, draw, *, pilots=4000):
    """The shares of pilots that go on from a table at a look to INTERVENE and to FORBEAR; futility left out."""
    rule, counts = StoppingRule(replace(design, futility=0.0), RULE), np.tile(table_now, (pilots, 1))
    going, said = np.ones(pilots, bool), {"intervene": 0, "forbear": 0}
    for tasks in range(design.tasks[0] + 1, design.planned + 1):
        up, down = draw(tasks - 1, counts[:, 0], counts[:, 1])
        chance = rng.random(pilots)
        counts[:, 0] += going & (chance < up)
        counts[:, 1] += going & (chance >= up) & (chance < up + down)
        stops = rule(tasks)
        if stops is not None:
            for what in said:
                now = going & getattr(stops, what)[counts[:, 0], counts[:, 1]]
                said[what] += now.sum()
                going &= ~now
    return {what: count / pilots for what, count in said.items()}


@pytest.mark.slow
@pytest.mark.parametrize("looks", DESIGNS[:2])
def test_futile_is_where_neither_verdict_is_to_be_expected(looks):
    # Played on from single tables, where the design goes backward from the end through all of them.
    rng, met = np.random.default_rng(61), set()
    planned, each = slow.shares(looks.gain, looks.discordance), 10 * looks.discordance / 2
    for recovered, disrupted in itertools.product(range(0, 7, 1), range(0, 7, 2)):
        helps = played_on(looks, rng, (recovered, disrupted), lambda *_: planned)["intervene"]
        fails = played_on(
            looks, rng, (recovered, disrupted), lambda n, c, b: ((c + each) / (n + 10), (b + each) / (n + 10))
        )["forbear"]
        if abs(helps - 0.05) > 4 * (0.05 * 0.95 / 4000) ** 0.5 and abs(fails - 0.2) > 4 * (0.2 * 0.8 / 4000) ** 0.5:
            futile = is_futile(looks, RULE, table(recovered, disrupted, 20), tasks=20)
            assert futile == (helps < 0.05 and fails < 0.2), (recovered, disrupted, helps, fails)
            met.add((bool(helps < 0.05), bool(fails < 0.2)))
    assert {(True, True), (True, False), (False, True)} <= met


@pytest.mark.slow
def test_futility_of_larger_and_clustered_pilots_is_the_normal_probability():
    # From how many recovered pairs on FORBEAR is given up, and to how many INTERVENE is: exact to 400 tasks.
    exact, differing = Looks(tasks=(300, 400), discordance=0.2), 60
    near = replace(exact, tasks=(303, 404))

    def edges(futile_at):
        futile = [recovered for recovered in range(differing + 1) if futile_at(recovered)]
        assert futile == list(range(futile[0], futile[-1] + 1))
        return np.array([futile[0], futile[-1]])

    def seeds(recovered):
        """Seeds that always agree tell nothing new."""
        before = [[False] * 3] * recovered + [[True] * 3] * (300 - recovered)
        after = [[True] * 3] * recovered + [[False] * 3] * (differing - recovered) + [[True] * 3] * (300 - differing)
        return ClusteredOutcomes.from_outcomes(baseline=before, treated=after)

    found = edges(lambda c: is_futile(exact, RULE, table(c, differing - c, 300), tasks=300))
    larger = edges(lambda c: is_futile(near, RULE, table(c, differing - c, 303), tasks=303))
    clustered = edges(lambda c: is_futile(exact, RULE, seeds(c), tasks=300))
    assert (abs(found - larger) <= 1).all()
    assert (abs(found - clustered) <= 2).all()


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "discordance"), [(0.12, 0.16), (0.12, 0.2), (0.12, 0.25)])
def test_looks_at_a_margin_above_zero_are_nearly_as_powerful_as_one_at_the_end(gain, discordance):
    # Before the least number of differing pairs rose with the margin: 1, 4 and 6 points behind.
    rule, truth = DecisionRule(margin=0.02), AssumedEffect(gain=gain, discordance=discordance)
    looked = looked_power(truth, looks=Looks(futility=0.0), rule=rule)
    assert looked.intervene >= power(truth, tasks=200, rule=rule).intervene - 0.015


# What two-sided futility is held to: gain, discordance, at least these shares of verdicts, at most so many tasks.
PROMISES = [
    (-0.10, 0.14, "forbear", 0.99, None),
    (-0.10, 0.25, "forbear", 0.88, None),
    (0.10, 0.14, "intervene", 0.99, None),
    (0.10, 0.25, "intervene", 0.85, None),
    (0.0, 0.14, "futile", 0.5, 150),
]


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "discordance", "verdict", "at_least", "tasks"), PROMISES)
def test_harm_gets_its_verdict_and_no_error_rate_moves(gain, discordance, verdict, at_least, tasks):
    truth = AssumedEffect(gain=gain, discordance=discordance)
    found, never = (looked_power(truth, looks=looks) for looks in (Looks(), Looks(futility=0.0)))
    assert getattr(found, verdict) >= at_least
    assert tasks is None or found.expected_tasks <= tasks
    assert found.intervene <= never.intervene
    assert found.forbear <= never.forbear


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


def test_whether_it_is_worse_is_planned_for_no_difference():
    assert planned_effect(Looks(), DecisionRule(margin=-0.05)).gain == 0.0
    assert planned_effect(Looks(), DecisionRule(margin=-0.05, worthwhile=0.03)).gain == 0.03
    assert planned_effect(Looks(gain=0.1), DecisionRule(margin=-0.05)).gain == 0.1
    assert planned_effect(Looks(), DecisionRule()).gain == 0.02
