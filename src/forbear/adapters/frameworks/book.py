"""The steps of one episode that a framework runs, as they show at the calls of its model."""

from collections.abc import Sequence
from dataclasses import dataclass

from forbear.adapters.frameworks.proposals import seen_text
from forbear.contracts.intervention import Effect, Retry
from forbear.models.chat import Message
from forbear.policy.judge import Review
from forbear.records.model import NOTHING, PROCEED, Action, Proposal, Step, Task, Trajectory, Usage


@dataclass(frozen=True, slots=True)
class Told:
    """A message of an intervention, and before which message of the framework's conversation it belongs."""

    at: int
    text: str


class Book:
    """Keeps what was seen, told, proposed and handed back to the framework."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._closed: list[Step] = []
        self._proposals: list[Proposal] = []
        self._prefix: Sequence[Message] = ()
        self._observation = ""
        self._told: list[Told] = []
        self._messages: tuple[str, ...] = ()
        self._excluded: tuple[Action, ...] = ()
        self._pending: str | None = None

    @property
    def index(self) -> int:
        """Of the open step."""
        return len(self._closed)

    @property
    def attempt(self) -> int:
        """How many proposals the open step has had."""
        return len(self._proposals)

    def open(self, prefix: Sequence[Message]) -> None:
        """Begins a step; one that the framework asks again about, because its model failed, goes on."""
        if self._proposals:
            return
        pairs = enumerate(zip(self._prefix, prefix, strict=False))
        same = next((n for n, (one, other) in pairs if one != other), min(len(self._prefix), len(prefix)))
        self._observation = seen_text(prefix[same:])
        self._prefix, self._messages, self._excluded = tuple(prefix), (), ()
        if self._pending is not None:
            self._tell(self._pending)
            self._pending = None

    def _tell(self, text: str) -> None:
        self._messages = (*self._messages, text)
        self._told.append(Told(len(self._prefix), text))

    def woven(self) -> tuple[Told, ...]:
        """What the model is to be told beside the prefix."""
        if not self._excluded:
            return tuple(self._told)
        listed = "; ".join(action.text for action in self._excluded)
        return (*self._told, Told(len(self._prefix), f"Do not do this: {listed}"))

    def trajectory(self) -> Trajectory:
        """As agent and critic see it: the last step is open."""
        seen = [Step(index=s.index, observation=s.observation, messages=s.messages, executed=s.executed)
                for s in self._closed]  # fmt: skip
        opened = Step(index=self.index, observation=self._observation, messages=self._messages)
        return Trajectory(task=self._task, steps=(*seen, opened))

    def note(
        self,
        action: Action,
        review: Review | None,
        *,
        critic: str,
        decision: str = PROCEED,
        refusal: str | None = None,
        critic_usage: Usage | None = None,
        feedback: Usage | None = None,
    ) -> None:
        """Writes down a proposal and what was made of it."""
        score = None if review is None else review.score
        gives_advantage = score is not None and score.advantage is not None
        self._proposals.append(
            Proposal(
                attempt=self.attempt,
                action=action,
                shown=len(self._messages),
                excluded=self._excluded,
                p_fail=NOTHING if score is None else {critic: None if gives_advantage else score.p_fail},
                advantage={critic: score.advantage} if score is not None and score.advantage is not None else NOTHING,
                faults={critic: review.fault} if review is not None and review.fault is not None else NOTHING,
                why={critic: score.why} if score is not None and score.why is not None else NOTHING,
                critic_usage={critic: critic_usage} if critic_usage is not None else NOTHING,
                feedback=feedback,
                decision=decision,
                refusal=refusal,
            )
        )

    def drop(self, effect: Retry, action: Action) -> None:
        """The agent is to propose again, after what it is told."""
        if effect.exclude and action not in self._excluded:
            self._excluded = (*self._excluded, action)
        if effect.message is not None:
            self._tell(effect.message)

    def hand_over(self, action: Action, effect: Effect) -> None:
        """The framework gets the proposal, and runs it."""
        self._closed.append(self._step(action))
        self._proposals = []
        self._pending = getattr(effect, "message", None)

    def _step(self, executed: Action | None) -> Step:
        return Step(
            index=self.index,
            observation=self._observation,
            messages=self._messages,
            proposals=tuple(self._proposals),
            executed=executed,
        )

    def steps(self) -> tuple[Step, ...]:
        """All, and the open one where something was proposed in it."""
        return (*self._closed, self._step(None)) if self._proposals else tuple(self._closed)
