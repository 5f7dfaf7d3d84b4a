"""The append-only journal of a pilot: a directory with `plan.json` and `episodes.jsonl`.

A line is written and handed to the operating system before it is announced, so a killed process loses nothing that it
announced; it is forced to the disk within 100 ms, many lines at once, or with `sync="always"` before it is announced.
Every line is sealed and linked to the one before it (`records.chain`). Of a line that was being written when the power
went, the torn rest is dropped.

One process writes (`flock` on `episodes.jsonl`); any number may read.
"""

import contextlib
import errno
import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal, TypeAlias

from forbear.errors import InvalidInput, JournalLocked, JournalUnwritable, PlanChanged
from forbear.records.chain import REMEDY, Chain, named_cell
from forbear.records.codec import ArmEnd, EpisodeKey, HandedOut, Missing, Record, episode_key
from forbear.records.model import JSON, Episode
from forbear.records.planned import Planned, changed_plan, require_whole
from forbear.wording import described, shown

SYNC_INTERVAL_S = 0.1

MAX_BYTES = 64 << 20
"""Of `plan.json`, and of one line: the most that is read, and written."""

Sync: TypeAlias = Literal["group", "always"]
"""When lines are forced to the disk. `group`: within 100 ms, many at once; `always`: each append before it returns."""


def require_sync(value: object) -> Sync:
    """Returns a way to force lines to the disk.

    Raises:
        InvalidInput: There is no such way.
    """
    if value == "group":
        return "group"
    if value == "always":
        return "always"
    raise InvalidInput(f"sync must be 'group' or 'always', got {described(value, limit=60)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalContent:
    """What a journal says; grows as its writer appends."""

    plan: Mapping[str, JSON]
    """What is being run; the journal itself knows its cells only (`analysis.plan_record` knows the rest)."""
    episodes: dict[EpisodeKey, Episode] = field(default_factory=dict)
    """Those with an outcome, in the order in which they were written."""
    broken: dict[EpisodeKey, int] = field(default_factory=dict)
    """How often the outside world broke an episode; it was or will be tried again, or is missing."""
    rows: dict[tuple[str, int], list[Episode]] = field(default_factory=dict)
    """By task id and seed: all that was written, broken ones included, in order."""
    missing: dict[EpisodeKey, Missing] = field(default_factory=dict)
    ends: dict[str, ArmEnd] = field(default_factory=dict)
    """By arm that is over before its last task."""
    handed_out: dict[EpisodeKey, HandedOut] = field(default_factory=dict)
    """What a host was given to run and has not told of since."""
    broken_in_a_row: list[EpisodeKey] = field(default_factory=list)
    """What broke since the last episode with an outcome, in order."""
    planned: Planned = field(init=False, repr=False)
    """The cells of the plan."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "planned", Planned.of(self.plan, where="the journal"))

    def add(self, record: Record, *, where: str) -> None:
        """Takes in one record.

        Raises:
            InvalidInput: It contradicts what was there before, or the plan.
        """
        self.require_possible(record, where=where)
        if isinstance(record, Missing):
            self.missing[record.key] = record
            self.handed_out.pop(record.key, None)
        elif isinstance(record, ArmEnd):
            self.ends[record.arm] = record
        elif isinstance(record, HandedOut):
            self.handed_out[record.key] = record
        else:
            key = episode_key(record)
            self.rows.setdefault(key[:2], []).append(record)
            self.handed_out.pop(key, None)
            if record.success is None:
                self.broken[key] = self.broken.get(key, 0) + 1
                self.broken_in_a_row.append(key)
            else:
                self.episodes[key] = record
                self.broken_in_a_row.clear()

    def require_possible(self, record: Record, *, where: str, earlier: Sequence[Record] = ()) -> None:
        """Refuses what `add` would refuse.

        Args:
            record: What is to be added.
            where: Names its place in errors.
            earlier: What will be added before it.

        Raises:
            InvalidInput: The plan has no such cell or arm, or its cell or arm is over.
        """
        if isinstance(record, ArmEnd):
            self._require_first_end(record, where=where, earlier=earlier)
            return
        key = record.key if isinstance(record, Missing | HandedOut) else episode_key(record)
        planned = self.planned
        if key[0] not in planned.tasks or key[1] not in planned.seeds or key[2] not in planned.arms:
            raise InvalidInput(f"{where}: the plan has no {named_cell(key)}.")
        final = isinstance(record, Missing) or (isinstance(record, Episode) and record.success is not None)
        if final and (key in self.episodes or key in self.missing or any(_final_key(one) == key for one in earlier)):
            raise InvalidInput(f"{where}: {named_cell(key)} had its outcome, or was given up, before.")

    def _require_first_end(self, end: ArmEnd, *, where: str, earlier: Sequence[Record]) -> None:
        if end.arm not in self.planned.arms or end.tasks > len(self.planned.tasks):
            raise InvalidInput(
                f"{where}: arm '{shown(end.arm)}' ended after {end.tasks} tasks; the plan has no such arm, or fewer."
            )
        before = [self.ends.get(end.arm), *(one for one in earlier if isinstance(one, ArmEnd) and one.arm == end.arm)]
        for other in before:
            if other not in (None, end):
                raise InvalidInput(f"{where}: arm '{shown(end.arm)}' ended before, after {other.tasks} tasks.")


def _final_key(record: Record) -> EpisodeKey | None:
    """The cell that a record ends."""
    if isinstance(record, Missing):
        return record.key
    return episode_key(record) if isinstance(record, Episode) and record.success is not None else None


class Journal:
    """The journal in a directory. Reading needs no lock; writing happens inside `with journal.writing(plan)`."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.plan_path = self.directory / "plan.json"
        self.lines_path = self.directory / "episodes.jsonl"

    @property
    def started(self) -> bool:
        """Whether there is a journal."""
        return self.plan_path.exists()

    def plan(self) -> dict[str, JSON]:
        """What it was started with.

        Raises:
            InvalidInput: No journal there, or its plan.json was changed, or is of another version.
        """
        where = shown(str(self.directory), limit=200)
        try:
            with _opened(self.plan_path) as file:
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise InvalidInput(f"{where}: no readable journal there ({shown(str(error), limit=120)}).") from None
        if len(raw) > MAX_BYTES:
            raise InvalidInput(f"{where}: plan.json is larger than {MAX_BYTES:,} bytes, the most that is read of it.")
        try:
            plan = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise changed_plan(f"not JSON: {shown(str(error), limit=80)}", where=where) from None
        if not isinstance(plan, dict):
            raise changed_plan(f"expected a JSON object, got {type(plan).__name__}", where=where)
        require_whole(plan, where=where)
        return plan

    def read(self) -> JournalContent:
        """Reads everything that was written.

        Raises:
            InvalidInput: No journal there, one that was changed after it was written, or a newer format.
        """
        content, _, _ = self._read(self.plan())
        return content

    def _read(self, plan: Mapping[str, JSON]) -> tuple[JournalContent, Chain, int]:
        """What it holds, what its next line is linked to, and how many bytes of whole lines that is."""
        content, chain, whole = JournalContent(plan=plan), Chain(str(plan["digest"])), 0
        for number, line in self.lines():
            if not line.endswith(b"\n"):
                break  # torn: it was being written when the power went
            where = f"{self.lines_path}, line {number}"
            sealed = chain.split(line[:-1], where=where)
            chain.require_whole(sealed, where=where)
            if not chain.follows(sealed):
                raise InvalidInput(
                    f"{where}: it was not written after the line before it (its check differs): a line was removed, "
                    f"doubled, moved or put in.{REMEDY}"
                )
            record = sealed.parsed.record(content.episodes, where=where)
            content.add(record, where=where)
            chain.take(record, sealed)
            whole += len(line)
        return content, chain, whole

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """The lines with their numbers and ends, unchecked; the last one may be torn. None where nothing was written.

        Raises:
            InvalidInput: The file cannot be read, or a line is too long.
        """
        try:
            with _opened(self.lines_path) as file:
                number = 1
                while line := file.readline(MAX_BYTES + 1):
                    if len(line) > MAX_BYTES:
                        raise InvalidInput(
                            f"{self.lines_path}, line {number}: longer than {MAX_BYTES:,} bytes, the most that is read "
                            "of a line."
                        )
                    yield number, line
                    number += 1
        except FileNotFoundError:
            return
        except OSError as error:
            raise InvalidInput(f"{self.directory}: no readable journal there ({error.strerror}).") from None

    def writing(self, plan: Mapping[str, JSON], *, sync: Sync = "group") -> "JournalWriter":
        """Opens the journal for one writer, and creates it if there is none.

        Args:
            plan: What is being run; has to be what the journal was started with.
            sync: When lines are forced to the disk.

        Raises:
            JournalLocked: Another process writes it.
            PlanChanged: It was started under another plan.
            InvalidInput: The directory cannot be written, the plan is not whole, or `read` would fail.
        """
        sync = require_sync(sync)
        require_whole(plan, where="the plan")
        descriptor = self.locked()
        try:
            self._agree_on_plan(plan, empty=os.fstat(descriptor).st_size == 0)
            content, chain, whole = self._read(plan)
            if whole < os.fstat(descriptor).st_size:
                os.ftruncate(descriptor, whole)
        except BaseException:
            os.close(descriptor)
            raise
        return JournalWriter(descriptor, content=content, chain=chain, path=self.lines_path, sync=sync)

    def locked(self) -> int:
        """Opens `episodes.jsonl` for its only writer, and creates it if there is none; closing it lets go.

        Raises:
            JournalLocked: Another process writes it.
            InvalidInput: The directory cannot be written, or has no locks.
        """
        try:
            self._make_directory()
            descriptor = os.open(self.lines_path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise InvalidInput(
                f"{self.directory}: a journal cannot be written there ({error.strerror}). Name a directory that you "
                "can write to."
            ) from None
        try:
            _lock(descriptor, self.directory)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _make_directory(self) -> None:
        """Makes it, with its name on the disk: a power cut must not take the whole folder."""
        made = [folder for folder in (self.directory, *self.directory.parents) if not folder.exists()]
        self.directory.mkdir(parents=True, exist_ok=True)
        for folder in made:
            _sync_folder(folder.parent)

    def _agree_on_plan(self, plan: Mapping[str, JSON], *, empty: bool) -> None:
        if not self.plan_path.exists():
            if not empty:
                raise InvalidInput(
                    f"{self.directory}: it has episodes but no plan.json that says what was run. Restore "
                    "plan.json, or name another directory."
                )
            try:
                with replacing(self.plan_path) as file:
                    file.write(json.dumps(plan, indent=1, allow_nan=False).encode("ascii") + b"\n")
            except OSError as error:
                raise JournalUnwritable(f"{self.plan_path}: cannot be written ({error.strerror}).") from None
            return
        if self.plan() != json.loads(json.dumps(plan)):
            raise PlanChanged(
                f"{self.directory} was started under another plan. Go back to that plan, or name another journal."
            )


class JournalWriter:
    """The writing end of a journal; a context manager that closes it. Of use to the process that opened it only."""

    def __init__(self, descriptor: int, *, content: JournalContent, chain: Chain, path: Path, sync: Sync) -> None:
        self.content = content
        """What it holds: what was there when it was opened, and what was appended since."""
        self._chain = chain
        self._descriptor = descriptor
        self._path = path
        self._name = shown(str(path.parent), limit=200)
        self._sync = sync
        self._process = os.getpid()
        opened = os.fstat(descriptor)
        self._file = (opened.st_dev, opened.st_ino)
        self._size = opened.st_size
        self._fault: str | None = None
        """Why nothing more can be written."""
        self._told = False
        """Whether `append` has raised it."""
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        # Waiting for the disk takes milliseconds; in a thread of its own it holds up neither episodes nor the loop.
        self._syncer = threading.Thread(target=self._sync_forever, name="forbear-journal", daemon=True)
        if sync == "group":
            self._syncer.start()

    def __enter__(self) -> "JournalWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, *records: Record) -> None:
        """Writes the records, all or none, and hands them to the operating system; with `always` to the disk.

        Raises:
            JournalUnwritable: The disk is full or fails, the file was moved, replaced or written by others, or this
                process is a fork of the one that opened it. What was written before is whole and kept; nothing more
                can be written by this writer.
            InvalidInput: The plan has no such cell, its cell or arm is over, it continues what is not there, or it
                cannot be written as JSON or is too long.
        """
        if os.getpid() != self._process:
            raise JournalUnwritable(
                f"{self._name}: this process was forked from the one that writes the journal, and only that one may "
                "write. An agent or world that needs a process starts one with subprocess or multiprocessing's spawn."
            )
        for number, record in enumerate(records):
            self.content.require_possible(record, where=self._name, earlier=records[:number])
        if self._fault is not None:
            raise self._fail(self._fault)
        lines = self._chain.seal(records)
        for line in lines:
            if len(line) > MAX_BYTES:
                raise InvalidInput(f"{self._name}: a record of {len(line):,} bytes; the most is {MAX_BYTES:,}.")
        self._require_same_file()
        self._write(b"".join(lines))
        self._chain.go_on(records, lines)
        for record in records:
            self.content.add(record, where=self._name)

    def _write(self, lines: bytes) -> None:
        try:
            written = os.write(self._descriptor, lines)
            while written < len(lines):  # a disk that fills up takes a part first, and says why with the next write
                written += os.write(self._descriptor, lines[written:])
        except OSError as error:
            # What stays of a line is a torn tail, which readers drop: then nothing may come behind it.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise self._fail(_unwritable(error)) from None
        self._size += len(lines)
        if self._sync == "group":
            self._unsynced.set()
            return
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._fail(_unsynced(error)) from None

    def _require_same_file(self) -> None:
        """Refuses to write what nobody would find, or beside another writer."""
        try:
            there = os.stat(self._path)
        except OSError as error:
            raise self._fail(
                f"its episodes.jsonl is gone ({error.strerror}): the folder was removed or moved while it was written. "
                "Bring it back, if it was moved, then run the same again to go on."
            ) from None
        if (there.st_dev, there.st_ino) != self._file:
            raise self._fail(
                "its episodes.jsonl is another file than the one that this process opened: folder or file was replaced "
                "while it was written. What was found until then is in the one that was moved away."
            )
        if there.st_size != self._size:
            raise self._fail(
                "its episodes.jsonl was written or cut by somebody else while this process wrote it. Look at it with "
                "`forbear journal check`."
            )

    def close(self) -> None:
        """Forces everything to the disk and lets go of the lock.

        Raises:
            JournalUnwritable: The disk failed, and no `append` has said so.
        """
        if os.getpid() != self._process:  # a fork: the lock and the thread are the other's, who may hold its locks
            return
        if self._closing.is_set():
            return
        self._closing.set()
        self._unsynced.set()
        if self._sync == "group":
            self._syncer.join()
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._fault = self._fault or _unsynced(error)
        os.close(self._descriptor)
        if self._fault is not None and not self._told:
            raise self._fail(self._fault)

    def _sync_forever(self) -> None:
        while not self._closing.is_set():
            self._unsynced.wait()
            self._closing.wait(SYNC_INTERVAL_S)  # gathers the lines of a group
            self._unsynced.clear()
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                self._fault = self._fault or _unsynced(error)
                return

    def _fail(self, how: str) -> JournalUnwritable:
        """Ends the writing, for the first reason that there was."""
        self._fault, self._told = self._fault or how, True
        return JournalUnwritable(f"{self._name}: {self._fault}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the name of `path` when it is on the disk, as a whole; on an error nothing is changed.

    Raises:
        OSError: It cannot be written.
    """
    beside = path.with_name(path.name + ".new")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _opened(path: Path) -> BinaryIO:
    # A pipe without a writer is empty instead of a wait for ever.
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(error: OSError) -> str:
    return (
        f"the journal cannot be written ({error.strerror}). Nothing that was written is lost; make room, then run the "
        "same again to go on."
    )


def _unsynced(error: OSError) -> str:
    return (
        f"the journal cannot be written ({error.strerror}): the disk does not confirm what was handed to it last. "
        "Look at the disk, make room, then run the same again: what it lost is run again."
    )


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise InvalidInput(
                f"{directory}: a journal needs a file system with locks ({error.strerror}). Name a directory on a "
                "local disk."
            ) from None
        raise JournalLocked(
            f"{directory}: another process writes this journal. Wait for it to end, or name another directory."
        ) from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
