"""An arm's runs beside its baseline's, with what each cost: what pilots on the same agent can be drawn from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forbear.analysis.result import PilotResult
from forbear.errors import InvalidInput
from forbear.records.model import Episode

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

CALLS, READ = 0, 1
"""Costs: agent calls, and the characters that the agent has read at them, each time the whole history: what a language
model's input tokens are proportional to."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedRuns:
    """Tasks × seeds; tasks that lack an outcome under some seed are left out. Costs have a last axis of two."""

    arm: str
    baseline: Bools
    treated: Bools
    baseline_cost: Floats
    treated_cost: Floats
    """Of the arm, run by itself."""
    added_cost: Floats
    """Of the arm beside its baseline, from which it takes what both have in common."""

    @property
    def changes(self) -> NDArray[np.int8]:
        """Tasks × seeds: 1 recovered, −1 disrupted, 0 alike."""
        return self.treated.astype(np.int8) - self.baseline.astype(np.int8)

    @property
    def gain(self) -> float:
        """Success, treated minus baseline."""
        return float(self.changes.mean())

    @property
    def discordance(self) -> float:
        """The share of pairs whose outcomes differ."""
        return float(np.abs(self.changes).mean())

    @property
    def discordance_apart(self) -> float | None:
        """The same where both arms draw for themselves: the baseline of one seed beside the arm of another.

        None with a single seed.
        """
        seeds = self.baseline.shape[1]
        if seeds < 2:
            return None
        apart = [self.baseline[:, a] != self.treated[:, b] for a in range(seeds) for b in range(seeds) if a != b]
        return float(np.mean(apart))


def paired_runs(result: PilotResult, arm: str) -> PairedRuns:
    """Takes an arm's runs out of a pilot.

    Args:
        result: Of a coupled pilot.
        arm: A treated one.

    Raises:
        InvalidInput: No such arm, another design, or no task with outcomes under both arms and every seed.
    """
    plan = result.plan
    if arm not in plan.treated or result.design != "coupled":
        raise InvalidInput(f"expected a treated arm of a coupled pilot, got {arm!r:.60} of design {result.design}.")
    shares = plan.arms[arm].kind != "rerun"
    rows = []
    for task in plan.tasks:
        row = [
            (result.episodes.get((task.id, seed, plan.baseline_arm)), result.episodes.get((task.id, seed, arm)))
            for seed in plan.seeds
        ]
        if all(before is not None and after is not None for before, after in row):
            rows.append([(a, b) for a, b in row if a is not None and b is not None])
    if not rows:
        raise InvalidInput(f"no task has an outcome under both arms and every seed of {arm!r:.60}.")
    return PairedRuns(
        arm=arm,
        baseline=np.array([[a.success is True for a, _ in row] for row in rows]),
        treated=np.array([[b.success is True for _, b in row] for row in rows]),
        baseline_cost=np.array([[_cost(a) for a, _ in row] for row in rows]),
        treated_cost=np.array([[_cost(b) for _, b in row] for row in rows]),
        added_cost=np.array([[_cost(b, beside=a if shares else None) for a, b in row] for row in rows]),
    )


def _cost(episode: Episode, *, beside: Episode | None = None) -> tuple[float, float]:
    """Calls, and characters read at them; without those that the other episode has paid for."""
    calls = read = 0.0
    known = None if beside is None else [step.executed for step in beside.steps]
    history, told = 0, False
    for number, step in enumerate(episode.steps):
        seen = len(step.observation)
        for proposal in step.proposals:
            shown = step.messages[: proposal.shown]
            told = told or bool(shown)
            # The history is the other's as long as nothing was said and the same was done.
            shared = known is not None and number < len(known) and not told and proposal.attempt == 0
            if not shared:
                calls += 1
                read += history + seen + sum(map(len, shown))
        history += seen + sum(map(len, step.messages)) + (len(step.executed.text) if step.executed else 0)
        if known is not None and (number >= len(known) or step.index != number or step.executed != known[number]):
            known = None
    return calls, read
