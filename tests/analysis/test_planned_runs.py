"""Runs laid out task by task: whole columns give what going through the rows gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.analysis.planned_runs import planned_runs
from forbear.errors import InvalidInput
from forbear.outcomes.table import OutcomeTable

rows = st.lists(
    st.tuples(
        st.sampled_from("tuvw"), st.sampled_from("abc"), st.sampled_from(["", "0", "1", "2"]), st.booleans() | st.none()
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[:3],
)


def by_rows(rows):
    """Task → seed → outcome of both arms; then what `PlannedRuns` says of them."""
    arms = []
    for arm in "ab":
        runs = {}
        for task, name, seed, success in rows:
            if name == arm:
                runs.setdefault(task, {})[seed] = success
        arms.append(runs)
    # Seeds come in the order of their first appearance anywhere in the table, tasks too.
    order = list(dict.fromkeys(seed for _, _, seed, _ in rows))
    common = [task for task in dict.fromkeys(row[0] for row in rows) if all(task in runs for runs in arms)]
    seeds = [{seed for runs in arm.values() for seed in runs} for arm in arms]
    laid, dropped, differing = ([], []), 0, 0
    for task in common:
        first, second = (sorted(arm[task], key=order.index) for arm in arms)
        if seeds[0] == seeds[1] and len(first) + len(second) > 2:
            both = [seed for seed in first if seed in second]
            dropped += len(first) + len(second) - 2 * len(both)
            first = second = both
        if first:
            differing += sum(x != y for x, y in zip(first, second, strict=False))
            for each, arm, names in zip(laid, arms, (first, second), strict=True):
                each.append([arm[task][seed] for seed in names])
    return common, (
        *laid,
        dropped,
        differing,
        {name: len(arm) for name, arm in zip("ab", arms, strict=True)},
        len(common),
    )


@given(rows)
def test_columns_give_what_rows_give(rows):
    tasks, arms, seeds, success = zip(*rows, strict=True)
    table = OutcomeTable.from_columns(tasks=tasks, arms=arms, seeds=seeds, success=success)
    common, expected = by_rows(rows)
    if not common:
        with pytest.raises(InvalidInput, match="have no task in common"):
            planned_runs(table, baseline="a", treated="b")
        return
    found = planned_runs(table, baseline="a", treated="b")
    said = (found.baseline, found.treated, found.dropped, found.differing, dict(found.found), found.common)
    assert said == expected


def test_a_run_that_is_there_twice_is_refused_by_its_rows():
    rows = [("t", "a", "0", True), ("t", "b", "0", True), ("t", "a", "1", True), ("t", "a", "0", False)]
    tasks, arms, seeds, success = zip(*rows, strict=True)
    table = OutcomeTable.from_columns(tasks=tasks, arms=arms, seeds=seeds, success=success)
    with pytest.raises(InvalidInput, match="task 't', arm 'a', seed '0' is there twice: row 1 and row 4"):
        planned_runs(table, baseline="a", treated="b")
