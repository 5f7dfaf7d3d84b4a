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
import stat
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeAlias

from forbear.errors import InvalidInput, JournalLocked, JournalUnwritable, PlanChanged
from forbear.files import limit_of, read_bounded, too_large, write_whole
from forbear.records.chain import REMEDY, Chain
from forbear.records.codec import Record, parse_line
from forbear.records.content import JournalContent as JournalContent
from forbear.records.model import JSON
from forbear.records.planned import changed_plan, require_whole
from forbear.wording import described, shown

SYNC_INTERVAL_S = 0.1

MAX_BYTES = 64 << 20
"""Of `plan.json`, and of one line: the most that is read, and written, where the environment does not say otherwise."""

MAX_TOTAL = 2 << 30
"""Of all lines: 100 kB for each of 20,000 episodes. The environment only raises it: a journal stays readable."""

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
            raw = read_bounded(self.plan_path, limit=MAX_BYTES, name=f"{where}: plan.json")
        except OSError as error:
            raise InvalidInput(f"{where}: no readable journal there ({shown(str(error), limit=120)}).") from None
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
            InvalidInput: The file cannot be read, or is too long, or a line of it.
        """
        try:
            most = limit_of(MAX_BYTES)
            # Not to wait for ever: opening a named pipe blocks until somebody opens its other end.
            descriptor = os.open(self.lines_path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as file:
                _require_readable(descriptor, self.lines_path)
                number = 1
                while line := file.readline(most + 1):
                    if len(line) > most:
                        raise too_large(f"{self.lines_path}, line {number}", most)
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
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self.lines_path, flags, 0o666)
        except OSError as error:
            raise InvalidInput(
                f"{self.directory}: a journal cannot be written there ({error.strerror}). Name a directory that you "
                "can write to."
            ) from None
        try:
            _require_readable(descriptor, self.lines_path)
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
            sync_folder(folder.parent)

    def _agree_on_plan(self, plan: Mapping[str, JSON], *, empty: bool) -> None:
        if not self.plan_path.exists():
            if not empty:
                raise InvalidInput(
                    f"{self.directory}: it has episodes but no plan.json that says what was run. Restore "
                    "plan.json, or name another directory."
                )
            try:
                write_whole(self.plan_path, json.dumps(plan, indent=1, allow_nan=False).encode("ascii") + b"\n")
                sync_folder(self.directory)
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
        self._path = path.absolute()  # an agent may change the working directory
        self._name = shown(str(path.parent), limit=200)
        self._sync = sync
        self._process = os.getpid()
        opened = os.fstat(descriptor)
        self._file = (opened.st_dev, opened.st_ino)
        self._size = opened.st_size
        self._most, self._most_in_all = limit_of(MAX_BYTES), _most_in_all()
        """Bytes of a line, and of all: no more than what is read."""
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
            if len(line) > self._most:
                raise too_large(f"{self._name}: a record of {len(line):,} bytes", self._most)
            parse_line(line, where=self._name)  # what cannot be read back is not written
        self._require_same_file()
        together = b"".join(lines)
        if self._size + len(together) > self._most_in_all:
            raise self._fail(str(too_large("episodes.jsonl", self._most_in_all)))
        self._write(together)
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


def sync_folder(folder: Path) -> None:
    """Forces the names of a folder's files to the disk.

    Raises:
        OSError: It cannot be.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _most_in_all() -> int:
    return max(limit_of(MAX_TOTAL), MAX_TOTAL)


def _require_readable(descriptor: int, path: Path) -> None:
    """Refuses what never ends, and what would take too much memory, before it is read."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInput(f"{path}: it is no file, but a pipe or a device. Restore it, or name another directory.")
    if status.st_size > _most_in_all():
        raise too_large(str(path), _most_in_all())


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
