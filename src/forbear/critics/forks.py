"""Forks: prefixes from which an agent was let go on, and stepped in on, and what the difference was."""

from collections.abc import Iterable
from dataclasses import dataclass

from forbear.records.model import Action, Episode, Step, Trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFork:
    """A prefix at which somebody stepped in, and how much better that was than going on from it."""

    trajectory: Trajectory
    """Its last step open, as a critic meets it."""
    proposed: Action
    gains: tuple[int, ...]
    """By continuation: 1 where only the run that was stepped in on succeeded, −1 where only the other did, else 0."""

    @property
    def task(self) -> str:
        """The task's id."""
        return self.trajectory.task.id

    @property
    def group(self) -> str:
        """What must not be in two splits: the task, or the cluster of tasks that it belongs to."""
        return self.trajectory.task.group

    @property
    def gain(self) -> float:
        """The mean of its continuations."""
        return sum(self.gains) / len(self.gains)


def forks_of(pairs: Iterable[tuple[Episode, Episode]]) -> list[JudgedFork]:
    """Gathers what was continued from the same prefix.

    Args:
        pairs: The baseline's episode and the treated one of the same task and seed, both with an outcome, but no copies
            (`is_copy`).

    Returns:
        In the order in which they first come; runs in which nobody stepped in are none.
    """
    found: dict[object, tuple[Trajectory, Action, list[int]]] = {}
    for before, after in pairs:
        at = next((n for n, step in enumerate(after.steps) if any(one.intervened for one in step.proposals)), None)
        if at is None:
            continue
        steps, last = after.steps[:at], after.steps[at]
        proposed = next(one.action for one in last.proposals if one.intervened)
        opened = Step(index=last.index, observation=last.observation, payload=last.payload)
        seen = Trajectory(task=after.task, steps=(*(_seen(step) for step in steps), opened))
        # Payloads are what the texts say in another form, and may hold what cannot be a key.
        key = (
            after.task.id,
            proposed.text,
            opened.observation,
            *((s.observation, s.executed) for s in seen.steps[:-1]),
        )
        _, _, gains = found.setdefault(key, (seen, proposed, []))
        gains.append(int(after.success is True) - int(before.success is True))
    return [
        JudgedFork(trajectory=seen, proposed=proposed, gains=tuple(gains)) for seen, proposed, gains in found.values()
    ]


def is_copy(episode: Episode) -> bool:
    """Whether an episode is that of the task's first run, written down again because the task was not continued.

    A continuation may come out the same, but not for nothing, unless there was nothing left to ask anybody.
    """
    origin, usage = episode.origin, episode.usage
    is_whole = origin is not None and origin.seed is not None and origin.step is None
    return is_whole and not any(role.paid.calls for role in (usage.agent, usage.critic, usage.feedback))


def _seen(step: Step) -> Step:
    """A step as agents and critics see it."""
    return Step(index=step.index, observation=step.observation, payload=step.payload, executed=step.executed)
