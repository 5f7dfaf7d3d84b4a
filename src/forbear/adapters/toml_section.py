"""TOML read table by table: every key is known or refused, and every error names its key and line."""

import dataclasses
import difflib
import json
import re
import tomllib
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from forbear.errors import InvalidInput
from forbear.files import read_bounded
from forbear.wording import described, shown

T = TypeVar("T")
Key = tuple[str | int, ...]

_MOST_PARTS = 100
"""Of a dotted key."""
_LINE = 300
"""Characters of a line in which its key is looked for."""

_KINDS: Mapping[Any, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
    object: "a value",
}


def option_kinds(made: type, *, skip: Collection[str] = ()) -> dict[str, Any]:
    """Reads the options of a dataclass from its fields.

    Args:
        made: The dataclass.
        skip: Fields that are no options.

    Returns:
        By the name of each field that its constructor takes: what TOML holds for it (`str`, `int`, `float`, `bool`,
        `list`, `dict`), or `object` where its type does not say.
    """
    try:
        hints = typing.get_type_hints(made)
    except Exception:  # names that exist for a type checker only, in somebody else's module
        hints = {}
    return {f.name: _kind(hints.get(f.name)) for f in dataclasses.fields(made) if f.init and f.name not in skip}


def _kind(hint: Any) -> Any:
    if hint in (str, int, float, bool):
        return hint
    origin = typing.get_origin(hint) or hint
    if origin is Literal:
        return _common(type(value) for value in typing.get_args(hint))
    if origin in (typing.Union, types.UnionType):
        return _common(_kind(each) for each in typing.get_args(hint) if each is not types.NoneType)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict
    if isinstance(origin, type) and issubclass(origin, Sequence | AbstractSet) and not issubclass(origin, bytes):
        return list
    return object


def _common(kinds: Iterable[Any]) -> Any:
    found = set(kinds)
    if found == {int, float}:
        return float
    return found.pop() if len(found) == 1 else object


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something made elsewhere, as named in a file: equal parts are given the same name and options."""

    kind: str
    use: str
    options: str
    """As JSON, so that equal options are equal."""
    place: str = field(compare=False)
    """File, line and key, for messages."""
    options_place: str = field(default="", compare=False)
    """The same of its options, where they stand by themselves."""


class Section:
    """A table of the file that knows where it stands and which keys it may have."""

    def __init__(self, table: Mapping[str, Any], *, name: str, lines: Mapping[Key, int], at: Key = ()) -> None:
        """Wraps one table.

        Args:
            table: As `tomllib` gives it.
            name: The file's name, printable.
            lines: The line of each table and key, where known.
            at: Keys that lead from the top of the file to this table.
        """
        self.table, self.name, self.lines, self.at = table, name, lines, at
        self.known: set[str] = set()

    @classmethod
    def of_file(cls, path: Path, *, limit: int) -> "Section":
        """Reads the top of a file.

        Raises:
            InvalidInput: Larger than `limit` bytes, or not TOML.
            OSError: It cannot be read.
        """
        name = shown(path.name)
        try:
            text = read_bounded(path, limit=limit).decode("utf-8-sig")
            _require_shallow(text)
            content = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a number of thousands of digits
            raise InvalidInput(f"{name}: not TOML: {shown(str(error), limit=150)}.") from None
        return cls(content, name=name, lines=_line_numbers(text))

    def place(self, *key: str) -> str:
        """File, line and key, as errors begin; without keys the table itself."""
        path = (*self.at, *key)
        line = self.lines.get(path) or self.lines.get(self.at)
        label = ".".join(shown(part) for part in path if isinstance(part, str))
        return (f"{self.name}, line {line}" if line else self.name) + (f": {label}" if label else "")

    def error(self, *key: str, message: str) -> InvalidInput:
        """What is wrong, with its place."""
        return InvalidInput(f"{self.place(*key)}: {message}{'' if message.endswith('?') else '.'}")

    def guard(self, *key: str, make: Callable[[], T]) -> T:
        """Makes something; what it says against its options is said with the place of the key."""
        try:
            return make()
        except InvalidInput as error:
            if str(error).startswith(self.name):
                raise
            raise self.error(*key, message=str(error).rstrip(".")) from None
        except TypeError as error:
            raise self.error(*key, message=shown(str(error), limit=150)) from error

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """One value, of this kind; without a default it has to be there."""
        self.known.add(key)
        value = self.table.get(key, default)
        if value is None:
            raise self.error(message=f"'{key}' is missing; it is {_KINDS[kind]}")
        fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not fits or (kind in (int, float, str) and isinstance(value, bool)):
            raise self.error(key, message=f"expected {_KINDS[kind]}, got {described(value, limit=60)}")
        return value  # type: ignore[no-any-return]

    def count(self, key: str, *, default: int, least: int) -> int:
        """A whole number of at least `least`."""
        value = self.take(key, int, default)
        if value < least:
            raise self.error(key, message=f"expected a whole number of at least {least}, got {value}")
        return value

    def take_all(self, kinds: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the keys that are there; all of them are known from now on."""
        self.known |= kinds.keys()
        return {key: self.take(key, kind) for key, kind in kinds.items() if key in self.table}

    def part(self, kind: str, *, optional: bool = False) -> Part | None:
        """`kind = "name"`, or `[kind]` with `use = "name"` and a table of `options`."""
        if optional and kind not in self.table:
            return None
        if not isinstance(self.table.get(kind), dict):
            return Part(kind=kind, use=self.take(kind, str), options="{}", place=self.place(kind))
        section = self.section(kind)
        use, options = section.take("use", str), section.take("options", dict, {})
        section.close()
        as_json = json.dumps(options, sort_keys=True, default=str)
        return Part(kind=kind, use=use, options=as_json, place=self.place(kind), options_place=section.place("options"))

    def section(self, key: str, *, optional: bool = False) -> "Section":
        """The table of this key; an empty one where it is optional and missing."""
        if not optional and key not in self.table:
            raise self.error(message=f"the table [{key}] is missing")
        return Section(self.take(key, dict, {}), name=self.name, lines=self.lines, at=(*self.at, key))

    def sections(self, key: str) -> list["Section"]:
        """The tables `[[key]]`, in order."""
        tables = self.take(key, list, [])
        if not all(isinstance(table, dict) for table in tables):
            raise self.error(key, message=f"expected tables [[{key}]]")
        return [
            Section(table, name=self.name, lines=self.lines, at=(*self.at, key, i)) for i, table in enumerate(tables)
        ]

    def close(self) -> None:
        """Refuses a key that nobody has asked for."""
        for key in self.table:
            if key not in self.known:
                known = f"; known here: {', '.join(sorted(self.known))}"
                raise self.error(key, message=f"unknown key '{shown(key)}'{nearest(key, self.known) or known}")


def nearest(name: str, known: Iterable[str]) -> str:
    """What may have been meant, as the end of a message; empty where nothing is near."""
    near = difflib.get_close_matches(name[:80], list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _require_shallow(text: str) -> None:
    """Refuses keys of very many parts: what `tomllib` takes for them grows with their square."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.partition("=")[0].count(".") > _MOST_PARTS and (line.lstrip()[:1] == "[" or "=" in line):
            raise ValueError(f"a key of more than {_MOST_PARTS} parts (at line {number})")


def _line_numbers(text: str) -> dict[Key, int]:
    """Where tables and keys begin; good for messages, no parser."""
    lines: dict[Key, int] = {}
    at: Key = ()
    count: dict[Key, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        line = line[:_LINE]  # patterns that try every length of a run of blanks
        if header := re.match(r"\s*(\[\[?)\s*([\w.\"' -]+?)\s*\]", line):
            at = tuple(part.strip(" \"'") for part in header[2].split("."))
            if header[1] == "[[":
                count[at] = count.get(at, -1) + 1
                at = (*at, count[at])
            elif (outer := at[:1]) in count:  # [arm.critic] belongs to the [[arm]] before it
                at = (*outer, count[outer], *at[1:])
            lines.setdefault(at, number)
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            lines.setdefault((*at, *(part.strip("\"'") for part in key[1].split("."))), number)
    return lines
