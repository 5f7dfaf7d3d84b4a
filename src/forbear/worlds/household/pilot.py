"""The factories that pilot files name: `household:generated` for tasks, `household` for the other parts."""

from dataclasses import replace
from functools import lru_cache
from importlib import resources

from forbear.critics.logistic import LogisticCritic, LogisticWeights
from forbear.records.model import Task
from forbear.worlds.generated import Generated, require_unused
from forbear.worlds.household.agent import RankerAgent, shipped_weights
from forbear.worlds.household.critic import HouseholdFeatures
from forbear.worlds.household.environment import HouseholdEnvironment, task_of
from forbear.worlds.household.games import Game
from forbear.worlds.household.generator import generate
from forbear.worlds.household.players import HEED, recipe_of
from forbear.worlds.household.seeds import SEEDS


def generated_tasks(n: int = 200, seed: int = 7) -> list[Task]:
    """Makes tasks; a longer list starts with a shorter one, and the six families take turns.

    Args:
        n: How many, at least 1.
        seed: Any whole number but those that the shipped agent and critic learned from.

    Raises:
        InvalidInput: n below 1, or one of those seeds.
    """
    require_unused(seed, used=SEEDS, n=n, of="households")
    return [task_of(game) for game in generate(seed=seed, count=n)]


class GeneratedHouseholds(Generated[Game]):
    """All generated games by their ids."""

    of = "households"

    def made(self, seed: int, index: int) -> Game:
        """Makes one."""
        return _game(seed, index)


@lru_cache(maxsize=512)
def _game(seed: int, index: int) -> Game:
    # Arms and seeds of a pilot come back to the same games, and making one takes longer than playing it.
    return next(generate(seed=seed, count=1, start=index))


def agent(*, player: str = HEED, temperature: float | None = None) -> RankerAgent:
    """Makes a player that comes with forbear.

    Args:
        player: Which (`players.PLAYERS`).
        temperature: A higher one makes it more erratic; None: its own.

    Raises:
        InvalidInput: No such player, or unless 0.01 ≤ temperature ≤ 100.
    """
    own = recipe_of(player).temperature
    return RankerAgent(shipped_weights(player), temperature=own if temperature is None else temperature)


def environment() -> HouseholdEnvironment:
    """Makes an environment that plays any generated household; it has no options."""
    return HouseholdEnvironment(GeneratedHouseholds())


def critic(*, player: str | None = None, calibrated: bool = True) -> LogisticCritic:
    """Makes a critic that was trained on a player at its own temperature and 20 steps.

    Args:
        player: One of `players.PLAYERS`: the critic of that player in `forbear bench household`, lightly penalised.
            None: the shipped critic, of the first player.
        calibrated: Whether its calibration is applied, which was fitted on other episodes; within a step the order of
            its scores is the same either way.

    Raises:
        InvalidInput: No such player.
    """
    weights = critic_weights(player)
    if not calibrated:
        weights = replace(weights, temperature=1.0, by_step=None)
    name = "household-logistic" if player is None else f"{player}-critic"
    return LogisticCritic(weights, features=HouseholdFeatures(), name=name if calibrated else f"{name}-uncalibrated")


@lru_cache(maxsize=8)
def critic_weights(player: str | None = None) -> LogisticWeights:
    """The weights of a critic that comes with the package; None: of the shipped one.

    Raises:
        InvalidInput: No player of this name comes with forbear.
    """
    if player is not None:
        recipe_of(player)
    name = "critic.npz" if player is None else f"{player}-critic.npz"
    with resources.as_file(resources.files("forbear.worlds.household") / "weights" / name) as path:
        return LogisticWeights.load(path)
