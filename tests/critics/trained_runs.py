"""Generated runs: the words of a task, a command that comes again, and a word of trouble say how a run will end."""

import random

from forbear.critics.runs import JudgedRun
from forbear.critics.training import Recipe
from forbear.records.model import Action, Step, Task, Trajectory

SMALL = Recipe(buckets=1 << 10, strengths=(1.0,), folds=3, iterations=30, shuffles=3)


def run_of(number, *, rng, runs_per_task=2, **more):
    task, hard = f"t{number // runs_per_task}", (number // runs_per_task) % 2 == 0
    failed = rng.random() < (0.85 if hard else 0.15)
    steps = [Step(index=0, observation=f"a {'hard' if hard else 'plain'} thing", executed=Action("look"))]
    for index in range(1, rng.randint(2, 5)):
        seen = "error: no" if rng.random() < (0.6 if failed else 0.2) else "fine"
        steps.append(Step(index=index, observation=seen, executed=Action(rng.choice(["look", "take", "put"]))))
    return JudgedRun(
        trajectory=Trajectory(task=Task(id=task), steps=tuple(steps)), success=not failed, run=str(number), **more
    )


def some_runs(count=80, *, seed=0, **more):
    rng = random.Random(seed)
    return [run_of(number, rng=rng, **more) for number in range(count)]
