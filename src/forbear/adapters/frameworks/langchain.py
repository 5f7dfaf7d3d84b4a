"""LangChain: a middleware for `create_agent(...)`, which LangGraph runs."""

from collections.abc import Sequence
from typing import Any

from forbear.adapters.frameworks.book import Told
from forbear.adapters.frameworks.capabilities import Sampled
from forbear.adapters.frameworks.proposals import action_of, needed, text_of
from forbear.adapters.frameworks.seam import Watch
from forbear.models.chat import Message
from forbear.records.model import Usage

_ROLES = {"human": "user", "ai": "assistant"}


def watching(watch: Watch) -> Any:
    """Returns an `AgentMiddleware` of one episode that judges what the model answers.

    Dropped answers do not enter the graph's state; they are metered. What interventions tell is sent as the user's
    words at its place, in every later call too; the state does not hold it. Put it last, so that it is innermost: the
    retries of others are then judged as well. A run that is streamed with `stream_mode="messages"` shows tokens before
    they are judged, dropped ones too: stream "updates" or "values", or not at all.

    Args:
        watch: Of one episode.

    Raises:
        InvalidInput: LangChain is not installed.
    """
    middleware: Any = needed("langchain.agents.middleware", package="LangChain", extra="langchain")
    human: Any = needed("langchain_core.messages", package="LangChain", extra="langchain").HumanMessage
    base: Any = middleware.AgentMiddleware

    def woven(request: Any, told: Sequence[Told]) -> Any:
        messages = list(request.messages)
        for one in reversed(told):
            messages.insert(one.at, human(content=one.text))
        return request.override(messages=messages)

    class Watching(base):  # type: ignore[misc]  # known where the package is
        """Stands where the agent calls its model."""

        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            return watch.propose_sync(
                [_message(one) for one in request.messages],
                lambda told: _sampled(handler(woven(request, told)), watch),
            )

        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            async def ask(told: Sequence[Told]) -> Sampled[Any]:
                return _sampled(await handler(woven(request, told)), watch)

            return await watch.propose([_message(one) for one in request.messages], ask)

    return Watching()


def _sampled(said: Any, watch: Watch) -> Sampled[Any]:
    message = next((one for one in reversed(said.result) if one.type == "ai"), said.result[-1])
    calls = [(call["name"], call["args"]) for call in getattr(message, "tool_calls", ())]
    tokens = getattr(message, "usage_metadata", None) or {}
    usage = Usage(
        calls=1,
        input_tokens=tokens.get("input_tokens"),
        output_tokens=tokens.get("output_tokens"),
        cached_tokens=(tokens.get("input_token_details") or {}).get("cache_read"),
    )
    model = str(message.response_metadata.get("model_name") or "")
    return Sampled(said, action_of(text_of(message.content), calls, usage=watch.priced(usage, model=model)))


def _message(one: Any) -> Message:
    """A message as others have it."""
    calls = [f"{call['name']}({call['args']})" for call in getattr(one, "tool_calls", None) or ()]
    return {"role": _ROLES.get(one.type, one.type), "content": "\n".join([text_of(one.content), *calls])}
