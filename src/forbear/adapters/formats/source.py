"""The bytes of a text file or of standard input, checked once for every format: text, UTF-8, not endless."""

import codecs
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from forbear.adapters.formats.packed import Raw as Raw
from forbear.adapters.formats.packed import unpacked
from forbear.errors import InvalidInput
from forbear.files import limit_of, read_bounded, read_stream
from forbear.wording import shown

LIMIT = 256 << 20
"""Bytes of a table; `forbear.files.LIMIT` in the environment says otherwise."""
_CHUNK = 1 << 20
_PIECE = 1 << 16
"""Bytes decoded at a time: the whole text would take up to four times as much memory again."""
_BOM = b"\xef\xbb\xbf"


_PACKED = {b"BZh": "bunzip2", b"\xfd7zXZ\0": "unxz", b"\x28\xb5\x2f\xfd": "unzstd", b"7z\xbc\xaf": "7z x"}


def longest() -> int:
    """Bytes of the longest line or record that is read: a row is short, also where it carries what is not used."""
    return limit_of(LIMIT) >> 4


_NAME = 80
"""Characters of a path in messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Valid UTF-8 without NUL bytes: `data[start:]`."""

    name: str
    """For messages; bounded and printable."""
    data: bytes | bytearray
    start: int

    def text(self) -> str:
        """The whole text, for small files."""
        return str(memoryview(self.data)[self.start :], "utf-8")

    def line_of(self, offset: int) -> int:
        """The line (from 1) on which a byte lies."""
        return self.data.count(b"\n", self.start, offset) + 1

    def lines(self) -> int:
        """How many lines there are."""
        return self.line_of(len(self.data))

    def pieces(self, *, ends: bytes = b"\n") -> Iterator[str]:
        """The text in pieces that end where a line ends.

        Args:
            ends: Bytes that end a line; a later one counts only where the first does not occur for long.

        Raises:
            InvalidInput: A line is longer than `longest()`.
        """
        low, end = self.start, len(self.data)
        while low < end:
            high = self._end_of_piece(low, ends)
            if high - low > max(longest(), _PIECE):
                raise self.too_long(self.line_of(low))
            yield str(memoryview(self.data)[low:high], "utf-8")
            low = high

    def _end_of_piece(self, low: int, ends: bytes) -> int:
        data, end = self.data, len(self.data)
        high = min(low + _PIECE, end)
        if high == end:
            return end
        for mark in ends:
            cut = data.rfind(mark, low, high) + 1
            # Between the two characters of one line's end there is no end of a line.
            if cut and not (mark == ord("\r") and data[cut : cut + 1] == b"\n"):
                return cut
        return min((at + 1 for mark in ends if (at := data.find(mark, high)) >= 0), default=end)

    def too_long(self, line: int) -> InvalidInput:
        """What is said of a line or record that is longer than `longest()`."""
        return InvalidInput(
            f"{self.name}, line {line}: longer than {longest() / (1 << 20):g} MiB, a 16th of what is read of a file. "
            "Keep the outcome columns only, or set FORBEAR_MAX_INPUT_MIB."
        )


def read_source(path: str | Path, *, limit: int = LIMIT) -> Source:
    """Reads a file, or standard input for `-`, unpacks it, and refuses what is not UTF-8 text.

    Args:
        path: A file (pipes too), or `-` for standard input; a file of that name is `./-`.
        limit: Bytes, packed and unpacked, where the environment does not say otherwise.

    Raises:
        InvalidInput: Unreadable, a directory, larger than the limit, or as `text_of`.
    """
    return text_of(read_bytes(path, limit=limit), limit=limit)


def read_bytes(path: str | Path, *, limit: int = LIMIT) -> Raw:
    """Reads a file, or standard input for `-`.

    Raises:
        InvalidInput: Unreadable, a directory, or larger than the limit.
    """
    name = "standard input" if str(path) == "-" else shown_path(os.fspath(path))
    try:
        if str(path) != "-":
            return Raw(name=name, data=read_bounded(path, limit=limit, name=name))
        if sys.stdin is None:  # closed by the caller
            raise InvalidInput("standard input is closed; pipe outcomes into it, or name a file.")
        return Raw(name=name, data=read_stream(sys.stdin.buffer, limit=limit, name=name))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInput(f"cannot read '{name}': {reason}. Give a readable CSV, TSV or JSONL file.") from None


def text_of(raw: Raw, *, limit: int = LIMIT) -> Source:
    """Unpacks gzip and zip, and turns UTF-16 into UTF-8.

    Raises:
        InvalidInput: What is unpacked is larger than the limit or cannot be unpacked, binary, or not UTF-8.
    """
    data, name = unpacked(raw, limit=limit).data, raw.name
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeError:
            raise InvalidInput(f"{name} begins as UTF-16 text and is none; save it as UTF-8.") from None
    source = Source(name=name, data=data, start=len(_BOM) if data.startswith(_BOM) else 0)
    _check_text(source)
    return source


def _check_text(source: Source) -> None:
    data = source.data
    for magic, program in _PACKED.items():
        if data.startswith(magic):
            raise InvalidInput(f"{source.name} is compressed, and not by gzip or zip; unpack it first ({program}).")
    nul = data.find(0)
    if nul >= 0:
        raise InvalidInput(
            f"{source.name} is not text: line {source.line_of(nul)} holds a NUL byte. "
            "Give a CSV, TSV or JSONL file in UTF-8."
        )
    if data.isascii():
        return
    decoder, view = codecs.getincrementaldecoder("utf-8")(), memoryview(data)
    for low in range(source.start, len(data), _CHUNK):
        chunk = view[low : low + _CHUNK]
        try:
            decoder.decode(chunk, final=low + _CHUNK >= len(data))
        except UnicodeDecodeError as error:
            # What is left over from the chunk before stands in front of this one.
            line = source.line_of(low + len(chunk) - len(error.object) + error.start)
            raise InvalidInput(
                f"{source.name} is not UTF-8: line {line} cannot be decoded; save it as UTF-8."
            ) from None


def shown_path(path: str) -> str:
    """A path for messages; of a long one its end, which says most."""
    return shown(path if len(path) <= _NAME else f"…{path[1 - _NAME :]}", limit=_NAME)
