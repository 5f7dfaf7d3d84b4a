"""The endpoint behind the proxy: asked once a proposal, its answer read up to a limit and handed on as it is."""

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from forbear.adapters.frameworks import Sampled, Told
from forbear.adapters.frameworks.proposals import action_of
from forbear.errors import AgentError, InvalidInput, ProviderError
from forbear.models.client import CODES_FOR_GOOD, MAX_BODY, PROXIES, SECRET, checked_url, completion_of, error_of
from forbear.models.gate import Transient
from forbear.records.model import Action, Usage
from forbear.wording import shown

_SENT = ("authorization", "api-key", "x-api-key", "openai-organization", "openai-project", "http-referer", "x-title")
"""Headers of a client that go to the endpoint; an idempotency key would have a retry answered as before."""
_KEYS = ("authorization", "api-key", "x-api-key")
_LEAST_KEY = 8
"""Characters; what is shorter is a word, such as "none", and no secret."""
_GIVEN = re.compile(r"retry-after(-ms)?|x-should-retry|x-request-id|x-ratelimit-.*|openai-.*|content-type")
"""Headers of an answer that go to the client."""
_AGENTS_FAULT = (400, 413, 422)
"""Statuses that say that the request itself cannot be answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes to the client."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def problem(status: int, code: str, message: str) -> Answer:
    """What went wrong, as OpenAI tells it, so that every client can read it."""
    error = {"message": message, "type": "forbear", "param": None, "code": code}
    return Answer(status, json.dumps({"error": error}).encode(), {"content-type": "application/json"})


class Outage(ProviderError):
    """The endpoint failed: no outcome, unless it answers when asked again."""

    def __init__(self, answer: Answer, text: str) -> None:
        """Keeps what the client is told, and what records say."""
        super().__init__(text)
        self.answer = answer


class Refused(AgentError):
    """The endpoint refuses the request as such: the agent has to live with it."""

    def __init__(self, answer: Answer, text: str) -> None:
        """Keeps what the client is told, and what records say."""
        super().__init__(text)
        self.answer = answer


class _Choices(Struct):
    choices: list[msgspec.Raw]


class Upstream:
    """One endpoint, in one event loop."""

    def __init__(self, url: str, *, key_env: str | None = None, timeout_s: float = 600.0) -> None:
        """Says where it is; nothing is sent yet.

        Args:
            url: Its base URL, which ends in /v1, mostly.
            key_env: The variable that holds its key; None: clients bring their own.
            timeout_s: How long one request may take.

        Raises:
            InvalidInput: A malformed address, or no key where one was named.
        """
        self.url = checked_url(url, name="--upstream")
        key = "none" if key_env is None else os.environ.get(key_env, "")
        if not key or any(not character.isprintable() or character.isspace() for character in key):
            raise InvalidInput(f"--key-env: the variable {key_env} holds no key, or more than one.")
        self._key_env, self._timeout_s = key_env, timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def aclose(self) -> None:
        """Closes its connections."""
        if self._session is not None:
            await self._session.close()

    async def complete(self, request: Mapping[str, Any], *, query: str, headers: Mapping[str, str]) -> Sampled[Answer]:
        """Asks for one completion.

        Raises:
            Outage: The endpoint is down, redirects, or answers with what is no single completion.
            Refused: It refuses the request.
        """
        started, body = time.perf_counter(), json.dumps(request, separators=(",", ":")).encode()
        answer = await self.send("POST", "/chat/completions", query=query, headers=headers, body=body)
        seconds = time.perf_counter() - started
        try:
            said = completion_of(answer.body, seconds=seconds, said=lambda text: self._said(text, headers))
        except Transient as error:
            raise self._broken(str(error)) from None
        if self._choices(answer.body) != 1:
            raise self._broken("more than one choice came back where one was asked for")
        calls = [(call.name, call.arguments) for call in said.tool_calls]
        one = action_of(said.text or said.refusal, calls, usage=said.usage)
        if said.logprobs:
            one = Action(
                one.text, payload=one.payload, rationale=one.rationale, logprobs=said.logprobs, usage=one.usage
            )
        return Sampled(answer, one)

    async def send(
        self, method: str, path: str, *, query: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """Asks for anything.

        Raises:
            Outage: No answer, a redirect, one that is too large, or a status that says that it is down.
            Refused: It refuses the request.
        """
        url = f"{self.url}{path}{'?' if query else ''}{query}"
        sent = self._headers(headers)
        try:
            try:
                status, given, said = await self._exchanged(method, url, body, sent)
            except aiohttp.ServerDisconnectedError:  # it had closed the connection that was kept
                status, given, said = await self._exchanged(method, url, body, sent)
        except TimeoutError:
            raise self._broken(f"no answer within {self._timeout_s:g} s", status=504) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._broken(f"{type(error).__name__}: {self._said(str(error), headers)}") from None
        kept = {
            name.lower(): value
            for name, value in given.items()
            if _GIVEN.fullmatch(name.lower()) and value.isascii() and value.isprintable()
        }
        if status == 200:
            return Answer(200, said, kept | {"content-type": "application/json"})
        if 300 <= status < 400:
            raise self._broken(f"a redirect (HTTP {status}), which is not followed: name its target as --upstream")
        if status < 400:
            raise self._broken(f"HTTP {status} where 200 was expected")
        code, message = error_of(said)
        kind = Refused if status in _AGENTS_FAULT and code not in CODES_FOR_GOOD else Outage
        own = os.environ.get(self._key_env or "", "").encode()  # which clients do not know
        told = said.replace(own, b"[key]") if own else said
        raise kind(Answer(status, told, kept), f"HTTP {status}: {self._said(message, headers)}")

    async def _exchanged(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of an answer."""
        said = bytearray()
        async with self._opened().request(method, url, data=body, headers=headers, allow_redirects=False) as response:
            async for chunk in response.content.iter_any():
                said += chunk
                if len(said) > MAX_BODY:
                    raise self._broken(f"an answer of more than {MAX_BODY >> 20} MiB")
            return response.status, response.headers, bytes(said)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                auto_decompress=False,  # a small answer must not become a large one
                connector=aiohttp.TCPConnector(limit=0),  # how many are under way, the agents decide
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                trust_env=any(os.environ.get(name) for name in PROXIES),
            )
        return self._session

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        sent = {name: headers[name] for name in _SENT if name in headers}
        if self._key_env is not None:
            sent = {name: value for name, value in sent.items() if name not in _KEYS}
            sent["authorization"] = f"Bearer {os.environ.get(self._key_env, '')}"
        return sent | {"content-type": "application/json", "accept-encoding": "identity"}

    def _broken(self, text: str, *, status: int = 502) -> Outage:
        return Outage(problem(status, "upstream_failed", f"the endpoint behind forbear: {text}."), text)

    def _said(self, text: str, headers: Mapping[str, str]) -> str:
        """What an endpoint says, bounded, on one line, and without a key."""
        for given in (os.environ.get(self._key_env or ""), *(headers.get(name) for name in _KEYS)):
            key = (given or "").rpartition(" ")[2]
            if len(key) >= _LEAST_KEY:
                text = text.replace(key, "[key]")
        return shown(SECRET.sub("[key]", text[:2000]), limit=300)

    def _choices(self, body: bytes) -> int:
        try:
            return len(msgspec.json.decode(body, type=_Choices).choices)
        except (msgspec.MsgspecError, ValueError):  # read above with what is no UTF-8 replaced
            return len(json.loads(body.decode("utf-8", "replace"))["choices"])


def usage_of(body: bytes) -> Usage:
    """What a call took that is no completion (embeddings), where it says so."""
    try:
        counted = json.loads(body)["usage"]
        tokens = counted["prompt_tokens"]
        return Usage(calls=1, input_tokens=tokens if type(tokens) is int and 0 <= tokens < 10**15 else None)
    except (ValueError, KeyError, TypeError, RecursionError):
        return Usage(calls=1)


def as_stream(answer: Answer, *, with_usage: bool) -> Answer:
    """A completion as the events of a stream: all that was said in one, its end in another."""
    whole = json.loads(answer.body.decode("utf-8", "replace"))
    (choice,) = whole["choices"]
    delta = dict(choice["message"])
    if calls := delta.get("tool_calls"):
        delta["tool_calls"] = [{"index": n, **call} for n, call in enumerate(calls)]
    head = {key: value for key, value in whole.items() if key not in ("choices", "usage", "object")}
    head |= {"object": "chat.completion.chunk"} | ({"usage": None} if with_usage else {})
    opened = {**choice, "delta": delta, "finish_reason": None}
    del opened["message"]
    closed = {"index": 0, "delta": {}, "finish_reason": choice.get("finish_reason")}
    events: list[dict[str, Any]] = [head | {"choices": [one]} for one in (opened, closed)]
    if with_usage:
        events.append(head | {"choices": [], "usage": whole.get("usage")})
    lines = [f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode() for event in events]
    return Answer(200, b"".join(lines) + b"data: [DONE]\n\n", {**answer.headers, "content-type": "text/event-stream"})


def woven(messages: Sequence[Any], told: Sequence[Told], before: Sequence[Any]) -> list[Any]:
    """The conversation with what interventions told at its place: behind the message that it was told behind.

    Where that message stands no more, the agent has dropped that part of its history, or this is another conversation
    of the same episode (a sub-agent's): then it is left out.

    Args:
        messages: As the agent has them.
        told: What was told.
        before: For each, the last message when it was told.
    """
    behind: dict[int, list[str]] = {}
    for one, anchor in zip(told, before, strict=True):
        # What is trimmed stood in front, so that the place moves towards it.
        place = next((n for n in reversed(range(min(one.at, len(messages)))) if messages[n] == anchor), None)
        if place is not None:
            behind.setdefault(place, []).append(one.text)
    sent: list[Any] = []
    for n, message in enumerate(messages):
        sent.append(message)
        sent += [{"role": "user", "content": text} for text in behind.get(n, ())]
    return sent
