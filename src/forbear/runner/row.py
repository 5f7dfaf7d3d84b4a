"""One row of a pilot: a task under one seed, with all its arms. What it needs comes in, what it found goes out.

A row knows neither journal nor other rows, so that it can be run anywhere (`executors`).
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from msgspec import structs

from forbear.contracts.critic import Score
from forbear.policy.arm import Arm
from forbear.policy.judge import Judge, Review
from forbear.records.codec import Missing
from forbear.records.model import Episode, EpisodeUsage, RoleUsage, Task
from forbear.runner.cell import Cell, Fork, Silenced
from forbear.runner.episode import ForkCheck, run_episode
from forbear.runner.ledger import Ledger
from forbear.runner.memo import Memo, share
from forbear.runner.plan import FrozenPlan
from forbear.runner.watch import Watch

Found: TypeAlias = tuple[Episode | Missing, ...]
"""Records that are to be written together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstRun:
    """What the first run of a task found under every arm, for a run that continues it from the fork on."""

    episodes: tuple[Episode, ...]
    """With an outcome."""
    missing: frozenset[str]
    """Arms that will have no outcome there."""

    def of(self, arm: str) -> Episode | None:
        """An arm's episode."""
        return next((episode for episode in self.episodes if episode.arm == arm), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowJob:
    """What is to be run of a row, and what is known of it."""

    task: Task
    seed: int
    arms: tuple[str, ...]
    """To be run now, in the order of the plan."""
    written: tuple[Episode, ...] = ()
    """What was run of it so far, broken ones included, in that order."""
    missing: frozenset[str] = frozenset()
    """Arms that will have no outcome here."""
    first: "FirstRun | None" = None
    """Where this is a continuation: what the task's first run found."""
    earlier: tuple[Episode, ...] = ()
    """What earlier pilots ran of it, under the same draws."""
    tries: int = 1
    """How often an arm that breaks is tried where its row has to be run in one go; elsewhere a later job does that."""
    silenced: tuple[Silenced, ...] = ()
    """Who is not asked again, since that ended the process in which the row was run before."""


async def run_row(
    plan: FrozenPlan,
    job: RowJob,
    *,
    check: ForkCheck,
    wanted: Callable[[str], bool] = lambda arm: True,
    watch: Watch | None = None,
    ledger: Ledger | None = None,
) -> AsyncGenerator[Found, None]:
    """Runs the arms of a row one after the other, each taking from the others what they have in common.

    Args:
        plan: Of the pilot.
        job: Which row, which arms.
        check: While some are left, an intervention on a proposal that another arm paid for has a fresh agent repeat it.
        wanted: Whether an arm is still wanted; asked before each.
        watch: Where calls are announced, for a process that is watched from outside.
        ledger: What is charged with what is paid for, where the pilot has a budget.

    Yields:
        What is to be written, as soon as it is known. Arms that can only be forked while the states of their baseline
        are in memory come all together at the end: a row cut in two could not be gone on with.

    Raises:
        NotReproducible: The agent or the world did not repeat what it did under the same draws.
        InvalidInput: The design asks for more than the world can do.
    """
    row = _Row(plan, job, check, watch, ledger)
    held: list[Episode | Missing] = []
    for arm in plan.arms:
        if arm.name in job.arms and wanted(arm.name):
            found = await row.run(arm)
            if not plan.needs_snapshots and found:
                yield tuple(found)
            held += found
    if plan.needs_snapshots and held:
        yield tuple(held)


class _Row:
    def __init__(
        self, plan: FrozenPlan, job: RowJob, check: ForkCheck, watch: Watch | None, ledger: Ledger | None
    ) -> None:
        self.plan = plan
        self.watch = watch
        self.ledger = ledger
        self.job = job
        self.check = check
        self.episodes = list(job.written)
        self.missing = set(job.missing)
        self.memos: dict[int, Memo] = {}
        """By seed of draws: arms that draw alike share what they paid for."""

    async def run(self, arm: Arm) -> list[Episode | Missing]:
        """Runs one arm; nothing where it has to wait for its baseline, or for the first run."""
        cell = self.plan.cell(self.job.task, self.job.seed, arm)
        cell = replace(cell, watch=self.watch, ledger=self.ledger, silenced=self.job.silenced)
        if self.job.first is not None:
            fork = self._fork(self.job.first)
            if fork is None:
                return self._as_before(arm, self.job.first)
            cell = replace(cell, fork=fork)
        if self.plan.design == "coupled" and not arm.is_baseline and not arm.is_rerun:
            baseline = self.plan.arms[0].name
            if baseline in self.missing:
                return [self._missing(arm, "its baseline has no outcome")]
            if not any(one.arm == baseline and one.success is not None for one in self.episodes):
                return []  # broken; it will be tried again, and this arm after it
            if self.plan.needs_snapshots and cell.draw_seed not in self.memos:
                return [self._missing(arm, "the pilot was stopped after its baseline, whose state no journal keeps")]
        found: list[Episode | Missing] = []
        for _ in range(self.job.tries if self.plan.needs_snapshots else 1):
            episode = await self._episode(arm, cell)
            found.append(episode)
            self.episodes.append(episode)
            if episode.success is not None:
                break
        return found

    async def _episode(self, arm: Arm, cell: Cell) -> Episode:
        try:
            episode = await run_episode(cell, arm.policy, self._memo(cell), check=self.check)
        except Exception as error:
            error.add_note(f"in {cell.name}; what was found before is in the journal.")
            raise
        if episode.success is None:
            return episode
        first = () if self.job.first is None else self.job.first.episodes
        return share(episode, [*(other for other in self._coupled(cell) if other.success is not None), *first])

    def _fork(self, first: FirstRun) -> Fork | None:
        """Where this continuation parts from the first run; None where nothing was due there, or it is not known."""
        before = first.of(self.plan.arms[0].name)
        step = None if before is None else first_due(self.plan, before)
        return None if step is None else Fork(step=step, seed=self.plan.continuation_seed(self.job.seed))

    def _as_before(self, arm: Arm, first: FirstRun) -> list[Episode | Missing]:
        """What is not continued is what it was the first time, and is paid for once."""
        before, baseline = first.of(arm.name), self.plan.arms[0].name
        if before is None:
            gone = next((name for name in (baseline, arm.name) if name in first.missing), None)
            return (
                [] if gone is None else [self._missing(arm, f"the task's first run has no outcome under {gone!r:.60}")]
            )
        took = before.usage
        agent, critic, feedback = (
            RoleUsage(reused=structs.replace(role.all, seconds=None))
            for role in (took.agent, took.critic, took.feedback)
        )
        usage = EpisodeUsage(agent=agent, critic=critic, feedback=feedback)
        copy = structs.replace(before, seed=self.job.seed, usage=usage, origin=None)
        there = [other for other in self.episodes if other.success is not None]
        self.episodes.append(shared := share(copy, [*there, *first.episodes]))
        return [shared]

    def _missing(self, arm: Arm, reason: str) -> Missing:
        self.missing.add(arm.name)
        return Missing(task_id=self.job.task.id, seed=self.job.seed, arm=arm.name, reason=reason)

    def _memo(self, cell: Cell) -> Memo:
        memo = self.memos.get(cell.draw_seed)
        if memo is None or not self.plan.can_go_back:
            memo = self.memos[cell.draw_seed] = Memo()
            if self.plan.can_go_back and not self.plan.needs_snapshots:
                if cell.fork is not None and self.job.first is not None:
                    before = self.job.first.of(self.plan.arms[0].name)
                    assert before is not None, "who parts from it has it"
                    memo.fill(before, until=cell.fork.step)
                if cell.fork is None and cell.draw_seed == self.plan.draw_seed(self.job.seed, self.plan.arms[0]):
                    for episode in self.job.earlier:  # first: what they paid for is nobody's expense here
                        memo.fill(episode, earlier=self.plan.reviewers)
                for episode in self._coupled(cell):
                    memo.fill(episode)
        return memo

    def _coupled(self, cell: Cell) -> list[Episode]:
        """What was run so far under the same draws."""
        seed = self.job.seed
        names = {arm.name for arm in self.plan.arms if self.plan.draw_seed(seed, arm) == cell.draw_seed}
        return [episode for episode in self.episodes if episode.arm in names]


def first_due(plan: FrozenPlan, baseline: Episode) -> int | None:
    """Index of the first step of a baseline at which some arm's intervention is due, by what its critics said there.

    A stopping time: it depends on nothing that is drawn after the scores of that step, so that fresh draws after it
    make a run as good as any other. Arms that are over count as well, so that the step does not depend on when they
    ended; blind arms, which do not look, do not.

    Args:
        plan: Of the pilot.
        baseline: Its baseline's run of a task, watched by the critics.
    """
    watching = set(plan.record.watching)
    due = list[int]()
    for arm in plan.arms:
        if arm.policy is None or arm.policy.critic_name not in watching:
            continue
        judge, critic = Judge(arm.policy), arm.policy.critic_name
        for step in baseline.steps:
            reviews = (
                Review(
                    Score(proposal.p_fail[critic], advantage=proposal.advantage.get(critic)),
                    proposal.faults.get(critic),
                )
                for proposal in step.proposals
                if critic in proposal.p_fail
            )
            if any(judge.decide(step.index, review) for review in reviews):
                due.append(step.index)
                break
    return min(due, default=None)
