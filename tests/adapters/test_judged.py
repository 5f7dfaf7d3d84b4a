from dataclasses import replace

import pytest

from forbear.adapters.critic_folder import task_key
from forbear.adapters.judged import judge, named_critic
from forbear.critics.heuristic import FunctionCritic
from forbear.errors import InvalidInput
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
    with pytest.raises(InvalidInput, match="read from journals"):
        judge(named, [str(write_runs(tmp_path / "runs.jsonl"))])


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
