"""What the runner itself costs: a trivial agent, world and critic, with a journal on disk.

Usage: python measurements/runner_overhead.py [--tasks 40] [--arms 8] [--repeat 15] [--json]
       python measurements/runner_overhead.py --tasks 10000 --arms 2 --repeat 1    # 20,000 episodes, run again

Prints microseconds per step (every executed or dropped one, journal included; of wall time, of this process's time, and
per step that was not shared), microseconds per line of reading the journal, and what `run` on the finished journal
takes with its verdicts in a process of its own: CPU, imports included, and peak of resident memory. Of several repeats
the fastest, as on a quiet machine; how many tasks a verdict would need is reckoned in the first only. Budget:
50 µs per step; 20,000 episodes run again in 5 s of CPU and 400 MB.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from forbear.analysis.evidence import evidence_of
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


def pilot(tasks, arms):
    # One critic for all arms; messages differ, so that no two arms share what comes after the fork.
    critic = Critic(3)
    policies = [
        InterventionPolicy(critic=critic, intervention=Append(message=f"m{n}") if n % 2 else Rollback(message=f"m{n}"))
        for n in range(arms - 1)
    ]
    return PilotPlan(
        tasks=[Task(id=f"t{n}") for n in range(tasks)],
        agent=Agent,
        environment=World,
        arms=[Arm.baseline(), *(Arm(f"arm{n}", policy) for n, policy in enumerate(policies))],
        max_steps=STEPS,
        looks=Looks(tasks=(tasks,), watch=False),
    )


def spent():
    """Seconds of wall time and of CPU so far."""
    return time.perf_counter(), time.process_time()


async def measure(tasks, arms):
    with tempfile.TemporaryDirectory() as directory:
        started, cpu = spent()
        result = await run_pilot(pilot(tasks, arms), Journal(directory), concurrency=16)
        seconds, cpu = (b - a for a, b in zip((started, cpu), spent(), strict=True))
        started = time.perf_counter()
        lines = len((Path(directory) / "episodes.jsonl").read_bytes().splitlines())
        Journal(directory).read()
        reading = time.perf_counter() - started
        again = await asyncio.to_thread(run_again_elsewhere, directory, tasks, arms)
    steps = sum(arm.agent_calls for arm in result.arms.values())
    paid = sum(arm.new_agent_calls for arm in result.arms.values())
    return {
        "episodes": len(result.episodes),
        "steps": steps,
        "us_per_step": seconds / steps * 1e6,
        "cpu_us_per_step": cpu / steps * 1e6,
        "cpu_us_per_paid_step": cpu / paid * 1e6,
        "episodes_per_s": len(result.episodes) / seconds,
        "us_per_line_read": reading / lines * 1e6,
        "again_cpu_s": again["cpu_s"],
        "again_peak_mb": again["peak_mb"],
    }


def run_again_elsewhere(directory, tasks, arms):
    command = [sys.executable, __file__, "--again", directory, "--tasks", str(tasks), "--arms", str(arms)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def run_again(directory, tasks, arms):
    """`run` on a finished journal, with its evidence, in a process of its own."""
    result = asyncio.run(run_pilot(pilot(tasks, arms), Journal(directory)))
    evidence_of(result)
    print(json.dumps({"cpu_s": time.process_time(), "peak_mb": peak_bytes() / 2**20}))


def peak_bytes():
    """The most memory that this process has held."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux: a child's ru_maxrss begins with what its parent held when it started it.
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--arms", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--again", metavar="JOURNAL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.again:
        run_again(options.again, options.tasks, options.arms)
        return
    rows = [asyncio.run(measure(options.tasks, options.arms)) for _ in range(options.repeat)]
    row = {**min(rows, key=lambda row: row["cpu_us_per_step"]), "us_per_step": min(row["us_per_step"] for row in rows)}
    if options.json:
        print(json.dumps({"format": "forbear-bench-1", "rows": [{"name": "runner_overhead", **row}]}))
    else:
        for name, value in row.items():
            print(f"{name:18}{value:>14,.1f}")


if __name__ == "__main__":
    main()
