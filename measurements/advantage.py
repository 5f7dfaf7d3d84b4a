"""Does a critic of advantages gain more than one of failures that steps in as often? On the household world.

    nice python measurements/advantage.py FOLDER [TRAINING TEST]

For each intervention: 1. TRAINING tasks (1,200) are piloted with a coin that steps in once, 3 continuations each, and a
critic of advantages is trained on these forks. 2. On 400 other tasks' baselines each critic gets the threshold at which
it touches 20 % and 40 % of the runs, and a coin the rate. 3. TEST tasks (800) of a third seed are piloted with all of
them, one intervention a run, 2 continuations; gains are compared on the same tasks. Messages do
not say a number, which only one of the critics has. What is there in FOLDER is not run again.
"""

import asyncio
import logging
import sys
from pathlib import Path

import numpy as np

from forbear.adapters.formats.forks import read_forks
from forbear.critics.advantage import train_advantage
from forbear.critics.card import write_advantage_critic
from forbear.critics.heuristic import RandomCritic
from forbear.critics.runs import JudgedRun
from forbear.critics.trained import trained_critic
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
from forbear.worlds.household.pilot import agent, critic, environment, generated_tasks

MESSAGE = "A monitor expects this attempt to fail. Check your progress before you go on."
INTERVENTIONS = (Append(message=MESSAGE), Rollback(depth=3, message=MESSAGE))
SEEDS = {"train": 9101, "thresholds": 9102, "test": 9103}
TOUCHED = (0.2, 0.4)


def pilot(folder, arms, *, tasks, seed, continuations=1):
    plan = PilotPlan(
        tasks=generated_tasks(tasks, seed=seed),
        agent=agent,
        environment=environment,
        arms=[Arm.baseline(), *arms],
        looks=Looks(tasks=(tasks,), watch=False, futility=0.0),
        max_steps=20,
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
    folder = Path(sys.argv[1])
    training, test = map(int, sys.argv[2:4]) if len(sys.argv) > 3 else (1200, 800)
    failing = critic()
    baselines = pilot(
        folder / "thresholds",
        [Arm("never", once(failing, INTERVENTIONS[0], 1.0))],
        tasks=400,
        seed=SEEDS["thresholds"],
    )
    for intervention in INTERVENTIONS:
        name = f"{intervention.name}-{getattr(intervention, 'depth', 0)}"
        coin = Arm("coin", once(RandomCritic(rate=0.12), intervention, 0.5))
        pilot(folder / f"{name}-train", [coin], tasks=training, seed=SEEDS["train"], continuations=3)
        read = read_forks([folder / f"{name}-train"])
        learned = train_advantage(read.forks)
        write_advantage_critic(learned, folder / f"{name}-critic", sources=[name], arms=read.arms)
        print(f"\n{name}: {learned.forks} forks, penalty 1/{learned.strength}, slope {learned.weights.slope:.2f}")
        for metric, found in learned.metrics.items():
            print(f"  {metric}: {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]")
        worth = trained_critic(str(folder / f"{name}-critic"))
        arms = []
        for share in TOUCHED:
            by_failing = threshold_of(lambda s, p: asyncio.run(_p_fail(failing, s, p)), baselines, share)
            by_worth = threshold_of(worth.advantage, baselines, share)
            arms += [
                Arm(f"p_fail-{share}", once(failing, intervention, by_failing)),
                Arm(f"advantage-{share}", once(worth, intervention, by_worth)),
                Arm(f"coin-{share}", once(RandomCritic(rate=rate_of(baselines, share)), intervention, 0.5)),
            ]
        result = pilot(folder / f"{name}-test", arms, tasks=test, seed=SEEDS["test"], continuations=2)
        print("| touched | p_fail | advantage | coin | advantage minus p_fail | advantage minus coin |")
        print("| --- | --- | --- | --- | --- | --- |")
        for share in TOUCHED:
            names = [f"{what}-{share}" for what in ("p_fail", "advantage", "coin")]
            arms = [result.arms[name] for name in names]
            touched = [f"{sum(arm.first_interventions.values()) / arm.episodes:.0%}" for arm in arms]
            gains = [told(result, name) for name in names]
            against = [told(result, names[1], other) for other in (names[0], names[2])]
            print(f"| {', '.join(touched)} | {' | '.join([*gains, *against])} |")


async def _p_fail(judge, seen, proposed):
    said = await judge.score(seen, proposed, draw=None)
    return said if isinstance(said, float) else said.p_fail


if __name__ == "__main__":
    main()
