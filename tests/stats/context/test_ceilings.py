import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear import ClusteredOutcomes, InvalidInput, PairedOutcomes
from forbear.stats.context.ceilings import best_of_k, ceilings
from forbear.stats.context.churn import churn_of
from forbear.stats.intervals import Rate
from forbear.testing.strategies import clustered_outcomes, paired_outcomes


def test_the_study_example():
    # Seed 42: 7 recoveries and 11 disruptions of 100.
    found = ceilings(PairedOutcomes(both_fail=35, recovered=7, disrupted=11, both_succeed=47))
    assert (found.oracle_gain.value, found.disruption_tax.value, found.rerun_advantage) == (0.07, 0.11, None)
    assert found.oracle_gain.low == Rate(k=7, n=100).interval().low


@given(clustered_outcomes())
def test_oracle_minus_tax_is_the_gain(outcomes):
    if not outcomes.paired_seeds:
        with pytest.raises(InvalidInput, match="pairs of runs"):
            ceilings(outcomes)
        return
    found = ceilings(outcomes)
    assert found.oracle_gain.value - found.disruption_tax.value == pytest.approx(outcomes.success_gain)
    assert 0 <= found.oracle_gain.low <= found.oracle_gain.value <= found.oracle_gain.high <= 1


@given(paired_outcomes())
def test_the_oracle_is_the_share_of_recoveries(pairs):
    clustered = ClusteredOutcomes(
        baseline=[[0]] * (pairs.both_fail + pairs.recovered) + [[1]] * pairs.successes,
        treated=[[0]] * pairs.both_fail
        + [[1]] * pairs.recovered
        + [[0]] * pairs.disrupted
        + [[1]] * pairs.both_succeed,
    )
    assert ceilings(clustered) == ceilings(pairs)


def test_rerunning_may_beat_intervening():
    churn = churn_of([[1, 0]] * 20 + [[1, 1]] * 40 + [[0, 0]] * 40)  # r0 = .2
    found = ceilings(PairedOutcomes(both_fail=45, recovered=5, disrupted=0, both_succeed=50), churn=churn)
    assert found.rerun_advantage == pytest.approx(0.5 * (0.2 - 0.1))


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=2, max_size=12), st.integers(1, 6))
def test_best_of_k_is_the_share_of_subsets_with_a_success(runs, k):
    used = [task for task in runs if len(task) >= k]
    if len(used) < 2:
        with pytest.raises(InvalidInput, match=f"best of {k} needs"):
            best_of_k(runs, k=k)
        return
    expected = np.mean([np.mean([any(s) for s in itertools.combinations(task, k)]) for task in used])
    assert best_of_k(runs, k=k).value == pytest.approx(expected)


def test_best_of_none_is_refused():
    with pytest.raises(InvalidInput, match="1 or more"):
        best_of_k([[1], [0]], k=0)


@pytest.mark.statistical
def test_best_of_two_is_unbiased_and_covered():
    # Chances from Beta(1, 1): E[1 − (1 − q)²] = 2/3. 50 tasks × 4 runs, 3,000 repetitions.
    rng, values, held = np.random.default_rng(3), [], 0
    for _ in range(3000):
        found = best_of_k((rng.random((50, 4)) < rng.random((50, 1))).tolist(), k=2)
        values.append(found.value)
        held += found.low <= 2 / 3 <= found.high
    assert np.mean(values) == pytest.approx(2 / 3, abs=3 * np.std(values) / np.sqrt(3000))
    assert held / 3000 >= 0.94
