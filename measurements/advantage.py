"""Does a critic of advantages gain more than one of failures that steps in as often? On a world with learned agents.

    nice python measurements/advantage.py FOLDER
    nice python measurements/advantage.py FOLDER --world questions [--agent skimmer] [--training N] [--test N]

For each intervention: 1. TRAINING tasks are piloted with a coin that steps in once, 3 continuations each, and a
critic of advantages is trained on these forks. 2. On 400 other tasks' baselines each critic gets the threshold at which
it touches 20 % and 40 % of the runs, and a coin the rate. 3. TEST tasks of a third seed are piloted with all of
them, one intervention a run, 2 continuations; gains are compared on the same tasks. Messages do
not say a number, which only one of the critics has. What is there in FOLDER is not run again.
"""

import argparse
import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from forbear.adapters.formats.episodes import read_runs
from forbear.adapters.formats.forks import read_forks
from forbear.critics.advantage import train_advantage
from forbear.critics.card import write_advantage_critic, write_critic
from forbear.critics.heuristic import RandomCritic
from forbear.critics.runs import JudgedRun
from forbear.critics.trained import trained_critic
from forbear.critics.training import train_critic
from forbear.interventions import Append, Rollback
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan
from forbear.stats.clustered import clustered_gain_interval
from forbear.stats.looks.looks import Looks
from forbear.wording import points, points_interval
from forbear.worlds.household import pilot as household
from forbear.worlds.questions import pilot as questions

MESSAGE = "A monitor expects this attempt to fail. Check your progress before you go on."


@dataclass(frozen=True, kw_only=True)
class World:
    """Where it is measured; episodes of questions are short, so that a coin is tossed harder and one step is undone."""

    agent: Callable[[str], object]
    environment: Callable[[], object]
    critic: Callable[[str], object]
    tasks: Callable[..., list]
    first: str
    steps: int
    depth: int
    coin: float
    training: int
    test: int


WORLDS = {
    "household": World(
        agent=lambda player: household.agent(player=player),
        environment=household.environment,
        # The shipped critic is the first player's.
        critic=lambda player: household.critic(player=None if player == "heed" else player),
        tasks=household.generated_tasks,
        first="heed",
        steps=20,
        depth=3,
        coin=0.12,
        training=1200,
        test=800,
    ),
    "questions": World(
        agent=lambda reader: questions.agent(reader=reader),
        environment=partial(questions.environment, mode="react"),
        critic=lambda reader: questions.critic(reader=reader),
        tasks=questions.generated_tasks,
        first="skimmer",
        steps=10,
        depth=1,
        coin=0.3,
        training=2400,
        test=1600,
    ),
}
SEEDS = {"train": 9101, "thresholds": 9102, "test": 9103}
TOUCHED = (0.2, 0.4)
COMPARED = ("advantage", "p_fail", "words", "coin")
"""`p_fail` is the agent's own critic, `words` the default backend's, with the features of `advantage`."""


def pilot(world, agent, folder, arms, *, tasks, seed, continuations=1):
    plan = PilotPlan(
        tasks=world.tasks(tasks, seed=seed),
        agent=partial(world.agent, agent),
        environment=world.environment,
        arms=[Arm.baseline(), *arms],
        looks=Looks(tasks=(tasks,), watch=False, futility=0.0),
        max_steps=world.steps,
        continuations=continuations,
    )
    return asyncio.run(run_pilot(plan, Journal(folder), concurrency=1))


def once(critic, intervention, threshold):
    return InterventionPolicy(critic=critic, intervention=intervention, threshold=threshold, budget=1)


def threshold_of(signal, result, share):
    """The threshold at which a critic touches this share of the baseline's runs, at least 0."""
    highest = []
    for (_, _, arm), episode in result.episodes.items():
        if arm == "baseline":
            kept = episode.trajectory.prefix(sum(step.executed is not None for step in episode.trajectory.steps))
            run = JudgedRun(trajectory=kept, success=bool(episode.success), run="")
            highest.append(max(signal(seen, proposed) for seen, proposed in run.judged()))
    return max(0.0, float(np.quantile(highest, 1 - share)))


def rate_of(result, share):
    """The rate at which a coin, tossed at each step, touches this share of the baseline's runs."""
    steps = np.array([len(one.steps) for (_, _, arm), one in result.episodes.items() if arm == "baseline"])
    rates = np.linspace(0, 0.5, 5001)
    return float(rates[np.searchsorted([np.mean(1 - (1 - rate) ** steps) for rate in rates], share)])


def outcomes(result, arm):
    return [[bool(result.episodes[task.id, s, arm].success) for s in result.plan.seeds] for task in result.plan.tasks]


def told(result, treated, baseline="baseline"):
    pairs = ClusteredOutcomes.from_outcomes(baseline=outcomes(result, baseline), treated=outcomes(result, treated))
    interval = clustered_gain_interval(pairs, confidence=0.95)
    return f"{points(pairs.success_gain)} ({points_interval(interval.low, interval.high)})"


def main():
    logging.getLogger("forbear").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--world", choices=WORLDS, default="household")
    parser.add_argument("--agent")
    parser.add_argument("--training", type=int)
    parser.add_argument("--test", type=int)
    options = parser.parse_args()
    world, folder = WORLDS[options.world], options.folder
    agent, training, test = (
        options.agent or world.first,
        options.training or world.training,
        options.test or world.test,
    )
    play = partial(pilot, world, agent)
    failing = world.critic(agent)
    interventions = (Append(message=MESSAGE), Rollback(depth=world.depth, message=MESSAGE))
    never = [Arm("never", once(failing, interventions[0], 1.0))]
    baselines = play(folder / "thresholds", never, tasks=400, seed=SEEDS["thresholds"])
    for intervention in interventions:
        name = f"{intervention.name}-{getattr(intervention, 'depth', 0)}"
        coin = Arm("coin", once(RandomCritic(rate=world.coin), intervention, 0.5))
        play(folder / f"{name}-train", [coin], tasks=training, seed=SEEDS["train"], continuations=3)
        read = read_forks([folder / f"{name}-train"])
        learned = train_advantage(read.forks)
        write_advantage_critic(learned, folder / f"{name}-critic", sources=[name], arms=read.arms)
        print(f"\n{name}: {learned.forks} forks, penalty 1/{learned.strength}, slope {learned.weights.slope:.2f}")
        for metric, found in learned.metrics.items():
            print(f"  {metric}: {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]")
        worth = trained_critic(str(folder / f"{name}-critic"))
        # The same features and head on the same journal's baselines: what is left of the difference is the target's.
        runs = read_runs([folder / f"{name}-train"])
        words = train_critic(runs.runs)
        write_critic(words, folder / f"{name}-words", runs=runs.runs, metrics={}, sources=[name], left_out={})
        alike = trained_critic(str(folder / f"{name}-words"))
        arms = []
        for share in TOUCHED:
            by_failing = threshold_of(lambda s, p: asyncio.run(_p_fail(failing, s, p)), baselines, share)
            by_worth = threshold_of(worth.advantage, baselines, share)
            arms += [
                Arm(f"p_fail-{share}", once(failing, intervention, by_failing)),
                Arm(f"words-{share}", once(alike, intervention, threshold_of(alike.p_fail, baselines, share))),
                Arm(f"advantage-{share}", once(worth, intervention, by_worth)),
                Arm(f"coin-{share}", once(RandomCritic(rate=rate_of(baselines, share)), intervention, 0.5)),
            ]
        result = play(folder / f"{name}-test", arms, tasks=test, seed=SEEDS["test"], continuations=2)
        print(f"| touched | {' | '.join(COMPARED)} | advantage minus each of the others |")
        print("| --- | --- | --- | --- | --- | --- |")
        for share in TOUCHED:
            names = [f"{what}-{share}" for what in COMPARED]
            arms = [result.arms[name] for name in names]
            touched = [f"{sum(arm.first_interventions.values()) / arm.episodes:.0%}" for arm in arms]
            gains = [told(result, name) for name in names]
            against = [told(result, names[0], other) for other in names[1:]]
            print(f"| {', '.join(touched)} | {' | '.join(gains)} | {'; '.join(against)} |")


async def _p_fail(judge, seen, proposed):
    said = await judge.score(seen, proposed, draw=None)
    return said if isinstance(said, float) else said.p_fail


if __name__ == "__main__":
    main()
