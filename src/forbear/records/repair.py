"""What is left of a damaged journal: found without changing anything (`survey`), and written in its place (`repair`).

A record stays where its line still fits the plan and the episode that it continues, wherever it stands now. What goes
is what was changed, what continues an episode that is gone or, in a coupled design, took from one that came before it
in its row, what contradicts an earlier line, and the end of an arm whose evidence is no longer complete.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from forbear.errors import InvalidInput, JournalUnwritable
from forbear.files import write_whole
from forbear.records.chain import Chain, SealedLine, named_cell
from forbear.records.codec import ArmEnd, EpisodeKey, HandedOut, Record, episode_key, origin_key
from forbear.records.content import JournalContent
from forbear.records.journal import Journal, sync_folder
from forbear.records.model import Episode
from forbear.wording import shown

_BEGIN = re.compile(rb'\{"format":"forbear-')
_END = re.compile(rb',"check":"[0-9a-f]{16}"\}')
_MOST_TRIES = 1000
"""Of putting a beginning and an end on one line together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A line that is not as it was written, or not where."""

    line: int
    what: str
    kept: bool = False
    """Whether its record is whole nevertheless."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a journal holds that can be relied on."""

    content: JournalContent
    lines: tuple[bytes, ...]
    """Of the journal as it will be, with their ends."""
    faults: tuple[Fault, ...]
    """By line."""
    dropped_ends: tuple[ArmEnd, ...]
    """Of arms whose evidence is no longer complete."""
    torn: int
    """Bytes at the end that are no whole line: what was being written when a process was killed. No fault."""
    to_run: tuple[EpisodeKey, ...]
    """Cells without an outcome among the tasks that were begun, in planned order: what the next run begins with."""


def survey(journal: Journal) -> Survey:
    """Looks through all lines, whatever is wrong with some.

    Raises:
        InvalidInput: No journal there, or its plan.json was changed, which nothing here can mend.
    """
    plan = journal.plan()
    sieve = _Sieve(JournalContent(plan=plan), Chain(str(plan["digest"])))
    torn = b""
    for number, line in journal.lines():
        if line.endswith(b"\n"):
            sieve.take(number, line[:-1])
        else:
            torn = line
            if sieve.damaged:  # readers pass it over in any case; where all is written anew, what it holds is kept
                sieve.take(number, line)
    return sieve.finish(Chain(str(plan["digest"])), torn=len(torn))


def repair(journal: Journal) -> tuple[Survey, Path | None]:
    """Puts what is left in the journal's place.

    Returns:
        What was found, and the copy of the damaged file; None where there was nothing to repair.

    Raises:
        JournalLocked: A process writes it.
        JournalUnwritable: The disk is full or failed; nothing was changed.
        InvalidInput: As `survey`.
    """
    journal.plan()
    descriptor = journal.locked()
    try:
        found = survey(journal)
        if not found.faults:
            return found, None
        copy = _free_name(journal.lines_path)
        write_whole(copy, journal.lines_path.read_bytes())
        write_whole(journal.lines_path, b"".join(found.lines))
        sync_folder(journal.directory)
    except OSError as error:
        raise JournalUnwritable(
            f"{journal.directory}: cannot be written ({error.strerror}); it is as it was."
        ) from None
    finally:
        os.close(descriptor)
    return found, copy


def _free_name(path: Path) -> Path:
    number, copy = 1, path.with_name(path.name + ".damaged")
    while copy.exists():
        number += 1
        copy = path.with_name(f"{path.name}.damaged-{number}")
    return copy


class _Sieve:
    """Takes lines one by one and keeps what is whole."""

    def __init__(self, content: JournalContent, chain: Chain) -> None:
        self._content = content
        self._chain = chain
        self._kept: list[tuple[int, Record, SealedLine]] = []
        self._ends: list[tuple[int, ArmEnd, SealedLine]] = []
        self._waiting: dict[EpisodeKey, list[tuple[int, SealedLine]]] = {}
        """Lines whose parent has not come yet, by parent."""
        self._faults: list[Fault] = []
        self._lines: dict[bytes, int] = {}
        """The number of the first one of equal lines."""
        self._gap = False
        """Whether the last line was damaged: the next one cannot follow it."""

    @property
    def damaged(self) -> bool:
        """Whether a line so far is not as it was written, or waits for one that has not come."""
        return bool(self._faults or self._waiting)

    def take(self, number: int, text: bytes) -> None:
        """Takes one line, without its end."""
        found = list(self._records(text))
        if [one.text for one in found] != [text]:
            what = "it holds more than its record" if found else "it is not what was written (its checksum differs)"
            self._note(number, what, kept=bool(found))
            self._gap = True
        for sealed in found:
            if sealed.text in self._lines:
                self._note(number, f"it repeats line {self._lines[sealed.text]}")
                continue
            self._lines[sealed.text] = number
            if not self._chain.follows(sealed) and not self._gap:
                self._note(number, "it was not written after the line before it", kept=True)
            self._gap = False
            self._chain.pass_over(sealed)
            self._place(number, sealed)

    def _records(self, text: bytes) -> Iterator[SealedLine]:
        """What a line holds: one record, or none, or several where ends of lines were lost."""
        whole = self._opened(text)
        if whole is not None:
            yield whole
            return
        tries, after = 0, 0
        for begin in _BEGIN.finditer(text):
            if begin.start() < after:
                continue
            for end in _END.finditer(text, begin.start()):
                tries += 1
                found = self._opened(text[begin.start() : end.end()])
                if found is not None:
                    after = end.end()
                    yield found
                if found is not None or tries > _MOST_TRIES:
                    break

    def _opened(self, text: bytes) -> SealedLine | None:
        try:
            sealed = self._chain.split(text, where="")
        except InvalidInput:
            return None
        return None if self._chain.is_whole(sealed) is False else sealed

    def _place(self, number: int, sealed: SealedLine) -> None:
        """Keeps a line, or lets it wait for the episode that it continues; then lets in who waited for it."""
        todo = [(number, sealed)]
        while todo:
            number, sealed = todo.pop(0)
            parent = sealed.parsed.parent
            if self._chain.is_whole(sealed) is None:
                assert parent is not None, "only who continues another is not known to be whole"
                self._waiting.setdefault(parent, []).append((number, sealed))
                continue
            record = self._accepted(number, sealed)
            if isinstance(record, Episode) and record.success is not None:
                todo += self._waiting.pop(episode_key(record), [])

    def _accepted(self, number: int, sealed: SealedLine) -> Record | None:
        if not self._chain.is_whole(sealed):
            self._note(number, "it is not what was written, or continues another episode than the one that is there")
            return None
        try:
            record = sealed.parsed.record(self._content.episodes, where="it cannot be")
            if isinstance(record, ArmEnd):
                self._ends.append((number, record, sealed))
                return None
            self._content.add(record, where="it cannot be")
        except InvalidInput as error:
            self._note(number, str(error))
            return None
        self._chain.learn(record, sealed)
        self._kept.append((number, record, sealed))
        return record

    def _note(self, number: int, what: str, *, kept: bool = False) -> None:
        self._faults.append(Fault(line=number, what=what, kept=kept))

    def finish(self, chain: Chain, *, torn: int) -> Survey:
        """Closes the books.

        Args:
            chain: New, of the same plan: what is kept is linked by it.
            torn: Bytes at the end that are no whole line.
        """
        for parent, lines in self._waiting.items():
            for number, _ in lines:
                self._note(number, f"it continues {named_cell(parent)}, which is gone")
        dropped: list[ArmEnd] = []
        all_ends = {end.arm: end.tasks for _, end, _ in self._ends}
        if self._faults:
            self._drop_dependents(all_ends)
        for number, end, sealed in self._ends:
            if self._faults and not self._rests(end, all_ends):
                dropped.append(end)
                self._note(number, f"the end of arm '{shown(end.arm)}' rests on episodes that are gone")
                continue
            try:
                self._content.add(end, where="it cannot be")
            except InvalidInput as error:
                self._note(number, str(error))
                continue
            self._kept.append((number, end, sealed))
        return Survey(
            content=self._content,
            lines=tuple(chain.relink(record, sealed) for _, record, sealed in self._kept),
            faults=tuple(sorted(self._faults, key=lambda fault: fault.line)),
            dropped_ends=tuple(dropped),
            torn=torn,
            to_run=tuple(self._to_run()),
        )

    def _drop_dependents(self, all_ends: Mapping[str, int]) -> None:
        """Drops what took from a run that is gone: arms of a row that come after one that should be there."""
        content, planned = self._content, self._content.planned
        there = {*content.episodes, *content.broken, *content.missing}
        rows = sorted({key[:2] for key in there}, key=lambda row: planned.tasks[row[0]])
        over = dict(all_ends)
        for arm in planned.coupled:
            behind = 1 + max((n for n, row in enumerate(rows) if (*row, arm) in there), default=-1)
            # Of an arm that stopped, the end itself may be what was lost; where a run was lost, it is of one row.
            if len(rows) - behind > 1:
                over.setdefault(arm, planned.tasks[rows[behind][0]])
        gone: set[EpisodeKey] = set()
        for task, seed in rows:
            absent = False
            for arm in planned.coupled:
                key = (task, seed, arm)
                if key not in there:
                    absent |= arm == planned.baseline or planned.tasks[task] < over.get(arm, len(planned.tasks))
                elif absent:
                    gone.add(key)
        kept, self._kept, self._content = self._kept, [], JournalContent(plan=content.plan)
        for number, record, sealed in kept:
            if not isinstance(record, ArmEnd | HandedOut):
                key = episode_key(record) if isinstance(record, Episode) else record.key
                origin = record.origin if isinstance(record, Episode) else None
                # A continuation goes on from another row; what it goes on from comes before it.
                if origin is not None and origin_key(key[0], key[1], origin) in gone:
                    gone.add(key)
                if key in gone:
                    self._note(number, f"{named_cell(key)} took from a run of the same task that is gone")
                    continue
            self._content.add(record, where="it cannot be")
            self._kept.append((number, record, sealed))

    def _rests(self, end: ArmEnd, all_ends: Mapping[str, int]) -> bool:
        """Whether the evidence of an end is there: what every arm, as far as it went, ran before it."""
        return all(
            (task, seed, arm) in self._content.episodes or (task, seed, arm) in self._content.missing
            for task, position in self._content.planned.tasks.items()
            for arm in self._content.planned.arms
            if position < min(end.tasks, all_ends.get(arm, end.tasks))
            for seed in self._content.planned.seeds
        )

    def _to_run(self) -> Iterator[EpisodeKey]:
        content, planned = self._content, self._content.planned
        begun = [planned.tasks[task] for task, _ in content.rows] + [planned.tasks[key[0]] for key in content.missing]
        last = {arm: content.ends[arm].tasks if arm in content.ends else len(planned.tasks) for arm in planned.arms}
        treated = [last[arm] for arm in planned.arms if arm != planned.baseline]
        if planned.baseline is not None and treated:
            last[planned.baseline] = max(treated)
        for task, position in planned.tasks.items():
            for seed in planned.seeds:
                for arm in planned.arms:
                    key = (task, seed, arm)
                    over = key in content.episodes or key in content.missing or position >= last[arm]
                    if position <= max(begun, default=-1) and not over:
                        yield key
