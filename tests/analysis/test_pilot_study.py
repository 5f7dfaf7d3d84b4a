import asyncio
import math

import numpy as np
import pytest

from forbear.analysis.evidence import evidence_of
from forbear.analysis.paired_runs import CALLS, PairedRuns, paired_runs
from forbear.analysis.pilot_study import calls_to_decision, pilot_study
from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.records.journal import Journal
from forbear.runner.pilot import run_pilot
from forbear.stats.decision import decide
from forbear.stats.planning import AssumedEffect, power
from forbear.stats.rule import DecisionRule
from forbear.worlds.household.bench import bench_plan

RULE = DecisionRule()


def runs_of(*, recovered, disrupted, both_fail, both_succeed, calls=10.0, added=4.0):
    """Two seeds, the second of which repeats the first; each run reads as many characters as it makes calls."""
    cells = [(0, 1)] * recovered + [(1, 0)] * disrupted + [(0, 0)] * both_fail + [(1, 1)] * both_succeed
    before, after = (np.array([[cell[k]] * 2 for cell in cells], dtype=bool) for k in (0, 1))
    cost = np.full((len(cells), 2, 2), calls)
    return PairedRuns(
        arm="a",
        baseline=before,
        treated=after,
        baseline_cost=cost,
        treated_cost=cost,
        added_cost=np.full_like(cost, added),
    )


def full_verdict(runs):
    return decide(ClusteredOutcomes.from_outcomes(baseline=runs.baseline.tolist(), treated=runs.treated.tolist()), RULE)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["c-append", "restart", "placebo", "rerun"])
def test_costs_are_those_that_a_pilot_of_this_arm_pays(tmp_path, arm):
    result = asyncio.run(run_pilot(bench_plan("novice", arms=[arm], tasks=5), Journal(tmp_path)))
    runs, found = paired_runs(result, arm), result.arms[arm]
    assert runs.baseline_cost[..., CALLS].sum() == result.arms["baseline"].agent_calls
    assert runs.treated_cost[..., CALLS].sum() == found.agent_calls
    assert runs.added_cost[..., CALLS].sum() == found.new_agent_calls
    pairs = evidence_of(result).verdicts[arm]
    assert (runs.changes > 0).sum() == pairs.recovered
    assert (runs.changes < 0).sum() == pairs.disrupted
    # The first call reads the first observation, and later ones more.
    first = len(result.episodes[result.plan.tasks[0].id, result.plan.seeds[0], "baseline"].steps[0].observation)
    assert runs.baseline_cost[0, 0, 1] > first * runs.baseline_cost[0, 0, CALLS]


@pytest.mark.slow
@pytest.mark.parametrize(("recovered", "disrupted"), [(60, 20), (20, 60)])
def test_pilots_decide_as_often_as_the_probabilities_say(recovered, disrupted):
    runs = runs_of(recovered=recovered, disrupted=disrupted, both_fail=160, both_succeed=160)
    pilots = 300
    study = pilot_study(runs, full=full_verdict(runs), rng=np.random.default_rng(0), pilots=pilots)
    effect = AssumedEffect(gain=(recovered - disrupted) / 400, discordance=0.2)
    exact = power(effect, tasks=50, rule=RULE)
    # Without replacement pilots vary a little less: 350/399 of the variance.
    tolerance = 4 * math.sqrt(0.25 / pilots) + 0.03
    assert study.intervene == pytest.approx(exact.intervene, abs=tolerance)
    assert study.forbear == pytest.approx(exact.forbear, abs=tolerance)
    assert study.point_rule == pytest.approx(exact.point_rule, abs=tolerance)
    assert study.intervene + study.forbear + study.undecided == pytest.approx(1)
    if recovered > disrupted:
        assert study.verdict_wrong == study.forbear
        assert study.point_rule_wrong == pytest.approx(1 - study.point_rule)
        assert study.worth_wrong == pytest.approx(1 - study.worth)
    elif recovered < disrupted:
        assert study.verdict_wrong == study.intervene
        assert study.point_rule_wrong == study.point_rule


def test_nothing_contradicts_a_full_run_that_is_undecided():
    runs = runs_of(recovered=11, disrupted=8, both_fail=45, both_succeed=46)
    study = pilot_study(runs, full=full_verdict(runs), rng=np.random.default_rng(0), pilots=50)
    assert study.verdict_wrong is study.point_rule_wrong is study.worth_wrong is None


def test_a_pilot_is_no_more_than_half_of_the_run():
    runs = runs_of(recovered=5, disrupted=5, both_fail=20, both_succeed=20)
    with pytest.raises(InvalidInput, match="1 to 25 tasks"):
        pilot_study(runs, full=full_verdict(runs), rng=np.random.default_rng(0), tasks=26)


@pytest.mark.slow
def test_calls_are_tasks_times_what_a_task_costs():
    runs = runs_of(recovered=60, disrupted=10, both_fail=100, both_succeed=130)
    found = calls_to_decision(runs, rule=RULE, rng=np.random.default_rng(0), paths=300)
    assert found.right.value == "INTERVENE"
    assert found.coupled.calls == pytest.approx(14 * found.coupled.tasks)
    assert found.apart.calls == pytest.approx(20 * found.apart.tasks)
    assert found.dense.calls == pytest.approx(14 * found.dense.tasks)
    assert found.dense.tasks <= found.coupled.tasks
    # With the baseline there: 4 that the arm adds a task, beside 10 of an arm run by itself.
    assert (found.dense.added_calls, found.apart.added_calls) == pytest.approx(
        (4 * found.dense.tasks, 10 * found.apart.tasks)
    )
    assert found.fewer_calls_dense == pytest.approx(20 * found.apart.tasks / (14 * found.dense.tasks))
    assert found.fewer_calls_reused == pytest.approx(20 * found.apart.tasks / (4 * found.dense.tasks))
    assert found.fewer_calls_both_reused == pytest.approx(10 * found.apart.tasks / (4 * found.dense.tasks))
    # Equal seeds: as if apart were coupled, so that only looks and sharing save.
    assert found.variance_ratio == pytest.approx(1)
    assert 1 < found.fewer_calls < 4
    assert found.fewer_read == pytest.approx(found.fewer_calls)


@pytest.mark.slow
def test_no_gain_is_to_end_as_forbear_and_too_small_a_one_is_not_found():
    none = calls_to_decision(
        runs_of(recovered=2, disrupted=8, both_fail=95, both_succeed=95),
        rule=RULE,
        rng=np.random.default_rng(0),
        paths=100,
        sizes=(100, 200, 400),
    )
    assert none.right.value == "FORBEAR"
    assert none.coupled is not None
    tiny = runs_of(recovered=101, disrupted=100, both_fail=400, both_succeed=399)
    assert calls_to_decision(tiny, rule=RULE, rng=np.random.default_rng(0), sizes=(50, 100)).fewer_calls is None
    assert none.fewer_calls_both_reused is not None


def test_one_seed_shows_no_pair_run_apart():
    runs = runs_of(recovered=5, disrupted=5, both_fail=20, both_succeed=20)
    single = PairedRuns(
        arm="a",
        baseline=runs.baseline[:, :1],
        treated=runs.treated[:, :1],
        baseline_cost=runs.baseline_cost[:, :1],
        treated_cost=runs.treated_cost[:, :1],
        added_cost=runs.added_cost[:, :1],
    )
    with pytest.raises(InvalidInput, match="2 seeds"):
        calls_to_decision(single, rule=RULE, rng=np.random.default_rng(0))
