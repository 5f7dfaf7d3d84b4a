import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.errors import InvalidInput
from forbear.records.codec import canonical_json, decode_record, encode_record, episode_key
from forbear.records.model import Action, Episode, Origin, Proposal, Step, Task, Termination, Usage

FROZEN = Path(__file__).parents[1] / "data" / "episodes"

# Agents write anything: control characters, lone surrogates, line separators.
texts = st.text(st.characters(), max_size=20)
counts = st.integers(0, 10**6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
actions = st.builds(Action, texts, payload=json_values, tokens=st.none() | counts)
proposals = st.builds(
    Proposal,
    attempt=counts,
    action=actions,
    shown=counts,
    excluded=st.lists(actions, max_size=2).map(tuple),
    p_fail=st.dictionaries(texts, st.none() | st.floats(0, 1), max_size=2),
    faults=st.dictionaries(texts, texts, max_size=2),
    decision=texts,
)
steps = st.builds(
    Step,
    index=counts,
    observation=texts,
    messages=st.lists(texts, max_size=2).map(tuple),
    proposals=st.lists(proposals, max_size=2).map(tuple),
    executed=st.none() | actions,
    irreversible=st.booleans(),
)
tasks = st.builds(
    Task, id=texts.filter(bool), payload=json_values, stratum=st.none() | texts, cluster=st.none() | texts
)
usages = st.builds(
    Usage,
    agent_calls=counts,
    new_agent_calls=counts,
    critic_calls=counts,
    new_critic_calls=counts,
    tokens=st.none() | counts,
    seconds=st.floats(0, 1e6),
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
        usage=draw(usages),
        cause=draw(st.none() | texts),
    )


def tokens(episode):
    """What `==` on actions leaves out."""
    return [(p.action.tokens, [a.tokens for a in p.excluded]) for s in episode.steps for p in s.proposals]


@given(episodes())
def test_an_episode_round_trips_in_one_line(episode):
    line = encode_record(episode)
    assert line.isascii()
    assert len(line.splitlines()) == 1
    back = decode_record(line, where="here")
    assert back == episode
    assert tokens(back) == tokens(episode)
    assert encode_record(back) == line


@given(episodes(), st.none() | st.integers(0, 4))
def test_a_shared_episode_round_trips_through_its_parent(parent, shared):
    shared = shared if shared is None else min(shared, len(parent.steps))
    child = replace(parent, arm=parent.arm + "'", origin=Origin(arm=parent.arm, step=shared))
    line = encode_record(child)
    assert len(json.loads(line)["steps"]) == (0 if shared is None else len(parent.steps) - shared)
    assert decode_record(line, where="here", parents={episode_key(parent): parent}) == child


def test_every_version_ever_released_still_loads():
    (path,) = (FROZEN / "v1").glob("*.jsonl")
    loaded = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        episode = decode_record(line, where=f"{path.name}, line {number}", parents=loaded)
        loaded[episode_key(episode)] = episode
    baseline, rollback, shared, lost = loaded.values()
    assert baseline.task == Task(id="t1", payload={"doors": 2}, stratum="corridor", cluster="house-1")
    assert baseline.success is False
    assert [s.executed.text for s in baseline.steps] == ["open", "jump"]
    assert baseline.steps[1].proposals[0].p_fail == {"word:0f": 0.9}
    assert rollback.steps[0] == baseline.steps[0]
    assert [p.decision for p in rollback.steps[1].proposals] == ["rollback", "proceed"]
    assert rollback.steps[1].messages == ("Do not jump.",)
    assert rollback.steps[1].proposals[1] == Proposal(
        attempt=1,
        action=Action("open", payload={"tool": "open"}, tokens=7),
        shown=1,
        excluded=(Action("jump"),),
        p_fail={"word:0f": None},
        faults={"word:0f": "timeout"},
    )
    assert rollback.usage == Usage(
        agent_calls=3, new_agent_calls=1, critic_calls=3, new_critic_calls=1, tokens=7, seconds=0.25
    )
    assert rollback.success
    assert shared.steps == baseline.steps
    assert shared.origin == Origin(arm="baseline", step=None)
    assert lost.termination is Termination.PROVIDER_ERROR
    assert lost.success is None
    assert lost.cause == "503"


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


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("", "not a line of JSON"),
        ("{", "not a line of JSON"),
        ("[" * 100_000, "not a line of JSON"),
        ("[1]", "expected a JSON object"),
        ('{"format": NaN}', "NaN"),
        ("{}", "expected format"),
        ('{"format": 1e999}', "too large a number"),
        ('{"format": ' + "9" * 5000 + "}", "not a line of JSON"),
        (broken(format="forbear-episode-2"), "forbear-episode-2"),
        (broken(seed=True), "'seed' must be a whole number"),
        (broken(seed=1.0), "'seed' must be a whole number"),
        (broken(arm=None), "'arm' must be a text"),
        (broken(task="t"), "task: expected an object"),
        (broken(task={"id": 3}), "'id' must be a text"),
        (broken(termination="exploded"), "'termination' must be one of"),
        (broken(success=None), "'success' must be true or false"),
        (broken(termination="provider_error"), "'success' must be null"),
        (broken(success=1), "'success' must be true or false"),
        (broken(steps={}), "'steps' must be a list"),
        (broken(steps=[3]), "steps 0: expected an object"),
        (in_step(index=-1), "'index' must be a number of at least 0"),
        (in_step(observation=None), "'observation' must be a text"),
        (in_step(messages=[1]), "expected a text"),
        (in_step(executed=[]), "executed: expected an object"),
        (in_step(proposals=[{"attempt": 0, "action": "a"}]), "'decision' must be a text, it is missing"),
        (in_step(proposals=[{"attempt": 0, "decision": "proceed", "action": "a", "p_fail": {"c": 1.5}}]), "'p_fail'"),
        (in_step(proposals=[{"attempt": 0, "decision": "proceed", "action": "a", "p_fail": {"c": True}}]), "'p_fail'"),
        (in_step(proposals=[{"attempt": 0, "decision": "proceed", "action": "a", "faults": {"c": 1}}]), "'faults'"),
        (
            in_step(proposals=[{"attempt": 0, "decision": "proceed", "action": "a", "p_fail": {"c": 10**400}}]),
            "'p_fail'",
        ),
        (broken(usage={**GOOD["usage"], "seconds": 10**400}), "'seconds'"),
        (broken(usage=None), "'usage' must be an object"),
        (broken(usage={**GOOD["usage"], "seconds": -1}), "'seconds'"),
        (broken(**{"from": {"arm": "x", "step": None}}, task="t"), "which no earlier line holds"),
    ],
)
def test_a_malformed_line_is_named(line, named):
    with pytest.raises(InvalidInput, match=r"^episodes\.jsonl, line 7") as raised:
        decode_record(line, where="episodes.jsonl, line 7")
    assert named in str(raised.value)
    assert len(str(raised.value)) < 400


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
