import pytest
from hypothesis import given

from forbear import ClusteredOutcomes, InvalidInput, PairedOutcomes
from forbear.stats.context.ceilings import ceilings
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
