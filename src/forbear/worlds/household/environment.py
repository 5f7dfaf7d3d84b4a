"""Households as forbear's runner plays them."""

import hashlib
from collections.abc import Iterable, Mapping

from forbear.contracts.draw import Draw
from forbear.contracts.environment import Observation
from forbear.errors import InvalidInput
from forbear.records.model import JSON, Action, Task
from forbear.wording import described
from forbear.worlds.household.engine import Household, Snapshot
from forbear.worlds.household.games import Game
from forbear.worlds.household.pddl import write_problem


def task_of(game: Game) -> Task:
    """The game as a task: its family is the stratum; the payload names its content and gives nothing of it away."""
    text = f"{game.task}\n{write_problem(game.problem, name='game')}"
    return Task(id=game.id, payload={"sha256": hashlib.sha256(text.encode()).hexdigest()}, stratum=game.family)


class HouseholdEnvironment:
    """Plays the games it was given, by id; the episode is over when the goal holds.

    It never gives up: an episode without success ends at the plan's limit of steps. Draws are not used.
    """

    replay_safe = True

    def __init__(self, games: Iterable[Game] | Mapping[str, Game]) -> None:
        """Keeps the games, or where to find them by id; each is prepared when its task comes."""
        self._games = games if isinstance(games, Mapping) else {game.id: game for game in games}
        self._house: Household | None = None

    async def reset(self, task: Task, *, draw: Draw) -> Observation:
        """Prepares the task's game and returns its first observation.

        Raises:
            InvalidInput: No game of that id, or another one than when the task was made; or it is malformed.
        """
        game = self._games.get(task.id)
        if game is None:
            raise InvalidInput(f"no household of the id {described(task.id)}; give the environment the tasks' games.")
        if task.payload != task_of(game).payload:
            raise InvalidInput(f"the household {described(task.id)} is not the one that the task was made from.")
        self._house = Household(game)
        return self._seen(self._house, self._house.intro)

    async def step(self, action: Action, *, draw: Draw) -> Observation:
        """Plays one command."""
        house = self._ready()
        return self._seen(house, house.step(action.text))

    def snapshot(self) -> Snapshot:
        """The state of the game being played."""
        return self._ready().snapshot()

    def restore(self, snapshot: object) -> None:
        """Goes to a state of the game being played."""
        if not isinstance(snapshot, Snapshot):
            raise InvalidInput(f"expected a snapshot of this game, got {described(snapshot)}.")
        self._ready().restore(snapshot)

    def config(self) -> Mapping[str, JSON]:
        """The rules; the games are in the tasks' payloads."""
        return {"name": "household", "rules": "alfworld json_2.1.1", "version": 1}

    def _ready(self) -> Household:
        if self._house is None:
            raise InvalidInput("the household has no task yet; call reset(task) first.")
        return self._house

    @staticmethod
    def _seen(house: Household, text: str) -> Observation:
        return Observation(
            text=text,
            done=house.won,
            success=True if house.won else None,
            legal_actions=tuple(house.legal_actions()),
        )
