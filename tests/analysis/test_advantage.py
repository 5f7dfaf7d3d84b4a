"""What stepping in was worth, by the step and the score at which a run was first touched."""

import numpy as np
import pytest

from analysis.test_early import result_of, runs_of
from forbear.analysis.advantage import STEPS, advantage_of
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.report.charts import advantage_chart
from forbear.report.html import page
from forbear.report.sections import advantage as section
from forbear.report.terminal import Terminal
from forbear.stats.clustered import clustered_gain_interval
from forbear.stats.decision import decide
from runner.pilots import run
from runner.test_continuations import FEW, RUNS, K, continued

COUNTS = {0: (2, 5, 9), 1: (1, 0, 3), 2: (6, 1, 8), 4: (3, 2, 0)}
"""By step of the first touch: runs recovered, disrupted, and alike."""


@pytest.fixture(scope="module")
def counted():
    runs = [
        run
        for step, (up, down, same) in COUNTS.items()
        for run in runs_of(step, recovered=up, disrupted=down, alike=same)
    ]
    return result_of(runs)


@pytest.fixture(scope="module")
def continuations(tmp_path_factory):
    return run(continued(n=40, arms=FEW), tmp_path_factory.mktemp("continued"))


def test_each_range_of_steps_is_a_verdict_of_its_own_pairs(counted):
    found = advantage_of(counted, "rollback")
    expected = {0: (3, 5, 12), 2: (9, 3, 8)}
    assert [(one.begin, one.end) for one in found.by_step] == [(0, 2), (2, 5)]
    for one in found.by_step:
        up, down, same = expected[one.begin]
        pairs = PairedOutcomes(both_fail=0, recovered=up, disrupted=down, both_succeed=same)
        gain = decide(pairs).success_gain
        assert (one.touched.runs, one.touched.recovered, one.touched.disrupted) == (up + down + same, up, down)
        assert one.touched.gain.value == pytest.approx((up - down) / (up + down + same))
        # The pair's own interval: a verdict may widen it to what its tests do not reject.
        assert one.touched.gain.low >= gain.low - 1e-12
        assert one.touched.gain.high <= gain.high + 1e-12


def test_scores_fall_into_tenths(counted):
    (only,) = advantage_of(counted, "rollback").by_score
    assert (only.begin, only.end) == (0.5, 0.6)
    assert only.touched.runs == sum(map(sum, COUNTS.values()))


def test_nothing_is_said_of_runs_that_share_no_prefix_or_were_not_touched(counted):
    assert advantage_of(result_of(runs_of(0, disrupted=9), design="independent"), "rollback") is None
    assert advantage_of(result_of([(9, True, True)] * 12), "rollback") is None


def test_continuations_of_a_task_are_one_unit(continuations):
    found = advantage_of(continuations, "rollback")
    touched = [
        (episode, continuations.episodes[key[0], key[1], "baseline"])
        for key, episode in continuations.episodes.items()
        if key[2] == "rollback" and episode.first_intervention is not None
    ]
    assert found.all.runs == len(touched) > K
    assert sum(one.touched.runs for one in found.by_step) == found.all.runs
    by_task = {}
    for after, before in touched:
        by_task.setdefault(after.task.id, []).append((bool(before.success), bool(after.success)))
    assert max(map(len, by_task.values())) == len(RUNS)
    pairs = ClusteredOutcomes.from_outcomes(
        baseline=[[b for b, _ in runs] for runs in by_task.values()],
        treated=[[t for _, t in runs] for runs in by_task.values()],
    )
    interval = clustered_gain_interval(pairs, confidence=0.9)
    assert (found.all.gain.low, found.all.gain.high) == pytest.approx((interval.low, interval.high))


def test_the_report_says_and_draws_every_range(continuations):
    view = section.view("rollback", continuations)
    terminal = Terminal(width=80, color=False)
    section.text(terminal, "rollback", view)
    assert f"{K} continuations of each task" in terminal.text
    assert max(map(len, terminal.text.splitlines())) <= 80
    chart, ranges = advantage_chart(view), [*view["by_step"], *view["by_score"]]
    assert len(chart["rows"]) == len(ranges) > 2
    for row, one in zip(chart["rows"], ranges, strict=True):
        assert one["label"] in terminal.text
        assert row["label"] == one["label"]
        if row["low"] is not None:
            assert 0 <= row["low"] <= row["value"] <= row["high"] <= 640
            assert (row["value"] > chart["zero"]) == (one["gain"]["value"] > 0)
    drawn = page("sections/advantage.html").render(arm={"advantage": view})
    assert drawn.count("<circle") == sum(row["value"] is not None for row in chart["rows"])
    assert view["caveat"] in drawn
    section.text(terminal, "rollback", None)
    assert page("sections/advantage.html").render(arm={"advantage": None}).strip() == ""


def test_the_ranges_of_steps_cover_every_step():
    assert STEPS[0] == 0
    assert list(STEPS) == sorted(set(STEPS))
    assert np.isfinite(STEPS).all()
