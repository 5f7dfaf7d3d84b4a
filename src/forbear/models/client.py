"""Any OpenAI-compatible endpoint as a model (extra `llm`).

`aiohttp` carries the requests (docs/decisions/008-chat-transport.md): of the clients that were measured it alone leaves
room for 64 episodes at once on one core.
"""

import asyncio
import http
import importlib.util
import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import msgspec
from msgspec import Struct

from forbear.contracts.border import checked_config
from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput, ModelUnusable
from forbear.models.chat import ChatOptions, Completion, Message, Token, ToolCall
from forbear.models.gate import Gate, Rates, Transient, Unreachable
from forbear.models.kept import KeptModel
from forbear.models.session import current_session
from forbear.records.codec import config_digest
from forbear.records.model import JSON, Usage
from forbear.wording import shown

if TYPE_CHECKING:
    from aiohttp import ClientSession

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

OPENAI_URL = "https://api.openai.com/v1"

MAX_BODY = 16 << 20
"""Bytes of an answer that are read."""

SECRET = re.compile(r"\b(?:sk|pk|gsk|hf|xai)[-_][A-Za-z0-9_\-*.]{6,}|(?i:bearer)\s+\S+")
TOO_LONG = re.compile(r"context.?(?:length|size|window)|maximum context|too many tokens|prompt is too long|n_ctx", re.I)
CODES_FOR_GOOD = ("insufficient_quota", "billing_hard_limit_reached", "account_deactivated")


class OpenAIChat(KeptModel):
    """A model behind an OpenAI-compatible endpoint: OpenAI itself, vLLM, llama.cpp, Ollama, a gateway.

    One object serves as many episodes at a time as ask. It can be sent to other processes; the key travels only where
    it was given as an argument.
    """

    is_remote = True

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        api_key_env: str = "OPENAI_API_KEY",
        temperature: float | None = None,
        max_tokens: int | None = None,
        sends_seed: bool = True,
        max_tokens_key: Literal["max_tokens", "max_completion_tokens"] | None = None,
        extra_body: Mapping[str, JSON] | None = None,
        timeout_s: float = 60.0,
        patience_s: float = 300.0,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        """Says where the model is; nothing is sent yet.

        Args:
            model: As the provider calls it.
            base_url: Ends in /v1, mostly; omitted: `OPENAI_BASE_URL` of the environment, or OpenAI's own.
            api_key: Rather leave it in the environment.
            api_key_env: The variable that holds the key. Servers that need none get none.
            temperature: Of requests that do not say otherwise.
            max_tokens: Of requests that do not say otherwise.
            sends_seed: Send the draw as `seed`, which some providers honour; what was answered is kept either way.
            max_tokens_key: How the provider calls that limit; omitted: OpenAI's new name there, the old one elsewhere.
            extra_body: Further fields of each request; only its digest is written anywhere.
            timeout_s: After which a request is sent again.
            patience_s: For how long one request is tried, and a provider may be down; then the episode has no outcome.
            requests_per_minute: What goes out at most, by each process.
            tokens_per_minute: Likewise, as estimated.

        Raises:
            InvalidInput: A value out of range, a malformed address, no key for OpenAI itself, or a missing extra.
        """
        if importlib.util.find_spec("aiohttp") is None or importlib.util.find_spec("aiolimiter") is None:
            raise InvalidInput("this model needs the extra llm: pip install 'forbear[llm]'.")
        if not model or not isinstance(model, str):
            raise InvalidInput(f"a model has a name, got {model!r:.60}.")
        for name, seconds in (("timeout_s", timeout_s), ("patience_s", patience_s)):
            if not 0 < seconds < float("inf"):
                raise InvalidInput(f"{name} must be a number of seconds above 0, got {seconds!r:.60}.")
        self._name = model
        self.defaults = ChatOptions(temperature=temperature, max_tokens=max_tokens)
        self._url = checked_url(base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI_URL)
        self._key, self._key_env = api_key, api_key_env
        is_openai = self._url.startswith(OPENAI_URL)
        if any(not character.isprintable() or character.isspace() for character in self._secret() or ""):
            raise InvalidInput(f"the key in {api_key_env} holds a character that no key has, perhaps a line's end.")
        if is_openai and not self._secret():
            raise InvalidInput(f"{OPENAI_URL} needs a key: set {api_key_env}, or name another base_url.")
        self._sends_seed = sends_seed
        self._max_tokens_key = max_tokens_key or ("max_completion_tokens" if is_openai else "max_tokens")
        self._extra = dict(checked_config(extra_body or {}, what="model's extra_body"))
        self._timeout_s, self._patience_s = timeout_s, patience_s
        self._rates = Rates(requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute)
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[ClientSession, Gate]] = WeakKeyDictionary()

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out what is open: another process opens its own."""
        return {**self.__dict__, "_lines": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lines=WeakKeyDictionary())

    @property
    def name(self) -> str:
        """As the provider calls it."""
        return self._name

    def config(self) -> Mapping[str, JSON]:
        """Names the model, where it is and how it is asked; no key."""
        config: dict[str, JSON] = {
            "name": self.name,
            "base_url": self._url,
            "options": msgspec.to_builtins(self.defaults),
            "sends_seed": self._sends_seed,
        }
        return config | ({"extra_body": config_digest(self._extra)} if self._extra else {})

    async def ask(self, messages: Sequence[Message], *, options: ChatOptions, draw: Draw) -> Completion:
        """Asks the endpoint; see `ChatModel.complete` for what it raises."""
        session, gate = self._line()
        body = msgspec.json.encode(self._request(messages, options, draw))
        tokens = len(body) // 4 + (options.max_tokens or 0)
        return await gate.through(lambda: self._send(session, body), tokens=tokens)

    async def aclose(self) -> None:
        """Closes the connections of the loop that runs."""
        line = self._lines.pop(asyncio.get_running_loop(), None)
        if line is not None:
            await line[0].close()

    def _secret(self) -> str | None:
        return self._key or os.environ.get(self._key_env) or None

    def _line(self) -> tuple["ClientSession", Gate]:
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            import aiohttp

            headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
            if key := self._secret():
                headers["Authorization"] = f"Bearer {key}"
            session = aiohttp.ClientSession(
                headers=headers,
                auto_decompress=False,  # a small answer must not become a large one
                connector=aiohttp.TCPConnector(limit=0),  # how many are under way, the pilot decides
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                trust_env=any(os.environ.get(name) for name in PROXIES),
            )
            line = self._lines[loop] = (session, Gate(self._url, rates=self._rates, patience_s=self._patience_s))
            if (current := current_session()) is not None:
                current.closers.append(self.aclose)
        return line

    def _request(self, messages: Sequence[Message], options: ChatOptions, draw: Draw) -> dict[str, Any]:
        request = request_of(self.name, messages, options, max_tokens_key=self._max_tokens_key)
        if self._sends_seed:
            request["seed"] = draw.integer() & 0x7FFFFFFF
        grammar = {} if options.grammar is None else {"grammar": options.grammar}
        return request | self._extra | grammar

    async def _send(self, session: "ClientSession", body: bytes) -> Completion:
        """Sends it once.

        Raises:
            Transient: Another try may help.
        """
        import aiohttp

        started = time.perf_counter()
        try:
            async with session.post(f"{self._url}/chat/completions", data=body, allow_redirects=False) as response:
                said = bytearray()
                async for chunk in response.content.iter_any():
                    said += chunk
                    if len(said) > MAX_BODY:
                        raise AgentError(f"the model's answer is larger than {MAX_BODY >> 20} MiB: set max_tokens.")
                if response.status != http.HTTPStatus.OK:
                    raise self._refused(response.status, bytes(said), response.headers)
        except TimeoutError:
            raise Transient(f"no answer within {self._timeout_s:g} s") from None
        except (aiohttp.ClientConnectorError, aiohttp.ClientProxyConnectionError) as error:
            raise Unreachable(self._said(str(error)), everybody=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise Transient(f"the connection broke ({type(error).__name__}: {self._said(str(error))})") from None
        return completion_of(bytes(said), seconds=time.perf_counter() - started, said=self._said)

    def _refused(self, status: int, body: bytes, headers: Mapping[str, str]) -> Exception:
        """What an answer other than 200 means."""
        code, message = error_of(body)
        text = f"HTTP {status}: {self._said(message)}".rstrip(": ")
        where = f"model {shown(self.name)} at {self._url}"
        if status in (401, 402, 403) or code in CODES_FOR_GOOD:
            return ModelUnusable(f"{where}: the provider refuses the key ({text}). Check {self._key_env}.")
        if status < 400 or status in (404, 405):
            return ModelUnusable(f"{where}: the provider does not know it ({text}). Check model and base_url.")
        if status in (408, 409, 425, 429) or status >= 500:
            return Transient(text, retry_after_s=_retry_after(headers), everybody=status in (429, 503))
        if status == 413 or TOO_LONG.search(f"{code} {text}"):
            return AgentError(f"the prompt is longer than the model's context ({text})")
        return AgentError(f"the provider refuses the request ({text})")

    def _said(self, text: str) -> str:
        """What a provider says, bounded, on one line, and without what must not be written down."""
        key = self._secret()
        if key:
            text = text.replace(key, "[key]")
        return shown(SECRET.sub("[key]", text[:2000]), limit=300)


def request_of(
    model: str, messages: Sequence[Message], options: ChatOptions, *, max_tokens_key: str = "max_tokens"
) -> dict[str, Any]:
    """Returns the body of a request, without seed and grammar.

    Args:
        model: As the provider calls it.
        messages: The conversation.
        options: How to answer.
        max_tokens_key: How the provider calls that limit.
    """
    request: dict[str, Any] = {"model": model, "messages": [dict(message) for message in messages]}
    if options.temperature is not None:
        request["temperature"] = options.temperature
    if options.max_tokens is not None:
        request[max_tokens_key] = options.max_tokens
    if options.stop:
        request["stop"] = list(options.stop)
    if options.logprobs:
        # Of 0 alternatives llama.cpp makes no log-probabilities at all.
        request |= {"logprobs": True, "top_logprobs": max(1, options.top_logprobs)}
    if options.tools:
        request["tools"] = list(options.tools)
    if options.json_schema is not None:
        schema = {"name": "answer", "schema": options.json_schema, "strict": True}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    return request


def error_of(body: bytes) -> tuple[str, str]:
    """Code and message of an error as OpenAI tells it; of any other answer its text."""
    try:
        told = msgspec.json.decode(body)
        error = told.get("error", told)
        if isinstance(error, str):
            return "", error
        return str(error.get("code") or ""), str(error.get("message") or "")
    except (msgspec.MsgspecError, AttributeError, ValueError, RecursionError):
        return "", body[:2000].decode("utf-8", "replace")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; None where it is not said, or as a date (few do)."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < 1e6:
            return seconds
    return None


def checked_url(url: str, *, name: str = "base_url") -> str:
    """Returns an endpoint's address without a slash at its end.

    Raises:
        InvalidInput: It is none, or holds a secret.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.query
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput(f"{name} must be an address like http://127.0.0.1:8080/v1, got '{shown(url)}'.")
    if parts.username or parts.password:  # it would be written into plans and messages
        raise InvalidInput(f"{name} holds a user or a password; leave secrets in the environment.")
    return url.rstrip("/")


# --- What an answer says ----------------------------------------------------------------------------------


class _Top(Struct):
    token: str = ""
    logprob: float = 0.0


class _Logprob(Struct):
    token: str = ""
    logprob: float = 0.0
    top_logprobs: list[_Top] | None = None


class _Logprobs(Struct):
    content: list[_Logprob] | None = None


class _Function(Struct):
    name: str | None = None
    arguments: Any = None


class _Call(Struct):
    id: str | None = None
    function: _Function | None = None


class _Said(Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(Struct):
    message: _Said
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Cached(Struct):
    cached_tokens: int | None = None


class _Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Cached | None = None


class _Answer(Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


def completion_of(body: bytes, *, seconds: float, said: Any) -> Completion:
    """Reads the body of an answer.

    Raises:
        Transient: It is no completion: cut, garbage, or an error with status 200.
    """
    try:
        answer = _answer(body)
        choice = answer.choices[0]
    except (msgspec.MsgspecError, ValueError, IndexError, RecursionError):
        raise Transient(f"an answer that is no completion: '{said(body[:200].decode('utf-8', 'replace'))}'") from None
    message, usage = choice.message, answer.usage or _Usage()
    cached = None if usage.prompt_tokens_details is None else usage.prompt_tokens_details.cached_tokens
    return Completion(
        text=message.content or "",
        tool_calls=tuple(map(_tool_call, message.tool_calls or ())),
        tokens=_tokens(choice.logprobs),
        finish_reason=choice.finish_reason or "stop",
        refusal=message.refusal,
        usage=Usage(
            calls=1,
            input_tokens=_count(usage.prompt_tokens),
            output_tokens=_count(usage.completion_tokens),
            cached_tokens=_count(cached),
            seconds=round(seconds, 6),
        ),
    )


def _answer(body: bytes) -> _Answer:
    try:
        return msgspec.json.decode(body, type=_Answer)
    except msgspec.ValidationError:
        raise
    except (msgspec.MsgspecError, ValueError):
        # Half of a pair of surrogates, or bytes that are no UTF-8: a model cut within a character, no broken server.
        text = json.dumps(json.loads(body.decode("utf-8", "replace")), ensure_ascii=False)
        return msgspec.json.decode(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), type=_Answer)


def _tool_call(call: _Call) -> ToolCall:
    function = call.function or _Function()
    arguments = function.arguments
    if not isinstance(arguments, str):  # some servers send the object itself
        arguments = "" if arguments is None else msgspec.json.encode(arguments).decode()
    return ToolCall(id=call.id or "", name=function.name or "", arguments=arguments)


def _tokens(logprobs: _Logprobs | None) -> tuple[Token, ...] | None:
    if logprobs is None or logprobs.content is None:
        return None
    return tuple(
        Token(
            one.token,
            min(one.logprob, 0.0),
            {top.token: min(top.logprob, 0.0) for top in one.top_logprobs or ()},
        )
        for one in logprobs.content
    )


def _count(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < 10**15 else None
