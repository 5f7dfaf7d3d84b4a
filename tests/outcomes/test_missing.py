import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear import DecisionRule, InvalidInput, PairedOutcomes, Recommendation, decide, decide_arms
from forbear.outcomes.missing import excess_charged, planned_outcomes, planned_pairs

holes = st.sampled_from([True, False, None])


@given(st.integers(1, 3).flatmap(lambda k: st.lists(st.tuples(*[holes] * (2 * k)), min_size=2, max_size=4)))
def test_the_bounds_are_the_extremes_over_every_way_to_fill_the_holes(tasks):
    half = len(tasks[0]) // 2
    baseline, treated = [list(t[:half]) for t in tasks], [list(t[half:]) for t in tasks]
    flat = [x for t in tasks for x in t]
    spots = [i for i, x in enumerate(flat) if x is None]
    split = planned_outcomes(baseline=baseline, treated=treated)
    if not spots:
        assert split.missing is None
        return
    if len(spots) > 6:
        return
    gains = []
    for filling in itertools.product([True, False], repeat=len(spots)):
        values = flat.copy()
        for spot, value in zip(spots, filling, strict=True):
            values[spot] = value
        rows = [values[i : i + 2 * half] for i in range(0, len(values), 2 * half)]
        gains.append(sum(t - b for row in rows for b, t in zip(row[:half], row[half:], strict=True)))
    pairs = half * len(tasks)
    assert split.missing.worst.success_gain == pytest.approx(min(gains) / pairs)
    assert split.missing.best.success_gain == pytest.approx(max(gains) / pairs)
    assert split.missing.total == len(spots)
    known = sum(b is not None and t is not None for t in tasks for b, t in zip(t[:half], t[half:], strict=True))
    assert (0 if split.observed is None else split.observed.pairs) == known


def test_unpaired_seeds_keep_the_known_runs_of_a_task():
    split = planned_outcomes(baseline=[[True, None, False], [None]], treated=[[True], [True]])
    assert split.observed.baseline == ((True, False),)
    assert split.tasks_lost == {"baseline": 1, "treated": 0}
    assert split.missing.worst.success_gain == pytest.approx(((1 - 2 / 3) + 0) / 2)


def verdict_with(missing_recovered, missing_disrupted, missing="excess"):
    """60 pairs, 12 recovered and 3 disrupted, and treated runs missing after failures and after successes."""
    baseline = [[x] for x in [0] * 12 + [1] * 3 + [1] * 45 + [0] * missing_recovered + [1] * missing_disrupted]
    treated = [[x] for x in [1] * 12 + [0] * 3 + [1] * 45] + [[None]] * (missing_recovered + missing_disrupted)
    split = planned_outcomes(baseline=baseline, treated=treated, arms=("baseline", "critic"))
    return decide(split.observed, DecisionRule(missing=missing), missing=split.missing)


def codes(remarks):
    return [remark.code for remark in remarks]


def test_a_verdict_that_missing_outcomes_could_overturn_says_so():
    firm, shaky = verdict_with(2, 0), verdict_with(0, 12, "exclude")
    assert firm.recommendation is shaky.recommendation is Recommendation.INTERVENE
    assert codes(firm.cautions) == ["missing_outcomes", "missing_excess"]
    assert "2 of 'critic'" in firm.cautions[0].text
    assert codes(shaky.cautions) == ["missing_outcomes_decide", "missing_unequal"]
    # 12 more disruptions at worst: (12 − 15)/72; none at best: (12 − 3)/72.
    assert "between -4.2 pp and +12.5 pp, and the verdict could be UNDECIDED" in shaky.cautions[0].text
    # Two-sided sign test of 12 against 0.
    assert shaky.cautions[1].values["p_value"] == pytest.approx(2 * 0.5**12)


# --- How the rule counts them -------------------------------------------------------------------------------


@pytest.mark.parametrize(("rule", "said"), [("exclude", "INTERVENE"), ("excess", "UNDECIDED"), ("worst", "UNDECIDED")])
def test_a_treated_arm_that_lost_its_failures_is_not_switched_on(rule, said):
    # 60 tasks: 50 treated runs were lost, the ten that came home all succeeded where the baseline had failed.
    baseline, treated = [[False], *[[True]] * 5] * 10, [[True], *[[None]] * 5] * 10
    split = planned_outcomes(baseline=baseline, treated=treated, arms=("baseline", "guarded"))
    verdict = decide(split.observed, DecisionRule(missing=rule), missing=split.missing)
    assert verdict.recommendation.value == said
    assert {"missing_outcomes_decide", "missing_unequal"} <= set(codes(verdict.cautions))
    if rule == "excess":
        # 50 − √50/2 = 46.5 holes, all behind a success of the baseline, rounded up.
        (excess,) = [remark for remark in verdict.cautions if remark.code == "missing_excess"]
        assert (excess.values["arm"], excess.values["charged"]) == ("guarded", 47)
        assert (
            verdict.p_value_gain
            == decide(PairedOutcomes(both_fail=0, recovered=10, disrupted=47, both_succeed=0)).p_value_gain
        )
        assert "missing_hold_back" in codes(verdict.reasons)


rows = st.lists(st.tuples(holes, holes), min_size=1, max_size=30)


@given(rows)
def test_the_excess_of_one_arm_is_charged_to_it_and_nothing_else(pairs):
    baseline, treated = [[b] for b, _ in pairs], [[t] for _, t in pairs]
    before, after, charged = excess_charged(baseline=baseline, treated=treated)
    only_b, only_t = (
        sum(b is None and t is not None for b, t in pairs),
        sum(t is None and b is not None for b, t in pairs),
    )
    excess = abs(only_t - only_b) - ((only_t + only_b) ** 0.5) / 2
    excess = excess if excess >= 1 else 0.0
    assert excess - 1 < charged < excess + 1
    for (b, t), (filled_b,), (filled_t,) in zip(pairs, before, after, strict=True):
        assert filled_b is b or (b is None and filled_b and t is not None and only_b > only_t)
        assert filled_t is t or (t is None and not filled_t and b is not None and only_t > only_b)
    gains = [
        sum(t - b for (b,), (t,) in zip(*arms, strict=True) if b is not None and t is not None)
        for arms in ((baseline, treated), (before, after))
    ]
    worst = (
        sum(b is True for b, t in pairs if t is None)
        if only_t > only_b
        else sum(t is False for b, t in pairs if b is None)
    )
    known = worst / max(only_t, only_b, 1)
    assert gains[0] - gains[1] == math.ceil(excess * known - 1e-9)


@given(st.lists(st.tuples(*[holes] * 4), min_size=2, max_size=8), st.randoms(use_true_random=False))
def test_which_holes_are_charged_does_not_depend_on_the_order_of_the_tasks(tasks, random):
    mixed = random.sample(tasks, len(tasks))
    found = []
    for order in (tasks, mixed):
        before, after, _ = excess_charged(baseline=[list(t[:2]) for t in order], treated=[list(t[2:]) for t in order])
        found.append(sorted(map(repr, zip(before, after, strict=True))))
    assert found[0] == found[1]


scores = st.sampled_from([0.0, 0.2, 0.9, 1.0, None])


@given(st.lists(st.tuples(scores, scores), min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_nor_does_it_of_graded_scores(tasks, random):
    found = []
    for order in (tasks, random.sample(tasks, len(tasks))):
        before, after, _ = excess_charged(baseline=[[b] for b, _ in order], treated=[[t] for _, t in order])
        found.append(sorted(map(repr, zip(before, after, strict=True))))
    assert found[0] == found[1]


def test_a_score_that_is_lost_may_always_have_been_worse_than_its_partner():
    # Of binary outcomes a baseline run lost beside a success cannot be a disruption; beside a score of .3 it can.
    for partner, charged in ((0.3, 8), (0.0, 8)):
        before = [[None]] * 9 + [[0.5]]
        assert excess_charged(baseline=before, treated=[[partner]] * 9 + [[0.5]])[2] == charged


@pytest.mark.slow
def test_holes_of_a_shared_baseline_are_filled_for_all_arms_at_once():
    rng = np.random.default_rng(5)
    promised = overturned = 0
    for _ in range(12):
        tasks, lost, names = 24, 3, ("a", "b", "c")
        baseline = (rng.random(tasks) < 0.5).tolist()
        arms = {name: (np.array(baseline) | (rng.random(tasks) < 0.35)).tolist() for name in names}
        with_holes = [[None] if i < lost else [b] for i, b in enumerate(baseline)]
        splits = {
            n: planned_outcomes(baseline=with_holes, treated=[[t] for t in arms[n]], arms=("baseline", n))
            for n in names
        }
        rule = DecisionRule(missing="exclude", alpha=0.05)
        said = decide_arms(
            {n: x.observed for n, x in splits.items()}, rule, missing={n: x.missing for n, x in splits.items()}
        )
        for filling in itertools.product([True, False], repeat=lost):
            full = [*filling, *baseline[lost:]]
            tables = {n: PairedOutcomes.from_outcomes(baseline=full, treated=arms[n]) for n in names}
            for name, verdict in decide_arms(tables, rule).items():
                (remark,) = [
                    r for r in said[name].cautions if r.code in ("missing_outcomes", "missing_outcomes_decide")
                ]
                overturned += verdict.recommendation is not said[name].recommendation
                if remark.code == "missing_outcomes":
                    promised += 1
                    assert verdict.recommendation is said[name].recommendation
    assert promised > 20
    assert overturned > 5


def test_the_retested_verdicts_are_those_of_the_filled_tables():
    split = planned_outcomes(baseline=[[1]] * 30 + [[0]] * 12, treated=[[1]] * 28 + [[None]] * 2 + [[1]] * 12)
    assert decide(split.missing.worst) == decide(
        PairedOutcomes(both_fail=0, recovered=12, disrupted=2, both_succeed=28)
    )
    assert decide(split.observed).pairs == 40


def test_an_arm_without_holes_says_where_those_of_others_could_move_it():
    split = planned_outcomes(
        baseline=[[1]] * 20 + [[0]] * 40, treated=[[1]] * 20 + [[None]] * 40, arms=("baseline", "a")
    )
    # p = .03 alone: enough where the other arm is a success, not where it takes half of the error.
    other = PairedOutcomes(both_fail=30, recovered=8, disrupted=2, both_succeed=20)
    verdicts = decide_arms({"a": split.observed, "b": other}, DecisionRule(), missing={"a": split.missing})
    assert "missing_outcomes_decide" in codes(verdicts["a"].cautions)
    assert verdicts["b"].recommendation is Recommendation.UNDECIDED
    (remark,) = [remark for remark in verdicts["b"].cautions if remark.code == "missing_elsewhere"]
    assert remark.values == {"could_be": ["INTERVENE"]}


def test_unusable_plans():
    with pytest.raises(InvalidInput, match="baseline has 1 tasks"):
        planned_outcomes(baseline=[[1]], treated=[[1], [None]])
    with pytest.raises(InvalidInput, match=r"treated\[0\] must be a sequence"):
        planned_outcomes(baseline=[[1]], treated=[None])


@given(st.lists(st.tuples(*[holes] * 2), max_size=60))
def test_counts_of_tasks_give_what_the_tasks_give(tasks):
    counts = [[0] * 3 for _ in range(3)]
    for pair in tasks:
        before, after = (2 if outcome is None else int(outcome) for outcome in pair)
        counts[before][after] += 1
    listed = planned_outcomes(baseline=[[b] for b, _ in tasks], treated=[[t] for _, t in tasks])
    assert planned_pairs(counts) == (listed.observed, listed.missing)
