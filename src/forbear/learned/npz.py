"""Weights in an `.npz` of plain arrays: the same bytes for the same arrays, and nothing is ever unpickled."""

import io
import math
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forbear.errors import InvalidInput
from forbear.files import limit_of, read_bounded, too_large
from forbear.wording import shown

_MAX_BYTES = 64 << 20
_MAX_ARRAYS = 100
_MAX_HEADER = 1000
"""Characters that describe one array; a plain one needs some seventy."""
_PLAIN = "biuf"
"""Kinds of numbers: truth values, whole numbers, fractions."""


def npz_bytes(arrays: Mapping[str, NDArray[np.generic]]) -> bytes:
    """Returns an `.npz` with fixed dates and compression, so that equal arrays give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.lib.format.write_array(one, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0)), one.getvalue(), 8, 9)
    return buffer.getvalue()


def read_npz(path: Path, *, kind: str, earlier: Sequence[str] = ()) -> dict[str, NDArray[np.generic]]:
    """Reads an `.npz` of plain numeric arrays whose array "format" spells `kind`.

    Args:
        path: The file.
        kind: Name and version of what it has to hold.
        earlier: Versions that are read too.

    Returns:
        By name: the arrays, which cannot be written to; without "format".

    Raises:
        InvalidInput: Missing, above 64 MiB packed or unpacked (`forbear.files.LIMIT` raises that; sizes are compared
            before anything is unpacked), damaged, with other things than numbers in it, or of another kind.
    """
    try:
        raw = read_bounded(path, limit=_MAX_BYTES)
    except OSError as error:
        raise InvalidInput(f"cannot read the weights {shown(path.name)}: {error.strerror or 'damaged'}.") from error
    try:
        arrays = _arrays(raw, name=shown(path.name))
    except InvalidInput:
        raise
    except Exception as error:  # whatever zipfile and numpy make of damaged bytes
        raise InvalidInput(f"{shown(path.name)} is not an .npz of plain arrays; train it again.") from error
    found = arrays.pop("format", np.zeros(0, dtype=np.uint8))
    if found.dtype != np.uint8 or found.tobytes() not in [name.encode() for name in (kind, *earlier)]:
        raise InvalidInput(f"{shown(path.name)} does not hold {kind!r}; it is the file of another model or version.")
    return arrays


def _arrays(raw: bytes | bytearray, *, name: str) -> dict[str, NDArray[np.generic]]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        entries = archive.infolist()
        if len(entries) > _MAX_ARRAYS:
            raise InvalidInput(f"{name} holds {len(entries)} arrays: not the weights of a small model.")
        most = limit_of(_MAX_BYTES)
        if sum(entry.file_size for entry in entries) > most:
            raise too_large(f"{name}, unpacked", most)
        return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries}


def _array(raw: bytes) -> NDArray[np.generic]:
    """One `.npy`, whose size is compared with what its header says before there is an array."""
    file = io.BytesIO(raw)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("not a plain array")
    shape, by_column, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=_MAX_HEADER)
    if dtype.kind not in _PLAIN or math.prod(shape) * dtype.itemsize != len(raw) - file.tell():
        raise ValueError("not a plain array of this size")
    return np.frombuffer(raw, dtype=dtype, offset=file.tell()).reshape(shape, order="F" if by_column else "C")
