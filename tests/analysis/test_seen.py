"""What a table shows of the rates that a plan needs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.analysis.pairing import pair_arms
from forbear.analysis.seen import seen_rates
from forbear.errors import InvalidInput
from forbear.outcomes.table import OutcomeTable

outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


def table_of(rows):
    tasks, arms, seeds, success = zip(*rows, strict=True)
    return OutcomeTable.from_columns(tasks=tasks, arms=arms, seeds=seeds, success=success)


@given(outcomes)
def test_the_rates_give_back_the_gain_and_the_discordance(pairs):
    rows = [(f"t{i}", arm, "", won) for i, both in enumerate(pairs) for arm, won in zip("ab", both, strict=True)]
    seen = seen_rates(table_of(rows), baseline="a")
    p, r, d = seen.rates
    counts = pair_arms(table_of(rows), baseline="a", treated="b").pairs
    assert seen.tasks == len(pairs)
    assert p * r - (1 - p) * d == pytest.approx(counts.success_gain)
    assert p * r + (1 - p) * d == pytest.approx(counts.discordant / counts.pairs)


@given(outcomes, outcomes)
def test_every_task_weighs_the_same_however_often_it_ran(first, second):
    tasks = [first, second] * 2
    rows = [
        (f"t{i}", arm, str(seed), won)
        for i, runs in enumerate(tasks)
        for seed, both in enumerate(runs)
        for arm, won in zip("ab", both, strict=True)
    ]
    p, r, d = seen_rates(table_of(rows), baseline="a").rates
    mean = sum(sum(after - before for before, after in runs) / len(runs) for runs in tasks) / 4
    assert p * r - (1 - p) * d == pytest.approx(mean)


def test_a_baseline_alone_shows_how_often_it_fails():
    seen = seen_rates(table_of([("t1", "v1", "0", True), ("t1", "v1", "1", False), ("t2", "v1", "0", None)]))
    assert (seen.baseline, seen.tasks, seen.rates) == ("v1", 1, (0.5, None, None))
    with pytest.raises(InvalidInput, match="no run of 'v1' has an outcome"):
        seen_rates(table_of([("t2", "v1", "0", None)]))


def test_of_several_treated_arms_one_is_named():
    rows = [("t1", arm, "", True) for arm in ("baseline", "x", "y")]
    with pytest.raises(InvalidInput, match=r"there are 2 treated arms, .x., .y.\. Name one: --treated NAME"):
        seen_rates(table_of(rows))
    assert seen_rates(table_of(rows), treated="y").rates == (0.0, 0.0, 0.0)
