"""Runs of the agent alone that were logged before a pilot: more baseline runs of its tasks, at no cost."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from forbear.errors import InvalidInput
from forbear.outcomes.paired import outcome_vector
from forbear.wording import described, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedRuns:
    """Outcomes of the same agent on the same tasks, by the same grader, from before the pilot.

    Raises:
        InvalidInput: No task, a task without a run, or an entry that is not an outcome.
    """

    runs: Mapping[str, Sequence[bool]]
    """By task: whether each run succeeded, at least one; tasks that the pilot does not have are not used."""
    source: str
    """Where they come from, for people: the name of a file, or in words."""
    digest: str = ""
    """The sha256 of that file; of the runs themselves where it is left out."""
    without_outcome: int = 0
    """Runs that were logged without an outcome, and are left out."""
    ran_as: Mapping[str, Any] | None = None
    """What the log says of agent, world and the steps of an episode, where it does; a pilot has to say the same."""
    tasks: Mapping[str, str] = field(default_factory=dict)
    """By task, the digest of what it is, where the log says it."""

    def __post_init__(self) -> None:
        if not isinstance(self.runs, Mapping) or not self.runs:
            raise InvalidInput(f"logged runs must be a mapping from tasks to outcomes, got {described(self.runs)}.")
        runs = {str(task): outcome_vector(one, name=f"runs[{task!r:.60}]") for task, one in self.runs.items()}
        empty = [task for task, one in runs.items() if not len(one)]
        if empty:
            raise InvalidInput(f"the tasks {listed(empty)} have no logged run. Leave them out.")
        object.__setattr__(self, "runs", {task: tuple(one.tolist()) for task, one in runs.items()})
        if not self.digest:
            plain = json.dumps({task: list(one) for task, one in self.runs.items()}, sort_keys=True)
            object.__setattr__(self, "digest", hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest())

    def of(self, tasks: Sequence[str]) -> Self:
        """Those of these tasks alone, in their order.

        Raises:
            InvalidInput: One of them has none.
        """
        lacking = [task for task in tasks if task not in self.runs]
        if lacking:
            raise InvalidInput(
                f"{len(lacking)} of {len(tasks)} tasks have no logged run with an outcome: {listed(lacking)}; the log "
                f"has {listed(self.runs)}. Every task needs one: leave these tasks out, or log a run of them."
            )
        return replace(self, runs={task: self.runs[task] for task in tasks})
