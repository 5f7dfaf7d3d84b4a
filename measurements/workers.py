"""What worker processes gain: the embedded household pilot (an agent and a world that compute), run with 1 and with N.

Usage: python measurements/workers.py [--tasks 500] [--workers 2] [--runs 2]

Prints the wall time of each, the fastest of the runs, and their ratio; checks that the findings are the same. The start
of the workers is included. On two quiet cores two workers should be at least 1.6 times as fast as one.
"""

import argparse
import asyncio
import tempfile
import time

from forbear.analysis.result import findings_digest
from forbear.interventions import Append, Placebo, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan, freeze
from forbear.stats.looks.looks import Looks
from forbear.worlds.household.pilot import agent, critic, environment, generated_tasks


def pilot(tasks):
    def arm(name, intervention):
        return Arm(name, InterventionPolicy(critic=critic(), intervention=intervention))

    arms = [
        arm("rollback", Rollback(message="Try something else.")),
        arm("append", Append()),
        arm("placebo", Placebo()),
    ]
    return PilotPlan(
        tasks=generated_tasks(n=tasks, seed=7),
        agent=agent,
        environment=environment,
        arms=[Arm.baseline(), *arms],
        max_steps=20,
        looks=Looks(tasks=(tasks,), watch=False),
    )


def measure(frozen, workers):
    with tempfile.TemporaryDirectory() as directory:
        journal = Journal(directory)
        started = time.perf_counter()
        asyncio.run(run_pilot(frozen, journal, workers=workers))
        return time.perf_counter() - started, findings_digest(frozen.record, journal.read())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    frozen = freeze(pilot(options.tasks))
    one, several = ([measure(frozen, workers) for _ in range(options.runs)] for workers in (1, options.workers))
    assert len({digest for _, digest in (*one, *several)}) == 1, "the findings differ"
    alone, together = min(one)[0], min(several)[0]
    print(f"{options.tasks} tasks: {alone:.1f} s here, {together:.1f} s in {options.workers} workers", end=": ")
    print(f"{alone / together:.2f} times as fast")


if __name__ == "__main__":
    main()
