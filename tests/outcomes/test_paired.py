import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear import InvalidInput, PairedOutcomes
from forbear.testing.strategies import paired_outcomes

STUDY = PairedOutcomes(both_fail=35, recovered=7, disrupted=11, both_succeed=47)


def test_rates_of_the_study():
    # arXiv 2602.03338, Qwen on HotPotQA, seed 42: 7 recoveries, 11 disruptions, net −4 of 100.
    assert (STUDY.pairs, STUDY.failures, STUDY.successes, STUDY.discordant) == (100, 42, 58, 18)
    assert STUDY.failure_rate == 0.42
    assert STUDY.recovery_rate == 7 / 42
    assert STUDY.disruption_rate == 11 / 58
    assert STUDY.success_gain == -0.04
    assert STUDY.break_even_failure_rate == pytest.approx((11 / 58) / (7 / 42 + 11 / 58))


@pytest.mark.parametrize(
    ("counts", "undefined"),
    [
        ((0, 0, 0, 0), {"failure_rate", "recovery_rate", "disruption_rate", "success_gain", "break_even_failure_rate"}),
        ((0, 0, 3, 4), {"recovery_rate", "break_even_failure_rate"}),
        ((3, 4, 0, 0), {"disruption_rate", "break_even_failure_rate"}),
        ((3, 0, 0, 4), {"break_even_failure_rate"}),
        ((1, 1, 1, 1), set()),
    ],
)
def test_undefined_rates_are_none(counts, undefined):
    pairs = PairedOutcomes(**dict(zip(("both_fail", "recovered", "disrupted", "both_succeed"), counts, strict=True)))
    names = ("failure_rate", "recovery_rate", "disruption_rate", "success_gain", "break_even_failure_rate")
    assert {name for name in names if getattr(pairs, name) is None} == undefined


@given(paired_outcomes())
def test_gain_is_recovery_minus_disruption_weighted_by_the_baseline(pairs):
    p, r, d = pairs.failure_rate, pairs.recovery_rate or 0.0, pairs.disruption_rate or 0.0
    assert pairs.success_gain == pytest.approx(p * r - (1 - p) * d)


@given(paired_outcomes())
def test_helping_is_being_above_break_even(pairs):
    if pairs.break_even_failure_rate is not None and pairs.recovered != pairs.disrupted:
        assert (pairs.failure_rate > pairs.break_even_failure_rate) == (pairs.recovered > pairs.disrupted)


@given(paired_outcomes())
def test_swapping_the_arms_flips_the_sign(pairs):
    assert pairs.swapped().success_gain == -pairs.success_gain
    assert pairs.swapped().swapped() == pairs


@given(paired_outcomes(), paired_outcomes(), paired_outcomes())
def test_merging_is_associative_and_commutative(a, b, c):
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a


@given(st.lists(st.tuples(st.booleans(), st.booleans())), st.randoms(use_true_random=False))
def test_counting_outcomes_ignores_the_order_of_tasks(outcomes, random):
    shuffled = random.sample(outcomes, len(outcomes))
    tables = [
        PairedOutcomes.from_outcomes(baseline=[b for b, _ in o], treated=[t for _, t in o])
        for o in (outcomes, shuffled)
    ]
    assert tables[0] == tables[1]
    assert tables[0].recovered == sum(t and not b for b, t in outcomes)
    assert tables[0].disrupted == sum(b and not t for b, t in outcomes)
    assert tables[0].both_fail == sum(not b and not t for b, t in outcomes)
    assert tables[0].pairs == len(outcomes)


@pytest.mark.parametrize(
    "values", [[0, 1, 1], [False, True, True], np.array([0, 1, 1]), np.array([0.0, 1.0, 1.0]), (0, True, 1.0)]
)
def test_outcomes_may_be_booleans_or_zeros_and_ones(values):
    assert PairedOutcomes.from_outcomes(baseline=values, treated=[True, True, False]) == PairedOutcomes(
        both_fail=0, recovered=1, disrupted=1, both_succeed=1
    )


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ([True, None], r"baseline\[1\] is None; expected True or False"),
        ([True, 2], r"baseline\[1\] is 2"),
        ([True, float("nan")], r"baseline\[1\] is nan"),
        ([True, "x"], r"baseline\[1\] is 'x'"),
        ([True, [0]], r"baseline\[1\] is \[0\]"),
        (np.array([[1, 0]]), "one dimension"),
        ("01", "a sequence with one true or false per task"),
        (None, "a sequence"),
        ([True], "baseline has 1 outcomes, treated has 2"),
    ],
)
def test_unusable_outcomes_are_named(baseline, message):
    with pytest.raises(InvalidInput, match=message):
        PairedOutcomes.from_outcomes(baseline=baseline, treated=[True, False])


@pytest.mark.parametrize("count", [-1, 1.5, "3", None, True, float("nan"), 10**10, object()])
def test_unusable_counts_are_named(count):
    with pytest.raises(InvalidInput):
        PairedOutcomes(both_fail=count, recovered=0, disrupted=0, both_succeed=1)


@given(paired_outcomes(min_pairs=0))
def test_json_round_trip(pairs):
    assert PairedOutcomes.from_dict(json.loads(json.dumps(pairs.to_dict()))) == pairs


@pytest.mark.parametrize(
    "data", [{}, None, {"format": "forbear-pairs-2"}, {"format": "forbear-pairs-1", "both_fail": 1}]
)
def test_other_json_is_refused(data):
    with pytest.raises(InvalidInput):
        PairedOutcomes.from_dict(data)
