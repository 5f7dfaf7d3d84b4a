"""Files of real games, one JSON object a line, gzip-compressed, with the common domain and grammar beside them.

Layout of a line: `id, split, task_type, task, solvable, walkthrough, pddl_problem`. The engine implements one domain
and one grammar; a file beside which others lie would be played by the wrong rules and is refused.
"""

import gzip
import hashlib
import itertools
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from forbear.errors import InvalidInput
from forbear.files import read_bounded
from forbear.wording import described
from forbear.worlds.household.pddl import Problem, read_problem

MAX_LINE = 4_000_000
"""Bytes of one game; real ones have up to 100 thousand."""
MAX_WALKTHROUGH = 1_000
_MAX_LINES = 1_000_000
"""Of a file, blank ones included; what is read of one game is thrown away before the next."""
_MAX_RULES = 1 << 20

RULES = {
    "alfred_domain.pddl": "66bf521ae2b713e64de69a7e0d60d2b6f200c41f8104067b1778264d3ad00da6",
    "alfred_grammar.twl2": "48e1b7efc1da9cdc2c5fa6ee20056dc68b817a2680d3ba64a18b2422fcba5c8c",
}
"""sha256 of the files whose rules and texts the engine implements, after removing all white space."""

_ID = re.compile(rb'"id"\s*:\s*"([^"\\]{1,200})"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """One household with a task in it."""

    id: str
    family: str
    """The kind of task, e.g. "pick_heat_then_place_in_recep"; the stratum of a pilot."""
    task: str
    """The sentence shown to the player, e.g. "Your task is to: put some mug in desk."."""
    problem: Problem
    walkthrough: tuple[str, ...] = ()
    """Commands that win, found by a planner that sees everything; empty if none is known."""
    solvable: bool | None = None
    """None: nobody has checked."""
    split: str | None = None


def read_games(path: Path) -> Iterator[Game]:
    """Reads a compact file, a game at a time.

    Args:
        path: `*.jsonl.gz` (or plain `*.jsonl`), with `alfred_domain.pddl` and `alfred_grammar.twl2` in its folder.

    Raises:
        InvalidInput: A file is missing, unreadable or holds other rules; or a game is malformed, named by its id.
    """
    if not path.is_file():
        raise InvalidInput(f"there is no file {described(str(path), limit=200)}: give a compact file of games.")
    check_rules(path.parent)
    seen: set[str] = set()
    for number, line in _lines(path):
        game = parse_game(line, where=f"{path.name}, line {number}")
        if game.id in seen:
            raise InvalidInput(f"game {described(game.id, limit=200)}: the id appears twice in {path.name}.")
        seen.add(game.id)
        yield game


def check_rules(folder: Path) -> None:
    """Refuses a folder whose domain and grammar are absent or are not the ones that the engine implements."""
    for name, expected in RULES.items():
        try:
            text = read_bounded(folder / name, limit=_MAX_RULES).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"cannot read {name} in the folder of the games ({_reason(error)}); it must lie beside them."
            ) from error
        if digest(text) != expected:
            raise InvalidInput(
                f"{name} is not the file whose rules this engine implements (json_2.1.1); take the one of that release."
            )


def digest(text: str) -> str:
    """The sha256 of the text without its white space, so that line ends and indentation do not matter."""
    return hashlib.sha256("".join(text.split()).encode()).hexdigest()


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            yield from enumerate(_bounded(cast(BinaryIO, file), name=path.name), start=1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(f"cannot read {path.name}: {_reason(error)}.") from error


def _bounded(file: BinaryIO, *, name: str) -> Iterator[bytes]:
    for number in itertools.count(1):
        line = file.readline(MAX_LINE + 1)
        if not line:
            return
        if number > _MAX_LINES:
            raise InvalidInput(f"{name}: more than {_MAX_LINES:,} lines, expected one game a line.")
        if len(line) > MAX_LINE:
            raise InvalidInput(f"{_named(line, where=name)}: longer than {MAX_LINE:,} bytes, expected one game a line.")
        if line.strip():
            yield line


def _reason(error: Exception) -> str:
    return described(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _named(line: bytes, *, where: str) -> str:
    found = _ID.search(line[:2_000])
    return f"game {described(found.group(1).decode(errors='replace'), limit=200)}" if found else where


def parse_game(line: bytes | str, *, where: str) -> Game:
    """Reads one line; `where` names it in the error if its id cannot be read."""
    raw = line.encode() if isinstance(line, str) else line
    name = _named(raw, where=where)
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name}: not JSON ({described(str(error))}).") from error
    if not isinstance(data, dict):
        raise InvalidInput(f"{name}: expected a JSON object, got {type(data).__name__}.")
    for field in ("id", "task_type", "task", "pddl_problem"):
        if not isinstance(data.get(field), str) or not data[field].strip():
            raise InvalidInput(f"{name}: expected text in {field!r}, got {described(data.get(field))}.")
    walkthrough = data.get("walkthrough") or []
    if not isinstance(walkthrough, list) or not all(isinstance(command, str) for command in walkthrough):
        raise InvalidInput(f"{name}: expected a list of commands in 'walkthrough', got {described(walkthrough)}.")
    if len(walkthrough) > MAX_WALKTHROUGH:
        raise InvalidInput(f"{name}: {len(walkthrough):,} commands in 'walkthrough', expected <= {MAX_WALKTHROUGH:,}.")
    try:
        problem = read_problem(data["pddl_problem"])
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from error
    solvable, split = data.get("solvable"), data.get("split")
    return Game(
        id=data["id"],
        family=data["task_type"],
        task=data["task"],
        problem=problem,
        walkthrough=tuple(walkthrough),
        solvable=solvable if isinstance(solvable, bool) else None,
        split=split if isinstance(split, str) else None,
    )
