"""What one episode needs to run."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from msgspec.structs import replace

from forbear.contracts.agent import Agent
from forbear.contracts.critic import Critic
from forbear.contracts.draw import Draw
from forbear.contracts.environment import Environment
from forbear.models.session import Meter, current_session
from forbear.records.model import Task, Termination, Usage
from forbear.runner.ledger import Ledger
from forbear.runner.watch import Part, Watch


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What all episodes of a pilot have in common."""

    agent: Callable[[], Agent]
    environment: Callable[[], Environment]
    agent_remembers: bool
    """The agent has a memory of its own (it is Restorable)."""
    world_restorable: bool
    max_steps: int
    call_deadline_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Silenced:
    """A critic or an intervention that ended its process, or blocked it, in a cell: it is not asked there again."""

    arm: str
    critic: str | None
    """Its name; None: the arm's intervention."""
    fault: Literal["error", "timeout"]
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Where the runs of a task part: they have all that was drawn before it in common, and nothing after it."""

    step: int
    """Index of the proposal that is the last thing in common, with what critics say of it."""
    seed: int
    """Keys the draws after it."""

    def is_behind(self, role: str, *, step_index: int, attempt: int) -> bool:
        """Whether a draw comes after the fork.

        Before it every index was drawn for once, by a run in which nobody intervened; the world and an intervention
        answer the proposal at the fork, and so come after it.
        """
        answers = role == "environment" or role.startswith("intervention:")
        return attempt > 0 or step_index > self.step or (step_index == self.step and answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Task × arm × seed, and who watches."""

    task: Task
    arm: str
    seed: int
    draw_seed: int
    """By which draws are keyed: the seed itself, or one derived from it for an arm that draws on its own."""
    critics: Mapping[str, Critic]
    """By name: every critic in the baseline, its own in an arm."""
    deadlines: Mapping[str, float]
    """By critic, seconds after which it is not waited for any longer."""
    conditions: Conditions
    fork: Fork | None = None
    """Where it parts from the task's first run; None: it is that run, or one of its own."""
    watch: Watch | None = None
    """Where calls are announced, for a process that is watched from outside."""
    silenced: tuple[Silenced, ...] = ()

    ledger: Ledger | None = None
    """What the pilot has spent, where it has a budget."""
    claims: list[str] = field(default_factory=list)
    """Keys of the answers of models that this episode is charged with."""

    def calling(self, part: Part, *, limit_s: float, critic: str | None = None) -> Meter:
        """Around every call of foreign code: says what models answered in it.

        Raises:
            Fault: The pilot's budget is spent.
            ForbearError: What makes every further call of a model vain, whatever the foreign code made of it.
        """
        if self.ledger is not None and self.ledger.is_spent:
            raise Fault(Termination.PROVIDER_ERROR, SPENT)
        if self.watch is None:
            return Meter()
        return _Watched(self.watch.calling(part, arm=self.arm, limit_s=limit_s, critic=critic))

    def claim(self, meter: Meter) -> Usage | None:
        """Charges the episode with what models answered in a call; see `Meter.claim`."""
        if meter.keys is not None:
            self.claims.extend(meter.keys)
        return meter.claim()

    def give_back_claims(self) -> None:
        """The episode broke: the one that is tried in its place is charged with what it paid for."""
        session = current_session()
        if session is not None:
            session.claimed.difference_update(self.claims)

    def charge(self, usage: Usage | None, *, seconds: float | None) -> None:
        """Charges the budget with a call that was made now; what was known before was charged before."""
        if self.ledger is not None:
            known = Usage() if usage is None else usage
            seconds = seconds if known.seconds is None else known.seconds
            self.ledger.add(replace(known, calls=known.calls or 1, seconds=seconds))

    def silence(self, critic: str | None) -> Silenced | None:
        """Why a critic, or with None the intervention, is not asked here."""
        if not self.silenced:
            return None
        return next((one for one in self.silenced if (one.arm, one.critic) == (self.arm, critic)), None)

    @property
    def name(self) -> str:
        """How errors call it."""
        return f"task {self.task.id!r:.80}, seed {self.seed}, arm {self.arm!r:.60}"

    def draw(self, role: str, *, step_index: int, attempt: int) -> Draw:
        """Returns the draw of a role at a step."""
        seed, fork = self.draw_seed, self.fork
        if fork is not None and fork.is_behind(role, step_index=step_index, attempt=attempt):
            seed = fork.seed
        return Draw(task_id=self.task.id, seed=seed, role=role, step_index=step_index, attempt=attempt)


SPENT = "the budget is spent"
"""The cause of an episode that a budget cut off."""


class _Watched(Meter):
    """A meter of a call that is watched from outside while it lasts."""

    def __init__(self, watched: contextlib.AbstractContextManager[None]) -> None:
        super().__init__()
        self._watched = watched

    def __enter__(self) -> Self:
        self._watched.__enter__()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watched.__exit__(kind, error, trace)
        super().__exit__(kind, error, trace)


class Fault(Exception):
    """The outside world broke an episode; caught by the loop, never seen outside the runner."""

    def __init__(self, termination: Termination, cause: str) -> None:
        super().__init__(cause)
        self.termination = termination
        self.cause = cause
