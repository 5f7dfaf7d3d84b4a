import csv
import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear import InvalidInput, PairedOutcomes
from forbear.stats.context.churn import churn_of, net_of_churn

several_runs = st.lists(st.lists(st.booleans(), min_size=1, max_size=5), min_size=2, max_size=30).filter(
    lambda tasks: sum(len(task) > 1 for task in tasks) > 1
)


def flips(tasks):
    """Every pair of runs compared, task by task."""
    return [np.mean([a != b for a, b in itertools.combinations(task, 2)]) for task in tasks if len(task) > 1]


@given(several_runs)
def test_the_flip_rate_compares_every_pair_of_runs(tasks):
    churn = churn_of(tasks)
    assert churn.flip_rate.value == pytest.approx(np.mean(flips(tasks)), abs=1e-12)
    for rate in (churn.flip_rate, churn.failure_rate, churn.recovery_rate, churn.disruption_rate):
        assert rate is None or 0 <= rate.low <= rate.value <= rate.high <= 1


@given(several_runs)
def test_pure_churn_breaks_even_at_the_failure_rate(tasks):
    churn = churn_of(tasks)
    r, d = churn.recovery_rate, churn.disruption_rate
    if r is not None and d is not None and r.value + d.value > 0:
        assert d.value / (r.value + d.value) == pytest.approx(churn.failure_rate.value)
        assert r.value == pytest.approx(churn.flip_rate.value / (2 * churn.failure_rate.value))


def test_two_runs_are_the_discordant_share_of_their_table():
    first, second = [1, 1, 0, 0, 1, 0, 1, 1], [1, 0, 1, 0, 1, 0, 0, 1]
    table = PairedOutcomes.from_outcomes(baseline=first, treated=second)
    churn = churn_of(list(zip(first, second, strict=True)))
    assert churn.flip_rate.value == table.discordant / table.pairs


@pytest.mark.parametrize("name", ["acr_swebenchlite_vanilla", "reflexion_humaneval_py_gpt4_simple", "tot_game24_io"])
def test_published_repeats_reproduce_their_flip_rates(shared_data, name):
    tasks = defaultdict(list)
    with (shared_data / "repeats" / f"{name}.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            tasks[row["task_id"]].append(row["success"] == "1")
    churn = churn_of(list(tasks.values()))
    assert churn.flip_rate.value == pytest.approx(np.mean(flips(tasks.values())), abs=1e-12)
    assert 0.01 < churn.flip_rate.low < churn.flip_rate.high < 0.5


def test_net_rates_subtract_what_a_rerun_does():
    churn = churn_of([[1, 0]] * 20 + [[1, 1]] * 40 + [[0, 0]] * 40)
    net = net_of_churn(PairedOutcomes(both_fail=30, recovered=20, disrupted=15, both_succeed=35), churn)
    assert net.recovery == pytest.approx(20 / 50 - 0.2 / (2 * 0.5))
    assert net.disruption == pytest.approx(15 / 50 - 0.2 / (2 * 0.5))
    assert [c.code for c in net.cautions] == ["churn"]
    worse = net_of_churn(PairedOutcomes(both_fail=45, recovered=5, disrupted=15, both_succeed=35), churn)
    assert [c.code for c in worse.cautions] == ["churn", "prefer_selection"]


def test_one_run_per_task_says_nothing():
    with pytest.raises(InvalidInput, match="at least two tasks that were run twice"):
        churn_of([[1], [0], [1, 0]])
    assert churn_of([[1], [0, 1], [1, 1]]).single == 1


@pytest.mark.statistical
def test_intervals_of_flip_and_rerun_rates_cover():
    # 60 tasks × 4 runs with success chances from Beta(1, 1): φ = E 2q(1 − q) = 1/3, p = ½, r₀ = d₀ = 1/3.
    # 3,000 repetitions: standard error .004 at 95 %.
    rng, held = np.random.default_rng(9), np.zeros(3)
    for _ in range(3000):
        runs = rng.random((60, 4)) < rng.random((60, 1))
        churn = churn_of(runs.tolist())
        rates = (churn.flip_rate, churn.recovery_rate, churn.disruption_rate)
        held += [rate.low <= 1 / 3 <= rate.high for rate in rates]
    assert (held / 3000 >= 0.94).all()
