"""Files from elsewhere are read up to a limit; files of ours are written whole or not at all."""

import contextlib
import os
import stat
import time
from pathlib import Path
from typing import IO

from forbear.errors import InvalidInput
from forbear.wording import shown

LIMIT = "FORBEAR_MAX_INPUT_MIB"
"""Environment variable: MiB that are read of any one file, instead of each kind's own limit."""

_CHUNK = 1 << 20
_PATIENCE_S = 5.0
"""A named pipe that nobody has opened for writing until then is taken for a mistake."""


def limit_of(default: int) -> int:
    """Bytes that may be read of one file.

    Args:
        default: Where `LIMIT` is not set in the environment.

    Raises:
        InvalidInput: `LIMIT` is set to something else than a whole number of at least 1.
    """
    text = os.environ.get(LIMIT, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise InvalidInput(f"{LIMIT} must be a whole number of MiB, at least 1, got '{shown(text)}'.")
    return int(text) << 20


def too_large(name: str, limit: int, *, in_memory: bool = False) -> InvalidInput:
    """What is said of input above a limit; or of one that would take more than twice its limit in memory."""
    size = f"{limit / (1 << 20):g} MiB"
    what = f"what it holds takes more than twice {size}" if in_memory else f"larger than {size}"
    return InvalidInput(
        f"{name}: {what}, the most that is read of such a file. If it is meant to be so large, set {LIMIT} "
        f"(now {limit_of(limit) / (1 << 20):g}) in the environment."
    )


def read_bounded(path: str | Path, *, limit: int, name: str | None = None) -> bytes | bytearray:
    """Reads a whole file of at most `limit_of(limit)` bytes.

    Args:
        path: A file; a pipe or a device too, which is given up at the limit.
        limit: Bytes, where the environment does not say otherwise. A file that is larger is not read at all.
        name: For messages; by default the file's own name.

    Raises:
        InvalidInput: It is larger, or a pipe that nobody writes.
        OSError: It cannot be read.
    """
    most, name = limit_of(limit), shown(os.path.basename(path)) if name is None else name
    if "\0" in os.fspath(path):
        raise InvalidInput(f"{name} is not a usable path: it holds a NUL character.")
    # Not to wait for ever: opening a named pipe blocks until somebody opens its other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        status = os.fstat(descriptor)
        begun = _begun(file, name) if stat.S_ISFIFO(status.st_mode) else b""
        os.set_blocking(descriptor, True)
        if not stat.S_ISREG(status.st_mode) or not status.st_size:
            return read_stream(file, limit=limit, name=name, begun=begun)
        if status.st_size > most:
            raise too_large(name, most)
        data, end = bytearray(status.st_size), 0
        while count := file.readinto(memoryview(data)[end:]):
            end += count
    del data[end:]  # it was cut while it was read
    return data


def _begun(file: IO[bytes], name: str) -> bytes:
    """The first bytes of a pipe, none where they are still to come; one without a writer is refused after a while."""
    until = time.monotonic() + _PATIENCE_S
    while (first := file.read(_CHUNK)) == b"":
        if time.monotonic() > until:
            raise InvalidInput(f"{name}: nothing was written into this pipe, and nobody has it open for writing.")
        time.sleep(0.02)
    return first or b""


def read_stream(stream: IO[bytes], *, limit: int, name: str, begun: bytes = b"") -> bytearray:
    """Reads a stream to its end, and gives up at `limit_of(limit)` bytes.

    Raises:
        InvalidInput: It is longer.
        OSError: It cannot be read.
    """
    most, data = limit_of(limit), bytearray(begun)
    while chunk := stream.read(min(_CHUNK, most + 1 - len(data))):
        data += chunk
        if len(data) > most:
            raise too_large(name, most)
    return data


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file beside its place and moves it there: what stood there before stays until the new one is whole.

    Raises:
        OSError: It cannot be written; nothing is left of it.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
