"""What monitors of Inspect said becomes recorded scores, which critics are judged by; Inspect itself wrote the log."""

import json

import msgspec
import pytest

from forbear.adapters.formats.logs.choice import Choice
from forbear.adapters.formats.logs.monitors import said_of
from forbear.adapters.formats.logs.reading import read_logs
from forbear.cli.main import run
from forbear.errors import InvalidInput
from log_files import DATA

MESSAGES = [
    {"role": "user", "id": "u"},
    {"role": "assistant", "id": "a", "tool_calls": [{"id": "c1"}, {"id": "c2"}]},
    {"role": "tool", "id": "t"},
    {"role": "assistant", "id": "b"},
]


def report(step, suspicion, **changed):
    told = {"event": "sentinel", "kind": "observation", "status": "reported", "stage": "tool_call", "path": "m"}
    return {**told, "step_id": step, "suspicion": suspicion, **changed}


def said(*events, messages=MESSAGES):
    raw = [msgspec.Raw(json.dumps(one).encode()) for one in (messages, list(events))]
    return said_of(*raw, where="here")


def test_a_log_of_a_watched_run_has_each_monitors_scores_by_step():
    episodes = list(read_logs([DATA / "sentinel.eval"], choice=Choice(episodes=True)).episodes())
    scores = [[step["p_fail"] for step in one["steps"]] for one in episodes]
    submitted = {"guess.wrong": 0.7, "guess.idle": 0.5}  # its call is not in the conversation any more
    assert scores == [[{"guess": first}, submitted] for first in (0.9, 0.2, 0.9, 0.2)]


def test_and_the_monitor_is_judged_as_a_critic(tmp_path, capsys):
    path = tmp_path / "episodes.jsonl"
    assert run(["convert", str(DATA / "sentinel.eval"), "--episodes", "-o", str(path)]) == 0
    capsys.readouterr()
    assert run(["critic", "evaluate", "recorded:guess", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["first_step_auroc"]["value"] == 1.0


def test_of_several_calls_of_an_answer_the_highest_counts():
    assert said(report("c1", 0.3), report("c2", 0.8), report("b", 0.1, stage="model_output")) == (
        {"m": 0.8},
        {"m": 0.1},
    )


@pytest.mark.parametrize(
    "event",
    [
        report("c1", 0.3, stage="tool_result"),
        report("c1", 0.3, kind="decision"),
        report("c1", 0.3, status="error"),
        report("c1", None),
        report("c1", 1.5),
        report("c1", "high"),
        report("c1", True),
        report("elsewhere", 0.3),
        {"event": "sandbox", "output": "text", "status": 3},
        {"event": ["sentinel"]},
    ],
)
def test_what_is_no_score_of_a_proposal_is_none(event):
    assert said(event) == ()
    assert said(event, report("b", 0.5)) == ({}, {"m": 0.5})


def test_a_call_that_left_the_conversation_is_known_by_the_answer_that_made_it():
    output = {"choices": [{"message": {"id": "b", "tool_calls": [{"id": "gone"}]}}]}
    assert said({"event": "model", "output": output}, report("gone", 0.4)) == ({}, {"m": 0.4})


def test_a_name_that_two_answers_have_given_tells_no_step():
    messages = [{"role": "assistant", "id": f"m{n}", "tool_calls": [{"id": "call_0"}]} for n in range(2)]
    events = [report("call_0", 0.9), report("call_0", 0.1), report("m1", 0.4, stage="model_output")]
    assert said(*events, messages=messages) == ({}, {"m": 0.4})


def test_what_an_event_leaves_null_is_nothing():
    assert said(report("b", 0.4, path=None, factory=None, stage="tool_call")) == ({}, {"": 0.4})
    assert said({"event": "sentinel", "kind": None, "stage": None, "step_id": None}, report("b", 0.4)) == (
        {},
        {"m": 0.4},
    )


def test_a_monitor_without_a_path_has_its_factorys_name_and_no_name_is_long():
    assert said(report("b", 0.4, path="", factory="f" * 900)) == ({}, {"f" * 200: 0.4})


def test_events_that_are_none_are_refused_by_their_place():
    with pytest.raises(InvalidInput, match="here"):
        said(3)
    with pytest.raises(InvalidInput, match="here"):
        said(report(3, 0.5))
