"""The fast reader of the tabular layout: whole columns at a time, for plain files without anything to complain about.

A file is plain when no field is quoted and every line has the same number of separators. Anything else, and every
error, belongs to the careful reader (`tabular_rows`): this one answers None and has not changed anything.

Names are compared by their bytes, eight at a time. Rows are grouped by hashing, and a group counts only where all the
bytes agree, so that no collision can change an answer.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forbear.adapters.formats.source import PAD, Source
from forbear.adapters.formats.tabular_columns import BLANKS, MISSING, SUCCESS, Columns, Content, Positions, locate
from forbear.adapters.formats.tabular_rows import delimiter_of
from forbear.outcomes.table import IntArray, Labels

Words = list[NDArray[np.uint64]]
"""A column of names as numbers: word j holds bytes 8j..8j+7 of each row's name, zero behind its end. The
text holds no NUL byte, so two names are the same exactly if their words are."""

_LONGEST = 128
"""Longer names go to the careful reader. At most PAD, so that a read never leaves the buffer."""
_FEW = 16
_ROUNDS = 30
_BLOCK = 1 << 16
"""Bytes or rows worked on at a time: intermediate results stay in the cache instead of claiming fresh memory."""
_TAIL = np.array([(1 << (8 * n)) - 1 for n in range(9)], dtype=np.uint64)
"""Which bits of a word belong to a name that ends after n of its bytes."""

assert _LONGEST <= PAD


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """One column of one source, as byte ranges; a column that is not there has rows of length 0."""

    data: bytearray
    starts: IntArray
    lengths: IntArray

    def text(self, row: int) -> str:
        start = int(self.starts[row])
        return self.data[start : start + int(self.lengths[row])].decode()


class _Names(Sequence[str]):
    """The distinct names of a column, decoded when asked for: nobody reads a million task ids."""

    def __init__(self, fields: Sequence[_Field], rows: IntArray) -> None:
        self._fields = fields
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]  # no slices: names are asked for one by one
        row = int(self._rows[index])
        for field in self._fields:
            if row < len(field.starts):
                return field.text(row)
            row -= len(field.starts)
        raise IndexError(index)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain:
    """The four columns of one plain source."""

    tasks: _Field
    arms: _Field
    seeds: _Field
    success: _Field
    clusters: _Field
    strata: _Field
    at: Positions
    rows: int


def read_vectors(sources: Sequence[Source], columns: Columns, *, needs_arm: bool) -> Content | None:
    """Reads plain tables; None where one of them is not plain or is wrong in any way.

    Raises:
        InvalidInput: A needed column is missing (the header is read alike by both readers).
    """
    plain = []
    for source in sources:
        one = _split(source, columns, needs_arm=needs_arm)
        if one is None:
            return None
        plain.append(one)
    success = _success([one.success for one in plain])
    tasks, arms, seeds = (_labels([getattr(one, name) for one in plain]) for name in ("tasks", "arms", "seeds"))
    clustered, stratified = (any(getattr(one.at, name) is not None for one in plain) for name in ("cluster", "stratum"))
    clusters = _labels([one.clusters for one in plain]) if clustered else None
    strata = _labels([one.strata for one in plain]) if stratified else None
    if success is None or tasks is None or arms is None or seeds is None:
        return None
    if (clustered and clusters is None) or (stratified and strata is None):
        return None
    return Content(
        tasks=tasks,
        arms=arms,
        seeds=seeds,
        success=success[0],
        missing=success[1],
        clusters=clusters,
        strata=strata,
        lines=[range(2, one.rows + 2) for one in plain],
        has_arm=[one.at.arm is not None for one in plain],
        ignored=tuple(dict.fromkeys(name for one in plain for name in one.at.ignored)),
    )


def _split(source: Source, columns: Columns, *, needs_arm: bool) -> _Plain | None:
    """The byte ranges of the wanted columns."""
    data, start, end = source.data, source.start, source.end
    tail = data[max(start, end - PAD) : end]
    end -= len(tail) - len(tail.rstrip(b"\r\n"))
    head_end = data.find(b"\n", start, end)
    if head_end < 0 or data.find(b'"', start, end) >= 0 or data[start] in b"{[\r\n \t":
        return None
    returns = data.find(b"\r", start, end) >= 0
    head = data[start:head_end].decode()
    if returns:
        if not head.endswith("\r"):
            return None
        head = head[:-1]
    delimiter = delimiter_of(head)
    names = [name.strip(BLANKS) for name in head.split(delimiter)]
    buffer = np.frombuffer(data, dtype=np.uint8)
    separators = _separators(buffer, start=start, end=end, delimiter=delimiter, columns=len(names))
    if separators is None or "\r" in head or not any(names):
        return None
    line_starts, line_ends = separators[:-1, -1] + 1, separators[1:, -1]
    if returns:
        # The last line's own return was cut off with the blank end of the file.
        if data.count(b"\r", start, end) != len(line_ends) or not np.all(buffer[line_ends[:-1] - 1] == ord("\r")):
            return None
        line_ends = line_ends - 1
        line_ends[-1] += 1
    if int((line_ends - line_starts).max()) >= csv.field_size_limit():
        return None
    at = locate(names, columns, source=source.name, needs_arm=needs_arm)

    def field(column: int | None) -> _Field:
        if column is None:
            none = np.zeros(len(line_starts), dtype=np.int32)
            return _Field(data=data, starts=none, lengths=none)
        starts = line_starts if column == 0 else separators[1:, column - 1] + 1
        stops = line_ends if column == len(names) - 1 else separators[1:, column]
        return _Field(data=data, starts=starts, lengths=stops - starts)

    tasks, arms, seeds, success = map(field, (at.task, at.arm, at.seed, at.success))
    clusters, strata = field(at.cluster), field(at.stratum)
    if _empty(tasks) or (at.arm is not None and _empty(arms)):
        return None
    blanks = [b for b in BLANKS if data.find(b.encode(), start, end) >= 0]
    if blanks and any(_padded(one, buffer) for one in (tasks, arms, seeds, success, clusters, strata)):
        return None
    return _Plain(
        tasks=tasks,
        arms=arms,
        seeds=seeds,
        success=success,
        clusters=clusters,
        strata=strata,
        at=at,
        rows=len(line_starts),
    )


def _separators(
    buffer: NDArray[np.uint8], *, start: int, end: int, delimiter: str, columns: int
) -> NDArray[np.int32] | None:
    """(lines, columns): where each field ends; None unless every line has the same number of them."""
    found, count = [], 0
    last_of_line = np.resize(np.arange(columns) == columns - 1, _BLOCK + columns)
    for low in range(start, end + 1, _BLOCK):
        text = buffer[low : min(low + _BLOCK, end + 1)]
        breaks = text == ord("\n")
        if low + len(text) > end:
            breaks[-1] = True  # the last line ends here, with or without a line break
        at = np.flatnonzero(breaks | (text == ord(delimiter)))
        first = count % columns
        if not np.array_equal(breaks[at], last_of_line[first : first + len(at)]):
            return None
        found.append((at + low).astype(np.int32))
        count += len(at)
    if count % columns or count <= columns:
        return None
    return np.concatenate(found).reshape(-1, columns)


def _empty(field: _Field) -> bool:
    return int(field.lengths.min()) == 0


def _padded(field: _Field, buffer: NDArray[np.uint8]) -> bool:
    """Whether a field starts or ends with a blank, which the careful reader strips."""
    inside = field.lengths > 0
    first, last = buffer[field.starts[inside]], buffer[(field.starts + field.lengths - 1)[inside]]
    return any(bool(np.any(edge == ord(blank))) for edge in (first, last) for blank in BLANKS)


def _success(fields: Sequence[_Field]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Which rows succeeded, and which have no outcome."""
    words = _words(fields)
    few = None if words is None else _few(words)
    if few is None:
        return None
    codes, leaders = few
    values = [name.lower() for name in _Names(fields, leaders)]
    if not all(value in SUCCESS or value in MISSING for value in values):
        return None
    success = np.array([SUCCESS.get(value, False) for value in values], dtype=np.bool_)
    missing = np.array([value in MISSING for value in values], dtype=np.bool_)
    return success[codes], missing[codes]


def _labels(fields: Sequence[_Field]) -> Labels | None:
    words = _words(fields)
    if words is None:
        return None
    grouped = _few(words) or _many(words)
    if grouped is None:
        return None
    codes, leaders = grouped
    return Labels(codes=codes, names=_Names(fields, leaders))


def _words(fields: Sequence[_Field]) -> Words | None:
    """The names of one column over all sources; None where one is too long."""
    longest = max(int(field.lengths.max()) for field in fields)
    if longest > _LONGEST:
        return None
    return [
        np.concatenate([_word(field, j) for field in fields]) if len(fields) > 1 else _word(fields[0], j)
        for j in range(max(1, -(-longest // 8)))
    ]


def _word(field: _Field, j: int) -> NDArray[np.uint64]:
    every_byte = np.ndarray((len(field.data) - 7,), dtype="<u8", buffer=field.data, strides=(1,))
    left = field.lengths - 8 * j
    shortest, longest = int(left.min()), int(left.max())
    word: NDArray[np.uint64] = every_byte[field.starts + 8 * j if j else field.starts].astype(np.uint64, copy=False)
    if shortest == longest:
        word &= _TAIL[min(max(shortest, 0), 8)]
    elif shortest < 8:
        word &= _TAIL[np.clip(left, 0, 8)]
    return word


def _few(words: Words) -> tuple[IntArray, IntArray] | None:
    """Codes and one row per code, for at most `_FEW` distinct names; None where there are more."""
    rows = len(words[0])
    if len(np.unique(words[0][: 64 * _FEW])) > _FEW:
        return None
    codes = np.full(rows, -1, dtype=np.int8)
    leaders: list[int] = []
    row = 0
    while len(leaders) < _FEW:
        same = words[0] == words[0][row]
        for word in words[1:]:
            same &= word == word[row]
        codes[same] = len(leaders)
        leaders.append(row)
        row = int(np.argmin(codes))
        if codes[row] >= 0:
            return codes, np.array(leaders)
    return None


def _many(words: Words) -> tuple[IntArray, IntArray] | None:
    """Codes and one row per code, for any number of distinct names.

    Each round hashes the open rows into a table in which the last writer stays; a row whose bytes equal those of the
    row that stayed is done. Rows of one name share their slot, hence their leader, in every round.
    None where that takes too many rounds (names made to collide).
    """
    total = len(words[0])
    leader = np.empty(total, dtype=np.int32)
    open_rows, open_words = np.arange(total, dtype=np.int32), words
    for salt in range(1, _ROUNDS + 1):
        bits = max(4, (2 * len(open_rows) - 1).bit_length())
        table = np.empty(1 << bits, dtype=np.int32)
        slots = np.empty(len(open_rows), dtype=np.int32)
        blocks = [slice(low, low + _BLOCK) for low in range(0, len(open_rows), _BLOCK)]
        for block in blocks:
            slots[block] = _mixed([word[block] for word in open_words], salt=salt) >> np.uint64(64 - bits)
            table[slots[block]] = open_rows[block]
        differs = []
        for block in blocks:
            rows, candidate = open_rows[block], table[slots[block]]
            same = words[0][candidate] == open_words[0][block]
            for word, own in zip(words[1:], open_words[1:], strict=True):
                same &= word[candidate] == own[block]
            leader[rows[same]] = candidate[same]
            differs.append(rows[~same])
        open_rows = np.concatenate(differs)
        open_words = [word[open_rows] for word in words]
        if not open_rows.size:
            leads = leader == np.arange(total, dtype=np.int32)
            rank = np.cumsum(leads, dtype=np.int32) - np.int32(1)
            return rank[leader], np.flatnonzero(leads)
    return None


def _mixed(words: Words, *, salt: int) -> NDArray[np.uint64]:
    """A 64-bit hash of each row (multiply and fold, constants of SplitMix64); wraps around on purpose."""
    mixed = np.full(len(words[0]), (0x9E3779B97F4A7C15 * salt) & 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
    for word in words:
        mixed ^= word
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0x94D049BB133111EB)
    return mixed
