"""What passes the border is encoded and read back equal; what does not is refused in a sentence."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.contracts import border
from forbear.contracts.border import (
    check_task,
    checked_action,
    checked_config,
    checked_effect,
    checked_observation,
    checked_score,
)
from forbear.contracts.critic import Score
from forbear.contracts.environment import Observation
from forbear.contracts.intervention import Continue, Halt, Replace, Retry
from forbear.errors import InvalidInput
from forbear.records.codec import decode_record, encode_record
from forbear.records.model import (
    Action,
    Episode,
    EpisodeUsage,
    Proposal,
    RoleUsage,
    Step,
    Task,
    Termination,
    Usage,
    total_usage,
)

SURROGATES, MENDED = "a\ud800b\udfff", "a\ufffdb\ufffd"


class Text(str):
    __slots__ = ()


def round_trip(*, action=None, seen=None, score=None, task=None):
    """Writes what passed as a journal does, and reads it back."""
    action, seen, score = action or Action("a"), seen or Observation(text=""), score or Score(None)
    proposal = Proposal(
        attempt=0,
        action=action,
        p_fail={"c": score.p_fail},
        why={} if score.why is None else {"c": score.why},
        critic_usage={"c": score.usage},
    )
    step = Step(
        index=0,
        observation=seen.text,
        payload=seen.payload,
        proposals=(proposal,),
        executed=action,
        irreversible=seen.irreversible,
    )
    episode = Episode(
        task=task or Task(id="t"), arm="a", seed=1, steps=(step,), termination=Termination.STOPPED, success=False
    )
    back = decode_record(encode_record(episode), where="here")
    assert back.steps[0] == step
    assert back.steps[0].proposals[0].action.extras() == action.extras()
    return back


# What passes ----------------------------------------------------------------------------------------------------------

anything = st.text(st.characters(), max_size=8)  # lone surrogates too
numbers = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-100, 100).map(np.int64)
    | st.floats(0, 1, width=32).map(np.float32)
    | st.floats(0, 1).map(np.float64)
)
payloads = st.recursive(
    st.none() | st.booleans() | st.booleans().map(np.bool_) | numbers | anything | anything.map(Text),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(anything, inner, max_size=3),
    max_leaves=5,
)
counts = st.none() | st.integers(0, 10**15) | st.integers(0, 100).map(np.int64)
amounts = st.none() | st.integers(0, 1000) | st.floats(0, 1e15) | st.floats(0, 100, width=32).map(np.float32)
usages = st.builds(
    Usage,
    calls=st.integers(0, 9),
    input_tokens=counts,
    output_tokens=counts,
    cached_tokens=counts,
    seconds=amounts,
    cost=amounts,
)


@given(
    anything,
    payloads,
    st.none() | anything,
    st.none() | st.lists(st.integers(-5, 0) | st.floats(-50, 0) | st.floats(-50, 0).map(np.float64), max_size=3),
    st.none() | usages,
)
def test_an_action_that_passes_is_written_and_read_back_equal(text, payload, rationale, logprobs, usage):
    action = checked_action(Action(text, payload=payload, rationale=rationale, logprobs=logprobs, usage=usage))
    round_trip(action=action)
    again = checked_action(action)
    assert (again, again.extras()) == (action, action.extras())


flags = st.sampled_from([False, True, np.False_, np.True_])


@given(anything, payloads, flags, flags)
def test_an_observation_that_passes_is_written_and_read_back_equal(text, payload, done, success):
    seen = checked_observation(Observation(text=text, payload=payload, done=done, success=success, irreversible=done))
    assert (type(seen.done), seen.done) == (bool, bool(done))
    assert not done or seen.success is bool(success)
    round_trip(seen=seen)
    assert checked_observation(seen) is seen or payload is not None


@given(st.none() | st.floats(0, 1) | st.sampled_from([0, 1, np.float32(0.25), Fraction(1, 3)]), st.none() | anything)
def test_a_score_that_passes_is_written_and_read_back_equal(p_fail, why):
    score = checked_score(Score(p_fail, why, Usage(input_tokens=np.int32(3), cost=np.float32(0.5))))
    round_trip(score=score)
    assert score.p_fail is None or type(score.p_fail) is float
    assert checked_score(p_fail) == Score(score.p_fail)
    assert score.usage == Usage(input_tokens=3, cost=0.5)
    assert type(score.usage.input_tokens) is int


def test_what_is_fine_already_is_not_made_anew():
    action, seen = Action("open"), Observation(text="door", legal_actions=("open",), irreversible=True)
    assert checked_action(action) is action
    assert checked_observation(seen) is seen
    for effect in (Continue(), Halt(), Retry(undo=2, message="no", exclude=True), Continue(message="so")):
        assert checked_effect(effect) is effect


def test_lone_surrogates_become_replacement_characters_wherever_they_stand():
    action = checked_action(Action(SURROGATES, payload={SURROGATES: [SURROGATES]}, rationale=SURROGATES))
    assert action == Action(MENDED, payload={MENDED: [MENDED]})
    assert action.rationale == MENDED
    seen = checked_observation(Observation(text=SURROGATES, payload=SURROGATES, legal_actions=("a", SURROGATES)))
    assert (seen.text, seen.payload) == (MENDED, MENDED)
    assert seen.legal_actions == ("a", MENDED)
    assert checked_score(Score(0.5, SURROGATES)).why == MENDED
    for effect in (Continue(message=SURROGATES), Retry(message=SURROGATES), Replace(Action("a"), message=SURROGATES)):
        assert checked_effect(effect).message == MENDED
    assert checked_effect(Replace(Action(SURROGATES))).action == Action(MENDED)
    # Pairs of surrogates are what UTF-16 has for one character, and no characters of a text: each is replaced.
    assert checked_action(Action("\ud83d\ude00")).text == "\ufffd\ufffd"
    assert checked_action(Action("😀 ünïcode")).text == "😀 ünïcode"


def test_numpys_scalars_are_welcome():
    assert checked_score(np.float32(0.25)) == Score(0.25)
    effect = checked_effect(Retry(undo=np.int64(2), exclude=np.True_, costs_step=np.False_))
    assert effect == Retry(undo=2, exclude=True)
    assert [type(value) for value in (effect.undo, effect.exclude, effect.costs_step)] == [int, bool, bool]
    assert checked_action(Action(np.str_("a"), payload=np.float64(0.5), logprobs=np.array([-1, 0]))) == Action(
        "a", payload=0.5
    )
    assert type(checked_action(Action(np.str_("ä"))).text) is str


def test_usages_at_their_bounds_add_up_to_what_can_be_read():
    most = checked_action(Action("a", usage=Usage(cost=1e15, seconds=1e15, input_tokens=10**15))).usage
    usage = total_usage([EpisodeUsage(agent=RoleUsage(paid=most, reused=most))] * 10_000)
    assert decode_record(encode_record(made(usage)), where="here").usage == usage
    assert usage.agent.paid.input_tokens == 10**19


def made(usage):
    return Episode(
        task=Task(id="t"), arm="a", seed=1, steps=(), termination=Termination.STOPPED, success=False, usage=usage
    )


def test_a_message_may_have_cost_something():
    for effect in (Continue(), Retry(), Replace(Action("a"))):
        spent = type(effect)(**{"action": effect.action} if isinstance(effect, Replace) else {}, usage=Usage(cost=1))
        assert checked_effect(spent).usage == Usage(cost=1.0)


# What does not --------------------------------------------------------------------------------------------------------


class Hostile:
    def __repr__(self):
        raise RuntimeError("no")


def deep(levels):
    nested = []
    for _ in range(levels):
        nested = [nested]
    return nested


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("open", r"must return an Action, got str: Action\(text\)"),
        (None, "must return an Action, got NoneType"),
        (Action(3), "an action's text must be a text, got 3"),
        (Action(None), "an action's text must be a text, got None"),
        (Action(b"open"), "an action's text must be a text, got b'open'"),
        (Action(Hostile()), "an action's text must be a text, got a Hostile"),
        (Action("a", payload=math.nan), "an action's payload must be JSON .*nan is not JSON"),
        (Action("a", payload=[-math.inf]), "-inf is not JSON"),
        (Action("a", payload={"a": {1, 2}}), "is not JSON"),
        (Action("a", payload={1: 2}), "keys must be texts"),
        (Action("a", payload=b"x"), "is not JSON"),
        (Action("a", payload=Hostile()), "a Hostile is not JSON"),
        (Action("a", payload=10**400), "is not JSON"),
        (Action("a", payload=-(10**5000)), "is not JSON"),
        (Action("a", payload=Fraction(10**400)), "an action's payload must be JSON"),
        (Action("a", payload=np.array([1.0])), "is not JSON"),
        (Action("a", payload=np.float64("nan")), "is not JSON"),
        (Action("a", payload=deep(101)), "nested deeper than 100"),
        (Action("a", payload=deep(100_000)), "nested deeper than 100"),
        (Action("a", rationale=3), "an action's rationale must be a text, got 3"),
        (Action("a", logprobs=[0.5]), "logprobs are finite numbers of at most 0"),
        (Action("a", logprobs=[math.nan]), "logprobs"),
        (Action("a", logprobs=[-math.inf]), "logprobs"),
        (Action("a", logprobs=[-(10**400)]), "logprobs"),
        (Action("a", logprobs=["-1"]), "logprobs"),
        (Action("a", logprobs=[False]), "logprobs"),
        (Action("a", usage=3), "an action's usage must be a Usage, got int"),
        (Action("a", usage=Usage(calls=-1)), r"an action's usage: .*`\$\.calls`"),
        (Action("a", usage=Usage(input_tokens=0.5)), r"`\$\.input_tokens`"),
        (Action("a", usage=Usage(output_tokens=True)), r"`\$\.output_tokens`"),
        (Action("a", usage=Usage(cost=math.nan)), r"`\$\.cost`"),
        (Action("a", usage=Usage(cost=math.inf)), r"`\$\.cost`"),
        (Action("a", usage=Usage(cost=10**400)), "an action's usage"),
        (Action("a", usage=Usage(cost=1.1e15)), r"an action's usage: a number above 1e\+15"),
        (Action("a", usage=Usage(calls=10**5000)), "an action's usage"),
        (Action("a", usage=Usage(cost=Fraction(10**400))), "an action's usage"),
        (Action("a", usage=Usage(seconds="1")), r"`\$\.seconds`"),
        (Action("a", usage=Usage(seconds=Hostile())), "an action's usage"),
    ],
)
def test_a_wrong_action_is_refused(answer, said):
    refused(checked_action, answer, said)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("door", r"must return an Observation, got str: Observation\(text=\.\.\.\)"),
        (("door", True), "must return an Observation, got tuple"),
        (Observation(text=None), "an observation's text must be a text, got None"),
        (Observation(text="", payload=math.nan), "an observation's payload must be JSON"),
        (Observation(text="", payload=Hostile()), "an observation's payload must be JSON"),
        (Observation(text="", done=1), "an observation's done must be True or False, got 1"),
        (Observation(text="", done=None), "an observation's done must be True or False, got None"),
        (Observation(text="", done=True), "said done with success=None, expected True or False"),
        (Observation(text="", done=True, success=1.0), r"an observation's success must be True or False, got 1\.0"),
        (Observation(text="", done=True, success=np.int64(1)), "an observation's success"),
        (Observation(text="", irreversible="yes"), "an observation's irreversible"),
        (Observation(text="", legal_actions=["open"]), "legal_actions are a tuple of texts or None, got"),
        (Observation(text="", legal_actions=(1,)), "legal_actions are a tuple of texts"),
        (Observation(text="", legal_actions="open"), "legal_actions are a tuple of texts"),
    ],
)
def test_a_wrong_observation_is_refused(answer, said):
    refused(checked_observation, answer, said)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (math.nan, r"a score is a number in \[0, 1\] or None, got nan"),
        (math.inf, "got inf"),
        (-0.1, r"got -0\.1"),
        (1.5, r"got 1\.5"),
        (2, "got 2"),
        (10**400, "got 1000"),
        pytest.param(10**5000, "got a int", id="a number that cannot be printed"),
        (True, "got True"),
        (np.True_, "got "),
        ("0.9", "got '0.9'"),
        ((0.9, "why"), "got "),
        (1j, "got 1j"),
        (Hostile(), "got a Hostile"),
        (np.array(0.5), "got array"),
        (Score("0.9"), "got '0.9'"),
        (Score(0.5, 3), "a score's reason must be a text, got 3"),
        (Score(0.5, None, None), "a score's usage must be a Usage, got NoneType"),
        (Score(0.5, None, Usage(input_tokens=-1)), r"a score's usage: .*`\$\.input_tokens`"),
    ],
)
def test_a_wrong_score_is_refused(answer, said):
    refused(checked_score, answer, said)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "must return Continue, Retry, Replace or Halt, got NoneType"),
        ("halt", "got str"),
        (Retry, "got type"),
        (Continue(message=3), "a message must be a text, got 3"),
        (Continue(usage=3), "an effect's usage must be a Usage, got int"),
        (Retry(undo=-1), "Retry's undo is a whole number of at least 0, got -1"),
        (Retry(undo=1.0), r"got 1\.0"),
        (Retry(undo=True), "got True"),
        (Retry(undo=None), "got None"),
        (Retry(exclude="yes"), "Retry's exclude must be True or False, got 'yes'"),
        (Retry(costs_step=2), "Retry's costs_step must be True or False, got 2"),
        (Replace("open"), "must return an Action, got str"),
        (Replace(Action("a", payload=math.nan)), "an action's payload must be JSON"),
        (Replace(Action("a"), message=b""), "a message must be a text"),
    ],
)
def test_a_wrong_effect_is_refused(answer, said):
    refused(checked_effect, answer, said)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, r"the agent's config\(\) must return a mapping, got NoneType"),
        (["name"], "must return a mapping, got list"),
        ({"a": math.nan}, r"the agent's config\(\) must be JSON"),
        ({"a": {1}}, r"the agent's config\(\) must be JSON"),
    ],
)
def test_a_wrong_config_is_refused(answer, said):
    refused(lambda given: checked_config(given, what="agent"), answer, said)
    assert checked_config({"name": "mine", "n": [1, None]}, what="agent") == {"name": "mine", "n": [1, None]}


@pytest.mark.parametrize(
    "task",
    [
        Task(id=SURROGATES),
        Task(id="t", payload=SURROGATES),
        Task(id="t", payload={"a": [SURROGATES]}),
        Task(id="t", payload=math.nan),
        Task(id="t", payload={1: 2}),
        Task(id="t", payload={"a": {1, 2}}),
        Task(id="t", payload=10**5000),
        Task(id="t", payload=deep(100_000)),
        Task(id="t", stratum=3),
        Task(id="t", cluster=SURROGATES),
    ],
)
def test_a_task_that_no_journal_could_hold_is_refused(task):
    refused(check_task, task, r"cannot be written to a journal: .*Its payload is JSON with texts for keys")


@given(st.text(min_size=1), st.none() | st.text(), payloads)
def test_a_task_that_passes_is_written_and_read_back_equal(name, stratum, payload):
    try:
        check_task(task := Task(id=name, payload=payload, stratum=stratum))
    except InvalidInput:
        return
    back = round_trip(task=task).task
    assert (back.id, back.stratum) == (name, stratum)


def refused(check, answer, said):
    with pytest.raises(InvalidInput, match=said) as raised:
        check(answer)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400
    assert str(raised.value).isprintable()


# Bounds ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "make"),
    [
        (checked_action, Action),
        (checked_observation, lambda text: Observation(text=text)),
        (checked_effect, lambda text: Continue(message=text)),
        (checked_effect, lambda text: Replace(Action(text))),
    ],
)
@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_text_that_decides_behaviour_is_refused_beyond_its_limit(check, make, letter):
    assert check(make(letter * border.MAX_TEXT)) == make(letter * border.MAX_TEXT)
    with pytest.raises(InvalidInput, match=r"must be at most 1,048,576 characters long, got 1,048,577"):
        check(make(letter * (border.MAX_TEXT + 1)))


def test_a_reason_is_cut_and_says_so():
    long = "y" * (border.MAX_TEXT + 7)
    for why in (checked_score(Score(0.5, long)).why, checked_action(Action("a", rationale=long)).rationale):
        assert why == "y" * border.MAX_TEXT + " (cut here, of 1,048,583 characters)"


class Endless(list):
    def __iter__(self):
        return itertools.repeat(0)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(Endless(), marks=pytest.mark.slow),
        ["x" * border.MAX_PAYLOAD],
        {"x" * 1000: "y" * border.MAX_PAYLOAD},
    ],
)
def test_a_payload_is_refused_beyond_its_limit(payload):
    with pytest.raises(InvalidInput, match="its values and texts are larger than 8,388,608 characters"):
        checked_action(Action("a", payload=payload))


def test_a_subclass_answers_as_what_it_is_a_kind_of():
    class Louder(Action):
        pass

    assert type(checked_action(Louder("go"))) is Action
