import json
from dataclasses import replace

import pytest

from forbear.adapters.critic_folder import task_key
from forbear.adapters.judged import judge, named_critic
from forbear.critics.heuristic import FunctionCritic
from forbear.errors import InvalidInput
from forbear.records.codec import encode_record
from forbear.records.journal import Journal
from forbear.records.model import Action, Episode, Proposal, Step, Task, Termination
from judged_runs import write_runs
from records.samples import PLAN


def own_critic():
    return FunctionCritic(lambda trajectory, proposed: 0.25, name="own")


def episode(task, *, success, scores, decision="proceed"):
    steps = tuple(
        Step(
            index=index,
            observation="seen",
            executed=Action("go"),
            proposals=(Proposal(attempt=0, action=Action("go"), p_fail=said, decision=decision),),
        )
        for index, said in enumerate(scores)
    )
    return Episode(
        task=Task(id=task, stratum="ü"),
        arm="baseline",
        seed=1,
        steps=steps,
        success=success,
        termination=Termination.FINISHED,
    )


def journal_of(folder, *episodes):
    with Journal(folder).writing(PLAN) as journal:
        for one in episodes:
            journal.append(one)
    return str(folder)


TWO = [
    episode("t1", success=False, scores=[{"one:1f": 0.2, "two": 0.9}, {"one:1f": None, "two": 0.8}]),
    episode("t2", success=True, scores=[{"one:1f": 0.4, "two": 0.1}]),
]


def test_recorded_scores_are_those_of_the_journal(tmp_path):
    path = journal_of(tmp_path / "j", *TWO, episode("t3", success=True, scores=[{"two": 0.5}], decision="append"))
    found = judge(named_critic("recorded:one", options={}), [path])
    assert found.scored.scores == ((0.2, None), (0.4,))
    assert found.name == "recorded:one:1f"
    assert found.left_out == {"changed by an intervention": 1}
    assert judge(named_critic("recorded:two", options={}), [path]).scored.scores == ((0.9, 0.8), (0.1,))
    with pytest.raises(InvalidInput, match=r"'one:1f', 'two'; say whose scores: recorded:NAME"):
        judge(named_critic("recorded", options={}), [path])
    with pytest.raises(InvalidInput, match="'three' is none of them"):
        judge(named_critic("recorded:three", options={}), [path])


def test_recorded_alone_is_the_only_critic_that_scored(tmp_path):
    path = journal_of(tmp_path / "j", episode("t1", success=False, scores=[{"one:1f": 0.2}]))
    named = named_critic("recorded", options={})
    assert judge(named, [path]).scored.scores == ((0.2,),)
    assert not named.seen_is_known
    none = journal_of(tmp_path / "k", episode("t1", success=False, scores=[{}]))
    with pytest.raises(InvalidInput, match="no critic scored"):
        judge(named, [none])
    with pytest.raises(InvalidInput, match="no critic scored"):
        judge(named, [str(write_runs(tmp_path / "runs.jsonl"))])


def test_recorded_scores_of_plain_episode_files_are_those_of_their_journal(tmp_path):
    more = episode("t3", success=True, scores=[{"two": 0.5}], decision="append")
    journal, plain = journal_of(tmp_path / "j", *TWO, more), tmp_path / "episodes.jsonl"
    plain.write_bytes(b"\n".join(encode_record(one) for one in (*TWO, more)))
    for name in ("one", "two"):
        named = named_critic(f"recorded:{name}", options={})
        of_journal, of_file = judge(named, [journal]), judge(named, [str(plain)])
        assert (of_file.scored.scores, of_file.name) == (of_journal.scored.scores, of_journal.name)
        assert of_file.left_out == of_journal.left_out == {"changed by an intervention": 1}
    both = journal_of(tmp_path / "k", episode("t4", success=True, scores=[{"two": 0.3}]))
    assert judge(named, [both, str(plain)]).scored.scores == ((0.3,), (0.9, 0.8), (0.1,))


def log(folder, *said, opening=False):
    """One run a list of scores; `opening`: the first step is the user's."""
    lines = []
    for number, scores in enumerate(said):
        steps = [{"action": "go", "observation": "o", **({} if one == "none" else {"p_fail": one})} for one in scores]
        first = [{"observation": "hello", "p_fail": 99}] if opening else []
        lines.append(json.dumps({"task_id": f"t{number}", "success": number % 2, "steps": [*first, *steps]}))
    path = folder / "log.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def test_recorded_scores_of_logs_stand_in_their_steps(tmp_path):
    named = named_critic("recorded", options={})
    found = judge(named, [log(tmp_path, [0.25, None, "none"], [1], opening=True)])
    assert (found.name, found.scored.scores) == ("recorded:p_fail", ((0.25, None, None), (1.0,)))
    by_name = [log(tmp_path, [{"a": 0.5, "b": 0.1}], [{"b": None}, {"b": 0.2}], ["none"])]
    assert judge(named_critic("recorded:b", options={}), by_name).scored.scores == ((0.1,), (None, 0.2), (None,))


def test_recorded_grades_have_an_order_only(tmp_path):
    named, path = named_critic("recorded", options={}), log(tmp_path, [16, 3.5], [0])
    found = judge(named, [path], ordinal=True).scored
    assert (found.scores, found.ordinal) == (((16.0, 3.5), (0.0,)), True)
    with pytest.raises(InvalidInput, match=r"log\.jsonl, line 1: the score at step 0 is 16, no probability.*--ordinal"):
        judge(named, [path])
    journal = judge(named_critic("recorded:two", options={}), [journal_of(tmp_path / "j", *TWO)], ordinal=True).scored
    assert (journal.scores, journal.ordinal) == (((0.9, 0.8), (0.1,)), True)


@pytest.mark.parametrize("said", ["0.5", True, [0.5], {"p_fail": "x"}, 10**400, -(10**400)])
def test_recorded_scores_that_are_none_are_refused_with_their_place(tmp_path, said):
    path = log(tmp_path, [0.1], [0.2, said])
    with pytest.raises(InvalidInput, match=r"log\.jsonl, line 2: the score at step 1 must be a number or null"):
        judge(named_critic("recorded", options={}), [path], ordinal=True)
    # Who asks another critic need not mend what nobody reads.
    assert judge(named_critic("after-step", options={"step": 1}), [path]).scored.scores == ((0.0,), (0.0, 1.0))


def test_built_in_names_and_code_of_ones_own_are_asked(tmp_path):
    path = str(write_runs(tmp_path / "runs.jsonl", tasks=3))
    clock = judge(named_critic("after-step", options={"step": 1}), [path]).scored
    assert [said[:2] for said in clock.scores] == [(0.0, 1.0)] * 3
    named = named_critic("adapters.test_judged:own_critic", options={})
    assert not named.seen_is_known
    assert set(judge(named, [path]).scored.scores[0]) == {0.25}


def test_tasks_that_the_critic_has_learned_from_are_refused(tmp_path):
    (tmp_path / "critic").mkdir()
    (tmp_path / "critic" / "critic.json").write_text(
        '{"format": "forbear-calibrated-critic-1", "critic": {"use": "step-count"}, "failure_rate": 0.25, '
        '"calibration": {"method": "platt", "parameters": [1, 0]}, "splits": {"train": ["t1", "t2"], "test": ["t3"]}}'
    )
    named = named_critic(str(tmp_path / "critic"), options={})
    hidden = replace(named, seen=frozenset([task_key("t4"), task_key("t9")]))
    assert named.failure_rate == 0.25
    path = str(write_runs(tmp_path / "runs.jsonl", tasks=5))
    with pytest.raises(InvalidInput, match=r"learned from 2 tasks of these runs \('t1', 't2'\).*--allow-overlap"):
        judge(named, [path])
    assert judge(hidden, [path], allow_overlap=True).overlap == {"t4"}
    assert judge(named, [path], allow_overlap=True).overlap == {"t1", "t2"}
    assert judge(named, [str(write_runs(tmp_path / "other.jsonl", first=3, tasks=5))]).overlap == frozenset()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("chat", "needs a language model.*recorded:chat"),
        ("nobody", "no folder of a critic, no built-in one"),
        ("no_such_module:make", "cannot be imported"),
        ("http", "needs the option"),
    ],
)
def test_what_is_no_critic_is_said(name, sentence):
    with pytest.raises(InvalidInput, match=sentence):
        named_critic(name, options={})
