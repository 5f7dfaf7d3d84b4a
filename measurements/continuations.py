"""What K continuations of a fork are worth, on the household world: tasks that are needed, and precision per call.

    nice python measurements/continuations.py FOLDER [TASKS]

Runs one pilot of TASKS tasks (600) and 8 continuations for each intervention, one treated arm each, in FOLDER (what is
there is not run again), and takes its variance apart: of a task's mean difference over K continuations it is between +
within/K, where `within` is that of runs which have all up to the fork in common. Tasks that do not fork are in
`between`, with their difference of 0. Tasks needed are in proportion to the variance of a task's mean, precision per
call to 1/(variance x calls of agent and critic). 95 % intervals: 2,000 resamples of tasks.
"""

import asyncio
import logging
import sys
from pathlib import Path

import numpy as np

from forbear.interventions import Append, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan
from forbear.stats.looks.looks import Looks
from forbear.worlds.household.pilot import agent, critic, environment, generated_tasks

MOST = 8
SEED = 4242


def pilot(folder, intervention, *, tasks, continuations=MOST, seed=SEED, threshold=0.6, judged=None):
    """A pilot of one intervention, run to the last task whatever it shows."""
    policy = InterventionPolicy(critic=judged or critic(), intervention=intervention, threshold=threshold)
    plan = PilotPlan(
        tasks=generated_tasks(tasks, seed=seed),
        agent=agent,
        environment=environment,
        arms=[Arm.baseline(), Arm(intervention.name, policy)],
        looks=Looks(tasks=(tasks,), watch=False, futility=0.0),
        max_steps=20,
        continuations=continuations,
    )
    return asyncio.run(run_pilot(plan, Journal(folder), concurrency=1))


def taken_apart(result, arm):
    """(tasks, K) differences; (tasks, K) calls that were paid for."""
    plan = result.plan
    differences, calls = (np.zeros((len(plan.tasks), len(plan.seeds))) for _ in range(2))
    for row, task in enumerate(plan.tasks):
        for column, seed in enumerate(plan.seeds):
            before, after = (result.episodes[task.id, seed, name] for name in (plan.baseline_arm, arm))
            differences[row, column] = after.success - before.success
            calls[row, column] = sum(
                role.paid.calls for one in (before, after) for role in (one.usage.agent, one.usage.critic)
            )
    return differences, calls


def ratios(differences, calls):
    """By K: tasks needed, and precision per call, over those of K = 1; the share of the variance after the fork."""
    within = differences.var(axis=1, ddof=1).mean()
    between = differences.mean(axis=1).var(ddof=1) - within / differences.shape[1]
    first, later = calls[:, 0].mean(), calls[:, 1:].mean()
    found = {}
    for k in (2, 3, 4, MOST):
        needed = (between + within / k) / (between + within)
        found[k] = (needed, first / (first + (k - 1) * later) / needed)
    return found, within / (between + within)


def main():
    logging.getLogger("forbear").setLevel(logging.ERROR)
    folder, tasks = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 600
    rng = np.random.default_rng(0)
    print("| arm | tasks | forked | variance after the fork | K | tasks needed | precision per call |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for intervention in (Append(), Rollback(), Rollback(depth=3, message="Something went wrong. Do it differently.")):
        name = f"{intervention.name}-{getattr(intervention, 'depth', 0)}"
        result = pilot(folder / name, intervention, tasks=tasks)
        differences, calls = taken_apart(result, intervention.name)
        found, share = ratios(differences, calls)
        draws = [
            ratios(differences[rows], calls[rows]) for rows in (rng.integers(0, tasks, tasks) for _ in range(2000))
        ]
        forked = np.mean(calls[:, 1:].sum(axis=1) > 0)
        low, high = np.quantile([one[1] for one in draws], (0.025, 0.975))
        print(f"| {name} | {tasks} | {forked:.1%} | {share:.2f} [{low:.2f}, {high:.2f}] | | | |")
        for k, values in found.items():
            limits = [np.quantile([one[0][k][n] for one in draws], (0.025, 0.975)) for n in (0, 1)]
            shown = [f"{v:.2f} [{lo:.2f}, {hi:.2f}]" for v, (lo, hi) in zip(values, limits, strict=True)]
            print(f"| | | | | {k} | {shown[0]} | {shown[1]} |")


if __name__ == "__main__":
    main()
