import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.analysis.pairing import choose_arms, compare, pair_arms
from forbear.errors import InvalidInput
from forbear.outcomes.paired import PairedOutcomes
from forbear.outcomes.table import Labels, OutcomeTable
from remarks import unsaid


def table(*rows):
    """Rows of task, arm, success and, optionally, seed."""
    return OutcomeTable.from_columns(
        tasks=[row[0] for row in rows],
        arms=[row[1] for row in rows],
        success=[bool(row[2]) for row in rows],
        seeds=[row[3] if len(row) > 3 else "" for row in rows],
    )


FOUR = [("t1", 0, 0), ("t2", 0, 1), ("t3", 1, 0), ("t4", 1, 1), ("t5", 1, 1), ("t6", 0, 1), ("t7", 0, 1)]
PILOT = [row for task, b, t in FOUR for row in ((task, "baseline", b), (task, "critic", t))]


def test_pairs_are_counted_by_their_two_outcomes():
    pairing = pair_arms(table(*PILOT), baseline="baseline", treated="critic")
    assert pairing.pairs == PairedOutcomes(both_fail=1, recovered=3, disrupted=1, both_succeed=2)
    assert pairing.unpaired == {"baseline": 0, "critic": 0}
    assert pairing.cautions == ()


def test_tasks_of_one_arm_only_are_counted_and_said():
    rows = [*PILOT, ("only1", "baseline", 1), ("only2", "critic", 1), ("only3", "critic", 0)]
    pairing = pair_arms(table(*rows), baseline="baseline", treated="critic")
    assert pairing.pairs.pairs == 7
    assert pairing.unpaired == {"baseline": 1, "critic": 2}
    assert [(c.code, c.values, unsaid(c)) for c in pairing.cautions] == [
        ("unpaired_tasks", {"by_arm": {"baseline": 1, "critic": 2}}, [])
    ]
    assert "1 of 'baseline' and 2 of 'critic'" in pairing.cautions[0].text


def test_no_common_task_is_an_error():
    with pytest.raises(InvalidInput, match=r"no task in common: e\.g\. 'a' against 'b'"):
        pair_arms(table(("a", "baseline", 1), ("b", "critic", 1)), baseline="baseline", treated="critic")


def test_a_row_twice_is_named_with_task_arm_seed_and_both_places():
    with pytest.raises(
        InvalidInput, match=r"task 't2', arm 'critic', seed '7' is there twice: row 4 and row 5. Keep one"
    ):
        pair_arms(
            table(
                ("t1", "baseline", 0, "7"),
                ("t1", "critic", 0, "7"),
                ("t2", "baseline", 1, "7"),
                ("t2", "critic", 1, "7"),
                ("t2", "critic", 0, "7"),
            ),
            baseline="baseline",
            treated="critic",
        )


def seeded(*rows):
    """Rows of task, arm, seed, success (None: no outcome)."""
    columns = zip(*rows, strict=True)
    return OutcomeTable.from_columns(**dict(zip(("tasks", "arms", "seeds", "success"), columns, strict=True)))


def test_several_runs_per_task_are_paired_by_seed():
    rows = [
        ("t1", "baseline", "2", True),
        ("t1", "baseline", "1", False),
        ("t1", "critic", "1", True),
        ("t1", "critic", "2", True),
        ("t2", "critic", "2", False),
        ("t2", "baseline", "2", True),
        ("t2", "baseline", "1", True),
    ]
    (pairing,) = compare(seeded(*rows))
    # t2 has seed 1 under one arm only: that run has no partner.
    assert pairing.pairs.table == PairedOutcomes(both_fail=0, recovered=1, disrupted=1, both_succeed=1)
    assert pairing.pairs.tasks == 2
    assert [(c.code, c.values, unsaid(c)) for c in pairing.cautions] == [("unpaired_runs", {"runs": 1}, [])]
    assert pairing.unpaired == {"baseline": 0, "critic": 0}


def test_different_numbers_of_seeds_compare_task_by_task():
    rows = [(t, "baseline", s, s == "1") for t in ("t1", "t2") for s in ("1", "2", "3")]
    rows += [(t, "critic", "9", True) for t in ("t1", "t2")]
    (pairing,) = compare(seeded(*rows))
    assert not pairing.pairs.paired_seeds
    assert pairing.pairs.success_gain == pytest.approx(2 / 3)
    assert [c.code for c in pairing.cautions] == ["seeds_unpaired"]


def test_a_run_without_outcome_leaves_its_pair_out_and_is_bounded():
    rows = [(f"t{i}", arm, "0", True) for i in range(6) for arm in ("baseline", "critic")]
    rows[1] = ("t0", "critic", "0", None)
    rows[2] = ("t1", "baseline", "0", None)
    rows[4] = ("t2", "baseline", "0", None)
    rows[5] = ("t2", "critic", "0", None)
    (pairing,) = compare(seeded(*rows))
    assert pairing.pairs == PairedOutcomes(both_fail=0, recovered=0, disrupted=0, both_succeed=3)
    assert pairing.unpaired == {"baseline": 3, "critic": 3}
    assert pairing.missing.by_arm == {"baseline": 2, "critic": 2}
    # t0 known to succeed: [−1, 0]; t1's treated run succeeds: [0, 1]; t2: [−1, 1].
    assert pairing.missing.worst.success_gain == pytest.approx(-2 / 6)
    assert pairing.missing.best.success_gain == pytest.approx(2 / 6)


def test_nothing_but_missing_outcomes_is_an_error():
    with pytest.raises(InvalidInput, match="no task has an outcome under both"):
        compare(seeded(("t", "baseline", "0", None), ("t", "critic", "0", True)))


def test_clusters_become_the_unit_and_belong_to_their_task():
    rows = [(f"t{i}", arm, i % 3 == 0) for i in range(24) for arm in ("baseline", "critic")]
    labels = [f"c{i // 2}" for i in range(24) for _ in range(2)]
    columns = {"tasks": [r[0] for r in rows], "arms": [r[1] for r in rows], "success": [r[2] for r in rows]}
    (pairing,) = compare(OutcomeTable.from_columns(**columns, clusters=labels))
    assert pairing.pairs.clusters == tuple(labels[::2])
    with pytest.raises(InvalidInput, match=r"task 't0' is in the clusters 'c0', 'other' \(row 1\)"):
        compare(OutcomeTable.from_columns(**columns, clusters=["c0", "other", *labels[2:]]))
    with pytest.raises(InvalidInput, match="task 't0' has no cluster"):
        compare(OutcomeTable.from_columns(**columns, clusters=["", "", *labels[2:]]))


def test_different_seeds_between_the_arms_are_a_caution():
    rows = [("t1", "baseline", 1, "1"), ("t1", "critic", 0, "2"), ("t2", "baseline", 1, "3"), ("t2", "critic", 0, "3")]
    (pairing,) = compare(table(*rows))
    assert [(c.code, c.values, unsaid(c)) for c in pairing.cautions] == [("seeds_differ", {"pairs": 1, "of": 2}, [])]
    assert "In 1 of 2 pairs" in pairing.cautions[0].text


def test_duplicates_in_an_arm_that_is_not_compared_do_not_matter():
    rows = [*PILOT, ("t1", "other", 1), ("t1", "other", 0)]
    assert pair_arms(table(*rows), baseline="baseline", treated="critic").pairs.pairs == 7


def test_every_other_arm_is_treated():
    rows = [*PILOT, ("t1", "b", 1), ("t1", "a", 0)]
    assert choose_arms(table(*rows)) == ("baseline", ("critic", "b", "a"))
    assert [p.treated for p in compare(table(*rows))] == ["critic", "b", "a"]


def test_the_arm_that_is_asked_about_stands_first_and_the_others_stay():
    rows = [*PILOT, ("t1", "b", 1), ("t1", "a", 0)]
    pairings = compare(table(*rows), treated="b")
    assert [p.treated for p in pairings] == ["b", "critic", "a"]
    assert all(c.code != "only_arm_tested" for p in pairings for c in p.cautions)


def test_the_only_arm_tested_is_alone_and_says_so():
    rows = [*PILOT, ("t1", "b", 1)]
    (pairing,) = compare(table(*rows), treated="critic", only_arm_tested=True)
    assert [(c.code, c.values, unsaid(c)) for c in pairing.cautions] == [
        ("only_arm_tested", {"arm": "critic", "of": 2}, [])
    ]
    assert compare(table(*PILOT), treated="critic", only_arm_tested=True)[0].cautions == ()
    with pytest.raises(InvalidInput, match="must be named"):
        compare(table(*rows), only_arm_tested=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"baseline": "x"}, "there is no arm 'x'; the arms are 'baseline', 'critic'. Correct --baseline"),
        ({"treated": "x"}, "there is no arm 'x'; the arms are 'baseline', 'critic'. Correct --treated"),
        ({"baseline": "critic", "treated": "critic"}, "baseline and treated are both 'critic'"),
        ({"treated": "baseline"}, "baseline and treated are both 'baseline'"),
    ],
)
def test_arms_that_cannot_be_compared(options, message):
    with pytest.raises(InvalidInput, match=message):
        compare(table(*PILOT), **options)


def test_without_an_arm_called_baseline_the_arms_are_listed():
    rows = [("t", f"arm{i}", 1) for i in range(9)]
    with pytest.raises(
        InvalidInput, match=r"are 'arm0', 'arm1', 'arm2', 'arm3', 'arm4', \.\.\.\. Say .*--baseline NAME"
    ):
        compare(table(*rows))


def test_a_wrong_arm_column_is_noticed_before_a_thousand_comparisons():
    rows = [("t", f"arm{i}", 1) for i in range(1000)]
    with pytest.raises(InvalidInput, match=r"there are 999 treated arms .*Is this the arm column"):
        compare(table(*rows), baseline="arm0")
    assert compare(table(*rows), baseline="arm0", treated="arm7", only_arm_tested=True)[0].pairs.both_succeed == 1


def test_one_arm_alone_is_no_comparison_whatever_it_is_called():
    with pytest.raises(InvalidInput, match="'mine' is the only arm; a comparison needs a second one"):
        compare(table(("t", "mine", 1)))
    with pytest.raises(InvalidInput, match="'baseline' is the only arm"):
        compare(table(("t", "baseline", 1)))


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(InvalidInput, match="one entry per row, got lengths 2, 2, 2, 1, 2"):
        OutcomeTable.from_columns(tasks=["a", "b"], arms=["x", "y"], success=[True])


def test_labels_keep_the_order_of_appearance():
    labels = Labels.of(["b", "a", "b"])
    assert (labels.codes.tolist(), labels.names, labels.find("a"), labels.find("c")) == ([0, 1, 0], ["b", "a"], 1, None)


outcomes = st.dictionaries(st.text("abé", max_size=3), st.booleans(), max_size=12)


@pytest.mark.slow
@given(outcomes, outcomes, st.randoms(use_true_random=False))
def test_pairing_equals_a_dictionary_join_in_any_order_of_rows(before, after, random):
    rows = [(t, "baseline", s) for t, s in before.items()] + [(t, "critic", s) for t, s in after.items()]
    random.shuffle(rows)
    common = sorted(before.keys() & after.keys())
    if not common:
        if before and after:
            with pytest.raises(InvalidInput, match="no task in common"):
                compare(table(*rows))
        return
    (pairing,) = compare(table(*rows))
    cells = {
        cell: sum((before[t], after[t]) == cell for t in common) for cell in itertools.product((False, True), repeat=2)
    }
    assert pairing.pairs == PairedOutcomes(
        both_fail=cells[False, False],
        recovered=cells[False, True],
        disrupted=cells[True, False],
        both_succeed=cells[True, True],
    )
    assert pairing.unpaired == {"baseline": len(before) - len(common), "critic": len(after) - len(common)}


def test_codes_need_not_be_in_order_of_appearance():
    shuffled = OutcomeTable(
        tasks=Labels(codes=np.array([2, 2]), names=["x", "y", "z"]),
        arms=Labels(codes=np.array([1, 0]), names=["critic", "baseline"]),
        seeds=Labels(codes=np.array([0, 0]), names=[""]),
        success=np.array([False, True]),
        places=["one", "two"],
    )
    assert compare(shuffled)[0].pairs.recovered == 1
