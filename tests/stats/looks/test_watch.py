import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reference
import reference_looks as slow
from forbear import DecisionRule, Looks
from forbear.stats import AssumedEffect, EProcess, boundary_constant, looked_power
from forbear.stats.looks.stopping import StoppingRule
from forbear.stats.looks.watch import (
    forbear_probability,
    watch_bets,
    watch_edges,
    watch_threshold,
    watched_pvalue,
)

DEFAULT = (50, 100, 150, 200)
DESIGNS = [
    ((50,), "obrien-fleming"),
    ((15, 30), "pocock"),
    ((7, 31, 60), "obrien-fleming"),
    *(
        pytest.param(*design, marks=pytest.mark.slow)
        for design in (
            ((50, 100), "obrien-fleming"),
            (DEFAULT, "obrien-fleming"),
            (DEFAULT, "pocock"),
            ((150, 200), "obrien-fleming"),
            (tuple(range(10, 101, 10)), "obrien-fleming"),
            (Looks.every(10, tasks=200).tasks, "obrien-fleming"),
        )
    ),
]


def polynomial(looks, constant, value, margin=0.02):
    stops = slow.looks_or_watch(looks.tasks, constant, value, margin, looks.shape)
    return slow.bernstein(looks.planned, stops, "forbear", margin)


# --- Together with the looks --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("tasks", "shape"), DESIGNS)
def test_looks_and_watch_together_keep_alpha_at_every_discordance(tasks, shape):
    looks = Looks(tasks=tasks, shape=shape)
    constant = boundary_constant(looks, alpha=0.025, margin=-0.02)
    threshold = watch_threshold(looks, alpha=0.05, margin=0.02)
    assert reference.bernstein_at_most(polynomial(looks, constant, threshold), 0.05)
    below = forbear_probability(looks, constant=constant, log_value=threshold - 2e-3, margin=0.02)
    assert below > 0.05, "the smallest"
    assert threshold < -math.log(0.025), "more alert than with half of the level"


@pytest.mark.slow
@settings(max_examples=12)
@given(
    st.lists(st.integers(3, 36), min_size=1, max_size=5, unique=True),
    st.sampled_from(["obrien-fleming", "pocock"]),
    st.sampled_from([0.05, 0.025, 0.1]),
    st.sampled_from([0.02, 0.0, 0.05]),
)
def test_whatever_the_design(tasks, shape, alpha, margin):
    looks = Looks(tasks=tuple(sorted(tasks)), shape=shape)
    constant = boundary_constant(looks, alpha=alpha / 2, margin=-margin)
    threshold = watch_threshold(looks, alpha=alpha, margin=margin)
    assert reference.bernstein_at_most(polynomial(looks, constant, threshold, margin), alpha)


@pytest.mark.parametrize("margin", [-0.02, 0.0, 0.02])
def test_the_probability_is_the_worst_case(margin):
    looks = Looks(tasks=(20, 50))
    found = forbear_probability(looks, constant=2.1, log_value=3.2, margin=margin)
    exact = polynomial(looks, 2.1, 3.2, margin)
    assert reference.bernstein_at_most(exact, found * (1 + 1e-6))
    assert not reference.bernstein_at_most(exact, found * (1 - 1e-6))


def test_without_a_look_that_rejects_it_is_the_watch_alone():
    looks = Looks(tasks=(50,))
    found = forbear_probability(looks, constant=99.0, log_value=3.2, margin=0.02)
    alone = slow.bernstein(50, slow.reaching(3.2, 0.02, "less", slow.WATCH), "reached", 0.02)
    assert reference.bernstein_at_most(alone, found * (1 + 1e-6))
    assert not reference.bernstein_at_most(alone, found * (1 - 1e-6))
    assert found <= math.exp(-3.2), "Ville"


@pytest.mark.parametrize("keywords", [{"looks": Looks(tasks=(401,))}, {"looks": Looks(), "several_seeds": True}])
def test_without_exact_probabilities_each_has_its_half(keywords):
    assert watch_threshold(alpha=0.05, margin=0.02, **keywords) == pytest.approx(math.log(40))


def test_a_watch_beyond_reach():
    assert forbear_probability(Looks(tasks=(4,)), constant=99.0, log_value=12.0, margin=0.02) == 0.0
    assert forbear_probability(Looks(tasks=(4,)), constant=99.0, log_value=0.0, margin=0.02) == 1.0


# --- How soon it sees a loss --------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("discordance", "asked"), [(0.35, 22), (0.27, 19)])
def test_median_stop_of_the_watch_at_a_grave_loss(discordance, asked):
    threshold = watch_threshold(Looks(), alpha=0.05, margin=0.02)
    forward = slow.forward(60, *slow.shares(-0.255, discordance), slow.reaching(threshold, 0.02, "less", slow.WATCH))
    stopped = np.cumsum([mass.sum() for _, mass in forward["reached"]])
    assert int(np.argmax(stopped >= 0.5)) + 1 == asked


@pytest.mark.slow
@pytest.mark.parametrize(("gain", "discordance", "forbear"), [(-0.05, 0.14, 0.75), (0.0, 0.14, 0.119), (0.02, 0.05, 0)])
def test_no_verdict_is_lost_to_the_sooner_watch(gain, discordance, forbear):
    # What the two halves of before gave, without futility: 16 bets from .25 to .95, log E from 3.463.
    found = looked_power(AssumedEffect(gain=gain, discordance=discordance), looks=Looks(futility=0.0))
    assert found.forbear >= forbear - 5e-4
    assert gain < 0.02 or found.forbear <= 0.05


# --- The process and the tables -----------------------------------------------------------------------------


def test_the_watch_stops_where_the_process_says():
    for tasks, edge in enumerate(watch_edges(60, log_value=2.5, margin=0.02)):
        recovered, disrupted = np.indices((tasks + 1, tasks + 1))
        possible = recovered + disrupted <= tasks
        expected = possible & (slow.log_wealths(tasks, 0.02, "less", slow.WATCH) >= 2.5 - 1e-9)
        assert (possible & (disrupted >= edge[:, None]) == expected).all()


def test_the_bet_of_the_watch():
    process = EProcess(margin=0.02, alternative="less", bets=watch_bets(several_seeds=False))
    for difference in (-1.0, 0.0, 1.0):
        process.update(difference)
    stake = 0.85 / 0.98
    assert process.log_value == pytest.approx(
        math.log1p(stake * 1.02) + math.log1p(stake * 0.02) + math.log1p(-stake * 0.98)
    )


# --- The p-value --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_a_pvalue_is_at_most_alpha_where_either_rejects(alpha):
    looks = Looks(tasks=(20, 40))
    constant = boundary_constant(looks, alpha=alpha / 2, margin=-0.02)
    threshold = watch_threshold(looks, alpha=alpha, margin=0.02)

    def pvalue(score, peak):
        return watched_pvalue(looks, score=score, peak=peak, margin=0.02, alpha=alpha)

    assert pvalue(constant, 0.0) <= alpha
    assert pvalue(None, threshold) <= alpha
    assert pvalue(constant - 0.05, threshold - 0.15) > alpha
    assert pvalue(None, 0.0) > 0.9
    values = [pvalue(score, 1.0) for score in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)]
    assert values == sorted(values, reverse=True)


@pytest.mark.slow
def test_the_pvalue_is_valid_at_every_level():
    # P(p ≤ a) ≤ a at the margin, over all tables at which a pilot may stop or end: exact, by the forward programme.
    looks, rule = Looks(tasks=(12, 24), futility=0.0), DecisionRule()
    constant = boundary_constant(looks, alpha=0.025, margin=-0.02)
    threshold = watch_threshold(looks, alpha=0.05, margin=0.02)
    for excess in (-0.6, -0.3, 0.0, 0.4, 1.0):
        level = watched_pvalue(looks, score=constant + excess, peak=0.0, margin=0.02, alpha=0.05)
        assert level == watched_pvalue(looks, score=None, peak=threshold + 2.4 * excess, margin=0.02, alpha=0.05)
        exact = polynomial(looks, constant + excess, threshold + 2.4 * excess)
        assert reference.bernstein_at_most(exact, level * (1 + 1e-6))
    assert StoppingRule(looks, rule).first < 12
