"""Deciding more than once: at declared looks, and at any time."""

import json

import numpy as np
import pytest

from forbear.stats.decision import decide_arms
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.sequential import sequential_outcomes
from forbear.stats.verdict import Verdict

LOOKS = ("--looks", "50,100,200")


@pytest.fixture
def found(decide):
    def found(*arguments):
        code, out, err = decide(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return found


@pytest.fixture
def file(tmp_path):
    """Writes rows of task, arm, success (and more columns)."""

    def write(rows, header="task_id,arm,success", name="outcomes.csv"):
        path = tmp_path / name
        path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]))
        return path

    return write


def rows_of(differences, arm="critic", baseline=True):
    rows = []
    for i, d in enumerate(differences):
        rows += [(f"t{i}", "baseline", int(d < 0))] if baseline else []
        rows.append((f"t{i}", arm, int(d > 0)))
    return rows


def one_error_line(result):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "\x1b" not in err
    assert len(err) < 450
    return err


# --- Declared looks -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_look_on_the_way_says_where_the_next_one_is(decide, found):
    code, out, _ = decide("--counts", "30,20,8,42", *LOOKS, "--look", 2)
    assert code == 0
    text = " ".join(out.split())
    assert text.startswith("UNDECIDED: this pilot cannot tell yet")
    assert "Next - The next declared look is at 200 tasks" in text
    assert "raises the false-go rate" not in text
    assert "Look 2 of 3, at 100 tasks: INTERVENE needs z >= 2.40 here, z = 2.27." in text
    assert "sequential: they hold for all looks together" in text
    verdict = found("--counts", "30,20,8,42", *LOOKS, "--look", 2)
    assert Verdict.from_dict(verdict).to_dict().items() <= verdict.items()
    look = verdict["look"]
    assert (look["number"], look["of"], look["tasks"], look["next"], look["stopped"]) == (2, 3, 100, 200, None)
    assert (look["looks"], look["shape"], look["watched"]) == ([50, 100, 200], "obrien-fleming", False)
    # (C − B)/√(C + B)
    assert look["statistic"] == pytest.approx(12 / 28**0.5)
    single = found("--counts", "30,20,8,42")
    assert (single["look"], single["recommendation"]) == (None, "INTERVENE")
    assert verdict["p_value_gain"] > single["p_value_gain"]


def test_a_look_is_futile_as_in_a_pilot(decide):
    code, out, _ = decide("--counts", "20,11,11,58", *LOOKS, "--look", 2, "--gate")
    assert code == 21
    text = " ".join(out.split())
    assert "Stopped: under the planned gain a further look would hardly ever say INTERVENE" in text
    # A loss that may still be found out goes on, however little hope of a gain is left.
    code, out, _ = decide("--counts", "20,11,18,51", *LOOKS, "--look", 2, "--gate")
    assert code == 21
    assert "The next declared look is at 200 tasks" in " ".join(out.split())


def test_after_the_last_look_nothing_may_be_added(decide, found):
    counts = ("--counts", "60,20,16,104", *LOOKS, "--look", 3)
    text = " ".join(decide(*counts)[1].split())
    assert "This was the last declared look: more tasks and another decision would raise the false-go rate." in text
    assert "run a new pilot, or one that may be looked at whenever you like (forbear decide --anytime)" in text
    assert found(*counts)["look"]["stopped"] == "last look"


def test_a_corrected_gain_says_so(decide, found):
    counts = ("--counts", "28,20,5,47", *LOOKS, "--look", 2)
    assert 0.14 < found(*counts)["success_gain"]["value"] < 0.1499
    assert "The gain is corrected for stopping early; that of all pairs is +15.0 pp." in " ".join(
        decide(*counts)[1].split()
    )


def test_the_boundary_decides(found):
    # The first of two looks needs z >= 1.709·√2 = 2.42: 6 to 0 has it (2.45), 5 to 0 has not (2.24).
    options = ("--looks", "50,100", "--look", 1)
    passed, failed = (found("--counts", f"20,{c},0,{30 - c}", *options) for c in (6, 5))
    assert passed["look"]["boundary"] == pytest.approx(2**0.5 * 1.709, abs=1e-3)
    assert (passed["recommendation"], failed["recommendation"]) == ("INTERVENE", "UNDECIDED")
    assert passed["look"]["stopped"] == "decided"
    assert found("--counts", "20,5,0,25", *options, "--shape", "pocock")["recommendation"] == "INTERVENE"


def test_a_file_and_its_counts_are_the_same_look(found, file):
    rows = rows_of([1] * 20 + [-1] * 8 + [0] * 22)
    counts = found("--counts", "22,20,8,0", *LOOKS, "--look", 1)
    from_file = found(file(rows), *LOOKS, "--look", 1)
    assert from_file.pop("unpaired") == {"baseline": 0, "critic": 0}
    assert counts.pop("unpaired") == {}
    assert (from_file.pop("arm"), counts.pop("arm")) == ("critic", "treated")
    assert from_file == counts


def test_a_task_without_an_outcome_holds_its_place(decide, found, file):
    path = file(_with_errors())
    verdict = found(path, *LOOKS, "--look", 1)
    assert (verdict["tasks"], verdict["look"]["tasks"]) == (47, 50)
    assert any(caution["code"].startswith("missing_outcomes") for caution in verdict["cautions"])
    short = file(_with_errors()[:-2], name="short.csv")
    assert "look 1 is at 50 tasks, the outcomes have 49" in one_error_line(decide(short, *LOOKS, "--look", 1))


def _with_errors():
    rows = rows_of([1] * 15 + [0] * 35)
    return [
        (task, arm, "error") if task in ("t20", "t21", "t22") and arm == "critic" else (task, arm, success)
        for task, arm, success in rows
    ]


@pytest.mark.slow
def test_several_arms_share_the_error_rate_at_a_look(decide, found, file):
    differences = [1] * 14 + [0] * 36
    path = file(rows_of(differences) + rows_of(differences, arm="other", baseline=False))
    alone = found(path, *LOOKS, "--look", 1, "--treated", "critic", "--only-arm-tested")
    both = found(path, *LOOKS, "--look", 1)["verdicts"]
    assert both["critic"]["p_value_gain"] == pytest.approx(2 * alone["p_value_gain"])
    assert "here for one arm" in " ".join(decide(path, *LOOKS, "--look", 1)[1].split())


@pytest.mark.slow
def test_several_seeds_and_clusters_have_looks(found, file):
    rows = [
        (f"t{i}", arm, seed, int(arm == "critic" and i % 2), f"c{i // 4}")
        for i in range(48)
        for arm in ("baseline", "critic")
        for seed in range(2)
    ]
    header = "task_id,arm,seed,success,cluster"
    for columns in (slice(0, 4), slice(0, 5)):
        path = file([row[columns] for row in rows], header=",".join(header.split(",")[columns]))
        verdict = found(path, "--looks", "48,96", "--look", 1)
        assert verdict["recommendation"] == "INTERVENE"
        assert verdict["look"]["statistic"] > verdict["look"]["boundary"]
    assert found(path, "--looks", "48", "--look", 1)["look"]["boundary"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*LOOKS, "--look", 1], "look 1 is at 50 tasks, the outcomes have 100. That is look 2. Why: testing at 50"),
        ([*LOOKS, "--look", 3], "That is look 2."),
        (["--looks", "50,120,200", "--look", 2], "It has not been reached: add 20 more"),
        (["--looks", "50,90,200", "--look", 2], "The data have grown: to decide again, take the next declared look"),
        (["--looks", "50,90,200", "--look", 2], "with exactly its 200 tasks"),
        (["--looks", "50,90", "--look", 2], "past the last look: no look is left, pilot afresh"),
        ([*LOOKS], "--look 1 to --look 3"),
        (["--look", 1], "--look belongs to looks that were declared beforehand"),
        (["--shape", "pocock"], "--shape belongs to looks"),
        ([*LOOKS, "--look", 0], "there are 3 looks, numbered from 1; got look 0"),
        ([*LOOKS, "--look", 4], "got look 4"),
        ([*LOOKS, "--look", "two"], "--look"),
        (["--looks", "100,50", "--look", 1], "looks must rise"),
        (["--looks", "100,100", "--look", 1], "looks must rise"),
        (["--looks", "0,100", "--look", 1], "looks must rise"),
        (["--looks", "50,\x1b[31m", "--look", 1], "rising whole numbers"),
        (["--looks", "", "--look", 1], "rising whole numbers"),
        (["--looks", "50,,100", "--look", 1], "rising whole numbers"),
        (["--looks", "9" * 9999, "--look", 1], "rising whole numbers"),
        (["--looks", ",".join(map(str, range(1, 99))), "--look", 1], "looks are 1 to 50"),
        ([*LOOKS, "--look", 2, "--shape", "round"], "--shape"),
        ([*LOOKS, "--look", 2, "--anytime"], "--anytime has no planned looks; drop --looks"),
        (["--anytime", "--look", 2], "drop --look"),
        ([*LOOKS, "--look", 2, "--at", "0.5"], "--at has the interval of a single look"),
    ],
)
def test_looks_that_cannot_be_are_one_line(decide, arguments, message):
    assert message in one_error_line(decide("--counts", "30,20,8,42", *arguments))


def test_the_first_rows_of_a_longer_file_are_not_taken_for_the_look(decide, file):
    path = file(rows_of([1] * 60 + [0] * 60))
    line = one_error_line(decide(path, *LOOKS, "--look", 2))
    assert "look 2 is at 100 tasks, the outcomes have 120" in line


def test_the_gate_works_at_a_look(decide):
    assert decide("--counts", "20,16,0,14", *LOOKS, "--look", 1, "--gate")[0] == 0
    assert decide("--counts", "20,0,16,14", *LOOKS, "--look", 1, "--gate")[0] == 20
    assert decide("--counts", "20,6,6,18", *LOOKS, "--look", 1, "--gate")[0] == 21


# --- At any time --------------------------------------------------------------------------------------------


def test_a_stream_may_go_on(decide, found):
    text = " ".join(decide("--counts", "35,7,11,47", "--anytime")[1].split())
    assert "UNDECIDED: this pilot cannot tell yet" in text
    assert "Next - Go on: add tasks in the planned order and ask again, as often as you like" in text
    assert "hold at any time, however often one looks" in text
    look = found("--counts", "35,7,11,47", "--anytime")["look"]
    assert look == {"anytime": True, "tasks": 100, "ordered": False, "stopped": None}


def test_the_order_is_that_of_the_first_appearance(found, file):
    # Crossed after the ten recoveries, no longer now.
    differences = [1] * 10 + [0, -1] * 4 + [0] * 10
    rows = rows_of(differences)
    in_turn = found(file(rows), "--anytime", "--in-order")
    assert in_turn["recommendation"] == "INTERVENE"
    assert in_turn["look"] == {"anytime": True, "tasks": 28, "ordered": True, "stopped": "decided"}
    arm_by_arm = sorted(rows, key=lambda row: row[1] != "baseline")
    assert found(file(arm_by_arm), "--anytime", "--in-order") == in_turn
    treated_last = sorted(rows, key=lambda row: row[1] == "critic")
    backwards = [row for row in treated_last if row[1] == "baseline"] + [
        row for row in rows[::-1] if row[1] == "critic"
    ]
    assert found(file(backwards), "--anytime", "--in-order") == in_turn
    assert found(file(rows[::-1]), "--anytime", "--in-order")["p_value_gain"] > in_turn["p_value_gain"]
    counts = found("--counts", "14,10,4,0", "--anytime")
    assert counts["p_value_gain"] > in_turn["p_value_gain"]


def test_unless_it_is_said_to_be_planned_the_order_of_the_rows_says_nothing(decide, found, file):
    # Sorted by outcome this has no gain (17 recovered, then 29 disrupted): in that order it was an early one.
    differences = [1] * 17 + [-1] * 29 + [0] * 100
    rows = rows_of(differences)
    mixed = [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]
    said = [found(file(order), "--anytime") for order in (rows, rows[::-1], mixed)]
    assert [one["recommendation"] for one in said] == ["UNDECIDED"] * 3
    assert len({one["p_value_gain"] for one in said}) == len({one["success_gain"]["low"] for one in said}) == 1
    assert said[0]["look"]["ordered"] is False
    assert said[0]["p_value_gain"] > 0.5
    assert found(file(rows), "--anytime", "--in-order")["p_value_gain"] < 0.05
    assert "order of the rows does not matter" in " ".join(decide(file(rows), "--anytime")[1].split())
    assert "it needs a FILE, and --looks or --anytime" in one_error_line(decide(file(rows), "--in-order"))


def test_in_the_planned_order_looks_are_watched_as_a_pilots_are(decide, found, file):
    # Harm that came early and was made good: the watch of a pilot had seen it, a look at all tasks has not.
    differences = [-1] * 14 + [0] * 20 + [1] * 12 + [0] * 4
    rows, looks = rows_of(differences), Looks(tasks=(50, 100, 200))
    assert looks.watch
    verdict = found(file(rows), *LOOKS, "--look", 1, "--in-order")
    outcomes, _ = sequential_outcomes(
        baseline=[[d < 0] for d in differences], treated=[[d > 0] for d in differences], looks=looks
    )
    (direct,) = decide_arms({"critic": outcomes}, unpaired={"critic": {"baseline": 0, "critic": 0}}).values()
    assert Verdict.from_dict(verdict) == direct
    assert verdict["look"]["watched"] is True
    unwatched = found(file(rows), *LOOKS, "--look", 1)
    assert unwatched["look"]["watched"] is False
    assert verdict["p_value_worthwhile"] < 0.01 < unwatched["p_value_worthwhile"]
    assert "It has not been reached: add 1 more" in one_error_line(
        decide(file(rows[:-2]), *LOOKS, "--look", 1, "--in-order")
    )


def test_holes_of_a_stream_without_an_order_are_bounded_too(found, file):
    verdict = found(file(_with_errors()), "--anytime")
    assert (verdict["tasks"], verdict["look"]["tasks"]) == (47, 50)
    assert {"missing_outcomes", "missing_excess"} <= {caution["code"] for caution in verdict["cautions"]}


def test_two_files_are_a_stream_too(found, file):
    rows = rows_of([1, 0] * 12)
    parts = [
        file([(task, s) for task, a, s in rows if a == arm], header="task_id,success", name=f"{arm}.csv")
        for arm in ("baseline", "critic")
    ]
    two, one = found(*parts, "--anytime"), found(file(rows), "--anytime")
    assert two["p_value_gain"] == one["p_value_gain"]
    assert two["recommendation"] == "INTERVENE"


def test_a_stream_with_holes_is_bounded(found, file):
    verdict = found(file(_with_errors()), "--anytime", "--in-order")
    assert (verdict["tasks"], verdict["look"]["tasks"]) == (47, 50)
    assert "missing_outcomes" in [caution["code"] for caution in verdict["cautions"]]


def test_sorted_rows_are_told(decide):
    # The published counts with ids of ours: sorted by outcome.
    code, out, _ = decide("examples/outcomes.csv", "--anytime", "--in-order")
    assert code == 0
    assert "Are the tasks in the order in which they were planned?" in " ".join(out.split())
    assert not out.startswith("INTERVENE")


def test_clusters_stand_together(decide, found, file):
    rows = [
        (f"t{i}", arm, int(arm == "critic"), f"\x1b[31mc{i % 12}") for i in range(48) for arm in ("baseline", "critic")
    ]
    header = "task_id,arm,success,cluster"
    assert "goes on after another one began" in one_error_line(
        decide(file(rows, header=header), "--anytime", "--in-order")
    )
    together = sorted(rows, key=lambda row: int(row[3][6:]))
    verdict = found(file(together, header=header), "--anytime", "--in-order")
    assert verdict["method"].endswith("clusters as units")
    assert verdict["recommendation"] == "INTERVENE"
