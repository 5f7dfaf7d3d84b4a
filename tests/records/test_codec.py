import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from forbear.errors import InvalidInput
from forbear.records.codec import ArmEnd, Missing, canonical_json, decode_record, encode_record, episode_key
from forbear.records.model import (
    Action,
    Episode,
    EpisodeUsage,
    Origin,
    Proposal,
    RoleUsage,
    Step,
    Task,
    Termination,
    Usage,
)

FROZEN = Path(__file__).parents[1] / "data" / "episodes"

# Agents write anything, control characters and line separators included; lone surrogates are stopped at the border.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.integers(0, 10**6)
amounts = st.floats(0, 1e6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
usages = st.builds(
    Usage,
    calls=counts,
    input_tokens=st.none() | counts,
    output_tokens=st.none() | counts,
    cached_tokens=st.none() | counts,
    seconds=st.none() | amounts,
    cost=st.none() | amounts,
)
roles = st.builds(RoleUsage, paid=usages, reused=usages)
actions = st.builds(
    Action,
    texts,
    payload=json_values,
    rationale=st.none() | texts,
    logprobs=st.none() | st.lists(st.floats(-50, 0), max_size=3),
    usage=st.none() | usages,
)
proposals = st.builds(
    Proposal,
    attempt=counts,
    action=actions,
    shown=counts,
    excluded=st.lists(actions, max_size=2).map(tuple),
    p_fail=st.dictionaries(texts, st.none() | st.floats(0, 1), max_size=2),
    faults=st.dictionaries(texts, texts, max_size=2),
    why=st.dictionaries(texts, texts, max_size=2),
    critic_usage=st.dictionaries(texts, usages, max_size=2),
    feedback=st.none() | usages,
    decision=texts,
)
steps = st.builds(
    Step,
    index=counts,
    observation=texts,
    payload=json_values,
    messages=st.lists(texts, max_size=2).map(tuple),
    proposals=st.lists(proposals, max_size=2).map(tuple),
    executed=st.none() | actions,
    irreversible=st.booleans(),
)
tasks = st.builds(
    Task, id=texts.filter(bool), payload=json_values, stratum=st.none() | texts, cluster=st.none() | texts
)


@st.composite
def episodes(draw):
    termination = draw(st.sampled_from(Termination))
    return Episode(
        task=draw(tasks),
        arm=draw(texts),
        seed=draw(st.integers()),
        steps=tuple(draw(st.lists(steps, max_size=4))),
        termination=termination,
        success=draw(st.booleans()) if termination.has_outcome else None,
        final_observation=draw(st.none() | texts),
        final_payload=draw(json_values),
        usage=draw(st.builds(EpisodeUsage, agent=roles, critic=roles, feedback=roles, seconds=amounts)),
        cause=draw(st.none() | texts),
    )


def extras(episode):
    """What `==` on actions leaves out."""
    return [(p.action.extras(), [a.extras() for a in p.excluded]) for s in episode.steps for p in s.proposals]


@given(episodes())
def test_an_episode_round_trips_in_one_line(episode):
    line = encode_record(episode)
    assert len(line.split(b"\n")) == 1
    back = decode_record(line, where="here")
    assert back == episode
    assert extras(back) == extras(episode)
    assert encode_record(back) == line


@given(episodes(), st.none() | st.integers(0, 4))
def test_a_shared_episode_round_trips_through_its_parent(parent, shared):
    shared = shared if shared is None else min(shared, len(parent.steps))
    child = replace(parent, arm=parent.arm + "'", origin=Origin(arm=parent.arm, step=shared))
    line = encode_record(child)
    assert len(json.loads(line).get("steps", ())) == (0 if shared is None else len(parent.steps) - shared)
    assert decode_record(line, where="here", parents={episode_key(parent): parent}) == child


@given(texts, st.integers(), texts, texts, counts)
def test_what_is_no_episode_round_trips_too(task, seed, arm, reason, count):
    missing = Missing(task_id=task, seed=seed, arm=arm, reason=reason)
    assert decode_record(encode_record(missing), where="here") == missing
    end = ArmEnd(arm=arm, tasks=count, reason=reason)
    assert decode_record(encode_record(end), where="here") == end


def test_lines_do_not_depend_on_the_order_of_keys():
    def line(p_fail):
        proposal = Proposal(attempt=0, action=Action("a", payload=p_fail), p_fail=p_fail)
        step = Step(index=0, observation="o", proposals=(proposal,))
        return encode_record(
            Episode(task=Task(id="t"), arm="a", seed=1, steps=(step,), termination=Termination.STOPPED, success=False)
        )

    assert line({"x": 0.5, "y": None}) == line({"y": None, "x": 0.5})


def loaded_from(path):
    loaded = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        record = decode_record(line, where=f"{path.name}, line {number}", parents=loaded)
        loaded[episode_key(record) if isinstance(record, Episode) else type(record)] = record
    return list(loaded.values())


def test_lines_of_the_first_version_are_refused_with_what_to_do():
    (path,) = (FROZEN / "v1").glob("*.jsonl")
    for line in [
        *path.read_text(encoding="utf-8").splitlines(),
        '{"format":"forbear-exclusion-1","task":"t1","seed":42,"arm":"baseline","reason":"503"}',
        '{"format":"forbear-stop-1","arm":"rollback","tasks":2,"reason":"watch"}',
    ]:
        with pytest.raises(InvalidInput) as raised:
            decode_record(line, where="episodes.jsonl, line 1")
        said = str(raised.value)
        assert said.startswith("episodes.jsonl, line 1: written by an earlier version of forbear (forbear-")
        assert "Decide with the version that wrote it, or start the pilot afresh" in said


def test_the_second_version_loads_for_ever():
    (path,) = (FROZEN / "v2").glob("*.jsonl")
    baseline, rollback, shared, replaced, lost, missing, end = loaded_from(path)
    word, judge = "word:0f", "judge:1a"

    assert baseline.task == Task(id="t1", payload={"doors": 2, "colour": "grün"}, stratum="corridor", cluster="house-1")
    assert (baseline.success, baseline.final_observation) == (False, "You are outside.")
    assert baseline.final_payload == {"reward": 0}
    assert [s.payload for s in baseline.steps] == [{"door": 1}, None]
    assert [s.irreversible for s in baseline.steps] == [False, True]
    first, second = (s.proposals[0] for s in baseline.steps)
    assert second.p_fail == {word: 0.9, judge: None}
    assert second.why == {judge: "RuntimeError: out of memory"}
    assert second.faults == {judge: "error"}
    assert first.why == {judge: "The door is right there."}
    assert first.critic_usage == {judge: Usage(input_tokens=120, output_tokens=9, cached_tokens=100, cost=0.002)}
    assert first.action.extras() == {
        "payload": {"tool": "open", "arguments": {"door": 1}},
        "rationale": "It is the way out.",
        "logprobs": (-0.25, -1.5),
        "usage": Usage(input_tokens=80, output_tokens=7, seconds=0.5, cost=0.001),
    }
    assert baseline.steps[0].executed == first.action
    assert baseline.usage == EpisodeUsage(
        agent=RoleUsage(paid=Usage(calls=2, input_tokens=80, output_tokens=7, seconds=0.75, cost=0.001)),
        critic=RoleUsage(
            paid=Usage(calls=4, input_tokens=120, output_tokens=9, cached_tokens=100, seconds=1.0, cost=0.002)
        ),
        seconds=2.5,
    )

    assert rollback.origin == Origin(arm="baseline", step=1)
    assert rollback.steps[0] == baseline.steps[0]
    assert rollback.steps[1].messages == ("Do not jump.",)
    assert [p.decision for p in rollback.steps[1].proposals] == ["rollback", "proceed"]
    assert rollback.steps[1].proposals[0].feedback == Usage(input_tokens=30, output_tokens=4)
    assert rollback.steps[1].proposals[1] == Proposal(
        attempt=1, action=Action("open"), shown=1, excluded=(Action("jump"),), p_fail={word: 0.1}
    )
    assert rollback.usage.agent == RoleUsage(
        paid=Usage(calls=1, seconds=0.125), reused=Usage(calls=2, input_tokens=80, output_tokens=7, cost=0.001)
    )
    assert rollback.usage.feedback.paid == Usage(calls=1, input_tokens=30, output_tokens=4, seconds=0.25)
    assert rollback.success

    assert (shared.steps, shared.origin) == (baseline.steps, Origin(arm="baseline", step=None))
    assert (replaced.steps[1].proposals[0].action, replaced.steps[1].executed) == (Action("jump"), Action("open"))
    assert replaced.steps[1].proposals[0].decision == "correct"
    assert (lost.termination, lost.success, lost.cause) == (Termination.PROVIDER_ERROR, None, "503")
    assert missing == Missing(task_id="t2", seed=42, arm="baseline", reason="provider_error: 503")
    assert end == ArmEnd(arm="rollback", tasks=2, reason="watch")


GOOD = json.loads(
    encode_record(
        Episode(
            task=Task(id="t"),
            arm="baseline",
            seed=1,
            steps=(Step(index=0, observation="o", proposals=(Proposal(attempt=0, action=Action("a")),)),),
            termination=Termination.STEP_LIMIT,
            success=False,
        )
    )
)


def broken(**changes):
    return json.dumps({**GOOD, **changes})


def in_step(**changes):
    return broken(steps=[{**GOOD["steps"][0], **changes}])


def in_proposal(**changes):
    return in_step(proposals=[{"attempt": 0, "action": "a", **changes}])


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("", "not a line of JSON"),
        ("{", "not a line of JSON"),
        ("[" * 100_000, "not a line of JSON"),
        ("[1]", "not a line of JSON, or no object"),
        ('{"format": NaN}', "not a line of JSON"),
        ("{}", "does not know the format None"),
        ('{"format": 1e999}', "not a line of JSON"),
        ('{"format": ' + "9" * 5000 + "}", "not a line of JSON"),
        (b'{"format": "\xff"}', "not a line of JSON"),
        (broken(format="forbear-episode-3"), "forbear-episode-3"),
        (broken(format=["forbear-episode-2"]), "does not know the format"),
        (broken(seed=True), "`$.seed`"),
        (broken(seed=1.5), "`$.seed`"),
        (broken(arm=None), "`$.arm`"),
        (broken(task="t"), "has its task as an object"),
        (broken(task={"id": 3}), "`$.task.id`"),
        (broken(task={"id": ""}), "a task's id"),
        (broken(termination="exploded"), "`$.termination`"),
        (broken(success=None), "cannot have success=None"),
        (broken(termination="provider_error"), "cannot have success=False"),
        (broken(success=1), "`$.success`"),
        (broken(steps={}), "`$.steps`"),
        (broken(steps=[3]), "`$.steps[0]`"),
        (in_step(index=-1), "`$.steps[0].index`"),
        (in_step(observation=None), "`$.steps[0].observation`"),
        (in_step(messages=[1]), "`$.steps[0].messages[0]`"),
        (in_step(executed=[]), "`$.steps[0].executed`"),
        (in_step(executed={"text": 3}), "`$.steps[0].executed`"),
        (in_step(executed={"text": "a", "usage": {"cost": -1}}), "`$.steps[0].executed`"),
        (in_step(proposals=[{"attempt": 0}]), "missing required field `action`"),
        (in_proposal(decision=None), "`$.steps[0].proposals[0].decision`"),
        (in_proposal(p_fail={"c": 1.5}), "`$.steps[0].proposals[0].p_fail[...]`"),
        (in_proposal(p_fail={"c": True}), "`$.steps[0].proposals[0].p_fail[...]`"),
        (in_proposal(p_fail={"c": 10**400}), "`$.steps[0].proposals[0].p_fail[...]`"),
        (in_proposal(faults={"c": 1}), "`$.steps[0].proposals[0].faults[...]`"),
        (in_proposal(why={"c": 1}), "`$.steps[0].proposals[0].why[...]`"),
        (in_proposal(critic_usage={"c": {"calls": -1}}), "`$.steps[0].proposals[0].critic_usage[...].calls`"),
        (broken(usage={"seconds": 10**400}), "`$.usage.seconds`"),
        (broken(usage={"seconds": -1}), "`$.usage.seconds`"),
        (broken(usage=None), "`$.usage`"),
        (broken(usage={"agent": {"paid": {"calls": 0.5}}}), "`$.usage.agent.paid.calls`"),
        (broken(**{"from": {"arm": "x", "step": None}}, task="t"), "which no earlier line holds"),
        (broken(**{"from": {"arm": "x", "step": -1}}, task="t"), "`$.from.step`"),
    ],
)
def test_a_malformed_line_is_named(line, named):
    with pytest.raises(InvalidInput, match=r"^episodes\.jsonl, line 7") as raised:
        decode_record(line, where="episodes.jsonl, line 7")
    assert named in str(raised.value)
    assert len(str(raised.value)) < 400
    assert "\n" not in str(raised.value)


def test_a_line_that_continues_more_than_there_is_is_named():
    parent = decode_record(json.dumps(GOOD), where="line 1")
    child = broken(arm="other", task="t", **{"from": {"arm": "baseline", "step": 2}})
    with pytest.raises(InvalidInput, match="it continues step 2 of arm"):
        decode_record(child, where="line 2", parents={episode_key(parent): parent})


def test_keys_of_later_versions_are_passed_over():
    assert decode_record(broken(more={"later": 1}), where="line 1") == decode_record(json.dumps(GOOD), where="line 1")


@given(json_values)
def test_any_json_in_place_of_any_key_loads_or_is_refused(value):
    for key in GOOD:
        with contextlib.suppress(InvalidInput):
            decode_record(json.dumps({**GOOD, key: value}), where="line 1")


def test_canonical_json_does_not_depend_on_order_and_refuses_what_json_cannot_say():
    assert canonical_json({"b": 1, "a": [1.5, None]}) == canonical_json({"a": [1.5, None], "b": 1})
    for bad in (float("nan"), object(), {"x": {1, 2}}):
        with pytest.raises(InvalidInput, match="JSON"):
            canonical_json(bad)


def as_before(line, parents):
    """An episode of the first version in the types of the second: what it says is the same."""
    old = json.loads(line)
    usage, seconds = old["usage"], old["usage"]["seconds"]

    def role(name):
        new, calls = usage[f"new_{name}_calls"], usage[f"{name}_calls"]
        return {"paid": {"calls": new, "seconds": seconds if new else None}, "reused": {"calls": calls - new}}

    roles = {"agent": role("agent"), "critic": role("critic"), "seconds": seconds}
    return decode_record(json.dumps(old | {"format": "forbear-episode-2", "usage": roles}), where="v1", parents=parents)


def test_agents_that_report_nothing_have_journals_no_longer_than_before():
    """A line that holds a single step of its own may be longer, by what it says of seconds and of each role."""
    (path,) = (FROZEN / "v1").glob("*.jsonl")
    parents, before, after = {}, [], []
    for line in path.read_text(encoding="utf-8").replace(',"tokens":7', "").splitlines():
        episode = as_before(line, parents)
        parents[episode_key(episode)] = episode
        before.append(len(line))
        after.append(len(encode_record(episode)))
    assert sum(after) <= sum(before)
    assert all(new <= old + 64 for new, old in zip(after, before, strict=True))


def test_what_equals_a_default_is_left_out():
    """Wherever the equal value came from: the same record always gives the same bytes."""
    nothing = RoleUsage(paid=Usage(), reused=Usage(calls=0))
    made = replace(decode_record(json.dumps(GOOD), where="here"), usage=EpisodeUsage(agent=nothing, critic=RoleUsage()))
    assert json.loads(encode_record(made))["usage"] == {}
