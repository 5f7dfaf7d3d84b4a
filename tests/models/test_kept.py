import asyncio
import threading

import pytest
from msgspec.structs import replace

from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput
from forbear.models.chat import ChatOptions, Completion, ToolCall
from forbear.models.client import OpenAIChat
from forbear.models.kept import MAX_ANSWER
from forbear.models.prices import Prices
from forbear.models.session import Meter, ModelSettings, in_thread
from forbear.records.model import Usage
from forbear.testing import ScriptedModel

DRAW = Draw(task_id="t", seed=1, role="agent")
ASK = [{"role": "user", "content": "hello"}]
OPTIONS = ChatOptions(temperature=0.5)


def counting():
    model = ScriptedModel([])
    model._script = lambda asked: f"answer {len(model.asked)}"
    return model


def model(**options):
    return OpenAIChat("small", base_url="http://127.0.0.1:1/v1", **options)


def key(model=None, *, messages=ASK, options=OPTIONS, draw=DRAW):
    return (model or ScriptedModel([""])).key(messages, options=options, draw=draw)


def test_the_key_is_that_of_request_and_draw():
    same = [
        key(),
        key(ScriptedModel(["other answers"])),
        key(messages=tuple(ASK)),
        key(messages=[{"content": "hello", "role": "user"}]),
        key(options=ChatOptions(temperature=0.5)),
    ]
    assert len(set(same)) == 1
    others = [
        key(ScriptedModel([""], name="other")),
        key(messages=[{"role": "system", "content": "hello"}]),
        key(messages=[*ASK, *ASK]),
        key(messages=[{"role": "user", "content": "hello "}]),
        *[key(options=replace(OPTIONS, **one)) for one in OTHER_OPTIONS],
        *[key(draw=replace(DRAW, **one)) for one in OTHER_DRAWS],
        key(draw=DRAW.sample(0)),
        key(draw=DRAW.sample(1)),
    ]
    assert len({same[0], *others}) == len(others) + 1


OTHER_OPTIONS = [
    {"temperature": None},
    {"temperature": 0.0},
    {"max_tokens": 5},
    {"stop": ("\n",)},
    {"logprobs": True},
    {"logprobs": True, "top_logprobs": 5},
    {"tools": ({"type": "function"},)},
    {"json_schema": {}},
    {"grammar": "root ::= x"},
]
OTHER_DRAWS = [{"task_id": "u"}, {"seed": 2}, {"role": "critic"}, {"step_index": 1}, {"attempt": 1}]


def test_the_key_holds_how_a_model_is_asked_and_not_how_one_waits_for_it():
    base = key(model())
    assert key(model(timeout_s=1.0, patience_s=9.0, requests_per_minute=5)) == base
    assert key(model(api_key="sk-secret-secret")) == base
    different = [
        model(temperature=0.1),
        model(max_tokens=7),
        model(sends_seed=False),
        model(extra_body={"top_k": 1}),
        OpenAIChat("large", base_url="http://127.0.0.1:1/v1"),
        OpenAIChat("small", base_url="http://127.0.0.1:2/v1"),
    ]
    assert len({base, *map(key, different)}) == len(different) + 1


@pytest.mark.parametrize("messages", [[], ["hello"], [5], [{"role": "user", "content": "\ud800"}]])
def test_a_conversation_is_a_list_of_messages(messages):
    with pytest.raises(AgentError, match="a conversation"):
        key(messages=messages)


def asked_in_session(path, asking, **options):
    async def run():
        async with ModelSettings(responses=path, owner=options.pop("owner", "a"), **options).opened():
            return await asking()

    return asyncio.run(run())


def test_an_answer_is_kept_by_draw_and_found_again(tmp_path):
    file, first = tmp_path / "responses.jsonl", counting()
    draws = [replace(DRAW, seed=seed, attempt=attempt) for seed in (1, 2) for attempt in (0, 1)]

    async def each(model):
        return [(await model.complete(ASK, draw=draw)).text for draw in [*draws, *draws]]

    said = asked_in_session(file, lambda: each(first))
    assert said == [f"answer {n}" for n in (1, 2, 3, 4)] * 2
    again = counting()
    assert asked_in_session(file, lambda: each(again)) == said
    assert again.asked == []


def test_without_a_session_nothing_is_kept():
    model = counting()

    async def twice():
        return [(await model.complete(ASK, draw=DRAW)).text for _ in range(2)]

    assert asyncio.run(twice()) == ["answer 1", "answer 2"]


def test_what_was_paid_is_counted_once_and_by_whom(tmp_path):
    file, prices = tmp_path / "responses.jsonl", Prices.of_table({"scripted": {"input": 1e5, "output": 1e5}})

    async def twice():
        model = counting()
        with Meter() as first:
            await model.complete(ASK, draw=DRAW)
            await model.complete(ASK, draw=DRAW)
        charged = first.claim()
        with Meter() as second:
            await model.complete(ASK, draw=DRAW)
        return first, charged, second, second.claim()

    first, charged, second, found = asked_in_session(file, twice, prices=prices)
    assert (first.paid.calls, first.reused.calls, charged.calls) == (1, 1, 1)
    assert charged.cost == pytest.approx(1.2)
    assert (second.is_free, second.paid.calls, found.calls) == (True, 0, 1)
    first, charged, *_ = asked_in_session(file, twice, owner="b")
    assert (first.is_free, charged.calls) == (True, 2)
    first, charged, *_ = asked_in_session(file, twice, owner="a")  # killed before its record was written
    assert (first.is_free, charged.calls) == (False, 1)


def test_options_that_are_not_said_are_the_models_own():
    model = ScriptedModel([""])
    model.defaults = ChatOptions(temperature=0.3, max_tokens=7)
    asyncio.run(model.complete(ASK, options=ChatOptions(temperature=0.0), draw=DRAW))
    assert model.asked[0].options == ChatOptions(temperature=0.0, max_tokens=7)


def test_an_answer_has_a_most():
    for said in (
        Completion(text="x" * (MAX_ANSWER + 1)),
        Completion(tool_calls=(ToolCall(id="", name="x", arguments="x" * MAX_ANSWER),)),
    ):
        with pytest.raises(AgentError, match="set max_tokens"):
            asyncio.run(ScriptedModel([said]).complete(ASK, draw=DRAW))


def test_it_can_be_asked_without_waiting():
    model = counting()
    assert model.complete_sync(ASK, draw=DRAW).text == "answer 1"

    async def within():
        with pytest.raises(InvalidInput, match="would block the event loop"):
            model.complete_sync(ASK, draw=DRAW)
        beside = await in_thread(lambda: (model.complete_sync(ASK, draw=DRAW).text, threading.current_thread().name))
        assert beside == ("answer 2", "forbear-call")
        return await asyncio.to_thread(lambda: model.complete_sync(ASK, draw=DRAW).text)

    assert asyncio.run(within()) == "answer 3"


def test_a_thread_beside_the_loop_is_metered_and_finds_what_is_kept(tmp_path):
    model = counting()

    async def beside():
        with Meter() as meter:
            said = [await in_thread(lambda: model.complete_sync(ASK, draw=DRAW).text) for _ in range(2)]
        return said, meter.paid.calls, meter.reused.calls

    assert asked_in_session(tmp_path / "responses.jsonl", beside) == (["answer 1", "answer 1"], 1, 1)


def test_what_a_model_raises_is_nowhere_kept(tmp_path):
    model = ScriptedModel([AgentError("too long"), "fine"])

    async def twice():
        with Meter() as meter:
            with pytest.raises(AgentError):
                await model.complete(ASK, draw=DRAW)
            said = (await model.complete(ASK, draw=DRAW)).text
        return said, meter.paid.calls

    assert asked_in_session(tmp_path / "responses.jsonl", twice) == ("fine", 1)


class Together(ScriptedModel):
    """Answers when so many have asked, all at once; notes in which round of the loop each asked."""

    is_remote = True

    def __init__(self, count):
        super().__init__([])
        self.rounds, self.round, self._barrier = [], 0, asyncio.Barrier(count)

    async def ask(self, messages, *, options, draw):
        self.rounds.append(self.round)
        await self._barrier.wait()
        return Completion(text="yes", usage=Usage(calls=1))


def test_those_who_were_answered_together_do_not_ask_together_again(tmp_path):
    model = Together(8)

    async def conversation(number):
        for index in range(2):
            await model.complete(ASK, draw=replace(DRAW, seed=number, step_index=index))

    async def run():
        async def count():
            while True:
                model.round += 1
                await asyncio.sleep(0)

        clock = asyncio.create_task(count())
        await asyncio.gather(*[conversation(number) for number in range(8)])
        clock.cancel()

    asked_in_session(tmp_path / "responses.jsonl", run)
    first, second = model.rounds[:8], model.rounds[8:]
    assert len(set(first)) == 1
    assert len(set(second)) == 8
