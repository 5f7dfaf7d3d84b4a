"""Logged baseline runs in a pilot: what they change in its verdict, and when there is none."""

import csv
import functools
from dataclasses import replace

import numpy as np
import pytest

from forbear.adapters.formats.tabular import read_outcomes
from forbear.analysis.evidence import evidence_of
from forbear.analysis.logged import ALPHA, AgainstLogged
from forbear.analysis.monitor import Monitor
from forbear.analysis.pairing import compare
from forbear.analysis.verdicts import decide_pairings
from forbear.errors import PlanChanged
from forbear.interventions import Append
from forbear.outcomes.logged import LoggedRuns
from forbear.policy.arm import Arm
from forbear.records.model import Task
from forbear.runner.host_plan import HostPlan
from forbear.stats.looks.looks import Looks
from forbear.stats.verdict import Recommendation
from runner.pilots import POLICY, plan, run, with_

ARMS = [Arm.baseline(), Arm("rollback", POLICY), Arm("append", with_(Append()))]


def log(success, *, n=40, runs=3):
    """Of a corridor's agent, each task with so many runs."""
    return LoggedRuns(
        runs={f"t{i:02}": [success(i, k) for k in range(runs)] for i in range(n)}, source="May", without_outcome=2
    )


def fair(i, k):
    return (i + k) % 2 == 0


def re_using(logged, *, n=40, **options):
    return plan(ARMS, n=n, design="independent", logged=logged, looks=Looks(tasks=(20, 40), futility=0.0), **options)


def codes(remarks):
    return [remark.code for remark in remarks]


@functools.cache
def found(folder, success):
    result = run(re_using(log(success)), folder / "j")
    return result, evidence_of(result)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("logged")


def test_the_verdict_is_that_of_a_table_with_the_logged_runs_in_it(folder):
    result, evidence = found(folder, fair)
    ids = [task.id for task in result.plan.tasks[: result.tasks]]
    with (folder / "all.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["task_id", "arm", "seed", "success"])
        writer.writerows([*key[::2], key[1], int(one.success)] for key, one in result.episodes.items())
        writer.writerows([task, "baseline", f"May {k}", int(fair(int(task[1:]), k))] for task in ids for k in range(3))
    look = result.plan.looks.tasks.index(result.tasks) + 1
    table = read_outcomes(folder / "all.csv").table
    verdicts = decide_pairings(compare(table), looks=result.plan.looks, look=look, in_order=True, table=table)
    for arm in ("rollback", "append"):
        mine, theirs = evidence.verdicts[arm], verdicts[arm]
        assert (mine.success_gain, mine.p_value_gain, mine.p_value_worthwhile) == (
            theirs.success_gain,
            theirs.p_value_gain,
            theirs.p_value_worthwhile,
        )
        assert mine.recovered is None
        assert {"logged_baseline", "seeds_unpaired"} <= set(codes(mine.cautions))


def test_they_are_compared_with_the_pilots_own_runs(folder):
    result, evidence = found(folder, fair)
    own = np.array([one.success for key, one in result.episodes.items() if key[2] == "baseline"])
    against = evidence.logged
    logged = [np.mean(result.plan.logged[key[0]]) for key in result.episodes if key[2] == "baseline"]
    assert against.drift.value == pytest.approx(own.mean() - np.mean(logged))
    assert (against.runs, against.without_outcome, against.tasks, against.source) == (120, 2, len(own), "May")
    assert against.drift.low <= against.drift.value <= against.drift.high
    (remark,) = against.remarks()
    assert remark.values["digest"] == result.plan.baseline.logged.digest
    assert "nobody has tested" in remark.text


def test_no_rerun_is_run_beside_a_log(folder):
    assert list(found(folder, fair)[0].arms) == ["baseline", "rollback", "append"]


@pytest.mark.slow
def test_no_verdict_rests_on_a_log_that_the_agent_alone_has_left_behind(tmp_path):
    result = run(re_using(log(lambda i, k: False)), tmp_path / "j")
    evidence = evidence_of(result)
    helped = [arm for arm, verdict in evidence.verdicts.items() if verdict.p_value_gain <= 0.05]
    assert helped  # against nothing but failures everything helps
    for arm in helped:
        verdict = evidence.verdicts[arm]
        assert verdict.recommendation is Recommendation.UNDECIDED
        assert codes(verdict.reasons) == ["baseline_drifted"]
        assert verdict.reasons[0].values["without_drift"] == "INTERVENE"


def test_forbear_is_withheld_where_the_agent_alone_has_become_worse(folder):
    result, evidence = found(folder, fair)
    verdict = evidence.verdicts["rollback"]
    own = {task.id: [False] for task in result.plan.tasks}
    against = AgainstLogged.of(result.plan, own)
    assert against.p_worse < ALPHA < against.p_better
    for said, kept in (("FORBEAR", "UNDECIDED"), ("INTERVENE", "INTERVENE"), ("UNDECIDED", "UNDECIDED")):
        one = against.withheld(changed(verdict, said))
        assert one.recommendation.value == kept
        assert not one.harmful or kept == said


def changed(verdict, said):
    return replace(verdict, recommendation=Recommendation(said), harmful=said == "FORBEAR")


def test_another_log_cannot_be_slipped_under_a_journal(folder):
    found(folder, fair)
    with pytest.raises(PlanChanged, match=r"baseline\.logged"):
        run(re_using(log(lambda i, k: k == 0)), folder / "j")


def test_a_plan_without_a_log_says_nothing_of_it():
    record = HostPlan(tasks=[Task(id="a")], arms=["x"], looks=[1]).record()
    assert "logged" not in record.to_dict()["baseline"]
    assert AgainstLogged.of(record, {"a": [True]}) is None


def test_harm_is_watched_with_the_logged_runs_too():
    names = [f"t{i:02}" for i in range(60)]
    logged = LoggedRuns(runs={name: [True, True] for name in names}, source="log")
    record = HostPlan(tasks=[Task(id=n) for n in names], arms=["x"], rerun=False, logged=logged).record()
    monitor = Monitor(record, lambda key: key[2] == "baseline")
    (end,) = monitor.advance()
    assert end.reason == "watch"
    assert end.tasks < 50
