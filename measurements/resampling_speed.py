"""How long the statistics of several seeds take, beside scipy on the same work.

    python measurements/resampling_speed.py [--runs 5]

Medians of repeated calls in one process; figures depend on the machine.
"""

import argparse
import statistics
import time

import numpy as np
from scipy import stats

from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.context.resample import best_of
from forbear.stats.decision import decide
from forbear.stats.exact import exact_unconditional
from forbear.stats.regions import _bernstein_grid, _score_lattice, log_factorial

TASKS, ARMS, RESAMPLES = 200, 6, 10_000


def median_of(runs, call):
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def cold(call):
    def run():
        for cache in (_bernstein_grid, _score_lattice, log_factorial):
            cache.cache_clear()
        call()

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    rng = np.random.default_rng(0)
    chance = rng.random((TASKS, 1))
    baseline = (rng.random((TASKS, 5)) < chance).tolist()
    arms = {
        f"arm{k}": ClusteredOutcomes.from_outcomes(
            baseline=baseline, treated=(rng.random((TASKS, 5)) < chance).tolist()
        )
        for k in range(ARMS)
    }
    one = arms["arm0"]
    differences = np.array([sum(t) - sum(b) for b, t in zip(one.baseline, one.treated, strict=True)], dtype=float)
    pairs = PairedOutcomes(both_fail=150, recovered=60, disrupted=40, both_succeed=150)
    lines = [
        (f"best of {ARMS} arms, {RESAMPLES:,} resamples of {TASKS} tasks", lambda: best_of(arms, rng=rng)),
        (
            "  scipy.stats.bootstrap of one arm",
            lambda: stats.bootstrap((differences,), np.mean, n_resamples=RESAMPLES, rng=rng, batch=2000),
        ),
        (f"decide, {TASKS} tasks × 5 seeds", lambda: decide(one)),
        ("exact_unconditional, N = 400, margin 0, cold", cold(lambda: exact_unconditional(pairs))),
        ("exact_unconditional, N = 400, margin .02, cold", cold(lambda: exact_unconditional(pairs, margin=0.02))),
    ]
    for what, call in lines:
        print(f"{what:<52} {1000 * median_of(runs, call):9.2f} ms")


if __name__ == "__main__":
    main()
