"""Members of a zip file, read one by one up to a limit: deflated or Zstandard, and never a decompression bomb."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from forbear.errors import InvalidInput
from forbear.files import limit_of
from forbear.wording import shown

MEMBER = 256 << 20
"""Bytes of one member, unpacked."""
TOTAL = 16 << 30
"""Bytes of all members that are read, unpacked."""
_DIRECTORY = 64 << 20
"""Bytes of the list of members, which is read whole."""
_ZSTD = 93
"""Zstandard in a zip file: APPNOTE.TXT 6.3.8, section 4.4.5."""


class Archive:
    """A zip file whose members are read up to a limit."""

    def __init__(self, file: IO[bytes], *, name: str) -> None:
        """Reads the list of members.

        Raises:
            InvalidInput: It is no zip file, cut, or its list is too long.
        """
        self._file, self._name, self._left = file, name, TOTAL
        _check_directory(file, name)
        try:
            self._zip = zipfile.ZipFile(file)
        except (
            zipfile.BadZipFile,
            ValueError,
            NotImplementedError,
            OSError,
            UnicodeDecodeError,
            struct.error,
        ) as error:
            raise InvalidInput(f"{name}: cannot be read as a zip file ({shown(str(error))}); it may be cut.") from None
        # Of a member that was written again the last one counts.
        self._members = {info.filename: info for info in self._zip.infolist()}

    def names(self) -> list[str]:
        """The members, each once."""
        return list(self._members)

    def read(self, name: str) -> bytes:
        """One member, unpacked.

        Raises:
            InvalidInput: It is not there, damaged, encrypted, or larger than the limit; or packed by Zstandard, and
                nothing here can unpack that.
        """
        info, where = self._members.get(name), f"{self._name}, member {shown(name)}"
        if info is None:
            raise InvalidInput(f"{where}: not in this file.")
        most = min(limit_of(MEMBER), self._left)
        try:
            with self._opened(info) as member:
                data = member.read(most + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError, struct.error) as error:
            raise InvalidInput(f"{where}: damaged ({shown(str(error))}). Copy the file again.") from None
        if len(data) > most:
            raise InvalidInput(
                f"{where}: unpacks to more than {most / (1 << 20):g} MiB. If it is meant to be so large, set "
                "FORBEAR_MAX_INPUT_MIB."
            )
        self._left -= len(data)
        return data

    @contextmanager
    def _opened(self, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
        if info.compress_type != _ZSTD:
            with self._zip.open(info) as member:
                yield member
            return
        try:
            import zstandard
        except ImportError:
            raise InvalidInput(
                f"{self._name} is packed by Zstandard, which needs zstandard: pip install 'forbear[logs]'."
            ) from None

        self._file.seek(info.header_offset)
        header = self._file.read(30)
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise zipfile.BadZipFile("no local header")
        start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        packed = _Slice(self._file, start, info.compress_size)
        try:
            with zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
                io.BufferedReader(packed), read_across_frames=True
            ) as member:
                yield member
        except zstandard.ZstdError as error:
            raise zipfile.BadZipFile(str(error)) from None


class _Slice(io.RawIOBase):
    """Some bytes of a file."""

    def __init__(self, file: IO[bytes], start: int, length: int) -> None:
        self._file, self._at, self._end = file, start, start + length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._file.seek(self._at)
        data = self._file.read(min(len(buffer), self._end - self._at))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _check_directory(file: IO[bytes], name: str) -> None:
    """The list of members is read whole by whoever opens the file: its length is asked for before."""
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(max(0, size - (1 << 16) - 22))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise InvalidInput(f"{name}: a zip file without its end; it was cut, or its run still writes it.")
    (length,) = struct.unpack("<L", tail[at + 12 : at + 16])
    if length == 0xFFFFFFFF:
        locator = tail[max(0, at - 20) : at]
        offset = struct.unpack("<Q", locator[8:16])[0] if locator[:4] == b"PK\x06\x07" else size
        file.seek(min(offset, size))
        record = file.read(56)
        length = struct.unpack("<Q", record[40:48])[0] if record[:4] == b"PK\x06\x06" and len(record) == 56 else size
    if length > min(_DIRECTORY, size):
        raise InvalidInput(f"{name}: its list of members is damaged, or longer than {_DIRECTORY >> 20} MiB.")
    file.seek(0)
