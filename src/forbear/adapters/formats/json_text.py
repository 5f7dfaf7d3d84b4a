"""The values of a JSON text, found without building what they hold: one value at a time is in memory."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from forbear.adapters.formats.source import Source, longest
from forbear.errors import InvalidInput
from forbear.wording import shown

_SPACE = re.compile(rb"[ \t\r\n]*+")
# Possessive: a string of 200 MB leaves nothing to come back to.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|"', re.DOTALL)
_SCALAR = re.compile(rb'[^\s,\]\[{}":]++')
_OPEN, _CLOSE = b"{[", b"}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value in a JSON text: bytes `start` to `end` of its source."""

    key: str | None
    """In an object, its name."""
    start: int
    end: int
    kind: str
    """The character that it begins with: `{`, `[`, `"`, or another of a number or a word."""


class JsonText:
    """A text that should be JSON."""

    def __init__(self, source: Source) -> None:
        self.source, self._data = source, source.data
        self._line, self._counted = 1, source.start

    def line(self, at: int) -> int:
        """The line on which a byte lies; cheap where it is asked for from the start to the end."""
        if at < self._counted:
            self._line, self._counted = 1, self.source.start
        self._line += self._data.count(b"\n", self._counted, at)
        self._counted = at
        return self._line

    def top(self) -> Iterator[Value]:
        """The values of the text, one after the other: a document has one."""
        at = self._space(self.source.start)
        while at < len(self._data):
            value = self._value(at, key=None)
            yield value
            at = self._space(value.end)

    def inside(self, value: Value) -> Iterator[Value]:
        """The values in an array or an object.

        Raises:
            InvalidInput: It is not well-formed, or holds a key twice in a row; with its line.
        """
        keyed, at = value.kind == "{", self._space(value.start + 1)
        close = value.end - 1
        while at < close:
            key = None
            if keyed:
                name = _STRING.match(self._data, at, close)
                if name is None or name.end() - at > 1 << 16:
                    raise self.wrong(at, "expected a name in quotes")
                key = self.load(Value(key=None, start=at, end=name.end(), kind='"'))
                at = self._space(name.end())
                if self._data[at : at + 1] != b":":
                    raise self.wrong(at, "expected a colon")
                at = self._space(at + 1)
            inner = self._value(at, key=key if isinstance(key, str) else None)
            yield inner
            at = self._space(inner.end)
            if at >= close:
                return
            if self._data[at : at + 1] != b",":
                raise self.wrong(at, "expected a comma")
            at = self._space(at + 1)
            if at >= close:
                raise self.wrong(at, "expected a value behind the comma")

    def load(self, value: Value) -> object:
        """What a value holds.

        Raises:
            InvalidInput: It is not JSON, holds a key twice, or is longer than a record may be; with its line.
        """
        if value.end - value.start > longest():
            raise self.source.too_long(self.line(value.start))
        try:
            return DECODER.decode(str(memoryview(self._data)[value.start : value.end], "utf-8"))
        except json.JSONDecodeError as error:
            what = error.msg
        except (ValueError, RecursionError) as error:  # a key twice; a number of thousands of digits; nested too deeply
            what = str(error)
        raise self.wrong(value.start, what)

    def wrong(self, at: int, what: str) -> InvalidInput:
        """What is said of a text that is no JSON."""
        return InvalidInput(
            f"{self.source.name}, line {self.line(min(at, len(self._data)))}: not JSON ({shown(what, limit=100)}). "
            "Write one object per line, or one array of objects."
        )

    def _space(self, at: int) -> int:
        found = _SPACE.match(self._data, at)
        return at if found is None else found.end()

    def _value(self, at: int, *, key: str | None) -> Value:
        kind = self._data[at : at + 1]
        if kind and kind in _OPEN:
            end = self._closed(at)
        else:
            found = (_STRING if kind == b'"' else _SCALAR).match(self._data, at)
            if found is None:
                raise self.wrong(at, "unterminated string" if kind == b'"' else "expected a value")
            end = found.end()
        return Value(key=key, start=at, end=end, kind=kind.decode("latin-1"))

    def _closed(self, at: int) -> int:
        """Where the array or object that begins there ends."""
        open_: bytearray = bytearray()
        for mark in _MARK.finditer(self._data, at):
            first = self._data[mark.start()]
            if first in _OPEN:
                open_.append(first + 2)  # in ASCII the closing one is two further
            elif first in _CLOSE:
                if open_[-1] != first:
                    raise self.wrong(mark.start(), f"'{chr(first)}' closes what was not opened")
                open_.pop()
                if not open_:
                    return mark.end()
            elif mark.end() - mark.start() == 1:
                raise self.wrong(mark.start(), "unterminated string")
        raise self.wrong(at, "it ends before what is opened here is closed")


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON, in which no key stands twice."""
    record = dict(pairs)
    if len(record) < len(pairs):
        raise ValueError("a key stands there twice")
    return record


DECODER = json.JSONDecoder(object_pairs_hook=unique)
