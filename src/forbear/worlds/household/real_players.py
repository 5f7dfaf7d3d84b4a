"""Players and critics that learned from real ALFWorld games: those that come with forbear, and those of a folder.

`python -m forbear.worlds.household.real_train` makes them: of each, `NAME.npz`, `NAME-critic.npz` and a card,
`NAME.json`, that says which games it learned from.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from forbear.critics.logistic import LogisticCritic, LogisticWeights
from forbear.errors import InvalidInput
from forbear.files import read_bounded, write_whole
from forbear.wording import described, shown
from forbear.worlds.household.agent import HouseholdWeights, RankerAgent
from forbear.worlds.household.critic import HouseholdFeatures
from forbear.worlds.household.games import Game
from forbear.worlds.household.pddl import write_problem
from forbear.worlds.household.players import recipe_of

FORMAT = "forbear-alfworld-player-1"
SHIPPED = ("heed", "restarter", "doubter")
"""Those that come with forbear; each was shown what the household's player of this name was, on real games."""
_MAX_CARD = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RealPlayer:
    """A player, its critic, and what they learned from."""

    name: str
    agent: HouseholdWeights
    critic: LogisticWeights
    games: frozenset[str]
    """Fingerprints of the games that either learned from."""
    rates: Mapping[str, Sequence[float]]
    """By arm, how often its blind control is to act at each step."""

    def write(self, folder: Path) -> None:
        """Writes the three files."""
        folder.mkdir(parents=True, exist_ok=True)
        card = {
            "format": FORMAT,
            "name": self.name,
            "agent_sha256": self.agent.sha256(),
            "critic_sha256": self.critic.sha256(),
            "rates": {arm: list(rates) for arm, rates in self.rates.items()},
            "games": sorted(self.games),
        }
        write_whole(folder / f"{self.name}.npz", self.agent.to_bytes())
        write_whole(folder / f"{self.name}-critic.npz", self.critic.to_bytes())
        write_whole(folder / f"{self.name}.json", (json.dumps(card, indent=1) + "\n").encode())

    def require_unseen(self, games: Iterable[Game]) -> None:
        """Refuses games that it learned from.

        Raises:
            InvalidInput: There is one; they are compared by what is in them, whatever they are called.
        """
        met = [game.id for game in games if fingerprint(game) in self.games]
        if met:
            raise InvalidInput(
                f"the retrained '{shown(self.name)}' learned from {len(met)} of these games, e.g. "
                f"{described(met[0], limit=100)}: judge it on another split, or leave it out (--agents)."
            )


def fingerprint(game: Game) -> str:
    """What tells a game from others, in 16 hexadecimal digits: room, things and goal, not its name or its sentence."""
    return hashlib.sha256(write_problem(game.problem, name="game").encode()).hexdigest()[:16]


def load_player(name: str, *, folder: Path | None = None) -> RealPlayer:
    """Reads one from a folder, or of those that come with forbear.

    Raises:
        InvalidInput: There is none of this name, or a file is damaged.
    """
    if folder is not None:
        return _read(folder.absolute(), name)
    if name not in SHIPPED:
        raise InvalidInput(f"players that learned from real games are {', '.join(SHIPPED)}, got {described(name)}.")
    with resources.as_file(resources.files("forbear.worlds.household") / "weights" / "alfworld") as path:
        return _read(path, name)


def names_in(folder: Path | None) -> tuple[str, ...]:
    """The players of a folder, or those that come with forbear."""
    if folder is None:
        return SHIPPED
    found = tuple(sorted(path.stem for path in folder.glob("*.json")))
    if not found:
        raise InvalidInput(
            f"{shown(str(folder), limit=200)} has no player: python -m forbear.worlds.household.real_train GAMES "
            f"{shown(str(folder), limit=200)} makes some."
        )
    return found


def _are_rates(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, int | float) and 0 <= one <= 1 for one in value)


@lru_cache(maxsize=16)
def _read(folder: Path, name: str) -> RealPlayer:
    recipe_of(name)
    path = folder / f"{name}.json"
    try:
        card: Any = json.loads(read_bounded(path, limit=_MAX_CARD))
    except OSError as error:
        raise InvalidInput(f"{shown(str(path), limit=200)}: cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        card = None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise InvalidInput(f"{shown(path.name)}: expected the card of a player ({FORMAT}); train it again.")
    games, rates = card.get("games"), card.get("rates")
    # Without its games nobody could refuse to judge it on them.
    if not (isinstance(games, list) and games and isinstance(rates, dict) and all(map(_are_rates, rates.values()))):
        raise InvalidInput(
            f"{shown(path.name)} does not say which games it learned from, or its rates; train it again."
        )
    made = RealPlayer(
        name=name,
        agent=HouseholdWeights.load(folder / f"{name}.npz"),
        critic=LogisticWeights.load(folder / f"{name}-critic.npz"),
        games=frozenset(map(str, games)),
        rates={str(arm): tuple(map(float, each)) for arm, each in rates.items()},
    )
    if (made.agent.sha256(), made.critic.sha256()) != (card.get("agent_sha256"), card.get("critic_sha256")):
        raise InvalidInput(f"{shown(path.name)} is not the card of the weights beside it; train both again.")
    return made


def real_agent(player: str = SHIPPED[0], path: str | Path | None = None) -> RankerAgent:
    """Makes a player that learned from real games. Ask `require_unseen` before it is judged.

    Args:
        player: Which.
        path: The folder that it lies in; None: one that comes with forbear.

    Raises:
        InvalidInput: There is none of this name, or a file is damaged.
    """
    found = load_player(player, folder=None if path is None else Path(path))
    return RankerAgent(found.agent, temperature=recipe_of(player).temperature)


def real_critic(player: str = SHIPPED[0], path: str | Path | None = None, calibrated: bool = True) -> LogisticCritic:
    """Makes the critic of such a player; the options are those of `real_agent`.

    Raises:
        InvalidInput: There is none of this name, or a file is damaged.
    """
    found = load_player(player, folder=None if path is None else Path(path))
    return critic_of(found.critic, name=f"{player}-retrained-critic", calibrated=calibrated)


def critic_of(weights: LogisticWeights, *, name: str, calibrated: bool = True) -> LogisticCritic:
    """A critic of these weights; uncalibrated it has another name and no temperature."""
    if calibrated:
        return LogisticCritic(weights, features=HouseholdFeatures(), name=name)
    raw = replace(weights, temperature=1.0, by_step=None)
    return LogisticCritic(raw, features=HouseholdFeatures(), name=f"{name}-uncalibrated")
