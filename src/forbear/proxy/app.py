"""What the proxy answers: completions that were judged, and the small JSON by which a host asks and tells.

Everybody is refused who does not come under one of its names (a page elsewhere whose own name leads here: DNS
rebinding), whoever is a page in a browser (`Origin`), and, where a token is needed, whoever does not bring it.
"""

import asyncio
import contextlib
import hashlib
import hmac
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from forbear.adapters.frameworks import Sampled, Told
from forbear.errors import AgentError, ForbearError, InvalidInput, ProviderError
from forbear.models.prices import Prices
from forbear.models.session import Session
from forbear.proxy.episodes import Ended, Episodes, Running
from forbear.proxy.upstream import Answer, Outage, Refused, Upstream, as_stream, problem, usage_of, woven
from forbear.records.model import Action, Usage
from forbear.wording import described, shown

MAX_REQUEST = 32 << 20
"""Bytes of a request."""
_READ_S = 60.0
"""Seconds within which a request has to have come."""
_UNJUDGED = {
    "audio": "what is spoken cannot be judged",
    "conversation": "a server that keeps the conversation keeps what is dropped",
    "function_call": "name functions as tools",
    "functions": "name functions as tools",
    "previous_response_id": "a server that keeps the conversation keeps what is dropped",
    "web_search_options": "what a server runs itself has run before it is judged",
}
"""Fields of a request that would pass the judge by, and why."""

_KEYS = ("x-forbear-token", "authorization", "api-key", "x-api-key")
"""Where clients bring their key."""

Handler = Callable[[Request], Awaitable[Answer]]


def make_app(
    episodes: Episodes, upstream: Upstream, *, hosts: frozenset[str], prices: Prices, token: str | None = None
) -> Starlette:
    """The application.

    Args:
        episodes: Of a pilot, or of a policy in use; closed at the end.
        upstream: Where models are asked; closed at the end.
        hosts: What a request's Host may say, with its port.
        prices: What models cost.
        token: What a client has to bring, as its API key or in `X-Forbear-Token`; None: nothing.
    """
    proxy = _Proxy(episodes, upstream, prices, token)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await proxy.close()

    def route(path: str, handler: Handler, *methods: str) -> Route:
        async def answer(request: Request) -> Response:
            said = _kept_out(request, hosts, token) or await _answered(handler, request)
            return Response(said.body, said.status, {**said.headers, "x-content-type-options": "nosniff"})

        return Route(path, answer, methods=list(methods))

    bases = ("/v1", "/episode/{name:path}/v1")
    routes = [
        route("/forbear/ask", proxy.ask, "POST"),
        route("/forbear/tell", proxy.tell, "POST"),
        route("/forbear/status", proxy.status, "GET"),
        *(route(f"{base}/chat/completions", proxy.complete, "POST") for base in bases),
        *(route(f"{base}/embeddings", proxy.embed, "POST") for base in bases),
        *(route(f"{base}/models", proxy.models, "GET") for base in bases),
        route("/{path:path}", _unknown, "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def _kept_out(request: Request, hosts: frozenset[str], token: str | None) -> Answer | None:
    headers = request.headers
    if headers.get("host", "").lower() not in hosts:
        return problem(421, "wrong_host", "forbear's proxy is not served under that name.")
    if "origin" in headers:
        return problem(403, "browser", "forbear's proxy answers no pages in browsers.")
    if token is not None and not any(_is_token(headers.get(name, ""), token) for name in _KEYS):
        return problem(401, "no_token", "bring the proxy's token as the API key, or in X-Forbear-Token.")
    return None


def _is_token(value: str, token: str) -> bool:
    """Whether a header brings the proxy's token, with a scheme before it or without."""
    return hmac.compare_digest(value.strip().rpartition(" ")[2].encode(), token.encode())


async def _answered(handler: Handler, request: Request) -> Answer:
    """What a handler says, or what went wrong, with a status after which clients do as they should."""
    try:
        return await handler(request)
    except (Outage, Refused) as error:
        return error.answer
    except Ended as error:
        return problem(410, "episode_over", str(error))
    except InvalidInput as error:
        return problem(400, "refused", str(error))
    except AgentError as error:  # of an intervention: 410 is not tried again
        return problem(410, "episode_stopped", str(error))
    except ForbearError as error:
        return problem(503, "unavailable", str(error))
    except ClientDisconnect:
        return problem(400, "gone", "the client went away.")


async def _unknown(request: Request) -> Answer:
    return problem(
        404,
        "not_judged",
        f"'{shown(request.url.path)}' is not served: what goes another way to a model would pass the judge by. Use "
        "chat completions (POST /v1/chat/completions); /v1/embeddings and /v1/models are passed through.",
    )


class _Proxy:
    def __init__(self, episodes: Episodes, upstream: Upstream, prices: Prices, token: str | None) -> None:
        self._episodes, self._upstream, self._token = episodes, upstream, token
        self._session = Session(prices=prices)  # critics' models leave what is to be closed in it

    async def close(self) -> None:
        self._episodes.close()
        await self._upstream.aclose()
        for close in self._session.closers:
            await close()

    # --- The host's side --------------------------------------------------------------------------------------

    async def ask(self, request: Request) -> Answer:
        said = await self._episodes.ask()
        if (name := said["episode"]) is not None:
            url = f"{request.url.scheme}://{request.headers['host']}/episode/{name}/v1"
            said |= {"base_url": url, "headers": {"X-Forbear-Episode": name}}
        return _json(said)

    async def tell(self, request: Request) -> Answer:
        body, _ = await _body(request)
        success, reason = body.get("success", "missing"), body.get("reason", "")
        if not (success is None or isinstance(success, bool)) or not isinstance(reason, str):
            raise InvalidInput(
                '"success" is true, false, or null where the outside world broke it (with a "reason"), got '
                f"{described(success)}."
            )
        name = self._episodes.named(body)
        return _json(await self._episodes.tell(name, success, reason=reason, final=body.get("final") is True))

    async def status(self, request: Request) -> Answer:
        return _json(await asyncio.to_thread(self._episodes.status))

    # --- The agent's side -------------------------------------------------------------------------------------

    async def models(self, request: Request) -> Answer:
        return await self._upstream.send("GET", "/models", query=request.url.query, headers=self._headers(request))

    async def embed(self, request: Request) -> Answer:
        body, raw = await _body(request)
        running = self._episodes.find(request.headers, request.path_params.get("name"))
        query, headers = request.url.query, self._headers(request)
        try:
            answer = await self._upstream.send("POST", "/embeddings", query=query, headers=headers, body=raw)
        except Exception as error:
            running.watch.failed(error, of="embeddings")
            raise
        running.watch.aside(usage_of(answer.body), model=str(body.get("model", "")), of="embeddings")
        return answer

    async def complete(self, request: Request) -> Answer:
        asked, raw = await _body(request)
        _require_judgeable(asked)
        running = self._episodes.find(request.headers, request.path_params.get("name"))
        digest = hashlib.sha256(raw).digest()
        async with running.lock:
            is_again = request.headers.get("x-stainless-retry-count", "0") != "0"
            if is_again and running.last is not None and running.last[0] == digest:
                answer = running.last[1]
            else:
                running.calls += 1
                running.last = None  # what is answered now takes its place, or nothing does
                answer = await self._judged(running, asked, request)
                running.last = (digest, answer)
        if asked.get("stream"):
            options = asked.get("stream_options")
            return as_stream(answer, with_usage=isinstance(options, dict) and options.get("include_usage") is True)
        return answer

    def _headers(self, request: Request) -> dict[str, str]:
        """Those of a client, without the proxy's own token, which is nobody else's."""
        token = self._token
        return {k: v for k, v in request.headers.items() if token is None or not _is_token(v, token)}

    async def _judged(self, running: Running, asked: Mapping[str, Any], request: Request) -> Answer:
        """The answer that stands, and how it came to be in its headers."""
        messages, watch, drawn = asked["messages"], running.watch, list[Action]()
        plain = {key: value for key, value in asked.items() if key not in ("stream", "stream_options")}

        async def sample(told: Sequence[Told]) -> Sampled[Answer]:
            before = [running.told.setdefault((n, one), messages[-1]) for n, one in enumerate(told)]
            sent = {**plain, "messages": woven(messages, told, before)}
            if type(sent.get("seed")) is int:  # under its own again it would only be answered as before
                sent["seed"] += watch.attempt
            got = await self._upstream.complete(sent, query=request.url.query, headers=self._headers(request))
            usage = watch.priced(got.action.usage or Usage(calls=1), model=str(asked.get("model", "")))
            drawn.append(got.action.with_usage(usage))
            return Sampled(got.raw, drawn[-1])

        with self._session.active():
            if request.headers.get("x-forbear-aside"):  # a plan, a summary: it proposes no action
                try:
                    got = await sample(watch.told())
                except Exception as error:
                    watch.failed(error)
                    raise
                watch.aside(drawn[0].usage or Usage(calls=1))
                answer = got.raw
            else:
                answer = await _proposed(running, _seen(messages), sample)
        same = sum(one == other for one, other in itertools.pairwise(drawn))
        tokens = sum((one.usage and one.usage.tokens) or 0 for one in drawn[:-1])
        told = {
            "x-forbear-episode": running.name,
            "x-forbear-dropped": str(len(drawn) - 1),
            "x-forbear-dropped-tokens": str(tokens),
            "x-forbear-noops": str(same),
        }
        return Answer(answer.status, answer.body, {**answer.headers, **told})


async def _proposed(
    running: Running, seen: list[dict[str, Any]], sample: Callable[[Sequence[Told]], Awaitable[Sampled[Answer]]]
) -> Answer:
    """The proposal that stands; what is not the agent's doing leaves no outcome."""
    try:
        return await running.watch.propose(seen, sample)
    except AgentError:
        raise
    except InvalidInput as error:  # of a critic's model, which cannot follow its options: no fault of the request
        running.watch.failed(error)
        raise ProviderError(str(error)) from error
    except Exception as error:
        running.watch.failed(error)
        raise


def _json(said: Mapping[str, Any]) -> Answer:
    return Answer(200, json.dumps(said).encode(), {"content-type": "application/json"})


async def _body(request: Request) -> tuple[dict[str, Any], bytes]:
    """A request's JSON object, and its bytes.

    Raises:
        InvalidInput: Too large, too slow, or something else.
    """
    raw = bytearray()
    try:
        async with asyncio.timeout(_READ_S):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > MAX_REQUEST:
                    raise InvalidInput(f"a request of more than {MAX_REQUEST >> 20} MiB is not taken.")
        read = json.loads(raw)
    except TimeoutError:
        raise InvalidInput(f"the request did not come within {_READ_S:g} s.") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput("the request is not JSON.") from None
    if not isinstance(read, dict):
        raise InvalidInput(f"a request is a JSON object, got {described(read)}.")
    return read, bytes(raw)


def _require_judgeable(asked: Mapping[str, Any]) -> None:
    """Refuses what would pass the judge by.

    Raises:
        InvalidInput: It would.
    """
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise InvalidInput(f'"messages" is a list of messages, at least one, got {described(messages)}.')
    if asked.get("n") not in (None, 1):
        raise InvalidInput(f"an answer is judged one at a time: leave out n, got {described(asked['n'])}.")
    for key, why in _UNJUDGED.items():
        if asked.get(key) is not None:
            raise InvalidInput(f'"{key}" is not taken: {why}.')
    tools = asked.get("tools") or []
    if not isinstance(tools, list) or any(not isinstance(one, dict) or one.get("type") != "function" for one in tools):
        raise InvalidInput('"tools" are judged of type "function" alone, which the agent runs.')
    if asked.get("modalities") not in (None, ["text"]):
        raise InvalidInput(f'"modalities" is not taken: {_UNJUDGED["audio"]}.')


def _seen(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation as records can hold it: JavaScript cuts a text in the middle of a character."""
    text = json.dumps(messages, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        clean: list[dict[str, Any]] = json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        return clean
    return messages
