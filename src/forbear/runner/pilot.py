"""Runs a pilot: bounded, resumable, each episode written down before it is announced."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

from forbear.analysis.cautions import MOST_FAULTS
from forbear.analysis.monitor import Monitor
from forbear.analysis.plan_record import PlanRecord
from forbear.analysis.result import PilotResult, analyse
from forbear.errors import InvalidInput, ProviderError
from forbear.models.session import ModelSettings
from forbear.policy.arm import Arm
from forbear.policy.crew import Crew
from forbear.records.codec import EpisodeKey, Missing, episode_key
from forbear.records.journal import Journal, JournalWriter, Sync
from forbear.records.model import Episode, Task, paid_usage
from forbear.runner.cell import SPENT, Silenced
from forbear.runner.executors import Executor, InLoop, WorkerLost, Workers
from forbear.runner.faults import AgentFaults, CriticFaults
from forbear.runner.ledger import Budget, Ledger, Purse
from forbear.runner.plan import FrozenPlan, PilotPlan, freeze
from forbear.runner.row import FirstRun, Found, RowJob
from forbear.wording import counted, shown

logger = logging.getLogger(__name__)


async def run_pilot(
    plan: PilotPlan | FrozenPlan,
    journal: Journal,
    *,
    concurrency: int = 16,
    workers: int = 1,
    retries: int = 2,
    outage_after: int = 20,
    max_agent_errors: float | None = 0.2,
    max_critic_faults: float | None = MOST_FAULTS,
    max_memory_mb: int | None = None,
    budget: Budget | None = None,
    models: ModelSettings = ModelSettings(),
    until_look: int | None = None,
    sync: Sync = "group",
    on_episode: Callable[[Episode], None] | None = None,
) -> PilotResult:
    """Runs what the journal does not hold yet, look by look until every arm is over; then it only counts.

    Standard output is the host's and stays as it is: what agents, worlds and critics print goes there, but from workers
    to standard error. The command line has all of it on standard error, bounded and inert.

    Args:
        plan: Tasks, arms and conditions; has to be the one that the journal was started with. `freeze` makes the parts
            of one once, for callers that want to look at it first.
        journal: Where episodes are kept.
        concurrency: Tasks under way at a time; changes nothing in what is found.
        workers: Processes that run them; 1 runs them here. With more, `concurrency` says nothing: each runs one task
            at a time, which pays for agents and worlds that compute. Changes nothing in what is found.
        retries: How often an episode that the outside world broke is tried again, after all others of its look. After
            that it has no outcome, unless nothing else has had one since: then the pilot stops.
        outage_after: The pilot stops when so many episodes in a row break, of three tasks at least: one task whose
            world always breaks is no outage.
        max_agent_errors: The pilot stops when more of an arm's runs end with an exception, a timeout or a wrong answer
            of the agent: a share below 1 (once ten of its runs have ended), or a number of runs; None: never. Such runs
            are failures and stay failures. Only runs of this call count, so that the next one goes on.
        max_critic_faults: The pilot stops when a critic owes more than this share of its scores, once twenty have been
            asked for: it raised, was late, or answered with something else. None: never; above the default no verdict
            is INTERVENE all the same.
        max_memory_mb: What a worker may take; one that takes more is ended, and the call that it was in is at fault.
        budget: What may be paid for over all resumes; None: anything.
        models: Prices of language models, and where their answers are kept.
        until_look: Go no further than this declared look, counted from 1; omitted: to the last, if need be.
        sync: When episodes are forced to the disk: `group` within 100 ms, many at once, which is what a power cut can
            lose; `always` each before it is announced. A kill of the process loses nothing either way.
        on_episode: Called with each episode that has just been written.

    Returns:
        The episodes and their counts.

    Raises:
        PlanChanged: The journal was started under another plan.
        JournalLocked: Another process runs it.
        JournalUnwritable: The disk is full or failed.
        NotReproducible: The agent or the world did not repeat what it did under the same draws.
        ProviderError: An outage; the same call goes on where this one stopped.
        ModelUnusable: A language model's provider refuses the key, the name or the address.
        BudgetSpent: The budget is; under a larger one the same call goes on.
        TooManyCriticFaults: A critic owed more than `max_critic_faults` of its scores.
        TooManyAgentErrors: More of an arm's runs than `max_agent_errors` ended with an exception of the agent.
        InvalidInput: The plan asks for what cannot be done, or an argument is out of range.
    """
    limits = Limits(
        retries=retries,
        outage_after=outage_after,
        max_agent_errors=max_agent_errors,
        max_critic_faults=max_critic_faults,
    )
    _require_least(concurrency=concurrency, workers=workers)
    if max_memory_mb is not None and (workers == 1 or max_memory_mb < 1):
        raise InvalidInput(f"max_memory_mb is a number of MB that needs workers of at least 2, got {max_memory_mb}.")
    frozen = plan if isinstance(plan, FrozenPlan) else freeze(plan)
    looks = frozen.looks.tasks
    if until_look is not None and not 1 <= until_look <= len(looks):
        raise InvalidInput(f"the plan declares {len(looks)} looks, got until_look = {until_look!r:.60}.")
    if journal.started:
        where = str(journal.directory)
        frozen.record.require(PlanRecord.of(journal.plan(), where=where), where=where)
    models = models.settled(journal.directory, plan_digest=frozen.digest)
    answered = (one.responses for one in frozen.plan.earlier if one.responses is not None)
    models = replace(models, earlier=tuple(answered))
    purse = None if budget is None or workers == 1 else Purse(budget)
    ledger = purse.ledger() if purse is not None else None if budget is None else Ledger(budget)
    executor: Executor = (
        InLoop(frozen, ledger=ledger)
        if workers == 1
        else Workers(frozen, count=workers, models=models, purse=purse, max_memory_mb=max_memory_mb)
    )
    with journal.writing(frozen.record.to_dict(), sync=sync) as writer:
        pilot = _Pilot(frozen, writer, executor, limits, ledger, on_episode=on_episode)
        async with models.opened(), executor:
            await pilot.run(executor.width or concurrency, looks=looks[:until_look])
        return analyse(frozen.record, writer.content, monitor=pilot.monitor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a pilot stops for what breaks; see `run_pilot`.

    Raises:
        InvalidInput: One that is out of range.
    """

    retries: int
    outage_after: int
    max_agent_errors: float | None
    max_critic_faults: float | None

    def __post_init__(self) -> None:
        _require_least(outage_after=self.outage_after)
        if self.retries < 0:
            raise InvalidInput(f"retries must be at least 0, got {self.retries}.")
        if self.max_agent_errors is not None and not self.max_agent_errors >= 0:
            raise InvalidInput(
                f"max_agent_errors must be a share, a number of runs or None, got {self.max_agent_errors!r:.60}."
            )
        if self.max_critic_faults is not None and not 0 <= self.max_critic_faults <= 1:
            raise InvalidInput(f"max_critic_faults must be a share or None, got {self.max_critic_faults!r:.60}.")


def _require_least(**counts: int) -> None:
    for name, value in counts.items():
        if value < 1:
            raise InvalidInput(f"{name} must be at least 1, got {value}.")


@dataclass(frozen=True, slots=True)
class _Row:
    """One task under one seed, or one continuation of it, with all its arms."""

    task: Task
    position: int
    """Of the task in the planned order, from 0 on."""
    seed: int

    def key(self, arm: Arm) -> EpisodeKey:
        return (self.task.id, self.seed, arm.name)


_OUTAGE_TASKS = 3


class _Pilot:
    """Order, retries, outages, ends and writing; what a row is, `row` knows."""

    def __init__(
        self,
        frozen: FrozenPlan,
        writer: JournalWriter,
        executor: Executor,
        limits: Limits,
        ledger: Ledger | None,
        *,
        on_episode: Callable[[Episode], None] | None,
    ) -> None:
        self.frozen = frozen
        self.writer = writer
        self.content = writer.content
        self.executor = executor
        self.limits = limits
        self.ledger = ledger
        self.on_episode = on_episode
        self.broke_before = frozenset(writer.content.broken)
        """What an earlier process saw break."""
        self.began_empty = not writer.content.episodes
        self.tries: Counter[EpisodeKey] = Counter()
        """Of episodes that broke, by this process: one that resumes begins anew."""
        self.losses: Counter[tuple[str, int]] = Counter()
        """Of rows whose worker died, by task and seed."""
        self.silenced: dict[tuple[str, int], list[Silenced]] = {}
        """Who ended a worker and is not asked there again, by task and seed."""
        self.outcomes = 0
        """Episodes with an outcome, by this process."""
        self.at_first_break: dict[EpisodeKey, int] = {}
        """How many outcomes there were when an episode broke first."""
        self.broken_in_a_row: list[EpisodeKey] = []
        """By this process, which takes the world for being up when it begins, and with the rows whose worker died: not
        what the journal has, by which those who tell one episode a process know of an outage."""
        self.agent_faults = AgentFaults(limits.max_agent_errors)
        self.critic_faults = CriticFaults(limits.max_critic_faults)
        if ledger is not None:
            ledger.add(paid_usage(episode.usage for episode in writer.content.last_attempts()))
        self.round = 0
        self.crew = Crew(waits=asyncio.current_task())
        self.monitor = Monitor(frozen.record, self._success, ends=writer.content.ends)
        self._advance()

    async def run(self, width: int, *, looks: Sequence[int]) -> None:
        """Runs up to each look before any task behind it is begun: what a stop would save is never paid for."""
        plan, start = self.frozen.plan, 0
        for look in looks:
            rows = [
                _Row(plan.tasks[position], position, seed)
                for position in range(start, look)
                for seed in self.frozen.runs
            ]
            start, self.round = look, 0
            while rows := [row for row in rows if self._left(row)]:
                # A continuation needs what the first run of its task found.
                together = plan.continuations > 1
                groups = [
                    list(group) for _, group in groupby(rows, key=lambda row: row.task.id if together else id(row))
                ]
                todo, before = iter(groups), self._lines()
                is_whole = await self.crew.run(self._work(todo) for _ in range(min(width, len(groups))))
                if not is_whole and self._lines() == before:  # or this would be tried for ever
                    raise InvalidInput(
                        "an agent, a world, a critic or an intervention cancels tasks before they begin. Nothing that "
                        "was written is lost; have it cancel only tasks that it made."
                    )
                if self.ledger is not None and self.ledger.is_spent and any(map(self._left, rows)):
                    raise self.ledger.error()
                self.round += 1

    async def _work(self, todo: Iterator[list[_Row]]) -> None:
        for row in chain.from_iterable(todo):
            if self.ledger is not None and self.ledger.is_spent:
                return
            # What broke once is tried again in round 1, after all others, also by a process that resumes.
            due = [
                arm
                for arm in self._left(row)
                if self.tries[row.key(arm)] + (row.key(arm) in self.broke_before) <= self.round
            ]
            if due:
                await self._run(row, due)
            if not self._left(row):
                self._advance()

    async def _run(self, row: _Row, arms: Sequence[Arm]) -> None:
        job = RowJob(
            task=row.task,
            seed=row.seed,
            arms=tuple(arm.name for arm in arms),
            written=tuple(self.content.rows.get((row.task.id, row.seed), ())),
            missing=self._missing(row.task.id, row.seed),
            first=self._first(row),
            earlier=self.frozen.earlier.get((row.task.id, row.seed), ()),
            tries=self.limits.retries + 1,
            silenced=tuple(self.silenced.get((row.task.id, row.seed), ())),
        )
        try:
            batches = self.executor.run(job, wanted=lambda arm: self.monitor.wants(arm, row.position))
            async with contextlib.aclosing(batches):
                async for found in batches:
                    self._take(row, found)
                    await self.crew.settle()  # the loop is others' too
        except WorkerLost as lost:
            self._note_lost(row, lost)

    def _missing(self, task: str, seed: int) -> frozenset[str]:
        return frozenset(arm.name for arm in self.frozen.arms if (task, seed, arm.name) in self.content.missing)

    def _first(self, row: _Row) -> FirstRun | None:
        """What a continuation goes on from."""
        first = self.frozen.runs[0]
        if self.frozen.plan.continuations == 1 or row.seed == first:
            return None
        written = self.content.rows.get((row.task.id, first), ())
        return FirstRun(
            episodes=tuple(episode for episode in written if episode.success is not None),
            missing=self._missing(row.task.id, first),
        )

    def _left(self, row: _Row) -> list[Arm]:
        return [
            arm
            for arm in self.frozen.arms
            if row.key(arm) not in self.content.episodes
            and row.key(arm) not in self.content.missing
            and self.monitor.wants(arm.name, row.position)
        ]

    def _lines(self) -> int:
        """How many were written."""
        return sum(map(len, self.content.rows.values())) + len(self.content.missing)

    def _success(self, key: EpisodeKey) -> bool | None:
        return None if key in self.content.missing else self.content.episodes[key].success

    def _advance(self) -> None:
        """Takes in what has become complete, and writes down which arms it ends."""
        for end in self.monitor.advance():
            logger.info("arm %r is over after %d tasks: %s", end.arm, end.tasks, end.reason)
            # At the last task there is nothing left that it would end.
            if end.tasks < len(self.frozen.plan.tasks) and end.arm not in self.content.ends:
                self.writer.append(end)

    def _take(self, row: _Row, found: Found) -> None:
        """Writes what a row found, then judges whether the world outside is up."""
        self.writer.append(*found)
        for record in found:
            if isinstance(record, Missing):
                _log_missing(record)
                continue
            if self.on_episode is not None:
                self.on_episode(record)
            if record.success is None:
                if record.cause != SPENT:
                    self._note_broken(row, record)
            else:
                self.broken_in_a_row.clear()
                self.outcomes += 1
                self.agent_faults.add(record)
                self.critic_faults.add(record.steps)

    def _note_broken(self, row: _Row, episode: Episode) -> None:
        key, cause = episode_key(episode), f"{episode.termination.value}: {episode.cause}"
        self.tries[key] += 1
        self._count_break(key, episode.cause)
        if self.tries[key] > self.limits.retries:
            # Where nothing has had an outcome since it broke first, the whole world may be down rather than this task.
            # A later process, begun by somebody who thinks that it is up again, takes the journal's word for it.
            begun_again = not self.outcomes and not self.began_empty
            nothing_since = self.outcomes == self.at_first_break[key] and self._is_everywhere()
            if self.limits.retries and nothing_since and not begun_again:
                self._stop_for_outage(episode.cause)
            self._give_up(Missing(task_id=key[0], seed=key[1], arm=key[2], reason=cause))

    def _note_lost(self, row: _Row, lost: WorkerLost) -> None:
        key, how = (row.task.id, row.seed), str(lost)
        logger.warning("task %r, seed %d is tried again: %s", row.task.id, row.seed, how)
        if lost.by is not None:  # the agent goes on without it, as it would where it only raised
            self.silenced.setdefault(key, []).append(lost.by)
            return
        self.losses[key] += 1
        self._count_break((*key, ""), how)
        if self.losses[key] > self.limits.retries:
            for arm in self._left(row):
                self._give_up(Missing(task_id=row.task.id, seed=row.seed, arm=arm.name, reason=how))

    def _count_break(self, key: EpisodeKey, cause: str | None) -> None:
        self.at_first_break.setdefault(key, self.outcomes)
        self.broken_in_a_row.append(key)
        if len(self.broken_in_a_row) >= self.limits.outage_after and self._is_everywhere():
            self._stop_for_outage(cause)

    def _is_everywhere(self) -> bool:
        """Whether what breaks can be an outage: one or two tasks whose world always breaks are none."""
        tasks = {key[0] for key in self.broken_in_a_row}
        return not self.content.episodes or len(tasks) >= min(_OUTAGE_TASKS, len(self.frozen.plan.tasks))

    def _stop_for_outage(self, cause: str | None) -> None:
        task, seed, arm = self.broken_in_a_row[-1]
        name = f"task {shown(repr(task), limit=80)}, seed {seed}" + (f", arm {shown(repr(arm))}" if arm else "")
        raise ProviderError(
            f"{counted(len(self.broken_in_a_row), 'episode')} in a row had no outcome, the last one for {cause} "
            f"({name}). The pilot stopped and lost nothing; run the same again when the outage is over."
        )

    def _give_up(self, missing: Missing) -> None:
        self.writer.append(missing)
        _log_missing(missing)


def _log_missing(missing: Missing) -> None:
    logger.info(
        "task %r, seed %d, arm %r has no outcome: %s", missing.task_id, missing.seed, missing.arm, missing.reason
    )
