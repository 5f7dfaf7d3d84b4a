import numpy as np
import pytest

from forbear import ClusteredOutcomes, DecisionRule, InvalidInput, PairedOutcomes
from forbear.stats.context.churn import churn_of
from forbear.stats.planning import AssumedEffect, power
from forbear.stats.simulation import PilotTruth, draw_pilot, point_rule, simulate

TRUTH = PilotTruth(tasks=40, success_rate=0.5, recovery_rate=0.4, disruption_rate=0.1, agreement=0.3)


@pytest.mark.slow
@pytest.mark.parametrize("coupled", [True, False])
@pytest.mark.parametrize("trigger_rate", [1.0, 0.4])
def test_pilots_show_the_stated_truth(coupled, trigger_rate):
    truth = PilotTruth(
        tasks=40_000,
        seeds=2,
        success_rate=0.6,
        agreement=0.3,
        recovery_rate=0.3,
        disruption_rate=0.2,
        trigger_rate=trigger_rate,
        coupled=coupled,
    )
    outcomes = draw_pilot(truth, rng=np.random.default_rng(1))
    table = outcomes.table
    assert table.failure_rate == pytest.approx(0.4, abs=0.01)
    assert outcomes.success_gain == pytest.approx(truth.gain, abs=0.01)
    # Intra-task correlation ρ makes two runs of a task differ with probability 2·p·(1 − p)·(1 − ρ).
    assert churn_of(outcomes.baseline).flip_rate.value == pytest.approx(2 * 0.4 * 0.6 * 0.7, abs=0.01)
    if coupled:
        assert table.recovery_rate == pytest.approx(0.3 * trigger_rate, abs=0.01)
        assert table.disruption_rate == pytest.approx(0.2 * trigger_rate, abs=0.01)
    else:
        assert table.recovery_rate > 0.3 * trigger_rate + 0.05


@pytest.mark.statistical
def test_simulated_and_exact_power_agree():
    # 4,000 pilots: standard error .008.
    found = simulate(TRUTH, rng=np.random.default_rng(2), pilots=4000)
    expected = power(AssumedEffect.from_rates(failure_rate=0.5, recovery_rate=0.4, disruption_rate=0.1), tasks=40)
    assert found.decisions["INTERVENE"] == pytest.approx(expected.intervene, abs=3 * found.standard_error)
    assert found.decisions["UNDECIDED"] == pytest.approx(expected.undecided, abs=3 * found.standard_error)
    assert sum(found.decisions.values()) == pytest.approx(1)
    point = simulate(TRUTH, rng=np.random.default_rng(2), rule=point_rule, pilots=4000)
    assert point.decisions["deploy"] == pytest.approx(expected.point_rule, abs=3 * found.standard_error)


@pytest.mark.statistical
def test_a_useless_intervention_is_rarely_deployed_with_several_seeds():
    truth = PilotTruth(tasks=40, seeds=3, success_rate=0.5, recovery_rate=0.2, disruption_rate=0.2, agreement=0.8)
    for guarantee in ("calibrated", "finite-sample"):
        found = simulate(
            truth, rng=np.random.default_rng(3), rule=DecisionRule(guarantee=guarantee, worthwhile=0.0), pilots=600
        )
        assert found.decisions.get("INTERVENE", 0.0) <= 0.06 + 2 * 0.009


def test_one_seed_gives_a_table_and_several_give_tasks():
    rng = np.random.default_rng(0)
    assert isinstance(draw_pilot(TRUTH, rng=rng), PairedOutcomes)
    several = PilotTruth(tasks=5, seeds=2, success_rate=1.0, recovery_rate=0, disruption_rate=1.0)
    outcomes = draw_pilot(several, rng=rng)
    assert isinstance(outcomes, ClusteredOutcomes)
    assert outcomes.success_gain == -1.0 == several.gain


def test_the_same_generator_draws_the_same_pilots():
    first, second = (simulate(TRUTH, rng=np.random.default_rng(5), rule=point_rule, pilots=50) for _ in range(2))
    assert first == second


def test_impossible_truths():
    with pytest.raises(InvalidInput, match="recovery_rate"):
        PilotTruth(tasks=10, success_rate=0.5, recovery_rate=1.4, disruption_rate=0)
    with pytest.raises(InvalidInput, match="tasks"):
        PilotTruth(tasks=0, success_rate=0.5, recovery_rate=0.4, disruption_rate=0)
    with pytest.raises(InvalidInput, match="pilots"):
        simulate(TRUTH, rng=np.random.default_rng(0), pilots=0)
