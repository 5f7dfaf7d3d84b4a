import asyncio
import json
import pickle
import random
import subprocess
import sys
import time

import pytest
from msgspec.structs import replace

from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput
from forbear.models import local, weights
from forbear.models.chat import ChatOptions, Completion
from forbear.models.local import LocalChat
from forbear.records.model import Usage
from forbear.testing.contracts import ChatModelContract
from local_model import needs_model

DRAW = Draw(task_id="t", seed=1, role="agent")
CAPITAL = [{"role": "user", "content": "What is the capital of France? Answer with one word."}]


def ask(messages=CAPITAL, *, model: LocalChat | None = None, draw: Draw = DRAW, **options: object) -> Completion:
    options = {"max_tokens": 8, **options}
    return asyncio.run((model or LocalChat()).complete(messages, options=ChatOptions(**options), draw=draw))


@pytest.mark.slow
@needs_model
class TestLocalChat(ChatModelContract):
    def make(self) -> LocalChat:
        return LocalChat(context=512)

    def variants(self) -> list[LocalChat]:
        return [LocalChat(context=1024), LocalChat(context=512, threads=2)]

    def too_long(self) -> list[dict[str, str]]:
        return [{"role": "user", "content": "word " * 1000}]

    def unusable(self) -> list[ChatOptions]:
        return [
            *super().unusable(),
            ChatOptions(grammar="root ::= ("),
            ChatOptions(json_schema={"type": "nonsense"}),
            ChatOptions(grammar='root ::= "a"', json_schema={"type": "integer"}),
            ChatOptions(tools=({"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}},)),
        ]


@pytest.mark.slow
@needs_model
def test_nothing_of_what_was_asked_before_is_left():
    """Long and short, greedy and sampled, cut, refused and with grammars, shuffled: the bits of a fresh engine."""

    def request(number: int) -> tuple[list[dict[str, str]], ChatOptions]:
        text = "Tell a story. " * (1, 3, 20, 60)[number % 4]
        grammar = 'root ::= "yes" | "no"' if number % 5 == 0 else None
        heat = (0.0, 0.7, 1.5)[number % 3]
        options = ChatOptions(temperature=heat, max_tokens=(1, 30)[number % 2], logprobs=True, grammar=grammar)
        return [{"role": "user", "content": f"{text}{number}"}], options

    async def one(number: int) -> Completion:
        messages, options = request(number)
        answer = await LocalChat(context=1024).complete(messages, options=options, draw=DRAW.sample(number))
        return replace(answer, usage=Usage())

    async def together(numbers: list[int]) -> dict[int, Completion]:
        too_long = [{"role": "user", "content": "word " * 2000}]
        refused = LocalChat(context=1024).complete(too_long, draw=DRAW)
        answers = await asyncio.gather(*[one(number) for number in numbers], refused, return_exceptions=True)
        assert isinstance(answers[-1], AgentError)
        return dict(zip(numbers, answers, strict=False))

    numbers = list(range(12))  # each length at each heat
    first = asyncio.run(together(numbers))
    random.Random(3).shuffle(numbers)
    assert asyncio.run(together(numbers)) == first
    script = (
        "import asyncio, sys, pickle; from forbear.models.local import LocalChat\n"
        "model, asked = pickle.load(sys.stdin.buffer)\n"
        "answer = asyncio.run(model.complete(asked[0], options=asked[1], draw=asked[2]))\n"
        "print([(token.text, token.logprob) for token in answer.tokens])"
    )
    sent = pickle.dumps((LocalChat(context=1024), (*request(7), DRAW.sample(7))))
    done = subprocess.run([sys.executable, "-c", script], input=sent, capture_output=True, check=True)
    assert done.stdout.decode().strip() == str([(token.text, token.logprob) for token in first[7].tokens])


@pytest.mark.slow
@needs_model
def test_draws_decide_what_is_sampled():
    answers = {ask(temperature=1.5, draw=DRAW.sample(number)).text for number in range(6)}
    assert len(answers) > 1
    assert len({ask(temperature=0.0, draw=DRAW.sample(number)).text for number in range(3)}) == 1


@pytest.mark.slow
@needs_model
def test_an_answer_says_what_it_took_and_how_it_ended():
    answer = ask(temperature=0.0, max_tokens=3, logprobs=True, top_logprobs=2)
    assert (answer.usage.calls, answer.usage.output_tokens, answer.finish_reason) == (1, 3, "length")
    assert answer.usage.input_tokens > 10
    assert answer.usage.seconds > 0
    assert "".join(token.text for token in answer.tokens) == answer.text
    assert all(len(token.top) == 2 and max(token.top.values()) == token.logprob for token in answer.tokens)
    assert ask(temperature=0.0, max_tokens=30, stop=("Paris",)).text == "The capital of France is "


@pytest.mark.slow
@needs_model
def test_an_answer_is_held_to_a_grammar_or_a_schema():
    grammar = 'root ::= "Rome" | "Oslo"'
    assert {ask(temperature=1.5, grammar=grammar, draw=DRAW.sample(n)).text for n in range(5)} <= {"Rome", "Oslo"}
    schema = {"type": "object", "properties": {"n": {"type": "boolean"}}, "required": ["n"]}
    assert isinstance(json.loads(ask(json_schema=schema, max_tokens=40).text)["n"], bool)


@pytest.mark.slow
@needs_model
def test_an_answer_that_is_cut_within_a_character_has_no_tokens():
    answer = ask([{"role": "user", "content": "hi"}], grammar="root ::= [😀-🙏]+", max_tokens=1, logprobs=True)
    assert answer.tokens == ()


@pytest.mark.slow
@needs_model
def test_the_loop_goes_on_while_it_answers():
    async def both() -> int:
        answer = asyncio.ensure_future(LocalChat().complete(CAPITAL, options=ChatOptions(max_tokens=40), draw=DRAW))
        ticks = 0
        while not answer.done():
            await asyncio.sleep(0.005)
            ticks += 1
        return ticks

    assert asyncio.run(both()) > 5


@pytest.mark.slow
@needs_model
def test_a_cancelled_answer_leaves_the_next_as_it_is():
    expected = ask(temperature=0.7).text

    async def cancel_then_ask() -> str:
        cut = asyncio.ensure_future(LocalChat().complete(CAPITAL, options=ChatOptions(max_tokens=100), draw=DRAW))
        await asyncio.sleep(0.1)
        cut.cancel()
        options = ChatOptions(temperature=0.7, max_tokens=8)
        return (await LocalChat().complete(CAPITAL, options=options, draw=DRAW)).text

    assert asyncio.run(cancel_then_ask()) == expected


@pytest.mark.slow
@needs_model
@pytest.mark.parametrize(
    "message",
    [
        {"role": "user"},
        {"role": "user", "content": 5},
        {"content": "no role"},
        {"role": "user", "content": "half a character \ud800"},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://localhost/x"}}]},
    ],
)
def test_a_malformed_conversation_is_the_agents_failure(message):
    with pytest.raises(AgentError, match=r"refused the conversation|a conversation holds only what JSON can"):
        ask([message])
    with pytest.raises(AgentError, match="at least one message"):
        ask([])


@pytest.mark.slow
@needs_model
def test_a_process_that_used_it_ends_and_so_does_its_fork():
    script = (
        "import asyncio, os, sys; from forbear.models.local import LocalChat; from forbear.contracts.draw import Draw\n"
        "from forbear.models.chat import ChatOptions\n"
        "def ask(): return asyncio.run(LocalChat().complete([{'role': 'user', 'content': 'hi'}],"
        " options=ChatOptions(max_tokens=2), draw=Draw(task_id='t', seed=1, role='agent'))).text\n"
        "mine = ask(); child = os.fork()\n"
        "if not child: os._exit(0 if ask() == mine else 9)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - begun < 30


@pytest.mark.slow
@needs_model
def test_the_config_names_the_content_and_no_place():
    config = LocalChat().config()
    assert config["sha256"] == weights.SHA256
    assert "/" not in json.dumps(config)
    assert pickle.loads(pickle.dumps(LocalChat(context=512))).config() == LocalChat(context=512).config()


@pytest.mark.parametrize(
    "options", [{"context": 10}, {"context": True}, {"context": 1.5}, {"threads": 0}, {"threads": "two"}]
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(InvalidInput, match="must be a whole number of at least"):
        LocalChat(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": float("nan")},
        {"temperature": "warm"},
        {"max_tokens": 0},
        {"max_tokens": 2.5},
        {"top_logprobs": -1},
        {"stop": ("",)},
        {"grammar": "root ::= x", "json_schema": {}},
    ],
)
def test_malformed_options_are_refused_before_anything_is_loaded(options):
    with pytest.raises(InvalidInput):
        asyncio.run(LocalChat("nowhere.gguf").complete(CAPITAL, options=ChatOptions(**options), draw=DRAW))


class Failing:
    """An engine that answers with an error of its own."""

    def answer(self, request: object) -> dict[str, object]:
        return {"error": {"code": 500, "message": "out of memory", "type": "server_error"}}


def test_an_engine_that_fails_is_an_outage():
    with pytest.raises(local.ProviderError, match="out of memory"):
        local._answer(Failing(), {}, ChatOptions())
