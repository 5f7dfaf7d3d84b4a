"""Plays the walkthroughs of a file of games: do the rules still lead to the goal?"""

from collections.abc import Iterable
from dataclasses import dataclass

from forbear.worlds.household.engine import Household
from forbear.worlds.household.games import Game


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """How many walkthroughs reach their goal."""

    games: int
    won: int
    failed: tuple[str, ...]
    """The ids of the games whose walkthrough has an illegal command or ends without the goal, in the file's order."""

    def to_dict(self) -> dict[str, int | list[str]]:
        """As JSON."""
        return {"games": self.games, "won": self.won, "failed": list(self.failed)}


def verify(games: Iterable[Game]) -> Verification:
    """Plays every walkthrough to its end; a game without one fails."""
    count, failed = 0, []
    for game in games:
        count += 1
        house = Household(game)
        legal = all(command in house.legal_actions() and house.step(command) for command in game.walkthrough)
        if not (legal and house.won):
            failed.append(game.id)
    return Verification(games=count, won=count - len(failed), failed=tuple(failed))
