import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtri

from forbear import (
    ClusteredOutcomes,
    DecisionRule,
    InvalidInput,
    Looks,
    PairedOutcomes,
    Recommendation,
    Verdict,
    decide,
    decide_arms,
)
from forbear.stats import EProcess, SequentialOutcomes, sequential_outcomes
from forbear.stats.looks.betting import confidence_sequence
from forbear.stats.looks.gain_path import gain_path_of
from forbear.stats.looks.lattice import Bools
from forbear.stats.looks.looks import sequential_pvalue
from forbear.stats.looks.sequential import Sequential, unit_differences
from forbear.stats.looks.stopping import StoppingRule
from forbear.stats.looks.watch import watch_bets, watch_threshold

INTERVENE, FORBEAR, UNDECIDED = Recommendation.INTERVENE, Recommendation.FORBEAR, Recommendation.UNDECIDED
RULE = DecisionRule()
SMALL = Looks(tasks=(20, 40), gain=0.15, discordance=0.3)


def runs(differences):
    """Outcomes of one pair per task with these differences; where nothing differs both succeed."""
    return [[d != 1] for d in differences], [[d != -1] for d in differences]


def outcomes_of(differences, looks=SMALL, **keywords):
    baseline, treated = runs(differences)
    outcomes, _ = sequential_outcomes(baseline=baseline, treated=treated, looks=looks, **keywords)
    return outcomes


def drawn(rng, size, up, down):
    return rng.choice([1, -1, 0], size=size, p=[up, down, 1 - up - down]).tolist()


def several_seeds(rng, *, tasks, seeds, up, down, agreement=0.5):
    """Baseline and treated, tasks × seeds; seeds of a task agree more or less in what the intervention does."""
    same = rng.random((tasks, 1)) < agreement
    effect = np.where(same, rng.random((tasks, 1)), rng.random((tasks, seeds)))
    baseline = np.where(effect < up, False, np.where(effect < up + down, True, rng.random((tasks, seeds)) < 0.5))
    treated = np.where(effect < up, True, np.where(effect < up + down, False, baseline))
    return baseline.tolist(), treated.tolist()


COURSES = st.builds(
    lambda seed, size, up, down: drawn(np.random.default_rng(seed), size, up, down),
    st.integers(0, 10**6),
    st.integers(1, 40),
    st.sampled_from([0.02, 0.1, 0.3, 0.45]),
    st.sampled_from([0.0, 0.1, 0.3, 0.5]),
)


# --- What a verdict promises --------------------------------------------------------------------------------


@pytest.mark.slow
@given(COURSES, st.booleans(), st.sampled_from(["obrien-fleming", "pocock"]))
def test_verdict_interval_and_pvalues_agree(differences, watch, shape):
    looks = Looks(tasks=(20, 40), watch=watch, shape=shape)
    verdict = decide(outcomes_of(differences, looks))
    gain = verdict.success_gain
    assert gain.confidence == pytest.approx(0.9)
    assert -1 <= gain.low <= gain.value <= gain.high <= 1
    if verdict.recommendation is INTERVENE:
        assert gain.low > RULE.margin
        assert verdict.p_value_gain <= RULE.alpha
    if verdict.recommendation is FORBEAR:
        assert gain.high < RULE.worthwhile
        assert verdict.p_value_worthwhile <= RULE.harm_alpha
    assert not verdict.harmful or (gain.high < 0 and verdict.p_value_harm <= RULE.harm_alpha)
    assert not verdict.futile or (verdict.recommendation is UNDECIDED and len(differences) == 20)
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict(), allow_nan=False))) == verdict


def test_the_same_data_give_the_same_verdict():
    baseline, treated = several_seeds(np.random.default_rng(6), tasks=40, seeds=2, up=0.2, down=0.1)
    once, again = (sequential_outcomes(baseline=baseline, treated=treated, looks=SMALL)[0] for _ in range(2))
    assert decide(once) == decide(again), "the orders that correct the estimate are seeded"


@pytest.mark.slow
@pytest.mark.parametrize("looks", [SMALL, Looks(tasks=(20, 40), watch=False), Looks(tasks=(10, 25, 40), futility=0.0)])
def test_a_pilot_stops_where_the_design_says(looks):
    # Task by task through `decide`, against the regions that the exact probabilities rest on.
    rng, stopped = np.random.default_rng(11), set()
    design = StoppingRule(looks, RULE)
    for up, down in ((0.3, 0.02), (0.02, 0.3), (0.15, 0.13), (0.1, 0.3)):
        for _ in range(3):
            course = drawn(rng, looks.planned, up, down)
            for tasks in range(1, looks.planned + 1):
                seen, stops = course[:tasks], design(tasks)
                verdict = decide(outcomes_of(seen, looks))
                at: tuple[int, int] = seen.count(1), seen.count(-1)

                def within(region: Bools, at: tuple[int, int] = at) -> bool:
                    return bool(region[at])

                assert (verdict.recommendation is INTERVENE) == (stops is not None and within(stops.intervene))
                assert (verdict.recommendation is FORBEAR) == (stops is not None and within(stops.forbear))
                assert verdict.futile == (stops is not None and within(stops.futile))
                if verdict.look.stopped:
                    stopped.add(verdict.look.stopped)
                    break
    assert {"decided", "last look"} <= stopped
    assert ("watch" in stopped) == looks.watch


@pytest.mark.slow
@given(COURSES, st.sampled_from([0.05, 0.025]))
def test_one_look_without_a_watch_is_the_fixed_design(differences, alpha):
    looks, rule = Looks(tasks=(len(differences),), watch=False), DecisionRule(alpha=alpha)
    looked, fixed = decide(outcomes_of(differences, looks), rule), decide(outcomes_of(differences, looks).now, rule)
    for name in ("recommendation", "harmful", "p_value_gain", "p_value_harm", "p_value_worthwhile", "tasks_needed"):
        assert getattr(looked, name) == getattr(fixed, name), name
    for name in ("success_gain", "failure_rate", "recovery_rate", "disruption_rate", "break_even_failure_rate"):
        ours, theirs = getattr(looked, name), getattr(fixed, name)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert (ours.value, ours.low, ours.high) == pytest.approx((theirs.value, theirs.low, theirs.high), abs=1e-9)
    assert looked.look.stopped in ("decided", "last look")
    assert fixed.look is None


@given(COURSES)
def test_swapping_the_arms_exchanges_gain_and_harm(differences):
    # Without a watch, which looks for harm alone, and with one threshold the design is symmetric.
    looks = Looks(tasks=(20, 40), watch=False, futility=0.0)
    rule = DecisionRule(margin=0.0, worthwhile=0.0)
    verdict = decide(outcomes_of(differences, looks), rule)
    swapped = decide(outcomes_of([-d for d in differences], looks), rule)
    assert verdict.p_value_gain == swapped.p_value_harm
    assert verdict.success_gain.low == pytest.approx(-swapped.success_gain.high, abs=1e-9)
    assert verdict.success_gain.value == pytest.approx(-swapped.success_gain.value, abs=1e-9)
    assert (verdict.recommendation is INTERVENE) == (swapped.recommendation is FORBEAR)


def test_a_clear_gain_stops_at_the_first_look():
    verdict = decide(outcomes_of([1] * 12 + [0] * 7 + [-1], Looks(tasks=(20, 40))))
    assert verdict.recommendation is INTERVENE
    look = verdict.look.to_dict()
    assert look.pop("statistic") == pytest.approx(11 / 13**0.5)
    assert look.pop("boundary") == pytest.approx(1.6978 * 2**0.5)
    assert look == {
        "number": 1,
        "of": 2,
        "tasks": 20,
        "looks": [20, 40],
        "shape": "obrien-fleming",
        "watched": True,
        "next": 40,
        "stopped": "decided",
    }
    assert verdict.method == "looks at 20, 40 tasks (O'Brien-Fleming), watched after every task (betting)"


def test_the_watch_stops_between_looks():
    verdict = decide(outcomes_of([-1] * 12 + [0] * 3, Looks(tasks=(20, 40))))
    assert (verdict.recommendation, verdict.harmful) == (FORBEAR, True)
    assert (verdict.look.number, verdict.look.stopped) == (None, "watch")
    unwatched = decide(outcomes_of([-1] * 12 + [0] * 3, Looks(tasks=(20, 40), watch=False)))
    assert unwatched.recommendation is UNDECIDED
    assert unwatched.p_value_worthwhile == 1.0, "no look was taken yet"


def test_a_futile_pilot_says_so():
    verdict = decide(outcomes_of([1, -1] * 3 + [-1] * 2 + [0] * 12, SMALL))
    assert verdict.futile
    assert verdict.look.stopped == "futile"
    assert [remark.code for remark in verdict.reasons] == ["inconclusive", "futile", "tasks_needed"]
    going_on = decide(outcomes_of([1, -1] * 3 + [-1] * 2 + [0] * 12, Looks(tasks=(20, 40), futility=0.0)))
    assert not going_on.futile
    assert [remark.code for remark in going_on.reasons] == ["inconclusive", "next_look", "tasks_needed"]


def test_the_parts_of_the_interval():
    # After two looks: the tighter of two repeated intervals below, and of those and the watch above.
    looks, rng = Looks(tasks=(20, 40)), np.random.default_rng(3)
    differences = drawn(rng, 40, 0.3, 0.1)
    gain = decide(outcomes_of(differences, looks)).success_gain
    lows = [decide(outcomes_of(differences[:n], looks)).success_gain.low for n in (20, 40)]
    assert gain.low == max(lows)
    needed = watch_threshold(looks, alpha=0.05, margin=0.02)

    def watched(margin, tasks):
        process = EProcess(margin=margin, alternative="less", bets=watch_bets(several_seeds=False))
        for difference in differences[:tasks]:
            process.update(float(difference))
        return process.log_peak

    assert watched(gain.high - 1e-7, 40) < needed
    only_watch = decide(outcomes_of(differences[:15], looks)).success_gain
    assert watched(only_watch.high + 1e-7, 15) >= needed > watched(only_watch.high - 1e-7, 15)
    course = confidence_sequence(np.array(differences[:15], float), confidence=0.9)
    assert only_watch.low == pytest.approx(course.low[-1])


# --- Brought by hand ----------------------------------------------------------------------------------------


def table(recovered, disrupted, n):
    return PairedOutcomes(both_fail=0, recovered=recovered, disrupted=disrupted, both_succeed=n - recovered - disrupted)


@pytest.mark.slow
def test_outcomes_at_a_look():
    looks = Looks(tasks=(50, 100))
    data = SequentialOutcomes.at_look(table(20, 5, 100), looks, look=2)
    verdict = decide(data)
    assert (data.look, data.next_look, data.tasks) == (2, None, 100)
    assert verdict.p_value_gain == sequential_pvalue(looks, [None, 15 / 5])
    assert not verdict.look.watched, "the order is not known"
    assert verdict.p_value_worthwhile == 1.0 or verdict.p_value_worthwhile > 0.05
    assert decide(SequentialOutcomes.at_look(table(12, 1, 49), looks, look=1)).pairs == 49, "one task without outcome"


@pytest.mark.parametrize(("tasks", "look"), [(51, 1), (120, 2)])
def test_grown_data_are_refused(tasks, look):
    with pytest.raises(InvalidInput, match="The data have grown"):
        SequentialOutcomes.at_look(table(5, 2, tasks), Looks(tasks=(50, 100)), look=look)


@pytest.mark.parametrize("look", [0, 3, -1])
def test_looks_that_were_not_declared_are_refused(look):
    with pytest.raises(InvalidInput, match="there are 2 looks, numbered from 1; got look"):
        SequentialOutcomes.at_look(table(5, 2, 50), Looks(tasks=(50, 100)), look=look)


def test_more_tasks_than_planned_are_refused():
    with pytest.raises(InvalidInput, match="the last look is at 40 tasks, got 41"):
        outcomes_of([0] * 41)


# --- Missing outcomes ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_missing_outcomes_are_bounded_by_every_way_to_fill_them():
    differences = drawn(np.random.default_rng(8), 20, 0.35, 0.1)
    baseline, treated = runs(differences)
    baseline[3], treated[7], baseline[12], treated[12] = [None], [None], [None], [None]
    outcomes, missing = sequential_outcomes(baseline=baseline, treated=treated, looks=SMALL)
    assert missing.by_arm == {"baseline": 2, "treated": 2}
    assert outcomes.now.pairs == 17
    assert np.isnan(outcomes.differences[[3, 7, 12]]).all()
    low, high = (decide(bound).p_value_gain for bound in (missing.best, missing.worst))
    gains = []
    for fill in itertools.product([False, True], repeat=4):
        before, after = [list(row) for row in baseline], [list(row) for row in treated]
        before[3][0], before[12][0], after[7][0], after[12][0] = fill
        filled, none = sequential_outcomes(baseline=before, treated=after, looks=SMALL)
        assert none is None
        gains.append(filled.now.success_gain)
        assert low <= decide(filled).p_value_gain <= high
    assert (missing.worst.now.success_gain, missing.best.now.success_gain) == (min(gains), max(gains))
    verdict = decide(outcomes, missing=missing)
    assert any(remark.code.startswith("missing_outcomes") for remark in verdict.cautions)


@pytest.mark.slow
def test_runs_that_one_arm_lost_more_count_against_it_at_every_look():
    rng = np.random.default_rng(3)
    differences = drawn(rng, 40, 0.3, 0.05)
    baseline, treated = runs(differences)
    looks = Looks(tasks=(20, 40), watch=False)
    lost = [i for i, (b,) in enumerate(baseline) if b][:8]
    for i in lost:
        treated[i] = [None]
    outcomes, missing = sequential_outcomes(baseline=baseline, treated=treated, looks=looks)
    for at, tasks in enumerate(looks.tasks):
        holes = sum(i < tasks for i in lost)
        charged = math.ceil(holes - math.sqrt(holes) / 2 - 1e-9)
        before, after = outcomes.at_looks[at], missing.charged.at_looks[at]
        assert (after.recovered, after.disrupted) == (before.recovered, before.disrupted + charged)
    excluding, charging = (decide(outcomes, DecisionRule(missing=m), missing=missing) for m in ("exclude", "excess"))
    assert excluding.recommendation is Recommendation.INTERVENE
    assert charging.recommendation is Recommendation.UNDECIDED
    assert charging.p_value_gain == decide(missing.charged).p_value_gain
    assert charging.p_value_worthwhile == excluding.p_value_worthwhile  # FORBEAR is not touched


def test_a_pilot_without_a_pair_has_no_outcomes():
    outcomes, missing = sequential_outcomes(baseline=[[None]] * 3, treated=[[True]] * 3, looks=SMALL)
    assert outcomes is None
    assert missing.by_arm["baseline"] == 3


# --- Units: several seeds, clusters, ragged and missing runs ------------------------------------------------


def test_units_and_their_weights():
    baseline = [[True, False], [True, None], [False, False], [None, None]]
    treated = [[False, False], [True, True], [True, True], [True, True]]
    differences, weights = unit_differences(baseline, treated, None)
    assert differences.tolist()[:3] == [-0.5, 0.0, 1.0]
    assert math.isnan(differences[3])
    assert weights.tolist() == [1.0, 0.5, 1.0, 1.0]
    differences, weights = unit_differences(baseline, treated, ["a", "a", "b", "b"])
    assert np.isnan(differences[[0, 2]]).all()
    assert differences[[1, 3]] == pytest.approx([-1 / 3, 1.0])
    assert weights[[1, 3]] == pytest.approx([3 / 4, 2 / 4])


@pytest.mark.slow
def test_unequal_seeds_between_the_arms():
    differences, weights = unit_differences([[True], [False]], [[True, False, False], [True, True, None]], None)
    assert differences == pytest.approx([-2 / 3, 1.0])
    assert weights.tolist() == [1.0, 1.0]
    rng = np.random.default_rng(4)
    baseline, treated = (rng.random((40, 1)) < 0.3).tolist(), (rng.random((40, 3)) < 0.8).tolist()
    outcomes, _ = sequential_outcomes(baseline=baseline, treated=treated, looks=SMALL)
    verdict = decide(outcomes)
    assert verdict.recommendation is INTERVENE
    assert verdict.success_gain.low <= outcomes.now.success_gain <= verdict.success_gain.high


@pytest.mark.slow
@pytest.mark.parametrize("guarantee", ["calibrated", "finite-sample"])
def test_several_seeds(guarantee):
    rule, rng = DecisionRule(guarantee=guarantee), np.random.default_rng(9)
    for up, down, expected in ((0.5, 0.02, INTERVENE), (0.02, 0.5, FORBEAR)):
        baseline, treated = several_seeds(rng, tasks=40, seeds=3, up=up, down=down)
        outcomes, _ = sequential_outcomes(baseline=baseline, treated=treated, looks=SMALL)
        verdict = decide(outcomes, rule)
        assert verdict.recommendation is expected
        assert (verdict.tasks, verdict.pairs) == (40, 120)
        gain = verdict.success_gain
        assert gain.low <= gain.value <= gain.high
        assert gain.low > 0 if expected is INTERVENE else gain.high < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_the_guarantee_costs_evidence(seed):
    baseline, treated = several_seeds(np.random.default_rng(seed), tasks=40, seeds=3, up=0.3, down=0.1, agreement=1.0)
    outcomes, _ = sequential_outcomes(baseline=baseline, treated=treated, looks=Looks(tasks=(20, 40), watch=False))
    finite = decide(outcomes, DecisionRule(guarantee="finite-sample"))
    by_seed = []
    for k in range(3):
        one, _ = sequential_outcomes(
            baseline=[[row[k]] for row in baseline],
            treated=[[row[k]] for row in treated],
            looks=Looks(tasks=(20, 40), watch=False),
        )
        by_seed.append(decide(one).p_value_gain)
    assert finite.p_value_gain == pytest.approx(min(1.0, 3 * min(by_seed)))


@pytest.mark.slow
def test_seeds_that_always_agree_are_one_seed():
    differences = drawn(np.random.default_rng(2), 40, 0.3, 0.1)
    baseline, treated = ([row * 3 for row in arm] for arm in runs(differences))
    outcomes, _ = sequential_outcomes(baseline=baseline, treated=treated, looks=SMALL)
    assert outcomes.differences == pytest.approx(np.array(differences, float))
    one, three = decide(outcomes_of(differences)), decide(outcomes)
    assert three.p_value_gain == pytest.approx(one.p_value_gain, rel=0.35)


def test_clusters_are_the_units():
    rng = np.random.default_rng(12)
    baseline, treated = runs(drawn(rng, 40, 0.5, 0.02))
    labels = [f"scene {i // 2}" for i in range(40)]
    outcomes, _ = sequential_outcomes(baseline=baseline, treated=treated, looks=SMALL, clusters=labels)
    assert isinstance(outcomes.now, ClusteredOutcomes)
    assert (~np.isnan(outcomes.differences)).sum() == 20
    verdict = decide(outcomes)
    assert verdict.recommendation is INTERVENE
    assert "Dirichlet weights over clusters" in verdict.method
    assert "joined over looks approximately" in verdict.method


def test_the_guarantee_at_several_looks_is_not_for_clusters():
    # 20 clusters of 10 identical tasks: task by task they would be evidence ten times over.
    rng = np.random.default_rng(1)
    baseline, treated = ([row for row in arm for _ in range(10)] for arm in runs(drawn(rng, 20, 0.4, 0.1)))
    labels = [f"scene {i // 10}" for i in range(200)]
    finite, looks = DecisionRule(guarantee="finite-sample"), Looks(tasks=(100, 200))
    outcomes, _ = sequential_outcomes(baseline=baseline, treated=treated, looks=looks, clusters=labels)
    with pytest.raises(InvalidInput, match="finite-sample guarantee holds for tasks"):
        decide(outcomes, finite)
    assert decide(outcomes).p_value_gain > 0.01
    once, _ = sequential_outcomes(baseline=baseline, treated=treated, looks=Looks(tasks=(200,)), clusters=labels)
    assert decide(once, finite).p_value_gain == pytest.approx(decide(once).p_value_gain)


def test_under_the_guarantee_test_and_interval_are_of_the_same_runs():
    # Five baseline runs a task and one treated run: both go by the first of each.
    rng = np.random.default_rng(3)
    baseline, treated = (rng.random((40, 5)) < 0.3).tolist(), (rng.random((40, 1)) < 0.8).tolist()
    outcomes, _ = sequential_outcomes(baseline=baseline, treated=treated, looks=SMALL)
    verdict = decide(outcomes, DecisionRule(guarantee="finite-sample"))
    first, _ = sequential_outcomes(baseline=[row[:1] for row in baseline], treated=treated, looks=SMALL)
    assert verdict.p_value_gain == pytest.approx(decide(first).p_value_gain)
    assert "exact by seed, Bonferroni over 1 seed," in verdict.method
    assert verdict.look.statistic is None


def test_clusters_that_are_not_over_say_nothing_yet():
    baseline, treated = runs(drawn(np.random.default_rng(1), 100, 0.3, 0.1))
    looks = Looks(tasks=(50, 100, 200))
    with pytest.raises(InvalidInput, match="goes on after another one began"):
        sequential_outcomes(
            baseline=baseline, treated=treated, looks=looks, clusters=[f"c{i % 20}" for i in range(200)]
        )


def test_the_path_has_no_bound_where_no_look_can_reject():
    # Of several seeds tasks count, not runs: three that differ are too few, however often they were run.
    baseline, treated = [[False] * 3] * 3 + [[True] * 3] * 47, [[True] * 3] * 50
    outcomes, _ = sequential_outcomes(baseline=baseline, treated=treated, looks=Looks(tasks=(50, 100, 200)))
    (look,) = gain_path_of(outcomes, RULE).looks
    assert Sequential(outcomes, RULE).pvalue(0.0, "greater") == 1.0
    assert look.intervene_from is None


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_one_large_cluster_does_not_turn_a_gain_into_harm(seed):
    # What is bet on has to weigh as in the gain: a sum over the largest cluster's size would look like nothing at all.
    rng = np.random.default_rng(seed)
    baseline, treated = runs(drawn(rng, 100, 0.2, 0.02))
    labels = ["large"] * 20 + [f"small {i}" for i in range(80)]
    looks = Looks(tasks=(50, 100))
    outcomes, _ = sequential_outcomes(baseline=baseline, treated=treated, looks=looks, clusters=labels)
    verdict = decide(outcomes)
    assert verdict.recommendation is not FORBEAR
    assert verdict.success_gain.low < 0.18 < verdict.success_gain.high
    assert verdict.success_gain.value == pytest.approx(outcomes.now.success_gain, abs=0.06)


def test_a_corrected_gain_over_drawn_orders_is_near_the_counted_one():
    # One pair per task, given as two seeds that agree: what is drawn has to be near what is counted.
    looks = Looks(tasks=(20, 40), watch=False, futility=0.0)
    differences = [1] * 9 + [-1] * 2 + [0] * 29
    np.random.default_rng(5).shuffle(differences)
    counted = Sequential(outcomes_of(differences, looks), RULE).gain(0.9).value
    twice, _ = sequential_outcomes(
        baseline=[row * 2 for row in runs(differences)[0]],
        treated=[row * 2 for row in runs(differences)[1]],
        looks=looks,
    )
    assert Sequential(twice, RULE).gain(0.9).value == pytest.approx(counted, abs=0.01)
    assert counted < 7 / 40, "stopping early flatters; what went on is corrected downwards"


# --- Several arms -------------------------------------------------------------------------------------------


def test_several_arms_share_alpha():
    rng = np.random.default_rng(21)
    courses = {name: drawn(rng, 40, up, down) for name, up, down in (("a", 0.4, 0.05), ("b", 0.1, 0.1), ("c", 0, 0.4))}
    arms = {name: outcomes_of(course, arms=3) for name, course in courses.items()}
    together = decide_arms(arms)
    alone = {name: decide(outcomes_of(course)) for name, course in courses.items()}
    smallest = min(alone, key=lambda name: alone[name].p_value_gain)
    assert together[smallest].p_value_gain == pytest.approx(min(1.0, 3 * alone[smallest].p_value_gain))
    assert all(together[name].p_value_gain >= alone[name].p_value_gain for name in courses)
    assert all(together[name].p_value_worthwhile == alone[name].p_value_worthwhile for name in courses)
    assert together["c"].recommendation is FORBEAR
    assert together["a"].method.endswith("Holm over 3 arms")


def test_an_arm_that_stopped_stays_in_the_family_with_what_it_had():
    rng = np.random.default_rng(22)
    good, bad = drawn(rng, 40, 0.35, 0.05), [-1] * 12
    arms = {"good": outcomes_of(good, arms=2), "bad": outcomes_of(bad, arms=2)}
    verdicts = decide_arms(arms)
    assert verdicts["bad"].recommendation is FORBEAR
    assert verdicts["bad"].tasks == 12
    assert verdicts["good"].p_value_gain == pytest.approx(2 * decide(outcomes_of(good)).p_value_gain)


# --- Units with several pairs --------------------------------------------------------------------------------


def test_a_unit_bets_its_mean_at_its_last_task():
    baseline = [[False, True], [True, None], [None, False], [False, False], [True, True]]
    treated = [[True, True], [True, True], [True, None], [True, False], [False, True]]
    # By task: (1 + 0)/2, 0/1, no pair, (1 + 0)/2, (-1 + 0)/2.
    differences, weights = unit_differences(baseline, treated, None)
    np.testing.assert_array_equal(differences, [0.5, 0, np.nan, 0.5, -0.5])
    np.testing.assert_array_equal(weights, [1, 0.5, 1, 1, 1])
    by_cluster, weights = unit_differences(baseline, treated, ["a", "a", "a", "b", "c"])
    np.testing.assert_allclose(by_cluster, [np.nan, np.nan, 1 / 3, 0.5, -0.5])
    np.testing.assert_allclose(weights[2:], [3 / 6, 2 / 6, 2 / 6])


def test_arms_with_different_numbers_of_seeds_differ_by_their_success_rates():
    found, _ = unit_differences([[True, False], [False]], [[True], [True, None, False]], None)
    np.testing.assert_allclose(found, [0.5, 0.5])
    looks = Looks(tasks=(2,))
    outcomes, _ = sequential_outcomes(baseline=[[True, False], [False]], treated=[[True], [True]], looks=looks)
    np.testing.assert_allclose(outcomes.differences, [0.5, 1.0])


@pytest.mark.slow
def test_clusters_of_different_sizes_raise_no_false_alarm():
    """A true gain of 15 points is never FORBEAR at worthwhile = 10 because one cluster is large.

    With each difference divided by the largest cluster's pairs, all of these pilots were.
    """
    rng = np.random.default_rng(1)
    clusters = ["large"] * 20 + [f"small {i}" for i in range(59)]
    alarms = 0
    for _ in range(40):
        recovered = rng.random(len(clusters)) < 0.15
        outcomes, _ = sequential_outcomes(
            baseline=[[not up] for up in recovered.tolist()],
            treated=[[True]] * len(clusters),
            looks=Looks(tasks=(len(clusters),)),
            clusters=clusters,
        )
        verdict = decide(outcomes, DecisionRule(worthwhile=0.10))
        alarms += verdict.recommendation is Recommendation.FORBEAR
    assert alarms <= 1


@pytest.mark.parametrize("harmed", [True, False])
def test_overwhelming_evidence_at_a_look_is_finite(harmed):
    one, other = ((True, True),) * 100, ((False, False),) * 100
    baseline, treated = (one, other) if harmed else (other, one)
    outcomes = ClusteredOutcomes(baseline=baseline, treated=treated)
    looks = Looks(tasks=(100, 101), watch=False, futility=0)
    verdict = decide(SequentialOutcomes.at_look(outcomes, looks, look=1))
    assert verdict.recommendation is (Recommendation.FORBEAR if harmed else Recommendation.INTERVENE)


# --- Graded scores ------------------------------------------------------------------------------------------


def graded(before, after, looks, **options):
    return sequential_outcomes(
        baseline=[[x] for x in before], treated=[[x] for x in after], looks=looks, graded=True, **options
    )


def test_scores_that_are_0_or_1_are_held_against_the_boundary_by_mcnemars_conditional_test():
    # With weight 1 the Dirichlet test of one run a task at margin 0 is the one-sided exact conditional test.
    rng, looks = np.random.default_rng(3), Looks(tasks=(30, 60), watch=False)
    before = (rng.random(60) < 0.5).astype(float)
    after = np.maximum(before, rng.random(60) < 0.25) * (rng.random(60) < 0.97)
    outcomes, _ = graded(before.tolist(), after.tolist(), looks)
    statistics = []
    for n in looks.tasks:
        up, down = np.count_nonzero(after[:n] > before[:n]), np.count_nonzero(after[:n] < before[:n])
        statistics.append(-ndtri(stats.binom.sf(up - 1, up + down, 0.5)))
    expected = sequential_pvalue(looks, statistics, margin=0.0)
    assert Sequential(outcomes, DecisionRule()).pvalue(0.0, "greater") == pytest.approx(expected, rel=1e-6)


def test_scores_with_holes_are_bounded_at_looks():
    before, after = [0.2, 0.4, 0.6] * 10, [0.6, None, 0.9] * 10
    outcomes, missing = graded(before, after, Looks(tasks=(30,)))
    assert outcomes.now.tasks == 20
    gains = [one.now.success_gain for one in (missing.worst, outcomes, missing.best)]
    assert gains == pytest.approx([(4 - 4 + 3) / 30, 0.35, (4 + 6 + 3) / 30])
    assert decide(outcomes, missing=missing).look.tasks == 30


@pytest.mark.statistical
def test_looks_at_scores_keep_their_level():
    rng, looks, pilots, found = np.random.default_rng(11), Looks(tasks=(20, 40)), 300, 0
    for _ in range(pilots):
        before, after = rng.beta(2, 2, size=(2, 40))
        for n in looks.tasks:
            outcomes, _ = graded(before[:n].tolist(), after[:n].tolist(), looks)
            if Sequential(outcomes, DecisionRule()).pvalue(0.0, "greater") <= 0.05:
                found += 1
                break
    assert found / pilots <= 0.055 + 3 * math.sqrt(0.05 * 0.95 / pilots)
