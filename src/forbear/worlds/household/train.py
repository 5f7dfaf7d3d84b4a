"""Trains the shipped players and critics from generated households: `python -m forbear.worlds.household.train`.

With a folder it makes the first player and its critic there, `agent.npz` and `critic.npz`; with a folder and the name
of a player (`players.PLAYERS`) that player and the critic that the bench asks about it, `NAME.npz` and
`NAME-critic.npz`.

The same command gives the same bytes on one platform: fixed seeds and orders, double precision, sums in one thread.

Four sets of households are used, each from its own seed of the generator, and they never meet: the player's
demonstrations; rollouts of the player, on which the critic learns; others, on which its scores are calibrated, step by
step; and others, on which both are measured. Pilots use none of these seeds.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from forbear.contracts.draw import Draw
from forbear.critics.estimates import CriticReport
from forbear.critics.logistic import LogisticCritic, LogisticWeights
from forbear.learned.ranker import Choices
from forbear.records.model import Step, Trajectory
from forbear.worlds import rollouts as common
from forbear.worlds.household.agent import HouseholdWeights, RankerAgent, describe
from forbear.worlds.household.critic import HouseholdFeatures
from forbear.worlds.household.demonstrations import demonstrate
from forbear.worlds.household.engine import Household
from forbear.worlds.household.environment import task_of
from forbear.worlds.household.features import remember
from forbear.worlds.household.games import Game
from forbear.worlds.household.generator import generate
from forbear.worlds.household.players import HEED, Recipe, recipe_of
from forbear.worlds.household.seeds import SEEDS
from forbear.worlds.rollouts import Rollout, measured, written


def train_agent(recipe: Recipe) -> HouseholdWeights:
    """Clones a player from demonstrations on generated households."""
    return clone(recipe, generate(seed=SEEDS["demonstrations"], count=recipe.demonstrations))


def clone(recipe: Recipe, games: Iterable[Game]) -> HouseholdWeights:
    """Fits the conditional logit to demonstrations on these games, by penalised maximum likelihood."""
    choices = Choices()
    for shown in demonstrate(
        games,
        seed=SEEDS["demonstrations"],
        slip=recipe.slip,
        told=recipe.told,
        steps=recipe.demonstration_steps,
        manner=recipe.manner,
    ):
        choices.add(describe(remember(shown.seen), shown.seen.steps, shown.legal), taken=shown.played)
    return HouseholdWeights(table=choices.fit(l2=recipe.agent_l2, iterations=recipe.agent_iterations))


def roll_out(agent: RankerAgent, *, seed: int, count: int, steps: int) -> list[Rollout]:
    """Lets the player play the first `count` households of a seed, alone."""
    return [play(agent, game, steps=steps) for game in generate(seed=seed, count=count)]


def play(agent: RankerAgent, game: Game, *, steps: int, seed: int = 0) -> Rollout:
    """Lets the player play a game, alone; another seed is another draw."""
    house, task = Household(game), task_of(game)
    text, done = house.reset(), list[Step]()
    while not house.won and len(done) < steps:
        number = len(done)
        legal = tuple(house.legal_actions())
        seen = Trajectory(task=task, steps=(*done, Step(index=number, observation=text, legal_actions=legal)))
        action = agent.choose(seen, draw=Draw(task_id=task.id, seed=seed, role="agent", step_index=number))
        done.append(Step(index=number, observation=text, executed=action))
        text = house.step(action.text)
    return Rollout(trajectory=Trajectory(task=task, steps=tuple(done)), success=house.won)


def train_critic(recipe: Recipe, agent: RankerAgent) -> LogisticWeights:
    """Fits the critic on one set of rollouts and calibrates it on another."""
    weights = fit_critic(recipe, roll_out(agent, seed=SEEDS["critic"], count=recipe.critic_tasks, steps=recipe.steps))
    return common.calibrate_critic(
        weights,
        roll_out(agent, seed=SEEDS["calibration"], count=recipe.calibration_tasks, steps=recipe.steps),
        features=HouseholdFeatures(),
        calibration=recipe.calibration,
        steps=recipe.steps,
    )


def fit_critic(recipe: Recipe, rollouts: Sequence[Rollout]) -> LogisticWeights:
    """Fits a critic to the steps of these rollouts; it is not calibrated."""
    return common.fit_critic(rollouts, features=HouseholdFeatures(), l2=recipe.critic_l2)


def raw_scores(weights: LogisticWeights, rollouts: Sequence[Rollout]) -> tuple[list[bool], list[float], list[int]]:
    """What an uncalibrated critic says of each step: whether its run failed, the log-odds, the step's index."""
    return common.raw_scores(weights, rollouts, features=HouseholdFeatures())


def measure(recipe: Recipe, agent: RankerAgent, weights: LogisticWeights) -> tuple[float, CriticReport]:
    """Returns the player's success and the critic's report on households that neither has met."""
    rollouts = roll_out(agent, seed=SEEDS["evaluation"], count=recipe.evaluation_tasks, steps=recipe.steps)
    return measured(rollouts, LogisticCritic(weights, features=HouseholdFeatures()))


def main(folder: Path, player: str | None = None) -> None:
    """Trains, writes the weights into the folder and prints what was measured as JSON.

    Raises:
        InvalidInput: No player of this name comes with forbear.
    """
    recipe = Recipe() if player is None else recipe_of(player)
    folder.mkdir(parents=True, exist_ok=True)
    learned = train_agent(recipe)
    # The first player has one file, whichever critic is trained on it.
    (folder / ("agent.npz" if player in (None, HEED) else f"{player}.npz")).write_bytes(learned.to_bytes())
    agent = RankerAgent(learned, temperature=recipe.temperature)
    weights = train_critic(recipe, agent)
    (folder / ("critic.npz" if player is None else f"{player}-critic.npz")).write_bytes(weights.to_bytes())
    success, report = measure(recipe, agent, weights)
    result = {
        "player": player or HEED,
        "agent_sha256": learned.sha256(),
        "critic_sha256": weights.sha256(),
        "success": success,
        "tasks": report.tasks,
        "steps": report.steps,
        "critic": written(report.overall),
        "critic_by_step": {steps: written(row) for steps, row in report.by_bucket.items()},
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("weights"), *sys.argv[2:3])
