"""Comparisons in groups: each as if it stood alone, but for the error rate that they share."""

import pytest

from forbear.analysis.grouped import compare_by
from forbear.analysis.pairing import compare
from forbear.analysis.verdicts import decide_pairings
from forbear.errors import InvalidInput
from forbear.outcomes.table import Labels, OutcomeTable


def table_of(rows):
    tasks, arms, success, groups = zip(*rows, strict=True)
    table = OutcomeTable.from_columns(tasks=tasks, arms=arms, success=success)
    return OutcomeTable(
        **{name: getattr(table, name) for name in ("tasks", "arms", "seeds", "success", "places", "missing")},
        groups=Labels.of(groups),
    )


def rows_of(group, recovered, disrupted, tasks=40, arm="critic"):
    won = [(i >= recovered, i < recovered or i >= recovered + disrupted) for i in range(tasks)]
    return [(f"t{i}", name, both[k], group) for i, both in enumerate(won) for k, name in enumerate(("baseline", arm))]


ROWS = rows_of("m", 12, 1) + rows_of("n", 3, 4)


def test_each_group_is_paired_by_itself():
    grouped = compare_by(table_of(ROWS))
    assert {one.treated: one.pairs for one in grouped.pairings} == {
        f"{group}: critic": compare(table_of(rows))[0].pairs for group, rows in (("m", ROWS[:80]), ("n", ROWS[80:]))
    }
    assert (grouped.baseline, grouped.arms) == ("baseline", {"m: critic": "critic", "n: critic": "critic"})
    assert [one.baseline for one in grouped.pairings] == ["m: baseline", "n: baseline"]


def test_all_groups_share_one_error_rate():
    verdicts = decide_pairings(compare_by(table_of(ROWS)).pairings)
    (alone,) = decide_pairings(compare(table_of(ROWS[:80]))).values()
    # Holm: the smallest of two p-values counts twice.
    assert verdicts["m: critic"].p_value_gain == pytest.approx(2 * alone.p_value_gain)


def test_looks_and_streams_find_their_rows():
    grouped = compare_by(table_of(ROWS))
    verdicts = decide_pairings(grouped.pairings, anytime=True, in_order=True, table=grouped.table)
    assert {name: verdict.tasks for name, verdict in verdicts.items()} == {"m: critic": 40, "n: critic": 40}


def test_a_group_without_a_comparison_is_left_out_and_said():
    rows = [*ROWS, ("t1", "baseline", True, "alone"), *rows_of("other", 1, 1, arm="x")]
    grouped = compare_by(table_of(rows), treated="critic")
    assert [one.treated for one in grouped.pairings] == ["m: critic", "n: critic"]
    remark = grouped.pairings[0].cautions[-1]
    assert (remark.code, list(remark.values["groups"])) == ("groups_left_out", ["alone", "other"])
    with pytest.raises(InvalidInput, match="in no group is there something to compare; in 'm': there is no arm 'y'"):
        compare_by(table_of(ROWS), treated="y")


def test_what_is_no_group_is_refused():
    with pytest.raises(InvalidInput, match="the table has no groups"):
        compare_by(OutcomeTable.from_columns(tasks=["t"], arms=["a"], success=[True]))
    with pytest.raises(InvalidInput, match="--by makes 101 comparisons"):
        compare_by(table_of([("t", "baseline", True, str(i)) for i in range(101)]))
