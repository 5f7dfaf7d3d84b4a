"""Where rows are run: in this loop, or in worker processes. Only the caller writes."""

import asyncio
import contextlib
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import AsyncGenerator, Callable, MutableSequence, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import msgspec

from forbear import errors
from forbear.errors import ForbearError, InvalidInput, ProviderError
from forbear.models.session import ModelSettings
from forbear.policy.crew import Crew
from forbear.policy.foreign import GRACE_S
from forbear.records.codec import EpisodeKey, Missing, decode_record, encode_record, episode_key
from forbear.records.model import Episode, Termination
from forbear.runner.cell import Silenced
from forbear.runner.episode import ForkCheck
from forbear.runner.ledger import Ledger, Purse
from forbear.runner.plan import FrozenPlan
from forbear.runner.row import Found, RowJob, run_row
from forbear.runner.watch import SLOTS, Watch

_READY, _FOUND, _DONE, _ERROR = b"R", b"F", b"D", b"E"
_PATIENCE_S = 2.0
_GLANCE_S = 0.1
"""How often a worker that says nothing is looked at."""
_STOP_S = 2.0
"""What a call gets beyond its time limit and its grace before its process is killed."""


class Executor(Protocol):
    """Runs rows; an async context manager around their life."""

    @property
    def width(self) -> int | None:
        """How many rows it can run at a time; None: as many as it is asked to."""
        ...

    def run(self, job: RowJob, *, wanted: Callable[[str], bool]) -> AsyncGenerator[Found, None]:
        """Runs a row, as `run_row` does.

        Args:
            job: Which row, which arms.
            wanted: Whether an arm of it is still wanted; asked before each arm, where that is possible.

        Raises:
            WorkerLost: What ran it died; the row may be tried again.
        """
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class WorkerLost(Exception):
    """A worker died in the middle of a row; caught by the pilot, never seen outside the runner."""

    def __init__(self, how: str, *, by: Silenced | None = None) -> None:
        """Says how.

        Args:
            how: It died.
            by: A critic or an intervention that did it, and is not to be asked there again.
        """
        super().__init__(how)
        self.by = by


class _Killed(Exception):
    """A worker was killed here, and why."""

    def __init__(self, how: str, *, is_late: bool) -> None:
        super().__init__(how)
        self.is_late = is_late


class InLoop:
    """Runs rows in the loop of its caller, as many at a time as there are callers."""

    width = None

    def __init__(self, plan: FrozenPlan, *, ledger: Ledger | None = None) -> None:
        self._plan = plan
        self._check = ForkCheck()
        self._ledger = ledger

    def run(self, job: RowJob, *, wanted: Callable[[str], bool]) -> AsyncGenerator[Found, None]:
        """Runs a row."""
        return run_row(self._plan, job, check=self._check, wanted=wanted, ledger=self._ledger)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class Workers:
    """Runs rows in processes of their own, one at a time in each: for agents and worlds that compute.

    What an agent does to its process (ends it, blocks it beyond its time limit, fills the memory) is its failure; a row
    in which a critic or an intervention does so is run again without it; a world, or somebody outside, costs a retry.

    Processes are started afresh (`spawn`) and get the plan pickled, so its parts have to be importable: factories are
    classes, functions or `functools.partial`s of modules.

    Raises:
        InvalidInput: The plan cannot be sent to another process.
    """

    def __init__(
        self,
        plan: FrozenPlan,
        *,
        count: int,
        models: ModelSettings,
        purse: Purse | None = None,
        max_memory_mb: int | None = None,
    ) -> None:
        if max_memory_mb is not None and memory_mb(os.getpid()) is None:
            raise InvalidInput("max_memory_mb needs a system that says in /proc what a process takes; leave it out.")
        self._max_memory_mb = max_memory_mb
        self._arms, self._critics = [arm.name for arm in plan.arms], list(plan.critics)
        try:
            # Each job brings what earlier pilots ran of its row.
            self._plan = pickle.dumps(replace(plan, earlier={}, plan=replace(plan.plan, earlier=())))
        except Exception as error:
            raise InvalidInput(
                f"the parts of this pilot cannot be sent to another process ({type(error).__name__}: {error!s:.150}). "
                "Make agent, environment, critics and interventions of classes and functions of a module, not of "
                "lambdas or inner functions, or run with workers = 1."
            ) from None
        self._models, self._purse = models, purse
        self.width: int | None = count
        self._count = count
        self._idle: asyncio.Queue[_Worker | BaseException] = asyncio.Queue()
        self._all: list[_Worker] = []
        self._starting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        for _ in range(self._count):
            self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*self._starting)
        for worker in self._all:
            worker.process.terminate()
        for worker in self._all:
            worker.end()

    def _start(self) -> None:
        task = asyncio.get_running_loop().create_task(self._started())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _started(self) -> None:
        try:
            # A new process takes its plan only once it has imported what is in it: nobody else has to wait for that.
            worker = await asyncio.to_thread(
                _Worker,
                (self._plan, self._models, self._purse),
                arms=self._arms,
                critics=self._critics,
                max_memory_mb=self._max_memory_mb,
            )
        except OSError as error:  # no room in shared memory, no process, no descriptor left
            self._idle.put_nowait(
                ProviderError(
                    f"a worker process cannot be started ({error.strerror}). Every finished episode is kept; make room "
                    "for it in memory and on the disk for temporary files, or ask for fewer workers, then run the same "
                    "again."
                )
            )
        except Exception as error:
            self._idle.put_nowait(error)
        else:
            self._all.append(worker)
            self._idle.put_nowait(worker)

    async def run(self, job: RowJob, *, wanted: Callable[[str], bool]) -> AsyncGenerator[Found, None]:
        """Runs a row in the next worker that is free; one that dies is replaced.

        What is `wanted` is asked for the last time before the row begins: a worker does not hear of it.
        """
        worker = await self._idle.get()
        if isinstance(worker, BaseException):
            raise worker
        first = () if job.first is None else job.first.episodes
        known = {episode_key(episode): episode for episode in (*first, *job.written) if episode.success is not None}
        whole = lost = False
        try:
            worker.give(job)
            while (found := await worker.next(known)) is not None:
                yield found
            whole = True
        except (EOFError, OSError, _Killed) as error:
            lost = True
            failed = worker.ended(job, error)
            if not worker.ready:
                raise InvalidInput(
                    f"a worker process could not start (exit code {worker.process.exitcode}); what it said stands "
                    'above. A script that runs a pilot with workers needs `if __name__ == "__main__":` around the call.'
                ) from None
            if isinstance(failed, WorkerLost):
                raise failed from None
            yield (failed,)
        finally:
            if whole:
                self._idle.put_nowait(worker)
            else:  # dead, or in the middle of something that nobody waits for any more
                worker.process.kill()
                self._all.remove(worker)
                worker.end()
                if lost:
                    self._start()


class _Worker:
    """One process and the line to it."""

    def __init__(
        self,
        work: tuple[bytes, ModelSettings, Purse | None],
        *,
        arms: Sequence[str],
        critics: Sequence[str],
        max_memory_mb: int | None,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        slots = context.RawArray("d", SLOTS)
        self._watch = Watch(slots, arms=arms, critics=critics)
        self._max_memory_mb = max_memory_mb
        self.process: BaseProcess = context.Process(target=_work, args=(theirs, *work, slots), daemon=True)
        # Born deaf to Ctrl-C, which is the parent's to answer: it would otherwise die of it while it imports, loudly.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        self.ready = False

    def end(self) -> None:
        """Waits for a process that was told to end, not for ever."""
        self.process.join(_PATIENCE_S)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()

    def give(self, job: RowJob) -> None:
        self.connection.send_bytes(pickle.dumps(job))

    async def next(self, known: dict[EpisodeKey, Episode]) -> Found | None:
        """What the worker found next; None when its row is done."""
        while True:
            message = await self._receive()
            kind, content = message[:1], message[1:]
            if kind == _READY:
                self.ready = True
            elif kind == _DONE:
                return None
            elif kind == _ERROR:
                raise _error(msgspec.json.decode(content, type=list[str]))
            else:
                return _decoded(content, known)

    async def _receive(self) -> bytes:
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()
        descriptor = self.connection.fileno()
        loop.add_reader(descriptor, arrived.set)
        try:
            while not arrived.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_GLANCE_S):
                        await arrived.wait()
                if not arrived.is_set():
                    self._glance()
        finally:
            loop.remove_reader(descriptor)
        return self.connection.recv_bytes()

    def _glance(self) -> None:
        """Ends a process that will not say anything any more, or takes too much."""
        if not self.process.is_alive() and not self.connection.poll():
            raise EOFError  # what it forked may keep the line open
        doing, process = self._watch.doing(), self.process.pid
        if doing is not None and doing.overdue_s > min(GRACE_S, doing.limit_s) + _STOP_S:
            raise _Killed(f"gave no answer within {doing.limit_s:g} s and could not be stopped", is_late=True)
        taken = memory_mb(process) if self._max_memory_mb is not None and process is not None else None
        if taken is not None and self._max_memory_mb is not None and taken > self._max_memory_mb:
            raise _Killed(f"took more than {self._max_memory_mb} MB of memory (max_memory_mb)", is_late=False)

    def ended(self, job: RowJob, error: Exception) -> Episode | WorkerLost:
        """What became of a row whose process ended: a failure of the agent that ended it, or how it was lost."""
        doing = self._watch.doing()
        if isinstance(error, _Killed):
            self.process.kill()
        self.process.join(_PATIENCE_S)
        code = self.process.exitcode
        how = str(error) if isinstance(error, _Killed) else f"ended its worker process with exit code {code}"
        is_from_outside = code in (-signal.SIGKILL, -signal.SIGTERM) and not isinstance(error, _Killed)
        if doing is None or is_from_outside:
            return WorkerLost(f"its worker process ended with exit code {code}")
        is_late = isinstance(error, _Killed) and error.is_late
        if doing.part == "environment":
            return WorkerLost(f"the environment {how}")
        if doing.part != "agent":
            fault: Literal["error", "timeout"] = "timeout" if is_late else "error"
            by = Silenced(arm=doing.arm, critic=doing.critic, fault=fault, how=how)
            return WorkerLost(f"the {doing.part} {how}", by=by)
        return Episode(
            task=job.task,
            arm=doing.arm,
            seed=job.seed,
            steps=(),
            termination=Termination.AGENT_TIMEOUT if is_late else Termination.AGENT_ERROR,
            success=False,
            cause=f"the agent {how}",
        )


def memory_mb(process: int) -> float | None:
    """Resident memory of a process; None where the system does not say."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _decoded(lines: bytes, known: dict[EpisodeKey, Episode]) -> Found:
    found: list[Episode | Missing] = []
    for line in lines.split(b"\n"):
        record = decode_record(line, where="a worker's answer", parents=known)
        assert isinstance(record, Episode | Missing), "rows find nothing else"
        if isinstance(record, Episode) and record.success is not None:
            known[episode_key(record)] = record
        found.append(record)
    return tuple(found)


def _error(said: list[str]) -> Exception:
    """The error that a worker told of: ours as itself, anything else with the worker's traceback."""
    kind, text, trace, *notes = said
    known = getattr(errors, kind, None)
    error: Exception = RuntimeError(f"{kind} in a worker process: {text}")
    if isinstance(known, type) and issubclass(known, ForbearError):
        error = known(text)
    else:
        error.add_note(trace)
    for note in notes:
        error.add_note(note)
    return error


def _work(
    connection: Connection, plan: bytes, models: ModelSettings, purse: Purse | None, slots: MutableSequence[float]
) -> None:
    """The life of a worker: rows come in, what they find goes out."""
    # What they print, and their subprocesses, is not the host's output, whose order it would also mix up.
    with contextlib.suppress(OSError):  # there is no standard error
        os.dup2(2, 1)
    sys.stdout = sys.stderr
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    # Nothing that is unpickled comes from elsewhere: the parent alone has the other end.
    frozen: FrozenPlan = pickle.loads(plan)  # nosec B301
    connection.send_bytes(_READY)
    watch = Watch(slots, arms=[arm.name for arm in frozen.arms], critics=list(frozen.critics))
    ledger = None if purse is None else purse.ledger()
    with contextlib.suppress(EOFError):
        asyncio.run(_serve(connection, frozen, watch, models, ledger))


async def _serve(
    connection: Connection, plan: FrozenPlan, watch: Watch, models: ModelSettings, ledger: Ledger | None
) -> None:
    async with models.opened():
        await _answer(connection, plan, watch, ledger)


async def _answer(connection: Connection, plan: FrozenPlan, watch: Watch, ledger: Ledger | None) -> None:
    check, crew = ForkCheck(), Crew()
    while True:
        job: RowJob = pickle.loads(connection.recv_bytes())  # nosec B301
        try:
            async with crew.joined():
                async for found in run_row(plan, job, check=check, watch=watch, ledger=ledger):
                    connection.send_bytes(_FOUND + b"\n".join(map(encode_record, found)))
        except Exception as error:
            said = [type(error).__name__, str(error), traceback.format_exc(), *getattr(error, "__notes__", [])]
            connection.send_bytes(_ERROR + msgspec.json.encode(said))
        else:
            connection.send_bytes(_DONE)


def _end_with_the_parent() -> None:
    """A parent that was killed leaves no worker behind that goes on paying."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
