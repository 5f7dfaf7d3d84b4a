"""The real package's clients, against a server on this machine."""

import asyncio
import json

import pytest

openai = pytest.importorskip("openai", reason="openai is not installed: pip install 'forbear[openai]'")

from forbear.adapters.agents.chat import ChatAgent  # noqa: E402
from forbear.adapters.frameworks import Watch  # noqa: E402
from forbear.adapters.frameworks.openai import ClientModel, WatchedClient  # noqa: E402
from forbear.contracts.draw import Draw  # noqa: E402
from forbear.errors import AgentError, InvalidInput, ModelUnusable, ProviderError  # noqa: E402
from forbear.interventions import Append, Rollback  # noqa: E402
from forbear.models.chat import ChatOptions  # noqa: E402
from forbear.models.prices import Price, Prices  # noqa: E402
from forbear.policy.policy import InterventionPolicy  # noqa: E402
from forbear.records.model import Step, Task, Termination, Trajectory, Usage  # noqa: E402
from forbear.testing.chat_server import ChatServer, answer, called, refused  # noqa: E402

DRAW = Draw(task_id="t", seed=0, role="agent")
HELLO = [{"role": "user", "content": "go"}]


class Dislikes:
    async def score(self, trajectory, proposed, *, draw):
        return 0.9 if "wipe" in proposed.text else 0.1

    def config(self):
        return {"name": "dislikes"}


def watching(intervention, **options):
    policy = InterventionPolicy(critic=Dislikes(), intervention=intervention, threshold=0.5, **options)
    return Watch(Task(id="t"), policy=policy, prices=Prices({"m": Price(input=1e6, output=1e6)}))


def serving(*replies):
    left = list(replies)
    return ChatServer(lambda request: left.pop(0) if len(left) > 1 else left[0])


def client_of(server, kind=None):
    return (kind or openai.OpenAI)(base_url=server.url, api_key="key", max_retries=0)


def test_a_dropped_answer_is_seen_by_nobody_and_paid_for():
    watch = watching(Rollback())
    with (
        serving(answer(tool_calls=[called("wipe", "{}")]), answer(tool_calls=[called("add", "{}")])) as server,
        client_of(server) as own,
    ):
        client = WatchedClient(own, watch)
        said = client.chat.completions.create(model="m", messages=HELLO)
    assert said.choices[0].message.tool_calls[0].function.name == "add"
    assert (watch.dropped.tokens, watch.dropped.cost) == (12, 12.0)
    assert watch.episode(True).usage.agent.paid.calls == 2
    assert [p.action.text for p in watch.episode(True).steps[0].proposals] == ["wipe({})", "add({})"]


def test_an_asynchronous_client_is_judged_too():
    watch = watching(Rollback())

    async def ask(server):
        async with client_of(server, openai.AsyncOpenAI) as own:
            return await WatchedClient(own, watch).chat.completions.create(model="m", messages=HELLO)

    with serving(answer("wipe"), answer("add")) as server:
        assert asyncio.run(ask(server)).choices[0].message.content == "add"


def test_a_warning_is_sent_at_its_place_and_is_not_in_the_loops_own_list():
    watch, messages = watching(Append(message="Careful!"), budget=1), list(HELLO)
    with serving(answer("wipe"), answer("on")) as server, client_of(server) as own:
        client = WatchedClient(own, watch)
        for _ in range(3):
            said = client.chat.completions.create(model="m", messages=messages)
            messages += [said.choices[0].message, {"role": "user", "content": "next"}]
    sent = [[one["content"] for one in request["messages"]] for request in server.requests]
    assert sent[1] == ["go", "wipe", "next", "Careful!"]
    assert sent[2] == ["go", "wipe", "next", "Careful!", "on", "next"]
    assert len(messages) == 7
    assert [step.observation for step in watch.episode(True).steps] == ["go", "next", "next"]


def test_what_would_pass_the_watch_by_is_refused():
    with serving(answer("add")) as server, client_of(server) as own:
        client = WatchedClient(own, watching(Rollback()))
        for way in (
            lambda: client.responses,
            lambda: client.with_options(timeout=1),
            lambda: client.chat.completions.parse,
            lambda: client.chat.completions.create(model="m", messages=HELLO, stream=True),
            lambda: client.chat.completions.create(model="m", messages=HELLO, n=2),
        ):
            with pytest.raises(InvalidInput, match="judged"):
                way()
        assert client.base_url.host == "127.0.0.1"
    with pytest.raises(InvalidInput, match=r"expected a client with chat\.completions\.create"):
        WatchedClient("no client", watching(Rollback()))


def test_a_retry_is_sent_under_another_seed():
    with serving(answer("wipe"), answer("wipe"), answer("on")) as server, client_of(server) as own:
        for _ in range(2):
            client = WatchedClient(own, watching(Rollback(), budget=1))
            client.chat.completions.create(model="m", messages=HELLO, seed=7)
    assert [request["seed"] for request in server.requests] == [7, 8, 7]


def test_so_is_one_after_an_outage():
    with serving(answer("wipe"), refused(503), answer("on")) as server, client_of(server) as own:
        client = WatchedClient(own, watching(Rollback()))
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(model="m", messages=HELLO, seed=7)
        assert client.chat.completions.create(model="m", messages=HELLO, seed=7).choices[0].message.content == "on"
    assert [request["seed"] for request in server.requests] == [7, 8, 8]


def test_a_provider_that_is_down_leaves_no_outcome():
    watch = watching(Rollback())
    with (
        serving(refused(503)) as server,
        client_of(server) as own,
        pytest.raises(openai.InternalServerError),
    ):
        WatchedClient(own, watch).chat.completions.create(model="m", messages=HELLO)
    assert watch.episode(False).termination is Termination.PROVIDER_ERROR


async def asked_by_ours(own):
    model = ClientModel(own, "m", temperature=0.5, sends_seed=True)
    trajectory = Trajectory(task=Task(id="t"), steps=(Step(index=0, observation="A box."),))
    action = await ChatAgent(model).act(trajectory, draw=DRAW)
    return action, await model.complete(HELLO, draw=DRAW)


def require_answered(action, said, server):
    assert action.text == "open"
    assert server.requests[0]["temperature"] == 0.5
    assert server.requests[0]["seed"] == DRAW.integer() & 0x7FFFFFFF
    expected = Usage(calls=1, input_tokens=10, output_tokens=2, cached_tokens=4, seconds=said.usage.seconds)
    assert said.usage == expected


OPEN = answer(tool_calls=[called("act", json.dumps({"action": "open"}))], cached=4)


def test_a_client_is_a_model_for_our_agents():
    with serving(OPEN) as server, client_of(server) as own:
        require_answered(*asyncio.run(asked_by_ours(own)), server)


def test_so_is_an_asynchronous_one():
    async def ask(server):
        async with client_of(server, openai.AsyncOpenAI) as own:
            return await asked_by_ours(own)

    with serving(OPEN) as server:
        require_answered(*asyncio.run(ask(server)), server)


def test_its_config_holds_no_secrets():
    own = openai.OpenAI(base_url="https://me:secret@example.org:8443/v1", api_key="sk-secret")
    config = ClientModel(own, "m").config()
    assert "secret" not in str(config)
    assert config["base_url"] == "https://example.org:8443/v1"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refused(401), ModelUnusable),
        (refused(429, code="insufficient_quota"), ModelUnusable),
        (refused(429), ProviderError),
        (refused(500), ProviderError),
        (refused(400, "maximum context length is 10 tokens"), AgentError),
        (refused(422), AgentError),
    ],
)
def test_errors_are_told_apart(reply, error):
    with serving(reply) as server, client_of(server) as own, pytest.raises(error) as raised:
        asyncio.run(ClientModel(own, "m").complete(HELLO, draw=DRAW))
    assert type(raised.value) is error


def test_nobody_there_is_an_outage_and_a_grammar_is_refused():
    with serving(answer("x")) as server:
        gone = client_of(server)
    with pytest.raises(ProviderError):
        asyncio.run(ClientModel(gone, "m").complete(HELLO, draw=DRAW))
    with pytest.raises(InvalidInput, match="grammar"):
        asyncio.run(ClientModel(gone, "m").complete(HELLO, options=ChatOptions(grammar="root ::= x"), draw=DRAW))
