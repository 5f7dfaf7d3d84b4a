"""Trains players and critics from real games: `python -m forbear.worlds.household.real_train GAMES FOLDER [PLAYER...]`.

GAMES is a compact file, or a folder in the original layout (`real_games.py`): of a split that nobody judges on. A
player is made as the shipped one of that name is (`players.py`), from demonstrations of the same searching expert on
these games; so is its critic. The same command gives the same bytes on one platform.

A critic that learned from games on which its player was cloned would meet it too strong. So the games are dealt into
`FOLDS` parts, by kind of task and room; a player cloned without a part plays that part, and the critic learns from all
those runs. Its temperature is fitted to what critics that learned without a part say of that part, and the rates of the
blind arms come from a pilot on the first part, of the player and the critic that learned without it. What is kept in
the end learned from all of them. The card beside the weights names the games by their content, so that nobody is judged
on them.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from forbear.critics.calibration import fit_temperature
from forbear.critics.logistic import LogisticCritic, LogisticWeights
from forbear.critics.measures import auroc
from forbear.errors import InvalidInput
from forbear.runner.benchmark import BLIND, blind_rates, chosen_arms, full_plan, study_arms
from forbear.worlds.household.agent import HouseholdWeights, RankerAgent
from forbear.worlds.household.environment import HouseholdEnvironment, task_of
from forbear.worlds.household.games import Game
from forbear.worlds.household.players import Recipe, recipe_of
from forbear.worlds.household.real_games import chosen_games, real_games
from forbear.worlds.household.real_players import SHIPPED, RealPlayer, critic_of, fingerprint
from forbear.worlds.household.train import clone, fit_critic, play, raw_scores
from forbear.worlds.rollouts import Rollout

FOLDS = 4
_MOST_GAMES = 4_000
"""The public training split has 3,553."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A player that was made, and how good it and its critic were on parts that they had not learned from."""

    player: RealPlayer
    success: float
    auroc: float | None


def train_real(games: Sequence[Game], name: str, *, recipe: Recipe | None = None) -> Training:
    """Makes a player and its critic.

    Args:
        games: To learn from, at least two kinds of task and room in each part.
        name: One of `players.PLAYERS`.
        recipe: Another one than that player's.

    Raises:
        InvalidInput: No such player, or too few games to deal out.
    """
    made_of = recipe or recipe_of(name)
    parts = dealt(games)
    runs, without = list[list[Rollout]](), list[RankerAgent]()
    draws = max(1, round(made_of.critic_tasks / len(games)))
    for part in parts:
        held_out = {game.id for game in part}
        agent = _player(made_of, _cloned(made_of, [game for game in games if game.id not in held_out]))
        without.append(agent)
        runs.append([play(agent, game, steps=made_of.steps, seed=seed) for game in part for seed in range(draws)])
    blind_to = [
        fit_critic(made_of, [run for other in range(FOLDS) if other != part for run in runs[other]])
        for part in range(FOLDS)
    ]
    said = [raw_scores(weights, part) for weights, part in zip(blind_to, runs, strict=True)]
    fails, logits = ([value for part in said for value in part[which]] for which in (0, 1))
    temperature = fit_temperature(fails, logits)
    every = [run for part in runs for run in part]
    return Training(
        player=RealPlayer(
            name=name,
            agent=_cloned(made_of, games),
            critic=replace(fit_critic(made_of, every), temperature=temperature),
            games=frozenset(map(fingerprint, games)),
            rates=_rates(made_of, parts[0], without[0], replace(blind_to[0], temperature=temperature)),
        ),
        success=sum(run.success for run in every) / len(every),
        auroc=auroc(fails, 1 / (1 + np.exp(-np.array(logits) / temperature))),
    )


def dealt(games: Sequence[Game]) -> list[list[Game]]:
    """The games in parts; trials of the same task in the same room are in the same part.

    Raises:
        InvalidInput: A part would be empty.
    """
    parts = [list[Game]() for _ in range(FOLDS)]
    for game in games:
        parts[hashlib.sha256(game.id.partition("/")[0].encode()).digest()[0] % FOLDS].append(game)
    if not all(parts):
        raise InvalidInput(f"{len(games)} games are too few to learn from; give it some dozens, better hundreds.")
    return parts


def _cloned(recipe: Recipe, games: Sequence[Game]) -> HouseholdWeights:
    """As many demonstrations as the recipe says: games come again, with other slips, where there are fewer."""
    return clone(recipe, islice(cycle(games), recipe.demonstrations))


def _player(recipe: Recipe, weights: HouseholdWeights) -> RankerAgent:
    return RankerAgent(weights, temperature=recipe.temperature)


def _rates(
    recipe: Recipe, games: Sequence[Game], agent: RankerAgent, weights: LogisticWeights
) -> dict[str, tuple[float, ...]]:
    critic: LogisticCritic = critic_of(weights, name="critic")
    arms = chosen_arms(study_arms(critic, uncalibrated=critic, rates={}), list(BLIND.values()))
    plan = full_plan(
        [task_of(game) for game in games],
        agent=lambda: agent,
        environment=lambda: HouseholdEnvironment(games),
        arms=arms,
        # Half as many episodes an arm as a critic's temperature of a generated household's player is fitted on.
        seeds=max(1, round(recipe.calibration_tasks / 2 / len(games))),
        steps=recipe.steps,
    )
    return {arm: tuple(round(rate, 3) for rate in rates) for arm, rates in blind_rates(plan).items()}


def main(source: Path, folder: Path, names: Sequence[str]) -> None:
    """Trains, writes, and prints what was made as JSON.

    Raises:
        InvalidInput: No such player, or games that cannot be read.
    """
    found = real_games(source, split="train")
    games = chosen_games(found, _MOST_GAMES)
    for name in names or SHIPPED:
        made = train_real(games, name)
        made.player.write(folder)
        result = {
            "player": name,
            "games": len(games),
            "agent_sha256": made.player.agent.sha256(),
            "critic_sha256": made.player.critic.sha256(),
            "critic_temperature": made.player.critic.temperature,
            "success_on_held_out_parts": made.success,
            "auroc_on_held_out_parts": made.auroc,
        }
        sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python -m forbear.worlds.household.real_train GAMES FOLDER [PLAYER...]")
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
