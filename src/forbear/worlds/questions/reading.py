"""Files of questions: HotPotQA's in both layouts in circulation, SQuAD-like ones, GAIA's, and lines of one's own.

One reader for all of them: a file is a JSON list, SQuAD's nested object, or JSON lines, plain or compressed by gzip,
and each question says by its fields which layout it is of (docs/questions.md).
"""

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from forbear.errors import InvalidInput
from forbear.files import limit_of, read_bounded, too_large
from forbear.wording import described, shown
from forbear.worlds.questions.gaia import from_gaia
from forbear.worlds.questions.question import Paragraph, Question

LIMIT = 256 << 20
"""Bytes of a file, unpacked; `forbear.files.LIMIT` in the environment says otherwise."""
MAX_TEXT = 1 << 19
"""Characters of a question with its paragraphs: an observation holds twice as many."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_MEND = "expected a JSON list, SQuAD's object with 'data', or one question a line, with 'question' and 'answer'"


def read_questions(path: str | Path) -> Mapping[str, Question]:
    """Reads a whole file, again only where its size or time of change differ: its questions by id, in their order.

    Raises:
        InvalidInput: Unreadable, too large, not UTF-8 or not JSON, or a question is malformed, named by its line (in a
            JSON list by its number).
    """
    path = Path(path)
    try:
        status = path.stat()
        return _read(path.absolute(), status.st_size, status.st_mtime_ns)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InvalidInput(f"cannot read '{shown(str(path), limit=80)}': {reason}. Give a file of questions.") from None


@lru_cache(maxsize=8)
def _read(path: Path, size: int, changed_ns: int) -> Mapping[str, Question]:
    name = shown(path.name)
    return parse_questions(_unpacked(read_bounded(path, limit=LIMIT, name=name), name), name=name)


def _unpacked(data: bytes | bytearray, name: str) -> bytes | bytearray:
    if not data.startswith(b"\x1f\x8b"):
        return data
    most = limit_of(LIMIT)
    found, rest = bytearray(), bytes(data)
    try:
        while rest:  # a file of gzip is one or several of them
            unpacking = zlib.decompressobj(wbits=31)
            found += unpacking.decompress(rest, most + 1 - len(found))
            if len(found) > most:
                raise too_large(name, LIMIT)
            if not unpacking.eof:
                raise InvalidInput(f"{name} is compressed by gzip and ends too early; copy it again.")
            rest = unpacking.unused_data
    except zlib.error as error:
        raise InvalidInput(f"{name} cannot be unpacked ({shown(str(error))}); copy it again.") from None
    return found


def parse_questions(data: bytes | bytearray, *, name: str) -> Mapping[str, Question]:
    """Reads the content of a file: its questions by id, in their order; `name` is for messages.

    Raises:
        InvalidInput: As `read_questions`.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{name}, line {line}: not UTF-8; save it as UTF-8.") from None
    found: dict[str, Question] = {}
    places: dict[str, str] = {}
    files = 0
    for place, given in _records(text, name):
        record = from_gaia(given, place)
        if record is None:
            files += 1
            continue
        question = _question(record, place=place, number=len(found) + 1)
        if question.id in found:
            raise InvalidInput(
                f"{place}: the id {described(question.id)} stands at {places[question.id]} already; ids are of one "
                "question each."
            )
        found[question.id], places[question.id] = question, place.removeprefix(f"{name}, ")
    if not found and files:
        raise InvalidInput(f"{name}: all of its questions come with a file, which this world cannot show.")
    if not found:
        raise InvalidInput(f"{name} holds no question; {_MEND}.")
    return MappingProxyType(found)


def _records(text: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each question as it stands, with its place."""
    if text.lstrip().startswith("["):
        for number, record in enumerate(_json(text, name), start=1):
            yield f"{name}, question {number}", _object(record, f"{name}, question {number}")
        return
    lines = text.split("\n")
    filled = [number for number, line in enumerate(lines, start=1) if line.strip()]
    if filled and not _is_whole(lines[filled[0] - 1]):
        yield from _nested(_json(text, name), name)  # an object over several lines
        return
    for number in filled:
        place = f"{name}, line {number}"
        record = _object(_json(lines[number - 1], name, line=number), place)
        if isinstance(record.get("data"), list) and "question" not in record:
            yield from _nested(record, name)
        else:
            yield place, record


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return not line.rstrip().endswith(("{", "[", ","))  # cut off within an object, else malformed
    return True


def _json(text: str, name: str, *, line: int = 0) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{name}, line {line or error.lineno}"
        raise InvalidInput(f"{where}: not JSON ({shown(error.msg)}); {_MEND}.") from None
    except (ValueError, RecursionError) as error:
        where = f"{name}, line {line}" if line else name
        raise InvalidInput(f"{where}: not usable JSON ({shown(str(error))}); {_MEND}.") from None


def _nested(record: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """SQuAD's questions, which stand below their paragraphs, below their articles."""
    articles = _object(record, name).get("data")
    if not isinstance(articles, list):
        raise InvalidInput(f"{name}: an object without a list 'data'; {_MEND}.")
    number = 0
    for article in articles:
        article = _object(article, f"{name}, an article after question {number}")
        for paragraph in _list(article, "paragraphs", f"{name}, an article after question {number}"):
            paragraph = _object(paragraph, f"{name}, a paragraph after question {number}")
            for asked in _list(paragraph, "qas", f"{name}, a paragraph after question {number}"):
                number += 1
                place = f"{name}, question {number}"
                shared = {"context": paragraph.get("context"), "title": article.get("title")}
                yield place, {**shared, "cluster": article.get("title"), **_object(asked, place)}


def _question(record: Mapping[str, Any], *, place: str, number: int) -> Question:
    text = record.get("question")
    if not isinstance(text, str) or not text.strip():
        raise InvalidInput(f"{place}: expected text in 'question', got {described(text)}.")
    own = record.get("_id", record.get("id"))
    if own is not None and not (isinstance(own, str | int) and str(own)):
        raise InvalidInput(f"{place}: expected text in 'id', got {described(own)}.")
    question = Question(
        id=f"q{number}" if own is None else str(own),
        text=text.strip(),
        answers=_answers(record, place),
        context=_context(record, place),
        choices=_texts(record.get("choices") or (), "choices", place),
        kind=_optional(record, "kind", place) or _optional(record, "type", place),
        cluster=_optional(record, "cluster", place),
    )
    size = len(text) + sum(len(one.title) + len(one.text) for one in question.context) + sum(map(len, question.choices))
    if size > MAX_TEXT:
        raise InvalidInput(f"{place}: {size:,} characters with its paragraphs, expected at most {MAX_TEXT:,}.")
    if len(set(question.choices)) < len(question.choices):
        raise InvalidInput(f"{place}: a choice stands twice in {described(list(question.choices))}.")
    return question


def _answers(record: Mapping[str, Any], place: str) -> tuple[str, ...]:
    """All that are accepted, each once: `answer` and `aliases`, or SQuAD's `answers`."""
    given = record.get("answer", record.get("answers"))
    if isinstance(given, Mapping):  # a table: {"text": [...], "answer_start": [...]}
        given = given.get("text")
    if isinstance(given, str):
        given = [given]
    if isinstance(given, list):
        given = [one.get("text") if isinstance(one, Mapping) else one for one in given]
    if given == [] and record.get("is_impossible") is True:
        given = ["noanswer"]
    answers = _texts(given, "answer", place) + _texts(record.get("aliases") or (), "aliases", place)
    if not answers:
        raise InvalidInput(f"{place}: no answer; expected text in 'answer', or a list of texts in 'answers'.")
    return tuple(dict.fromkeys(answers))


def _context(record: Mapping[str, Any], place: str) -> tuple[Paragraph, ...]:
    given = record.get("context")
    if given is None:
        return ()
    if isinstance(given, str):
        return (Paragraph(_optional(record, "title", place) or "", tuple(_SENTENCE.split(given.strip()))),)
    if isinstance(given, Mapping):  # Hugging Face's layout, a table
        titles, sentences = given.get("title"), given.get("sentences")
        if not (isinstance(titles, list) and isinstance(sentences, list) and len(titles) == len(sentences)):
            raise InvalidInput(f"{place}: expected as many lists in 'sentences' of 'context' as there are titles.")
        given = [list(pair) for pair in zip(titles, sentences, strict=True)]
    if not isinstance(given, list):
        raise InvalidInput(f"{place}: expected text or paragraphs in 'context', got {described(given)}.")
    return tuple(_paragraph(one, place) for one in given)


def _paragraph(given: Any, place: str) -> Paragraph:
    if isinstance(given, str):
        return Paragraph("", tuple(_SENTENCE.split(given.strip())))
    if isinstance(given, list) and len(given) == 2 and isinstance(given[0], str):
        return Paragraph(given[0], _texts(given[1], "context", place))
    raise InvalidInput(f"{place}: expected [title, [sentences]] or text in 'context', got {described(given)}.")


def _texts(given: Any, field: str, place: str) -> tuple[str, ...]:
    if isinstance(given, Sequence) and not isinstance(given, str) and all(isinstance(one, str) for one in given):
        return tuple(given)
    raise InvalidInput(f"{place}: expected a list of texts in '{field}', got {described(given)}.")


def _optional(record: Mapping[str, Any], field: str, place: str) -> str | None:
    given = record.get(field)
    if given is None or isinstance(given, str):
        return given or None
    raise InvalidInput(f"{place}: expected text in '{field}', got {described(given)}.")


def _list(record: Mapping[str, Any], field: str, place: str) -> list[Any]:
    given = record.get(field)
    if not isinstance(given, list):
        raise InvalidInput(f"{place}: expected a list in '{field}', got {described(given)}.")
    return given


def _object(record: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(record, dict):
        raise InvalidInput(f"{place}: expected a JSON object, got {described(record)}; {_MEND}.")
    return record
