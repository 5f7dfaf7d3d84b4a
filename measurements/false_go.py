"""How often does a 50-task pilot say "go" although the intervention does not help?

Usage: python measurements/false_go.py FOLDER [--pilots 1000] [--tasks 50] [--seed 20260]

FOLDER holds published paired outcomes of real agents (task_id, arm, seed, success; arms baseline and intervention).
Each file with one run per task and arm and at least 100 common tasks stands for a world whose truth is known: the gain
over all its tasks. From it, random pilots are drawn without replacement and decided by forbear's verdict at its default
rule, by the point rule "intervene if p > p*", and by the sign of the worth that stands beside the verdict (go where the
expected gain under its prior, net of the cost, is above 0). A go is false where the gain over all tasks is not above 0.
What a rule realises is, on average over pilots, the gain over all tasks less a cost of 2 points where it says go, and 0
where it does not. The prior was fitted on these files; "left out" fits it without the file's source (the first two
words of its name), as for a pilot of a kind that was not seen before.
"""

import argparse
import sys
import zlib
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from prior import fitted, source
from prior import pilots as published

import forbear as fb
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.context.prior import PUBLISHED, Prior
from forbear.stats.context.value import Costs, value_of

LEAST_TASKS = 100
COST = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One file: its full table and how its pilots were decided."""

    name: str
    full: PairedOutcomes
    verdicts: Counter[str]
    goes: dict[str, int]
    """By rule, how many pilots said go."""

    @property
    def gain(self) -> float:
        """Over all tasks, treated minus baseline; every world has tasks."""
        return self.full.success_gain or 0.0


@cache
def verdict(both_fail: int, recovered: int, disrupted: int, both_succeed: int) -> str:
    pairs = PairedOutcomes(both_fail=both_fail, recovered=recovered, disrupted=disrupted, both_succeed=both_succeed)
    return fb.decide(pairs).recommendation.value


def point_rule(both_fail: int, recovered: int, disrupted: int, both_succeed: int) -> bool:
    """p > p*, which in one sample is C > B; p* must be defined."""
    defined = both_fail + recovered > 0 and disrupted + both_succeed > 0
    return defined and recovered > disrupted


def worth(recovered: int, disrupted: int, pairs: int, prior: Prior) -> bool:
    """The value line's rule: the expected net gain is above 0."""
    costs = Costs(intervening=COST)
    value = value_of(recovered=recovered, disrupted=disrupted, pairs=pairs, prior=prior, costs=costs, next_tasks=())
    return value.pays


def run(path: Path, *, pilots: int, tasks: int, seed: int, others: Prior) -> World | None:
    """Draws and decides; None for a file with several seeds or too few tasks."""
    try:
        (pairing,) = fb.compare(fb.read_outcomes(path).table, treated="intervention")
    except fb.InvalidInput as error:
        if "several seeds" in str(error):
            return None
        raise
    full = pairing.pairs
    if full.pairs < LEAST_TASKS:
        return None
    cells = [full.both_fail, full.recovered, full.disrupted, full.both_succeed]
    # The counts of a random subset of tasks are multivariate hypergeometric. One stream per file, whatever its place.
    rng = np.random.default_rng([seed, zlib.crc32(path.name.encode())])
    tables = rng.multivariate_hypergeometric(cells, tasks, size=pilots).tolist()
    verdicts = Counter(verdict(*table) for table in tables)
    seen = Counter((c, b) for _, c, b, _ in tables)
    goes = {"INTERVENE": verdicts["INTERVENE"], "p > p*": sum(point_rule(*table) for table in tables)}
    for name, prior in (("worth > 0", PUBLISHED), ("worth > 0, left out", others)):
        goes[name] = sum(times for (c, b), times in seen.items() if worth(c, b, tasks, prior))
    return World(name=path.stem, full=full, verdicts=verdicts, goes=goes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pilots", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20260)
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.csv"))
    if not files:
        sys.exit(f"error: no CSV file in {options.folder}; give the folder with the paired outcomes.")
    tables = published(options.folder)
    others = {}
    for name in {source(name) for name in tables}:
        up, down, alike = fitted([table for other, table in tables.items() if source(other) != name])
        others[name] = Prior(recovered=up, disrupted=down, alike=alike, source="the other sources")
    found = [
        run(path, pilots=options.pilots, tasks=options.tasks, seed=options.seed, others=others[source(path.stem)])
        for path in files
        if path.stem in tables
    ]
    worlds = sorted((world for world in found if world), key=lambda world: world.gain)
    print(
        f"{len(worlds)} of {len(files)} files have one run per task and arm and at least {LEAST_TASKS} tasks; "
        f"{options.pilots:,} pilots of {options.tasks} tasks each, seed {options.seed}."
    )
    print()
    print("| no gain over all tasks | tasks | recovered | disrupted | gain | INTERVENE | p > p* |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for world in worlds:
        if world.gain <= 0:
            print(
                f"| {world.name} | {world.full.pairs} | {world.full.recovered} | {world.full.disrupted} "
                f"| {100 * world.gain:+.1f} pp | {world.verdicts['INTERVENE'] / options.pilots:.1%} "
                f"| {world.goes['p > p*'] / options.pilots:.1%} |"
            )
    print()
    print("| pilots drawn from | files | pilots | INTERVENE | p > p* | FORBEAR | UNDECIDED |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    groups = {
        "no gain (every go is false)": [w for w in worlds if w.gain <= 0],
        "a gain up to 2 pp": [w for w in worlds if 0 < w.gain < 0.02],
        "a gain of 2 to 10 pp": [w for w in worlds if 0.02 <= w.gain < 0.1],
        "a gain of 10 pp or more": [w for w in worlds if w.gain >= 0.1],
    }
    for name, group in groups.items():
        pilots = len(group) * options.pilots
        total = sum((world.verdicts for world in group), Counter())
        point = sum(world.goes["p > p*"] for world in group)
        if pilots:
            print(
                f"| {name} | {len(group)} | {pilots:,} | {total['INTERVENE']:,} ({total['INTERVENE'] / pilots:.1%}) "
                f"| {point:,} ({point / pilots:.1%}) | {total['FORBEAR']:,} | {total['UNDECIDED']:,} |"
            )
    print()
    print(f"| rule | false goes | goes where the gain is 2 pp or more | realised gain net of {100 * COST:g} pp |")
    print("| --- | ---: | ---: | ---: |")
    useless, useful = ([w for w in worlds if chosen(w.gain)] for chosen in (lambda g: g <= 0, lambda g: g >= COST))
    for rule in ("INTERVENE", "p > p*", "worth > 0", "worth > 0, left out"):
        false, right = (sum(w.goes[rule] for w in group) / options.pilots / len(group) for group in (useless, useful))
        realised = sum(w.goes[rule] / options.pilots * (w.gain - COST) for w in worlds) / len(worlds)
        print(f"| {rule} | {false:.1%} | {right:.1%} | {100 * realised:+.2f} pp |")
    best = sum(max(0.0, w.gain - COST) for w in worlds) / len(worlds)
    print(f"| whoever knew the truth | 0.0% | 100.0% | {100 * best:+.2f} pp |")


if __name__ == "__main__":
    main()
