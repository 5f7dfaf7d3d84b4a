"""What the runner itself costs: a trivial agent, world and critic, with a journal on disk.

Usage: python measurements/runner_overhead.py [--tasks 40] [--arms 8] [--repeat 15] [--json]
       python measurements/runner_overhead.py --tasks 2500 --repeat 1     # 20,000 episodes, for the peak of memory

Prints microseconds per step (every executed or dropped one, journal included; of wall time, of this process's time, and
per step that was not shared), and the peak of resident memory; of several repeats the fastest, as on a quiet machine.
Budget: 50 µs per step; 20,000 episodes below 500 MB.
"""

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time

from forbear.contracts.environment import Observation
from forbear.interventions import Append, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import Action, Task
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan
from forbear.stats.looks.looks import Looks

STEPS = 15
GO = Action("go")


class Agent:
    async def act(self, trajectory, *, draw, excluded=()):
        return GO

    def config(self):
        return {"name": "trivial"}


class World:
    replay_safe = True

    async def reset(self, task, *, draw):
        self.position = 0
        return Observation(text="at 0")

    async def step(self, action, *, draw):
        self.position += 1
        return Observation(text=f"at {self.position}", done=self.position == STEPS, success=self.position == STEPS)

    def config(self):
        return {"name": "trivial"}


class Critic:
    def __init__(self, alarm_at):
        self.alarm_at = alarm_at

    async def score(self, trajectory, proposed, *, draw):
        return 0.9 if len(trajectory.steps) - 1 == self.alarm_at else 0.1

    def config(self):
        return {"name": "trivial", "alarm_at": self.alarm_at}


async def measure(tasks, arms):
    # One critic for all arms; messages differ, so that no two arms share what comes after the fork.
    critic = Critic(3)
    policies = [
        InterventionPolicy(critic=critic, intervention=Append(message=f"m{n}") if n % 2 else Rollback(message=f"m{n}"))
        for n in range(arms - 1)
    ]
    plan = PilotPlan(
        tasks=[Task(id=f"t{n}") for n in range(tasks)],
        agent=Agent,
        environment=World,
        arms=[Arm.baseline(), *(Arm(f"arm{n}", policy) for n, policy in enumerate(policies))],
        max_steps=STEPS,
        looks=Looks(tasks=(tasks,), watch=False),
    )
    with tempfile.TemporaryDirectory() as directory:
        started, cpu = time.perf_counter(), time.process_time()
        result = await run_pilot(plan, Journal(directory), concurrency=16)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        started = time.perf_counter()
        Journal(directory).read()
        reading = time.perf_counter() - started
    steps = sum(arm.agent_calls for arm in result.arms.values())
    paid = sum(arm.new_agent_calls for arm in result.arms.values())
    return {
        "episodes": len(result.episodes),
        "steps": steps,
        "us_per_step": seconds / steps * 1e6,
        "cpu_us_per_step": cpu / steps * 1e6,
        "cpu_us_per_paid_step": cpu / paid * 1e6,
        "episodes_per_s": len(result.episodes) / seconds,
        "read_s": reading,
        "peak_mb": peak / 2**20,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--arms", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [asyncio.run(measure(options.tasks, options.arms)) for _ in range(options.repeat)]
    row = {**min(rows, key=lambda row: row["cpu_us_per_step"]), "us_per_step": min(row["us_per_step"] for row in rows)}
    if options.json:
        print(json.dumps({"format": "forbear-bench-1", "rows": [{"name": "runner_overhead", **row}]}))
    else:
        for name, value in row.items():
            print(f"{name:18}{value:>14,.1f}")


if __name__ == "__main__":
    main()
