"""The client object of OpenAI's own package, or one that looks like it, as the user has made it.

Two ways: `WatchedClient` judges what the user's own loop gets from it; `ClientModel` asks through it as any other
`ChatModel`, so that agents, critics and feedback of ours go where the user's keys, proxies and retries already are.
"""

import asyncio
import inspect
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from forbear.adapters.frameworks.book import Told
from forbear.adapters.frameworks.capabilities import Sampled
from forbear.adapters.frameworks.proposals import action_of, text_of
from forbear.adapters.frameworks.seam import Watch
from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput, ModelUnusable, ProviderError
from forbear.models.chat import ChatOptions, Completion, Message
from forbear.models.client import CODES_FOR_GOOD, SECRET, TOO_LONG, completion_of, request_of
from forbear.models.gate import Transient
from forbear.models.kept import KeptModel
from forbear.records.model import JSON, Usage
from forbear.wording import described, shown

_UNJUDGED = ("beta", "completions", "copy", "realtime", "responses", "with_options", "with_raw_response")
"""Other ways to a model, which would pass the watch by."""


class WatchedClient:
    """Stands for a client in one episode: what `chat.completions.create` answers has been judged.

    Dropped answers are seen by nobody and metered. What interventions tell is sent as the user's words at its place, in
    every later call too; the loop's own list of messages does not hold it. A `seed` is one higher at each retry. Each
    call is a proposal: calls that are none go through the client itself, and `watch.aside` meters them. Other ways to
    a model are refused, and so are streams and several answers at once.
    """

    def __init__(self, client: Any, watch: Watch) -> None:
        """Wraps.

        Args:
            client: `openai.OpenAI(...)`, `openai.AsyncOpenAI(...)`, or one with the same `chat.completions.create`.
            watch: Of one episode.

        Raises:
            InvalidInput: It has no such method.
        """
        self._create, self._waits = _create_of(client)
        self._client, self._watch = client, watch
        self.chat = _Chat(self)

    def __getattr__(self, name: str) -> Any:
        if name in _UNJUDGED or name.startswith("with_"):
            raise InvalidInput(f"client.{name} would pass forbear by: only client.chat.completions.create is judged.")
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._client, name)

    def create(self, **request: Any) -> Any:
        """Returns the answer that stands; of an asynchronous client, what is to be awaited for it."""
        if request.get("stream") or (request.get("n") or 1) != 1:
            raise InvalidInput("an answer is judged as a whole, and one at a time: leave out stream=True and n.")

        def again(told: Sequence[Told]) -> dict[str, Any]:
            """The request as it is sent: under its own seed again it would only be answered as before."""
            number = self._watch.attempt
            seeded = {"seed": request["seed"] + number} if number and isinstance(request.get("seed"), int) else {}
            return _woven(request, told) | seeded

        # As they are now: a loop goes on to write into its own list.
        messages = [_plain(one) for one in request.get("messages") or ()]
        if self._waits:

            async def ask_later(told: Sequence[Told]) -> Sampled[Any]:
                return self._sampled(await self._create(**again(told)), request)

            return self._watch.propose(messages, ask_later)
        return self._watch.propose_sync(messages, lambda told: self._sampled(self._create(**again(told)), request))

    def _sampled(self, said: Any, request: Mapping[str, Any]) -> Sampled[Any]:
        message = said.choices[0].message
        functions = [call.function for call in message.tool_calls or () if getattr(call, "function", None) is not None]
        usage = self._watch.priced(_usage(said), model=str(request.get("model", "")))
        text = message.content or getattr(message, "refusal", None)
        return Sampled(said, action_of(text, [(one.name, one.arguments) for one in functions], usage=usage))


class _Chat:
    """`client.chat` and `client.chat.completions` in one: neither has anything else that is judged."""

    def __init__(self, client: WatchedClient) -> None:
        self.create = client.create

    @property
    def completions(self) -> "_Chat":
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise InvalidInput(
            f"client.chat...{name} would pass forbear by: only client.chat.completions.create is judged."
        )


class ClientModel(KeptModel):
    """A model behind a client of the user's: kept, metered and priced as any other.

    Retries, timeouts and limits are the client's. It cannot go to worker processes unless the client can be pickled.
    """

    is_remote = True

    def __init__(
        self,
        client: Any,
        model: str,
        *,
        temperature: float | None = None,
        max_tokens: int | None = None,
        max_tokens_key: str = "max_tokens",
        sends_seed: bool = False,
    ) -> None:
        """Says which model; nothing is sent yet.

        Args:
            client: As for `WatchedClient`; one that blocks is called in a thread.
            model: As the provider calls it.
            temperature: Of requests that do not say otherwise.
            max_tokens: Of requests that do not say otherwise.
            max_tokens_key: How the provider calls that limit; newer models of OpenAI's: "max_completion_tokens".
            sends_seed: Send the draw as `seed`, which some providers honour.

        Raises:
            InvalidInput: The client has no `chat.completions.create`, or a value is out of range.
        """
        if not isinstance(model, str) or not model:
            raise InvalidInput(f"a model has a name, got {described(model)}.")
        self._create, self._waits = _create_of(client)
        self._name, self._max_tokens_key, self._sends_seed = model, max_tokens_key, sends_seed
        self.defaults = ChatOptions(temperature=temperature, max_tokens=max_tokens)
        url = urlsplit(str(getattr(client, "base_url", "") or ""))
        self._url = f"{url.scheme}://{url.hostname}{f':{url.port}' if url.port else ''}{url.path}".rstrip("/")

    @property
    def name(self) -> str:
        """As the provider calls it."""
        return self._name

    def config(self) -> Mapping[str, JSON]:
        """Names the model, where it is and how it is asked; no key."""
        options = msgspec.to_builtins(self.defaults)
        return {"name": self.name, "base_url": self._url, "options": options, "sends_seed": self._sends_seed}

    async def ask(self, messages: Sequence[Message], *, options: ChatOptions, draw: Draw) -> Completion:
        """Asks through the client; see `ChatModel.complete` for what it raises."""
        if options.grammar is not None:
            raise InvalidInput("a client takes no grammar: ask llama.cpp's server through OpenAIChat.")
        request = request_of(self.name, messages, options, max_tokens_key=self._max_tokens_key)
        if self._sends_seed:
            request["seed"] = draw.integer() & 0x7FFFFFFF
        started = time.perf_counter()
        try:
            if self._waits:
                said = await self._create(**request)
            else:
                said = await asyncio.to_thread(self._create, **request)
            body = said.model_dump_json().encode()
        except Exception as error:
            raise self._refused(error) from error
        try:
            return completion_of(body, seconds=time.perf_counter() - started, said=_said)
        except Transient as error:
            raise ProviderError(f"model {shown(self.name)}: {error}") from None

    def _refused(self, error: Exception) -> Exception:
        """What an error of the client means, by the status that it carries; without one nobody was reached."""
        status, code = getattr(error, "status_code", None), str(getattr(error, "code", None) or "")
        text = f"{type(error).__name__}: {_said(str(error))}"
        if status in (401, 402, 403, 404, 405) or code in CODES_FOR_GOOD:
            return ModelUnusable(f"model {shown(self.name)}: the provider refuses it ({text}). Check key and name.")
        if isinstance(error, TypeError):
            return InvalidInput(f"model {shown(self.name)}: the client does not take the request ({text}).")
        if not isinstance(status, int) or status in (408, 409, 425, 429) or status >= 500:
            return ProviderError(f"model {shown(self.name)}: {text}")
        if status == 413 or TOO_LONG.search(f"{code} {text}"):
            return AgentError(f"the prompt is longer than the model's context ({text})")
        return AgentError(f"the provider refuses the request ({text})")


def _said(text: str) -> str:
    return shown(SECRET.sub("[key]", text[:2000]), limit=300)


def _create_of(client: Any) -> tuple[Any, bool]:
    """What asks, and whether it is to be awaited: it does not say so itself, being wrapped."""
    create = getattr(getattr(getattr(client, "chat", None), "completions", None), "create", None)
    if not callable(create):
        raise InvalidInput(
            "expected a client with chat.completions.create, such as openai.OpenAI() (pip install 'forbear[openai]'), "
            f"got {described(client)}."
        )
    return create, inspect.iscoroutinefunction(inspect.unwrap(create)) or hasattr(client, "__aenter__")


def _usage(said: Any) -> Usage:
    usage = getattr(said, "usage", None)
    if usage is None:
        return Usage(calls=1)
    cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None)
    return Usage(calls=1, input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens, cached_tokens=cached)


def _plain(one: Any) -> Message:
    """A message as others have it: loops put the answers' objects into their lists."""
    given = one if isinstance(one, Mapping) else {"role": one.role, "content": one.content}
    return {"role": str(given.get("role", "")), "content": text_of(given.get("content"))}


def _woven(request: Mapping[str, Any], told: Sequence[Told]) -> dict[str, Any]:
    messages = list(request.get("messages") or ())
    for one in reversed(told):
        messages.insert(one.at, {"role": "user", "content": one.text})
    return {**request, "messages": messages}
