"""How long a critic's measures take with intervals over tasks: 2,000 resamples of 20,000 scored steps.

    python measurements/critic_measures.py [--runs 3]

Medians of repeated calls in one process; figures depend on the machine.
"""

import argparse
import statistics
import time

import numpy as np

from forbear.critics.estimates import METRICS, Judgements, clustered_estimates, compare_critics

STEPS, RESAMPLES = 20_000, 2_000


def judgements(rng, *, tasks):
    length = STEPS // tasks
    failed = np.repeat(rng.random(tasks) < 0.5, length)
    return Judgements(
        failed=failed,
        p_fail=np.clip(rng.normal(0.4 + 0.2 * failed, 0.2), 0, 1),
        tasks=np.repeat(np.arange(tasks), length),
        steps=np.tile(np.arange(length), tasks),
    )


def median_of(runs, call):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(0)
    print(f"{RESAMPLES:,} resamples of {STEPS:,} steps, seconds")
    print(f"{'tasks':>8}{'AUROC':>10}{'all ' + str(len(METRICS)):>10}{'AUROC, difference':>20}")
    for tasks in (200, 1000, 2000):
        some = judgements(rng, tasks=tasks)
        other = Judgements(failed=some.failed, p_fail=1 - some.p_fail, tasks=some.tasks, steps=some.steps)
        took = [
            median_of(runs, lambda j=some: clustered_estimates(j, ["auroc"], rng=rng, resamples=RESAMPLES)),
            median_of(runs, lambda j=some: clustered_estimates(j, list(METRICS), rng=rng, resamples=RESAMPLES)),
            median_of(
                runs, lambda j=some, o=other: compare_critics(j, {"other": o}, ["auroc"], rng=rng, resamples=RESAMPLES)
            ),
        ]
        print(f"{tasks:>8}{took[0]:>10.2f}{took[1]:>10.2f}{took[2]:>20.2f}")


if __name__ == "__main__":
    main()
