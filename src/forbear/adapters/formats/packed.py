"""Files that are packed, unpacked up to a limit: what they say of their size is not believed."""

import io
import zipfile
import zlib
from dataclasses import dataclass, replace

from forbear.errors import InvalidInput
from forbear.files import limit_of, too_large
from forbear.wording import listed

GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
_END = b"PK\x05\x06"
_DIRECTORY = 1 << 20
"""Bytes of the directory of a zip file, which is read whole: about ten thousand files."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """A file as it is, packed or not, text or not."""

    name: str
    """For messages; bounded and printable."""
    data: bytes | bytearray


def unpacked(raw: Raw, *, limit: int) -> Raw:
    """The file, unpacked where it is packed by gzip or is a zip file that holds one.

    Raises:
        InvalidInput: It cannot be unpacked, holds several files, or more than `limit_of(limit)` bytes.
    """
    if raw.data.startswith(GZIP):
        return replace(raw, data=_gunzipped(raw, limit))
    if raw.data.startswith(ZIP):
        return replace(raw, data=_unzipped(raw, limit))
    return raw


def _gunzipped(raw: Raw, limit: int) -> bytearray:
    most, out = limit_of(limit), bytearray()
    rest: bytes | bytearray = raw.data
    try:
        while rest:
            if out and not rest.strip(b"\0"):  # some programs pad with zeros
                break
            one = zlib.decompressobj(wbits=31)
            while not one.eof:
                chunk = one.decompress(rest, min(_CHUNK, most + 1 - len(out)))
                out += chunk
                if len(out) > most:
                    raise too_large(f"{raw.name}, unpacked", limit_of(limit))
                rest = one.unconsumed_tail
                if not rest and not chunk and not one.eof:
                    raise InvalidInput(f"{raw.name} is compressed by gzip and ends in the middle. Copy it again.")
            rest = one.unused_data
    except zlib.error:
        raise InvalidInput(f"{raw.name} begins as a gzip file and cannot be unpacked. Copy it again.") from None
    return out


def _unzipped(raw: Raw, limit: int) -> bytes:
    end = raw.data.rfind(_END)
    if end < 0 or int.from_bytes(raw.data[end + 12 : end + 16], "little") > _DIRECTORY or _has_zip64(raw.data, end):
        raise InvalidInput(
            f"{raw.name} is a zip file that is damaged or holds too many files. Unpack it first (unzip)."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(raw.data)) as file:
            names = [name for name in file.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
            if len(names) != 1:
                raise InvalidInput(
                    f"{raw.name} is a zip file with {len(names):,} files in it: {listed(names) or 'none'}. Unpack it "
                    "(unzip), and name those that are meant."
                )
            with file.open(names[0]) as member:
                data = member.read(limit_of(limit) + 1)
    except InvalidInput:  # a ValueError too
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        # RuntimeError: it is encrypted; NotImplementedError, which is one: another way to pack.
        raise InvalidInput(
            f"{raw.name} is a zip file that cannot be unpacked here ({type(error).__name__}). Unpack it first (unzip)."
        ) from None
    if len(data) > limit_of(limit):
        raise too_large(f"{raw.name}, unpacked", limit_of(limit))
    return data


def _has_zip64(data: bytes | bytearray, end: int) -> bool:
    """Whether another directory than that of the end record would be read, of a size that was not looked at."""
    return data[max(0, end - 20) : end].startswith(b"PK\x06\x07")
