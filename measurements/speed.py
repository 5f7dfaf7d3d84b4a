"""How long things take: imports, the command, one verdict, a million pairs.

Usage: python measurements/speed.py [--pairs 1000000] [--runs 5]

Every figure is a median of fresh processes, wall time unless it says CPU. Figures depend on the machine; the last
table therefore also gives the ratio to what Python's own csv module needs to walk over the same file.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

DECIDE = """
import time
from forbear.stats.decision import decide
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.rule import DecisionRule
rule = DecisionRule(margin={4}, worthwhile=max({4}, 0.02))
pairs = PairedOutcomes(both_fail={0}, recovered={1}, disrupted={2}, both_succeed={3})
start, busy = time.perf_counter(), time.process_time()
decide(pairs, rule)
print(time.perf_counter() - start, time.process_time() - busy)
"""
MARGINS = (0.0, 0.02, 0.05, -0.02)
PLAIN = (
    (300, 100, 16, 170),  # 586 pairs
    (580, 1, 3, 2),
    (500, 100, 16, 370),
    (800, 200, 16, 900),
    (1000, 2, 9, 989),
    (800, 140, 60, 1000),
    (900, 80, 60, 960),
    (0, 0, 2000, 0),
    (100, 933, 57, 910),
    (4000, 900, 700, 4400),
)
"""Both fail, recovered, disrupted, both succeed."""
READ = """
import resource, sys, time
from forbear.adapters.formats.tabular import read_outcomes
from forbear.analysis.pairing import compare
from forbear.stats.decision import decide
start, busy = time.perf_counter(), time.process_time()
(pairing,) = compare(read_outcomes(sys.argv[1]).table)
paired = time.perf_counter()
decide(pairing.pairs)
end, busy = time.perf_counter(), time.process_time() - busy
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(paired - start, end - start, busy, peak / (1 << 20 if sys.platform != "darwin" else 1 << 30))
"""
WALK = """
import csv, sys, time
start = time.perf_counter()
with open(sys.argv[1], newline="") as file:
    for _ in csv.reader(file):
        pass
print(time.perf_counter() - start)
"""


def seconds(command: Sequence[str], *, runs: int) -> float:
    """Median wall time of a process."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment())
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def figures(code: str, *arguments: str, runs: int) -> list[float]:
    """Medians of what a script prints."""
    printed = []
    for _ in range(runs):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment())
        printed.append([float(x) for x in done.stdout.split()])
    return [statistics.median(column) for column in zip(*printed, strict=True)]


def environment() -> dict[str, str]:
    one = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {**os.environ, **dict.fromkeys(one, "1")}


def write_pilots(folder: Path, pairs: int) -> dict[str, Path]:
    """The same outcomes with their rows in three orders."""
    rng = np.random.default_rng(1)
    before = rng.random(pairs) < 0.6
    after = before ^ (rng.random(pairs) < 0.18)
    rows = {
        arm: [f"task_{i:07d},{arm},0,{int(success)}\n" for i, success in enumerate(outcomes.tolist())]
        for arm, outcomes in (("baseline", before), ("rollback", after))
    }
    blocks = rows["baseline"] + rows["rollback"]
    orders = {
        "arm by arm": blocks,
        "task by task": [row for pair in zip(rows["baseline"], rows["rollback"], strict=True) for row in pair],
        "shuffled": [blocks[i] for i in rng.permutation(len(blocks)).tolist()],
    }
    paths = {}
    for order, lines in orders.items():
        paths[order] = folder / f"{order.replace(' ', '_')}.csv"
        paths[order].write_text("task_id,arm,seed,success\n" + "".join(lines))
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    runs, python = options.runs, sys.executable
    print(
        f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}, median of {runs} processes"
    )
    print()
    empty = seconds([python, "-c", "pass"], runs=runs)
    imported = seconds([python, "-c", "import forbear"], runs=runs)
    print(f"{'import forbear (beyond starting Python)':<46}{imported - empty:8.3f} s")
    command = [python, "-m", "forbear", "decide", "--counts", "35,7,11,47"]
    print(f"{'forbear decide --counts 35,7,11,47, a process':<46}{seconds(command, runs=runs):8.3f} s")
    for n, counts in ((100, (35, 7, 11, 47)), (400, (140, 28, 44, 188))):
        cold, _ = figures(DECIDE.format(*counts, 0.0), runs=runs)
        print(f"{f'decide, N = {n}, first call in a process':<46}{1000 * cold:8.1f} ms")
    print()
    print("CPU of a verdict, first call in a process: plain and hard tables, by margin")
    print(" " * 24 + "".join(f"{margin:>11}" for margin in MARGINS))
    for counts in PLAIN:
        busy = [figures(DECIDE.format(*counts, margin), runs=runs)[1] for margin in MARGINS]
        print(f"{','.join(map(str, counts)):<24}" + "".join(f"{one:>9.3f} s" for one in busy))
    print()
    headings = ("read + pair", "+ decide", "of it CPU", "csv module", "ratio", "memory", "command")
    print(f"{options.pairs:,} pairs, rows".ljust(24) + "".join(f"{heading:>13}" for heading in headings))
    with tempfile.TemporaryDirectory() as folder:
        for order, path in write_pilots(Path(folder), options.pairs).items():
            paired, decided, busy, peak = figures(READ, str(path), runs=runs)
            (walk,) = figures(WALK, str(path), runs=runs)
            whole = seconds([python, "-m", "forbear", "decide", str(path)], runs=runs)
            times = [f"{value:.3f} s" for value in (paired, decided, busy, walk)]
            cells = [*times, f"{decided / walk:.2f}", f"{peak:.2f} GiB", f"{whole:.3f} s"]
            print(order.ljust(24) + "".join(f"{cell:>13}" for cell in cells))


if __name__ == "__main__":
    main()
