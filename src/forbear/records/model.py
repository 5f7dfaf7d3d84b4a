"""What happened, as frozen data: tasks, actions, steps, trajectories, episodes.

These types are the schema of a journal's lines as well (`records.codec`): msgspec makes and reads them ten times faster
than frozen dataclasses would be. Built by the thousand inside the episode loop, so nothing here validates deeply; what
foreign code answers is checked where it enters (`contracts.border`), what a file says where it is decoded. A changed
copy: `msgspec.structs.replace`.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, TypeAlias, TypeVar

from msgspec import Meta, Struct

from forbear.errors import InvalidInput

JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
"""Whatever `json` can write; floats are finite."""

PROCEED = "proceed"
"""`Proposal.decision` where nobody intervened; otherwise it is the name of the intervention."""

REFUSED = "refused"
"""`Proposal.decision` where an intervention was due but could not be applied; the proposal ran."""

FAILED = "failed"
"""`Proposal.decision` where the agent broke instead of proposing; the action's text is empty."""

Count: TypeAlias = Annotated[int, Meta(ge=0)]
Amount: TypeAlias = Annotated[float, Meta(ge=0, le=1e300)]
"""Bounded so that sums stay finite."""
Probability: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Advantage: TypeAlias = Annotated[float, Meta(ge=-1, le=1)]


class _Nothing(dict[str, Any]):
    """The mapping that most proposals have for what they do not have; one for all of them."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _nothing, ()


def _nothing() -> dict[str, Any]:
    return NOTHING


NOTHING: Final[dict[str, Any]] = _Nothing()


class Usage(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one call took, or several together. None: not known."""

    calls: Count = 0
    input_tokens: Count | None = None
    """Cached ones included."""
    output_tokens: Count | None = None
    cached_tokens: Count | None = None
    """Those of the input that the provider had from before."""
    seconds: Amount | None = None
    """Time spent waiting for it."""
    cost: Amount | None = None
    """In the currency of the prices."""

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=_plus(self.input_tokens, other.input_tokens),
            output_tokens=_plus(self.output_tokens, other.output_tokens),
            cached_tokens=_plus(self.cached_tokens, other.cached_tokens),
            seconds=_plus(self.seconds, other.seconds),
            cost=_plus(self.cost, other.cost),
        )

    @property
    def tokens(self) -> int | None:
        """Input and output together."""
        return _plus(self.input_tokens, self.output_tokens)


_Number = TypeVar("_Number", int, float)


def _plus(one: _Number | None, other: _Number | None) -> _Number | None:
    if other is None:
        return one
    return other if one is None else one + other


def _known_sum(values: Iterable[_Number | None]) -> _Number | None:
    """The sum of what is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _sum_of(usages: Sequence[Usage]) -> Usage:
    return Usage(
        calls=sum([usage.calls for usage in usages]),
        input_tokens=_known_sum([usage.input_tokens for usage in usages]),
        output_tokens=_known_sum([usage.output_tokens for usage in usages]),
        cached_tokens=_known_sum([usage.cached_tokens for usage in usages]),
        seconds=_known_sum([usage.seconds for usage in usages]),
        cost=_known_sum([usage.cost for usage in usages]),
    )


class RoleUsage(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What one role took in an episode."""

    paid: Usage = Usage()
    """New: asked for by this arm."""
    reused: Usage = Usage()
    """Taken from an arm that had paid before."""

    @property
    def calls(self) -> int:
        """All, whoever paid for them."""
        return self.paid.calls + self.reused.calls

    @property
    def all(self) -> Usage:
        """What it would have taken by itself."""
        return self.paid + self.reused


class EpisodeUsage(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What an episode, or several, took, by role."""

    agent: RoleUsage = RoleUsage()
    critic: RoleUsage = RoleUsage()
    feedback: RoleUsage = RoleUsage()
    """What interventions took to write their messages."""
    seconds: Amount = 0.0
    """Wall time; no part of any digest."""


def paid_usage(usages: Iterable[EpisodeUsage]) -> Usage:
    """What several episodes paid for, all roles together."""
    return _sum_of([role.paid for one in usages for role in (one.agent, one.critic, one.feedback)])


def total_usage(usages: Sequence[EpisodeUsage]) -> EpisodeUsage:
    """What several episodes took together; None where none of them knew."""

    def role(ones: Sequence[RoleUsage]) -> RoleUsage:
        return RoleUsage(paid=_sum_of([one.paid for one in ones]), reused=_sum_of([one.reused for one in ones]))

    return EpisodeUsage(
        agent=role([one.agent for one in usages]),
        critic=role([one.critic for one in usages]),
        feedback=role([one.feedback for one in usages]),
        seconds=sum([one.seconds for one in usages]),
    )


class Task(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One thing to do. Its `id` is unique in a pilot and never changes: pairs and draws are keyed by it."""

    id: str
    payload: Any = None
    """JSON that the environment needs to set it up and the agent may read; never looked into by forbear."""
    stratum: str | None = None
    """Kind of task, for mixes and tables."""
    cluster: str | None = None
    """Group of tasks that are not independent of one another."""

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise InvalidInput(f"a task's id must be a text that is not empty, got {self.id!r:.80}.")

    @property
    def group(self) -> str:
        """What is independent of the rest: the cluster that it belongs to, else itself."""
        return self.cluster or self.id


class Action:
    """What an agent does at one step; immutable.

    Equal when text and payload are: what it cost, and why it was proposed, are no part of it. Not a struct like the
    others because one that is nothing but its text is written as that text.
    """

    __match_args__ = ("text",)
    __slots__ = ("logprobs", "payload", "rationale", "text", "usage")

    text: str
    payload: Any
    """JSON: its structured form, e.g. tool calls, where the text is not enough to run it."""
    rationale: str | None
    """Why it was proposed, in the agent's words."""
    logprobs: tuple[float, ...] | None
    """Natural logarithms of the probabilities of its tokens, in order, each at most 0; where the agent knows them."""
    usage: Usage | None
    """What proposing it took, where the agent knows."""

    def __init__(
        self,
        text: str,
        *,
        payload: JSON = None,
        rationale: str | None = None,
        logprobs: Sequence[float] | None = None,
        usage: Usage | None = None,
    ) -> None:
        put = object.__setattr__
        put(self, "text", text)
        put(self, "payload", payload)
        put(self, "rationale", rationale)
        put(self, "logprobs", None if logprobs is None else tuple(logprobs))
        put(self, "usage", usage)

    def __setattr__(self, name: str, value: object = None) -> None:
        raise AttributeError(f"an Action cannot be changed; make another one instead of changing {name!r}.")

    __delattr__ = __setattr__

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Action) and self.text == other.text and bool(self.payload == other.payload)

    def __hash__(self) -> int:
        return hash(self.text)  # payloads may be dicts; equal actions have equal texts, which is all a hash needs

    def __repr__(self) -> str:
        more = [f"{key}={value!r}" for key, value in self.extras().items()]
        return f"Action({', '.join([repr(self.text), *more])})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _action, (self.text, self.extras())

    def with_usage(self, usage: Usage) -> "Action":
        """The same action, saying what it took."""
        return Action(self.text, payload=self.payload, rationale=self.rationale, logprobs=self.logprobs, usage=usage)

    @property
    def is_plain(self) -> bool:
        """Whether it is nothing but its text."""
        return self.payload is None and self.usage is None and self.rationale is None and self.logprobs is None

    def extras(self) -> dict[str, Any]:
        """What it has besides its text."""
        found = {name: getattr(self, name) for name in ("payload", "rationale", "logprobs", "usage")}
        return {name: value for name, value in found.items() if value is not None}


def _action(text: str, extras: dict[str, Any]) -> Action:
    return Action(text, **extras)


class Proposal(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One action that the agent proposed, what the critics said of it and what was decided."""

    attempt: Count
    """How many proposals this episode had drawn at this index before."""
    action: Action
    shown: Count = 0
    """How many of the step's messages were shown before it."""
    excluded: tuple[Action, ...] = ()
    """Actions that the agent was asked not to propose again."""
    p_fail: Mapping[str, Probability | None] = NOTHING
    """By critic; None where it abstained or could not answer."""
    advantage: Mapping[str, Advantage] = NOTHING
    """By critic that says that instead, what stepping in is worth here; its p_fail is then None."""
    faults: Mapping[str, str] = NOTHING
    """By critic, why it could not answer: `error`, `timeout` or `invalid`."""
    why: Mapping[str, str] = NOTHING
    """By critic, its reason where it gave one; of a fault, what was wrong."""
    critic_usage: Mapping[str, Usage] = NOTHING
    """By critic, what its score took, where it knows."""
    feedback: Usage | None = None
    """What the intervention took to write its message, where it knows."""
    decision: str = PROCEED
    """`PROCEED`, `REFUSED`, `FAILED` or the name of the intervention that was applied."""
    refusal: str | None = None
    """What an intervention did instead of answering, where it was due and broke: `error: RuntimeError: ...`."""

    @property
    def intervened(self) -> bool:
        """Whether an intervention was applied."""
        return self.decision not in (PROCEED, REFUSED, FAILED)


class Step(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One stay at an index: what was seen, proposed and executed.

    Agents and critics see steps without `proposals`: what was dropped, scored or decided is not theirs to read. The
    last step that they see is open: nothing is executed in it yet.
    """

    index: Count
    observation: str
    payload: Any = None
    """JSON that the environment gave beside the text."""
    messages: tuple[str, ...] = ()
    """What interventions told the agent here, in order, before it acted."""
    proposals: tuple[Proposal, ...] = ()
    executed: Action | None = None
    """None while the step is open, and where it was left by a rollback or the end of the episode. Another action than
    the one proposed where an intervention replaced it."""
    irreversible: bool = False
    """The environment says that what was executed here cannot be undone."""
    legal_actions: tuple[str, ...] | None = None
    """Texts of what may be done, in the open step, where the environment knows; None in other steps and on disk."""


class Trajectory(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A task and its steps so far, in order: `steps[i].index == i`."""

    task: Task
    steps: tuple[Step, ...] = ()

    def prefix(self, length: int) -> "Trajectory":
        """Returns the trajectory of steps 0 to `length` − 1."""
        return Trajectory(task=self.task, steps=self.steps[:length])


class Termination(StrEnum):
    """How an episode ended."""

    FINISHED = "finished"
    """The environment said that it is over, and whether the task was done."""
    STEP_LIMIT = "step_limit"
    """The budget of steps was spent: a failure."""
    STOPPED = "stopped"
    """An intervention ended it: a failure."""
    AGENT_ERROR = "agent_error"
    """The agent itself broke (any exception, a wrong answer, an attempt to end the process): a failure."""
    AGENT_TIMEOUT = "agent_timeout"
    """The agent did not answer in time: a failure."""
    PROVIDER_ERROR = "provider_error"
    """What the agent relies on broke (a provider, a network): no outcome."""
    ENVIRONMENT_ERROR = "environment_error"
    """The environment broke, hung or answered wrongly: no outcome."""

    @property
    def is_agent_fault(self) -> bool:
        """Whether it ended because the agent broke or hung, rather than by what it did in the world."""
        return self in (Termination.AGENT_ERROR, Termination.AGENT_TIMEOUT)

    @property
    def has_outcome(self) -> bool:
        """Whether an episode that ended so says anything about the agent."""
        return self not in (Termination.PROVIDER_ERROR, Termination.ENVIRONMENT_ERROR)


class Origin(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The earlier episode of the same task whose first steps this one shares."""

    arm: str
    step: Count | None
    """How many leading steps are shared; None when the whole episode is."""
    seed: int | None = None
    """Of that episode, where it is another one: a continuation begins with the task's first run."""


class Episode(Struct, frozen=True, kw_only=True):
    """One attempt: task × arm × seed."""

    task: Task
    arm: str
    seed: int
    steps: tuple[Step, ...]
    """In the order in which they were taken. Where the index goes back, a rollback undid everything from it on."""
    termination: Termination
    success: bool | None
    """None exactly when the termination has no outcome."""
    final_observation: str | None = None
    """What the environment said after the last step's action; None where that did not run."""
    final_payload: Any = None
    """JSON that it gave beside that."""
    usage: EpisodeUsage = EpisodeUsage()
    origin: Origin | None = None
    cause: str | None = None
    """What broke, where something did."""

    def __post_init__(self) -> None:
        if (self.success is None) is self.termination.has_outcome:
            raise InvalidInput(
                f"an episode that ended with {self.termination.value!r} cannot have success={self.success!r}; "
                "success is null exactly for provider_error and environment_error."
            )

    @property
    def interventions(self) -> int:
        """How many interventions were applied."""
        return sum(proposal.intervened for step in self.steps for proposal in step.proposals)

    @property
    def first_intervention(self) -> int | None:
        """Index of the step at which the first intervention was applied."""
        return next((s.index for s in self.steps for proposal in s.proposals if proposal.intervened), None)

    @property
    def rollback_noops(self) -> int:
        """How many retries proposed the very action that had just been dropped or undone at their index."""
        count, last, dropped_at = 0, dict[int, Action](), -1
        for step in self.steps:
            for proposal in step.proposals:
                retried = step.index <= dropped_at
                count += retried and last.get(step.index) == proposal.action
                last[step.index] = proposal.action
                # Dropped, unless it ran: then the next proposal comes at a higher index.
                dropped_at = step.index if proposal.intervened else -1
        return count

    @property
    def trajectory(self) -> Trajectory:
        """The steps that stand at the end, as an agent would see them: what a rollback undid is left out."""
        kept: list[Step] = []
        for step in self.steps:
            del kept[step.index :]
            kept.append(
                Step(
                    index=step.index,
                    observation=step.observation,
                    payload=step.payload,
                    messages=step.messages,
                    executed=step.executed,
                    irreversible=step.irreversible,
                )
            )
        return Trajectory(task=self.task, steps=tuple(kept))
