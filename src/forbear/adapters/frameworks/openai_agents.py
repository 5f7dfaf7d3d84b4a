"""OpenAI's Agents SDK: a model around the user's own, for `Agent(model=...)` or `RunConfig(model=...)`."""

from collections.abc import Sequence
from typing import Any

from forbear.adapters.frameworks.book import Told
from forbear.adapters.frameworks.capabilities import Sampled
from forbear.adapters.frameworks.proposals import action_of, needed, text_of
from forbear.adapters.frameworks.seam import Watch
from forbear.errors import InvalidInput
from forbear.models.chat import Message
from forbear.records.model import Usage


def watched_model(model: Any, watch: Watch) -> Any:
    """Returns a model of the Agents SDK that stands for another one in one episode: its answers have been judged.

    Dropped ones do not enter the run's items or its usage; they are metered. What interventions tell is sent as the
    user's words at its place, in every later call too; the run's own items do not hold it. Streams are refused, and so
    are conversations that the server keeps: there a dropped answer would already be part of them.

    Args:
        model: A model of the SDK, such as `OpenAIChatCompletionsModel(...)`.
        watch: Of one episode.

    Raises:
        InvalidInput: The Agents SDK is not installed.
    """
    base: Any = needed("agents.models.interface", package="OpenAI's Agents SDK", extra="openai-agents").Model

    class WatchedModel(base):  # type: ignore[misc]  # known where the package is
        async def get_response(
            self, system_instructions: Any, input: Any, model_settings: Any, *more: Any, **options: Any
        ) -> Any:
            if options.get("previous_response_id") or options.get("conversation_id"):
                raise InvalidInput(
                    "the server keeps this conversation, and would keep what is dropped: run without "
                    "previous_response_id and conversation_id."
                )
            items = [{"role": "user", "content": input}] if isinstance(input, str) else list(input)

            async def ask(told: Sequence[Told]) -> Sampled[Any]:
                said = await model.get_response(
                    system_instructions, _woven(items, told), model_settings, *more, **options
                )
                return _sampled(said, watch, model=str(getattr(model, "model", "")))

            return await watch.propose([_message(one) for one in items], ask)

        def stream_response(self, *args: Any, **options: Any) -> Any:
            raise InvalidInput("an answer is judged as a whole: take Runner.run or run_sync, not run_streamed.")

        async def close(self) -> None:
            await model.close()

        def get_retry_advice(self, request: Any) -> Any:
            return model.get_retry_advice(request)

    return WatchedModel()


def _sampled(said: Any, watch: Watch, *, model: str) -> Sampled[Any]:
    texts = [text_of([part.model_dump() for part in one.content]) for one in said.output if one.type == "message"]
    calls = [_called(one) for one in said.output if one.type not in ("message", "reasoning")]
    tokens = said.usage
    details = getattr(tokens, "input_tokens_details", None)
    usage = Usage(
        calls=1,
        input_tokens=tokens.input_tokens,
        output_tokens=tokens.output_tokens,
        cached_tokens=getattr(details, "cached_tokens", None),
    )
    return Sampled(said, action_of("\n".join(texts), calls, usage=watch.priced(usage, model=model)))


def _called(item: Any) -> tuple[str, Any]:
    """A call of a function; of anything else that the SDK would do, its kind and all that it holds."""
    if item.type == "function_call":
        return item.name, item.arguments
    return item.type, item.model_dump(mode="json")


def _message(item: Any) -> Message:
    """An item of the conversation as others have it."""
    given = item if isinstance(item, dict) else item.model_dump()
    if given.get("type") == "function_call_output":
        return {"role": "tool", "content": text_of(given.get("output"))}
    if "role" not in given:  # a call, or what it thought
        return {"role": "assistant", "content": f"{given.get('name', given.get('type'))}({given.get('arguments', '')})"}
    return {"role": str(given["role"]), "content": text_of(given.get("content"))}


def _woven(items: Sequence[Any], told: Sequence[Told]) -> list[Any]:
    woven = list(items)
    for one in reversed(told):
        woven.insert(one.at, {"role": "user", "content": one.text})
    return woven
