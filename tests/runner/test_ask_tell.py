"""A host that asks and tells gets what `run_pilot` gets: in any order, after any kill, from any number of processes."""

import random
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from forbear.analysis.evidence import evidence_of, verdicts_of
from forbear.analysis.result import analyse_journal
from forbear.errors import InvalidInput, JournalLocked, PlanChanged, ProviderError
from forbear.interventions import Append, Stop
from forbear.outcomes.logged import LoggedRuns
from forbear.policy.arm import Arm
from forbear.records.journal import Journal
from forbear.records.model import Action, Episode, Origin, Step, Task, Termination
from forbear.runner.ask_tell import HostPilot
from forbear.runner.host_plan import HostArm, HostPlan
from forbear.stats.looks.looks import Looks
from forbear.stats.rule import DecisionRule
from runner.pilots import POLICY, digest, plan, run, tasks, with_

SMALL = Looks(tasks=(4, 8), futility=0)


class Clock:
    def __init__(self, now=1e9):
        self.now = now

    def __call__(self):
        return self.now


def host(n=8, arms=("a",), **options):
    return HostPlan(tasks=tasks(n), arms=list(arms), **{"looks": SMALL if n == 8 else None, **options})


def outcome_of(key):
    """What the host would find: the same whenever it is run, and better under arm a."""
    return random.Random(repr(key)).random() < (0.9 if key[2] == "a" else 0.6)


def drive(pilot, *, outcome=outcome_of, chance=None, hold=1):
    """A host's loop with up to `hold` episodes under way, which end in a random order."""
    asked, under_way = [], []
    while True:
        while len(under_way) < hold and (assignment := pilot.ask()) is not None:
            asked.append(assignment.key)
            under_way.append(assignment)
        if not under_way:
            assert pilot.over
            return asked
        assignment = under_way.pop(chance.randrange(len(under_way)) if chance else 0)
        pilot.tell(assignment, outcome(assignment.key))


# --- The same as run_pilot --------------------------------------------------------------------------------

ARMS = [Arm.baseline(), Arm("rollback", POLICY), Arm("append", with_(Append())), Arm("stop", with_(Stop()))]
LOOKS = Looks(tasks=(12, 24, 36), watch=True)
RULE = DecisionRule(worthwhile=0.3)


def told(verdict):
    """What outcomes decide; what is said of critics and interventions only their own runner knows."""
    return {key: value for key, value in verdict.to_dict().items() if key not in ("cautions",)}


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(42,), (1, 2)], ids=["one seed", "two seeds"])
def test_told_what_run_pilot_found_it_finds_the_same_in_any_order(tmp_path, seeds):
    own = plan(ARMS, n=36, design="independent", looks=LOOKS, rule=RULE, seeds=seeds)
    found = run(own, tmp_path / "own", concurrency=1)
    known = {key: one.success for key, one in Journal(tmp_path / "own").read().episodes.items()}
    assert found.monitor.ends, "no arm ended early: the test would not see one that is asked for too long"
    assert len(known) < 36 * len(seeds) * 5
    same = HostPlan(
        tasks=own.tasks, arms=["rollback", "append", "stop"], looks=LOOKS, rule=RULE, seeds=seeds, order_seed=0
    )
    for hold in (1, 3, 20, 200) if len(seeds) == 1 else (1, 20):
        chance, directory = random.Random(hold), tmp_path / f"host{hold}"
        with HostPilot(same, Journal(directory)) as pilot:
            # Where it asks for more than the runner needed, any outcome must do.
            asked = drive(pilot, outcome=lambda key: known.get(key, outcome_of(key)), chance=chance, hold=hold)
            result = pilot.result()
        assert len(asked) == len(set(asked))
        assert hold > 1 or set(asked) == set(known)
        assert result.monitor.ends == found.monitor.ends
        assert Journal(directory).read().ends == Journal(tmp_path / "own").read().ends
        assert list(result.plan.tasks) == list(found.plan.tasks)
        assert {k: e.success for k, e in result.episodes.items()} == {k: e.success for k, e in found.episodes.items()}
        expected = {arm: told(verdict) for arm, verdict in verdicts_of(found).items()}
        assert {arm: told(verdict) for arm, verdict in evidence_of(result).verdicts.items()} == expected
        assert verdicts_of(analyse_journal(Journal(directory))) == verdicts_of(result)


def test_arms_of_a_task_come_together_in_the_planned_order_and_drift_falls_on_all(tmp_path):
    plan = host(60, looks=Looks(tasks=(60,), watch=False))
    with HostPilot(plan, Journal(tmp_path)) as pilot:
        asked = drive(pilot)
    assert [task for task, _, _ in asked[::3]] == [task.id for task in plan.ordered]
    rows = [tuple(arm for _, _, arm in asked[n : n + 3]) for n in range(0, 180, 3)]
    assert {tuple(sorted(row)) for row in rows} == {("a", "baseline", "rerun")}
    firsts = [row[0] for row in rows]
    assert min(firsts.count(arm) for arm in ("a", "baseline", "rerun")) > 10


def test_nothing_behind_a_look_is_asked_for_before_everything_up_to_it_was_told(tmp_path):
    with HostPilot(host(), Journal(tmp_path)) as pilot:
        first = [pilot.ask() for _ in range(12)]
        assert {one.task.id for one in first} == {task.id for task in host().ordered[:4]}
        assert pilot.ask() is None
        assert not pilot.over
        assert len(pilot.outstanding) == 12
        for one in first[:-1]:
            pilot.tell(one, outcome_of(one.key))
        assert pilot.ask() is None
        pilot.tell(first[-1], outcome_of(first[-1].key))
        assert pilot.ask().task == host().ordered[4]


@pytest.mark.slow
def test_an_arm_that_ended_is_not_asked_for_any_more_and_late_news_of_it_is_kept_unused(tmp_path):
    harmful = HostPlan(tasks=tasks(80), arms=["bad", "good"], looks=Looks(tasks=(40, 80)))

    def outcome(key):
        return key[2] != "bad" and outcome_of(key)

    with HostPilot(harmful, Journal(tmp_path)) as pilot:
        late, asked = None, []
        while (assignment := pilot.ask()) is not None:
            asked.append(assignment.key)
            if assignment.arm == "bad" and late is None and len(asked) > 4 * 35:
                break
            pilot.tell(assignment, outcome(assignment.key))
        ends = pilot.result().monitor.ends
        end = ends["bad"].tasks
        assert ends["bad"].reason == "watch"
        assert end < 40
        assert max(harmful.ordered.index(Task(id=task)) for task, _, arm in asked if arm == "bad") < 40
        after = harmful.ordered[end + 1].id
        with pytest.raises(InvalidInput, match="not asked for and is not wanted"):
            pilot.tell((after, 42, "bad"), True)


@pytest.mark.slow
def test_what_was_under_way_when_an_arm_ended_is_kept_and_not_used(tmp_path):
    harmful = HostPlan(tasks=tasks(80), arms=["bad"], looks=Looks(tasks=(80,)))
    with HostPilot(harmful, Journal(tmp_path)) as pilot:
        under_way = [pilot.ask() for _ in range(80 * 3)]
        for one in under_way:
            assert pilot.tell(one, one.arm != "bad") == "written"
        result = pilot.result()
    assert result.monitor.over
    assert result.unused
    assert len(result.unused) + len(result.episodes) == 80 * 3


# --- What survives ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_after_the_kth_line_for_every_k(tmp_path):
    def step(pilot, *, until=None):
        """A host that forgets nothing it was given: it tells what its earlier self had under way first."""
        for one in pilot.outstanding:
            pilot.tell(one.key, outcome_of(one.key))
        return drive(pilot)

    with HostPilot(host(), Journal(tmp_path / "whole")) as pilot:
        step(pilot)
        expected = verdicts_of(pilot.result())
    whole = (tmp_path / "whole" / "episodes.jsonl").read_bytes().splitlines(keepends=True)
    assert len(whole) > 24
    for k in range(len(whole)):
        directory = tmp_path / str(k)
        directory.mkdir()
        (directory / "plan.json").write_bytes((tmp_path / "whole" / "plan.json").read_bytes())
        (directory / "episodes.jsonl").write_bytes(b"".join(whole[:k]) + b'{"format":"forbear-ass')
        with HostPilot(host(), Journal(directory)) as pilot:
            step(pilot)
            assert verdicts_of(pilot.result()) == expected
        assert digest(directory) == digest(tmp_path / "whole")
        assert (directory / "episodes.jsonl").read_bytes().startswith(b"".join(whole[:k]))


def test_what_was_given_out_is_not_given_out_again_by_another_process(tmp_path):
    clock, keys = Clock(), []
    for _ in range(12):
        with HostPilot(host(), Journal(tmp_path), clock=clock) as pilot:
            keys.append(pilot.ask().key)
    assert len(set(keys)) == 12
    with HostPilot(host(), Journal(tmp_path), clock=clock) as pilot:
        assert (pilot.ask(), pilot.over) == (None, False)
        # Told by another process than the one that asked.
        assert [pilot.tell(key, True) for key in keys] == ["written"] * 12


def test_a_lease_that_ends_is_given_to_somebody_else_and_the_first_to_tell_counts(tmp_path):
    clock = Clock()
    with HostPilot(host(), Journal(tmp_path), lease_s=60, clock=clock) as pilot:
        first = pilot.ask()
        assert first.until == clock.now + 60
        clock.now += 59.9
        second = pilot.ask()
        assert second.key != first.key
        clock.now += 0.1
        again = pilot.ask()
        assert again.key == first.key
        assert again.until == clock.now + 60
        assert [one.key for one in pilot.outstanding] == [second.key, first.key]
        assert pilot.ask().key not in (first.key, second.key)
        assert pilot.tell(first, True) == "written"
        assert pilot.tell(again, True) == "told before"
        with pytest.raises(InvalidInput, match="something else was told before, success True"):
            pilot.tell(again, False)
    with HostPilot(host(), Journal(tmp_path), lease_s=60, clock=Clock(clock.now + 1e6)) as pilot:
        assert pilot.ask().key == second.key


def test_the_digest_of_what_was_found_knows_nothing_of_leases(tmp_path):
    for name, lease in (("one", 5.0), ("other", 500.0)):
        with HostPilot(host(), Journal(tmp_path / name), lease_s=lease) as pilot:
            drive(pilot, hold=1 if lease == 5 else 7)
    assert digest(tmp_path / "one") == digest(tmp_path / "other")


def test_threads_of_one_host_never_get_the_same(tmp_path):
    keys, lock = [], threading.Lock()

    def work(pilot):
        while (assignment := pilot.ask()) is not None:
            with lock:
                keys.append(assignment.key)
            pilot.tell(assignment, outcome_of(assignment.key))

    with HostPilot(host(40, looks=Looks(tasks=(40,), watch=False)), Journal(tmp_path)) as pilot:
        threads = [threading.Thread(target=work, args=(pilot,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert pilot.over
    assert len(keys) == len(set(keys)) == 120


WORKER = """
import sys
sys.path[:0] = {path!r}
from forbear.records.journal import Journal
from forbear.runner.ask_tell import HostPilot
from runner.test_ask_tell import host, outcome_of

while True:
    with HostPilot(host(), Journal(sys.argv[1]), wait_s=60) as pilot:
        if pilot.over:
            break
        assignment = pilot.ask()
    if assignment is not None:
        print(*assignment.key, flush=True)
        with HostPilot(host(), Journal(sys.argv[1]), wait_s=60) as pilot:
            pilot.tell(assignment, outcome_of(assignment.key))
"""


@pytest.mark.slow
def test_processes_that_share_a_journal_find_what_one_finds(tmp_path):
    with HostPilot(host(), Journal(tmp_path / "alone")) as pilot:
        drive(pilot)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER.format(path=sys.path), str(tmp_path / "shared")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [worker.communicate()[0].splitlines() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    asked = [line for output in outputs for line in output]
    assert len(asked) == len(set(asked))
    assert digest(tmp_path / "shared") == digest(tmp_path / "alone")


@pytest.mark.slow
def test_who_does_not_wait_is_told_that_the_journal_is_held(tmp_path):
    with HostPilot(host(), Journal(tmp_path)) as pilot:
        with pytest.raises(JournalLocked):
            HostPilot(host(), Journal(tmp_path))
        with pytest.raises(JournalLocked):
            HostPilot(host(), Journal(tmp_path), wait_s=0.05)
        threading.Timer(0.1, pilot.close).start()
        HostPilot(host(), Journal(tmp_path), wait_s=60).close()
        with pytest.raises(InvalidInput, match="was closed"):
            pilot.ask()
        with pytest.raises(InvalidInput, match="was closed"):
            pilot.tell(("t00", 42, "a"), True)


# --- What the outside world broke -------------------------------------------------------------------------


@pytest.mark.slow
def test_what_broke_is_asked_for_after_all_others_and_at_last_has_no_outcome(tmp_path):
    with HostPilot(host(), Journal(tmp_path), retries=1) as pilot:
        broken = pilot.ask()
        assert pilot.tell(broken, None, reason="provider\x1b is down") == "tried again"
        assert pilot.tell(broken, None) == "told before"  # nobody asked for it since: the same news
        others = [pilot.ask() for _ in range(12)]
        assert others[-1].key == broken.key
        assert broken.key not in [one.key for one in others[:-1]]
        for one in others[:-1]:
            pilot.tell(one, True)
        assert pilot.tell(others[-1], None, reason="again") == "missing"
        assert pilot.tell(broken, None) == "told before"
        with pytest.raises(InvalidInput, match="given up before"):
            pilot.tell(broken, True)
        drive(pilot)
        result = pilot.result()
        assert {key: one.reason for key, one in result.missing.items()} == {broken.key: "provider_error: again"}
        assert result.arm(broken.arm).missing == 1
        assert evidence_of(result).verdicts["a"].cautions
    (first, *_) = Journal(tmp_path).read().rows[broken.key[:2]]
    assert first.cause == "provider\ufffd is down"


def test_a_process_that_resumes_asks_for_what_broke_last(tmp_path):
    with HostPilot(host(), Journal(tmp_path)) as pilot:
        broken = pilot.ask()
        pilot.tell(broken, None)
    with HostPilot(host(), Journal(tmp_path)) as pilot:
        assert [pilot.ask().key for _ in range(12)][-1] == broken.key


def test_an_outcome_that_comes_after_all_is_taken(tmp_path):
    with HostPilot(host(), Journal(tmp_path)) as pilot:
        one = pilot.ask()
        pilot.tell(one, None)
        assert pilot.tell(one, True) == "written"
        assert one.key not in [pilot.ask().key for _ in range(11)]
        assert pilot.ask() is None


def test_final_gives_up_at_once(tmp_path):
    with HostPilot(host(), Journal(tmp_path)) as pilot:
        one, other = pilot.ask(), pilot.ask()
        assert pilot.tell(one, None, reason="the specimen broke", final=True) == "missing"
        assert pilot.tell(other, None) == "tried again"
        assert pilot.tell(other, None, final=True) == "missing"
        third = pilot.ask()
        with pytest.raises(InvalidInput, match="goes with None"):
            pilot.tell(third, True, final=True)
        pilot.tell(third, True)
        assert {one.key, other.key}.isdisjoint(drive(pilot))


@pytest.mark.slow
def test_an_outage_gives_nothing_up_across_processes(tmp_path):
    def tell_broken(**options):
        with HostPilot(host(), Journal(tmp_path), retries=0, outage_after=3) as pilot:
            return pilot.tell(pilot.ask(), None, reason="no network", **options)

    assert tell_broken() == "missing"  # by itself it is one episode's bad luck
    assert tell_broken() == "missing"
    for _ in range(30):
        with pytest.raises(ProviderError, match="in a row had no outcome, the last one for no network"):
            tell_broken()
    assert len(Journal(tmp_path).read().missing) == 2
    assert tell_broken(final=True) == "missing"
    with HostPilot(host(), Journal(tmp_path), retries=0, outage_after=3) as pilot:
        pilot.tell(pilot.ask(), True)
        assert pilot.tell(pilot.ask(), None) == "missing"
        drive(pilot)
        assert len(pilot.result().missing) == 4


# --- What is told wrongly ---------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [0.7, 1, 0, "success", 1.0, b"", [], float("nan")])
def test_a_graded_outcome_is_refused_and_nothing_is_written(tmp_path, outcome):
    with HostPilot(host(), Journal(tmp_path)) as pilot:
        one = pilot.ask()
        before = (tmp_path / "episodes.jsonl").read_bytes()
        with pytest.raises(InvalidInput, match=r"True, False, None .* or an Episode, got .* A graded outcome"):
            pilot.tell(one, outcome)
        assert (tmp_path / "episodes.jsonl").read_bytes() == before
        assert pilot.tell(one, True) == "written"


def test_booleans_of_numpy_are_booleans(tmp_path):
    import numpy as np

    with HostPilot(host(), Journal(tmp_path)) as pilot:
        one = pilot.ask()
        pilot.tell(one, np.bool_(False))
        assert pilot.tell(one, False) == "told before"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (("nope\x1b[31m", 42, "a"), r"no task 'nope\\x1b\[31m'"),
        (("t00", 7, "a"), "no seed 7; it has 42"),
        (("t00", 42, "b"), "no arm 'b'; it has baseline, a, rerun"),
        ((host().ordered[0].id, 42.0, "a"), r"\$.seed"),
    ],
)
def test_what_the_plan_does_not_have_cannot_be_told(tmp_path, key, message):
    with HostPilot(host(), Journal(tmp_path)) as pilot, pytest.raises(InvalidInput, match=message):
        pilot.tell(key, True)


def test_what_was_not_asked_for_is_taken_up_to_the_open_look_only(tmp_path):
    # The power may have gone after a worker was given it and before the disk had it.
    early, late = host().ordered[3].id, host().ordered[4].id
    with HostPilot(host(), Journal(tmp_path)) as pilot:
        with pytest.raises(InvalidInput, match="not asked for and is not wanted now"):
            pilot.tell((late, 42, "a"), True)
        assert pilot.tell((early, 42, "a"), True) == "written"
        assert pilot.tell((early, 42, "baseline"), None) == "tried again"
        asked = [pilot.ask().key for _ in range(11)]
        assert pilot.ask() is None
        assert len(set(asked)) == 11
        assert (early, 42, "a") not in asked


def episode(assignment, **options):
    options = {"task": assignment.task, "arm": assignment.arm, "seed": assignment.seed, **options}
    return Episode(**{"steps": (), "termination": Termination.FINISHED, "success": True, **options})


def test_an_episode_is_kept_with_all_that_happened(tmp_path):
    steps = (Step(index=0, observation="a\u2028box", executed=Action("open", payload={"tool": [1]})),)
    with HostPilot(host(), Journal(tmp_path)) as pilot:
        one, other, third = pilot.ask(), pilot.ask(), pilot.ask()
        full = episode(one, steps=steps, final_observation="open")
        assert pilot.tell(one, full) == "written"
        assert pilot.tell(one, full) == "told before"
        assert pilot.tell(one, True) == "told before"
        with pytest.raises(InvalidInput, match="something else was told before"):
            pilot.tell(one, episode(one, steps=(*steps, *steps)))
        down = episode(other, termination=Termination.ENVIRONMENT_ERROR, success=None, cause="down")
        assert pilot.tell(other, down) == "tried again"
        assert pilot.tell(third, episode(third, termination=Termination.STEP_LIMIT, success=False)) == "written"
    content = Journal(tmp_path).read()
    assert content.episodes[one.key] == full
    assert content.episodes[third.key].success is False


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"arm": "other"}, "the episode is that of task .* arm 'other'; told of was"),
        ({"seed": 7}, "the episode is that of"),
        ({"task": Task(id="else")}, "the episode is that of task 'else'"),
        ({"task": "changed"}, "the episode's task is not the plan's"),
        ({"origin": Origin(arm="baseline", step=None)}, "continues another one"),
        ({"success": 1}, "success"),
        ({"final_payload": {1, 2}.__iter__()}, "cannot be written"),
        ({"final_observation": "half \ud800"}, "cannot be written"),
        ({"final_observation": 7}, "final_observation"),
    ],
)
def test_an_episode_that_does_not_fit_is_refused_and_nothing_is_written(tmp_path, wrong, message):
    with HostPilot(host(), Journal(tmp_path)) as pilot:
        one = pilot.ask()
        before = (tmp_path / "episodes.jsonl").read_bytes()
        if wrong.get("task") == "changed":
            wrong = {"task": Task(id=one.task.id, payload="another")}
        with pytest.raises(InvalidInput, match=message):
            pilot.tell(one, episode(one, **wrong))
        assert (tmp_path / "episodes.jsonl").read_bytes() == before
    Journal(tmp_path).read()


HOSTILE = ["-x", "--arm", "\x00", "\x1b[2J", "a\nb", "\u202eabc", "\u2028", '"', "'; rm -rf /", "{}", "é", "😀", " "]


def test_hostile_ids_come_back_as_they_were(tmp_path):
    plan = HostPlan(tasks=[Task(id=id, payload={"text": id}) for id in HOSTILE], arms=["a"], rerun=False)
    with HostPilot(plan, Journal(tmp_path)) as pilot:
        asked = drive(pilot, hold=5, chance=random.Random(1))
    assert {task for task, _, _ in asked} == set(HOSTILE)
    assert {key[0] for key in Journal(tmp_path).read().episodes} == set(HOSTILE)


# --- The plan ---------------------------------------------------------------------------------------------


def test_a_rerun_runs_the_baseline_with_draws_of_its_own(tmp_path):
    given = host(arms=[HostArm("a", config={"threshold": 0.6})], baseline="alone")
    with HostPilot(given, Journal(tmp_path)) as pilot:
        row = {one.arm: one for one in (pilot.ask(), pilot.ask(), pilot.ask())}
    assert {arm: one.runs_as for arm, one in row.items()} == {"alone": "alone", "a": "a", "rerun": "alone"}
    assert {arm: dict(one.config) for arm, one in row.items()} == {"alone": {}, "a": {"threshold": 0.6}, "rerun": {}}
    assert row["alone"].draw_seed == row["alone"].seed == 42
    assert len({one.draw_seed for one in row.values()}) == 3
    assert all(0 <= one.draw_seed < 2**31 for one in row.values())


def test_the_record_is_that_of_any_independent_pilot():
    record = host(arms=["a", HostArm("p", is_control=True)], host={"agent": "x"}).record()
    assert record.design == "independent"
    assert record.candidates == ["a"]
    assert record.controls == ["p", "rerun"]
    assert record.baseline.agent == {"agent": "x"}
    assert (record.baseline.max_steps, record.baseline.call_deadline_s) == (None, None)
    assert type(record).of(record.to_dict(), where="here") == record


@pytest.mark.parametrize(
    "changed",
    [
        {"host": {"model": "2"}},
        {"arms": [HostArm("a", config={"t": 2})]},
        {"arms": [HostArm("a", is_control=True)]},
        {"seeds": (1,)},
        {"rerun": False},
        {"order_seed": 1},
        {"looks": (8,)},
        {"rule": DecisionRule(alpha=0.1)},
        {"tasks": [*tasks(7), Task(id="t07", payload=1)]},
        {"baseline": "alone"},
    ],
)
def test_going_on_under_another_plan_is_refused(tmp_path, changed):
    given = host(host={"model": "1"}, arms=[HostArm("a", config={"t": 1})])
    HostPilot(given, Journal(tmp_path)).close()
    HostPilot(given, Journal(tmp_path)).close()
    with pytest.raises(PlanChanged):
        HostPilot(replace(given, **changed), Journal(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arms": []}, "at least one arm"),
        ({"arms": "critic"}, "must list at least one arm"),
        ({"arms": ["a", "a"]}, "arm name 'a' occurs twice"),
        ({"arms": ["rerun"]}, "rerun=False"),
        ({"arms": ["a"], "baseline": "a"}, "occurs twice"),
        ({"arms": ["a\x1b"]}, "printable"),
        ({"baseline": ""}, "printable"),
        ({"host": {"at": object()}}, "host: expected only JSON"),
        ({"host": "me"}, "host must be a mapping"),
        ({"looks": (3, 7)}, "last look is at 7"),
        ({"seeds": ()}, "at least one task and one seed"),
        ({"tasks": [Task(id="a"), Task(id="a")], "looks": None}, "task id 'a' occurs twice"),
        ({"rule": 0.05}, "must be a DecisionRule"),
    ],
)
def test_plans_that_cannot_be_run_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        HostPlan(**{"tasks": tasks(8), "arms": ["a"], "looks": SMALL, **options})


def test_an_arm_says_in_json_what_it_is():
    with pytest.raises(InvalidInput, match="the config of arm 'a': expected only JSON"):
        HostArm("a", config={"p": float("nan")})


@pytest.mark.parametrize("options", [{"retries": -1}, {"outage_after": 0}, {"lease_s": 0}, {"lease_s": float("nan")}])
def test_numbers_out_of_range_are_refused(tmp_path, options):
    with pytest.raises(InvalidInput, match=next(iter(options))):
        HostPilot(host(), Journal(tmp_path), **options)


def test_a_host_re_uses_its_logged_runs(tmp_path):
    logged = LoggedRuns(runs={task.id: [True, False, True] for task in tasks(8)}, source="May")
    drive(HostPilot(host(rerun=False, logged=logged), Journal(tmp_path / "j")))
    result = analyse_journal(Journal(tmp_path / "j"))
    found = evidence_of(result)
    own = [one.success for key, one in result.episodes.items() if key[2] == "baseline"]
    assert found.logged.drift.value == pytest.approx(sum(own) / len(own) - 2 / 3)
    assert found.verdicts["a"].recovered is None
    with pytest.raises(PlanChanged, match=r"baseline\.logged is gone"):
        HostPilot(host(rerun=False), Journal(tmp_path / "j"))
