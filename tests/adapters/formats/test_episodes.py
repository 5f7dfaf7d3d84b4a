import json

import pytest

from forbear.adapters.formats.episodes import read_runs
from forbear.errors import InvalidInput
from forbear.records.codec import encode_record
from forbear.records.journal import Journal
from forbear.records.model import Action, Episode, Origin, Step, Task, Termination
from records.samples import PLAN

LOGGED = {
    "task_id": "t1",
    "seed": 3,
    "success": 0,
    "task": "Add 1 and 1.",
    "model": "m",
    "steps": [{"action": "look", "observation": "paper"}, {"action": "say 3", "observation": "WRONG. The end."}],
}


def written(tmp_path, *rows, name="runs.jsonl"):
    path = tmp_path / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def episode(task="t1", arm="baseline", *, success=False, **more):
    steps = (
        Step(index=0, observation="door", executed=Action("open")),
        Step(index=1, observation="hall", executed=Action("jump")),
        Step(index=1, observation="hall", executed=Action("walk")),  # after a rollback
        Step(index=2, observation="yard"),  # where the agent broke
    )
    values = {"steps": steps, "termination": Termination.FINISHED, "final_observation": "You lost.", **more}
    return Episode(task=Task(id=task), arm=arm, seed=1, success=success, **values)


def met(run):
    return [(*(step.observation for step in seen.steps), proposed.text) for seen, proposed in run.judged()]


def test_a_critic_meets_the_history_and_the_proposal_and_never_what_follows(tmp_path):
    (run,) = read_runs([written(tmp_path, LOGGED)]).runs
    assert met(run) == [("Add 1 and 1.", "look"), ("Add 1 and 1.", "paper", "say 3")]
    assert (run.task, run.run, run.model, run.failed) == ("t1", "3", "m", True)
    assert [seen.steps[-1].executed for seen, _ in run.judged()] == [None, None]


def test_fields_that_tell_the_outcome_are_never_read(tmp_path):
    hidden = {"terminate_reason": "HIDDEN", "halted": 1, "exit_status": "HIDDEN", "answer": "HIDDEN", "reward": 0}
    steps = [{**step, "feedback": "HIDDEN", "ground_truth": "HIDDEN", "done": True} for step in LOGGED["steps"]]
    (run,) = read_runs([written(tmp_path, {**LOGGED, **hidden, "steps": steps})]).runs
    (plain,) = read_runs([written(tmp_path, LOGGED)]).runs
    assert run == plain
    assert "HIDDEN" not in repr(run)
    assert "The end" not in repr(run)


def test_an_opening_without_an_action_is_seen_before_the_first_one(tmp_path):
    steps = [{"action": "", "observation": "Hello"}, {"action": "hi", "observation": ""}, {"action": None}]
    (run,) = read_runs([written(tmp_path, {"task_id": 7, "success": True, "steps": steps})]).runs
    assert met(run) == [("Hello", "hi"), ("Hello", "", "")]
    assert run.task == "7"


def test_of_an_episode_what_stands_at_its_end_is_judged(tmp_path):
    path = tmp_path / "episodes.jsonl"
    broken = episode("t2", success=None, termination=Termination.PROVIDER_ERROR)
    path.write_bytes(b"".join(encode_record(one) + b"\n" for one in (episode(), broken, episode("t3", "other"))))
    read = read_runs([path])
    (run,) = read.runs
    assert met(run) == [("door", "open"), ("door", "hall", "walk")]
    assert read.left_out == {"without an outcome": 1}
    assert [run.task for run in read_runs([path], arms=["other", "baseline"]).runs] == ["t1", "t3"]
    with pytest.raises(InvalidInput, match="the arms there are 'baseline', 'other'"):
        read_runs([path], arms=["third"])


def test_a_journal_gives_its_baseline_or_the_arms_that_are_named(tmp_path):
    with Journal(tmp_path / "j").writing(PLAN) as writer:
        copy = episode(arm="rollback", origin=Origin(arm="baseline", step=None))
        writer.append(episode(), copy, episode("t2", "rollback"))
    assert [run.task for run in read_runs([tmp_path / "j"]).runs] == ["t1"]
    assert [run.task for run in read_runs([tmp_path / "j"], arms=["rollback"]).runs] == ["t1", "t2"]
    both = read_runs([tmp_path / "j"], arms=["rollback", "baseline"])
    assert [(run.task, run.arm) for run in both.runs] == [("t1", "baseline"), ("t2", "rollback")]
    assert both.left_out["the same as a run of another arm"] == 1


def test_one_episode_may_fill_a_file_of_its_own(tmp_path):
    path = tmp_path / "one.json"
    path.write_text(json.dumps(json.loads(encode_record(episode())), indent=2))
    assert len(read_runs([path]).runs) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"task_id": "t"', r"runs.jsonl, line 2: .*truncated"),
        ('{"task_id": "t", "success": 1}', r"line 2: .*missing required field `steps`"),
        ('{"task_id": "t", "success": 2, "steps": []}', "line 2: success is 2"),
        ('{"task_id": " ", "success": 1, "steps": [{"action": "a"}]}', "line 2: the task id is empty"),
        ('{"task_id": "t", "success": 1, "steps": [{"action": 5}]}', r"line 2: .*\$.steps\[0\].action"),
        ("[" * 5000, "line 2"),
    ],
)
def test_what_does_not_fit_is_said_with_its_line(tmp_path, line, message):
    path = written(tmp_path, LOGGED)
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InvalidInput, match=message):
        read_runs([path])


def test_files_that_hold_no_runs_are_refused(tmp_path):
    empty, latin, other = tmp_path / "e.jsonl", tmp_path / "l.jsonl", tmp_path / "o.jsonl"
    empty.write_text("\n")
    latin.write_bytes(json.dumps(LOGGED).encode() + b'\n{"task_id": "\xff"}\n')
    other.write_text('{"format": "forbear-episode-1"}\n')
    for path, message in [
        (empty, "is empty"),
        (latin, "line 2"),
        (other, "earlier version"),
        (tmp_path, "no readable"),
    ]:
        with pytest.raises(InvalidInput, match=message):
            read_runs([path])
    with pytest.raises(InvalidInput, match="no run with an outcome"):
        read_runs([written(tmp_path, {**LOGGED, "success": None}, {**LOGGED, "steps": []})])


def test_a_file_that_is_named_twice_is_refused(tmp_path):
    path = written(tmp_path, LOGGED)
    copy = written(tmp_path, LOGGED, name="copy.jsonl")
    for twice in ([path, path], [path, copy]):
        with pytest.raises(InvalidInput, match=r"line 1: the run of task 't1' stands at .*runs.jsonl, line 1 too"):
            read_runs(twice)


@pytest.mark.parametrize(
    ("name", "runs", "steps"),
    [
        ("mint_claude-instant-1_none", 586, 1923),
        ("mint_gpt-35-turbo-0613_none", 586, 2420),
        ("taubench_airline_gpt-4o", 200, 2454),
        ("hotpotqa_react_base", 161, 598),
    ],
)
def test_real_logs_are_read_whole(shared_data, name, runs, steps):
    read = read_runs([shared_data / "trajectories" / f"{name}.jsonl"])
    assert (len(read.runs), sum(len(run.trajectory.steps) for run in read.runs), read.left_out) == (runs, steps, {})
