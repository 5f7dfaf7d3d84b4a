"""From the rows of any table to coded columns: filtered, checked, with every error named by its line.

Columns are taken some rows at a time; each column of names is coded by a dictionary. Only rows in which something is
unusual are looked at one by one.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress, count, islice
from sys import getsizeof
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forbear.adapters.formats.delimited import Delimited
from forbear.adapters.formats.json_rows import open_json
from forbear.adapters.formats.outcome_words import NOT_MISSING, OutcomeWords
from forbear.adapters.formats.reading import Condition, Reading
from forbear.adapters.formats.repeats import Keys, refuse_repeats
from forbear.adapters.formats.rows import Rows
from forbear.adapters.formats.source import LIMIT, Source
from forbear.adapters.formats.tabular_columns import Layout, locate
from forbear.errors import InvalidInput
from forbear.files import limit_of, too_large
from forbear.outcomes.table import Labels
from forbear.wording import counted, listed, shown

_NAME_BYTES = 100
"""What a new name takes beside itself."""
_ROW_BYTES = 50
"""What a row takes: six codes, an outcome and its line, and the codes again while they are put together."""
_MOST_VALUES = 1000
"""Values of a column that are remembered for a message."""
EMPTY = frozenset({"", "none", "null", "nan", "n/a", "na", "false", "0", "[]", "{}"})
"""What a column of errors holds where there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The rows of all sources, one after the other. A column that a source lacks holds ""."""

    tasks: Labels
    arms: Labels
    seeds: Labels
    success: NDArray[np.bool_] | NDArray[np.float64]
    """Floats where scores were read and no threshold makes outcomes of them."""
    missing: NDArray[np.bool_]
    """Where there is no outcome."""
    clusters: Labels | None
    """None where no source has such a column."""
    strata: Labels | None
    """The same."""
    reasons: Labels | None
    """The same."""
    groups: Labels | None
    """The values of the column by which comparisons are made; None where there is none."""
    lines: Sequence[Sequence[int]]
    """Per source: the number of each of its rows."""
    units: Sequence[str]
    """Per source: what that numbers, "line" or "row"."""
    layouts: Sequence[Layout]
    """Per source."""
    words: Mapping[str, int]
    """How often each word was read as no outcome."""
    errors: Mapping[str, int]
    """By arm: runs that were made runs without an outcome by the column of errors."""
    suspects: Mapping[str, int]
    """By arm: failures of which a column that was not read says that something broke."""
    passed_over: int
    """Rows that the conditions left out."""


class _Column:
    """One column of names, coded in the order of their first appearance."""

    def __init__(self) -> None:
        self.known: defaultdict[str, int] = defaultdict(count().__next__)
        self.codes: list[NDArray[np.int32]] = []
        self.counted = 0
        self.bytes = 0
        """That its names take."""

    def add(self, values: Sequence[str] | None, *, rows: int) -> None:
        """Adds the values of some rows; where their source lacks the column each is ""."""
        if values is None:
            self.codes.append(np.full(rows, self.known[""], dtype=np.int32))
        else:
            self.codes.append(np.fromiter(map(self.known.__getitem__, values), dtype=np.int32, count=rows))
        new = len(self.known) - self.counted
        if new:
            self.counted += new
            self.bytes += sum(map(getsizeof, islice(reversed(self.known), new))) + new * _NAME_BYTES

    def labels(self, *, since: int = 0) -> Labels:
        """The codes of the parts from `since` on, and all names."""
        return Labels(codes=np.concatenate(self.codes[since:]), names=list(self.known))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Some rows of one source, checked; None is a column that the source lacks."""

    tasks: Sequence[str]
    arms: Sequence[str] | None
    seeds: Sequence[str] | None
    success: NDArray[np.uint8] | NDArray[np.float64]
    """Codes, or scores with NaN where there is none."""
    clusters: Sequence[str] | None
    strata: Sequence[str] | None
    reasons: Sequence[str] | None
    groups: Sequence[str] | None
    lines: Sequence[int]


_NAMES = ("tasks", "arms", "seeds", "clusters", "strata", "reasons", "groups")


@dataclass(slots=True)
class _Table:
    """The rows read so far, column by column."""

    words: OutcomeWords
    columns: dict[str, _Column] = field(default_factory=lambda: {name: _Column() for name in _NAMES})
    present: set[str] = field(default_factory=set)
    """The columns that some source has."""
    success: list[NDArray[np.uint8] | NDArray[np.float64]] = field(default_factory=list)
    rows: int = 0
    lines: list[list[Sequence[int]]] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    layouts: list[Layout] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    suspects: Counter[str] = field(default_factory=Counter)
    passed_over: int = 0
    stood: list[int] = field(default_factory=list)
    """Per source: rows of an arm, where rows are paired by where they stand."""

    def add(self, rows: _Rows, *, name: str) -> None:
        """Takes in some rows.

        Raises:
            InvalidInput: All rows together take more than twice the limit in memory.
        """
        number = len(rows.tasks)
        for column, known in self.columns.items():
            values = getattr(rows, column)
            known.add(values, rows=number)
            if values is not None:
                self.present.add(column)
        self.success.append(rows.success)
        parts, new = self.lines[-1], rows.lines
        if parts and isinstance(new, range) and isinstance(parts[-1], range) and parts[-1].stop == new.start:
            parts[-1] = range(parts[-1].start, new.stop)
        else:
            parts.append(new)
        self.rows += number
        names = sum(column.bytes for column in self.columns.values())
        if names + self.rows * _ROW_BYTES > 2 * limit_of(LIMIT):
            raise too_large(name, limit_of(LIMIT), in_memory=True)

    def keys(self, *, since: int) -> Keys:
        """What names the rows of the parts from `since` on."""
        chosen = [self.columns[name].labels(since=since) for name in ("tasks", "arms", "seeds", "groups")]
        return Keys(tasks=chosen[0], arms=chosen[1], seeds=chosen[2], groups=chosen[3])

    def content(self) -> Content:
        words = self.words
        success: Any = np.concatenate(self.success)
        if words.reading.scored:
            missing = np.isnan(success)
            words.require_among(success[~missing])
            told: Mapping[str, int] = {}
        else:
            missing = np.greater_equal(success, NOT_MISSING)
            counts = np.bincount(success[missing], minlength=NOT_MISSING)[NOT_MISSING:].tolist()
            told = {word: n for word, n in zip(words.missing, counts, strict=False) if n}
        labels = {name: column.labels() for name, column in self.columns.items()}
        return Content(
            tasks=labels["tasks"],
            arms=labels["arms"],
            seeds=labels["seeds"],
            success=self._outcomes(success, missing),
            missing=missing,
            clusters=labels["clusters"] if "clusters" in self.present else None,
            strata=labels["strata"] if "strata" in self.present else None,
            reasons=labels["reasons"] if "reasons" in self.present else None,
            groups=labels["groups"] if "groups" in self.present else None,
            lines=[parts[0] if len(parts) == 1 else list(chain.from_iterable(parts)) for parts in self.lines],
            units=self.units,
            layouts=self.layouts,
            words=told,
            errors=self.errors,
            suspects=self.suspects,
            passed_over=self.passed_over,
        )

    def _outcomes(
        self, success: NDArray[np.uint8] | NDArray[np.float64], missing: NDArray[np.bool_]
    ) -> NDArray[np.bool_] | NDArray[np.float64]:
        if not self.words.reading.scored:
            outcomes: NDArray[np.bool_] = success == 1
            return outcomes
        known = np.where(missing, 0.0, success)
        return known if self.words.reading.threshold is None else self.words.reached(known) & ~missing


def read_rows(sources: Iterable[Source], reading: Reading, *, needs_arm: bool, guess_arm: bool = True) -> Content:
    """Reads whole tables.

    Args:
        sources: Taken one after the other; none is kept.
        reading: How they are read.
        needs_arm: Whether there has to be a column of arms.
        guess_arm: Whether a column of another name may be taken for it.

    Raises:
        InvalidInput: Whatever keeps a row from being read, with source and line.
    """
    table = _Table(words=OutcomeWords(reading))
    for file, source in enumerate(sources):
        rows = open_rows(source, reading)
        _OneSource(
            table,
            rows,
            source.name,
            reading,
            locate(rows, reading, file=file, needs_arm=needs_arm, guess_arm=guess_arm and needs_arm),
        ).read()
        del rows, source  # before the next one is read
    require_files_alike(table.stood)
    content = table.content()
    require_reasons(content, reading)
    return content


def open_rows(source: Source, reading: Reading) -> Rows:
    """The rows of a text, by what it begins with.

    Raises:
        InvalidInput: It has too many lines, or cannot be read.
    """
    # Blank lines take no memory, but time; a row of 64 bytes is a long one.
    if (number := source.lines()) > (most := limit_of(LIMIT) >> 6):
        raise InvalidInput(
            f"{source.name} has {number:,} lines, the most that are read are {most:,}. Keep the rows of one pilot, "
            "or set FORBEAR_MAX_INPUT_MIB."
        )
    first = next((text.lstrip()[0] for text in source.pieces(ends=b"\n\r") if not text.isspace()), "")
    return open_json(source, reading) if first in ("{", "[") else Delimited(source)


def require_met(condition: Condition, met: Collection[str], *, name: str) -> None:
    """Raises: a value that a condition names is none that its column holds."""
    known = {value.lower() for value in met}
    lost = next((value for value in condition.values if value.lower() not in known), None)
    if lost is not None:
        raise InvalidInput(
            f"{name}: no row has '{shown(lost)}' in the column '{shown(condition.column)}', which holds {listed(met)}. "
            "Correct --where."
        )


def require_as_many(groups: Iterable[Mapping[str, int]], *, name: str) -> None:
    """Raises: arms have different numbers of rows, so that where a row stands does not say what it belongs to."""
    for arms in groups:
        if len(set(arms.values())) > 1:
            counts = ", ".join(f"'{shown(arm)}' {counted(rows, 'row')}" for arm, rows in list(arms.items())[:5])
            raise InvalidInput(
                f"{name}: with --key row the arms need as many rows, in the same order; {counts}. "
                "Name a column of task ids: --task-col NAME."
            )


def require_files_alike(stood: Sequence[int]) -> None:
    """Raises: the same of two files."""
    if len(set(stood)) > 1:
        raise InvalidInput(
            f"with --key row both files need as many rows, in the same order; the first has {stood[0]:,}, the second "
            f"{stood[1]:,}. Name a column of task ids: --task-col NAME."
        )


def require_reasons(content: Content, reading: Reading) -> None:
    """Raises: no source says why its runs have no outcome."""
    named = {reason.lower() for reason in reading.failures}
    if reading.failures and not any(layout.reason for layout in content.layouts) and not named & content.words.keys():
        raise InvalidInput(
            "the file has no column 'reason', and where it has no outcome it does not itself say "
            f"{listed(reading.failures)}. Name the column of reasons: --reason-col NAME."
        )


class _OneSource:
    """Reads one source into a table."""

    def __init__(self, table: _Table, rows: Rows, name: str, reading: Reading, layout: Layout) -> None:
        self.table, self.rows, self.name, self.reading, self.layout = table, rows, name, reading, layout
        self.wanted = [{value.lower() for value in one.values} for one in layout.where]
        self.met: list[dict[str, None]] = [{} for _ in layout.where]
        self.stood: Counter[tuple[str, ...]] = Counter()
        """By arm, seed and group: rows so far, where those are paired by where they stand."""
        self.ran: Counter[tuple[str, ...]] = Counter()
        """By task, arm and group: runs so far, where those are numbered."""

    def read(self) -> None:
        table, layout = self.table, self.layout
        table.lines.append([])
        table.units.append(self.rows.unit)
        table.layouts.append(layout)
        since, passed_over = len(table.success), table.passed_over
        for columns, lines in self.batches():
            self._take(columns, lines)
        for one, met in zip(layout.where, self.met, strict=True):
            if not one.negated and len(met) < _MOST_VALUES:
                require_met(one, met, name=self.name)
        if len(table.success) == since:
            if table.passed_over > passed_over:
                raise InvalidInput(
                    f"{self.name}: no row is left where {' and '.join(map(str, layout.where))}. Correct --where."
                )
            raise InvalidInput(f"{self.name} holds no outcomes, only a header. Add one row per task and arm.")
        if self.reading.key == "row":
            by_group: defaultdict[str, dict[str, int]] = defaultdict(dict)
            for (arm, _, group), number in self.stood.items():
                by_group[group][arm] = max(number, by_group[group].get(arm, 0))
            require_as_many(by_group.values(), name=self.name)
            table.stood.append(max(self.stood.values()))
        refuse_repeats(table.keys(since=since), self.rows, layout, self.name, table.lines[-1], self.batches)

    def batches(self, *others: str) -> Iterator[tuple[dict[str, Sequence[str]], Sequence[int]]]:
        """The columns that are used, and others, of the rows that fulfil the conditions."""
        layout, columns = self.layout, self.reading.columns
        optional = ((columns.seed, layout.seed), (columns.cluster, layout.cluster), (columns.stratum, layout.stratum))
        named = [name for asked, name in optional if asked is not None]
        must = [layout.task, layout.arm, *layout.outcomes, *named]
        ids = [layout.task, layout.arm, layout.seed, layout.cluster, layout.stratum]
        more = [layout.reason, layout.error, layout.suspect, layout.by, *(one.column for one in layout.where)]
        names = list(dict.fromkeys(name for name in (*must, *ids, *more, *others) if name))
        needed = [name for name in must if name]
        for fields, lines in self.rows.columns(names, ids=[name for name in ids if name], needed=needed):
            found = dict(zip(names, fields, strict=True))
            if layout.where:
                keep = self._kept(found, len(lines))
                self.table.passed_over += 0 if others else len(lines) - sum(keep)
                found = {name: list(compress(values, keep)) for name, values in found.items()}
                lines = list(compress(lines, keep))
            if lines:
                yield found, lines

    def _kept(self, found: Mapping[str, Sequence[str]], rows: int) -> list[bool]:
        keep = [True] * rows
        for one, wanted, met in zip(self.layout.where, self.wanted, self.met, strict=True):
            values = found[one.column]
            if len(met) < _MOST_VALUES:
                met.update(dict.fromkeys(values))
            keep = [kept and (value.lower() in wanted) != one.negated for kept, value in zip(keep, values, strict=True)]
        return keep

    def _take(self, found: Mapping[str, Sequence[str]], lines: Sequence[int]) -> None:
        """Adds some rows; of a wide table those of one arm after the other."""
        layout = self.layout

        def column(name: str | None) -> Sequence[str] | None:
            return None if name is None else found[name]

        words = self.table.words
        for outcome in layout.outcomes:
            values = found[outcome]
            arms = [outcome] * len(lines) if layout.arms else column(layout.arm)
            success = words.scores(values, comma=self.rows.comma) if self.reading.scored else words.codes(values)
            tasks, seeds, groups = column(layout.task), column(layout.seed), column(layout.by)
            if success is None or (tasks is not None and not all(tasks)) or not (arms is None or all(arms)):
                self._complain(found, lines, outcome)
            assert success is not None, "or it was complained about"
            if tasks is None:
                tasks = self._stand(arms, seeds, groups, len(lines))
            if self.reading.number_runs:
                seeds = self._numbered(tasks, arms, groups)
            success = self._broken(success, column(layout.error), column(layout.suspect), arms)
            reasons = column(layout.reason)
            if reasons is None and self.reading.failures:
                reasons = values
            self.table.add(
                _Rows(
                    tasks=tasks,
                    arms=arms,
                    seeds=seeds,
                    success=success,
                    clusters=column(layout.cluster),
                    strata=column(layout.stratum),
                    reasons=reasons,
                    groups=groups,
                    lines=lines,
                ),
                name=self.name,
            )

    def _complain(self, found: Mapping[str, Sequence[str]], lines: Sequence[int], outcome: str) -> None:
        """Raises: what the first row lacks that is none."""
        words, layout = self.table.words, self.layout
        for i, line in enumerate(lines):
            place = f"{self.name}, {self.rows.unit} {line}"
            value = found[outcome][i]
            if self.reading.scored:
                words.score(value, place=place, comma=self.rows.comma, column=outcome)
            else:
                words.code(value, place=place, column=outcome)
            if layout.task is not None and not found[layout.task][i]:
                raise InvalidInput(f"{place}: the task id is empty. Every row needs one.")
            if layout.arm is not None and not found[layout.arm][i]:
                raise InvalidInput(f"{place}: the arm is empty. Every row needs one.")

    def _stand(
        self, arms: Sequence[str] | None, seeds: Sequence[str] | None, groups: Sequence[str] | None, rows: int
    ) -> list[str]:
        tasks = []
        for i in range(rows):
            key = tuple("" if names is None else names[i] for names in (arms, seeds, groups))
            self.stood[key] += 1
            tasks.append(f"row {self.stood[key]}")
        return tasks

    def _numbered(self, tasks: Sequence[str], arms: Sequence[str] | None, groups: Sequence[str] | None) -> list[str]:
        seeds = []
        for i, task in enumerate(tasks):
            key = (task, *("" if names is None else names[i] for names in (arms, groups)))
            seeds.append(str(self.ran[key]))
            self.ran[key] += 1
        return seeds

    def _broken(
        self,
        success: NDArray[np.uint8] | NDArray[np.float64],
        errors: Sequence[str] | None,
        suspect: Sequence[str] | None,
        arms: Sequence[str] | None,
    ) -> NDArray[np.uint8] | NDArray[np.float64]:
        """Failures of which a column says that something broke: without an outcome, or counted."""
        said = errors if errors is not None else suspect
        if said is None:
            return success
        filled = np.array([value.lower() not in EMPTY for value in said])
        if not filled.any():
            return success
        broken = filled & self.table.words.failed(success)
        found = Counter([""] * int(broken.sum()) if arms is None else compress(arms, broken.tolist()))
        if errors is None:
            self.table.suspects.update(found)
            return success
        self.table.errors.update(found)
        return self.table.words.without_outcome(success, broken)
