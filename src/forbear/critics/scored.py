"""What a critic says of every step of runs that are over: the material of every judgement about it."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forbear.contracts.border import checked_score
from forbear.contracts.critic import Critic
from forbear.contracts.draw import Draw
from forbear.critics.estimates import Judgements
from forbear.critics.runs import JudgedRun
from forbear.errors import InvalidInput
from forbear.policy.foreign import ForeignFault, answer, called
from forbear.wording import described, shown

_SECONDS = 600.0
"""How long one score may take."""
_LOWEST_GRADE = -1e300


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRuns:
    """Runs with a score for each step.

    Raises:
        InvalidInput: No run, or not one entry per step.
    """

    runs: tuple[JudgedRun, ...]
    scores: tuple[tuple[float | None, ...], ...]
    """By run and step; None where the critic abstained."""
    ordinal: bool = False
    """Scores are grades of any range: they have an order and are no probabilities."""

    def __post_init__(self) -> None:
        if not self.runs or len(self.runs) != len(self.scores):
            raise InvalidInput(f"expected scores for at least one run, got {len(self.runs)} runs, {len(self.scores)}.")
        for run, said in zip(self.runs, self.scores, strict=True):
            if len(said) != len(run.trajectory.steps):
                raise InvalidInput(f"{run.place}: {len(run.trajectory.steps)} steps have {len(said)} scores.")

    @property
    def abstained(self) -> int:
        """Steps without a score."""
        return sum(score is None for said in self.scores for score in said)

    def where(self, keep: Callable[[JudgedRun], bool]) -> "ScoredRuns | None":
        """Those of the runs; None where there is none."""
        kept = [(run, said) for run, said in zip(self.runs, self.scores, strict=True) if keep(run)]
        if not kept:
            return None
        runs, scores = zip(*kept, strict=True)
        return ScoredRuns(runs=runs, scores=scores, ordinal=self.ordinal)

    def judgements(self, *, at: "ScoredRuns | None" = None) -> Judgements:
        """The scored steps, run after run.

        Args:
            at: Only the steps that this one scored too; for comparisons, and of the same runs.

        Raises:
            InvalidInput: The critic abstained everywhere.
        """
        others = self.scores if at is None else at.scores
        rows = [
            (run.failed, score, run.group, step)
            for run, said, other in zip(self.runs, self.scores, others, strict=True)
            for step, (score, its) in enumerate(zip(said, other, strict=True))
            if score is not None and its is not None
        ]
        if not rows:
            raise InvalidInput(
                "the critic abstained at every step: there is nothing to judge. One that says what stepping in is "
                "worth says nothing of failing; a pilot judges it."
            )
        failed, scores, tasks, steps = zip(*rows, strict=True)
        return Judgements.of(failed=failed, p_fail=scores, tasks=tasks, steps=steps, ordinal=self.ordinal)

    def highest(self, *, min_step: int = 0) -> Judgements:
        """One row a run: the highest score of its steps from `min_step` on.

        It is above a threshold exactly where the critic would have stepped in. Where the critic never scored it is as
        low as a score can be.
        """
        lowest = _LOWEST_GRADE if self.ordinal else 0.0
        return Judgements.of(
            failed=[run.failed for run in self.runs],
            p_fail=[
                max((score for score in said[min_step:] if score is not None), default=lowest) for said in self.scores
            ],
            tasks=[run.group for run in self.runs],
            steps=[0] * len(self.runs),
            ordinal=self.ordinal,
        )


def require_both_outcomes(runs: Sequence[JudgedRun], *, tasks: int = 2) -> None:
    """Refuses runs that cannot judge a critic.

    Raises:
        InvalidInput: All ended alike, or they are of fewer tasks.
    """
    failed, groups = sum(run.failed for run in runs), {run.group for run in runs}
    if failed in (0, len(runs)):
        ended = "succeeded" if not failed else "failed"
        raise InvalidInput(f"all {len(runs)} runs {ended}: a critic is judged by failures and successes. Collect more.")
    if len(groups) < tasks:
        raise InvalidInput(
            f"tasks, not steps, are the sample: at least {tasks} are needed, and the {len(runs)} runs are of "
            f"{len(groups)}. Collect runs of more tasks."
        )


async def score_runs(critic: Critic, runs: Sequence[JudgedRun], *, name: str, ordinal: bool = False) -> ScoredRuns:
    """Asks a critic about every step, as a pilot would: with the history before it and the action proposed there.

    Args:
        critic: Whoever judges.
        runs: What it judges.
        name: Names its draws, as in a pilot.
        ordinal: It gives grades of any range instead of probabilities.

    Raises:
        InvalidInput: It raised, was late, or gave what is no score; with file, line and step.
    """
    check = _grade if ordinal else lambda said: checked_score(said).p_fail
    scores: list[tuple[float | None, ...]] = []
    for run in runs:
        seed, said = _seed_of(run), list[float | None]()
        for step, (trajectory, proposed) in enumerate(run.judged()):
            draw = Draw(task_id=run.task, seed=seed, role=f"critic:{name}", step_index=step)
            try:
                said.append(await answer(_asked(critic, trajectory, proposed, draw), seconds=_SECONDS, check=check))
            except ForeignFault as fault:
                raise InvalidInput(
                    f"{run.place}: at step {step} of task '{shown(run.task)}' the critic gave no score: "
                    f"{shown(fault.text, limit=300)}."
                ) from fault
        scores.append(tuple(said))
    return ScoredRuns(runs=tuple(runs), scores=tuple(scores), ordinal=ordinal)


def scored_now(critic: Critic, runs: Sequence[JudgedRun], *, name: str, ordinal: bool = False) -> ScoredRuns:
    """`score_runs` for callers without an event loop."""
    return asyncio.run(score_runs(critic, runs, name=name, ordinal=ordinal))


def _asked(critic: Critic, *what: Any) -> Callable[[], Any]:
    trajectory, proposed, draw = what
    return lambda: called(critic.score, trajectory, proposed, draw=draw)


def _seed_of(run: JudgedRun) -> int:
    """The run's seed where it is a number; else one of its name."""
    if run.run.isdecimal() and len(run.run) < 19:
        return int(run.run)
    return int.from_bytes(hashlib.blake2b(run.run.encode("utf-8", "surrogatepass"), digest_size=7).digest())


def _grade(said: object) -> float | None:
    grade = getattr(said, "p_fail", said)
    if grade is None:
        return None
    if isinstance(grade, bool) or not isinstance(grade, int | float | np.number) or not np.isfinite(grade):
        raise InvalidInput(f"a grade is a finite number or None, got {described(grade)}.")
    return float(grade)
