"""Size and power of the rules for runs without an outcome, simulated; docs/methods.md shows its output.

    python measurements/missing.py

One truth's standard error is .0015 at 5 % (20,000 pilots). About a minute on one core.
"""

import itertools
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import simulated_missing as many

PILOTS = 20_000
RULES = ("exclude", "excess", "worst")


def main() -> None:
    rng = np.random.default_rng(13)
    for tasks in (100, 200):
        print(f"{tasks} tasks: size at .05, the largest over failure rates .3-.7 and discordances .1-.3 without a gain")
        print(f"{'lost':48s}" + "".join(f"{rule:>10s}" for rule in RULES))
        for name, loss in many.LOSSES.items():
            worst = dict.fromkeys(RULES, 0.0)
            for failure_rate, discordance in itertools.product((0.3, 0.5, 0.7), (0.1, 0.18, 0.3)):
                drawn = many.draw(
                    rng,
                    tasks=tasks,
                    gain=0.0,
                    discordance=discordance,
                    failure_rate=failure_rate,
                    loss=loss,
                    pilots=PILOTS,
                )
                for rule, said in many.intervenes(drawn).items():
                    worst[rule] = max(worst[rule], float(said.mean()))
            print(f"{name:48s}" + "".join(f"{worst[rule]:10.3f}" for rule in RULES), flush=True)
        print(f"\n{tasks} tasks: power, gain +12, discordance .18, failure rate .42")
        for name, loss in many.LOSSES.items():
            drawn = many.draw(
                rng, tasks=tasks, gain=0.12, discordance=0.18, failure_rate=0.42, loss=loss, pilots=PILOTS
            )
            said = many.intervenes(drawn)
            print(f"{name:48s}" + "".join(f"{said[rule].mean():10.3f}" for rule in RULES), flush=True)
        print()


if __name__ == "__main__":
    main()
