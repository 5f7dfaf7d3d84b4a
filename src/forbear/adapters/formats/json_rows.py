"""Outcomes in JSON: an object a line, an array of them, or one document with outcomes by id, or by arm and id."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias

from forbear.adapters.formats.json_text import DECODER, JsonText, Value
from forbear.adapters.formats.outcome_words import OutcomeWords
from forbear.adapters.formats.reading import Reading
from forbear.adapters.formats.rows import AT_ONCE, BLANKS, Batch
from forbear.adapters.formats.source import Source
from forbear.adapters.formats.tabular_columns import GUESSES, OPTIONS, folded
from forbear.errors import InvalidInput
from forbear.wording import listed, shown

Record: TypeAlias = dict[str, object]
Records: TypeAlias = Iterator[tuple[int, Record]]

_MANY = 50
"""Fields of a record that are taken for columns; a hostile one may hold millions."""


_LOOKED_AT = 5000
"""Records whose fields are taken for columns: not every record need have each."""


class JsonRows:
    """Records of JSON as rows.

    Args:
        source: Their text.
        records: Gives them with their lines, as often as it is called.

    Raises:
        InvalidInput: There is none, or the first is none.
    """

    unit = "line"
    comma = False

    def __init__(self, source: Source, records: Callable[[], Records]) -> None:
        self.source, self._records = source, records
        self._first: list[tuple[int, Record]] = []
        wrong: InvalidInput | None = None
        names: dict[str, None] = {}
        try:
            for i, (line, record) in enumerate(islice(records(), _LOOKED_AT)):
                if i < AT_ONCE:
                    self._first.append((line, record))
                if len(names) < _MANY:
                    names.update(dict.fromkeys(islice(record, _MANY)))
        except InvalidInput as error:  # said when its turn comes, unless it is the first
            wrong = error
        if not self._first:
            raise wrong or InvalidInput(f"{source.name} holds no outcomes. Add one object per task and arm.")
        self.place = f"{source.name}, line {self._first[0][0]}"
        self.names: list[str] = list(names)

    def find(self, name: str) -> int:
        """Whether there is this field, or one at the end of this path, among the first records."""
        return int(name in self.names or any(_at(record, name) is not _ABSENT for _, record in self._first))

    def columns(self, names: Sequence[str], *, ids: Sequence[str], needed: Sequence[str]) -> Iterator[Batch]:
        """Columns of all rows."""
        lines: list[int] = []
        columns: list[list[str]] = [[] for _ in names]
        kinds = [(name, name in ids, name in needed) for name in names]
        wrong: InvalidInput | None = None
        self._first = []  # they are read again: a record may be as large as a line, and is not to be there twice
        records = self._records()
        while wrong is None:
            try:
                line, record = next(records)
                fields = [self._text(record, name, line, known, must) for name, known, must in kinds]
            except StopIteration:
                break
            except InvalidInput as error:
                wrong = error
                break
            lines.append(line)
            for column, field in zip(columns, fields, strict=True):
                column.append(field)
            if len(lines) == AT_ONCE:
                yield list(columns), lines
                lines, columns = [], [[] for _ in names]
        if lines:
            yield list(columns), lines
        if wrong is not None:
            raise wrong

    def _text(self, record: Record, name: str, line: int, is_id: bool, needed: bool) -> str:
        value = _at(record, name)
        if value is _ABSENT or (value is None and not (needed and is_id)):
            if needed and value is _ABSENT:
                raise InvalidInput(
                    f"{self.source.name}, line {line} has no field '{shown(name)}', which others have; it has "
                    f"{listed(record)}."
                )
            return ""
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                where = f"{self.source.name}, line {line}: '{shown(name)}'"
                raise InvalidInput(f"{where} holds half a character (a lone surrogate).") from None
            return value.strip(BLANKS)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if is_id:
            raise InvalidInput(
                f"{self.source.name}, line {line}: '{shown(name)}' is {shown(_as_json(value))}; expected text or a "
                "whole number."
            )
        return _as_json(value)


_ABSENT = object()


def _at(record: Record, name: str) -> object:
    """The field of this name, else the one at the end of the path `a.b`."""
    value = record.get(name, _ABSENT)
    if value is not _ABSENT or "." not in name:
        return value
    value = record
    for part in name.split("."):
        if isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
            continue
        if not isinstance(value, dict) or part not in value:
            return _ABSENT
        value = value[part]
    return value


def _as_json(value: object) -> str:
    try:
        return json.dumps(value)
    except RecursionError:  # what could just be read may be too deep to be written
        return f"a {type(value).__name__}"


# --- One object a line ------------------------------------------------------------------------------------


def json_lines(source: Source) -> Records:
    """The objects of JSONL."""
    number = 1
    for text in source.pieces():
        for raw in text.split("\n"):
            if raw and not raw.isspace():
                yield number, _object(raw, place=f"{source.name}, line {number}")
            number += 1
        number -= text.endswith("\n")  # what follows a piece's last line break is the next piece


def _object(raw: str, *, place: str) -> Record:
    try:
        value = DECODER.decode(raw)
    except json.JSONDecodeError as error:
        what = f"{error.msg} at character {error.pos + 1}"
    except (ValueError, RecursionError) as error:  # a key twice; a number of thousands of digits; nested too deeply
        what = str(error)
    else:
        if isinstance(value, dict):
            return value
        what = f"it is {shown(raw.strip())}"
    raise InvalidInput(
        f"{place} is not a JSON object ({shown(what, limit=100)}). Write one object per line, or one array of objects."
    )


# --- One document -----------------------------------------------------------------------------------------


def open_json(source: Source, reading: Reading) -> JsonRows:
    """Reads JSON of any of the shapes.

    Raises:
        InvalidInput: It is none, or cannot be told.
    """
    if not _is_document(source, reading):
        return JsonRows(source, lambda: json_lines(source))
    document = _Document(source, reading)
    return JsonRows(source, document.records())


def _is_document(source: Source, reading: Reading) -> bool:
    """Whether it is one value over all lines, rather than an object a line."""
    if source.data[source.start : source.start + 1] == b"[" or reading.records is not None:
        return True
    first = next((text for text in source.pieces() if not text.isspace()), "")
    line, end, rest = first.lstrip().partition("\n")
    if line.lstrip().startswith("["):
        return True
    try:
        record = DECODER.decode(line)
    except (ValueError, RecursionError):
        return bool(end) and not line.rstrip().endswith("}")
    only = not rest.strip() and sum(1 for _ in islice(source.pieces(), 2)) == 1
    if not only or not isinstance(record, dict):
        return False
    # A file of one line is a record where it says what a record says.
    names = {folded(name) for name in islice(record, _MANY)}
    usual = {folded(name) for role in ("task", "success") for name in GUESSES[role][0]}
    return not (usual & names)


class _Document:
    """Finds out where in a document the records are, from the kinds of its values."""

    def __init__(self, source: Source, reading: Reading) -> None:
        self.source, self.reading, self.json = source, reading, JsonText(source)
        self.words = OutcomeWords(reading)
        named = reading.columns.success
        names = [named] if isinstance(named, str) else list(named or ())
        self.outcome_names = {folded(name) for group in GUESSES["success"] for name in group}
        self.outcome_names |= {folded(name.partition(".")[0]) for name in names}

    def records(self) -> Callable[[], Records]:
        top = list(islice(self.json.top(), 2))
        if not top:
            raise InvalidInput(f"{self.source.name} is empty. Expected an array of objects.")
        if len(top) == 2:
            return self._each(self.json.top)
        value = top[0]
        for name in (self.reading.records or "").split("."):
            if name:
                value = self._child(value, name)
        return self._shape(value)

    def _child(self, value: Value, name: str) -> Value:
        inside = list(islice(self._entries(value), 1000)) if value.kind == "{" else []
        found = next((each for each in inside if each.key == name), None)
        if found is None:
            raise InvalidInput(
                f"{self.source.name} has no '{shown(name)}' where --records says; there are "
                f"{listed([each.key or '' for each in inside]) or 'no names'}."
            )
        return found

    def _entries(self, value: Value) -> Iterator[Value]:
        return self.json.inside(value)

    def _shape(self, value: Value) -> Callable[[], Records]:
        """The records in a value, by what it holds."""
        if value.kind == "[":
            first = next(self._entries(value), None)
            if first is not None and first.kind not in ("{", "["):
                return self._scalars(value)
            return self._each(lambda: self._entries(value))
        if value.kind != "{":
            raise self._cannot_tell(value, f"it is {shown(_slice(self.source, value))}")
        inside = list(islice(self._entries(value), AT_ONCE))
        kinds = {each.kind for each in inside}
        if kinds == {"{"}:
            return self._named_objects(value, inside)
        if inside and not kinds & {"{", "["}:
            return self._by_id(value)
        lists = [each for each in inside if each.kind == "[" and self._holds_objects(each)]
        if len(lists) == len(inside) > 1 and any(folded(each.key or "") == "baseline" for each in inside):
            return self._lists_by_arm(value)
        if len(lists) == 1:
            return self._each(lambda: self._entries(lists[0]))
        raise self._cannot_tell(value, f"it has {listed([each.key or '' for each in inside])}")

    def _holds_objects(self, value: Value) -> bool:
        first = next(self._entries(value), None)
        return first is not None and first.kind == "{"

    def _cannot_tell(self, value: Value, what: str) -> InvalidInput:
        return InvalidInput(
            f"{self.source.name}, line {self.json.line(value.start)}: where the outcomes are cannot be told: {what}. "
            "Name their place in the document: --records NAME (or a path, NAME.NAME)."
        )

    def _named_objects(self, value: Value, inside: Sequence[Value]) -> Callable[[], Records]:
        """`{id: {"resolved": true}}`, `{arm: {id: true}}` or `{arm: {id: {"resolved": true}}}`."""
        first = next((each for each in inside if next(self._entries(each), None) is not None), None)
        if first is None:
            raise self._cannot_tell(value, "its objects are empty")
        fields = list(islice(self._entries(first), _MANY))
        if any(folded(field.key or "") in self.outcome_names for field in fields):
            return self._objects_by_id(value)
        if all(field.kind == "{" for field in fields):
            return self._objects_by_arm(value)
        if not any(field.kind in "{[" for field in fields):
            wrong = [error for field in fields if (error := self._no_outcome(field)) is not None]
            if not wrong:
                return self._by_arm_and_id(value)
            if 2 * len(wrong) <= len(fields):  # most of them are outcomes, so the others are meant as such
                raise wrong[0]
        raise InvalidInput(
            f"{self.source.name}, line {self.json.line(first.start)}: which field of '{shown(first.key or '')}' is the "
            f"outcome cannot be told; it has {listed([field.key or '' for field in fields])}. Name it: "
            f"{OPTIONS['success']} NAME."
        )

    def _no_outcome(self, value: Value) -> InvalidInput | None:
        """What is said of a value that is no outcome; None of one that is."""
        loaded = self.json.load(value)
        text = loaded.strip() if isinstance(loaded, str) else _as_json(loaded)
        place = f"{self.source.name}, line {self.json.line(value.start)}"
        try:
            (self.words.score if self.reading.scored else self.words.code)(text, place=place, column=value.key or "")
        except InvalidInput as error:
            return error
        return None

    def _each(self, values: Callable[[], Iterator[Value]]) -> Callable[[], Records]:
        def records() -> Records:
            for value in values():
                yield self.json.line(value.start), self._record(value)

        return records

    def _record(self, value: Value) -> Record:
        record = self.json.load(value)
        if not isinstance(record, dict):
            raise InvalidInput(
                f"{self.source.name}, line {self.json.line(value.start)} is not a JSON object "
                f"(it is {shown(_as_json(record))}). Expected objects, one per task and arm."
            )
        return record

    def _scalars(self, value: Value) -> Callable[[], Records]:
        def records() -> Records:
            for each in self._entries(value):
                yield self.json.line(each.start), {"success": self.json.load(each)}

        return records

    def _by_id(self, value: Value) -> Callable[[], Records]:
        def records() -> Records:
            for each in self._entries(value):
                yield self.json.line(each.start), {"task_id": each.key, "success": self.json.load(each)}

        return records

    def _objects_by_id(self, value: Value) -> Callable[[], Records]:
        def records() -> Records:
            for each in self._entries(value):
                yield self.json.line(each.start), _named("task_id", each.key, self._record(each))

        return records

    def _by_arm_and_id(self, value: Value) -> Callable[[], Records]:
        def records() -> Records:
            for arm in self._entries(value):
                for each in self._entries(arm):
                    yield (
                        self.json.line(each.start),
                        {"task_id": each.key, "arm": arm.key, "success": self.json.load(each)},
                    )

        return records

    def _objects_by_arm(self, value: Value) -> Callable[[], Records]:
        def records() -> Records:
            for arm in self._entries(value):
                for each in self._entries(arm):
                    record = _named("task_id", each.key, self._record(each))
                    yield self.json.line(each.start), _named("arm", arm.key, record)

        return records

    def _lists_by_arm(self, value: Value) -> Callable[[], Records]:
        def records() -> Records:
            for arm in self._entries(value):
                for each in self._entries(arm):
                    yield self.json.line(each.start), _named("arm", arm.key, self._record(each))

        return records


def _named(column: str, key: str | None, record: Record) -> Record:
    """A record with the name that it has in the document; as `key` where it has such a field of its own."""
    return {("key" if column in record else column): key, **record}


def _slice(source: Source, value: Value) -> str:
    return bytes(source.data[value.start : min(value.end, value.start + 100)]).decode("utf-8", "replace")
