"""A critic that knows how the run will end, because it has been run before: no critic can know more.

What an intervention gains under it is a ceiling for every critic of outcomes: what another one falls short of it, a
better critic could bring; what it falls short of all failures, only another intervention could.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.records.codec import config_digest
from forbear.records.journal import Journal
from forbear.records.model import JSON, Action, Episode, Trajectory
from forbear.wording import described


@dataclass(frozen=True, slots=True)
class RecordedOutcome:
    """Says 1 where the agent alone is known to fail from here, 0 where it is known to succeed.

    Known is what an earlier pilot's baseline did under the same task and seed, as long as this run is that one,
    sentence by sentence: once it departs from it, nobody knows how it would end, and the critic abstains. So it acts
    until a run has changed, never on one that would have succeeded, and disrupts none. Needs a coupled pilot, of the
    same agent, world, tasks and seeds as the earlier one; where it meets another run it abstains.
    """

    runs: Mapping[tuple[str, int], Episode] = field(repr=False)
    """By task and seed, the runs of the agent alone."""

    @property
    def is_control(self) -> bool:
        """True: it knows the future, so that no arm of its is deployed."""
        return True

    async def score(self, trajectory: Trajectory, proposed: Action, *, draw: Draw) -> float | None:
        """Returns 1 or 0; None where this is not the recorded run.

        Raises:
            InvalidInput: Nothing is recorded of this task and seed.
        """
        run = self.runs.get((trajectory.task.id, draw.seed))
        if run is None:
            raise InvalidInput(
                f"nothing is recorded of task {described(trajectory.task.id, limit=100)} under seed {draw.seed}: the "
                "earlier pilot needs the tasks and seeds of this one."
            )
        steps = trajectory.steps
        if len(steps) > len(run.steps) or run.steps[len(steps) - 1].executed != proposed:
            return None
        for now, then in zip(steps, run.steps, strict=False):
            if now.messages or now.observation != then.observation or now.executed not in (None, then.executed):
                return None
        return float(not run.success)

    def config(self) -> Mapping[str, JSON]:
        """Returns its name and a digest of what it knows."""
        known: JSON = [[task, seed, run.success is True] for (task, seed), run in sorted(self.runs.items(), key=_key)]
        return {"name": "recorded-outcome", "outcomes": config_digest(known)}


def _key(item: tuple[tuple[str, int], Episode]) -> tuple[str, int]:
    return item[0]


def recorded_outcome(journal: str) -> RecordedOutcome:
    """Makes one from the baseline of an earlier pilot.

    Args:
        journal: Directory of that pilot's journal.

    Raises:
        InvalidInput: No readable journal, or none with a baseline's run that has an outcome.
    """
    earlier = Journal(journal)
    if not earlier.started:
        raise InvalidInput(f"there is no journal in {described(journal)}: run the pilot whose outcomes it has first.")
    arms = earlier.plan().get("arms")
    kinds = arms if isinstance(arms, dict) else {}
    alone = [name for name, arm in kinds.items() if isinstance(arm, dict) and arm.get("kind") == "baseline"]
    runs = {
        (episode.task.id, episode.seed): episode
        for episode in earlier.read().episodes.values()
        if episode.arm in alone and episode.success is not None
    }
    if not runs:
        raise InvalidInput(f"the journal in {described(journal)} has no run of an agent alone with an outcome.")
    return RecordedOutcome(runs)
