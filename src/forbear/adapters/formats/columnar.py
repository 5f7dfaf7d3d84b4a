"""Large tables, by whole columns: Parquet, and CSV of tens of MiB where pyarrow is installed (extra `data`).

The same rules as row by row (`tabular_rows.py`), but on the distinct values of each column: ten million rows have two
arms and four words for an outcome.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from forbear.adapters.formats.columnar_files import ColumnFile, LargeCsv, Parquet, kind_of, release
from forbear.adapters.formats.outcome_words import NOT_MISSING, OutcomeWords
from forbear.adapters.formats.reading import Reading
from forbear.adapters.formats.repeats import Keys, refuse_repeats
from forbear.adapters.formats.rows import BLANKS
from forbear.adapters.formats.source import shown_path
from forbear.adapters.formats.tabular_columns import Layout, locate
from forbear.adapters.formats.tabular_rows import (
    EMPTY,
    Content,
    require_as_many,
    require_files_alike,
    require_met,
    require_reasons,
)
from forbear.errors import InvalidInput
from forbear.outcomes.table import Labels
from forbear.wording import shown

if TYPE_CHECKING:
    import pyarrow as pa

LARGE = 32 << 20
"""Bytes from which on a CSV file is worth the import."""
_AT_ONCE = 1 << 16


def read_columnar(
    paths: Sequence[str | Path], reading: Reading, *, needs_arm: bool, guess_arm: bool, large: int = LARGE
) -> tuple[Content, list[str]] | None:
    """Reads files by whole columns where they are such files: all of them Parquet or CSV, one Parquet or large.

    Args:
        paths: One or two.
        reading: How they are read.
        needs_arm: Whether there has to be a column of arms.
        guess_arm: Whether a column of another name may be taken for it.
        large: Bytes above which a CSV file is.

    Returns:
        What was read, with the names of the files; None where they are to be read row by row.

    Raises:
        InvalidInput: As row by row; of a row that is none the number is said, counted from 1 without the header.
    """
    kinds = [kind_of(path, large) for path in paths]
    if None in kinds or not {"parquet", "large"} & set(kinds):
        return None
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        if "parquet" not in kinds:
            return None
        name = shown_path(os.fspath(paths[kinds.index("parquet")]))
        raise InvalidInput(f"{name} is a Parquet file, which needs pyarrow: pip install 'forbear[data]'.") from None
    tables = []
    for file, (path, kind) in enumerate(zip(paths, kinds, strict=True)):
        rows = Parquet(path) if kind == "parquet" else LargeCsv(path)
        layout = locate(rows, reading, file=file, needs_arm=needs_arm, guess_arm=guess_arm and needs_arm)
        tables.append(_OneTable(rows, layout, reading))
    content = _together([table.read() for table in tables], tables, OutcomeWords(reading))
    require_reasons(content, reading)
    return content, [table.rows.name for table in tables]


# --- Columns ----------------------------------------------------------------------------------------------


class _Names(Sequence[str]):
    """Distinct names in an array of pyarrow: those of a million tasks are decoded when they are asked for."""

    def __init__(self, array: pa.Array) -> None:
        self._array = array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, at: int) -> str:  # type: ignore[override]  # no slices: names are asked for one by one
        return str(self._array[at].as_py())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Coded:
    """One column."""

    codes: NDArray[np.int32]
    names: Any
    """An array of distinct stripped strings of pyarrow."""

    def labels(self) -> Labels:
        few = len(self.names) <= 10_000
        return Labels(codes=self.codes, names=self.names.to_pylist() if few else _Names(self.names))

    def where(self, chosen: NDArray[np.bool_]) -> _Coded:
        return replace(self, codes=self.codes[chosen])


def _coded(column: pa.ChunkedArray, *, name: str, ids: bool, place: str) -> _Coded:
    """Codes a column by its distinct values, as text; null is "".

    Raises:
        InvalidInput: It holds names that are neither text nor whole numbers.
    """
    import pyarrow as pa
    from pyarrow import compute

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if ids and not (text or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise InvalidInput(f"{place}: '{shown(name)}' holds {shown(str(kind))}; expected text or whole numbers.")
    if pa.types.is_nested(kind):
        raise InvalidInput(f"{place}: '{shown(name)}' holds {shown(str(kind))}; name a field of it: '{shown(name)}.x'.")
    try:
        encoded = column if pa.types.is_dictionary(column.type) else compute.dictionary_encode(column)
        whole = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        if isinstance(whole, pa.ChunkedArray):
            whole = whole.unify_dictionaries().combine_chunks()
        whole.validate(full=True)  # what a damaged file holds may be no text
    except pa.ArrowException as error:
        said = shown(" ".join(str(error).split()), limit=120)
        raise InvalidInput(f"{place}: '{shown(name)}' cannot be read ({said}). Write the file again.") from None
    names, indices = whole.dictionary, whole.indices
    if not text:
        names = pa.array([_text(value) for value in names.to_pylist()], pa.string())
    names = compute.utf8_trim(names.cast(pa.string()), BLANKS)
    codes = indices.fill_null(len(names)).to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
    if indices.null_count or names.null_count:
        names = compute.fill_null(pa.concat_arrays([names, pa.array([""])]), "")
    again = compute.dictionary_encode(names)
    if len(again.dictionary) < len(names):  # some differed in blanks alone
        codes, names = again.indices.to_numpy().astype(np.int32)[codes], again.dictionary
    return _Coded(codes=codes, names=names)


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


class _OneTable:
    """Reads one file."""

    def __init__(self, rows: ColumnFile, layout: Layout, reading: Reading) -> None:
        self.rows, self.layout, self.reading = rows, layout, reading
        self.words = OutcomeWords(reading)
        self.passed_over = 0
        self.kept: NDArray[np.bool_] | None = None

    def read(self) -> dict[str, Any]:
        """By what it holds (`task`, `arm`, ..., `success`, `numbers`): a coded column, or an array."""
        layout = self.layout
        ids = {layout.task, layout.arm, layout.seed, layout.cluster, layout.stratum}
        names = [*ids, *layout.outcomes, layout.reason, layout.error, layout.suspect, layout.by]
        names += [one.column for one in layout.where]
        wanted = [name for name in dict.fromkeys(names) if name]
        rows = 0
        columns: dict[str, _Coded] = {}
        scores: dict[str, NDArray[np.float64]] = {}
        for name, column in self.rows.each(wanted):
            rows = len(column)
            if name in layout.outcomes and self.reading.scored and _is_float(column):
                scores[name] = column.to_numpy().astype(np.float64)
                continue
            columns[name] = _coded(column, name=name, ids=name in ids, place=self.rows.name)
            del column
            release()
        return self._found(columns, scores, rows)

    def _found(self, columns: dict[str, _Coded], scores: dict[str, NDArray[np.float64]], rows: int) -> dict[str, Any]:
        layout = self.layout
        numbers: Sequence[int] | NDArray[np.int64] = range(1, rows + 1)
        kept = self._where(columns, rows)
        if kept is not None:
            self.passed_over, self.kept = rows - int(kept.sum()), kept
            columns = {name: column.where(kept) for name, column in columns.items()}
            scores = {name: column[kept] for name, column in scores.items()}
            numbers = np.flatnonzero(kept) + 1
            if not len(numbers):
                raise InvalidInput(
                    f"{self.rows.name}: no row is left where {' and '.join(map(str, layout.where))}. Correct --where."
                )
        parts = [self._outcomes(name, columns, scores, numbers) for name in layout.outcomes]
        times = len(parts)

        def column(name: str | None) -> _Coded | None:
            found = None if name is None else columns[name]
            return found if found is None or times == 1 else replace(found, codes=np.tile(found.codes, times))

        return {
            **{role: column(getattr(layout, role)) for role in ("task", "arm", "seed", "cluster", "stratum", "reason")},
            "group": column(layout.by),
            "error": column(layout.error),
            "suspect": column(layout.suspect),
            "success": parts[0] if times == 1 else np.concatenate(parts),
            "numbers": numbers if times == 1 else np.tile(numbers, times),
            "said": columns[layout.outcomes[0]] if times == 1 and layout.outcomes[0] in columns else None,
        }

    def _where(self, columns: Mapping[str, _Coded], rows: int) -> NDArray[np.bool_] | None:
        kept: NDArray[np.bool_] | None = None
        for one in self.layout.where:
            column = columns[one.column]
            met = column.names.to_pylist()
            if not one.negated:
                require_met(one, met, name=self.rows.name)
            wanted = {value.lower() for value in one.values}
            chosen = np.array([(value.lower() in wanted) != one.negated for value in met], np.bool_)[column.codes]
            kept = chosen if kept is None else kept & chosen
        return kept

    def _outcomes(
        self,
        name: str,
        columns: Mapping[str, _Coded],
        scores: Mapping[str, NDArray[np.float64]],
        numbers: Sequence[int] | NDArray[np.int64],
    ) -> NDArray[Any]:
        """Codes, or scores, of one column; and a check of the names beside it."""
        self._require_names(columns, numbers)
        if name in scores:
            found = scores[name]
            wrong = np.isinf(found)
            if self.reading.graded:
                wrong |= (found < 0) | (found > 1)
            if wrong.any():
                at = int(np.flatnonzero(wrong)[0])
                self.words.score(str(found[at]), place=f"{self.rows.name}, row {numbers[at]}", column=name)
            return found
        column = columns[name]
        values = column.names.to_pylist()
        read = self.words.scores(values, comma=self.rows.comma) if self.reading.scored else self.words.codes(values)
        if read is not None:
            return read[column.codes]
        for at in range(0, len(numbers), _AT_ONCE):
            codes = column.codes[at : at + _AT_ONCE]
            for i, code in enumerate(codes.tolist()):
                place = f"{self.rows.name}, row {numbers[at + i]}"
                if self.reading.scored:
                    self.words.score(values[code], place=place, comma=self.rows.comma, column=name)
                else:
                    self.words.code(values[code], place=place, column=name)
        # What is no outcome stands in rows alone that were not chosen.
        empty = [value if self._is_outcome(value) else "" for value in values]
        again = self.words.scores(empty, comma=self.rows.comma) if self.reading.scored else self.words.codes(empty)
        assert again is not None, "all of them are outcomes"
        return again[column.codes]

    def _is_outcome(self, value: str) -> bool:
        try:
            if self.reading.scored:
                self.words.score(value, place="", comma=self.rows.comma)
            else:
                self.words.code(value, place="")
        except InvalidInput:
            return False
        return True

    def _require_names(self, columns: Mapping[str, _Coded], numbers: Sequence[int] | NDArray[np.int64]) -> None:
        for what, name in (("task id", self.layout.task), ("arm", self.layout.arm)):
            if name is None:
                continue
            column = columns[name]
            from pyarrow import compute

            empty = compute.index(column.names, "").as_py()
            at = np.flatnonzero(column.codes == empty) if empty >= 0 else np.zeros(0, np.intp)
            if at.size:
                raise InvalidInput(f"{self.rows.name}, row {numbers[at[0]]}: the {what} is empty. Every row needs one.")

    def batches(self, *others: str) -> Iterator[tuple[Mapping[str, Sequence[str]], Sequence[int]]]:
        """Other columns of the rows that were read, some at a time."""
        if not others:
            return
        table = self.rows.table(others)
        coded = {name: _coded(table.column(name), name=name, ids=False, place=self.rows.name) for name in others}
        if self.kept is not None:
            coded = {name: column.where(self.kept) for name, column in coded.items()}
        names = {name: column.names.to_pylist() for name, column in coded.items()}
        rows = len(next(iter(coded.values())).codes)
        # Of a wide table the rows of one arm stand behind those of another: as one batch they are found again.
        step = rows if len(self.layout.outcomes) > 1 else _AT_ONCE
        for at in range(0, rows, step):
            part = {
                name: [names[name][code] for code in column.codes[at : at + step].tolist()]
                for name, column in coded.items()
            }
            yield part, range(min(step, rows - at))


def _is_float(column: pa.ChunkedArray) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(column.type))


# --- Files together ---------------------------------------------------------------------------------------


def _together(found: list[dict[str, Any]], tables: list[_OneTable], words: OutcomeWords) -> Content:
    """One content of one file, or of two."""
    sizes = [len(part["success"]) for part in found]
    files = np.repeat(np.arange(len(found), dtype=np.int8), sizes)
    columns = {
        role: _joined([part[role] for part in found], sizes)
        for role in ("task", "arm", "seed", "cluster", "stratum", "reason", "group", "error", "suspect")
    }
    wide = tables[0].layout.arms
    if wide:
        import pyarrow as pa

        each = sizes[0] // len(wide)
        columns["arm"] = _Coded(
            codes=np.repeat(np.arange(len(wide), dtype=np.int32), each), names=pa.array(wide, pa.string())
        )
    success = np.concatenate([part["success"] for part in found])
    return _Joined(columns, success, found, tables, words, files).content()


def _joined(parts: Sequence[_Coded | None], sizes: Sequence[int]) -> _Coded | None:
    """A column of all files; "" where one lacks it."""
    import pyarrow as pa
    from pyarrow import compute

    if all(part is None for part in parts):
        return None
    if len(parts) == 1:
        return parts[0]
    whole = [
        _Coded(codes=np.zeros(size, np.int32), names=pa.array([""])) if part is None else part
        for part, size in zip(parts, sizes, strict=True)
    ]
    again = compute.dictionary_encode(pa.concat_arrays([part.names for part in whole]))
    moved, since = again.indices.to_numpy().astype(np.int32), 0
    codes = []
    for part in whole:
        codes.append(moved[since : since + len(part.names)][part.codes])
        since += len(part.names)
    return _Coded(codes=np.concatenate(codes), names=again.dictionary)


class _Joined:
    """The rows of all files."""

    def __init__(
        self,
        columns: dict[str, _Coded | None],
        success: NDArray[Any],
        found: list[dict[str, Any]],
        tables: list[_OneTable],
        words: OutcomeWords,
        files: NDArray[np.int8],
    ) -> None:
        self.columns, self.success, self.found = columns, success, found
        self.tables, self.words, self.files = tables, words, files
        self.reading = words.reading

    def labels(self, role: str) -> Labels:
        column = self.columns[role]
        if column is None:
            return Labels(codes=np.zeros(len(self.success), np.int8), names=[""])
        return column.labels()

    def content(self) -> Content:
        reading, words = self.reading, self.words
        arms, groups, seeds, tasks = (self.labels(role) for role in ("arm", "group", "seed", "task"))
        if reading.key == "row":
            within = _occurrence([Labels(codes=self.files, names=range(2)), arms, seeds, groups])  # type: ignore[arg-type]
            tasks = Labels(codes=within, names=[f"row {i + 1}" for i in range(int(within.max()) + 1)])
            self._require_alike(within, arms, groups)
        if reading.number_runs:
            runs = _occurrence([Labels(codes=self.files, names=range(2)), tasks, arms, groups])  # type: ignore[arg-type]
            seeds = Labels(codes=runs, names=[str(i) for i in range(int(runs.max()) + 1)])
        for file, table in enumerate(self.tables):
            chosen = self.files == file if len(self.tables) > 1 else slice(None)
            keys = Keys(
                **{
                    name: Labels(codes=labels.codes[chosen], names=labels.names)
                    for name, labels in (("tasks", tasks), ("arms", arms), ("seeds", seeds), ("groups", groups))
                }
            )
            numbers = [self.found[file]["numbers"]]
            refuse_repeats(keys, table.rows, table.layout, table.rows.name, numbers, table.batches)
        errors, suspects = self._broken(arms)
        scored = reading.scored
        missing = np.isnan(self.success) if scored else self.success >= NOT_MISSING
        told: Mapping[str, int] = {}
        success: NDArray[Any] = self.success == 1
        if scored:
            words.require_among(self.success[~missing])
            known = np.where(missing, 0.0, self.success)
            success = known if reading.threshold is None else words.reached(known) & ~missing
        else:
            counts = np.bincount(self.success[missing], minlength=NOT_MISSING)[NOT_MISSING:].tolist()
            told = {word: n for word, n in zip(words.missing, counts, strict=False) if n}
        return Content(
            tasks=tasks,
            arms=arms,
            seeds=seeds,
            success=success,
            missing=missing,
            clusters=self.labels("cluster") if self.columns["cluster"] else None,
            strata=self.labels("stratum") if self.columns["stratum"] else None,
            reasons=self._reasons(),
            groups=groups if self.columns["group"] else None,
            lines=[part["numbers"] for part in self.found],
            units=["row"] * len(self.found),
            layouts=[table.layout for table in self.tables],
            words=told,
            errors=errors,
            suspects=suspects,
            passed_over=sum(table.passed_over for table in self.tables),
        )

    def _require_alike(self, within: NDArray[np.int64], arms: Labels, groups: Labels) -> None:
        """Raises: arms, or files, have different numbers of rows that are paired by where they stand."""
        stood = []
        for file, table in enumerate(self.tables):
            rows = self.files == file
            size = len(arms.names)
            most = np.zeros(size * len(groups.names), np.int64)
            np.maximum.at(most, groups.codes[rows].astype(np.int64) * size + arms.codes[rows], within[rows] + 1)
            by_group = [
                {arms.names[i]: int(n) for i, n in enumerate(part) if n} for part in most.reshape(-1, size).tolist()
            ]
            require_as_many(by_group, name=table.rows.name)
            stood.append(int(most.max()))
        require_files_alike(stood)

    def _reasons(self) -> Labels | None:
        if self.columns["reason"] is not None:
            return self.labels("reason")
        if not self.reading.failures:
            return None
        said = _joined([part["said"] for part in self.found], [len(part["success"]) for part in self.found])
        return None if said is None else said.labels()

    def _broken(self, arms: Labels) -> tuple[Counter[str], Counter[str]]:
        """Takes failures out of which a column says that something broke; counts those of which another one does."""
        counts: dict[str, Counter[str]] = {"error": Counter(), "suspect": Counter()}
        for role, counted in counts.items():
            column = self.columns[role]
            if column is None:
                continue
            filled = np.array([name.lower() not in EMPTY for name in column.names.to_pylist()], np.bool_)[column.codes]
            broken = filled & self.words.failed(self.success)
            by_arm = np.bincount(arms.codes[broken], minlength=len(arms.names)).tolist()
            counted.update({name: n for name, n in zip(arms.names, by_arm, strict=True) if n})
            if role == "error":
                self.success = self.words.without_outcome(self.success, broken)
        return counts["error"], counts["suspect"]


def _occurrence(columns: Sequence[Labels]) -> NDArray[np.int64]:
    """Of each row, how many rows before it bear the same names."""
    key = np.zeros(len(columns[0].codes), np.int64)
    for labels in columns:
        key = np.unique(key * max(1, len(labels.names)) + labels.codes, return_inverse=True)[1].astype(np.int64)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    within = np.arange(len(key)) - np.repeat(starts, np.diff(np.append(starts, len(key))))
    found = np.empty_like(within)
    found[order] = within
    return found
