"""What happened, as frozen data: tasks, actions, steps, trajectories, episodes.

Built by the thousand inside the episode loop, so nothing here validates deeply; `records.codec` checks what comes from
outside.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from forbear.errors import InvalidInput

JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
"""Whatever `json` can write; floats are finite."""

PROCEED = "proceed"
"""`Proposal.decision` where nobody intervened; otherwise it is the name of the intervention."""

REFUSED = "refused"
"""`Proposal.decision` where an intervention was due but could not be applied; the proposal ran."""

FAILED = "failed"
"""`Proposal.decision` where the agent broke instead of proposing; the action's text is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One thing to do. Its `id` is unique in a pilot and never changes: pairs and draws are keyed by it."""

    id: str
    payload: JSON = None
    """What the environment needs to set it up and the agent may read; never looked into by forbear."""
    stratum: str | None = None
    """Kind of task, for mixes and tables."""
    cluster: str | None = None
    """Group of tasks that are not independent of one another."""

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise InvalidInput(f"a task's id must be a text that is not empty, got {self.id!r:.80}.")


@dataclass(frozen=True, slots=True)
class Action:
    """What an agent does at one step. Equal when text and payload are; what it cost is no part of it."""

    text: str
    payload: JSON = field(default=None, kw_only=True)
    """Structured form, e.g. tool calls, where the text is not enough to run it."""
    tokens: int | None = field(default=None, kw_only=True, compare=False)
    """Tokens that proposing it took, where the agent knows."""

    def __hash__(self) -> int:
        return hash(self.text)  # payloads may be dicts; equal actions have equal texts, which is all a hash needs


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One action that the agent proposed, what the critics said of it and what was decided."""

    attempt: int
    """How many proposals this episode had drawn at this index before."""
    action: Action
    shown: int = 0
    """How many of the step's messages were shown before it."""
    excluded: tuple[Action, ...] = ()
    """Actions that the agent was asked not to propose again."""
    p_fail: Mapping[str, float | None] = field(default_factory=dict)
    """By critic; None where it abstained or could not answer."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """By critic, why it could not answer: `error`, `timeout` or `invalid`."""
    decision: str = PROCEED
    """`PROCEED`, `REFUSED`, `FAILED` or the name of the intervention that was applied."""

    @property
    def intervened(self) -> bool:
        """Whether an intervention was applied."""
        return self.decision not in (PROCEED, REFUSED, FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One stay at an index: what was seen, proposed and executed.

    Agents and critics see steps without `proposals`: what was dropped, scored or decided is not theirs to read. The
    last step that they see is open: nothing is executed in it yet.
    """

    index: int
    observation: str
    messages: tuple[str, ...] = ()
    """What interventions told the agent here, in order, before it acted."""
    proposals: tuple[Proposal, ...] = ()
    executed: Action | None = None
    """None while the step is open, and where it was left by a rollback or the end of the episode."""
    irreversible: bool = False
    """The environment says that what was executed here cannot be undone."""
    legal_actions: tuple[str, ...] | None = None
    """Texts of what may be done, in the open step, where the environment knows; None in other steps and on disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
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
    """The agent itself broke: a failure."""
    PROVIDER_ERROR = "provider_error"
    """What the agent relies on broke (a provider, a network): no outcome."""
    ENVIRONMENT_ERROR = "environment_error"
    """The environment broke: no outcome."""

    @property
    def has_outcome(self) -> bool:
        """Whether an episode that ended so says anything about the agent."""
        return self not in (Termination.PROVIDER_ERROR, Termination.ENVIRONMENT_ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an episode took. "New" is what this arm paid: the rest was taken from an arm that had paid before."""

    agent_calls: int = 0
    new_agent_calls: int = 0
    critic_calls: int = 0
    new_critic_calls: int = 0
    tokens: int | None = None
    """Of all proposals; None where the agent does not say."""
    seconds: float = 0.0
    """Wall time; no part of any digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The earlier episode of the same task and seed whose first steps this one shares."""

    arm: str
    step: int | None
    """How many leading steps are shared; None when the whole episode is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
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
    usage: Usage = field(default_factory=Usage)
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
                    messages=step.messages,
                    executed=step.executed,
                    irreversible=step.irreversible,
                )
            )
        return Trajectory(task=self.task, steps=tuple(kept))
