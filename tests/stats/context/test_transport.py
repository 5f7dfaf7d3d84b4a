import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given

from forbear import ClusteredOutcomes, InvalidInput, PairedOutcomes
from forbear.stats.context.resample import best_of
from forbear.stats.context.transport import cross_seed_slope, gain_at, gain_curve, post_stratified_gain
from forbear.stats.intervals import paired_gain_interval
from forbear.testing.strategies import clustered_outcomes, paired_outcomes

RECOVERY, DISRUPTION = 0.20, 0.05


def pilot(rng, *, tasks, seeds, coupled=True, chance=None):
    """Tasks with their own chance of success; the intervention recovers 20 % of failures and disrupts 5 %."""
    chance = rng.beta(1, 1, size=(tasks, 1)) if chance is None else np.full((tasks, 1), chance)
    baseline = rng.random((tasks, seeds)) < chance
    alone = baseline if coupled else rng.random((tasks, seeds)) < chance
    flipped = rng.random((tasks, seeds)) < np.where(alone, DISRUPTION, RECOVERY)
    return ClusteredOutcomes(baseline=baseline.tolist(), treated=(alone ^ flipped).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("coupled", [True, False])
def test_the_slope_and_the_gain_elsewhere_are_recovered(coupled):
    # E[D | chance q] = (1 − q)·.20 − q·.05: slope −.25 per unit of success. 20,000 tasks: standard error about .01.
    outcomes = pilot(np.random.default_rng(4), tasks=20_000, seeds=3, coupled=coupled)
    slope = cross_seed_slope(outcomes)
    assert slope.value == pytest.approx(-(RECOVERY + DISRUPTION), abs=0.03)
    # Beta(1, 1): Var q = 1/12, Var Y = 1/4.
    assert slope.correlation == pytest.approx(1 / 3, abs=0.02)
    for p in (0.2, 0.5, 0.9):
        found = gain_at(outcomes, failure_rate=p)
        assert found.method == "cross-seed slope"
        assert found.gain.value == pytest.approx(p * RECOVERY - (1 - p) * DISRUPTION, abs=0.015)
    if not coupled:
        # One seed alone mistakes churn for recovery and disruption: its line is far too steep, and said to be a bound.
        table = outcomes.seed_tables()[0]
        high, low = gain_at(table, failure_rate=0.9), gain_at(table, failure_rate=0.1)
        assert high.line - low.line > 2 * 0.8 * (RECOVERY + DISRUPTION)
        assert high.gain.value is None
        assert low.line < 0.1 * RECOVERY - 0.9 * DISRUPTION < low.unchanged
        assert high.unchanged < 0.9 * RECOVERY - 0.1 * DISRUPTION < high.line


@given(clustered_outcomes(min_tasks=3))
def test_the_moments_are_those_of_different_seeds(outcomes):
    tasks = [(b, t) for b, t in zip(outcomes.baseline, outcomes.treated, strict=True) if len(b) > 1]
    if len(tasks) < 3:
        assert cross_seed_slope(outcomes) is None
        return
    cross, square, gains, means = [], [], [], []
    for before, after in tasks:
        k = range(len(before))
        same = [before[i] * before[j] for i, j in itertools.permutations(k, 2)]
        if outcomes.paired_seeds:
            mixed = [after[i] * before[j] for i, j in itertools.permutations(k, 2)]
        else:
            mixed = [a * b for a in after for b in before]
        cross.append(np.mean(mixed) - np.mean(same))
        square.append(np.mean(same))
        gains.append(np.mean(after) - np.mean(before))
        means.append(np.mean(before))
    pairs = list(itertools.permutations(range(len(tasks)), 2))
    covariance = np.mean(cross) - np.mean([gains[i] * means[j] for i, j in pairs])
    spread = np.mean(square) - np.mean([means[i] * means[j] for i, j in pairs])
    slope = cross_seed_slope(outcomes)
    if slope is not None:
        assert slope.value == pytest.approx(covariance / spread, abs=1e-9)


def test_at_the_pilots_own_failure_rate_it_is_the_pilots_gain():
    outcomes = pilot(np.random.default_rng(1), tasks=60, seeds=2)
    p = 1 - np.mean([np.mean(seeds) for seeds in outcomes.baseline])
    assert gain_at(outcomes, failure_rate=p).gain.value == pytest.approx(outcomes.success_gain)


def test_seeds_that_agree_by_chance_alone_give_no_slope():
    outcomes = pilot(np.random.default_rng(1), tasks=400, seeds=2, chance=0.5)
    assert cross_seed_slope(outcomes) is None
    found = gain_at(outcomes, failure_rate=0.7)
    assert found.method == "between no change and the line"
    table = outcomes.table
    assert found.line == pytest.approx(0.7 * table.recovery_rate - 0.3 * table.disruption_rate)
    assert (found.gain.value, found.unchanged) == (None, pytest.approx(outcomes.success_gain))
    assert "hardly agree within a task" in found.remark().text
    one_run = gain_at(table, failure_rate=0.7)
    assert "several seeds can" in one_run.remark().text


def test_one_task_that_carries_all_differences_has_no_slope():
    outcomes = ClusteredOutcomes(
        baseline=((True, True),) + ((False, False),) * 9, treated=((True, True),) + ((False, True),) * 9
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gain_at(outcomes, failure_rate=0.5)
    assert found.method == "between no change and the line"


def test_the_guarantee_reaches_what_stands_beside_the_verdict():
    outcomes = pilot(np.random.default_rng(1), tasks=40, seeds=2, chance=0.5)

    def lows(guarantee):
        rng = np.random.default_rng(0)
        return (
            gain_at(outcomes, failure_rate=0.5, guarantee=guarantee).gain.low,
            post_stratified_gain({"a": outcomes}, mix={"a": 1.0}, guarantee=guarantee).gain.low,
            best_of({"a": outcomes}, rng=rng, resamples=50, guarantee=guarantee).gain.low,
        )

    assert all(
        finite < calibrated for finite, calibrated in zip(lows("finite-sample"), lows("calibrated"), strict=True)
    )


def test_the_chart_is_the_gain_over_failure_rates():
    table = PairedOutcomes(both_fail=35, recovered=7, disrupted=11, both_succeed=47)
    low, middle, high = gain_curve(table, failure_rates=[0.0, table.break_even_failure_rate, 1.0])
    assert (low.line, high.line) == pytest.approx((-11 / 58, 7 / 42))
    assert middle.line == pytest.approx(0.0)
    bounds = paired_gain_interval(table)
    for one in (low, middle, high):
        assert one.unchanged == table.success_gain
        assert one.gain.low <= min(bounds.low, one.line)
        assert one.gain.high >= max(bounds.high, one.line)
    # At the ends only one rate of the line matters: its Wilson limit, or no change where that reaches farther.
    assert -low.gain.low == pytest.approx(0.3084, abs=5e-4)
    assert low.gain.high == bounds.high


@pytest.mark.statistical
def test_the_gain_elsewhere_covers():
    # 100 tasks × 3 seeds, coupled: 1,000 pilots, standard error .007 at 95 %.
    rng, held = np.random.default_rng(8), 0
    for _ in range(1000):
        bounds = gain_at(pilot(rng, tasks=100, seeds=3), failure_rate=0.8).gain
        held += bounds.low <= 0.8 * RECOVERY - 0.2 * DISRUPTION <= bounds.high
    assert held / 1000 >= 0.93


@pytest.mark.statistical
@pytest.mark.parametrize("coupled", [True, False])
def test_with_one_seed_the_range_covers_in_both_designs(coupled):
    # 100 tasks × 1 seed: 500 pilots at 90 %, standard error .0134. Where the arms ran apart the line is far off.
    rng, held, on_the_line, failure_rate = np.random.default_rng(9), 0, 0, 0.8
    truth = failure_rate * RECOVERY - (1 - failure_rate) * DISRUPTION
    for _ in range(500):
        found = gain_at(pilot(rng, tasks=100, seeds=1, coupled=coupled), failure_rate=failure_rate, confidence=0.9)
        held += found.gain.low <= truth <= found.gain.high
        on_the_line += abs(found.line - truth) <= 0.12
    assert held / 500 >= 0.9 - 3 * 0.0134
    assert (on_the_line / 500 > 0.5) == coupled


# --- The mix ------------------------------------------------------------------------------------------------


@given(paired_outcomes())
def test_one_stratum_is_the_pilot_itself(pairs):
    mixed = post_stratified_gain({"all": pairs}, mix={"all": 1.0})
    bounds = paired_gain_interval(pairs)
    assert (mixed.gain.value, mixed.gain.low, mixed.gain.high) == pytest.approx(
        (pairs.success_gain, bounds.low, bounds.high)
    )


def test_weights_are_those_of_the_deployment():
    easy = PairedOutcomes(both_fail=5, recovered=0, disrupted=5, both_succeed=40)
    hard = PairedOutcomes(both_fail=30, recovered=15, disrupted=0, both_succeed=5)
    mixed = post_stratified_gain({"easy": easy, "hard": hard, "unused": easy}, mix={"easy": 0.9, "hard": 0.1})
    assert mixed.gain.value == pytest.approx(0.9 * -0.1 + 0.1 * 0.3)
    assert (easy + hard).success_gain > 0 > mixed.gain.value


def test_a_stratum_without_tasks_widens_and_is_not_estimated():
    pairs = PairedOutcomes(both_fail=20, recovered=10, disrupted=0, both_succeed=30)
    full = post_stratified_gain({"seen": pairs}, mix={"seen": 1.0})
    part = post_stratified_gain({"seen": pairs}, mix={"seen": 0.8, "new": 0.2})
    assert part.gain.value is None
    assert part.uncovered == pytest.approx(0.2)
    assert part.gain.low == pytest.approx(0.8 * full.gain.low - 0.2)
    assert part.gain.high == pytest.approx(0.8 * full.gain.high + 0.2)
    assert [c.code for c in part.cautions] == ["uncovered_strata"]
    thin = post_stratified_gain(
        {"a": pairs, "b": PairedOutcomes(both_fail=1, recovered=1, disrupted=0, both_succeed=1)},
        mix={"a": 0.5, "b": 0.5},
    )
    assert [c.code for c in thin.cautions] == ["thin_strata"]


@pytest.mark.parametrize(
    ("mix", "message"),
    [({}, "a weight"), ({"a": -0.1, "b": 1.1}, "a weight"), ({"a": 0.5}, "add up to 1"), ({"z": 1.0}, "no stratum")],
)
def test_unusable_mixes(mix, message):
    pairs = PairedOutcomes(both_fail=1, recovered=1, disrupted=1, both_succeed=1)
    with pytest.raises(InvalidInput, match=message):
        post_stratified_gain({"a": pairs, "b": pairs}, mix=mix)


@pytest.mark.statistical
def test_mixed_gains_cover():
    # Three strata, coverage over 3,000 pilots: standard error .004 at 95 %.
    rng = np.random.default_rng(12)
    truths = {"a": (30, 0.1, 0.1), "b": (20, 0.3, 0.05), "c": (10, 0.02, 0.2)}
    mix = {"a": 0.2, "b": 0.5, "c": 0.3}
    truth = sum(mix[k] * (up - down) for k, (_, up, down) in truths.items())
    held = 0
    for _ in range(3000):
        strata = {}
        for name, (n, up, down) in truths.items():
            c, b, rest = rng.multinomial(n, [up, down, 1 - up - down])
            strata[name] = PairedOutcomes(both_fail=int(rest), recovered=int(c), disrupted=int(b), both_succeed=0)
        gain = post_stratified_gain(strata, mix=mix).gain
        held += gain.low <= truth <= gain.high
    assert held / 3000 >= 0.93
