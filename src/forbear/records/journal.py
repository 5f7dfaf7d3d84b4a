"""The append-only journal of a pilot: a directory with `plan.json` and `episodes.jsonl`.

A line is written and handed to the operating system before it is announced, so a killed process loses nothing that it
announced; it is forced to the disk within 100 ms, many lines at once. Every line ends with a checksum of itself. Of a
line that was being written when the power went, the torn rest is dropped.

One process writes (`flock` on `episodes.jsonl`); any number may read.
"""

import errno
import fcntl
import hashlib
import json
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

from forbear.errors import InvalidInput, JournalLocked, JournalUnwritable, PlanChanged
from forbear.records.codec import (
    EPISODE_FORMAT,
    EpisodeKey,
    canonical_json,
    decode_episode,
    encode_episode,
    episode_key,
    read_record,
)
from forbear.records.model import JSON, Episode

EXCLUSION_FORMAT = "forbear-exclusion-1"
STOP_FORMAT = "forbear-stop-1"
SYNC_INTERVAL_S = 0.1

_CHECK = ',"check":"'
_CHECK_LENGTH = len(_CHECK) + 8 + len('"}')


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """An episode that will have no outcome, and why; its pair is counted as missing, never as a failure."""

    task_id: str
    seed: int
    arm: str
    reason: str

    @property
    def key(self) -> EpisodeKey:
        """What names the episode."""
        return (self.task_id, self.seed, self.arm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """An arm is over before its last task: final, so that it is written down when it is found."""

    arm: str
    tasks: int
    """The first ones of the planned order are its evidence; what it ran beyond is kept and not used."""
    reason: str
    """`watch`, `decided`, `futile`, `last look`, or `with the others`."""


Record: TypeAlias = Episode | Exclusion | Stop
"""What a line holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalContent:
    """What a journal says."""

    plan: dict[str, JSON]
    episodes: dict[EpisodeKey, Episode]
    """Those with an outcome, in the order in which they were written."""
    broken: dict[EpisodeKey, int]
    """How often the outside world broke an episode; it was or will be tried again, or is excluded."""
    rows: dict[tuple[str, int], list[Episode]]
    """By task id and seed: all that was written, broken ones included, in order."""
    exclusions: dict[EpisodeKey, Exclusion]
    stops: dict[str, Stop] = field(default_factory=dict)
    """By arm that is over before its last task."""

    def digest(self) -> str:
        """Returns the sha256 of what was found: outcomes and exclusions in the order of (task, seed, arm).

        Seconds, broken attempts, causes and the order of lines are no part of it; nor is what an arm ran beyond its
        stop, which depends on how many runs were under way.
        """
        digest = hashlib.sha256()
        used = self._used()
        for key in sorted(key for key in self.episodes.keys() | self.exclusions.keys() if used(key)):
            digest.update(self._canonical_line(key).encode("ascii") + b"\n")
        return digest.hexdigest()

    def _used(self) -> Callable[[EpisodeKey], bool]:
        """Whether an episode is evidence: it lies before the stop of its arm, the baseline's before that of all."""
        baseline, arms = self.plan.get("baseline"), self.plan.get("arms")
        if not self.stops or not isinstance(baseline, dict) or not isinstance(arms, dict):
            return lambda key: True
        tasks = baseline.get("tasks")
        place = (
            {task[0]: n for n, task in enumerate(tasks) if isinstance(task, list)} if isinstance(tasks, list) else {}
        )
        last = {arm: stop.tasks for arm, stop in self.stops.items()}
        alone = [name for name, arm in arms.items() if isinstance(arm, dict) and arm.get("kind") == "baseline"]
        if all(arm in last for arm in arms if arm not in alone):
            last |= dict.fromkeys(alone, max(last.values()))
        return lambda key: key[2] not in last or place.get(key[0], 0) < last[key[2]]

    def _canonical_line(self, key: EpisodeKey) -> str:
        episode = self.episodes.get(key)
        if episode is None:
            return canonical_json({"format": EXCLUSION_FORMAT, "task": key[0], "seed": key[1], "arm": key[2]})
        timeless = replace(episode, usage=replace(episode.usage, seconds=0.0), cause=None)
        return canonical_json(json.loads(encode_episode(timeless)))


class Journal:
    """The journal in a directory. Reading needs no lock; writing happens inside `with journal.writing(plan)`."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self._plan_path = self.directory / "plan.json"
        self._lines_path = self.directory / "episodes.jsonl"

    def read(self) -> JournalContent:
        """Reads everything that was written.

        Raises:
            InvalidInput: No journal there, a line that was changed after it was written, or a newer format.
        """
        try:
            plan = self._plan_path.read_text(encoding="utf-8")
            lines = self._lines_path.read_bytes() if self._lines_path.exists() else b""
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{self.directory}: no readable journal there ({error}).") from None
        return _content(read_record(plan, where=str(self._plan_path)), lines, where=str(self._lines_path))

    def writing(self, plan: Mapping[str, JSON]) -> "JournalWriter":
        """Opens the journal for one writer, and creates it if there is none.

        Args:
            plan: What is being run; has to be what the journal was started with.

        Raises:
            JournalLocked: Another process writes it.
            PlanChanged: It was started under another plan; the message shows what differs.
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
            raw = self._lines_path.read_bytes()
            content = _content(dict(plan), raw, where=str(self._lines_path))
            whole = raw.rfind(b"\n") + 1
            if whole < len(raw):
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
        started = read_record(self._plan_path.read_text(encoding="utf-8"), where=str(self._plan_path))
        if started.get("format") != plan.get("format"):
            raise _newer(str(self._plan_path), started.get("format"))
        _refuse_growth(started, plan, self.directory)
        differences = list(_differences(started, json.loads(json.dumps(plan)), path=""))
        if differences:
            more = f" and {len(differences) - 4} more" if len(differences) > 4 else ""
            raise PlanChanged(
                f"{self.directory} was started under another plan: {'; '.join(differences[:4])}{more}. "
                "Go back to that plan, or name another journal."
            )


class JournalWriter:
    """The writing end of a journal; a context manager that closes it."""

    def __init__(self, descriptor: int, *, content: JournalContent, name: str) -> None:
        self.content = content
        """What was there when it was opened."""
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
        """
        lines = b"".join(map(_checked_line, records))
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


def _checked_line(record: Record) -> bytes:
    if isinstance(record, Exclusion):
        text = json.dumps(
            {
                "format": EXCLUSION_FORMAT,
                "task": record.task_id,
                "seed": record.seed,
                "arm": record.arm,
                "reason": record.reason,
            },
            separators=(",", ":"),
        )
    elif isinstance(record, Stop):
        text = json.dumps(
            {"format": STOP_FORMAT, "arm": record.arm, "tasks": record.tasks, "reason": record.reason},
            separators=(",", ":"),
        )
    else:
        text = encode_episode(record)
    body = text[:-1].encode("ascii")
    return body + f'{_CHECK}{zlib.crc32(body):08x}"}}\n'.encode("ascii")


def _is_whole(line: bytes) -> bool:
    body, check = line[:-_CHECK_LENGTH], line[-_CHECK_LENGTH:]
    return check == f'{_CHECK}{zlib.crc32(body):08x}"}}'.encode("ascii")


def _content(plan: dict[str, JSON], raw: bytes, *, where: str) -> JournalContent:
    content = JournalContent(plan=plan, episodes={}, broken={}, rows={}, exclusions={})
    for number, line in enumerate(raw.split(b"\n")[:-1], start=1):  # what follows the last line's end is torn
        here = f"{where}, line {number}"
        if not _is_whole(line):
            raise InvalidInput(
                f"{here}: it is not what was written (its checksum differs). Restore the file from a copy, or delete "
                "this line and those after it, which will be run again."
            )
        text = line.decode("ascii")
        kind = read_record(text, where=here).get("format")
        if kind == EPISODE_FORMAT:
            episode = decode_episode(text, where=here, parents=content.episodes)
            key = episode_key(episode)
            content.rows.setdefault(key[:2], []).append(episode)
            if episode.success is None:
                content.broken[key] = content.broken.get(key, 0) + 1
            else:
                content.episodes[key] = episode
        elif kind == EXCLUSION_FORMAT:
            exclusion = _exclusion(read_record(text, where=here), where=here)
            content.exclusions[exclusion.key] = exclusion
        elif kind == STOP_FORMAT:
            stop = _stop(read_record(text, where=here), plan=plan, where=here)
            if content.stops.setdefault(stop.arm, stop) != stop:
                raise InvalidInput(
                    f"{here}: arm {stop.arm!r:.60} ended before, after {content.stops[stop.arm].tasks} tasks."
                )
        else:
            raise _newer(here, kind)
    return content


def _stop(record: dict[str, JSON], *, plan: Mapping[str, JSON], where: str) -> Stop:
    arm, tasks, reason = (record.get(key) for key in ("arm", "tasks", "reason"))
    arms = plan.get("arms")
    planned = arms.get(arm) if isinstance(arms, dict) and isinstance(arm, str) else None
    treated = isinstance(planned, dict) and planned.get("kind") != "baseline"
    within = isinstance(tasks, int) and 1 <= tasks <= len(_tasks(plan))
    if isinstance(arm, str) and treated and isinstance(tasks, int) and within and isinstance(reason, str):
        return Stop(arm=arm, tasks=tasks, reason=reason)
    raise InvalidInput(
        f"{where}: a stop needs an 'arm' of the plan, a number of its 'tasks' from 1 on, and the text 'reason'. "
        "Restore the file from a copy, or delete this line: it is found again."
    )


def _exclusion(record: dict[str, JSON], *, where: str) -> Exclusion:
    task, seed, arm, reason = (record.get(key) for key in ("task", "seed", "arm", "reason"))
    if isinstance(task, str) and isinstance(seed, int) and isinstance(arm, str) and isinstance(reason, str):
        return Exclusion(task_id=task, seed=seed, arm=arm, reason=reason)
    raise InvalidInput(f"{where}: an exclusion needs the texts 'task', 'arm' and 'reason' and the number 'seed'.")


def _newer(where: str, kind: JSON) -> InvalidInput:
    return InvalidInput(
        f"{where}: this version of forbear does not know the format {kind!r:.60}. Read it with the version that wrote "
        "it, or a newer one."
    )


def _refuse_growth(started: Mapping[str, JSON], plan: Mapping[str, JSON], directory: Path) -> None:
    """Says why a pilot may not simply go on with more tasks."""
    before, now = ({task[0] for task in _tasks(one) if isinstance(task, list)} for one in (started, plan))
    if before < now:
        raise PlanChanged(
            f"{directory}: it has grown: {len(before)} tasks were planned, now there are {len(now)}. Adding tasks and "
            "deciding again makes false verdicts: testing at 50, then 100, then 200 tasks, each at .05, deploys a "
            "useless arm 9.8 % of the time. Go back to the plan, whose declared looks may be taken, or start a fresh "
            "pilot in another journal."
        )


def _tasks(plan: Mapping[str, JSON]) -> list[JSON]:
    baseline = plan.get("baseline")
    tasks = baseline.get("tasks") if isinstance(baseline, dict) else None
    return tasks if isinstance(tasks, list) else []


def _differences(before: JSON, now: JSON, *, path: str) -> Iterable[str]:
    """Sentences on where two JSON values differ; digests are left out where something else says it better."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            here = f"{path}.{key}" if path else str(key)
            if key not in before or key not in now:
                yield f"{here} is {'new' if key in now else 'gone'}"
            elif key != "digest":
                yield from _differences(before[key], now[key], path=here)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _differences(old, new, path=f"{path}[{number}]")
    elif before != now:
        yield f"{path} was {_brief(before)}, is {_brief(now)}"


def _brief(value: JSON) -> str:
    if isinstance(value, list) and (len(value) > 8 or any(isinstance(one, list | dict) for one in value)):
        return f"a list of {len(value)}"
    return f"{value!r:.60}"
