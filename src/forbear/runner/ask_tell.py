"""A pilot whose loop is the host's: it asks what to run next and tells what came of it.

Order, journal, looks, watch and verdict are those of `run_pilot`; only who runs an episode is another.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, TypeAlias

from forbear.analysis.monitor import monitor_of
from forbear.analysis.plan_record import PlanRecord
from forbear.analysis.result import PilotResult, analyse
from forbear.contracts.draw import Draw, derived_seed
from forbear.errors import InvalidInput, JournalLocked, ProviderError
from forbear.records.codec import (
    EpisodeKey,
    HandedOut,
    Missing,
    config_digest,
    decode_record,
    encode_record,
    episode_key,
)
from forbear.records.journal import Journal, JournalWriter
from forbear.records.model import JSON, Episode, Task, Termination
from forbear.runner.host_plan import HostPlan
from forbear.wording import described, shown

logger = logging.getLogger(__name__)

_PATIENCE_S = 0.02
_REASON_LENGTH = 300
_MOST_DRAW_SEEDS = 2**31
"""Larger ones do not fit into what many generators and JSON readers take."""

Told: TypeAlias = Literal["written", "told before", "tried again", "missing"]
"""What became of it: it is an outcome; the same was told before; it is asked for again; it will have no outcome."""


def model_seed(task: str, draw_seed: int) -> int:
    """A seed for a language model, in [0, 2**31).

    Under one `draw_seed` for all tasks a model has the same luck with all of them, and the tasks of an arm are not
    independent.
    """
    return Draw(task_id=task, seed=draw_seed, role="framework").integer() & 0x7FFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One episode for the host to run."""

    task: Task
    seed: int
    """Names the run of the task; with task and arm it is what is told of later."""
    arm: str
    runs_as: str
    """The arm whose way to run the task is meant: the arm itself, and the baseline for its rerun."""
    config: Mapping[str, JSON]
    """That arm's, as the plan has it."""
    draw_seed: int
    """For whatever draws at random, in [0, 2**31) but for the baseline, which has the seed itself. Arms have none in
    common: a rerun would repeat its baseline, and the run-to-run variation would look smaller than it is."""
    until: float
    """Unix time, in seconds, from which on it is given to somebody else if nothing was told."""

    @property
    def key(self) -> EpisodeKey:
        """Task id, seed and arm."""
        return (self.task.id, self.seed, self.arm)

    @property
    def model_seed(self) -> int:
        """For a language model's `seed`, in [0, 2**31): of task, run and arm."""
        return model_seed(self.task.id, self.draw_seed)

    def to_dict(self) -> dict[str, JSON]:
        """As JSON has it (`forbear-ask-1`)."""
        return {
            "task": self.task.id,
            "payload": self.task.payload,
            "seed": self.seed,
            "arm": self.arm,
            "runs_as": self.runs_as,
            "config": self.config,
            "draw_seed": self.draw_seed,
            "model_seed": self.model_seed,
            "until": self.until,
        }


NOTHING_TO_RUN: Mapping[str, None] = dict.fromkeys(
    ("task", "payload", "seed", "arm", "runs_as", "config", "draw_seed", "model_seed", "until")
)
"""The same where there is nothing to run: all null, so that readers need to ask for `task` only."""


class HostPilot:
    """A pilot that is asked and told; it holds its journal until it is closed, and is a context manager that closes it.

    May be used from several threads. Asking and telling block: they write to the journal, and at a look `tell` decides.
    In an event loop call them by `asyncio.to_thread`.

    Args:
        plan: Has to be the one that the journal was started with.
        journal: Where everything is kept.
        retries: How often an episode that the outside world broke is asked for again; after that it has no outcome.
        outage_after: So many episodes in a row without outcome are an outage: see `tell`.
        lease_s: After so many seconds an assignment that nobody told of is given out again.
        wait_s: How long to wait for another process that holds the journal, in seconds.
        clock: Gives the Unix time, in seconds.

    Raises:
        PlanChanged: The journal was started under another plan; the message shows what differs.
        JournalLocked: Another process held it for all of `wait_s`.
        InvalidInput: It cannot be read or written, or a number is out of range.
    """

    def __init__(
        self,
        plan: HostPlan,
        journal: Journal,
        *,
        retries: int = 2,
        outage_after: int = 20,
        lease_s: float = 3600.0,
        wait_s: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        for name, value, least in (("retries", retries, 0), ("outage_after", outage_after, 1)):
            if value < least:
                raise InvalidInput(f"{name} must be at least {least}, got {value}.")
        if not 0 < lease_s < 1e12:
            raise InvalidInput(f"lease_s must be a number of seconds above 0, got {lease_s!r:.60}.")
        self.plan = plan
        self.record = plan.record()
        """What `plan.json` says."""
        self._tasks = {task.id: (position, task) for position, task in enumerate(plan.ordered)}
        self._retries = retries
        self._outage_after = outage_after
        self._lease_s = lease_s
        self._clock = clock
        self._queue: deque[EpisodeKey] = deque()
        """Up to the open look, what is neither over nor given out; what broke stands behind the others."""
        self._open_look = 0
        # Protects queue, monitor and journal: threads of one host that ask at once must not get the same.
        self._lock = threading.RLock()
        self._closed = False
        self._writer = _opened(journal, self.record, wait_s=wait_s)
        self._content = self._writer.content
        try:
            self._monitor = monitor_of(self.record, self._content)
            self._advance()
        except BaseException:
            self._writer.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forces everything to the disk and lets go of the journal; what was given out may be told later."""
        with self._lock:
            self._closed = True
            self._writer.close()

    def _require_open(self) -> None:
        if self._closed:
            raise InvalidInput("the pilot was closed; open it again with HostPilot(plan, journal).")

    @property
    def over(self) -> bool:
        """Whether nothing will be asked for any more: every arm has ended, or every task is complete."""
        return self._monitor.over

    @property
    def tasks(self) -> int:
        """How many tasks of the planned order are complete, from the first on: the evidence so far."""
        return self._monitor.tasks

    @property
    def outstanding(self) -> tuple[HandedOut, ...]:
        """What was given out, is still wanted, and nobody has told of; the one that is given out again first, first."""
        with self._lock:
            wanted = [one for one in self._content.handed_out.values() if self._wanted(one.key)]
            return tuple(sorted(wanted, key=lambda one: one.until))

    def ask(self) -> Assignment | None:
        """What to run next.

        All arms of a task are asked for together, in a random order of their own, so that what drifts with time falls
        on all of them. Up to one look everything comes before anything behind it.

        Returns:
            None where nothing is to be run now: the pilot is `over`, or all that is left up to the next look is given
            out. Then ask again when something was told, or when a lease has ended (`outstanding`).

        Raises:
            JournalUnwritable: The disk is full or failed.
        """
        with self._lock:
            self._require_open()
            now = self._clock()
            key = self._next(now)
            if key is None:
                return None
            given = HandedOut(task_id=key[0], seed=key[1], arm=key[2], until=now + self._lease_s)
            self._writer.append(given)
            if self._queue and self._queue[0] == key:  # only now: a full disk must not lose it
                self._queue.popleft()
            return self._assignment(given)

    def tell(
        self,
        assignment: Assignment | EpisodeKey,
        outcome: bool | Episode | None,
        *,
        reason: str = "",
        final: bool = False,
    ) -> Told:
        """Takes what came of an episode; what is told twice the same counts once.

        Args:
            assignment: What was asked, or its task id, seed and arm.
            outcome: True or False: whether the task was done. An episode: the same, and what happened. None: the
                outside world broke it; it is asked for again after all others up to the look, and at last has no
                outcome, which is never a failure.
            reason: What broke, where there is no outcome.
            final: With None: it will never have an outcome, do not ask for it again.

        Returns:
            What became of it.

        Raises:
            InvalidInput: Something else was told of it before, it was not asked for, the outcome is none of these, or
                the episode is another one's.
            ProviderError: `outage_after` episodes in a row had no outcome: the world outside seems to be down. What was
                told is kept; until an outcome is told, nothing is given up without `final`.
            JournalUnwritable: The disk is full or failed.
        """
        with self._lock:
            self._require_open()
            key = assignment.key if isinstance(assignment, Assignment) else assignment
            episode = self._episode(key, outcome, reason=reason)
            if final and episode.success is not None:
                raise InvalidInput("final says that no outcome will come; it goes with None, not with an outcome.")
            if self._told_before(key, episode, final=final):
                return "told before"
            self._require_asked(key)
            if episode.success is None:
                return self._take_broken(key, episode, final=final)
            self._writer.append(episode)
            self._advance()
            return "written"

    def result(self) -> PilotResult:
        """What was found so far, for `evidence_of`."""
        with self._lock:
            return analyse(self.record, self._content)

    # --- What is next -------------------------------------------------------------------------------------

    def _next(self, now: float) -> EpisodeKey | None:
        # Whoever had it may be gone; it holds back all the evidence behind it.
        for one in self.outstanding:
            if one.until <= now:
                return one.key
        while self._queue and not self._wanted(self._queue[0]):
            self._queue.popleft()
        return self._queue[0] if self._queue else None

    def _wanted(self, key: EpisodeKey) -> bool:
        """Whether a cell of the plan is without an end that could still be evidence."""
        return not self._is_over(key) and not self.over and self._monitor.wants(key[2], self._tasks[key[0]][0])

    def _is_over(self, key: EpisodeKey) -> bool:
        return key in self._content.episodes or key in self._content.missing

    def _advance(self) -> None:
        """Takes in what has become complete, writes down which arms that ends, and opens the next look."""
        monitor = self._monitor
        monitor.advance()
        for end in monitor.ends.values():
            # At the last task there is nothing left that it would end.
            if end.tasks < len(self.record.tasks) and end.arm not in self._content.ends:
                logger.info("arm %r is over after %d tasks: %s", end.arm, end.tasks, end.reason)
                self._writer.append(end)
        look = next((n for n in self.record.looks.tasks if n > monitor.tasks), 0)
        if look != self._open_look:
            self._open_look = look
            left = [key for key in self._cells(monitor.tasks, look) if key not in self._content.handed_out]
            left.sort(key=lambda key: key in self._content.broken)  # stable: what broke comes last
            self._queue = deque(left)

    def _cells(self, start: int, end: int) -> Iterator[EpisodeKey]:
        """What is wanted of the tasks from one position to another, in the order in which it is asked for."""
        for task in self.record.tasks[start:end]:
            for seed in self.record.seeds:
                arms = sorted(
                    self.record.arms,
                    key=lambda arm: config_digest(["arms", self.plan.order_seed, task.id, seed, arm]),
                )
                for arm in arms:
                    if self._wanted((task.id, seed, arm)):
                        yield (task.id, seed, arm)

    def _assignment(self, given: HandedOut) -> Assignment:
        arm, baseline = self.record.arms[given.arm], self.record.baseline_arm
        own = derived_seed(given.seed, purpose=f"arm:{given.arm}") % _MOST_DRAW_SEEDS
        return Assignment(
            task=self._tasks[given.task_id][1],
            seed=given.seed,
            arm=given.arm,
            runs_as=baseline if arm.kind == "rerun" else given.arm,
            config=arm.policy or {},
            draw_seed=given.seed if given.arm == baseline else own,
            until=given.until,
        )

    # --- What was told ------------------------------------------------------------------------------------

    def _episode(self, key: EpisodeKey, outcome: object, *, reason: str) -> Episode:
        """What was told as an episode that a journal can hold."""
        task = self._task(key)
        if isinstance(outcome, Episode):
            _require_same(outcome, key, task)
            return _as_written(outcome)
        success = _success(outcome)
        told = Episode(
            task=task,
            seed=key[1],
            arm=key[2],
            steps=(),
            termination=Termination.PROVIDER_ERROR if success is None else Termination.FINISHED,
            success=success,
            cause=None if success is not None else shown(reason, limit=_REASON_LENGTH) or "the host gave no reason",
        )
        return _as_written(told)

    def _task(self, key: EpisodeKey) -> Task:
        name, seed, arm = key
        if name not in self._tasks:
            raise InvalidInput(f"the plan has no task {name!r:.80}.")
        for value, known, what in ((seed, self.record.seeds, "seed"), (arm, self.record.arms, "arm")):
            if value not in known:
                raise InvalidInput(f"the plan has no {what} {value!r:.60}; it has {', '.join(map(str, known))}.")
        return self._tasks[name][1]

    def _told_before(self, key: EpisodeKey, episode: Episode, *, final: bool) -> bool:
        before, content = self._content.episodes.get(key), self._content
        if before is not None:
            # A bare outcome repeats an episode that had the same; another episode is another story.
            if before == episode or (before.success == episode.success and not episode.steps):
                return True
            raise InvalidInput(
                f"{_named(key)}: something else was told before, success {before.success}; what was told first counts."
            )
        if key in content.missing:
            if episode.success is None:
                return True
            raise InvalidInput(f"{_named(key)}: it was given up before, and its pair counts as without outcome.")
        # Broken once, it is asked for again before it can break again: the same news came twice.
        return episode.success is None and not final and key in content.broken and key not in content.handed_out

    def _require_asked(self, key: EpisodeKey) -> None:
        """Takes what was given out at any time, and what would be next; the evidence of later looks has to wait.

        What would be next needs no line that says that it was given out: the power may have gone just then.
        """
        if key in self._content.handed_out:
            return
        if self._tasks[key[0]][0] >= self._open_look or not self._wanted(key):
            raise InvalidInput(
                f"{_named(key)}: it was not asked for and is not wanted now. Run what ask gives, in its order: "
                "whoever chooses what is run, or when, makes false verdicts."
            )

    def _take_broken(self, key: EpisodeKey, episode: Episode, *, final: bool) -> Told:
        cause = f"{episode.termination.value}: {episode.cause}"
        outage = len(self._content.broken_in_a_row) + 1 >= self._outage_after
        tries = self._content.broken.get(key, 0) + 1
        if final or (tries > self._retries and not outage):
            self._writer.append(episode, Missing(task_id=key[0], seed=key[1], arm=key[2], reason=cause))
            self._advance()
            return "missing"
        self._writer.append(episode)
        if key in self._queue:  # told without having been asked
            self._queue.remove(key)
        self._queue.append(key)
        if outage:
            raise ProviderError(
                f"{len(self._content.broken_in_a_row)} episodes in a row had no outcome, the last one for "
                f"{episode.cause}. Nothing is lost, and none of them is given up: ask again when the outage is over. "
                "If an episode will really never have an outcome, tell so (final=True, --final)."
            )
        return "tried again"


def _success(outcome: object) -> bool | None:
    if outcome is None or isinstance(outcome, bool):
        return outcome
    if type(outcome).__module__ == "numpy" and type(outcome).__name__ in ("bool", "bool_"):
        return bool(outcome)
    raise InvalidInput(
        "an outcome is True, False, None (the outside world broke it) or an Episode, got "
        f"{described(outcome, limit=40)}. A graded outcome is no success or failure: fix, before the first run, from "
        "which grade on a task is done."
    )


def _require_same(episode: Episode, key: EpisodeKey, task: Task) -> None:
    if episode_key(episode) != key:
        raise InvalidInput(f"the episode is that of {_named(episode_key(episode))}; told of was {_named(key)}.")
    if episode.task != task:
        raise InvalidInput(f"{_named(key)}: the episode's task is not the plan's (payload, stratum or cluster differ).")
    if episode.origin is not None:
        raise InvalidInput(f"{_named(key)}: the episode continues another one; here every episode runs from its start.")


def _as_written(episode: Episode) -> Episode:
    """The episode as its line will read back."""
    name = _named(episode_key(episode))
    try:
        line = encode_record(episode)
    except (TypeError, ValueError, RecursionError) as error:  # what msgspec says of values that are not JSON
        raise InvalidInput(f"{name}: the episode cannot be written ({shown(str(error), limit=150)}).") from None
    read = decode_record(line, where=f"the episode of {name}")
    assert isinstance(read, Episode), "it was written as one"
    return read


def _opened(journal: Journal, record: PlanRecord, *, wait_s: float) -> JournalWriter:
    if journal.started:
        where = str(journal.directory)
        record.require(PlanRecord.of(journal.plan(), where=where), where=where)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            return journal.writing(record.to_dict())
        except JournalLocked:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PATIENCE_S)


def _named(key: EpisodeKey) -> str:
    return f"task {key[0]!r:.80}, seed {key[1]}, arm {key[2]!r:.60}"
