"""The section of docs/results.md on real ALFWorld games: runs the bench where it is not done, and writes its tables.

    python measurements/alfworld_results.py [--data PATH] [--journal runs/alfworld-full] [--write docs/results.md]

The games are third-party data: without --data and $ALFWORLD_DATA, ../shared/data/alfworld is looked for, and where that
is absent too it says so and leaves the section as it is. What stands between the two marks in the file is replaced.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from bench_results import auroc, put, table

from forbear.report import bench_view
from forbear.wording import percent, points, points_interval

BEGIN, END = "<!-- alfworld: measured -->", "<!-- alfworld: end -->"
SHARED = Path("../shared/data/alfworld/valid_seen.jsonl.gz")
SHOWN = ("c-rollback", "c-append", "charged", "restart", "rerun", "best-of-2", "best-of-4")
"""Arms of the table that has all agents in it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--journal", type=Path, default=Path("runs/alfworld-full"))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    data = options.data or (SHARED if SHARED.exists() and not os.environ.get("ALFWORLD_DATA") else None)
    if data is None and not os.environ.get("ALFWORLD_DATA"):
        print("real ALFWorld games are left out: they are not here (set ALFWORLD_DATA, or --data).", file=sys.stderr)
        return
    command = [sys.executable, "-m", "forbear", "bench", "alfworld", "--json", f"--workers={options.workers}"]
    command += [f"--journal={options.journal}", *([] if data is None else [f"--data={data}"])]
    view = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    text = "\n".join([*overview(view), *outcomes(view)])
    put(text, options.write, begin=BEGIN, end=END)


def overview(view: bench_view.BenchView) -> Iterable[str]:
    """A row an agent: its success, its critic, and the gain of some arms with its interval."""
    rows = []
    for one in view["agents"]:
        found = {row["arm"]: row for row in one["rows"]}
        rows.append((one["agent"], percent(one["success"]["value"]), auroc(one), *(gain(found[arm]) for arm in SHOWN)))
    yield from table(("agent", "alone", "AUROC", *SHOWN), rows)


def outcomes(view: bench_view.BenchView) -> Iterable[str]:
    """Of each agent every arm, and what its critic adds to the same sentences at random moments."""
    for one in view["agents"]:
        yield f"### {one['agent']}, on real games\n"
        yield from table(bench_view.OUTCOMES, [bench_view.outcome_cells(row) for row in one["rows"]])
        yield "  \n".join(bench_view.against_blind(one["rows"])) + "\n"


def gain(row: bench_view.RowView) -> str:
    found = row["success_gain"]
    sure = "*" if row["recommendation"] == "INTERVENE" or row["harmful"] else ""
    between = points_interval(found["low"], found["high"], unit="")
    return f"{points(found['value'], unit='')}{sure} ({between})"


if __name__ == "__main__":
    main()
