"""Looks: constants, worst-case sizes, power, the watch, and how fast its process is; as markdown tables.

    python measurements/looks.py

Exact but for the medians of the watch (20,000 simulated pilots each) and the times. Three minutes on one core, most of
it for designs of 400 tasks and more and for the streams.
"""

import itertools
import math
import time
from dataclasses import replace

import numpy as np

from forbear import DecisionRule, Looks
from forbear.stats import AssumedEffect, EProcess, boundary_constant
from forbear.stats.looks.lattice import Tables, walk
from forbear.stats.looks.looks import crossing_probability, look_region
from forbear.stats.looks.stopping import looked_power
from forbear.stats.looks.watch import forbear_probability, watch_bets, watch_threshold

DESIGNS = [(50, 100), (50, 100, 200), (50, 100, 150, 200), (100, 200, 300, 400)]
LOOKS_ALONE = DecisionRule(harm_alpha=1e-9)


def constants():
    print("| looks | shape | hypothesis | alpha | constant | worst-case size |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    for tasks, shape, (margin, alpha) in itertools.product(
        DESIGNS, ("obrien-fleming", "pocock"), ((0.0, 0.05), (0.0, 0.025), (-0.02, 0.05), (-0.02, 0.025))
    ):
        looks = Looks(tasks=tasks, shape=shape)
        constant = boundary_constant(looks, alpha=alpha, margin=margin)
        size = crossing_probability(looks, constant, margin=margin)
        # A loss is tested as a gain of the other arm: the mirrored margin.
        hypothesis = "gain ≤ 0" if margin == 0 else "gain ≥ 2 pp"
        shown = ", ".join(map(str, tasks))
        print(f"| {shown} | {shape} | {hypothesis} | {alpha} | {constant:.4f} | {size:.5f} |")


def scaled():
    """Looks at more than 400 tasks take the constants of 400 and a little: the size that gives them, counted out."""
    print("\n| looks | hypothesis | alpha | constant used | worst-case size |")
    print("| --- | --- | ---: | ---: | ---: |")
    for planned, margin, alpha in itertools.product((600, 800), (0.0, -0.02, 0.02), (0.05, 0.025)):
        looks = Looks.for_tasks(planned)
        constant = boundary_constant(looks, alpha=alpha, margin=margin)
        regions = {
            n: look_region(n, at_least=constant * factor, margin=margin)
            for n, factor in zip(looks.tasks, looks.factors, strict=True)
        }
        crossed = [
            (reached, regions[reached.tasks])
            for reached in walk(first=looks.tasks[0], last=planned, stops=regions.get)
            if reached.tasks in regions
        ]
        hypothesis = {0.0: "gain ≤ 0", 0.02: "gain ≤ 2 pp"}.get(margin, "gain ≥ 2 pp")
        shown = ", ".join(map(str, looks.tasks))
        size = Tables.of(crossed).worst_case(margin)
        print(f"| {shown} | {hypothesis} | {alpha} | {constant:.4f} | {size:.5f} |")


def power():
    print("\n| looks | stops for | gain | discordance | INTERVENE | FORBEAR | futile | mean tasks |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    truths = [(0.10, 0.14), (0.10, 0.25), (0.0, 0.14), (0.02, 0.14), (-0.05, 0.14), (-0.05, 0.25), (-0.10, 0.14)]
    truths += [(-0.10, 0.25), (-0.255, 0.35)]
    for tasks, (gain, discordance) in itertools.product(((50, 100), (50, 100, 150, 200)), truths):
        for name, keywords, rule in (
            ("a gain alone", {"watch": False, "futility": 0.0}, LOOKS_ALONE),
            ("all but futility", {"futility": 0.0}, DecisionRule()),
            ("everything", {}, DecisionRule()),
        ):
            looks = Looks(tasks=tasks, **keywords)
            found = looked_power(AssumedEffect(gain=gain, discordance=discordance), looks=looks, rule=rule)
            print(
                f"| {', '.join(map(str, tasks))} | {name} | {gain} | {discordance} | {found.intervene:.3f} "
                f"| {found.forbear:.3f} | {found.futile:.3f} | {found.expected_tasks:.0f} |"
            )


def dense():
    """What more looks save at one planned size, and what they cost in power; how long their boundaries take."""
    print("\n| planned | looks | seconds | gain | discordance | INTERVENE | FORBEAR | mean tasks | without futility |")
    print("| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |")
    truths = [(0.05, 0.14), (0.05, 0.18), (0.10, 0.14), (0.10, 0.18), (0.0, 0.14), (-0.05, 0.14), (-0.10, 0.14)]
    for planned in (200, 400):
        for name, looks in (
            ("every quarter", Looks.for_tasks(planned)),
            ("every 25", Looks.every(25, tasks=planned)),
            ("every 10", Looks.every(10, tasks=planned)),
        ):
            began = time.process_time()
            boundary_constant(looks, alpha=0.05)
            boundary_constant(looks, alpha=0.025, margin=-0.02)
            watch_threshold(looks, alpha=0.05, margin=0.02)
            took = time.process_time() - began
            for gain, discordance in truths:
                effect = AssumedEffect(gain=gain, discordance=discordance)
                usual = looked_power(effect, looks=looks)
                never = looked_power(effect, looks=replace(looks, futility=0.0))
                print(
                    f"| {planned} | {name} | {took:.1f} | {gain} | {discordance} | {usual.intervene:.3f} "
                    f"| {usual.forbear:.3f} | {usual.expected_tasks:.0f} "
                    f"| {never.intervene:.3f} / {never.forbear:.3f} / {never.expected_tasks:.0f} |"
                )


def median_stop(threshold, *, gain, discordance, planned=200, pilots=20_000):
    """Tasks by which half of the pilots have been stopped by the watch alone."""
    rng = np.random.default_rng(20260205)
    up, down = (discordance + gain) / 2, (discordance - gain) / 2
    bets = watch_bets(several_seeds=False)
    process = EProcess(margin=0.02, alternative="less", streams=pilots, bets=bets)
    for task in range(1, planned + 1):
        chance = rng.random(pilots)
        process.update((chance < up) * 1.0 - ((chance >= up) & (chance < up + down)))
        if (process.log_peak >= threshold).mean() >= 0.5:
            return task
    return None


def watch():
    print("\n| looks | alpha | threshold log E | joint level at worst | median stop, 35 % | 27 % |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for tasks, alpha in itertools.product(((50,), *DESIGNS), (0.05, 0.025)):
        looks = Looks(tasks=tasks)
        threshold = watch_threshold(looks, alpha=alpha, margin=0.02)
        constant = boundary_constant(looks, alpha=alpha / 2, margin=-0.02)
        size = forbear_probability(looks, constant=constant, log_value=threshold, margin=0.02)
        medians = [median_stop(threshold, gain=-0.255, discordance=psi) for psi in (0.35, 0.27)]
        shown = ", ".join(map(str, tasks))
        print(f"| {shown} | {alpha} | {threshold:.3f} | {size:.4f} | {medians[0]} | {medians[1]} |")
    medians = [median_stop(math.log(40), gain=-0.255, discordance=psi) for psi in (0.35, 0.27)]
    print(f"| more than 400 tasks | 0.05 | {math.log(40):.3f} | below .05 | {medians[0]} | {medians[1]} |")


def speed():
    rng = np.random.default_rng(1)
    differences = rng.choice([-1.0, 0.0, 1.0], size=20_000, p=[0.1, 0.8, 0.1]).tolist()
    process, began = EProcess(), time.perf_counter()
    for difference in differences:
        process.update(difference)
    each = (time.perf_counter() - began) / len(differences)
    rows = rng.choice([-1.0, 0.0, 1.0], size=(100, 2000), p=[0.1, 0.8, 0.1])
    streams, began = EProcess(streams=2000), time.perf_counter()
    for step in range(20_000):
        streams.update(rows[step % 100])
    together = time.perf_counter() - began
    began = time.perf_counter()
    boundary_constant(Looks(tasks=(98, 196, 294, 392)), alpha=0.05, margin=-0.02)
    constant, began = time.perf_counter() - began, time.perf_counter()
    watch_threshold(Looks(tasks=(98, 196, 294, 392)), alpha=0.05, margin=0.02)
    threshold = time.perf_counter() - began
    print("\n| what | measured | target |")
    print("| --- | ---: | ---: |")
    print(f"| one `EProcess.update` | {1e6 * each:.1f} µs | < 20 µs |")
    print(f"| the constant of four looks at 392 tasks, the first time | {constant:.2f} s | < 0.5 s |")
    print(f"| the threshold of its watch, the first time | {threshold:.2f} s | < 2 s |")
    print(f"| 2,000 streams × 20,000 updates | {together:.1f} s | < 60 s |")


def main():
    constants()
    scaled()
    power()
    dense()
    watch()
    speed()


if __name__ == "__main__":
    main()
