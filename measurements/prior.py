"""Fits the prior of the value line: how gains and losses are spread over published pilots.

Usage: python measurements/prior.py FOLDER

FOLDER holds published paired outcomes of real agents, one pilot a file (task_id, arm, seed, success; arms baseline and
intervention). The shares of recovered, disrupted and alike tasks of a pilot are taken as a draw from one Dirichlet
distribution; its three numbers are the maximum of the Dirichlet-multinomial likelihood over all files with one run per
task and arm. Several files share an agent or its tasks, so that there is less to learn from than files. The last lines
leave out one source at a time: what the prior would have been without it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

import forbear as fb
from forbear.outcomes.paired import PairedOutcomes


def pilots(folder: Path) -> dict[str, PairedOutcomes]:
    """By the name of the file; those with several seeds are left out."""
    found = {}
    for path in sorted(folder.glob("*.csv")):
        try:
            (pairing,) = fb.compare(fb.read_outcomes(path).table, treated="intervention")
        except fb.InvalidInput as error:
            if "several seeds" not in str(error):
                raise
            continue
        if isinstance(pairing.pairs, PairedOutcomes):
            found[path.stem] = pairing.pairs
    return found


def fitted(tables: Sequence[PairedOutcomes]) -> tuple[float, float, float]:
    """Pseudo-counts of recovered, disrupted and alike tasks."""
    counts = np.array([(t.recovered, t.disrupted, t.both_fail + t.both_succeed) for t in tables], dtype=float)

    def loss(logs: np.ndarray) -> float:
        a = np.exp(logs)
        each = gammaln(a.sum()) - gammaln(a.sum() + counts.sum(axis=1))
        each += (gammaln(counts + a) - gammaln(a)).sum(axis=1)
        return -float(each.sum())

    best = minimize(loss, np.log([2.0, 1.0, 10.0]), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9})
    up, down, same = np.exp(best.x).tolist()
    return up, down, same


def source(name: str) -> str:
    """What a file was made from: the first two words of its name."""
    return "_".join(name.split("_")[:2])


def line(name: str, tables: Sequence[PairedOutcomes]) -> str:
    up, down, same = fitted(tables)
    total = up + down + same
    gain, losses = (up - down) / total, down / total
    spread = ((up + down) / total - gain**2) / (total + 1)
    return (
        f"{name:<24} {len(tables):>4} {up:>9.3f} {down:>9.3f} {same:>9.3f}   mean gain {100 * gain:+.1f} pp, "
        f"sd {100 * spread**0.5:.1f} pp, disrupted {100 * losses:.1f} %"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    found = pilots(parser.parse_args().folder)
    if not found:
        sys.exit("error: no CSV file with one run per task and arm; give the folder with the paired outcomes.")
    print(f"{'pilots':<24} {'n':>4} {'recovered':>9} {'disrupted':>9} {'alike':>9}")
    print(line("all", list(found.values())))
    for left_out in sorted({source(name) for name in found}):
        print(line(f"without {left_out}", [table for name, table in found.items() if source(name) != left_out]))


if __name__ == "__main__":
    main()
