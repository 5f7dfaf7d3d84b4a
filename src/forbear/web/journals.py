"""The journals below a folder, as a viewer needs them: found by their plans, read once as long as they do not grow."""

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from forbear.analysis.plan_record import PlanRecord
from forbear.records.codec import EpisodeKey
from forbear.records.content import JournalContent
from forbear.records.journal import Journal
from forbear.records.model import Episode

MOST_JOURNALS = 500
_DEPTH = 4
"""Folders below the one that is served."""
_KEPT = 8
"""Journals in memory, with their reports."""
_MOST_BYTES = 256 << 20
"""Of the files of those journals together, but for the last one; in memory they are several times as large."""
_AGAIN = 5.0
"""A journal that grows is read again after this many times what reading it took."""

OUTCOMES = {True: "succeeded", False: "failed", None: "no outcome"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One journal below the folder."""

    name: str
    """Its path from there, which names it in addresses."""
    directory: Path
    changed: float
    """When it was last written to; Unix time."""
    lines: int
    """Episodes, near enough: other records are few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a plan says of its size."""

    tasks: int
    seeds: int
    arms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A journal's content."""

    plan: PlanRecord
    content: JournalContent
    size: int
    read_at: float
    took: float
    texts: dict[EpisodeKey, str] = field(default_factory=dict)
    """By episode what was seen and done in it, in small letters; filled by the first search."""
    reports: dict[str, str] = field(default_factory=dict)
    """What was made of this content, by name: it is as lasting as that."""
    making: threading.Lock = field(default_factory=threading.Lock)

    def report(self, name: str, make: Callable[[PlanRecord, JournalContent], str]) -> str:
        """What a function makes of the content, once however many ask for it."""
        with self.making:
            if name not in self.reports:
                self.reports[name] = make(self.plan, self.content)
            return self.reports[name]

    def episodes(self, *, arm: str = "", outcome: str = "", words: str = "") -> Iterator[Episode]:
        """Those that fit, in the order in which they were written; an empty condition fits all."""
        wanted = words.lower()
        for key, episode in self.content.episodes.items():
            if arm and episode.arm != arm:
                continue
            if outcome and OUTCOMES[episode.success] != outcome:
                continue
            if wanted and wanted not in self._text(key, episode):
                continue
            yield episode

    def _text(self, key: EpisodeKey, episode: Episode) -> str:
        text = self.texts.get(key)
        if text is None:
            parts = [key[0], episode.final_observation or ""]
            for step in episode.steps:
                parts += [step.observation, *step.messages]
                parts += [proposal.action.text for proposal in step.proposals]
            text = self.texts[key] = "\n".join(parts).lower()
        return text


class Journals:
    """All journals below a folder.

    Args:
        root: The folder; one that is a journal itself is shown alone.
        most_bytes: Of the files of journals that are kept in memory, but for the last one.
    """

    def __init__(self, root: Path, *, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._root = root.resolve()
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._lines: dict[str, tuple[int, int]] = {}
        self._known: dict[str, Path] = {}
        self._plans: dict[str, tuple[tuple[int, int], Planned]] = {}
        self._lock = threading.Lock()

    def found(self) -> list[Found]:
        """The journals, the last written first, at most 500 of them."""
        with self._lock:
            found = [self._described(directory) for directory in self._directories()]
        return sorted(found, key=lambda one: -one.changed)

    def find(self, name: str) -> Found | None:
        """The journal of a name. Only names that a walk gave are known, so that none leads out of the folder."""
        with self._lock:
            known = self._known.get(name)
            if known is not None and not known.is_symlink() and (known / "plan.json").is_file():
                return self._described(known)
            self._known = {self._name(directory): directory for directory in self._directories()}
            return self._described(self._known[name]) if name in self._known else None

    def planned(self, found: Found) -> Planned:
        """What a journal's plan says of its size, without reading episodes; the plan itself is not kept.

        Raises:
            InvalidInput: It cannot be read.
        """
        try:
            stat = (found.directory / "plan.json").stat()
            state = (stat.st_size, stat.st_mtime_ns)
        except OSError:  # gone since the walk: reading it says so
            state = (0, 0)
        with self._lock:
            known = self._plans.get(found.name)
            if known is None or known[0] != state:
                plan = PlanRecord.of(Journal(found.directory).plan(), where=found.name)
                size = Planned(tasks=len(plan.tasks), seeds=len(plan.seeds), arms=tuple(plan.arms))
                known = self._plans[found.name] = (state, size)
            return known[1]

    def open(self, found: Found) -> Opened:
        """A journal's content.

        Raises:
            InvalidInput: It cannot be read.
        """
        with self._lock:
            journal, now = Journal(found.directory), time.monotonic()
            size = journal.lines_path.stat().st_size if journal.lines_path.exists() else 0
            known = self._opened.get(found.name)
            if known is not None:
                self._opened.move_to_end(found.name)
                if known.size == size or now - known.read_at < _AGAIN * known.took:
                    return known
            content = journal.read()
            plan = PlanRecord.of(content.plan, where=found.name)
            took = time.monotonic() - now
            opened = Opened(plan=plan, content=content, size=size, read_at=now + took, took=took)
            self._opened[found.name] = opened
            while len(self._opened) > 1 and (
                len(self._opened) > _KEPT or sum(one.size for one in self._opened.values()) > self._most_bytes
            ):
                self._opened.popitem(last=False)
            return opened

    def _directories(self) -> Iterator[Path]:
        seen = 0
        for folder, folders, files in os.walk(self._root):  # links are not followed: they may lead anywhere
            depth = len(Path(folder).relative_to(self._root).parts)
            folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < _DEPTH else []
            if "plan.json" in files:
                seen += 1
                yield Path(folder)
            if seen == MOST_JOURNALS:
                return

    def _name(self, directory: Path) -> str:
        return directory.relative_to(self._root).as_posix() if directory != self._root else self._root.name or "journal"

    def _described(self, directory: Path) -> Found:
        name, path = self._name(directory), directory / "episodes.jsonl"
        try:
            stat = path.stat()
            size, changed = stat.st_size, stat.st_mtime
        except OSError:
            size, changed = 0, (directory / "plan.json").stat().st_mtime
        if name not in self._lines or self._lines[name][0] != size:
            self._lines[name] = (size, _count(path) if size else 0)
        return Found(name=name, directory=directory, changed=changed, lines=self._lines[name][1])


def _count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))
