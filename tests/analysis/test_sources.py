"""Where changes come from: each run counts once in each of the three ways, and a stratum is a verdict of its own."""

import pytest
from msgspec.structs import replace

from analysis.test_cautions import episode
from analysis.test_plan_record import record
from forbear.analysis.result import analyse
from forbear.analysis.sources import Changes, sources_of
from forbear.outcomes.paired import PairedOutcomes
from forbear.records.journal import JournalContent
from forbear.records.model import Task
from forbear.report.bars import columns_chart
from forbear.report.charts import rows_chart
from forbear.report.sections import sources as section
from forbear.stats.decision import decide
from forbear.stats.looks.looks import Looks

RUNS = [  # stratum, steps of interventions, baseline, treated
    *[("heat", (0,), False, True)] * 3,
    *[("heat", (0, 2), True, False)] * 2,
    *[("heat", (), True, True)] * 7,
    *[("cool", (4, 4, 4), False, True)] * 1,
    *[("cool", (1,), True, False)] * 4,
    *[("cool", (1,), True, True)] * 5,
]


def result_of(runs, **options):
    names = [f"t{n}" for n in range(len(runs))]
    plan = record(tasks=names, looks=Looks(tasks=(len(runs),), watch=False, futility=0.0), **options)
    content = JournalContent(plan=plan.to_dict())
    for name, (stratum, touched, before, after) in zip(names, runs, strict=True):
        task = Task(id=name, stratum=stratum)
        content.add(replace(episode(name, "alone", success=before), task=task), where="here")
        for arm in plan.treated:
            content.add(replace(episode(name, arm, touched=touched, success=after), task=task), where="here")
    return analyse(plan, content)


@pytest.fixture(scope="module")
def result():
    return result_of(RUNS)


def test_runs_are_counted_by_their_first_step_and_by_their_interventions(result):
    found = sources_of(result, "rollback")
    assert found.by_step == {
        0: Changes(runs=5, recovered=3, disrupted=2),
        1: Changes(runs=9, recovered=0, disrupted=4),
        4: Changes(runs=1, recovered=1, disrupted=0),
    }
    assert found.by_interventions == {
        0: Changes(runs=7, recovered=0, disrupted=0),
        1: Changes(runs=12, recovered=3, disrupted=4),
        2: Changes(runs=2, recovered=0, disrupted=2),
        3: Changes(runs=1, recovered=1, disrupted=0),
    }


def test_a_kind_of_task_is_a_verdict_of_its_own_pairs(result):
    found = sources_of(result, "rollback").by_stratum
    assert list(found) == ["heat", "cool"]
    for name, (up, down, n) in {"heat": (3, 2, 12), "cool": (1, 4, 10)}.items():
        one = found[name]
        assert (one.runs, one.recovered, one.disrupted) == (n, up, down)
        pairs = PairedOutcomes(both_fail=0, recovered=up, disrupted=down, both_succeed=n - up - down)
        gain = decide(pairs).success_gain
        assert one.gain.value == pytest.approx((up - down) / n)
        # The pair's own interval: a verdict may widen it to what its tests do not reject.
        assert one.gain.low >= gain.low - 1e-12
        assert one.gain.high <= gain.high + 1e-12
    only = [(None, *run[1:]) for run in RUNS[:12]] + [("cool", *run[1:]) for run in RUNS[12:]]
    assert sources_of(result_of(only), "rollback").by_stratum == {}


def test_the_view_puts_together_what_is_too_fine_and_draws_all_of_it(result):
    view = section.view("rollback", result)
    assert [one["label"] for one in view["by_step"]] == ["0", "1", "2", "3", "4"]
    assert [one["runs"] for one in view["by_interventions"]] == [7, 12, 2, 1]
    assert sum(one["runs"] for one in view["by_step"]) == 15
    chart = columns_chart(view)
    for panel, columns in zip(chart["panels"], (view["by_step"], view["by_interventions"]), strict=True):
        assert 0 <= panel["left"] < panel["right"] <= 640
        for drawn, one in zip(panel["columns"], columns, strict=True):
            assert panel["left"] <= drawn["left"] <= drawn["middle"] <= drawn["left"] + drawn["width"] <= panel["right"]
            assert (drawn["up"] > 0, drawn["down"] > 0) == (one["recovered"] > 0, one["disrupted"] > 0)
            # Heights are to one scale.
            assert drawn["up"] * 4 == pytest.approx(62 * one["recovered"], abs=0.5)
    assert [row["label"] for row in rows_chart([view["by_stratum"]])["rows"]] == ["heat", "cool"]


def test_many_steps_and_interventions_share_columns():
    long = {at: Changes(runs=1, recovered=0, disrupted=0) for at in (0, 3, 19)}
    steps = section._steps(long)
    assert [one["label"] for one in steps] == ["0-2", "3-5", "6-8", "9-11", "12-14", "15-17", "18-20"]
    assert [one["runs"] for one in steps] == [1, 1, 0, 0, 0, 0, 1]
    often = section._interventions({0: long[0], 5: long[0], 9: long[0]})
    assert [(one["label"], one["runs"]) for one in often] == (
        [("0", 1), ("1", 0), ("2", 0), ("3", 0), ("4", 0), ("5+", 2)]
    )


def test_where_arms_share_no_prefix_the_step_says_nothing():
    assert section.view("rollback", result_of(RUNS, design="independent"))["by_step"] == []


def test_an_arm_that_never_stepped_in_has_no_sources():
    assert section.view("rollback", result_of([(None, (), True, True)] * 12)) is None
