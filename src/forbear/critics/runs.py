"""Runs of an agent as a critic meets them: what was seen and proposed at each step, and how each ended."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from forbear.records.model import Action, Step, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRun:
    """One run that ended with an outcome. It holds nothing that came after its last action."""

    trajectory: Trajectory
    """All its steps, in order; in each something was executed, and its observation is what was seen before that."""
    success: bool
    run: str
    """Tells runs of one task and agent apart: the seed, where there is one."""
    arm: str | None = None
    agent: str | None = None
    model: str | None = None
    """Names, where the file says them."""
    place: str = ""
    """File and line, for messages."""
    recorded: tuple[Mapping[str, object], ...] = ()
    """By step, what critics said of what was executed there, as the file has it; no critic is shown it."""
    changed: bool = False
    """Whether an intervention changed the run: what critics said then is of another agent."""

    @property
    def task(self) -> str:
        """The task's id."""
        return self.trajectory.task.id

    @property
    def group(self) -> str:
        """What must not be in two splits: the task, or the cluster of tasks that it belongs to."""
        return self.trajectory.task.group

    @property
    def failed(self) -> bool:
        """Whether the run failed: the label of each of its steps."""
        return not self.success

    def judged(self) -> Iterator[tuple[Trajectory, Action]]:
        """Yields each step as a critic meets it: the history, its last step open, and what was proposed there."""
        task, steps = self.trajectory.task, self.trajectory.steps
        for index, step in enumerate(steps):
            assert step.executed is not None
            opened = Step(index=index, observation=step.observation, payload=step.payload, messages=step.messages)
            yield Trajectory(task=task, steps=(*steps[:index], opened)), step.executed
