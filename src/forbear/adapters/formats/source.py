"""The bytes of a text file or of standard input, checked once for every format: text, UTF-8, not endless."""

import io
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from forbear.errors import InvalidInput
from forbear.wording import shown

_LIMIT = 1 << 30
_CHUNK = 1 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Valid UTF-8 without NUL bytes: `data[start:end]`."""

    name: str
    """For messages; bounded and printable."""
    data: bytearray
    start: int
    end: int

    def text(self) -> str:
        """The whole text."""
        return str(memoryview(self.data)[self.start : self.end], "utf-8")

    def line_of(self, offset: int) -> int:
        """The line (from 1) on which a byte lies."""
        return self.data.count(b"\n", self.start, offset) + 1


def read_source(path: str | Path) -> Source:
    """Reads a file, or standard input for `-`, and refuses what is not UTF-8 text.

    Args:
        path: A file (pipes too), or `-` for standard input; a file of that name is `./-`.

    Raises:
        InvalidInput: Unreadable, a directory, larger than 1 GiB, UTF-16, binary, or not UTF-8.
    """
    name = "standard input" if str(path) == "-" else shown(os.fspath(path), limit=80)
    try:
        data, end = _read_stdin(name=name) if str(path) == "-" else _read_file(path, name=name)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInput(f"cannot read '{name}': {reason}. Give a readable CSV, TSV or JSONL file.") from None
    start = len(_BOM) if data.startswith(_BOM) else 0
    source = Source(name=name, data=data, start=start, end=end)
    _check_text(source)
    return source


def _read_stdin(*, name: str) -> tuple[bytearray, int]:
    if sys.stdin is None:  # closed by the caller
        raise InvalidInput("standard input is closed; pipe outcomes into it, or name a file.")
    return _read_stream(sys.stdin.buffer, name=name)


def _read_file(path: str | Path, *, name: str) -> tuple[bytearray, int]:
    if "\0" in os.fspath(path):
        raise InvalidInput(f"{name} is not a usable path: it holds a NUL character.")
    with open(path, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= _LIMIT:
            return _read_stream(file, name=name)
        data = bytearray(status.st_size)
        view, end = memoryview(data), 0
        while count := file.readinto(view[end:]):
            end += count
    return data, end


def _read_stream(stream: BinaryIO | io.FileIO, *, name: str) -> tuple[bytearray, int]:
    data = bytearray()
    while chunk := stream.read(_CHUNK):
        data += chunk
        if 0 in chunk:  # never text: endless devices end here
            break
        if len(data) > _LIMIT:
            raise InvalidInput(f"{name} is larger than {_LIMIT >> 30} GiB. Keep the outcome columns only.")
    return data, len(data)


def _check_text(source: Source) -> None:
    data, end = source.data, source.end
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InvalidInput(f"{source.name} is UTF-16 text; save it as UTF-8.")
    nul = data.find(0, 0, end)
    if nul >= 0:
        raise InvalidInput(
            f"{source.name} is not text: line {source.line_of(nul)} holds a NUL byte. "
            "Give a CSV, TSV or JSONL file in UTF-8."
        )
    if not data.isascii():
        try:
            source.text()
        except UnicodeDecodeError as error:
            line = source.line_of(source.start + error.start)
            raise InvalidInput(
                f"{source.name} is not UTF-8: line {line} cannot be decoded; save it as UTF-8."
            ) from None
