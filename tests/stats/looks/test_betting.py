import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import reference
import reference_looks as slow
from forbear import InvalidInput
from forbear.stats import EProcess
from forbear.stats.looks.betting import (
    BETS,
    BETS_FOR_LONG,
    BETS_ON_MEANS,
    bets_on,
    confidence_sequence,
    log_growth,
)

ALTERNATIVES = ["greater", "less"]
OUTCOMES = st.sampled_from([-1, 0, 1])


def run(differences, **keywords):
    process = EProcess(**keywords)
    for difference in differences:
        process.update(difference)
    return process


# --- The process --------------------------------------------------------------------------------------------


@pytest.mark.slow
@given(st.lists(OUTCOMES, max_size=60), st.sampled_from([-0.02, 0.0, 0.02, 0.3]), st.sampled_from(ALTERNATIVES))
def test_the_process_is_the_mean_of_products(differences, margin, alternative):
    process = run(differences, margin=margin, alternative=alternative)
    exact = slow.wealth([Fraction(d) for d in differences], Fraction(margin), alternative)
    assert process.log_value == pytest.approx(math.log(exact), abs=1e-12)
    peak = max(
        slow.wealth([Fraction(d) for d in differences[:n]], Fraction(margin), alternative)
        for n in range(len(differences) + 1)
    )
    assert process.log_peak == pytest.approx(math.log(peak), abs=1e-12)


@pytest.mark.parametrize(("bets", "expected"), [(BETS, slow.BETS), (BETS_ON_MEANS, slow.rising(0.5, 0.999))])
def test_the_bets(bets, expected):
    assert bets.shares == pytest.approx([float(share) for share, _ in expected], abs=1e-14)
    assert bets.parts == pytest.approx([float(part) for _, part in expected], abs=1e-15)


def test_the_bets_of_a_long_stream_are_half_a_beta():
    # The mean of (1 + b)^C (1 − b)^B under θ = (1 + b)/2 > ½ from a Beta(10, 10), in closed form.
    for recovered, disrupted in ((0, 0), (6, 0), (30, 20), (200, 150), (900, 800)):
        total, log_value = recovered + disrupted, BETS_FOR_LONG.log_value
        found = float(
            log_value(recovered * np.log1p(BETS_FOR_LONG.shares) + disrupted * np.log1p(-BETS_FOR_LONG.shares))
        )
        exact = math.log(2) + special.betaln(recovered + 10, disrupted + 10) - special.betaln(10, 10)
        exact += math.log(special.betainc(disrupted + 10, recovered + 10, 0.5)) + total * math.log(2)
        assert found == pytest.approx(exact, abs=0.06)
    assert bets_on(several_seeds=False, planned=2001) is BETS_FOR_LONG
    assert bets_on(several_seeds=False, planned=2000) is bets_on(several_seeds=False) is BETS


@pytest.mark.slow
@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("margin", [Fraction(-1, 50), Fraction(0), Fraction(1, 50)])
@pytest.mark.parametrize("excess", [Fraction(0), Fraction(1, 10)])
def test_the_expectation_is_at_most_one_under_the_null(margin, alternative, excess):
    # Every sequence of three pairs, in rational arithmetic: exactly 1 at the margin, below it within the null.
    gain = margin - excess if alternative == "greater" else margin + excess
    psi = Fraction(3, 10)
    chance = {1: (psi + gain) / 2, 0: 1 - psi, -1: (psi - gain) / 2}
    expected = sum(
        math.prod(chance[d] for d in sequence) * slow.wealth([Fraction(d) for d in sequence], margin, alternative)
        for sequence in itertools.product((-1, 0, 1), repeat=3)
    )
    assert expected == 1 if not excess else expected < 1


def test_the_expectation_over_means_is_at_most_one():
    # Three seeds that agree in part: differences in thirds; their law only has to have mean 0.
    law = {Fraction(-1): 0.1, Fraction(-1, 3): 0.15, Fraction(0): 0.5, Fraction(1, 3): 0.15, Fraction(1): 0.1}
    growth = np.exp(
        log_growth(np.array([float(d) for d in law]), margin=0.0, alternative="greater", bets=BETS_ON_MEANS)
    )
    assert np.array(list(law.values())) @ growth == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize(("alternative", "margin"), [("greater", 0.0), ("greater", -0.02), ("less", 0.02)])
def test_a_weight_is_a_share_of_the_stake(alternative, margin):
    # At the margin the expectation stays 1 whatever the weight; at weight 0 nothing is staked.
    values, chances = np.array([1.0, 0.0, -1.0]), np.array([0.15 + margin / 2, 0.7, 0.15 - margin / 2])
    for weight in (1.0, 0.3, 0.0):
        growth = np.exp(log_growth(values, margin=margin, alternative=alternative, weights=weight))
        assert chances @ growth == pytest.approx(1, abs=1e-14)
    assert growth == pytest.approx(1)


@given(st.lists(st.lists(st.floats(-1, 1), min_size=3, max_size=3), max_size=30), st.booleans())
def test_many_streams_are_each_one_stream(rows, several_seeds):
    keywords = {"margin": 0.02, "alternative": "less", "several_seeds": several_seeds}
    together = EProcess(streams=3, **keywords)
    for row in rows:
        together.update(np.array(row))
    for stream in range(3):
        alone = run([row[stream] for row in rows], **keywords)
        assert together.log_value[stream] == pytest.approx(alone.log_value, abs=1e-11)
        assert together.log_peak[stream] == pytest.approx(alone.log_peak, abs=1e-11)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.floats(-0.5, 0.5))
def test_turning_the_signs_turns_the_alternative(differences, margin):
    greater = run(differences, margin=margin, alternative="greater")
    less = run([-d for d in differences], margin=-margin, alternative="less")
    assert greater.log_value == pytest.approx(less.log_value, abs=1e-12)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40), st.floats(-0.5, 0.4))
def test_evidence_falls_as_the_margin_rises(differences, margin):
    assert run(differences, margin=margin).log_value >= run(differences, margin=margin + 0.1).log_value - 1e-12


def test_a_long_run_neither_overflows_nor_goes_broke():
    assert run([1.0] * 5000).log_value == pytest.approx(
        5000 * math.log1p(BETS.shares[-1]) + math.log(0.995 / 16), abs=1e-6
    )
    assert math.isfinite(run([-1.0] * 5000).log_value)
    assert run([-1.0] * 50).log_peak == 0.0


@pytest.mark.parametrize("difference", [1.5, -2, float("nan")])
def test_a_difference_lies_between_minus_one_and_one(difference):
    with pytest.raises(InvalidInput, match="lies between -1 and 1"):
        EProcess().update(difference)


def test_unusable_processes():
    with pytest.raises(InvalidInput, match="margin"):
        EProcess(margin=1.0)
    with pytest.raises(InvalidInput, match="alternative"):
        EProcess(alternative="two-sided")


# --- False stops and power, looking after every pair: exact ------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("margin", [-0.02, 0.0, 0.02])
def test_false_stops_with_a_look_after_every_pair(margin):
    # 200 tasks at .05: at most .037 at the discordances one meets; .042 if every pair differed.
    stops = slow.reaching(math.log(20), margin, "greater")
    found = {
        psi: slow.chance(slow.forward(200, *slow.shares(margin, psi), stops), "reached")
        for psi in (0.1, 0.2, 0.35, 1.0)
    }
    assert max(found[psi] for psi in (0.1, 0.2, 0.35)) <= 0.0375
    assert found[1.0] <= 0.0425
    assert reference.bernstein_at_most(slow.bernstein(200, stops, "reached", margin), 0.0425)


def ever_crossed(gain, discordance, tasks, bets=BETS):
    """The probability that E against no gain reaches 20 within so many tasks: exact, over differing pairs alone."""
    differing, theta = max(tasks), (1 + gain / discordance) / 2
    up, down = np.log1p(bets.shares), np.log1p(-bets.shares)
    going, crossed, needed = np.ones(1), np.zeros(differing + 1), 0
    for n in range(1, differing + 1):
        grown = np.zeros(n + 1)
        grown[:-1] += (1 - theta) * going
        grown[1:] += theta * going
        # The fewest recovered that are enough rise by at most one with a pair.
        while needed <= n and bets.log_value(needed * up + (n - needed) * down) < math.log(20):
            needed += 1
        crossed[n] = crossed[n - 1] + grown[needed:].sum()
        grown[needed:] = 0
        going = grown
    number = np.arange(differing + 1)
    chances = []
    for planned in tasks:
        log_chance = (
            special.gammaln(planned + 1) - special.gammaln(number + 1) - special.gammaln(planned - number + 1.0)
        )
        log_chance = log_chance + special.xlogy(number, discordance) + special.xlog1py(planned - number, -discordance)
        chances.append(float(np.exp(np.where(number <= planned, log_chance, -np.inf)) @ crossed))
    return chances


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gain", "discordance", "expected"),
    [
        (0.10, 0.14, {50: 0.319, 100: 0.683, 200: 0.948, 400: 0.999}),
        (0.05, 0.18, {50: 0.079, 100: 0.153, 200: 0.267, 400: 0.467, 1000: 0.847, 2000: 0.991}),
        (0.03, 0.30, {400: 0.126, 1000: 0.215, 2000: 0.371, 5000: 0.786}),
        (0.02, 0.10, {200: 0.105, 400: 0.169, 1000: 0.331, 2000: 0.568, 5000: 0.937}),
    ],
)
def test_anytime_power(gain, discordance, expected):
    # Of the same sixteen bets without the small ones, by an independent recursion; those cost at most .002.
    found = ever_crossed(gain, discordance, tuple(expected))
    assert found == pytest.approx(list(expected.values()), abs=0.002)


@pytest.mark.slow
def test_a_long_stream_finds_small_gains_sooner():
    found = ever_crossed(0.03, 0.30, (2000, 5000), BETS_FOR_LONG)
    assert found == pytest.approx([0.512, 0.892], abs=0.004)


@pytest.mark.parametrize(("bets", "level"), [(BETS, 0.045), (BETS_FOR_LONG, 0.04)])
def test_false_alarms_of_a_long_stream(bets, level):
    # If every one of 1,800 pairs differs.
    assert ever_crossed(0.0, 1.0, (1800,), bets)[0] <= level


@pytest.mark.parametrize("gain", [0.001, 0.0001])
def test_a_gain_however_small_is_found_in_the_end(gain):
    # The expected table of a stream long enough, at 10 % discordance.
    tasks = 40 * 0.1 / gain**2
    up, down = (tasks * (0.1 + gain) / 2, tasks * (0.1 - gain) / 2)
    assert BETS.log_value(up * np.log1p(BETS.shares) + down * np.log1p(-BETS.shares)) > math.log(20)


# --- The confidence sequence --------------------------------------------------------------------------------


@given(st.lists(OUTCOMES, min_size=1, max_size=40), st.sampled_from([0.8, 0.9, 0.95]), st.booleans())
def test_a_bound_lies_where_a_process_reaches_the_level(differences, confidence, several_seeds):
    course = confidence_sequence(np.array(differences, float), confidence=confidence, several_seeds=several_seeds)
    needed = math.log(2 / (1 - confidence))
    low, high = float(course.low[-1]), float(course.high[-1])
    keywords = {"several_seeds": several_seeds}
    for bound, alternative, outwards in ((low, "greater", -1), (high, "less", 1)):
        if abs(bound) < 1 - 1e-6:
            beyond, within = bound + outwards * 1e-7, bound - outwards * 1e-7
            assert run(differences, margin=beyond, alternative=alternative, **keywords).log_peak >= needed
            assert run(differences, margin=within, alternative=alternative, **keywords).log_peak < needed


@given(st.lists(st.one_of(st.floats(-1, 1), st.just(math.nan)), min_size=1, max_size=40))
def test_bounds_only_narrow(differences):
    course = confidence_sequence(np.array(differences))
    assert (np.diff(course.low) >= 0).all()
    assert (np.diff(course.high) <= 0).all()
    assert (course.low <= course.high).all()
    assert course.low.min() >= -1
    assert course.high.max() <= 1
    assert len(course.low) == len(differences)


def test_a_task_without_an_outcome_says_nothing():
    with_holes = confidence_sequence(np.array([1.0, math.nan, -1.0, math.nan, 1.0, 1.0, 1.0, 1.0]))
    without = confidence_sequence(np.array([1.0, -1.0, 1.0, 1.0, 1.0, 1.0]))
    assert with_holes.low[[0, 2, 4, 5, 6, 7]] == pytest.approx(without.low)
    assert with_holes.low[1] == with_holes.low[0]
    nothing = confidence_sequence(np.array([math.nan, math.nan]))
    assert nothing.low.tolist() == [-1.0, -1.0]
    assert nothing.high.tolist() == [1.0, 1.0]


def test_weighted_bounds_hold_the_weighted_mean():
    # One unit in ten is ten times as large and gains nothing; the others gain .5: all in all 9·.5/19.
    differences = np.array(([0.0] + [1.0, 0.0, 1.0] * 3) * 40)
    differences[differences == 1] = 0.75
    weights = np.array(([1.0] + [0.1] * 9) * 40)
    mean = float(weights @ differences / weights.sum())
    course = confidence_sequence(differences, weights=weights)
    assert course.low[-1] < mean < course.high[-1]
    plain = confidence_sequence(differences)
    assert plain.low[-1] > mean, "without weights it is about another mean"
    same = confidence_sequence(differences, weights=np.ones(400))
    assert (same.low == plain.low).all()


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, 1.5], [1.0, math.nan]])
def test_unusable_weights(weights):
    with pytest.raises(InvalidInput, match="the weights of a confidence sequence"):
        confidence_sequence(np.array([0.0, 1.0]), weights=np.array(weights))


def test_turning_the_arms_turns_the_bounds():
    differences = np.random.default_rng(5).choice([-1.0, 0.0, 1.0], size=80, p=[0.1, 0.7, 0.2])
    there, back = confidence_sequence(differences), confidence_sequence(-differences)
    assert there.low == pytest.approx(-back.high, abs=1e-9)
    assert there.high == pytest.approx(-back.low, abs=1e-9)


@pytest.mark.parametrize("differences", [[[0.0, 1.0]], [1.5], [-1.01, 0.0]])
def test_unusable_differences(differences):
    with pytest.raises(InvalidInput, match="a confidence sequence needs"):
        confidence_sequence(np.array(differences))
    with pytest.raises(InvalidInput, match="confidence"):
        confidence_sequence(np.array([0.0]), confidence=1.0)
