"""The checks of a journal's lines, by which a line that was changed, removed, doubled, moved or put in is found.

The last key of a line is `check`, sixteen hexadecimal digits. The first eight are the *seal*: the CRC-32 of the line's
bytes before that key, begun with that of the plan's digest; of an episode that continues another, begun with the seal
of that one's line. So a line fits one plan and one parent, and can be verified while others are damaged. The last eight
are the *link*: the CRC-32 of the seal, begun with the link of the line before, and of the plan's digest for the first.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from forbear.errors import InvalidInput
from forbear.records.codec import (
    EpisodeKey,
    ParsedLine,
    Record,
    encode_record,
    episode_key,
    origin_key,
    parse_line,
)
from forbear.records.model import Episode
from forbear.wording import shown

_KEY = b',"check":"'
_CHECK = re.compile(_KEY + rb'([0-9a-f]{8})([0-9a-f]{8})"\}')
_LENGTH = len(_KEY) + 16 + len(b'"}')

REMEDY = (
    " Restore the file from a copy, or let `forbear journal repair` drop what is damaged and what depends on it; "
    "that is run again."
)
"""Ends the errors of damaged lines."""


@dataclass(frozen=True, slots=True)
class SealedLine:
    """A line as it stands in a file."""

    body: bytes
    """What comes before the check."""
    seal: bytes
    link: bytes
    parsed: ParsedLine

    @property
    def text(self) -> bytes:
        """The line, without its end."""
        return b'%b%b%b%b"}' % (self.body, _KEY, self.seal, self.link)


class Chain:
    """The lines of one journal so far: enough to seal the next one, or to verify it."""

    def __init__(self, digest: str) -> None:
        """Begins a journal.

        Args:
            digest: Of its plan.
        """
        self._root = zlib.crc32(digest.encode("utf-8", "surrogatepass"))
        self._last = self._root
        self._seals: dict[EpisodeKey, int] = {}
        """Of episodes with an outcome, which others may continue."""

    def seal(self, records: Sequence[Record]) -> list[bytes]:
        """Returns the next lines, with their ends; that they are written is said with `go_on`.

        Args:
            records: What an episode among them continues is in the chain, or before it among them.

        Raises:
            InvalidInput: A record holds what JSON cannot, or continues what is not there.
        """
        lines: list[bytes] = []
        last, seals = self._last, dict[EpisodeKey, int]()
        for record in records:
            body, begin = encode_record(record)[:-1], self._root
            if isinstance(record, Episode):
                if record.origin is not None:
                    parent = origin_key(record.task.id, record.seed, record.origin)
                    known = seals.get(parent, self._seals.get(parent))
                    if known is None:
                        raise InvalidInput(
                            f"an episode cannot continue {named_cell(parent)}, which has no outcome yet."
                        )
                    begin = known
                if record.success is not None:
                    seals[episode_key(record)] = zlib.crc32(body, begin)
            seal = b"%08x" % zlib.crc32(body, begin)
            last = zlib.crc32(seal, last)
            lines.append(_line(body, seal, last))
        return lines

    def go_on(self, records: Sequence[Record], lines: Sequence[bytes]) -> None:
        """Goes on behind lines that `seal` made."""
        for record, line in zip(records, lines, strict=True):
            self._last = int(line[-11:-3], 16)
            self._learn(record, seal=line[-19:-11])

    def relink(self, record: Record, line: "SealedLine") -> bytes:
        """Returns a sealed line, with its end, as the next one, and goes on behind it."""
        self._last = zlib.crc32(line.seal, self._last)
        self.learn(record, line)
        return _line(line.body, line.seal, self._last)

    def split(self, line: bytes, *, where: str) -> SealedLine:
        """Reads a line, without its end.

        Raises:
            InvalidInput: It was changed, or is of a version that this one does not know.
        """
        body, check = line[:-_LENGTH], _CHECK.fullmatch(line[-_LENGTH:])
        if check is None:
            raise _changed(where)
        try:
            return SealedLine(body, check[1], check[2], parse_line(line, where=where))
        except InvalidInput:
            if self._sealed_by(check[1], body, self._root):
                raise
            raise _changed(where) from None

    def require_whole(self, line: SealedLine, *, where: str) -> None:
        """Refuses a line that is not what was written.

        Where the parent is unknown nobody can tell, unless the line follows: then the parent's name was changed.

        Raises:
            InvalidInput: Its seal differs.
        """
        whole = self.is_whole(line)
        if whole is False or (whole is None and self.follows(line)):
            raise _changed(where)

    def is_whole(self, line: SealedLine) -> bool | None:
        """Whether a line is what was written; None where the episode that it continues is not known."""
        parent = line.parsed.parent
        begin = self._root if parent is None else self._seals.get(parent)
        return None if begin is None else self._sealed_by(line.seal, line.body, begin)

    def follows(self, line: SealedLine) -> bool:
        """Whether the line was written right after the last one."""
        return self._sealed_by(line.link, line.seal, self._last)

    def take(self, record: Record, line: SealedLine) -> None:
        """Goes on behind a line, and lets others continue its episode."""
        self.pass_over(line)
        self.learn(record, line)

    def pass_over(self, line: SealedLine) -> None:
        """Goes on behind a line."""
        self._last = int(line.link, 16)

    def learn(self, record: Record, line: SealedLine) -> None:
        """Lets others continue an episode."""
        self._learn(record, seal=line.seal)

    def _learn(self, record: Record, *, seal: bytes) -> None:
        if isinstance(record, Episode) and record.success is not None:
            self._seals[episode_key(record)] = int(seal, 16)

    @staticmethod
    def _sealed_by(check: bytes, text: bytes, begin: int) -> bool:
        return check == b"%08x" % zlib.crc32(text, begin)


def named_cell(key: EpisodeKey) -> str:
    """A cell for a message."""
    return f"task '{shown(key[0])}', seed {key[1]}, arm '{shown(key[2])}'"


def _line(body: bytes, seal: bytes, link: int) -> bytes:
    return b'%b%b%b%08x"}\n' % (body, _KEY, seal, link)


def _changed(where: str) -> InvalidInput:
    return InvalidInput(f"{where}: it is not what was written (its checksum differs).{REMEDY}")
