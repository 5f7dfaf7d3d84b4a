"""A file as the readers of logs meet it: opened once, bounded, and asked what it looks like before it is decoded."""

import gzip
import io
import json
import mmap
import os
import re
import stat
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Literal, TypeVar

import msgspec

from forbear.adapters.formats.source import longest
from forbear.errors import InvalidInput
from forbear.files import limit_of, read_bounded, too_large
from forbear.wording import shown

LIMIT = 4 << 30
"""Bytes of a log; it is mapped, and of what it holds only the fields that are named are built."""
_MAPPED = 16 << 20
_PIPED = 256 << 20
_LONGEST_ITEM = 16 << 20
_BOM = b"\xef\xbb\xbf"
_CONSTANTS = re.compile(rb"([:,\[]\s*)(?:NaN|-?Infinity)(?=\s*[,\]}])")
"""Python writes what JSON does not have. Where it stands so in a quoted text, it changes that text alone."""

Kind = Literal["object", "list", "lines", "xml", "zip", "other"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One file: its bytes, and what it looks like."""

    path: Path
    name: str
    """For messages; bounded and printable."""
    data: bytes | bytearray | mmap.mmap = field(repr=False)

    @cached_property
    def kind(self) -> Kind:
        """What stands at its beginning."""
        start = bytes(self.data[:4096]).removeprefix(_BOM).lstrip()
        if start.startswith(b"PK\x03\x04"):
            return "zip"
        if start.startswith(b"<"):
            return "xml"
        if start.startswith(b"["):
            return "list" if self._first_item is not None else "other"
        if start.startswith(b"{"):
            if self._fields is not None:
                return "object"
            return "lines" if self._first_line is not None else "other"
        return "other"

    @property
    def fields(self) -> Mapping[str, msgspec.Raw]:
        """Of an object its fields, of a list or of lines those of the first entry; undecoded."""
        if self.kind == "object":
            return self._fields or {}
        if self.kind == "lines":
            return self._first_line or {}
        if self.kind == "list":
            return self._first_item or {}
        return {}

    def has(self, *names: str) -> bool:
        """Whether the fields (of the first entry) are there."""
        return set(names) <= self.fields.keys()

    def inner(self, *names: str) -> Mapping[str, msgspec.Raw]:
        """The fields of a field of the object; none where it is no object."""
        found: Mapping[str, msgspec.Raw] = self.fields
        for name in names:
            found = _object(found[name]) or {} if name in found else {}
        return found

    def first_of(self, name: str) -> Mapping[str, msgspec.Raw]:
        """The fields of the first entry of a list in the object."""
        raw = self.fields.get(name)
        if raw is None or bytes(memoryview(raw)[:1]) != b"[":
            return {}
        try:
            items = msgspec.json.decode(raw, type=list[msgspec.Raw])
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return {}
        return (_object(items[0]) or {}) if items else {}

    def stream(self) -> IO[bytes]:
        """The file to be read in any order; to be closed."""
        return io.BytesIO(self.data) if isinstance(self.data, bytes | bytearray) else open(self.path, "rb")

    def decoded(self, kind: type[T]) -> T:
        """The whole file as this type; fields that it does not name are passed over.

        Raises:
            InvalidInput: It does not fit, with the place.
        """
        return decode(self._text, kind, where=self.name)

    def each(self, kind: type[T]) -> Iterator[tuple[int, T]]:
        """Of JSON Lines each line's number and its entry, read one by one.

        Raises:
            InvalidInput: A line that is too long or does not fit.
        """
        low, number, end = (len(_BOM) if self.data[:3] == _BOM else 0), 0, len(self.data)
        while low < end:
            high = self.data.find(b"\n", low)
            high = end if high < 0 else high
            number += 1
            where = f"{self.name}, line {number}"
            if high - low > longest():
                raise InvalidInput(f"{where}: longer than {longest() / (1 << 20):g} MiB; set FORBEAR_MAX_INPUT_MIB.")
            line = bytes(self.data[low:high]).strip()
            low = high + 1
            if line:
                yield number, decode(line, kind, where=where)

    @cached_property
    def _text(self) -> bytes | bytearray | mmap.mmap | memoryview:
        return memoryview(self.data)[len(_BOM) :] if self.data[:3] == _BOM else self.data

    @cached_property
    def _fields(self) -> dict[str, msgspec.Raw] | None:
        return _object(self._text)

    @cached_property
    def _first_item(self) -> dict[str, msgspec.Raw] | None:
        """Of a list the first object alone: a table of many rows is not to be taken apart to be asked what it is."""
        start = str(bytes(self._text[:_LONGEST_ITEM]), "utf-8", "ignore")
        try:
            first, _ = json.JSONDecoder().raw_decode(start[start.index("[") + 1 :].lstrip())
            return _object(msgspec.json.encode(first)) if isinstance(first, dict) else None
        except (msgspec.MsgspecError, RecursionError, ValueError, TypeError):
            return None

    @cached_property
    def _first_line(self) -> dict[str, msgspec.Raw] | None:
        for line in bytes(self.data[: longest()]).removeprefix(_BOM).lstrip().split(b"\n", 1)[:1]:
            return _object(line)
        return None


def short(path: str | Path) -> str:
    """A path for messages; of a long one its end, which says most."""
    text = str(path)
    return shown(text if len(text) <= 80 else f"…{text[-79:]}", limit=80)


def opened(path: Path, *, name: str | None = None) -> Probe:
    """Opens a file; large ones are mapped instead of read.

    Raises:
        InvalidInput: It is larger than the limit, packed or unpacked, or damaged.
        OSError: It cannot be read.
    """
    name = short(path) if name is None else name
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        return Probe(path=path, name=name, data=read_bounded(path, limit=_PIPED, name=name))
    with open(path, "rb") as file:
        if file.read(2) == b"\x1f\x8b":
            return Probe(path=path, name=name, data=_unpacked(path, name))
        if status.st_size > _MAPPED:
            if status.st_size > limit_of(LIMIT):
                raise too_large(name, limit_of(LIMIT))
            return Probe(path=path, name=name, data=mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return Probe(path=path, name=name, data=read_bounded(path, limit=_PIPED, name=name))


def _unpacked(path: Path, name: str) -> bytes:
    """What a gzip file holds, up to a limit."""
    most = limit_of(_PIPED)
    try:
        with gzip.open(path) as file:
            data = file.read(most + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInput(f"{name}: damaged ({shown(str(error))}). Copy the file again.") from None
    if len(data) > most:
        raise too_large(name, most)
    return data


def decode(data: bytes | bytearray | memoryview | mmap.mmap | msgspec.Raw, kind: type[T], *, where: str) -> T:
    """JSON as this type.

    Raises:
        InvalidInput: It does not fit; the message names the place.
    """
    try:
        return _decode(data, kind)
    except RecursionError:
        raise InvalidInput(f"{where}: nested too deeply to be a log.") from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise InvalidInput(
            f"{where}: cannot be read as such a log ({shown(str(error), limit=150)}). Give the file as its tool "
            "wrote it."
        ) from None


def _decode(data: bytes | bytearray | memoryview | mmap.mmap | msgspec.Raw, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        view = memoryview(data)
        if len(view) > _PIPED or not _CONSTANTS.search(view):
            raise
        return msgspec.json.decode(_CONSTANTS.sub(rb"\1null", bytes(view)), type=kind)


def _object(data: bytes | bytearray | memoryview | mmap.mmap | msgspec.Raw) -> dict[str, msgspec.Raw] | None:
    try:
        return _decode(data, dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
