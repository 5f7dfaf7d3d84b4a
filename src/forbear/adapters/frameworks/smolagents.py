"""smolagents: a model around the user's own, for `ToolCallingAgent` and `CodeAgent`.

smolagents has no hook between a proposal and its execution: step callbacks come after it. Its model does see both
(1.26: `agents.py`, `ToolCallingAgent._step_stream` and `CodeAgent._step_stream` call `model.generate`).
"""

from collections.abc import Sequence
from typing import Any

from forbear.adapters.frameworks.book import Told
from forbear.adapters.frameworks.capabilities import Sampled
from forbear.adapters.frameworks.proposals import action_of, needed, text_of
from forbear.adapters.frameworks.seam import Watch
from forbear.models.chat import Message
from forbear.records.model import Usage

_OWN = ("assistant", "tool-call")
"""Roles of what the agent said itself."""


class WatchedModel:
    """Stands for a smolagents model in one episode: its proposals are judged before the agent gets them.

    Dropped ones become no step of the agent's and count against no `max_steps`; they are metered. What interventions
    tell is shown to the model as the user's words at its place, in every later call too; the agent's memory does not
    hold it. Plans and the answer that is forced at the last step propose no action: they are metered, not judged.
    Streaming is refused by the agent itself: a proposal is judged before anybody sees it.
    """

    def __init__(self, model: Any, watch: Watch) -> None:
        """Wraps.

        Args:
            model: A smolagents model, shared by episodes or not.
            watch: Of one episode.

        Raises:
            InvalidInput: smolagents is not installed.
        """
        self._smolagents = needed("smolagents", package="smolagents", extra="smolagents")
        self._model, self._watch = model, watch

    def __getattr__(self, name: str) -> Any:
        if name in ("generate_stream", "_model"):  # agents look whether it is there
            raise AttributeError(name)
        return getattr(self._model, name)

    def generate(self, messages: Sequence[Any], stop_sequences: list[str] | None = None, **options: Any) -> Any:
        """Returns the answer that stands, as the agent takes it."""
        proposes = bool(options.get("tools_to_call_from")) or "Observation:" in (stop_sequences or ())
        if stop_sequences is not None:
            options["stop_sequences"] = stop_sequences
        if not proposes:
            try:
                said = self._model.generate(self._woven(messages, self._watch.told()), **options)
            except Exception as error:
                self._watch.failed(error)
                raise
            self._watch.aside(_usage(said), model=self._name)
            return said
        return self._watch.propose_sync(
            [_message(one) for one in messages],
            lambda told: self._sampled(self._model.generate(self._woven(messages, told), **options)),
        )

    __call__ = generate

    @property
    def _name(self) -> str:
        return str(getattr(self._model, "model_id", None) or "")

    def _sampled(self, said: Any) -> Sampled[Any]:
        calls = [(call.function.name, call.function.arguments) for call in said.tool_calls or ()]
        usage = self._watch.priced(_usage(said), model=self._name)
        return Sampled(said, action_of(text_of(said.content), calls, usage=usage))

    def _woven(self, messages: Sequence[Any], told: Sequence[Told]) -> list[Any]:
        woven = list(messages)
        role = self._smolagents.models.MessageRole.USER
        for one in reversed(told):
            content = [{"type": "text", "text": one.text}]
            woven.insert(one.at, self._smolagents.models.ChatMessage(role=role, content=content))
        return woven


def _usage(said: Any) -> Usage:
    tokens = said.token_usage
    if tokens is None:
        return Usage(calls=1)
    return Usage(calls=1, input_tokens=tokens.input_tokens, output_tokens=tokens.output_tokens)


def _message(one: Any) -> Message:
    """A message as others have it."""
    given = one if isinstance(one, dict) else {"role": one.role, "content": one.content}
    role = str(getattr(given["role"], "value", given["role"]))
    return {"role": "assistant" if role in _OWN else role, "content": text_of(given.get("content"))}
