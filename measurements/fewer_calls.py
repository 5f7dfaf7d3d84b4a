"""What two continuations, and strata of a log, save of the calls to a decision, on the household's players.

    nice python measurements/fewer_calls.py FOLDER [TASKS]

**Two continuations.** Runs one pilot of TASKS households (500) and two continuations for each player and each arm that
may be deployed, one at a time, in FOLDER (what is there is not run again). From its tasks 400 pilots of rising size are
drawn and run to the right verdict, at looks at every quarter with the watch and no stop for futility, as `forbear bench
--calls` does it: once with one of the two runs of each task, by the test of one pair per task, and once with both, by
the test of several seeds. Calls are the agent's, at the first size with power .8; `re-used`: those left where the
baseline's first run was paid for before.

**Strata.** Where the log says how many tasks fail and succeed among those on which the arm would act, only what happens
in them has to be seen: the variance of a task's difference, over that within the strata. `log of 1,000`: with what the
log itself leaves uncertain, for a pilot of 250 of its tasks. Then the exact test for known shares, which takes
the largest probability over every disruption rate (both binomials counted out), and the same with shares that are known
from a log alone: over every ratio of them in a 99.5 % interval, and .005 added (Berger & Boos 1994); and the size of
the former where shares of 1,000 logged tasks are taken for known (40 logs drawn).
"""

import asyncio
import logging
import math
import statistics
import sys
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import bdtr, ndtri
from scipy.stats import binom

from forbear.analysis.paired_runs import CALLS, paired_runs
from forbear.outcomes.paired import PairedOutcomes
from forbear.records.journal import Journal
from forbear.runner.pilot import run_pilot
from forbear.stats.dirichlet import Units, mean_pvalue
from forbear.stats.exact import exact_unconditional
from forbear.stats.looks.betting import log_growth
from forbear.stats.looks.looks import FEWEST_DISCORDANT, Looks, boundary_constant, fewest_discordant
from forbear.stats.looks.paths import stop_paths
from forbear.stats.looks.stopping import looks_share
from forbear.stats.looks.watch import watch_bets, watch_threshold
from forbear.stats.rule import DecisionRule
from forbear.worlds.household.bench import bench_plan
from forbear.worlds.household.players import PLAYERS

ARMS = ("u-rollback", "c-rollback", "u-append", "c-append", "charged", "restart")
SIZES = (50, 100, 150, 200, 250, 300, 400, 500, 650, 800, 1000, 1300, 1600, 2000, 2500)
PATHS, POWER, RULE = 400, 0.8, DecisionRule()


def continued(player, arm, folder, tasks):
    """By task and run: calls of the baseline that were paid for, and of the arm; the runs as they were alone."""
    plan = replace(bench_plan(player, arms=[arm], tasks=tasks, seeds=1), continuations=2)
    result = asyncio.run(run_pilot(plan, Journal(folder / player / arm)))
    record, rows = result.plan, []
    for task in record.tasks:
        runs = [[result.episodes[task.id, seed, name] for name in (record.baseline_arm, arm)] for seed in record.seeds]
        rows.append([[one.usage.agent.paid.calls for one in pair] for pair in runs])
    found = np.array(rows, dtype=float)
    return found[:, :, 0], found[:, :, 1], paired_runs(result, arm)


@cache
def score(counts, margin, alternative):
    """The quantile of the several seeds' p-value of such counts of -1, -1/2, 0, 1/2 and 1."""
    if sum(counts) - counts[2] < fewest_discordant(margin if alternative == "greater" else -margin, tasks=sum(counts)):
        return -math.inf
    units = Units.of(np.repeat([-1.0, -0.5, 0.0, 0.5, 1.0], counts))
    pvalue = mean_pvalue(units, margin=margin, alternative=alternative, weight=0.55)
    return -float(ndtri(min(max(pvalue, 1e-300), 1 - 1e-16)))


def stop_means(means, looks):
    """(intervene, forbear, tasks) of paths of mean differences over two runs."""
    values = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    which = np.searchsorted(values, means)
    never, paths = looks.planned + 1, len(means)
    helps_at, fails_at = np.full(paths, never), np.full(paths, never)
    helps = boundary_constant(looks, alpha=RULE.alpha, margin=RULE.margin)
    fails = boundary_constant(looks, alpha=looks_share(looks, RULE), margin=-RULE.worthwhile)
    for tasks, factor in zip(looks.tasks, looks.factors, strict=True):
        counts = np.stack([(which[:, :tasks] == value).sum(axis=1) for value in range(5)], axis=1)
        for path, row in enumerate(counts):
            key = tuple(row.tolist())
            if fails_at[path] == never and score(key, RULE.worthwhile, "less") >= fails * factor:
                fails_at[path] = tasks
            if helps_at[path] == never and score(key, RULE.margin, "greater") >= helps * factor:
                helps_at[path] = tasks
    bets = watch_bets(several_seeds=True)
    grown = log_growth(values, margin=RULE.worthwhile, alternative="less", bets=bets)
    threshold = watch_threshold(looks, alpha=RULE.harm_alpha, margin=RULE.worthwhile, several_seeds=True)
    wealth = np.stack([np.cumsum(one[which], axis=1) for one in grown.T], axis=-1)
    reached = bets.log_value(wealth) >= threshold
    fails_at = np.minimum(fails_at, np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, never))
    return (
        helps_at < fails_at,
        (fails_at <= helps_at) & (fails_at < never),
        np.minimum.reduce([helps_at, fails_at, np.full(paths, looks.planned)]),
    )


def calls_of(means, costs, *, gains, seed, single):
    """Mean tasks and calls (all; with the baseline there) at the first size with power .8; None where none has it."""
    rng, before = np.random.default_rng(seed), None
    for size in SIZES:
        drawn, looks = rng.integers(0, len(means), size=(PATHS, size)), Looks.for_tasks(size)
        if single:
            stopped = stop_paths(means[drawn].astype(np.int8), looks=looks, rule=RULE)
            intervene, forbear, tasks = stopped.intervene, stopped.forbear, stopped.tasks
        else:
            intervene, forbear, tasks = stop_means(means[drawn], looks)
        taken = np.arange(size)[None, :] < tasks[:, None]
        found = np.array([tasks.mean(), *((cost[drawn] * taken).sum(axis=1).mean() for cost in costs)])
        power = float((intervene if gains else forbear).mean())
        if power >= POWER:
            if before is not None and power > before[0]:
                found = before[1] + (POWER - before[0]) / (power - before[0]) * (found - before[1])
            return found
        before = power, found
    return None


def continuations(folder, tasks):
    print("| player | arm | tasks, K = 1 | K = 2 | calls | K = 2 | calls saved by K = 2 | re-used |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    saved, pairs = [], {}
    for player in PLAYERS:
        for arm in ARMS:
            baseline, treated, runs = continued(player, arm, folder, tasks)
            pairs[player, arm] = runs
            gains, seed = runs.gain > RULE.margin, zlib.crc32(f"{player} {arm}".encode())
            alone, added = runs.baseline_cost[..., CALLS].reshape(-1), runs.added_cost[..., CALLS].reshape(-1)
            one = calls_of(runs.changes.reshape(-1), (alone + added, added), gains=gains, seed=seed, single=True)
            more = treated.sum(axis=1) + baseline[:, 1]
            costs = (more + baseline[:, 0], more)
            two = calls_of(runs.changes.mean(axis=1), costs, gains=gains, seed=seed, single=False)
            if one is None or two is None:
                print(f"| {player} | {arm} | {'-' if one is None else round(one[0])} | - | - | - | - | - |", flush=True)
                continue
            saved.append(one[1:] / two[1:])
            print(
                f"| {player} | {arm} | {one[0]:.0f} | {two[0]:.0f} | {one[1]:,.0f} | {two[1]:,.0f} "
                f"| {saved[-1][0]:.2f} | {saved[-1][1]:.2f} |",
                flush=True,
            )
    both, reused = (sorted(values) for values in zip(*saved, strict=True))
    print(
        f"\nCalls of one run a task over those of two: median {statistics.median(both):.2f} ({both[0]:.2f} to "
        f"{both[-1]:.2f}) of {len(both)} rows; with the baseline's first run there {statistics.median(reused):.2f} "
        f"({reused[0]:.2f} to {reused[-1]:.2f}).\n"
    )
    return pairs


# --- Strata ---------------------------------------------------------------------------------------------------


def strata(pairs):
    """By row: the shares of tasks that fail, and succeed, among those where the arm acts; r and d there; the gain."""
    print(
        "| player | arm | fail, acted on | succeed, acted on | recovered | disrupted | variance saved | log of 1,000 |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    found = []
    for (player, arm), runs in pairs.items():
        changes, before = runs.changes[:, 0], runs.baseline[:, 0]
        acted = runs.added_cost[:, 0, CALLS] > 0
        shares = [(acted & ~before).mean(), (acted & before).mean()]
        r, d = (float(abs(changes[rows]).mean()) for rows in (acted & ~before, acted & before))
        gain = shares[0] * r - shares[1] * d
        within = shares[0] * r * (1 - r) + shares[1] * d * (1 - d)
        whole = shares[0] * r + shares[1] * d - gain**2
        found.append((whole / within, whole / (within + (whole - within) * 250 / 1000)))
        print(
            f"| {player} | {arm} | {shares[0]:.2f} | {shares[1]:.2f} | {r:.2f} | {d:.2f} "
            f"| {found[-1][0]:.2f} | {found[-1][1]:.2f} |"
        )
    known, of_log = (sorted(values) for values in zip(*found, strict=True))
    print(
        f"\nMedian {statistics.median(known):.2f} ({known[0]:.2f} to {known[-1]:.2f}) with known shares, "
        f"{statistics.median(of_log):.2f} ({of_log[0]:.2f} to {of_log[-1]:.2f}) with those of a log of 1,000.\n"
    )


def stratified_region(failing, succeeding, ratio, alpha):
    """The tables [C, B] that reject r ≤ ratio·d: all at least as far as the last, with worst case at most alpha.

    Ordered by the score statistic: the difference over its error at the likeliest rates with r = ratio·d.
    """
    c, b = np.arange(failing + 1.0)[:, None], np.arange(succeeding + 1.0)[None, :]
    first, second = ratio * (failing + succeeding), (c + b) * (1 + ratio) + ratio * (failing - c) + succeeding - b
    d = (second - np.sqrt(np.maximum(second**2 - 4 * first * (c + b), 0.0))) / (2 * first)
    error = np.sqrt(ratio * d * (1 - ratio * d) / failing + ratio**2 * d * (1 - d) / succeeding)
    z = (c / failing - ratio * b / succeeding) / np.maximum(error, 1e-12)
    z = np.where(c + b < FEWEST_DISCORDANT, -np.inf, z)
    order = np.argsort(-z, axis=None, kind="stable")
    rates = np.linspace(0, min(1.0, 1 / ratio), 201)
    tables = [
        binom.pmf(np.arange(failing + 1), failing, min(1.0, ratio * d))[:, None]
        * binom.pmf(np.arange(succeeding + 1), succeeding, d)[None, :]
        for d in rates
    ]
    grown = np.cumsum(np.stack([table.ravel()[order] for table in tables]), axis=1).max(axis=0)
    inside = np.zeros(len(order), dtype=bool)
    inside[order[: int(np.searchsorted(grown, alpha, side="right"))]] = True
    return inside.reshape(z.shape)


def chance(region, failing, succeeding, r, d):
    """Of a table in the region."""
    some = binom.pmf(np.arange(failing + 1), failing, r)
    return float(some @ region @ binom.pmf(np.arange(succeeding + 1), succeeding, d))


def paired_chance(tasks, shares, r, d, alpha):
    """Power of the test of one pair per task, which does not know the shares."""
    up, down = shares[0] * r, shares[1] * d
    total = 0.0
    for disrupted in range(tasks + 1):
        mass = binom.pmf(disrupted, tasks, down)
        if mass < 1e-9:
            continue
        least = critical(tasks, disrupted, alpha)
        total += mass * (1 - bdtr(least - 1, tasks - disrupted, up / (1 - down)))
    return total


@cache
def critical(tasks, disrupted, alpha):
    """Recovered pairs from which on the test rejects; one more than there can be where it never does."""
    low, high = disrupted, tasks - disrupted + 1
    while low < high:
        middle = (low + high) // 2
        pairs = PairedOutcomes(
            both_fail=tasks - disrupted - middle, recovered=middle, disrupted=disrupted, both_succeed=0
        )
        if exact_unconditional(pairs, margin=0.0, alternative="greater").pvalue <= alpha:
            high = middle
        else:
            low = middle + 1
    return low


def tests():
    print("| fail, acted on | succeed | r | d | tasks | one pair a task | known shares | of a log | log taken, size |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for shares, r, d in (((0.29, 0.26), 0.32, 0.07), ((0.29, 0.22), 0.25, 0.035), ((0.65, 0.26), 0.15, 0.20)):
        for tasks in (100, 200):
            failing, succeeding = (round(tasks * share) for share in shares)
            ratio = shares[1] / shares[0]
            # Of 1,000 logged tasks, the largest ratio in a one-sided 99.5 % interval.
            spread = math.sqrt(1 / (1000 * shares[0]) + 1 / (1000 * shares[1]))
            known = chance(stratified_region(failing, succeeding, ratio, 0.05), failing, succeeding, r, d)
            most = ratio * math.exp(2.576 * spread)
            guarded = chance(stratified_region(failing, succeeding, most, 0.045), failing, succeeding, r, d)
            plain = paired_chance(tasks, shares, r, d, 0.05)
            # The null nearest to the truth: as many disrupted as would cancel what is recovered.
            drawn = np.random.default_rng(tasks).normal(0.0, spread, size=40)
            regions = (stratified_region(failing, succeeding, ratio * math.exp(one), 0.05) for one in drawn)
            sizes = [chance(region, failing, succeeding, r, r / ratio) for region in regions]
            print(
                f"| {shares[0]} | {shares[1]} | {r} | {d} | {tasks} | {plain:.3f} | {known:.3f} | {guarded:.3f} "
                f"| {statistics.mean(sizes):.3f} |",
                flush=True,
            )


def main():
    logging.getLogger("forbear").setLevel(logging.ERROR)
    folder, tasks = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 500
    strata(continuations(folder, tasks))
    tests()


if __name__ == "__main__":
    main()
