"""What logged baseline runs are worth to a pilot, and what they cost where they are not of the same agent.

Usage: python measurements/logged_baseline.py [--pilots 400] [--tasks 100]

Whole pilots with one treated run a task, the default looks, the watch and futility, by the same monitor as any other
pilot; arms are run apart. A task's chance of success is drawn (half of the tasks always end alike, the others have a
chance that is uniform); where the arm helps, it recovers a share of what the agent alone fails, where it harms, it
disrupts a share of what succeeds.
"""

import argparse
import math

import numpy as np
from numpy.typing import NDArray

from forbear.analysis.logged import AgainstLogged
from forbear.analysis.monitor import Monitor
from forbear.outcomes.logged import LoggedRuns
from forbear.records.codec import EpisodeKey
from forbear.records.model import Task
from forbear.runner.host_plan import HostPlan
from forbear.stats.decision import decide_arms

Chances = NDArray[np.float64]


def chances(rng: np.random.Generator, tasks: int) -> Chances:
    """How often the agent alone succeeds, by task."""
    always = rng.random(tasks) < 0.5
    return np.where(always, rng.random(tasks) < 0.5, rng.random(tasks))


def pilot(
    rng: np.random.Generator, *, tasks: int, logged: int, gain: float, drift: float, chosen: bool
) -> tuple[str, float, float]:
    """One pilot: its verdict by the test alone, and the p-values of an agent that has become better, or worse."""
    known = 2 * tasks if chosen else tasks
    alone = chances(rng, known)
    log = rng.random((known, logged)) < np.clip(alone - drift, 0, 1)[:, None]
    if chosen:  # the tasks at which the log fails most
        worst = np.argsort(log.mean(axis=1) + 1e-6 * rng.random(known))[:tasks]
        alone, log = alone[worst], log[worst]
    room = 1 - alone if gain > 0 else alone
    treated = np.clip(alone + gain / max(float(room.mean()), 1e-9) * room, 0, 1)
    names = [f"t{i:03}" for i in range(tasks)]
    runs = LoggedRuns(runs=dict(zip(names, log.tolist(), strict=True)), source="log") if logged else None
    plan = HostPlan(tasks=[Task(id=name) for name in names], arms=["treated"], rerun=False, logged=runs).record()
    outcomes = {
        arm: dict(zip(names, (rng.random(tasks) < chance).tolist(), strict=True))
        for arm, chance in (("baseline", alone), ("treated", treated))
    }

    def success(key: EpisodeKey) -> bool:
        return bool(outcomes[key[2]][key[0]])

    monitor = Monitor(plan, success)
    monitor.advance()
    found, _ = monitor.outcomes("treated")
    assert found is not None, "every run has an outcome"
    verdict = decide_arms({"treated": found}, plan.rule)["treated"]
    own = {task.id: [outcomes["baseline"][task.id]] for task in plan.tasks[: monitor.tasks]}
    against = AgainstLogged.of(plan, own)
    drifts = (1.0, 1.0) if against is None else (against.p_better, against.p_worse)
    return verdict.recommendation.value, *drifts


def share(hits: int, of: int) -> str:
    """A share with its standard error."""
    p = hits / of
    return f"{p:.3f} ({math.sqrt(p * (1 - p) / of):.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilots", type=int, default=400)
    parser.add_argument("--tasks", type=int, default=100)
    options = parser.parse_args()
    rows = [
        ("no gain", {"gain": 0.0}),
        ("+10 pp", {"gain": 0.10}),
        ("-10 pp", {"gain": -0.10}),
        ("no gain, the log fails 2 pp more", {"gain": 0.0, "drift": 0.02}),
        ("no gain, the log fails 5 pp more", {"gain": 0.0, "drift": 0.05}),
        ("no gain, the log fails 10 pp more", {"gain": 0.0, "drift": 0.10}),
        ("no gain, tasks chosen that the log fails", {"gain": 0.0, "chosen": True}),
    ]
    levels = (0.0, 0.05, 0.1, 0.2)
    print(f"{options.pilots:,} pilots a row of {options.tasks} tasks; standard errors in brackets")
    print(f"{'truth':<42}{'logged':>7}  {'verdict':<10}" + "".join(f"{f'drift > {level}':>15}" for level in levels))
    for name, truth in rows:
        for logged in (5,) if "drift" in truth or "chosen" in truth else (0, 1, 5, 9):
            rng = np.random.default_rng([7, logged])
            given = {"drift": 0.0, "chosen": False, **truth}
            found = [pilot(rng, tasks=options.tasks, logged=logged, **given) for _ in range(options.pilots)]  # type: ignore[arg-type]
            for column, said in enumerate(("INTERVENE", "FORBEAR"), start=1):
                kept = [sum(one[0] == said and one[column] > level for one in found) for level in levels]
                cells = "".join(f"{share(hits, options.pilots):>15}" for hits in kept)
                print(f"{name:<42}{logged:>7}  {said:<10}{cells}", flush=True)


if __name__ == "__main__":
    main()
