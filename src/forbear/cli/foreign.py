"""What agents, worlds and critics print: to standard error, line by line and inert, never into our own output."""

import contextlib
import io
import os
import selectors
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TextIO

import click
from rich.console import Console
from rich.text import Text

from forbear.wording import counted, shown

_MOST_LINES = 200
_WIDTH = 300
_CHUNK = 1 << 16
_MOST_CHUNKS_LATE = 64
"""Read after the end: what was written before it is taken, what a left-over process goes on writing is not."""


@dataclass(frozen=True, slots=True)
class Ours:
    """Standard output and error for ourselves, while somebody else's code has others."""

    out: TextIO
    console: Console
    """On standard error."""


@contextlib.contextmanager
def foreign_output() -> Iterator[Ours]:
    """Takes what is written to standard output and error, by subprocesses too, and prints the first lines of it.

    What the command itself prints, it prints inside. Afterwards both are as before; but in a process that does nothing
    else (`process_ends`) standard output stays closed to threads and subprocesses that are left over.
    """
    _open_closed()
    streams = sys.stdout, sys.stderr
    for stream in streams:
        if stream is not None:
            stream.flush()
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    out, error = (_on(kept[descriptor], stream) for descriptor, stream in zip(kept, streams, strict=True))
    console = Console(file=error, stderr=True)
    read, write = os.pipe()
    listener = _Listener(read, console)
    for descriptor in kept:
        os.dup2(write, descriptor)
    os.close(write)
    # Without a buffer, whose lock a thread of theirs could hold when the interpreter ends: that would be an abort.
    theirs = _stream(1, buffered=False), _stream(2, buffered=False)
    sys.stdout, sys.stderr = theirs
    listener.start()
    try:
        yield Ours(out, console)
    finally:
        for stream in theirs:
            with contextlib.suppress(ValueError, OSError):  # they may have closed it
                stream.flush()
        listener.end()
        os.close(read)
        ends = process_ends()
        for ours, (descriptor, real) in zip((out, error), kept.items(), strict=True):
            if descriptor == 1 and ends:
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), descriptor)
            else:
                os.dup2(real, descriptor)
            # A stream with something left that cannot be written would write it into what has this number next.
            with contextlib.suppress(OSError):
                ours.flush()
                os.close(real)
        sys.stdout, sys.stderr = theirs[0] if ends else streams[0], streams[1]


def process_ends() -> bool:
    """Whether the command is all that this process does: `main` says so to its commands."""
    context = click.get_current_context(silent=True)
    return context is not None and context.find_root().obj is True


def _on(descriptor: int, stream: TextIO | None) -> TextIO:
    """A standard stream as it was; where it writes to a descriptor, on the copy of that."""
    if stream is None:  # closed by the caller: a null device is there instead
        return _stream(descriptor)
    try:
        is_descriptor = stream.fileno() in (1, 2)
    except (OSError, ValueError):  # a stream in memory
        is_descriptor = False
    return _stream(descriptor, encoding=stream.encoding) if is_descriptor else stream


def _stream(descriptor: int, *, encoding: str = "utf-8", buffered: bool = True) -> TextIO:
    raw = io.FileIO(descriptor, "w", closefd=False)
    to: IO[bytes] = io.BufferedWriter(raw) if buffered else raw
    return io.TextIOWrapper(to, encoding=encoding, errors="replace", line_buffering=True, write_through=not buffered)


def _open_closed() -> None:
    """A standard stream that was closed by the caller must not become something else's descriptor."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


class _Listener(threading.Thread):
    """Reads lines from a pipe and prints the first of them."""

    def __init__(self, source: int, console: Console) -> None:
        super().__init__(name="forbear-foreign-output", daemon=True)
        self._source, self._console = source, console
        self._ended, self._end = os.pipe()
        self._rest = b""
        self._lines = 0

    def end(self) -> None:
        """Takes what is there, and says how much was not shown."""
        os.close(self._end)
        self.join()
        os.close(self._ended)

    def run(self) -> None:
        os.set_blocking(self._source, False)
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._source, self._ended):
                selector.register(descriptor, selectors.EVENT_READ)
            while not any(key.fd == self._ended for key, _ in selector.select()):
                self._take()
        for _ in range(_MOST_CHUNKS_LATE):
            if not self._take():
                break
        if self._rest:
            self._print(self._rest)
        if self._lines > _MOST_LINES:
            self._say(f"{counted(self._lines - _MOST_LINES, 'more line')} of output not shown")

    def _take(self) -> bool:
        try:
            chunk = os.read(self._source, _CHUNK)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if len(self._rest) > _CHUNK:  # a line without an end is printed in pieces
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._print(line)
        return bool(chunk)

    def _print(self, line: bytes) -> None:
        self._lines += 1
        if self._lines <= _MOST_LINES:
            self._say(shown(line[: 4 * _WIDTH].decode("utf-8", "replace").rstrip("\r"), limit=_WIDTH))

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads standard error any more
            self._console.print(Text(f"| {text}"), soft_wrap=True)
