"""CSV as people and programs write it: commas, semicolons, tabs or bars, quoted fields, Excel's `sep=` line.

The standard `csv` module takes rows apart, some at a time; one by one they are looked at where something is unusual.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from operator import methodcaller

from forbear.adapters.formats.rows import AT_ONCE, BLANKS, Batch
from forbear.adapters.formats.source import Source, longest
from forbear.errors import InvalidInput
from forbear.wording import shown

_BATCH = 1 << 20
"""Characters taken at a time, where rows are long."""
_BREAK = re.compile(r"\r\n|\r|\n")
_SNIFFED = 1 << 16
"""Characters of a header by which its separator is told."""
_strip = methodcaller("strip", BLANKS)


class Delimited:
    """The rows of a CSV text.

    Raises:
        InvalidInput: It is empty, or its header cannot be read.
    """

    unit = "line"

    def __init__(self, source: Source) -> None:
        self.source, self.place = source, source.name
        first = next((line for line in _Lines(source) if line.strip()), "")
        told = first.rstrip("\r\n").lower()
        self._told = len(told) == 5 and told.startswith("sep=")
        self._delimiter = told[4] if self._told else delimiter_of(first)
        self.comma = self._delimiter != ","
        self._padded = any(source.data.find(blank.encode(), source.start) >= 0 for blank in BLANKS)
        header = next(self._all(), None)
        if header is None:
            raise InvalidInput(
                f"{source.name} is empty. Expected a header (task_id,arm,seed,success) and one row per outcome."
            )
        records, lines = header
        self.names = [name.strip(BLANKS) for name in records[0]]
        self._begin = lines[0]

    def find(self, name: str) -> int:
        """How many columns bear exactly this name."""
        return self.names.count(name)

    def columns(self, names: Sequence[str], *, ids: Sequence[str], needed: Sequence[str]) -> Iterator[Batch]:
        """Columns of all rows."""
        at = [self.names.index(name) for name in names]
        begun, blank = False, None
        for records, lines in self._all():
            if not begun:
                records, lines, begun = records[1:], lines[1:], True
            fields, begin = self._fields(records), lines
            if fields is None:
                kept, lines, wrong = self._whole(records, lines)
                if len(self.names) == 1:  # where rows are told apart by where they stand alone
                    blank = self._hole(records, begin, blank)
                fields = list(zip(*kept, strict=True))
                if kept:
                    yield self._chosen(fields, at), lines
                if wrong is not None:
                    raise wrong
            elif records:
                if blank is not None:
                    self._hole(records, lines, blank)
                yield self._chosen(fields, at), lines

    def _chosen(self, fields: Sequence[Sequence[str]], at: Sequence[int]) -> list[Sequence[str]]:
        return [list(map(_strip, fields[i])) if self._padded else fields[i] for i in at]

    def _fields(self, records: Sequence[Sequence[str]]) -> list[Sequence[str]] | None:
        """All columns at once; None where not every record is one."""
        try:
            fields: list[Sequence[str]] = list(zip(*records, strict=True))
        except ValueError:
            return None
        if not records:
            return []
        whole = len(fields) == len(self.names) and all(map(_strip, fields[0]) if self._padded else fields[0])
        return fields if whole else None

    def _whole(
        self, records: Sequence[Sequence[str]], lines: Sequence[int]
    ) -> tuple[list[Sequence[str]], list[int], InvalidInput | None]:
        """The records up to the first that is none, without blank ones."""
        kept: list[Sequence[str]] = []
        at: list[int] = []
        width = len(self.names)
        for record, line in zip(records, lines, strict=True):
            if not any(value.strip(BLANKS) for value in record):
                continue
            if len(record) != width:
                fields = f"{len(record)} field{'s' if len(record) > 1 else ''}"
                return (
                    kept,
                    at,
                    InvalidInput(
                        f"{self.place}, line {line} has {fields}, the header has {width}. "
                        "Quote fields that hold the separator; fill the missing ones."
                    ),
                )
            kept.append(record)
            at.append(line)
        return kept, at, None

    def _hole(self, records: Sequence[Sequence[str]], lines: Sequence[int], blank: int | None) -> int | None:
        """The first blank line behind the last row; one between rows could be a row without an outcome."""
        for record, line in zip(records, lines, strict=True):
            if not any(value.strip(BLANKS) for value in record):
                blank = line if blank is None else blank
            elif blank is not None:
                raise InvalidInput(
                    f"{self.place}, line {blank} is blank, between rows of one column. Write error where a run has no "
                    "outcome, or drop the line."
                )
        return blank

    def _all(self) -> Iterator[tuple[list[list[str]], Sequence[int]]]:
        """All records from the header on, some at a time, with the line on which each starts; blank ones too."""
        begun = False
        for records, lines in self._records():
            if not begun:
                skip = 0
                for record in records:
                    blank = not any(value.strip(BLANKS) for value in record)
                    if not blank and not (self._told and _delimiter_told(record)):
                        begun = True
                        break
                    skip += 1
                records, lines = records[skip:], lines[skip:]
            if records:
                yield records, lines

    def _records(self) -> Iterator[tuple[list[list[str]], Sequence[int]]]:
        fed = _Lines(self.source)
        # strict: without it a quote that is never closed would swallow the rest of the file in silence.
        reader = csv.reader(fed, delimiter=self._delimiter, strict=True)
        wrong = None
        while wrong is None:
            records: list[list[str]] = []
            start = fed.line = reader.line_num + 1
            fed.since = fed.given
            try:
                for record in reader:  # keeps those before one that cannot be read
                    records.append(record)
                    if len(records) == AT_ONCE or fed.given - fed.since > _BATCH:
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
            f"{self.place}, line {end}: cannot be read as {'TSV' if self._delimiter == chr(9) else 'CSV'} "
            f"({shown(str(wrong), limit=80)}). Check its quotes and its length."
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


def delimiter_of(header: str) -> str:
    """What separates the fields of a header: a tab where it holds one, else what makes most fields of it."""
    if "\t" in header:
        return "\t"
    cut = header[:_SNIFFED]
    return max(",;|", key=lambda mark: (_count(cut, mark), mark == ","))


def _count(text: str, mark: str) -> int:
    """How often a mark stands outside of quotes."""
    return sum(part.count(mark) for part in text.split('"')[::2])


def _delimiter_told(record: Sequence[str]) -> bool:
    """Whether a record is the line `sep=;`, as it is read with that separator."""
    return len(record) == 2 and record[0].strip().lower() == "sep=" and not record[1]


def _starts(records: Sequence[Sequence[str]], *, first: int) -> tuple[list[int], int]:
    """The line on which each record starts, and the one behind them: quoted values may hold line breaks."""
    starts = []
    for record in records:
        starts.append(first)
        first += 1 + sum(len(_BREAK.findall(value)) for value in record)
    return starts, first
