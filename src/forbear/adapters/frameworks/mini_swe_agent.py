"""mini-swe-agent: a model around the user's own, for `DefaultAgent(model, env)` and what is made of it.

Its loop asks `model.query(messages)` and runs the shell commands of what comes back (2.4: `agents/default.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from forbear.adapters.frameworks.book import Told
from forbear.adapters.frameworks.capabilities import Sampled
from forbear.adapters.frameworks.proposals import action_of, needed, text_of
from forbear.adapters.frameworks.seam import Watch
from forbear.errors import AgentError, brief_error
from forbear.models.chat import Message
from forbear.records.model import Usage


class WatchedModel:
    """Stands for a model of mini-swe-agent in one episode: its commands are judged before the agent runs them.

    Dropped answers are no messages of the agent's and count against none of its limits, of steps or of cost; they are
    metered. What interventions tell is sent as the user's words at its place, in every later call too; the agent's own
    messages do not hold it. An answer without a command, which the agent tells its model to mend (`FormatError`),
    proposes nothing: it is metered, not judged. A conversation that is too long for the model is the agent's failure.
    """

    def __init__(self, model: Any, watch: Watch) -> None:
        """Wraps.

        Args:
            model: A model of mini-swe-agent, shared by episodes or not.
            watch: Of one episode.

        Raises:
            InvalidInput: mini-swe-agent is not installed.
        """
        module = needed("minisweagent.exceptions", package="mini-swe-agent", extra="mini-swe-agent")
        self._interrupts = module.InterruptAgentFlow
        self._model, self._watch = model, watch

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._model, name)

    def query(self, messages: Sequence[Any], **options: Any) -> dict[str, Any]:
        """Returns the answer that stands, as the agent takes it."""
        try:
            return self._watch.propose_sync(
                [_message(one) for one in messages], lambda told: self._asked(messages, told, options)
            )
        except self._interrupts as interrupt:  # an answer that is no command; paid for all the same
            extra = interrupt.messages[0].get("extra", {}) if interrupt.messages else {}
            self._watch.aside(_usage(extra), model=self._name)
            raise

    @property
    def _name(self) -> str:
        return str(getattr(self._model.config, "model_name", ""))

    def _asked(self, messages: Sequence[Any], told: Sequence[Told], options: Mapping[str, Any]) -> Sampled[Any]:
        woven = list(messages)
        for one in reversed(told):
            woven.insert(one.at, self._model.format_message(role="user", content=one.text))
        try:
            said = self._model.query(woven, **options)
        except Exception as error:
            if type(error).__name__ == "ContextWindowExceededError":  # of LiteLLM
                raise AgentError(f"the conversation is too long for the model ({brief_error(error)})") from error
            raise
        extra = said.get("extra", {})
        calls = [("bash", {"command": str(one.get("command", ""))}) for one in extra.get("actions", [])]
        usage = self._watch.priced(_usage(extra), model=self._name)
        return Sampled(said, action_of(text_of(_message(said)["content"]), calls, usage=usage))


def _usage(extra: Mapping[str, Any]) -> Usage:
    """What an answer took, as far as the provider's response, which models keep, tells; at the model's own price."""
    response = extra.get("response")
    tokens = response.get("usage") if isinstance(response, Mapping) else None
    told = tokens if isinstance(tokens, Mapping) else {}
    read, written = (
        next((told[name] for name in names if isinstance(told.get(name), int)), None)
        for names in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
    )
    details = told.get("prompt_tokens_details") or told.get("input_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    cost = extra.get("cost")
    return Usage(
        calls=1,
        input_tokens=read,
        output_tokens=written,
        cached_tokens=cached,
        cost=float(cost) if isinstance(cost, int | float) else None,
    )


def _message(one: Any) -> Message:
    """A message as others have it; of OpenAI's Responses, whose answers and observations have no role."""
    if one.get("object") == "response":
        parts = [part for item in one.get("output", []) for part in item.get("content") or ()]
        return {"role": "assistant", "content": text_of(parts)}
    if "role" not in one:
        return {"role": "tool", "content": text_of(one.get("output"))}
    return {"role": str(one["role"]), "content": text_of(one.get("content"))}
