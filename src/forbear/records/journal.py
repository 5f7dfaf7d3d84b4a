"""The append-only journal of a pilot: a directory with `plan.json` and `episodes.jsonl`.

A line is written and handed to the operating system before it is announced, so a killed process loses nothing that it
announced; it is forced to the disk within 100 ms, many lines at once. Every line ends with a checksum of itself. Of a
line that was being written when the power went, the torn rest is dropped.

One process writes (`flock` on `episodes.jsonl`); any number may read.
"""

import errno
import fcntl
import json
import os
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from forbear.errors import InvalidInput, JournalLocked, JournalUnwritable, PlanChanged
from forbear.records.codec import (
    ArmEnd,
    EpisodeKey,
    HandedOut,
    Missing,
    Record,
    decode_record,
    encode_record,
    episode_key,
)
from forbear.records.model import JSON, Episode

SYNC_INTERVAL_S = 0.1

_CHECK = b',"check":"'
_CHECK_LENGTH = len(_CHECK) + 8 + len(b'"}')


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalContent:
    """What a journal says; grows as its writer appends."""

    plan: Mapping[str, JSON]
    """What is being run; of its content, the journal knows nothing (`analysis.plan_record` does)."""
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

    def add(self, record: Record, *, where: str) -> None:
        """Takes in one record.

        Raises:
            InvalidInput: It says that an arm ended, which had ended elsewhere before.
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

    def require_possible(self, record: Record, *, where: str) -> None:
        """Refuses what `add` would refuse."""
        before = self.ends.get(record.arm) if isinstance(record, ArmEnd) else None
        if before not in (None, record):
            raise InvalidInput(f"{where}: arm {record.arm!r:.60} ended before, after {before.tasks} tasks.")


class Journal:
    """The journal in a directory. Reading needs no lock; writing happens inside `with journal.writing(plan)`."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self._plan_path = self.directory / "plan.json"
        self._lines_path = self.directory / "episodes.jsonl"

    @property
    def started(self) -> bool:
        """Whether there is a journal."""
        return self._plan_path.exists()

    def plan(self) -> dict[str, JSON]:
        """What it was started with.

        Raises:
            InvalidInput: No journal there, or its plan.json is no JSON object.
        """
        try:
            text = self._plan_path.read_text(encoding="utf-8")
            plan = json.loads(text, parse_constant=_no_constant)
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidInput(f"{self.directory}: no readable journal there ({error!s:.120}).") from None
        if not isinstance(plan, dict):
            raise InvalidInput(f"{self._plan_path}: expected a JSON object, got {type(plan).__name__}.")
        return plan

    def read(self) -> JournalContent:
        """Reads everything that was written.

        Raises:
            InvalidInput: No journal there, a line that was changed after it was written, or a newer format.
        """
        content, _ = self._read(self.plan())
        return content

    def _read(self, plan: Mapping[str, JSON]) -> tuple[JournalContent, int]:
        """What it holds, and how many bytes of whole lines that is."""
        content, whole = JournalContent(plan=plan), 0
        try:
            with self._lines_path.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if not line.endswith(b"\n"):
                        break  # torn: it was being written when the power went
                    _take(line[:-1], content, where=f"{self._lines_path}, line {number}")
                    whole += len(line)
        except FileNotFoundError:
            return content, 0
        except OSError as error:
            raise InvalidInput(f"{self.directory}: no readable journal there ({error.strerror}).") from None
        return content, whole

    def writing(self, plan: Mapping[str, JSON]) -> "JournalWriter":
        """Opens the journal for one writer, and creates it if there is none.

        Args:
            plan: What is being run; has to be what the journal was started with.

        Raises:
            JournalLocked: Another process writes it.
            PlanChanged: It was started under another plan.
            InvalidInput: The directory cannot be written, or `read` would fail.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self._lines_path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise InvalidInput(
                f"{self.directory}: a journal cannot be written there ({error.strerror}). Name a directory that you "
                "can write to."
            ) from None
        try:
            _lock(descriptor, self.directory)
            self._agree_on_plan(plan)
            content, whole = self._read(plan)
            if whole < os.fstat(descriptor).st_size:
                os.ftruncate(descriptor, whole)
        except BaseException:
            os.close(descriptor)
            raise
        return JournalWriter(descriptor, content=content, name=str(self.directory))

    def _agree_on_plan(self, plan: Mapping[str, JSON]) -> None:
        if not self._plan_path.exists():
            if self._lines_path.stat().st_size:
                raise InvalidInput(
                    f"{self.directory}: it has episodes but no plan.json that says what was run. Restore "
                    "plan.json, or name another directory."
                )
            beside = self._plan_path.with_suffix(".json.new")
            try:
                with beside.open("w", encoding="ascii") as file:
                    json.dump(plan, file, indent=1, allow_nan=False)
                    file.write("\n")
                    file.flush()
                    os.fsync(file.fileno())
                beside.replace(self._plan_path)
                folder = os.open(self.directory, os.O_RDONLY)
                os.fsync(folder)
                os.close(folder)
            except OSError as error:
                raise JournalUnwritable(f"{self._plan_path}: cannot be written ({error.strerror}).") from None
            return
        if self.plan() != json.loads(json.dumps(plan)):
            raise PlanChanged(
                f"{self.directory} was started under another plan. Go back to that plan, or name another journal."
            )


class JournalWriter:
    """The writing end of a journal; a context manager that closes it."""

    def __init__(self, descriptor: int, *, content: JournalContent, name: str) -> None:
        self.content = content
        """What it holds: what was there when it was opened, and what was appended since."""
        self._descriptor = descriptor
        self._name = name
        self._size = os.fstat(descriptor).st_size
        self._fault: OSError | None = None
        self._unsynced = threading.Event()
        self._closing = threading.Event()
        # Waiting for the disk takes milliseconds; in a thread of its own it holds up neither episodes nor the loop.
        self._syncer = threading.Thread(target=self._sync_forever, name="forbear-journal", daemon=True)
        self._syncer.start()

    def __enter__(self) -> "JournalWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, *records: Record) -> None:
        """Writes the records, all or none, and hands them to the operating system.

        Raises:
            JournalUnwritable: The disk is full or fails; what was written before is whole and kept.
            InvalidInput: One says that an arm ended, which had ended elsewhere before.
        """
        for record in records:
            self.content.require_possible(record, where=self._name)
        lines = b"".join([_checked(encode_record(record)) for record in records])
        if self._fault is not None:
            raise self._unwritable(self._fault)
        try:
            written = os.write(self._descriptor, lines)
            while written < len(lines):  # a disk that fills up takes a part first, and says why with the next write
                written += os.write(self._descriptor, lines[written:])
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)
            raise self._unwritable(error) from None
        self._size += len(lines)
        self._unsynced.set()
        for record in records:
            self.content.add(record, where=self._name)

    def close(self) -> None:
        """Forces everything to the disk and lets go of the lock.

        Raises:
            JournalUnwritable: The disk failed.
        """
        if self._closing.is_set():
            return
        self._closing.set()
        self._unsynced.set()
        self._syncer.join()
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            self._fault = error
        os.close(self._descriptor)
        if self._fault is not None:
            raise self._unwritable(self._fault)

    def _sync_forever(self) -> None:
        while not self._closing.is_set():
            self._unsynced.wait()
            self._closing.wait(SYNC_INTERVAL_S)  # gathers the lines of a group
            self._unsynced.clear()
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                self._fault = error
                return

    def _unwritable(self, error: OSError) -> JournalUnwritable:
        return JournalUnwritable(
            f"{self._name}: the journal cannot be written ({error.strerror}). Nothing that was written is lost; make "
            "room, then run the same again to go on."
        )


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise InvalidInput(f"{directory}: a journal needs a file system with locks ({error.strerror}).") from None
        raise JournalLocked(
            f"{directory}: another process writes this journal. Wait for it to end, or name another directory."
        ) from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _checked(line: bytes) -> bytes:
    body = line[:-1]
    return b'%b%b%08x"}\n' % (body, _CHECK, zlib.crc32(body))


def _take(line: bytes, content: JournalContent, *, where: str) -> None:
    body, check = line[:-_CHECK_LENGTH], line[-_CHECK_LENGTH:]
    if check != b'%b%08x"}' % (_CHECK, zlib.crc32(body)):
        raise InvalidInput(
            f"{where}: it is not what was written (its checksum differs). Restore the file from a copy, or delete "
            "this line and those after it, which will be run again."
        )
    content.add(decode_record(line, where=where, parents=content.episodes), where=where)
