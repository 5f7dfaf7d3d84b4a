"""The reader of the tabular layout: any CSV, TSV or JSONL, and every error with its line.

The standard `csv` module takes rows apart, some at a time; they become columns, and each column is coded by a
dictionary. Only rows in which something is unusual are looked at one by one.
"""

import csv
import io
import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice
from operator import methodcaller
from sys import getsizeof
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from forbear.adapters.formats.reading import Reading
from forbear.adapters.formats.source import LIMIT, Source, longest
from forbear.adapters.formats.tabular_columns import (
    BLANKS,
    MISSING,
    SUCCESS,
    TWICE,
    Content,
    Positions,
    locate,
    missing_column,
    not_binary,
    score_of,
    success_of,
)
from forbear.errors import InvalidInput
from forbear.files import limit_of, too_large
from forbear.outcomes.table import Labels
from forbear.wording import shown

_MANY = 50
_ROWS = 256
"""Rows taken at a time: few enough to stay in the cache until they are columns."""
_BATCH = 1 << 20
"""Characters taken at a time, where rows are long."""
_NAME_BYTES = 100
"""What a new name takes beside itself."""
_ROW_BYTES = 45
"""What a row takes: five codes, an outcome and its line, and the codes again while they are put together."""
_BREAK = re.compile(r"\r\n|\r|\n")

_NONE, _WRONG = 2, 3
_OUTCOMES: dict[str, int] = {**dict.fromkeys(MISSING, _NONE), **SUCCESS}
"""Codes of what a success column holds: 0, 1 or `_NONE`."""
_strip = methodcaller("strip", BLANKS)


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

    def labels(self) -> Labels:
        return Labels(codes=np.concatenate(self.codes), names=list(self.known))


class _Table:
    """The rows read so far, column by column."""

    def __init__(self, *, scores: bool) -> None:
        self.scores = scores
        self.tasks, self.arms, self.seeds, self.clusters, self.strata, self.reasons = (_Column() for _ in range(6))
        self.success: list[NDArray[np.int8] | NDArray[np.float64]] = []
        self.has_clusters = self.has_strata = self.has_reasons = False
        self.rows = 0
        self.lines: list[list[Sequence[int]]] = []
        self.has_arm: list[bool] = []
        self.ignored: dict[str, None] = {}

    def add(self, rows: "_Rows", *, source: Source) -> None:
        """Takes in some rows.

        Raises:
            InvalidInput: All rows together take more than twice the limit in memory.
        """
        number = len(rows.tasks)
        self.tasks.add(rows.tasks, rows=number)
        self.arms.add(rows.arms, rows=number)
        self.seeds.add(rows.seeds, rows=number)
        self.clusters.add(rows.clusters, rows=number)
        self.strata.add(rows.strata, rows=number)
        self.reasons.add(rows.reasons, rows=number)
        self.success.append(np.array(rows.success, np.float64) if self.scores else np.array(rows.success, np.int8))
        self.has_clusters |= rows.clusters is not None
        self.has_strata |= rows.strata is not None
        self.has_reasons |= rows.reasons is not None
        parts, new = self.lines[-1], rows.lines
        if parts and isinstance(new, range) and isinstance(parts[-1], range) and parts[-1].stop == new.start:
            parts[-1] = range(parts[-1].start, new.stop)
        else:
            parts.append(new)
        self.rows += number
        names = sum(column.bytes for column in (self.tasks, self.arms, self.seeds, self.clusters, self.strata))
        if names + self.rows * _ROW_BYTES > 2 * limit_of(LIMIT):
            raise too_large(source.name, limit_of(LIMIT), in_memory=True)

    def content(self) -> Content:
        success = np.concatenate(self.success)
        missing = np.isnan(success) if self.scores else success == _NONE
        return Content(
            tasks=self.tasks.labels(),
            arms=self.arms.labels(),
            seeds=self.seeds.labels(),
            success=np.where(missing, 0.0, success) if self.scores else success == 1,
            missing=missing,
            clusters=self.clusters.labels() if self.has_clusters else None,
            strata=self.strata.labels() if self.has_strata else None,
            reasons=self.reasons.labels() if self.has_reasons else None,
            lines=[parts[0] if len(parts) == 1 else list(chain.from_iterable(parts)) for parts in self.lines],
            has_arm=self.has_arm,
            ignored=tuple(self.ignored),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Some rows of one source, checked; None is a column that the source lacks."""

    tasks: Sequence[str]
    arms: Sequence[str] | None
    seeds: Sequence[str] | None
    success: Sequence[float]
    """Codes, or scores with NaN where there is none."""
    clusters: Sequence[str] | None
    strata: Sequence[str] | None
    reasons: Sequence[str] | None
    lines: Sequence[int]


def read_rows(sources: Iterable[Source], reading: Reading, *, needs_arm: bool) -> Content:
    """Reads whole tables.

    Args:
        sources: Taken one after the other; none is kept.
        reading: How they are read.
        needs_arm: Whether there has to be a column of arms.

    Raises:
        InvalidInput: Whatever keeps a row from being read, with source and line.
    """
    table = _Table(scores=reading.scored)
    for source in sources:
        table.lines.append([])
        # Blank lines take no memory, but time; a row of 64 bytes is a long one.
        if (number := source.lines()) > (most := limit_of(LIMIT) >> 6):
            raise InvalidInput(
                f"{source.name} has {number:,} lines, the most that are read are {most:,}. Keep the rows of one pilot, "
                "or set FORBEAR_MAX_INPUT_MIB."
            )
        first = next((text.lstrip()[0] for text in source.pieces(ends=b"\n\r") if not text.isspace()), "")
        if first == "{":
            _read_jsonl(source, table, reading, needs_arm=needs_arm)
        elif first == "[":
            raise InvalidInput(f"{source.name} is a JSON array. Write one JSON object per line (JSONL), or CSV.")
        else:
            _read_csv(source, table, reading, needs_arm=needs_arm)
        if not table.lines[-1]:
            raise InvalidInput(f"{source.name} holds no outcomes, only a header. Add one row per task and arm.")
        del source  # before the next one is read
    return table.content()


# --- CSV and TSV ------------------------------------------------------------------------------------------


def _read_csv(source: Source, table: _Table, reading: Reading, *, needs_arm: bool) -> None:
    parser: _Parser | None = None
    for records, lines in _records(source):
        if parser is None:
            first = next((i for i, record in enumerate(records) if not _is_blank(record)), None)
            if first is None:
                continue
            parser = _Parser.of(records[first], reading, source=source, needs_arm=needs_arm, scores=table.scores)
            table.has_arm.append(parser.at.arm is not None)
            table.ignored.update(dict.fromkeys(parser.at.ignored))
            records, lines = records[first + 1 :], lines[first + 1 :]
        rows = parser.parse(records, lines)
        if rows is not None:
            table.add(rows, source=source)
    if parser is None:
        raise InvalidInput(
            f"{source.name} is empty. Expected a header (task_id,arm,seed,success) and one row per outcome."
        )


class _Lines:
    """The lines of a source for `csv.reader`, which takes as many as a record needs."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.given = self.since = 0
        """Characters given, and how many of them before the records that are taken now."""
        self.line = 1
        """The line on which those begin."""

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._pieces())

    def _pieces(self) -> Iterator[io.StringIO]:
        most = _BATCH + longest()
        for text in self._source.pieces(ends=b"\n\r"):
            self.given += len(text)
            if self.given - self.since > most + len(text):
                raise self._source.too_long(self.line)
            yield io.StringIO(text, newline="")


def _records(source: Source) -> Iterator[tuple[list[list[str]], Sequence[int]]]:
    """Records, some at a time, with the line on which each starts; blank ones too."""
    tabs = "\t" in next((line for line in _Lines(source) if line.strip()), "")
    fed = _Lines(source)
    # strict: without it a quote that is never closed would swallow the rest of the file in silence.
    reader = csv.reader(fed, delimiter="\t" if tabs else ",", strict=True)
    wrong = None
    while wrong is None:
        records: list[list[str]] = []
        start = fed.line = reader.line_num + 1
        fed.since = fed.given
        try:
            for record in reader:  # keeps those before one that cannot be read
                records.append(record)
                if len(records) == _ROWS or fed.given - fed.since > _BATCH:
                    break
        except csv.Error as error:
            wrong = error
        if not records and wrong is None:
            return
        end = start + len(records)
        lines: Sequence[int] = range(start, end)
        if reader.line_num != end - 1:
            lines, end = _starts(records, first=start)
        if records:
            yield records, lines
    raise InvalidInput(
        f"{source.name}, line {end}: cannot be read as {'TSV' if tabs else 'CSV'} "
        f"({shown(str(wrong), limit=80)}). Check its quotes and its length."
    )


def _starts(records: Sequence[Sequence[str]], *, first: int) -> tuple[list[int], int]:
    """The line on which each record starts, and the one behind them: quoted values may hold line breaks."""
    starts = []
    for record in records:
        starts.append(first)
        first += 1 + sum(len(_BREAK.findall(value)) for value in record)
    return starts, first


def _is_blank(record: Sequence[str]) -> bool:
    return not any(value.strip(BLANKS) for value in record)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parser:
    """Makes columns of the records of one source."""

    source: str
    width: int
    at: Positions
    padded: bool
    """There are blanks in the source, so they may stand around values."""
    scores: bool
    """Whether success holds scores."""

    @classmethod
    def of(cls, header: Sequence[str], reading: Reading, *, source: Source, needs_arm: bool, scores: bool) -> "_Parser":
        names = [name.strip(BLANKS) for name in header]
        return cls(
            source=source.name,
            width=len(names),
            at=locate(names, reading, source=source.name, needs_arm=needs_arm),
            padded=any(source.data.find(blank.encode(), source.start) >= 0 for blank in BLANKS),
            scores=scores,
        )

    def parse(self, records: Sequence[Sequence[str]], lines: Sequence[int]) -> _Rows | None:
        """Reads records that start on these lines; None where all are blank.

        Raises:
            InvalidInput: The first that is none, with its line.
        """
        rows = self._columns(records, lines)
        if rows is not None:
            return rows
        kept = [(record, line) for record, line in zip(records, lines, strict=True) if not _is_blank(record)]
        for record, line in kept:
            self._check(record, place=f"{self.source}, line {line}")
        return self._columns([record for record, _ in kept], [line for _, line in kept])

    def _columns(self, records: Sequence[Sequence[str]], lines: Sequence[int]) -> _Rows | None:
        """All columns at once; None where not every record is one."""
        try:
            fields = list(zip(*records, strict=True))
        except ValueError:
            return None
        if len(fields) != self.width:
            return None

        def column(at: int | None) -> Sequence[str] | None:
            if at is None or not self.padded:
                return None if at is None else fields[at]
            return list(map(_strip, fields[at]))

        tasks, arms, words = column(self.at.task), column(self.at.arm), column(self.at.success)
        assert tasks is not None
        assert words is not None
        success = _scores(words) if self.scores else _codes(words)
        if success is None:
            return None
        if not all(tasks) or not (arms is None or all(arms)):
            return None
        return _Rows(
            tasks=tasks,
            arms=arms,
            seeds=column(self.at.seed),
            success=success,
            clusters=column(self.at.cluster),
            strata=column(self.at.stratum),
            reasons=column(self.at.reason),
            lines=lines,
        )

    def _check(self, record: Sequence[str], *, place: str) -> None:
        if len(record) != self.width:
            fields = f"{len(record)} field{'s' if len(record) > 1 else ''}"
            raise InvalidInput(
                f"{place} has {fields}, the header has {self.width}. "
                "Quote fields that hold the separator; fill the missing ones."
            )
        (score_of if self.scores else success_of)(record[self.at.success].strip(BLANKS), place=place)
        _require_names(record[self.at.task], None if self.at.arm is None else record[self.at.arm], place=place)


def _codes(words: Sequence[str]) -> Sequence[float] | None:
    """None where one is no outcome."""
    try:
        return list(map(_OUTCOMES.__getitem__, words))
    except KeyError:  # in another case, or wrong
        success = [_OUTCOMES.get(word.lower(), _WRONG) for word in words]
        return None if _WRONG in success else success


def _scores(words: Sequence[str]) -> Sequence[float] | None:
    """NaN where a run has none; None where one is no score."""
    try:
        return [math.nan if score is None else score for score in (score_of(word, place="") for word in words)]
    except InvalidInput:
        return None


def _require_names(task: str, arm: str | None, *, place: str) -> None:
    if not task.strip(BLANKS):
        raise InvalidInput(f"{place}: the task id is empty. Every row needs one.")
    if arm is not None and not arm.strip(BLANKS):
        raise InvalidInput(f"{place}: the arm is empty. Every row needs one.")


# --- JSONL ------------------------------------------------------------------------------------------------


def _read_jsonl(source: Source, table: _Table, reading: Reading, *, needs_arm: bool) -> None:
    columns, why = reading.columns, (reading.columns.reason or "reason") if reading.failures else None
    task, success = columns.task or "task_id", columns.success or "success"
    arm, seed = columns.arm or "arm", columns.seed or "seed"
    cluster = columns.cluster or "cluster"
    stratum = columns.stratum or "stratum"
    known = {task, arm, seed, success, cluster, stratum} | ({why} if why else set())
    if len(known) < (7 if why else 6):
        raise InvalidInput(TWICE.format(source=source.name))
    needed = {task: "--task-col", success: "--success-col"} | ({seed: "--seed-col"} if columns.seed else {})
    needed |= {cluster: "--cluster-col"} if columns.cluster else {}
    needed |= {stratum: "--stratum-col"} if columns.stratum else {}
    none = math.nan if table.scores else _NONE
    with_arm: bool | None = None
    lost = explained = False
    record: dict[str, object] = {}
    read: list[_JsonRow] = []
    for line, raw in _json_lines(source):
        place = f"{source.name}, line {line}"
        record = _object(raw, place=place)
        if with_arm is None:
            # The first object says whether there are arms; from then on all must agree.
            with_arm = needs_arm or columns.arm is not None or arm in record
            table.has_arm.append(with_arm)
            needed |= {arm: "--arm-col"} if with_arm else {}
        if not needed.keys() <= record.keys():
            name = next(name for name in needed if name not in record)
            raise InvalidInput(missing_column(name, list(record), source=place, option=needed[name]))
        if len(record) > len(needed) and len(table.ignored) < _MANY:
            table.ignored.update(dict.fromkeys([name for name in record if name not in known][:_MANY]))
        names = [_name(record[task], column=task, place=place)]
        names.append(_name(record[arm], column=arm, place=place) if with_arm else "")
        names.append("" if record.get(seed) is None else _name(record[seed], column=seed, place=place))
        outcome = (_json_score if table.scores else _json_success)(record[success], place=place)
        others = [
            _name(record[name], column=name, place=place) if name and record.get(name) is not None else None
            for name in (cluster, stratum, why)
        ]
        _require_names(names[0], names[1] if with_arm else None, place=place)
        code = none if outcome is None else float(outcome)
        lost, explained = lost or outcome is None, explained or bool(others[2])
        read.append((names[0], names[1], names[2], code, others[0], others[1], others[2], line))
        if len(read) == _ROWS:
            table.add(_json_rows(read, reasons=why is not None), source=source)
            read = []
    if why and lost and not explained:
        raise InvalidInput(missing_column(why, list(record), source=source.name, option="--reason-col"))
    if read:
        table.add(_json_rows(read, reasons=why is not None), source=source)


_JsonRow: TypeAlias = tuple[str, str, str, float, str | None, str | None, str | None, int]


def _json_lines(source: Source) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    number = 1
    for text in source.pieces():
        for raw in text.split("\n"):
            if raw and not raw.isspace():
                yield number, raw
            number += 1
        number -= text.endswith("\n")  # what follows a piece's last line break is the next piece


def _json_rows(read: Sequence[_JsonRow], *, reasons: bool) -> _Rows:
    tasks, arms, seeds, outcomes, clusters, strata, why, lines = zip(*read, strict=True)
    return _Rows(
        tasks=tasks,
        arms=arms,
        seeds=seeds,
        success=outcomes,
        clusters=None if clusters.count(None) == len(clusters) else [each or "" for each in clusters],
        strata=None if strata.count(None) == len(strata) else [each or "" for each in strata],
        reasons=[each or "" for each in why] if reasons else None,
        lines=lines,
    )


def _object(raw: str, *, place: str) -> dict[str, object]:
    try:
        value = _DECODER.decode(raw)
    except json.JSONDecodeError as error:
        what = f"{error.msg} at character {error.pos + 1}"
    except (ValueError, RecursionError) as error:  # a key twice; a number of thousands of digits; nested too deeply
        what = str(error)
    else:
        if isinstance(value, dict):
            return value
        what = f"it is {shown(raw.strip())}"
    raise InvalidInput(f"{place} is not a JSON object ({shown(what, limit=100)}). Write one object per line.")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a key stands there twice")
    return record


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def _name(value: object, *, column: str, place: str) -> str:
    """A task id, arm or seed: text, or a whole number."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidInput(f"{place}: '{shown(column)}' holds half a character (a lone surrogate).") from None
        return value.strip(BLANKS)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InvalidInput(f"{place}: '{shown(column)}' is {shown(_as_json(value))}; expected text or a whole number.")


def _json_score(value: object, *, place: str) -> float | None:
    if value is None:
        return None
    text = value.strip(BLANKS) if isinstance(value, str) else json.dumps(value)
    return score_of(text, place=place)


def _json_success(value: object, *, place: str) -> bool | None:
    if value is None:
        return None
    if isinstance(value, str):
        return success_of(value.strip(BLANKS), place=place)
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    raise InvalidInput(not_binary(_as_json(value), place=place))


def _as_json(value: object) -> str:
    try:
        return json.dumps(value)
    except RecursionError:  # what could just be read may be too deep to be written
        return f"a {type(value).__name__}"
