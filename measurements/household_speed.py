"""How fast the household is, on one core, in seconds of this process: `python measurements/household_speed.py`.

The rows of the world are the best of five runs: other processes can only slow a run down. Agent and critic are timed
once, on situations that they have not met before.
"""

import json
import time
from collections.abc import Callable, Sequence

import numpy as np

from forbear.contracts.draw import Draw
from forbear.records.model import Action, Trajectory
from forbear.worlds.household.agent import RankerAgent, RankerWeights, shipped_weights
from forbear.worlds.household.engine import Household
from forbear.worlds.household.generator import generate
from forbear.worlds.household.pilot import critic
from forbear.worlds.household.players import HEED, PLAYERS
from forbear.worlds.household.real_players import SHIPPED, load_player
from forbear.worlds.household.train import roll_out
from forbear.worlds.rollouts import Rollout, judged

GAMES = list(generate(seed=21, count=60))
HOUSES = [Household(game) for game in GAMES]


def best(run: Callable[[], int], *, repeats: int = 5) -> float:
    """Units per second of processor time."""
    rates = []
    for _ in range(repeats):
        start = time.process_time()
        units = run()
        rates.append(units / (time.process_time() - start))
    return max(rates)


def random_walks() -> list[tuple[Household, list[str]]]:
    rng, walks = np.random.default_rng(0), []
    for house in HOUSES:
        house.reset()
        walk = []
        for _ in range(100):
            legal = house.legal_actions()
            walk.append(legal[int(rng.integers(len(legal)))])
            house.step(walk[-1])
        walks.append((house, walk))
    return walks


WALKS = random_walks()


def engine_steps() -> int:
    for _ in range(5):
        for house, walk in WALKS:
            house.reset()
            for command in walk:
                house.step(command)
    return 5 * sum(len(walk) for _, walk in WALKS)


def engine_steps_with_legal_actions() -> int:
    for house, walk in WALKS:
        house.reset()
        for command in walk:
            house.step(command)
            house.legal_actions()
    return sum(len(walk) for _, walk in WALKS)


def snapshots() -> int:
    for house in HOUSES:
        for _ in range(200):
            house.snapshot()
    return 200 * len(HOUSES)


def restores() -> int:
    for house in HOUSES:
        state = house.snapshot()
        for _ in range(200):
            house.restore(state)
    return 200 * len(HOUSES)


def generated() -> int:
    return sum(1 for _ in generate(seed=22, count=200))


class TimedAgent(RankerAgent):
    """Counts its calls and the processor time that they take, on situations that it has not met before."""

    calls, seconds = 0, 0.0

    def choose(self, trajectory: Trajectory, *, draw: Draw, excluded: Sequence[Action] = ()) -> Action:
        start = time.process_time()
        action = super().choose(trajectory, draw=draw, excluded=excluded)
        self.seconds += time.process_time() - start
        self.calls += 1
        return action


def steps_per_second(weights: RankerWeights, *, temperature: float) -> tuple[float, list[Rollout]]:
    """A player's speed, warm as after the start of a pilot, and the rollouts on which it was measured."""
    agent = TimedAgent(weights, temperature=temperature)
    roll_out(agent, seed=23, count=100, steps=20)
    agent.calls, agent.seconds = 0, 0.0
    rollouts = roll_out(agent, seed=24, count=100, steps=20)
    return agent.calls / agent.seconds, rollouts


def main() -> None:
    judge = critic()
    players = {
        name: steps_per_second(shipped_weights(name), temperature=recipe.temperature)
        for name, recipe in PLAYERS.items()
    }
    retrained = {
        name: steps_per_second(load_player(name).agent, temperature=PLAYERS[name].temperature)[0] for name in SHIPPED
    }
    met = list(judged(players[HEED][1]))

    def scores() -> int:
        for _, seen, proposed in met:
            judge.logit(seen, proposed)
        return len(met)

    rows = {
        "engine steps/s": best(engine_steps),
        "engine steps/s, legal commands listed": best(engine_steps_with_legal_actions),
        "snapshot, us": 1e6 / best(snapshots),
        "restore, us": 1e6 / best(restores),
        "generated tasks/s": best(generated),
        **{f"{name} steps/s": speed for name, (speed, _) in players.items()},
        **{f"{name}, retrained on real games, steps/s": speed for name, speed in retrained.items()},
        "critic scores/s": best(scores, repeats=1),
    }
    print(
        json.dumps({name: round(value, 2) if value < 100 else round(value) for name, value in rows.items()}, indent=2)
    )


if __name__ == "__main__":
    main()
