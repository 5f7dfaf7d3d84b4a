"""Processor time of one step of an engine whose model costs nothing: ours beside inspect_ai's with mockllm, in one run.

    pip install inspect_ai; python measurements/inspect_overhead.py [--samples 100] [--steps 10]

Theirs: `eval` of a task whose solver calls `generate` so many times, logs written as by default, nothing shown. Ours: a
pilot's baseline of a chat agent over a model that answers at once, journal and store of answers written.
"""

import argparse
import asyncio
import tempfile
import time
from functools import partial

from forbear.adapters.agents.chat import ChatAgent
from forbear.models.chat import Completion
from forbear.models.kept import KeptModel
from forbear.policy.arm import Arm
from forbear.records.journal import Journal
from forbear.records.model import Task, Usage
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan
from forbear.testing import Corridor


class AtOnce(KeptModel):
    """Says "open", at no cost."""

    name = "at-once"

    async def ask(self, messages, *, options, draw):
        return Completion(text="open", usage=Usage(calls=1, input_tokens=1, output_tokens=1))

    def config(self):
        return {"name": self.name}


def ours(samples, steps):
    tasks = [Task(id=f"t{number:05}") for number in range(samples)]
    model = AtOnce()
    plan = PilotPlan(
        tasks=tasks,
        agent=partial(ChatAgent, model, mode="line"),
        environment=partial(Corridor, doors=steps),
        arms=[Arm.baseline(), Arm.rerun()],
        max_steps=steps,
    )
    with tempfile.TemporaryDirectory() as directory:
        started = time.process_time()
        result = asyncio.run(run_pilot(plan, Journal(directory)))
        return (time.process_time() - started) / result.bill.calls


def theirs(samples, steps):
    from inspect_ai import Task as InspectTask
    from inspect_ai import eval as inspect_eval
    from inspect_ai.dataset import Sample
    from inspect_ai.solver import solver

    @solver
    def loop():
        async def solve(state, generate):
            for _ in range(steps):
                state = await generate(state)
            return state

        return solve

    def task(count):
        return InspectTask(dataset=[Sample(input="hello", target="x") for _ in range(count)], solver=loop())

    with tempfile.TemporaryDirectory() as directory:
        options = {"model": "mockllm/model", "log_dir": directory, "display": "none"}
        inspect_eval(task(2), **options)  # what is done once
        started = time.process_time()
        inspect_eval(task(samples), **options)
        return (time.process_time() - started) / (samples * steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    ours(2, options.steps)
    mine, others = ours(options.samples, options.steps), theirs(options.samples, options.steps)
    print(f"ours {1e6 * mine:,.0f} us a step, inspect_ai {1e6 * others:,.0f} us: {others / mine:.0f} times as light")


if __name__ == "__main__":
    main()
