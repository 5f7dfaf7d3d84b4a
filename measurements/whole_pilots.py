"""Whole pilots through the runner: how often three useless arms are switched on, everything a pilot does included.

    python measurements/whole_pilots.py [--pilots 200] [--only NAME]

Each pilot has 200 tasks, a baseline and three arms whose messages do nothing but draw afresh; four looks, the watch,
futility and Holm, the journal on disk. Printed:
in how many of the pilots any arm is INTERVENE, any is harmful, the mean tasks until the last arm's end, and seconds of
CPU a pilot. The error rates asked for are .05; of 200 pilots at .05 five to sixteen are within two standard errors.

    one run per task        nothing else
    holes                   5 % of the runs of every arm have no outcome
    three seeds             the runs of a task are alike: some tasks are easy, others hard
    clusters                ten tasks each; what an arm does to one is .2 better or worse, with the cluster
    holes, seeds, clusters  all of it
"""

import argparse
import asyncio
import math
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from pathlib import Path

from forbear import Arm, InterventionPolicy, Journal, PilotPlan, Task, run_pilot
from forbear.analysis.evidence import evidence_of
from forbear.contracts.environment import Observation
from forbear.errors import ProviderError
from forbear.interventions import Append
from forbear.records.model import Action

TASKS, ARMS = 200, 3


@dataclass(frozen=True)
class Setting:
    holes: float = 0.0
    seeds: int = 1
    clustered: bool = False


SETTINGS = {
    "one run per task": Setting(),
    "holes": Setting(holes=0.05),
    "three seeds": Setting(seeds=3),
    "clusters": Setting(clustered=True),
    "holes, seeds, clusters": Setting(holes=0.05, seeds=3, clustered=True),
}


def chance_of(*names):
    """A number in [0, 1) that belongs to a name."""
    return int.from_bytes(blake2b("/".join(map(str, names)).encode(), digest_size=7).digest()) / 2**56


class Wavering:
    """Succeeds with the chance of the task; told something, it draws afresh."""

    async def act(self, trajectory, *, draw, excluded=()):
        if len(trajectory.steps) == 1:
            return Action("begin")
        told = [message for step in trajectory.steps for message in step.messages]
        arm = 1 + int(str(told[-1])[-1]) if told else 0
        task = trajectory.task
        rate = 0.9 if chance_of("hard", task.id) < 0.7 else 0.2
        if arm and task.cluster is not None:
            better = chance_of("effect", task.cluster, arm) < 0.5
            rate += min(0.2, rate, 1 - rate) * (1 if better else -1)
        says = "yes" if float(draw.uniforms(ARMS + 1)[arm]) < rate else "no"
        return Action(f"{says} {arm}")

    def config(self):
        return {"name": "wavering"}


class Graded:
    """One step to begin, at which every arm is told something, and one that counts; some runs are lost."""

    replay_safe = True

    def __init__(self, holes):
        self.holes = holes

    async def reset(self, task, *, draw):
        return Observation(text=task.id)

    async def step(self, action, *, draw):
        if action.text == "begin":
            return Observation(text="go on")
        says, arm = action.text.split()
        if float(draw.uniforms(ARMS + 1)[int(arm)]) < self.holes:
            raise ProviderError("lost")
        return Observation(text=says, done=True, success=says == "yes")

    def config(self):
        return {"name": "graded", "holes": self.holes}


class Alarmed:
    async def score(self, trajectory, proposed, *, draw):
        return 0.9 if len(trajectory.steps) == 1 else 0.0

    def config(self):
        return {"name": "alarmed"}


def plan_of(setting, pilot):
    size = 10 if setting.clustered else None
    tasks = [Task(id=f"{pilot}-{n}", cluster=f"{pilot}-{n // size}" if size else None) for n in range(TASKS)]
    critic = Alarmed()
    arms = [
        Arm(f"arm{n}", InterventionPolicy(critic=critic, intervention=Append(message=f"message {n}")))
        for n in range(ARMS)
    ]
    return PilotPlan(
        tasks=tasks,
        agent=Wavering,
        environment=partial(Graded, setting.holes),
        arms=[Arm.baseline(), *arms],
        seeds=range(1, setting.seeds + 1),
        max_steps=2,
    )


def run(setting, pilot):
    with tempfile.TemporaryDirectory() as folder:
        running = run_pilot(plan_of(setting, pilot), Journal(Path(folder) / "journal"), retries=0, outage_after=10**6)
        result = asyncio.run(running)
        verdicts = evidence_of(result).verdicts
    ends = [end.tasks for end in result.monitor.ends.values()]
    return verdicts, max(ends) if len(ends) == ARMS else TASKS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilots", type=int, default=200)
    parser.add_argument("--only", choices=SETTINGS)
    given = parser.parse_args()
    print("| pilots | any INTERVENE | standard error at .05 | any harmful | mean tasks | CPU s each |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, setting in SETTINGS.items():
        if given.only not in (None, name):
            continue
        went, harmed, tasks, began = 0, 0, 0, time.process_time()
        for pilot in range(given.pilots):
            verdicts, after = run(setting, pilot)
            went += any(verdict.recommendation.value == "INTERVENE" for verdict in verdicts.values())
            harmed += any(verdict.harmful for verdict in verdicts.values())
            tasks += after
        count, spent = given.pilots, time.process_time() - began
        print(
            f"| {name} | {went / count:.3f} | {math.sqrt(0.05 * 0.95 / count):.3f} | {harmed / count:.3f} "
            f"| {tasks / count:.0f} | {spent / count:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
