"""How often looks at graded scores say INTERVENE where there is no gain, and where there is one.

Usage: python measurements/graded_looks.py [--pilots 300]

100 tasks, one score a task and arm, looks at 25, 50, 75 and 100: the p-value of each look is held against the boundary.
"""

import argparse
import math

import numpy as np
from numpy.typing import NDArray

from forbear.stats.looks.looks import Looks
from forbear.stats.looks.sequential import Sequential, sequential_outcomes
from forbear.stats.rule import DecisionRule

LOOKS = Looks(tasks=(25, 50, 75, 100))
Scores = NDArray[np.float64]


def scores(rng: np.random.Generator, truth: str) -> tuple[Scores, Scores]:
    """Of the baseline and the treated arm, by task."""
    tasks = LOOKS.planned
    before = rng.uniform(0.3, 0.7, tasks)
    if truth == "both arms alike":
        return rng.beta(2, 2, tasks), rng.beta(2, 2, tasks)
    if truth == "small changes":
        return before, before + rng.uniform(-0.1, 0.1, tasks)
    if truth == "3 % lose all, the others gain":
        return before, np.where(rng.random(tasks) < 0.03, 0.0, before + 0.5 * 0.03 / 0.97)
    if truth == "8 % lose half, the others gain":
        return before, np.where(rng.random(tasks) < 0.08, before / 2, before + 0.25 * 0.08 / 0.92)
    return before, np.clip(before + rng.normal(0.06, 0.2, tasks), 0, 1)


def says_intervene(before: Scores, after: Scores) -> bool:
    """At one of the looks."""
    for tasks in LOOKS.tasks:
        first = [[score] for score in before[:tasks].tolist()], [[score] for score in after[:tasks].tolist()]
        outcomes, _ = sequential_outcomes(baseline=first[0], treated=first[1], looks=LOOKS, graded=True)
        assert outcomes is not None, "every run has a score"
        if Sequential(outcomes, DecisionRule()).pvalue(0.0, "greater") <= DecisionRule().alpha:
            return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilots", type=int, default=300)
    pilots = parser.parse_args().pilots
    truths = ("both arms alike", "small changes", "3 % lose all, the others gain", "8 % lose half, the others gain")
    for truth in (*truths, "gain of 6 points, spread .2"):
        rng = np.random.default_rng(5)
        share = sum(says_intervene(*scores(rng, truth)) for _ in range(pilots)) / pilots
        print(f"{truth:<34}{share:.3f} ({math.sqrt(share * (1 - share) / pilots):.3f})", flush=True)


if __name__ == "__main__":
    main()
