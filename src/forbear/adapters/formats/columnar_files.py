"""Files of named columns, opened and bounded: Parquet, and CSV of tens of MiB (pyarrow, extra `data`)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forbear.adapters.formats.delimited import delimiter_of
from forbear.adapters.formats.rows import BLANKS
from forbear.adapters.formats.source import shown_path
from forbear.errors import InvalidInput
from forbear.files import limit_of, too_large
from forbear.wording import shown

if TYPE_CHECKING:
    import pyarrow as pa

LIMIT = 2048 << 20
"""Bytes of a file, packed and, as it says itself, unpacked."""
_HEADER = 1 << 16
_PARQUET = b"PAR1"
_FEW_ROWS = 64


def kind_of(path: str | Path, large: int) -> str | None:
    """`parquet`, `large` and `small` of CSV files; None of whatever else."""
    try:
        status = os.stat(path)
        if str(path) == "-" or not stat.S_ISREG(status.st_mode):
            return None
        with open(path, "rb") as file:
            head = file.read(_HEADER)
    except (OSError, ValueError):
        return None  # said by the other reader
    if head.startswith(_PARQUET):
        return "parquet"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"\0" in head or not text or text[:1] in b"{[" or text[:4].lower() == b"sep=" or b"\n" not in head:
        return None
    try:
        head[: head.rindex(b"\n")].decode()
    except UnicodeDecodeError:
        return None
    return "large" if status.st_size > large else "small"


class ColumnFile:
    """A file with named columns."""

    unit = "row"
    comma = False

    def __init__(self, path: str | Path) -> None:
        self.path, self.name = path, shown_path(os.fspath(path))
        self.place = self.name
        if (size := os.stat(path).st_size) > limit_of(LIMIT):
            raise too_large(f"{self.name} ({size >> 20:,} MiB)", limit_of(LIMIT))
        self.names: list[str] = []

    def find(self, name: str) -> int:
        """How many columns bear exactly this name."""
        return self.names.count(name)

    def table(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all rows, under their names."""
        raise NotImplementedError

    def each(self, names: Sequence[str]) -> Iterator[tuple[str, pa.ChunkedArray]]:
        """The same one after the other: what is done with one needs as much memory again."""
        table = self.table(names)
        for name in names:
            column, table = table.column(name), table.drop_columns([name])
            yield name, column

    def columns(self, names: Sequence[str], *, ids: Sequence[str], needed: Sequence[str]) -> Any:
        """Not used: a file of columns is not read row by row."""
        raise NotImplementedError


class LargeCsv(ColumnFile):
    """CSV that is read by blocks; whatever a field holds is text."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        with open(path, "rb") as file:
            head = file.read(_HEADER).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        first = next(line for line in head.splitlines() if line.strip())
        self._delimiter = delimiter_of(first)
        self.comma = self._delimiter != ","
        self._stored = list(self._open([]).schema.names)
        self.names = [name.strip(BLANKS) for name in self._stored]

    def _open(self, names: Sequence[str]) -> Any:
        import pyarrow as pa
        from pyarrow import csv

        try:
            return csv.open_csv(
                str(self.path),
                read_options=csv.ReadOptions(block_size=1 << 24),
                parse_options=csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True),
                convert_options=csv.ConvertOptions(
                    include_columns=list(names) or None,
                    column_types=dict.fromkeys(names, pa.dictionary(pa.int32(), pa.string())),
                    strings_can_be_null=False,
                ),
            )
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._wrong(error) from None

    def _wrong(self, error: Exception) -> InvalidInput:
        said = " ".join(str(error).split())
        return InvalidInput(
            f"{self.name} cannot be read as CSV ({shown(said, limit=120)}). Check its quotes and fields."
        )

    def table(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all rows, under their names."""
        import pyarrow as pa

        stored = [self._stored[self.names.index(name)] for name in names]
        batches, rows = [], 0
        try:
            for batch in self._open(stored):
                batches.append(batch)
                rows += batch.num_rows
                if rows > most_rows():
                    raise _too_many(self.name)
        except (pa.ArrowException, OSError) as error:
            raise self._wrong(error) from None
        if not rows:
            raise InvalidInput(f"{self.name} holds no outcomes, only a header. Add one row per task and arm.")
        return pa.Table.from_batches(batches).rename_columns(list(names))


class Parquet(ColumnFile):
    """Parquet; a field within a structure is named by its path."""

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        import pyarrow as pa
        from pyarrow import parquet

        try:
            meta = parquet.read_metadata(str(path))
            leaves = [meta.schema.column(i) for i in range(meta.num_columns)]
            self._leaves = [leaf.path for leaf in leaves]
            # Each text once, as it is stored: a long one that a million rows share would else be there a million times.
            texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
            self._file = parquet.ParquetFile(str(path), metadata=meta, read_dictionary=texts)
            size = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
            self._types = {name: self._file.schema_arrow.field(name).type for name in self._file.schema_arrow.names}
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise self._wrong(error) from None
        if meta.num_rows > most_rows():
            raise _too_many(self.name)
        if size > limit_of(LIMIT):
            raise too_large(f"{self.name}, unpacked", limit_of(LIMIT))
        if not meta.num_rows:
            raise InvalidInput(f"{self.name} holds no outcomes. Add one row per task and arm.")
        self.names = [name for name in self._types]

    def _wrong(self, error: Exception) -> InvalidInput:
        said = " ".join(str(error).split())
        return InvalidInput(f"{self.name} cannot be read as Parquet ({shown(said, limit=120)}). Write it again.")

    def find(self, name: str) -> int:
        """How many columns bear exactly this name, or are at the end of this path."""
        return self.names.count(name) or self._leaves.count(name)

    def each(self, names: Sequence[str]) -> Iterator[tuple[str, pa.ChunkedArray]]:
        """Some columns, each read when its turn comes."""
        for name in names:
            yield name, self.table([name]).column(name)

    def table(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all rows, under their names."""
        import pyarrow as pa

        try:
            read = self._read(list(dict.fromkeys(names)))
            columns = []
            for name in names:
                parts = [name] if name in self._types else name.split(".")
                column = read.column(parts[0])
                for part in parts[1:]:
                    column = pa.chunked_array([chunk.field(part) for chunk in column.chunks])
                columns.append(column)
            if any(len(column) != self._file.metadata.num_rows for column in columns):
                raise ValueError("its columns hold fewer rows than it says")
        except InvalidInput:
            raise
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._wrong(error) from None
        return pa.table(dict(zip(names, columns, strict=True)))

    def _read(self, names: list[str]) -> pa.Table:
        import pyarrow as pa
        from pyarrow import parquet

        try:
            return self._file.read(columns=names)
        except OSError:  # as pyarrow says that it cannot, too
            # Texts stored as what differs from the one before: no dictionary can be read of them, and a few bytes may
            # make many, so their size is looked at as they come.
            plain = parquet.ParquetFile(str(self.path))
        batches, size = [], 0
        for batch in plain.iter_batches(batch_size=_FEW_ROWS, columns=names):
            batches.append(batch)
            size += batch.nbytes
            if size > limit_of(LIMIT):
                raise too_large(f"{self.name}, unpacked", limit_of(LIMIT))
        return pa.Table.from_batches(batches, schema=None if batches else plain.schema_arrow)


def release() -> None:
    """Gives memory that pyarrow keeps for later back to the system."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def most_rows() -> int:
    """Rows of a file: 64 million, or as many as a row of 32 bytes would make of what may be read."""
    return limit_of(LIMIT) >> 5


def _too_many(name: str) -> InvalidInput:
    return InvalidInput(
        f"{name} has more than {most_rows():,} rows, the most that are read. Keep the rows of one pilot, or set "
        "FORBEAR_MAX_INPUT_MIB."
    )
