"""Runs a pilot: bounded, resumable, each episode written down before it is announced."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from forbear.errors import InvalidInput, ProviderError
from forbear.policy.arm import Arm
from forbear.records.codec import EpisodeKey
from forbear.records.journal import Exclusion, Journal, JournalWriter
from forbear.records.model import Episode, Task
from forbear.runner.cell import Cell
from forbear.runner.course import Course, Schedule
from forbear.runner.episode import ForkCheck, run_episode
from forbear.runner.memo import Memo, share
from forbear.runner.plan import FrozenPlan, PilotPlan, freeze
from forbear.runner.result import PilotResult, result_of

logger = logging.getLogger(__name__)


async def run_pilot(
    plan: PilotPlan,
    journal: Journal,
    *,
    concurrency: int = 16,
    retries: int = 2,
    outage_after: int = 20,
    until_look: int | None = None,
    on_episode: Callable[[Episode], None] | None = None,
) -> PilotResult:
    """Runs what the journal does not hold yet, look by look until every arm is over; then it only counts.

    Args:
        plan: Tasks, arms and conditions; has to be the one that the journal was started with.
        journal: Where episodes are kept.
        concurrency: Tasks under way at a time; changes nothing in what is found.
        retries: How often an episode that the outside world broke is tried again, after all others of its look. After
            that it has no outcome, unless nothing else has had one since: then the pilot stops.
        outage_after: The pilot stops when so many episodes in a row break.
        until_look: Go no further than this declared look, counted from 1; omitted: to the last, if need be.
        on_episode: Called with each episode that has just been written.

    Returns:
        The episodes and their counts.

    Raises:
        PlanChanged: The journal was started under another plan.
        JournalLocked: Another process runs it.
        JournalUnwritable: The disk is full or failed.
        NotReproducible: The agent or the world did not repeat what it did under the same draws.
        ProviderError: An outage; the same call goes on where this one stopped.
        InvalidInput: A part breaks its contract, or an argument is out of range.
    """
    if concurrency < 1 or retries < 0 or outage_after < 1:
        raise InvalidInput("concurrency and outage_after must be at least 1, retries at least 0.")
    frozen = freeze(plan)
    looks = frozen.looks.tasks
    if until_look is not None and not 1 <= until_look <= len(looks):
        raise InvalidInput(f"the plan declares {len(looks)} looks, got until_look = {until_look!r:.60}.")
    with journal.writing(frozen.record) as writer:
        pilot = _Pilot(frozen, writer, retries=retries, outage_after=outage_after, on_episode=on_episode)
        try:
            await pilot.run(concurrency, looks=looks[:until_look])
        except BaseExceptionGroup as group:
            raise _first(group) from None
        return result_of(frozen, pilot.course, episodes=pilot.episodes, exclusions=pilot.exclusions)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


@dataclass(slots=True)
class _Row:
    """One task under one seed, with all its arms."""

    task: Task
    place: int
    """Of the task in the planned order, from 0 on."""
    seed: int
    written: list[Episode]
    """Its episodes so far, broken ones included, in the order in which they were run."""
    memos: dict[int, Memo] = field(default_factory=dict)
    """By seed of draws: arms that draw alike share what they paid for."""
    held: list[Episode | Exclusion] = field(default_factory=list)
    """Not written yet."""

    def key(self, arm: Arm) -> EpisodeKey:
        return (self.task.id, self.seed, arm.name)


class _Pilot:
    def __init__(
        self,
        frozen: FrozenPlan,
        writer: JournalWriter,
        *,
        retries: int,
        outage_after: int,
        on_episode: Callable[[Episode], None] | None,
    ) -> None:
        self.frozen = frozen
        self.writer = writer
        self.retries = retries
        self.outage_after = outage_after
        self.on_episode = on_episode
        self.check = ForkCheck()
        self.episodes = dict(writer.content.episodes)
        self.exclusions = dict(writer.content.exclusions)
        self.tries: Counter[EpisodeKey] = Counter()
        """Of episodes that broke, by this process: one that resumes begins anew."""
        self.outcomes = 0
        """Episodes with an outcome, by this process."""
        self.at_first_break: dict[EpisodeKey, int] = {}
        """How many outcomes there were when an episode broke first."""
        self.broken_in_a_row = 0
        self.round = 0
        self.course = Course(Schedule.of(frozen), self._success, stops=writer.content.stops)
        self._advance()

    async def run(self, concurrency: int, *, looks: Sequence[int]) -> None:
        """Runs up to each look before any task behind it is begun: what a stop would save is never paid for."""
        plan, written, start = self.frozen.plan, self.writer.content.rows, 0
        for look in looks:
            rows = [
                _Row(plan.tasks[place], place, seed, written.get((plan.tasks[place].id, seed), []))
                for place in range(start, look)
                for seed in plan.seeds
            ]
            start, self.round = look, 0
            while rows := [row for row in rows if self._left(row)]:
                todo = iter(rows)
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(concurrency, len(rows))):
                        group.create_task(self._work(todo))
                self.round += 1

    async def _work(self, todo: Iterator[_Row]) -> None:
        for row in todo:
            for arm in self._left(row):
                # What broke once is tried again in round 1, after all others, also by a process that resumes.
                turn = self.tries[row.key(arm)] + (row.key(arm) in self.writer.content.broken)
                if turn <= self.round and self.course.wants(arm.name, row.place):
                    await self._run_arm(row, arm)
            self._write(row)
            if not self._left(row):
                row.memos.clear()
                self._advance()

    def _left(self, row: _Row) -> list[Arm]:
        return [
            arm
            for arm in self.frozen.arms
            if row.key(arm) not in self.episodes
            and row.key(arm) not in self.exclusions
            and self.course.wants(arm.name, row.place)
        ]

    def _success(self, key: EpisodeKey) -> bool | None:
        return None if key in self.exclusions else self.episodes[key].success

    def _advance(self) -> None:
        """Takes in what has become complete, and writes down which arms it ends."""
        for stop in self.course.advance():
            logger.info("arm %r is over after %d tasks: %s", stop.arm, stop.tasks, stop.reason)
            if stop.tasks < len(self.frozen.plan.tasks) and stop.arm not in self.writer.content.stops:
                self.writer.append(stop)

    async def _run_arm(self, row: _Row, arm: Arm) -> None:
        cell = self.frozen.cell(row.task, row.seed, arm)
        if self.frozen.design == "coupled" and not arm.is_baseline and not arm.is_rerun:
            baseline = row.key(self.frozen.arms[0])
            if baseline in self.exclusions:
                self._exclude(row, arm, "its baseline has no outcome")
                return
            if baseline not in self.episodes:
                return  # broken; it will be tried again, and this arm after it
            if self.frozen.needs_snapshots and cell.draw_seed not in row.memos:
                self._exclude(row, arm, "the pilot was stopped after its baseline, whose state no journal keeps")
                return
        try:
            episode = await run_episode(cell, arm.policy, self._memo(row, cell), check=self.check)
        except Exception as error:
            error.add_note(
                f"in {cell.name}; what was found before is in the journal. If the agent itself fails so, have it raise "
                "forbear.AgentError (a failure); if the world outside broke, forbear.ProviderError (no outcome)."
            )
            raise
        if episode.success is None:
            self._note_broken(row, arm, episode)
        else:
            self.broken_in_a_row = 0
            self.outcomes += 1
            coupled = self._coupled(row, cell)
            episode = share(episode, [other for other in coupled if other.success is not None])
            self.episodes[row.key(arm)] = episode
            self._keep(row, episode)
        await asyncio.sleep(0)  # the loop is others' too

    def _memo(self, row: _Row, cell: Cell) -> Memo:
        memo = row.memos.get(cell.draw_seed)
        if memo is None or not self.frozen.can_go_back:
            memo = row.memos[cell.draw_seed] = Memo()
            if self.frozen.can_go_back and not self.frozen.needs_snapshots:
                for episode in self._coupled(row, cell):
                    memo.fill(episode)
        return memo

    def _coupled(self, row: _Row, cell: Cell) -> list[Episode]:
        """What was run so far under the same draws."""
        names = {arm.name for arm in self.frozen.arms if self.frozen.draw_seed(row.seed, arm) == cell.draw_seed}
        return [episode for episode in row.written if episode.arm in names]

    def _note_broken(self, row: _Row, arm: Arm, episode: Episode) -> None:
        key = row.key(arm)
        self.tries[key] += 1
        self.at_first_break.setdefault(key, self.outcomes)
        self._keep(row, episode)
        self.broken_in_a_row += 1
        if self.broken_in_a_row >= self.outage_after:
            self._stop_for_outage(row, episode)
        if self.tries[key] > self.retries:
            # Where nothing has had an outcome since it broke first, the whole world may be down rather than this task.
            # A later process, begun by somebody who thinks that it is up again, takes the journal's word for it.
            begun_again = not self.outcomes and bool(self.writer.content.episodes)
            if self.retries and self.outcomes == self.at_first_break[key] and not begun_again:
                self._stop_for_outage(row, episode)
            self._exclude(row, arm, f"{episode.termination.value}: {episode.cause}")

    def _stop_for_outage(self, row: _Row, episode: Episode) -> None:
        self._write(row)
        count = self.broken_in_a_row
        raise ProviderError(
            f"{count} episode{'s' if count > 1 else ''} in a row had no outcome, the last one for {episode.cause}. The "
            "pilot stopped and lost nothing; run the same again when the outage is over."
        )

    def _exclude(self, row: _Row, arm: Arm, reason: str) -> None:
        exclusion = Exclusion(task_id=row.task.id, seed=row.seed, arm=arm.name, reason=reason)
        logger.info("task %r, seed %d, arm %r has no outcome: %s", row.task.id, row.seed, arm.name, reason)
        self.exclusions[exclusion.key] = exclusion
        self._keep(row, exclusion)

    def _keep(self, row: _Row, record: Episode | Exclusion) -> None:
        row.held.append(record)
        if isinstance(record, Episode):
            row.written.append(record)
        # Arms that need snapshots cannot be forked by a later process: their row is written whole or not at all.
        if not self.frozen.needs_snapshots:
            self._write(row)

    def _write(self, row: _Row) -> None:
        self.writer.append(*row.held)
        for record in row.held:
            if isinstance(record, Episode) and self.on_episode is not None:
                self.on_episode(record)
        row.held.clear()
