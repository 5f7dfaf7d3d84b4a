"""Six useless arms that share a baseline: how often any of them is said to be harmful, or to help.

    python measurements/useless_arms.py [PILOTS]

Baseline success .6; in a share .3 of 50 tasks an arm draws afresh. Holm keeps both rates at .05 over the arms; FORBEAR
is judged arm by arm, on purpose, and is printed for comparison.
"""

import math
import sys

import numpy as np

from forbear import decide_arms
from forbear.outcomes.paired import PairedOutcomes

ARMS = 6


def main() -> None:
    pilots = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("| tasks | any harmful | any INTERVENE | any FORBEAR | standard error at .05 |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for tasks in (50,):
        rng, said = np.random.default_rng([13, tasks]), np.zeros(3)
        for _ in range(pilots):
            baseline = rng.random(tasks) < 0.6
            arms = {}
            for arm in range(ARMS):
                treated = np.where(rng.random(tasks) < 0.3, rng.random(tasks) < 0.6, baseline)
                arms[f"arm{arm}"] = PairedOutcomes.from_outcomes(baseline=baseline.tolist(), treated=treated.tolist())
            verdicts = decide_arms(arms).values()
            said += [
                any(verdict.harmful for verdict in verdicts),
                *(any(v.recommendation.value == word for v in verdicts) for word in ("INTERVENE", "FORBEAR")),
            ]
        cells = " | ".join(f"{count / pilots:.3f}" for count in said)
        print(f"| {tasks} | {cells} | {math.sqrt(0.05 * 0.95 / pilots):.3f} |", flush=True)


if __name__ == "__main__":
    main()
