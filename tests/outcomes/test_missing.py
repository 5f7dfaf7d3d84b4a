import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear import DecisionRule, InvalidInput, PairedOutcomes, Recommendation, decide, decide_arms
from forbear.outcomes.missing import planned_outcomes

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


def verdict_with(missing_recovered, missing_disrupted):
    """60 pairs, 12 recovered and 3 disrupted, and treated runs missing after failures and after successes."""
    baseline = [[x] for x in [0] * 12 + [1] * 3 + [1] * 45 + [0] * missing_recovered + [1] * missing_disrupted]
    treated = [[x] for x in [1] * 12 + [0] * 3 + [1] * 45] + [[None]] * (missing_recovered + missing_disrupted)
    split = planned_outcomes(baseline=baseline, treated=treated, arms=("baseline", "critic"))
    return decide(split.observed, missing=split.missing)


def test_a_verdict_that_missing_outcomes_could_overturn_says_so():
    firm, shaky = verdict_with(2, 0), verdict_with(0, 12)
    assert firm.recommendation is shaky.recommendation is Recommendation.INTERVENE
    assert [c.code for c in firm.cautions] == ["missing_outcomes"]
    assert "2 of 'critic'" in firm.cautions[0].text
    assert [c.code for c in shaky.cautions] == ["missing_outcomes_decide"]
    # 12 more disruptions at worst: (12 − 15)/72; none at best: (12 − 3)/72.
    assert "between -4.2 pp and +12.5 pp, and the verdict could be UNDECIDED" in shaky.cautions[0].text


def test_the_retested_verdicts_are_those_of_the_filled_tables():
    split = planned_outcomes(baseline=[[1]] * 30 + [[0]] * 12, treated=[[1]] * 28 + [[None]] * 2 + [[1]] * 12)
    assert decide(split.missing.worst) == decide(
        PairedOutcomes(both_fail=0, recovered=12, disrupted=2, both_succeed=28)
    )
    assert decide(split.observed).pairs == 40


def test_each_arm_is_bounded_with_the_others_as_observed():
    split = planned_outcomes(baseline=[[1]] * 60, treated=[[1]] * 48 + [[None]] * 12)
    other = PairedOutcomes(both_fail=30, recovered=10, disrupted=0, both_succeed=20)
    verdicts = decide_arms({"a": split.observed, "b": other}, DecisionRule(), missing={"a": split.missing})
    assert "missing_outcomes_decide" in [c.code for c in verdicts["a"].cautions]
    assert "missing_outcomes" not in [c.code for c in verdicts["b"].cautions]


def test_unusable_plans():
    with pytest.raises(InvalidInput, match="baseline has 1 tasks"):
        planned_outcomes(baseline=[[1]], treated=[[1], [None]])
    with pytest.raises(InvalidInput, match=r"treated\[0\] must be a sequence"):
        planned_outcomes(baseline=[[1]], treated=[None])
