"""What was answered, and paid for, is kept: `responses.jsonl`, by request and draw.

A pilot that is stopped, killed, extended or run again under another threshold asks for nothing twice, and a model that
its provider samples becomes a function of request and draw: what it answered first is its answer.

Several processes may append to one file: a line is written under a lock, whole, at its end. A line that was torn or
changed is an answer that is not known, no more. No request is in the file (only its digest), no header and no key.
"""

import fcntl
import os
import stat
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from forbear.contracts.draw import Draw
from forbear.errors import AgentError, InvalidInput, JournalUnwritable
from forbear.models.chat import Completion
from forbear.wording import shown

NAME = "responses.jsonl"
"""Of the file in a journal's directory."""

MAX_LINE = 16 << 20
"""Bytes of one line."""

_CHECK = b',"check":"'
_END = len(_CHECK) + len('01234567"}')


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, as a line holds it."""

    key: str
    """Of request and draw."""
    owner: str
    """Digest of the plan that paid for it."""
    draw: Draw
    response: Completion


class ResponseStore:
    """The answers of one file, from memory by where they stand; reads are of single lines.

    Use it as a context manager, or `close` it.
    """

    def __init__(self, path: Path, *, owner: str, earlier: Sequence[Path] = (), is_read_only: bool = False) -> None:
        """Opens the file, which is made with the first answer.

        Args:
            path: Of the file; it may be shared between the journals of several plans.
            owner: Digest of the plan that pays from now on.
            earlier: Files in which an answer is looked for that is not in this one; never written.
            is_read_only: Nothing will be put.

        Raises:
            InvalidInput: It cannot be read.
        """
        self._path, self.owner, self._is_read_only = path, owner, is_read_only
        self._earlier = [ResponseStore(one, owner="", is_read_only=True) for one in earlier]
        self._file: int | None = None
        self._end = 0
        """Where the last line that this process wrote ended."""
        self._places: dict[str, tuple[int, int, bool]] = {}
        """By key: offset, length, and whether this plan paid for it."""
        self.damaged = 0
        """Lines that do not say what they were written to say; what they held is asked for again."""
        if path.exists():
            self._open(create=False)
            self._index()

    def get(self, key: str) -> tuple[Completion, bool] | None:
        """Returns an answer, and whether this plan paid for it; None where it is not known."""
        place = self._places.get(key)
        if place is None or self._file is None:
            found = next((found for one in self._earlier if (found := one.get(key)) is not None), None)
            return None if found is None else (found[0], False)
        offset, length, is_own = place
        kept = _decoded(os.pread(self._file, length, offset))
        if kept is None or kept.key != key:  # changed under our feet
            del self._places[key]
            self.damaged += 1
            return None
        return kept.response, is_own

    def put(self, key: str, response: Completion, *, draw: Draw) -> None:
        """Keeps an answer: a process that is killed from now on has it.

        Raises:
            JournalUnwritable: The disk is full or failed.
            AgentError: The answer is too large for a line.
        """
        body = msgspec.json.encode(Kept(key=key, owner=self.owner, draw=draw, response=response))
        line = _sealed(body)
        if len(line) > MAX_LINE:
            raise AgentError(f"a model's answer takes more than {MAX_LINE >> 20} MiB: set max_tokens.")
        try:
            self._open(create=True)
            self._append(key, line)
        except OSError as error:
            raise JournalUnwritable(
                f"{shown(str(self._path), limit=200)} cannot be written ({error.strerror}); what was answered before "
                "is kept. Run the same again when it can."
            ) from None

    def __len__(self) -> int:
        """How many answers are known."""
        return len(self._places)

    def close(self) -> None:
        """Lets go of the files."""
        for one in self._earlier:
            one.close()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, *, create: bool) -> None:
        if self._file is not None:
            return
        if create:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = (
            (os.O_RDONLY if self._is_read_only else os.O_RDWR)
            | os.O_CLOEXEC
            | os.O_NONBLOCK
            | (os.O_CREAT if create else 0)
        )
        try:
            self._file = os.open(self._path, flags, 0o600)
        except OSError as error:
            if create:
                raise  # `put` words it
            raise InvalidInput(f"{shown(str(self._path), limit=200)}: cannot be read ({error.strerror}).") from None
        if not stat.S_ISREG(os.fstat(self._file).st_mode):
            self.close()
            raise InvalidInput(f"{shown(str(self._path), limit=200)} is no file; answers of models are kept in one.")

    def _append(self, key: str, line: bytes) -> None:
        assert self._file is not None
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            end = os.fstat(self._file).st_size
            # The one before us may have been killed within its line.
            is_ours = end == self._end
            begin = b"" if is_ours or os.pread(self._file, 1, end - 1) == b"\n" else b"\n"
            _write_at(self._file, begin + line, end)
            self._end = end + len(begin) + len(line)
            self._places[key] = (end + len(begin), len(line) - 1, True)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _index(self) -> None:
        """Notes where each answer stands; the first to a request is the one that counts."""
        assert self._file is not None
        offset = 0
        with open(os.dup(self._file), "rb") as file:
            while line := file.readline(MAX_LINE + 1):
                kept = _decoded(line.removesuffix(b"\n"))
                if kept is not None:
                    length = len(line.removesuffix(b"\n"))
                    self._places.setdefault(kept.key, (offset, length, kept.owner == self.owner))
                elif line.strip():
                    self.damaged += 1
                offset += len(line)


def _write_at(file: int, content: bytes, offset: int) -> None:
    """Writes all of it or, where that fails, leaves the file as it was."""
    written = 0
    try:
        while written < len(content):
            written += os.pwrite(file, content[written:], offset + written)
    except OSError:
        os.ftruncate(file, offset)
        raise


def _sealed(body: bytes) -> bytes:
    return b'%b%b%08x"}\n' % (body[:-1], _CHECK, zlib.crc32(body))


def _decoded(line: bytes) -> Kept | None:
    """What a line holds; None where it is not whole."""
    body, check = line[:-_END] + b"}", line[-_END:]
    if check != b'%b%08x"}' % (_CHECK, zlib.crc32(body)):
        return None
    try:
        return msgspec.json.decode(body, type=Kept)
    except (msgspec.MsgspecError, ValueError):
        return None
