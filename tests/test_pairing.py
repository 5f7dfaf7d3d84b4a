import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.errors import InvalidInput
from forbear.pairing import Labels, OutcomeTable, choose_arms, compare, pair_arms
from forbear.stats.paired import PairedOutcomes


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
    assert pairing.excluded == {"baseline": 0, "critic": 0}
    assert pairing.cautions == ()


def test_tasks_of_one_arm_only_are_counted_and_said():
    rows = [*PILOT, ("only1", "baseline", 1), ("only2", "critic", 1), ("only3", "critic", 0)]
    pairing = pair_arms(table(*rows), baseline="baseline", treated="critic")
    assert pairing.pairs.pairs == 7
    assert pairing.excluded == {"baseline": 1, "critic": 2}
    assert [c.code for c in pairing.cautions] == ["unpaired_tasks"]
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


def test_several_seeds_need_methods_that_do_not_exist_yet():
    rows = [(t, arm, 1, seed) for t in ("t1", "t2") for arm in ("baseline", "critic") for seed in ("1", "2")]
    with pytest.raises(InvalidInput, match=r"several seeds per task \('1', '2'\).*keep the rows of one seed"):
        compare(table(*rows))


def test_different_seeds_between_the_arms_are_a_caution():
    rows = [("t1", "baseline", 1, "1"), ("t1", "critic", 0, "2"), ("t2", "baseline", 1, "3"), ("t2", "critic", 0, "3")]
    (pairing,) = compare(table(*rows))
    assert [c.code for c in pairing.cautions] == ["seeds_differ"]
    assert "In 1 of 2 pairs" in pairing.cautions[0].text


def test_duplicates_in_an_arm_that_is_not_compared_do_not_matter():
    rows = [*PILOT, ("t1", "other", 1), ("t1", "other", 0)]
    assert pair_arms(table(*rows), baseline="baseline", treated="critic").pairs.pairs == 7


def test_every_other_arm_is_treated():
    rows = [*PILOT, ("t1", "b", 1), ("t1", "a", 0)]
    assert choose_arms(table(*rows)) == ("baseline", ("critic", "b", "a"))
    assert [p.treated for p in compare(table(*rows))] == ["critic", "b", "a"]


def test_picking_one_of_several_arms_is_a_caution():
    rows = [*PILOT, ("t1", "b", 1)]
    (pairing,) = compare(table(*rows), treated="critic")
    assert [c.code for c in pairing.cautions] == ["arm_picked"]
    assert compare(table(*PILOT), treated="critic")[0].cautions == ()


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
    assert compare(table(*rows), baseline="arm0", treated="arm7")[0].pairs.both_succeed == 1


def test_one_arm_alone_is_no_comparison():
    with pytest.raises(InvalidInput, match="'baseline' is the only arm"):
        compare(table(("t", "baseline", 1)))


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(InvalidInput, match="one entry per row, got lengths 2, 2, 2, 1, 2"):
        OutcomeTable.from_columns(tasks=["a", "b"], arms=["x", "y"], success=[True])


def test_labels_keep_the_order_of_appearance():
    labels = Labels.of(["b", "a", "b"])
    assert (labels.codes.tolist(), labels.names, labels.find("a"), labels.find("c")) == ([0, 1, 0], ["b", "a"], 1, None)


outcomes = st.dictionaries(st.text(max_size=3), st.booleans(), max_size=12)


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
    assert pairing.excluded == {"baseline": len(before) - len(common), "critic": len(after) - len(common)}


def test_codes_need_not_be_in_order_of_appearance():
    shuffled = OutcomeTable(
        tasks=Labels(codes=np.array([2, 2]), names=["x", "y", "z"]),
        arms=Labels(codes=np.array([1, 0]), names=["critic", "baseline"]),
        seeds=Labels(codes=np.array([0, 0]), names=[""]),
        success=np.array([False, True]),
        places=["one", "two"],
    )
    assert compare(shuffled)[0].pairs.recovered == 1
