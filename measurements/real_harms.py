"""How often the default looks end in each verdict where published critics are the truth, futility included.

    python measurements/real_harms.py FOLDER

FOLDER holds published paired outcomes of real agents, one pilot a file, as measurements/prior.py reads them. A file's
gain and discordance are the truth of one arm with one run per task; the probabilities are exact. Printed for the files
named mint_*: losses of 10 points or more, smaller losses, none, and gains.
"""

import sys
from pathlib import Path

import numpy as np
from prior import pilots

from forbear.stats import AssumedEffect, Looks, looked_power

GROUPS = {
    "-10 points or worse": (-1.0, -0.1),
    "-10 to -2": (-0.1, -0.02),
    "-2 to +2": (-0.02, 0.02),
    "gains": (0.02, 1),
}


def main() -> None:
    tables = [pairs for name, pairs in pilots(Path(sys.argv[1])).items() if name.startswith("mint_")]
    print("| truth | files | INTERVENE | FORBEAR | least FORBEAR | mean tasks |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for group, (low, high) in GROUPS.items():
        truths = [AssumedEffect(gain=t.success_gain, discordance=t.discordant / t.pairs) for t in tables]
        chosen = [looked_power(truth, looks=Looks()) for truth in truths if low < truth.gain <= high]
        if chosen:
            went, held = [found.intervene for found in chosen], [found.forbear for found in chosen]
            tasks = np.mean([found.expected_tasks for found in chosen])
            cells = f"{np.mean(went):.3f} | {np.mean(held):.3f} | {min(held):.3f} | {tasks:.0f}"
            print(f"| {group} | {len(chosen)} | {cells} |")


if __name__ == "__main__":
    main()
