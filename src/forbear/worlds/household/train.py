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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from forbear.contracts.draw import Draw
from forbear.critics.calibration import fit_step_lines, fit_temperature
from forbear.critics.estimates import CriticReport, Judgements, evaluate_critic
from forbear.critics.logistic import Features, LogisticCritic, LogisticWeights, train_logistic
from forbear.learned.hashing import bucket
from forbear.learned.optimiser import minimise
from forbear.records.model import Action, Step, Trajectory
from forbear.stats.intervals import Estimate, EstimateJson
from forbear.worlds.household.agent import BUCKETS, Choice, RankerAgent, RankerWeights, describe
from forbear.worlds.household.critic import HouseholdFeatures
from forbear.worlds.household.demonstrations import demonstrate
from forbear.worlds.household.engine import Household
from forbear.worlds.household.environment import task_of
from forbear.worlds.household.features import remember
from forbear.worlds.household.games import Game
from forbear.worlds.household.generator import generate
from forbear.worlds.household.players import HEED, Recipe, recipe_of
from forbear.worlds.household.seeds import SEEDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One episode of the player on its own."""

    trajectory: Trajectory
    success: bool


def train_agent(recipe: Recipe) -> RankerWeights:
    """Clones a player from demonstrations on generated households."""
    return clone(recipe, generate(seed=SEEDS["demonstrations"], count=recipe.demonstrations))


def clone(recipe: Recipe, games: Iterable[Game]) -> RankerWeights:
    """Fits the conditional logit to demonstrations on these games, by penalised maximum likelihood."""
    rows: dict[Choice, int] = {}
    candidates, starts, played = list[int](), [0], list[int]()
    for shown in demonstrate(
        games,
        seed=SEEDS["demonstrations"],
        slip=recipe.slip,
        told=recipe.told,
        steps=recipe.demonstration_steps,
        manner=recipe.manner,
    ):
        played.append(len(candidates) + shown.played)
        choices = describe(remember(shown.seen), shown.seen.steps, shown.legal)
        candidates += [rows.setdefault(choice, len(rows)) for choice in choices]
        starts.append(len(candidates))
    features = _table(list(rows))
    features_t = csr_array(features.T)
    row, start, target = np.array(candidates), np.array(starts[:-1]), np.array(played)
    sizes = np.diff(starts)

    def objective(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        score = (features @ weights)[row]
        score = score - np.repeat(np.maximum.reduceat(score, start), sizes)
        power = np.exp(score)
        total = np.add.reduceat(power, start)
        loss = np.add.reduce(np.log(total) - score[target])
        slope = power / np.repeat(total, sizes)
        slope[target] -= 1.0
        by_row = np.bincount(row, weights=slope, minlength=features.shape[0])
        penalty = 0.5 * recipe.agent_l2 * np.add.reduce(weights * weights)
        return float(loss + penalty), features_t @ by_row + recipe.agent_l2 * weights

    weights = minimise(objective, np.zeros(BUCKETS), iterations=recipe.agent_iterations, tolerance=1e-3)
    # Rounded as they are stored, so that what is measured is what is shipped; what rounds to nothing is left out.
    weights[np.abs(weights) < 0.02] = 0.0
    return RankerWeights(table=weights.astype(np.float16).astype(np.float64))


def _table(choices: Sequence[Choice]) -> csr_array:
    starts, columns = [0], list[int]()
    for choice in choices:
        columns += [bucket(name) & (BUCKETS - 1) for name in choice.names()]
        starts.append(len(columns))
    table = csr_array((np.ones(len(columns)), columns, starts), shape=(len(choices), BUCKETS))
    table.sum_duplicates()
    return table


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


def judged(rollouts: Sequence[Rollout]) -> Iterator[tuple[Rollout, Trajectory, Action]]:
    """Yields each step of each rollout as a critic meets it."""
    for rollout in rollouts:
        steps = rollout.trajectory.steps
        for index, step in enumerate(steps):
            assert step.executed is not None
            opened = Step(index=index, observation=step.observation)
            yield rollout, Trajectory(task=rollout.trajectory.task, steps=(*steps[:index], opened)), step.executed


def train_critic(recipe: Recipe, agent: RankerAgent) -> LogisticWeights:
    """Fits the critic on one set of rollouts and calibrates it on another."""
    weights = fit_critic(recipe, roll_out(agent, seed=SEEDS["critic"], count=recipe.critic_tasks, steps=recipe.steps))
    others = roll_out(agent, seed=SEEDS["calibration"], count=recipe.calibration_tasks, steps=recipe.steps)
    fails, logits, steps = raw_scores(weights, others)
    if recipe.calibration == "temperature":
        return replace(weights, temperature=fit_temperature(fails, logits))
    return replace(weights, by_step=fit_step_lines(fails, logits, steps, last=recipe.steps - 1))


def fit_critic(recipe: Recipe, rollouts: Sequence[Rollout]) -> LogisticWeights:
    """Fits a critic to the steps of these rollouts; it is not calibrated."""
    read = HouseholdFeatures()
    rows, failed = list[Features](), list[bool]()
    for rollout, seen, proposed in judged(rollouts):
        rows.append(read(seen, proposed))
        failed.append(not rollout.success)
    return train_logistic(rows, failed, row_weights=[1.0] * len(rows), l2=recipe.critic_l2)


def raw_scores(weights: LogisticWeights, rollouts: Sequence[Rollout]) -> tuple[list[bool], list[float], list[int]]:
    """What an uncalibrated critic says of each step: whether its run failed, the log-odds, the step's index."""
    critic = LogisticCritic(weights, features=HouseholdFeatures())
    met = [
        (not rollout.success, critic.raw(seen, proposed), len(seen.steps) - 1)
        for rollout, seen, proposed in judged(rollouts)
    ]
    fails, logits, steps = zip(*met, strict=True)
    return list(fails), list(logits), list(steps)


def measure(recipe: Recipe, agent: RankerAgent, weights: LogisticWeights) -> tuple[float, CriticReport]:
    """Returns the player's success and the critic's report on households that neither has met."""
    rollouts = roll_out(agent, seed=SEEDS["evaluation"], count=recipe.evaluation_tasks, steps=recipe.steps)
    critic = LogisticCritic(weights, features=HouseholdFeatures())
    met = list(judged(rollouts))
    judgements = Judgements.of(
        failed=[not rollout.success for rollout, _, _ in met],
        p_fail=[1 / (1 + float(np.exp(-critic.logit(seen, proposed)))) for _, seen, proposed in met],
        tasks=[seen.task.id for _, seen, _ in met],
        steps=[len(seen.steps) - 1 for _, seen, _ in met],
    )
    success = sum(rollout.success for rollout in rollouts) / len(rollouts)
    return success, evaluate_critic(judgements, rng=np.random.default_rng(0))


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
        "critic": _written(report.overall),
        "critic_by_step": {steps: _written(row) for steps, row in report.by_bucket.items()},
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def _written(estimates: Mapping[str, Estimate | None]) -> dict[str, EstimateJson | None]:
    return {name: None if value is None else value.to_dict() for name, value in estimates.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("weights"), *sys.argv[2:3])
