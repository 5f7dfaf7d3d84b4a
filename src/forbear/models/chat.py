"""What a language model is to forbear: messages in, one completion out, a function of the request and its draw.

Messages, tools and tool calls have the shapes of OpenAI's chat completions, which is what most servers speak. Agents,
critics and feedback that a model writes all speak through `ChatModel`, so that there is one place that retries, limits,
meters, keeps and re-uses.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from msgspec import Struct

from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.records.model import JSON, Usage
from forbear.wording import described

Message: TypeAlias = Mapping[str, JSON]
"""`{"role": "system" | "user" | "assistant" | "tool", "content": ..., ...}`."""


class ChatOptions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How to answer; what is left out is the model's own default.

    Raises:
        InvalidInput: A number out of range.
    """

    temperature: float | None = None
    """0 is greedy; None: the model's default."""
    max_tokens: int | None = None
    """The answer is cut after so many."""
    stop: tuple[str, ...] = ()
    """The answer ends before the first of these."""
    logprobs: bool = False
    """Ask for the log-probabilities of the answer's tokens."""
    top_logprobs: int = 0
    """How many alternatives of each token to tell, with `logprobs`; 0 to 20."""
    tools: tuple[Any, ...] = ()
    """What may be called: `{"type": "function", "function": {"name", "description", "parameters"}}`."""
    json_schema: Any = None
    """The answer has to be JSON of this schema, where the server can hold it to that."""
    grammar: str | None = None
    """The answer has to be of this grammar (GBNF), which llama.cpp's servers hold it to; others refuse."""

    def __post_init__(self) -> None:
        warmth = self.temperature
        is_number = isinstance(warmth, int | float) and not isinstance(warmth, bool) and 0 <= warmth < math.inf
        if warmth is not None and not is_number:
            raise InvalidInput(f"temperature must be a number of at least 0, got {described(warmth)}.")
        if self.max_tokens is not None:
            require_count(self.max_tokens, "max_tokens")
        if not isinstance(self.top_logprobs, int) or not 0 <= self.top_logprobs <= 20:
            raise InvalidInput(f"top_logprobs must be a whole number from 0 to 20, got {described(self.top_logprobs)}.")


def require_count(value: object, name: str) -> None:
    """Refuses what is no number of things.

    Raises:
        InvalidInput: It is no whole number of at least 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidInput(f"{name} must be a whole number of at least 1, got {described(value)}.")


class Token(Struct, frozen=True, omit_defaults=True):
    """One token of an answer."""

    text: str
    logprob: float
    """Natural logarithm of its probability, at most 0."""
    top: dict[str, float] = {}
    """The likeliest alternatives at its place, itself included, with theirs."""


class ToolCall(Struct, frozen=True):
    """What the model asks to be called."""

    id: str
    name: str
    arguments: str
    """As the model wrote it: meant to be a JSON object, and not always one."""


class Completion(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model answered."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tokens: tuple[Token, ...] | None = None
    """Where log-probabilities were asked for and the server gave them."""
    finish_reason: str = "stop"
    """`stop`, `length` (cut at `max_tokens`), `tool_calls`, `content_filter`, as the server said."""
    refusal: str | None = None
    """What it said instead, where it declined."""
    usage: Usage = Usage()
    """Of this one call, `calls` being 1; its cost where prices are known."""

    @property
    def logprobs(self) -> tuple[float, ...] | None:
        """Of its tokens, in order."""
        return None if self.tokens is None else tuple(token.logprob for token in self.tokens)


class ChatModel(Protocol):
    """A language model; one object may serve many episodes at the same time."""

    async def complete(
        self, messages: Sequence[Message], *, options: ChatOptions = ChatOptions(), draw: Draw
    ) -> Completion:
        """Returns the answer to a conversation.

        Args:
            messages: The conversation, at least one message.
            options: How to answer.
            draw: All the randomness that the answer may use; the same request under the same draw is one answer. For
                several answers to one request under one draw: `draw.sample(1)`, `draw.sample(2)`, ...

        Raises:
            AgentError: The request itself cannot be answered: too long for the model's context, refused as malformed.
            ProviderError: The provider is down or out of reach; `ModelUnusable` where waiting does not mend it.
            InvalidInput: The options ask for what this model cannot do.
        """
        ...

    def config(self) -> Mapping[str, JSON]:
        """Returns what decides its answers besides messages and options; no keys, no secrets."""
        ...
