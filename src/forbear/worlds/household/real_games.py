"""Real ALFWorld games, as their authors lay them out or in one compact file, and the tasks that pilots make of them.

The original layout: `json_2.1.1/SPLIT/TASK/TRIAL/game.tw-pddl`, a JSON object with pddl_domain, grammar, pddl_problem,
solvable and walkthrough, and `traj_data.json` beside it, whose task_type is the family. Each game carries the rules; a
game with others than the engine's is refused. As ALFWorld does (alfworld 0.4.2, `alfred_tw_env.py`), games of sliced
or movable things, and those that no plan solves, are left out.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.files import read_bounded
from forbear.records.model import Task
from forbear.wording import described, shown
from forbear.worlds.household.environment import HouseholdEnvironment, task_of
from forbear.worlds.household.games import MAX_LINE, RULES, Game, digest, parse_game, read_games

SPLIT = "valid_seen"
"""Judged on, where nothing is said."""
ORDER_SEED = 16
"""Which games a shorter list has."""
RELEASE = "json_2.1.1"
_GAME, _TRAJECTORY = "game.tw-pddl", "traj_data.json"
_MAX_TRAJECTORY = 16 << 20
_MAX_GAMES = 100_000
_TASK = re.compile(
    r'"task"\s{0,100}:\s{0,100}\[\s{0,100}\{\s{0,100}"rhs"\s{0,100}:\s{0,100}"((?:[^"\\\n]|\\.){1,400})"'
)
"""In a game's grammar, the sentence that the player is told."""


class OriginalGames(Mapping[str, Game]):
    """The games of one split in the original layout, by "TASK/TRIAL"; each is read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        """Lists the games below a folder.

        Raises:
            InvalidInput: There is none, or more than 100,000.
        """
        self._folder, self._split = folder, folder.name
        found = [path.parent for path in folder.glob(f"*/*/{_GAME}")]
        if not found or len(found) > _MAX_GAMES:
            raise InvalidInput(
                f"{shown(str(folder), limit=200)}: expected 1 to {_MAX_GAMES:,} games TASK/TRIAL/{_GAME} below it, got "
                f"{len(found):,}."
            )
        self._ids = sorted(f"{trial.parent.name}/{trial.name}" for trial in found if _is_played(trial))
        self._known = frozenset(self._ids)

    def __getitem__(self, key: str) -> Game:
        """Reads one game; KeyError where there is none of this id.

        Raises:
            InvalidInput: It is malformed, or has other rules.
        """
        if key not in self._known:
            raise KeyError(key)
        return _read(self._folder / key, id=key, split=self._split)

    def __iter__(self) -> Iterator[str]:
        """The ids, in alphabetical order."""
        return iter(self._ids)

    def __len__(self) -> int:
        """How many."""
        return len(self._ids)


def _is_played(trial: Path) -> bool:
    return not any(word in f"{trial.parent.name}/{trial.name}" for word in ("movable", "Sliced"))


def _read(trial: Path, *, id: str, split: str) -> Game:
    name = f"game {described(id, limit=200)}"
    data = _json(trial / _GAME, limit=MAX_LINE, name=name)
    texts = {field: data.get(field) for field in ("pddl_domain", "grammar", "pddl_problem")}
    wrong = [field for field, text in texts.items() if not isinstance(text, str)]
    if wrong:
        raise InvalidInput(f"{name}: expected text in {wrong[0]!r}, got {described(texts[wrong[0]])}.")
    grammar = str(texts["grammar"])
    told = _TASK.search(grammar)
    if told is None:
        raise InvalidInput(f'{name}: its grammar has no sentence under "task".')
    rules = {
        "alfred_domain.pddl": str(texts["pddl_domain"]),
        "alfred_grammar.twl2": f"{grammar[: told.start(1)]}@@TASK@@{grammar[told.end(1) :]}",
    }
    for what, text in rules.items():
        if digest(text) != RULES[what]:
            part = "pddl_domain" if what.endswith(".pddl") else "grammar"
            raise InvalidInput(
                f"{name}: its {part} is not the one that this engine implements ({RELEASE}); take the games of that "
                "release."
            )
    line = {
        "id": id,
        "split": split,
        "task_type": _family(trial, name=name),
        "task": told[1],
        "solvable": data.get("solvable"),
        "walkthrough": data.get("walkthrough"),
        "pddl_problem": texts["pddl_problem"],
    }
    return parse_game(json.dumps(line), where=name)


def _family(trial: Path, *, name: str) -> Any:
    """The kind of task; where there is no file that says it, the folder's name begins with it."""
    path = trial / _TRAJECTORY
    if not path.exists():
        return trial.parent.name.partition("-")[0]
    return _json(path, limit=_MAX_TRAJECTORY, name=f"{name}, {_TRAJECTORY}").get("task_type")


def _json(path: Path, *, limit: int, name: str) -> dict[str, Any]:
    try:
        data = json.loads(read_bounded(path, limit=limit))
    except OSError as error:
        raise InvalidInput(f"{name}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{name}: not JSON ({described(str(error))}).") from None
    if not isinstance(data, dict):
        raise InvalidInput(f"{name}: expected a JSON object, got {type(data).__name__}.")
    return data


def real_games(path: Path | None = None, *, split: str = SPLIT) -> Mapping[str, Game]:
    """Finds games; the same ones again are not read again.

    Args:
        path: A compact file (`games.read_games`), the folder of a split, or a folder that has `json_2.1.1` in it; None:
            what the environment variable ALFWORLD_DATA names.
        split: Which split of such a folder.

    Raises:
        InvalidInput: Nothing is there, or it is malformed.
    """
    if path is None:
        named = os.environ.get("ALFWORLD_DATA")
        if not named:
            raise InvalidInput(
                "there are no games: set ALFWORLD_DATA to where alfworld-download has put them, or give a compact file "
                "of games."
            )
        path = Path(named)
    return _opened(path.absolute(), split)


@lru_cache(maxsize=4)
def _opened(path: Path, split: str) -> Mapping[str, Game]:
    if path.is_dir():
        inside = [path / RELEASE / split, path / split]
        return OriginalGames(next((folder for folder in inside if folder.is_dir()), path))
    games = {game.id: game for game in read_games(path)}
    if not games:
        raise InvalidInput(f"{shown(path.name, limit=200)} has no game.")
    return games


def chosen_games(games: Mapping[str, Game], n: int | None = None) -> list[Game]:
    """The first `n` games that can be won, or all, in a random order: a longer list starts with a shorter one.

    Raises:
        InvalidInput: n below 1, or a game is malformed.
    """
    if n is not None and n < 1:
        raise InvalidInput(f"a pilot needs at least 1 task, got n = {n}.")

    def place(id: str) -> int:
        return Draw(task_id=id, seed=ORDER_SEED, role="alfworld").integer()

    chosen = list[Game]()
    for id in sorted(games, key=place):
        if len(chosen) == n:
            break
        if (game := games[id]).solvable is not False:
            chosen.append(game)
    return chosen


def real_tasks(path: str | Path | None = None, split: str = SPLIT, n: int | None = None) -> list[Task]:
    """Makes tasks of real games, for `[tasks] source = "alfworld:games"` of a pilot's file.

    Args:
        path: As `real_games`; in a pilot's file, relative to that. The environment needs the same.
        split: Likewise.
        n: How many at most; None: all that can be won.

    Raises:
        InvalidInput: The games cannot be read, or n is below 1.
    """
    return [task_of(game) for game in chosen_games(_games(path, split), n)]


def real_environment(path: str | Path | None = None, split: str = SPLIT) -> HouseholdEnvironment:
    """Makes an environment that plays these games; see `real_tasks`.

    Raises:
        InvalidInput: The games cannot be read.
    """
    return HouseholdEnvironment(_games(path, split))


def _games(path: str | Path | None, split: str) -> Mapping[str, Game]:
    return real_games(None if path is None else Path(path), split=split)
