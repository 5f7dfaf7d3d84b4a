"""What one episode needs to run."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from forbear.contracts.agent import Agent
from forbear.contracts.critic import Critic
from forbear.contracts.draw import Draw
from forbear.contracts.environment import Environment
from forbear.records.model import Task, Termination
from forbear.runner.watch import Part, Watch

_UNWATCHED = contextlib.nullcontext()


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
    watch: Watch | None = None
    """Where calls are announced, for a process that is watched from outside."""
    silenced: tuple[Silenced, ...] = ()

    def calling(
        self, part: Part, *, limit_s: float, critic: str | None = None
    ) -> contextlib.AbstractContextManager[None]:
        """Around every call of foreign code."""
        if self.watch is None:
            return _UNWATCHED
        return self.watch.calling(part, arm=self.arm, limit_s=limit_s, critic=critic)

    def silence(self, critic: str | None) -> Silenced | None:
        """Why a critic, or with None the intervention, is not asked here."""
        return next((one for one in self.silenced if (one.arm, one.critic) == (self.arm, critic)), None)

    @property
    def name(self) -> str:
        """How errors call it."""
        return f"task {self.task.id!r:.80}, seed {self.seed}, arm {self.arm!r:.60}"

    def draw(self, role: str, *, step_index: int, attempt: int) -> Draw:
        """Returns the draw of a role at a step."""
        return Draw(task_id=self.task.id, seed=self.draw_seed, role=role, step_index=step_index, attempt=attempt)


class Fault(Exception):
    """The outside world broke an episode; caught by the loop, never seen outside the runner."""

    def __init__(self, termination: Termination, cause: str) -> None:
        super().__init__(cause)
        self.termination = termination
        self.cause = cause
