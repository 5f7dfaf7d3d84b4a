"""Feedback that a language model writes, afresh for each proposal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from forbear.contracts.border import config_of
from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Continue, Retry
from forbear.errors import AgentError, InvalidInput
from forbear.interventions.message import NO_REASON
from forbear.models.chat import ChatModel, ChatOptions, require_count
from forbear.models.prompts import prompt
from forbear.models.transcript import transcript
from forbear.records.codec import config_digest
from forbear.records.model import JSON, Action, Trajectory
from forbear.templates import fill_template
from forbear.wording import described

HOLES = ("history", "action", "why", "p_fail")
"""`{history}`: all that was seen and done; `{action}`: the proposal; `{why}`: the critic's reason, which can leak into
what the agent is told; `{p_fail}`: its probability of failure, in per cent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFeedback:
    """Asks a model for a sentence or two on the proposal, and shows them to the agent.

    Undoes nothing: the proposal is dropped before it runs (`rollback`), or runs (`append`). What the model took is the
    pilot's role `feedback`. Where it is down or writes nothing, the intervention is refused, and the agent goes on.

    Raises:
        InvalidInput: Options out of range, or a prompt that cannot be used.
    """

    model: ChatModel
    """Which model."""
    then: Literal["rollback", "append"] = "rollback"
    """The agent is told before it proposes again, or the action runs and it is told with what it sees next."""
    prompt: str | Path | None = None
    """A text with holes (`HOLES`) or the path of one; None: the shipped one, which does not hand on the reason."""
    temperature: float | None = 0.0
    """Of what is written; None: the model's own."""
    max_tokens: int | None = 120
    """Of what is written."""
    last_steps: int | None = None
    """How many of the latest steps the model reads, at least 1; None: all."""
    text: str = field(init=False, repr=False, compare=False)
    """The prompt itself."""

    def __post_init__(self) -> None:
        if self.then not in ("rollback", "append"):
            raise InvalidInput(f"ChatFeedback's then is rollback or append, got {described(self.then)}.")
        ChatOptions(temperature=self.temperature, max_tokens=self.max_tokens)  # which refuses what no model can follow
        if self.last_steps is not None:
            require_count(self.last_steps, "last_steps")
        text = prompt(
            self.prompt, shipped="feedback.txt", package=__package__, holes=HOLES, whose="ChatFeedback's prompt"
        )
        object.__setattr__(self, "text", text)

    @property
    def name(self) -> str:
        """`feedback`."""
        return "feedback"

    async def apply(self, trajectory: Trajectory, proposed: Action, *, score: Score, draw: Draw) -> Retry | Continue:
        """Returns what the model wrote.

        Raises:
            AgentError: It wrote nothing, or as it raises itself.
            ProviderError: Its provider is down.
        """
        fills = {
            "history": transcript(trajectory, last_steps=self.last_steps),
            "action": proposed.text,
            "why": score.why or NO_REASON,
            "p_fail": "unknown" if score.p_fail is None else f"{score.p_fail:.0%}",
        }
        asked = {"role": "user", "content": fill_template(self.text, fills)}
        options = ChatOptions(temperature=self.temperature, max_tokens=self.max_tokens)
        said = await self.model.complete([asked], options=options, draw=draw)
        message = said.text.strip()
        if said.refusal or not message:
            raise AgentError(f"the model wrote no feedback{f', it said: {said.refusal}' if said.refusal else ''}")
        return Retry(message=message) if self.then == "rollback" else Continue(message=message)

    def config(self) -> Mapping[str, JSON]:
        """Returns the model's config, how it is asked, and the digest of its prompt."""
        return {
            "kind": self.name,
            "model": dict(config_of(self.model, what="feedback's model")),
            "then": self.then,
            "prompt": config_digest(self.text),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "last_steps": self.last_steps,
        }
