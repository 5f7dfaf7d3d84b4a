"""A language model in this process: a GGUF of one's own, or the small one that `forbear models install` brings."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import to_builtins

from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput, ProviderError, brief_error
from forbear.models.chat import ChatOptions, Completion, Message, Token, ToolCall
from forbear.models.kept import KeptModel
from forbear.models.llama import PACKAGE, Engine, Settings, engine_of, engine_version
from forbear.models.weights import installed_weights, sha256_of
from forbear.records.model import JSON, Usage
from forbear.wording import described, shown

SAMPLING: Final[Mapping[str, float]] = {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05}
"""llama.cpp's own, said here so that another version of it samples alike; options replace the temperature."""

_SEEDS = 0xFFFFFFFF
"""llama.cpp's seeds are below; that one itself asks for a random seed."""


class LocalChat(KeptModel):
    """Answers with a GGUF on the processor, greedily or seeded by the draw; no key, no network.

    The same request and draw give the same bytes in any order of calls: an engine answers one after the other and keeps
    nothing (`forbear.models.llama`). The object holds only its parameters, so it can be pickled; each process loads the
    weights once for all objects with the same ones. A call that is cancelled while it runs is finished first.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        context: int = 2048,
        threads: int = 1,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> None:
        """Notes what to load; nothing is loaded before the first answer.

        Args:
            model: Path of a GGUF with a chat template; None: the installed weights.
            context: Tokens that a prompt and its answer may have together, at least 256.
            threads: Of the processor. More than one is slower where others work as well, since they wait spinning.
            temperature: Of requests that do not say otherwise; None: `SAMPLING`'s.
            max_tokens: Likewise; None: until the model or its context ends.

        Raises:
            InvalidInput: A number out of range.
        """
        for name, value, least in (("context", context, 256), ("threads", threads, 1)):
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 24:
                raise InvalidInput(f"{name} must be a whole number of at least {least}, got {described(value)}.")
        self._model = None if model is None else Path(model)
        self._context, self._threads = context, threads
        self.defaults = ChatOptions(temperature=temperature, max_tokens=max_tokens)
        _check(self.defaults)

    @property
    def name(self) -> str:
        """The file's, without its ending."""
        return self._path().stem

    async def ask(self, messages: Sequence[Message], *, options: ChatOptions, draw: Draw) -> Completion:
        """Returns the answer to a conversation; its usage counts the time of the answer, not of waiting for its turn.

        Raises:
            AgentError: No messages, malformed ones, or more than the context holds.
            InvalidInput: Options that this model cannot follow; or the engine or the weights are not installed.
            ProviderError: The engine failed.
        """
        request = _request(messages, options, seed=draw.integer() % _SEEDS)
        engine = engine_of(Settings(path=self._path(), context=self._context, threads=self._threads))
        running = asyncio.get_running_loop().run_in_executor(engine.thread, _answer, engine, request, options)
        answer, seconds = await running
        return _completion(answer, options, seconds=seconds)

    def config(self) -> Mapping[str, JSON]:
        """The content of the weights, the engine and its version, and how it samples.

        Raises:
            InvalidInput: The engine or the weights are not installed.
        """
        path = self._path()
        return {
            "name": self.name,
            "sha256": sha256_of(path),
            "engine": f"{PACKAGE} {engine_version()}",
            "context": self._context,
            "threads": self._threads,
            "sampling": dict(SAMPLING),
            "options": to_builtins(self.defaults),
        }

    def _path(self) -> Path:
        return installed_weights() if self._model is None else self._model


def _request(messages: Sequence[Message], options: ChatOptions, *, seed: int) -> dict[str, Any]:
    """The body of a chat completion as llama.cpp reads it."""
    if not messages:
        raise AgentError("a conversation needs at least one message.")
    _check(options)
    request: dict[str, Any] = {
        **SAMPLING,
        "messages": [dict(message) for message in messages],
        "seed": seed,
        "cache_prompt": False,
    }
    if options.temperature is not None:
        request["temperature"] = options.temperature
    if options.max_tokens is not None:
        request["max_tokens"] = options.max_tokens
    if options.stop:
        request["stop"] = list(options.stop)
    if options.logprobs:
        request |= {"logprobs": True, "top_logprobs": max(1, options.top_logprobs)}  # 0 would give none at all
    if options.tools:
        request["tools"] = list(options.tools)
    if options.grammar is not None:
        request["grammar"] = options.grammar
    if options.json_schema is not None:
        schema = {"name": "answer", "schema": options.json_schema}
        request["response_format"] = {"type": "json_schema", "json_schema": schema}
    return request


def _check(options: ChatOptions) -> None:
    heat = options.temperature
    if heat is not None and not (isinstance(heat, int | float) and math.isfinite(heat) and heat >= 0):
        raise InvalidInput(f"temperature must be a number of at least 0, got {described(heat)}.")
    most = options.max_tokens
    if most is not None and not (isinstance(most, int) and most >= 1):
        raise InvalidInput(f"max_tokens must be a whole number of at least 1, got {described(most)}.")
    if not (isinstance(options.top_logprobs, int) and 0 <= options.top_logprobs <= 20):
        raise InvalidInput(f"top_logprobs must be from 0 to 20, got {described(options.top_logprobs)}.")
    if not all(isinstance(text, str) and text for text in options.stop):
        raise InvalidInput(f"stop must be texts that are not empty, got {described(options.stop)}.")
    if sum((bool(options.tools), options.grammar is not None, options.json_schema is not None)) > 1:
        raise InvalidInput("an answer can be held to one of tools, grammar and json_schema, not to several.")


def _answer(engine: Engine, request: Mapping[str, Any], options: ChatOptions) -> tuple[Mapping[str, Any], float]:
    """Asks the engine, in its thread; returns the answer and its seconds."""
    if options.tools and not engine.tells_tools():
        raise InvalidInput(
            "this model's chat template has no place for tools, so that it would never learn of them; describe the "
            "actions in the messages instead."
        )
    begun = time.perf_counter()
    try:
        answer = engine.answer(request)
    except (ValueError, TypeError, RuntimeError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise _refused(brief_error(error), options) from None
    if "error" in answer:
        told = answer["error"]
        said = str(told.get("message", told))
        if told.get("type") == "exceed_context_size_error":
            raise AgentError(
                f"the prompt has {told.get('n_prompt_tokens')} tokens and the model's context {told.get('n_ctx')}; "
                "shorten the conversation, or give the model a larger context."
            )
        if told.get("code", 500) >= 500:
            raise ProviderError(f"the local model's engine failed: {shown(said, limit=300)}")
        raise _refused(said, options)
    return answer, time.perf_counter() - begun


def _refused(said: str, options: ChatOptions) -> AgentError | InvalidInput:
    """Whose fault a refusal is; llama.cpp says so in words only."""
    for name, given in (("grammar", options.grammar), ("json_schema", options.json_schema)):
        if given is not None and ("grammar" in said.lower() or "schema" in said.lower()):
            return InvalidInput(f"the model cannot follow the {name} {described(given)}: {shown(said, limit=300)}")
    return AgentError(f"the model refused the conversation: {shown(said, limit=300)}")


def _completion(answer: Mapping[str, Any], options: ChatOptions, *, seconds: float) -> Completion:
    choice, used = answer["choices"][0], answer["usage"]
    message = choice["message"]
    return Completion(
        text=message.get("content") or "",
        tool_calls=tuple(
            ToolCall(id=call.get("id") or "", name=call["function"]["name"], arguments=call["function"]["arguments"])
            for call in message.get("tool_calls") or ()
        ),
        tokens=_tokens(choice, tops=options.top_logprobs) if options.logprobs else None,
        finish_reason=choice["finish_reason"],
        usage=Usage(
            calls=1,
            input_tokens=used["prompt_tokens"],
            output_tokens=used["completion_tokens"],
            cached_tokens=0,
            seconds=seconds,
        ),
    )


def _tokens(choice: Mapping[str, Any], *, tops: int) -> tuple[Token, ...]:
    # An answer that was cut within its first character has none.
    told = (choice.get("logprobs") or {}).get("content") or ()
    return tuple(
        Token(text=one["token"], logprob=min(0.0, one["logprob"]), top=_top(one["top_logprobs"][:tops])) for one in told
    )


def _top(alternatives: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in alternatives:  # likeliest first: of two that look alike, as parts of characters do, it stays
        found.setdefault(one["token"], min(0.0, one["logprob"]))
    return found
