import itertools
import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest

import reference_looks as slow
from forbear.stats.looks.lattice import Tables, discordances, first_stops, walk


@cache
def some_stops(tasks):
    """An arbitrary region, so that nothing rests on what looks usually ask."""
    return np.random.default_rng(tasks).random((tasks + 1, tasks + 1)) < 0.3 if tasks in (3, 4, 6) else None


def orders_of(tasks):
    """Every order of so many pairs, by its table."""
    found = {}
    for order in itertools.product((1, 0, -1), repeat=tasks):
        found.setdefault((order.count(1), order.count(-1)), []).append(order)
    return found


def goes_on(order, upto):
    for tasks in range(1, upto):
        seen, region = order[:tasks], some_stops(tasks)
        if region is not None and region[seen.count(1), seen.count(-1)]:
            return False
    return True


def test_weights_are_the_orders_that_go_on():
    for reached in walk(first=3, last=7, stops=some_stops, with_early=True):
        for table, every in orders_of(reached.tasks).items():
            kept = [order for order in every if goes_on(order, reached.tasks)]
            assert reached.weight[table] == pytest.approx(len(kept) / 3**reached.tasks, abs=1e-14)
            if kept:
                early = sum(Fraction(sum(order[:3]), 3) for order in kept) / len(kept)
                assert reached.early_weight[table] / reached.weight[table] == pytest.approx(float(early), abs=1e-13)


@pytest.mark.parametrize("gain", [-0.2, 0.0, 0.1])
def test_probabilities_are_those_of_the_forward_programme(gain):
    regions = {tasks: some_stops(tasks) for tasks in (3, 4, 6)}
    found = Tables.of(
        (reached, regions[reached.tasks])
        for reached in walk(first=3, last=9, stops=regions.get)
        if reached.tasks in regions
    )
    discordances = np.array([0.2, 0.35, 1.0])

    def stops(tasks):
        return {"stopped": regions[tasks]} if tasks in regions else {}

    for psi, probability in zip(discordances, found.probability(gain=gain, discordance=discordances), strict=True):
        up, down = slow.shares(gain, psi)
        assert probability == pytest.approx(slow.chance(slow.forward(9, up, down, stops), "stopped"), abs=1e-14)


@pytest.mark.parametrize("gain", [-0.1, 0.0, 0.05])
def test_the_worst_case_is_the_maximum_over_the_discordance(gain):
    # Two regions whose probabilities peak far apart: few discordant pairs, and nearly all of them.
    recovered, disrupted = np.indices((41, 41))
    one_sided = (recovered >= 4) & (disrupted == 0) & (recovered <= 40)
    crowded = (recovered + disrupted >= 38) & (recovered + disrupted <= 40) & (recovered >= 26)
    for region in (one_sided, crowded, one_sided | crowded):
        (reached,) = walk(first=40, last=40, stops=lambda _: None)
        tables = Tables.of([(reached, region)])
        grid = abs(gain) + (1 - abs(gain)) * np.linspace(0, 1, 4001)
        assert tables.worst_case(gain) == pytest.approx(tables.probability(gain=gain, discordance=grid).max(), abs=1e-6)
        assert tables.worst_case(gain) >= tables.probability(gain=gain, discordance=grid).max() - 1e-12


def test_no_table_has_no_probability():
    none = Tables.of([])
    assert none.worst_case(0.0) == 0.0
    assert none.probability(gain=0.0, discordance=np.array([0.5])).tolist() == [0.0]


def test_everything_has_probability_one():
    (reached,) = walk(first=12, last=12, stops=lambda _: None)
    every = Tables.of([(reached, np.ones((13, 13), dtype=bool))])
    assert every.probability(gain=0.1, discordance=np.array([0.1, 0.4, 1.0])) == pytest.approx(1, abs=1e-13)
    assert len(every.tasks) == math.comb(14, 2)


@pytest.mark.slow
@pytest.mark.parametrize("margin", [-0.3, -0.02, 0.0, 0.02])
@pytest.mark.parametrize("tasks", [(3, 4, 6), (2, 30, 290)])
def test_first_stops_are_those_of_the_whole_lattice(tasks, margin):
    # Under the margin alone; the second pilot is so long that counts of orders are scaled down on the way.
    rng = np.random.default_rng(0)
    regions = {n: rng.random((n + 1, n + 1)) < 0.2 for n in tasks}
    found = first_stops(
        first=tasks[0],
        last=tasks[-1],
        margin=margin,
        stops={n: tuple(np.nonzero(region & possible(n))) for n, region in regions.items()}.get,
    )
    every = Tables.of(
        (reached, regions[reached.tasks])
        for reached in walk(first=tasks[0], last=tasks[-1], stops=regions.get)
        if reached.tasks in regions
    )
    grid = discordances(tasks[-1], margin)[::5]
    for one, other in zip(*(t.probability(gain=margin, discordance=grid) for t in (found, every)), strict=True):
        assert one == pytest.approx(other, abs=1e-12)
    assert found.worst_case(margin) == pytest.approx(every.worst_case(margin), abs=1e-12)


def possible(tasks):
    recovered, disrupted = np.indices((tasks + 1, tasks + 1))
    return recovered + disrupted <= tasks
