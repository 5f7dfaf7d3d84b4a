"""What a verdict on a table of ten million rows takes: seconds of CPU and of the clock, and memory at its peak.

    python measurements/large_tables.py [ROWS] [SHAPE ...]

Shapes: `tasks` (one run per task and arm), `seeds` (five runs), `holes` (one run, one in a hundred without an outcome).
Files are written to a temporary folder; each verdict is a process of its own.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

VERDICT = """
import resource, sys, time
from forbear.cli.main import run
code = run(["decide", sys.argv[1], "--json"])
used = resource.getrusage(resource.RUSAGE_SELF)
print(code, used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20, file=sys.stderr)
"""


def table(rows: int, shape: str) -> pa.Table:
    rng = np.random.default_rng(1)
    seeds = 5 if shape == "seeds" else 1
    tasks = rows // (2 * seeds)
    task = np.tile(np.repeat(np.arange(tasks), seeds), 2)
    arm = np.repeat(np.array(["baseline", "rollback"]), tasks * seeds)
    rate = np.repeat(rng.beta(1, 1, tasks), seeds)
    won = rng.random((2, tasks * seeds)) < np.stack([rate, rate + 0.01])
    words = np.where(won.ravel(), "1", "0").astype("U5")
    if shape == "holes":
        words[rng.random(rows) < 0.01] = "error"
    order = rng.permutation(rows)
    names = pa.array([f"repo__{i}" for i in range(tasks)])
    return pa.table(
        {
            "task_id": names.take(pa.array(task[order])),
            "arm": arm[order],
            "seed": np.tile(np.arange(seeds), 2 * tasks)[order],
            "success": words[order],
        }
    )


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    shapes = sys.argv[2:] or ["tasks", "seeds", "holes"]
    print(f"{'shape':<6} {'file':<8} {'MiB':>5} {'CPU s':>6} {'clock s':>7} {'GiB':>5}")
    with tempfile.TemporaryDirectory() as folder:
        for shape in shapes:
            made = table(rows, shape)
            for kind in ("parquet", "csv"):
                path = Path(folder) / f"x.{kind}"
                parquet.write_table(made, path) if kind == "parquet" else csv.write_csv(made, path)
                begun = time.monotonic()
                done = subprocess.run([sys.executable, "-c", VERDICT, str(path)], capture_output=True, text=True)
                clock = time.monotonic() - begun
                code, cpu, peak = done.stderr.splitlines()[-1].split()
                if code != "0":
                    sys.exit(done.stderr)
                size = path.stat().st_size / 2**20
                print(
                    f"{shape:<6} {kind:<8} {size:>5.0f} {float(cpu):>6.1f} {clock:>7.1f} {float(peak):>5.2f}",
                    flush=True,
                )
                path.unlink()
            del made
    print(f"writing took {resource.getrusage(resource.RUSAGE_SELF).ru_utime:.0f} s")


if __name__ == "__main__":
    main()
