import asyncio
import json
import pickle
import time

import pytest

from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput, ModelUnusable, ProviderError
from forbear.models.chat import ChatOptions
from forbear.models.client import OpenAIChat
from forbear.models.session import Meter, ModelSettings
from forbear.testing.chat_server import ChatServer, Reply, answer, called, refused

DRAW = Draw(task_id="t", seed=1, role="agent")
ASK = [{"role": "user", "content": "hello"}]


def model(server, **options):
    return OpenAIChat("test", base_url=server.url, **{"timeout_s": 5.0, "patience_s": 5.0, **options})


def run(chat, asking):
    async def to_the_end():
        try:
            return await asking
        finally:
            await chat.aclose()

    return asyncio.run(to_the_end())


def ask(chat, *, options=ChatOptions(), draw=DRAW, messages=ASK):
    return run(chat, chat.complete(messages, options=options, draw=draw))


def replies(*script):
    left = list(script)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def test_what_is_asked_and_what_is_understood():
    token = {"token": "hi", "logprob": -0.5, "top_logprobs": [{"token": "hi", "logprob": -0.5}]}
    call = called("search", '{"text": "x"}')
    reply = answer("hi", tool_calls=[call], logprobs=[token], finish_reason="tool_calls", usage=(7, 3), cached=2)
    tool = {"type": "function", "function": {"name": "search", "parameters": {}}}
    options = ChatOptions(
        max_tokens=9, stop=("\n",), logprobs=True, top_logprobs=2, tools=(tool,), grammar="root ::= x"
    )
    with ChatServer(lambda request: reply) as server:
        said = ask(model(server, temperature=0.7, extra_body={"user": "me"}), options=options)
        (request,) = server.requests
    assert request == {
        "model": "test",
        "messages": ASK,
        "temperature": 0.7,
        "max_tokens": 9,
        "stop": ["\n"],
        "logprobs": True,
        "top_logprobs": 2,
        "tools": [tool],
        "seed": DRAW.integer() & 0x7FFFFFFF,
        "user": "me",
        "grammar": "root ::= x",
    }
    assert (said.text, said.finish_reason, said.logprobs) == ("hi", "tool_calls", (-0.5,))
    assert said.tool_calls[0].name == "search"
    assert json.loads(said.tool_calls[0].arguments) == {"text": "x"}
    assert said.tokens[0].top == {"hi": -0.5}
    usage = said.usage
    assert (usage.calls, usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (1, 7, 3, 2)
    assert usage.seconds > 0


@pytest.mark.parametrize(
    "first",
    [
        refused(429),
        refused(429, retry_after="0.1"),
        refused(408),
        refused(409),
        refused(500),
        refused(503),
        Reply(body=b"<html>busy</html>"),
        Reply(body=b'{"error": {"message": "overloaded"}}'),
        Reply(body=b'{"choices": []}'),
        Reply(body=b"\xff\xfe not text"),
        Reply(body=answer("hello").body, cut_after=20),
        Reply(body=answer("hello").body, stall_s=2.0),
    ],
    ids=lambda reply: f"{reply.status}-{reply.body[:12]!r}-{reply.cut_after}-{reply.stall_s}",
)
def test_what_may_pass_is_asked_again(first):
    with ChatServer(replies(first, answer("yes"))) as server:
        assert ask(model(server, timeout_s=0.5)).text == "yes"
        assert len(server.requests) == 2


def test_a_wait_that_is_asked_for_is_kept_by_everybody():
    times = []

    def respond(request):
        times.append(time.monotonic())
        return refused(429, retry_after="0.4") if len(times) == 1 else answer("yes")

    async def several(chat):
        first = asyncio.create_task(chat.complete(ASK, draw=DRAW))
        await asyncio.sleep(0.2)
        return await asyncio.gather(first, *(chat.complete(ASK, draw=DRAW.sample(n)) for n in range(4)))

    with ChatServer(respond) as server:
        chat = model(server)
        assert {one.text for one in run(chat, several(chat))} == {"yes"}
    assert len(times) == 6
    assert times[1] - times[0] >= 0.4


def test_while_a_provider_is_down_one_at_a_time_tries_it():
    down = [True]

    async def several(chat, server):
        calls = [asyncio.create_task(chat.complete(ASK, draw=DRAW.sample(n))) for n in range(20)]
        await asyncio.sleep(1.2)
        while_down = len(server.requests)
        down[0] = False
        await asyncio.gather(*calls)
        return while_down

    with ChatServer(lambda request: refused(503) if down[0] else answer("yes")) as server:
        chat = model(server)
        while_down = run(chat, several(chat, server))
        assert 20 <= while_down <= 20 + 6
        assert server.answered == 20


def test_an_outage_is_given_up_after_a_while_and_then_at_once():
    async def twice(chat):
        for _ in range(2):
            with pytest.raises(ProviderError, match=r"127\.0\.0\.1.*HTTP 500: broken.*given up"):
                await chat.complete(ASK, draw=DRAW)

    with ChatServer(lambda request: refused(500, "broken")) as server:
        chat = model(server, patience_s=0.8)
        run(chat, twice(chat))
        before = len(server.requests)
        assert before >= 3


def test_a_wait_longer_than_patience_is_not_begun():
    started = time.monotonic()
    with (
        ChatServer(lambda request: refused(429, retry_after="3600")) as server,
        pytest.raises(ProviderError, match="it asks to wait 3600 s"),
    ):
        ask(model(server))
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("reply", "error", "says"),
    [
        (refused(401, "Incorrect API key provided: sk-secret123"), ModelUnusable, r"refuses the key.*\[key\]"),
        (refused(404, "no such model"), ModelUnusable, "does not know it.*no such model"),
        (refused(429, "You have no money", code="insufficient_quota"), ModelUnusable, "refuses the key.*no money"),
        (refused(400, "max", code="context_length_exceeded"), AgentError, "longer than the model's context"),
        (refused(400, "the request exceeds the available context size"), AgentError, "longer than the model's"),
        (refused(413, "large"), AgentError, "longer than the model's context"),
        (refused(400, "bad schema"), AgentError, "refuses the request.*bad schema"),
        (Reply(body=b"x" * (17 << 20)), AgentError, "larger than 16 MiB"),
        (answer("x" * (1 << 20) + "y"), AgentError, "set max_tokens"),
    ],
    ids=lambda value: str(getattr(value, "status", value))[:20],
)
def test_what_no_other_try_would_mend_is_said_at_once(reply, error, says):
    with ChatServer(lambda request: reply) as server:
        with pytest.raises(error, match=says) as raised:
            ask(model(server, api_key="topsecret"))
        assert len(server.requests) == 1
    assert "sk-secret123" not in str(raised.value)


def test_an_address_where_nobody_is():
    with ChatServer(lambda request: answer()) as server:
        url = server.url
    chat = OpenAIChat("test", base_url=url, patience_s=1.0)
    with pytest.raises(ModelUnusable, match=r"nothing answers at http://127.*mend base_url"):
        ask(chat)


def test_empty_and_declined_answers_are_answers():
    with ChatServer(replies(answer(""), answer("", refusal="I cannot", finish_reason="content_filter"))) as server:
        chat = model(server)
        assert ask(chat).text == ""
        assert ask(chat).refusal == "I cannot"


def test_no_key_is_in_the_config_the_store_or_what_is_pickled_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", "topsecret")
    with ChatServer(lambda request: answer("yes")) as server:
        chat = OpenAIChat("test", base_url=server.url, extra_body={"token": "private"})
        file = tmp_path / "responses.jsonl"

        async def in_a_session(chat):
            async with ModelSettings(responses=file, owner="plan").opened():
                await chat.complete(ASK, draw=DRAW)

        asyncio.run(in_a_session(pickle.loads(pickle.dumps(chat))))
        assert server.headers[0]["authorization"] == "Bearer topsecret"
    seen = json.dumps(chat.config()) + file.read_text() + repr(pickle.dumps(chat))
    assert "topsecret" not in seen
    assert "private" not in json.dumps(chat.config()) + file.read_text()


@pytest.mark.parametrize(
    "options",
    [
        {"model": ""},
        {"base_url": "localhost:80"},
        {"base_url": "http://me:password@127.0.0.1/v1"},
        {"base_url": "http://127.0.0.1/v1?key=hidden"},
        {"base_url": "http://[bad"},
        {"timeout_s": 0},
        {"patience_s": float("inf")},
        {"requests_per_minute": -1},
        {"extra_body": {"x": object()}},
        {"base_url": None},
    ],
)
def test_what_cannot_be_asked_is_refused_before(options, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(InvalidInput):
        OpenAIChat(**{"model": "m", "base_url": "http://127.0.0.1/v1", **options})


def test_rates_are_held():
    with ChatServer(lambda request: answer("yes")) as server:
        chat = model(
            server, requests_per_minute=240.0, timeout_s=60.0, patience_s=60.0
        )  # a bucket of 240 that refills with 4 a second

        async def many():
            await asyncio.gather(*(chat.complete(ASK, draw=DRAW.sample(n)) for n in range(242)))

        started = time.monotonic()
        run(chat, many())
        assert time.monotonic() - started >= 0.4


def test_it_can_be_asked_without_waiting_and_is_metered():
    with ChatServer(lambda request: answer("yes")) as server, Meter() as meter:
        assert model(server).complete_sync(ASK, draw=DRAW).text == "yes"
        assert meter.claim().calls == 1

        async def wrong(chat):
            chat.complete_sync(ASK, draw=DRAW)

        with pytest.raises(InvalidInput, match="await complete"):
            asyncio.run(wrong(model(server)))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\\ud83d\\ude00", "\U0001f600"),
        (b"cut \\ud83d", "cut \ufffd"),
        (b"cut \xf0\x9f", "cut \ufffd"),
        (b"\\udead\\ude00", "\ufffd\ufffd"),
    ],
)
def test_an_answer_that_was_cut_within_a_character_is_an_answer(content, text):
    body = answer("CONTENT").body.replace(b"CONTENT", content)
    with ChatServer(lambda request: Reply(body=body)) as server:
        assert ask(model(server)).text == text
        assert len(server.requests) == 1
