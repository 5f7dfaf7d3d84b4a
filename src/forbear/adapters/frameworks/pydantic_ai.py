"""Pydantic AI: a model around the user's own, for `Agent(model=...)` or `agent.run(model=...)`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from forbear.adapters.frameworks.book import Told
from forbear.adapters.frameworks.capabilities import Sampled
from forbear.adapters.frameworks.proposals import action_of, needed, text_of
from forbear.adapters.frameworks.seam import Watch
from forbear.errors import InvalidInput
from forbear.models.chat import Message
from forbear.records.model import Usage


def watched_model(model: Any, watch: Watch) -> Any:
    """Returns a Pydantic AI model that stands for another one in one episode: its answers have been judged.

    Dropped ones do not enter the agent's messages or its usage; they are metered. What interventions tell is sent as a
    part of the user's at its place, in every later call too; the agent's own messages do not hold it. Streams are
    refused: an answer is judged before anybody sees it.

    Args:
        model: A model, or its name as Pydantic AI knows it.
        watch: Of one episode.

    Raises:
        InvalidInput: Pydantic AI is not installed.
    """
    wrapper = needed("pydantic_ai.models.wrapper", package="Pydantic AI", extra="pydantic-ai")
    base: Any = wrapper.WrapperModel

    class WatchedModel(base):  # type: ignore[misc]  # known where the package is
        async def request(self, messages: Sequence[Any], settings: Any, parameters: Any) -> Any:
            async def ask(told: Sequence[Told]) -> Sampled[Any]:
                said = await self.wrapped.request(_woven(messages, told), settings, parameters)
                return _sampled(said, watch, model=str(self.wrapped.model_name))

            return await watch.propose([_message(one, is_first=n == 0) for n, one in enumerate(messages)], ask)

        def request_stream(self, *args: Any, **options: Any) -> Any:
            raise InvalidInput("an answer is judged as a whole: run the agent by run or run_sync, not as a stream.")

    return WatchedModel(model)


def _sampled(said: Any, watch: Watch, *, model: str) -> Sampled[Any]:
    text = "\n".join(part.content for part in said.parts if part.part_kind == "text")
    calls = [(part.tool_name, part.args or {}) for part in said.parts if part.part_kind == "tool-call"]
    tokens = said.usage
    usage = Usage(
        calls=1,
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        cached_tokens=tokens.cache_read_tokens,
    )
    return Sampled(said, action_of(text, calls, usage=watch.priced(usage, model=model)))


def _message(one: Any, *, is_first: bool) -> Message:
    """A message as others have it; instructions stand in every request, and are told once."""
    if one.kind == "response":
        calls = [f"{part.tool_name}({part.args})" for part in one.parts if part.part_kind == "tool-call"]
        texts = [part.content for part in one.parts if part.part_kind == "text"]
        return {"role": "assistant", "content": "\n".join([*texts, *calls])}
    texts = [one.instructions] if is_first and one.instructions else []
    for part in one.parts:
        words = getattr(part, "model_response_str", None) or getattr(part, "model_response", None)
        texts.append(str(words()) if callable(words) else text_of(getattr(part, "content", None)))
    return {"role": "user", "content": "\n".join(texts)}


def _woven(messages: Sequence[Any], told: Sequence[Told]) -> list[Any]:
    """What is told stands behind what was seen then, in the same request."""
    woven = list(messages)
    parts = needed("pydantic_ai.messages", package="Pydantic AI", extra="pydantic-ai")
    for one in told:
        at = min(one.at, len(woven)) - 1
        woven[at] = replace(woven[at], parts=[*woven[at].parts, parts.UserPromptPart(one.text)])
    return woven
