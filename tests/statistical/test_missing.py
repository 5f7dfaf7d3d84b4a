"""The rules for runs without an outcome: size and power, simulated; measurements/missing.py shows the whole grid."""

import numpy as np
import pytest

import simulated_missing as many
from forbear import DecisionRule, Recommendation, decide
from forbear.outcomes.missing import planned_outcomes

PILOTS = 20_000


def said(seed, loss, *, tasks, gain=0.0, discordance=0.18, failure_rate=0.5, pilots=PILOTS):
    drawn = many.draw(
        np.random.default_rng(seed),
        tasks=tasks,
        gain=gain,
        discordance=discordance,
        failure_rate=failure_rate,
        loss=many.LOSSES[loss],
        pilots=pilots,
    )
    return drawn, many.intervenes(drawn)


def at_most(level):
    """The level and three binomial standard errors."""
    return level + 3 * (level * (1 - level) / PILOTS) ** 0.5


@pytest.mark.statistical
@pytest.mark.parametrize("loss", many.ONE_SIDED)
def test_one_arm_that_loses_failures_or_successes_deploys_nothing_useless(loss):
    sizes = {}
    for tasks in (100, 200):
        for failure_rate in (0.3, 0.5, 0.7):
            for discordance in (0.1, 0.3):
                truth = {"tasks": tasks, "failure_rate": failure_rate, "discordance": discordance}
                _, found = said(1, loss, **truth)
                sizes[str(truth)] = {rule: float(one.mean()) for rule, one in found.items()}
    assert max(size["excess"] for size in sizes.values()) <= at_most(0.055), sizes
    assert max(size["worst"] for size in sizes.values()) <= at_most(0.05), sizes
    if loss in ("treated failures 20 %", "treated failures 40 %", "baseline successes 20 %"):
        # Leaving such runs out is what the rule is there to prevent.
        assert max(size["exclude"] for size in sizes.values()) > 0.12


@pytest.mark.statistical
def test_only_the_worst_holds_where_both_arms_lose_the_runs_that_matter():
    _, found = said(2, "baseline successes 10 %, treated failures 10 %", tasks=200, discordance=0.3)
    assert found["worst"].mean() <= at_most(0.05)
    assert found["excess"].mean() > 0.1


@pytest.mark.statistical
@pytest.mark.parametrize(("tasks", "least"), [(200, 0.97), (100, 0.78)])
def test_runs_lost_by_chance_cost_little_power(tasks, least):
    _, found = said(3, "random 5 %", tasks=tasks, gain=0.12, failure_rate=0.42)
    assert found["excess"].mean() >= least
    assert found["exclude"].mean() - found["excess"].mean() <= (0.025 if tasks == 200 else 0.11)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["random 10 %", *many.ONE_SIDED[1:7:2], "failures of both arms 20 %"])
def test_the_simulated_rules_are_those_of_verdicts(loss):
    drawn, found = said(4, loss, tasks=60, gain=0.12, discordance=0.2, pilots=4)
    for number, pilot in enumerate(drawn):
        baseline, treated = many.outcomes_of(pilot)
        planned = planned_outcomes(baseline=baseline, treated=treated)
        for rule, says in found.items():
            verdict = decide(planned.observed, DecisionRule(missing=rule), missing=planned.missing)
            assert (verdict.recommendation is Recommendation.INTERVENE) == says[number]
