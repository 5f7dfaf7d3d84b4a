"""Many pilots with looks at once, run task by task as a user would: the watch, the looks, futility; a stop is final.

Everything is arrays of pilots × arms (× tasks). The constants of the design are the package's, what is done with them
is written out; tests/statistical/test_looks.py holds it against `decide` and `decide_arms`.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

import simulated
from forbear import ClusteredOutcomes, DecisionRule, Looks
from forbear.stats import EProcess, boundary_constant
from forbear.stats.intervals import tango_statistic
from forbear.stats.looks.betting import Bets
from forbear.stats.looks.stopping import StoppingRule, is_futile
from forbear.stats.looks.watch import watch_bets, watch_threshold


def draw_effects(
    rng: np.random.Generator,
    *,
    pilots: int,
    tasks: int,
    seeds: int,
    gain: float,
    discordance: float,
    agreement: float = 0.0,
) -> np.ndarray:
    """Differences, pilots × 1 arm × tasks × seeds; the seeds of a share `agreement` of the tasks always agree."""
    up, down = (discordance + gain) / 2, (discordance - gain) / 2
    shape = (pilots, 1, tasks)
    alike = rng.random((*shape, 1)) < agreement
    chance = np.where(alike, rng.random((*shape, 1)), rng.random((*shape, seeds)))
    return (chance < up).astype(int) - ((chance >= up) & (chance < up + down)).astype(int)


def draw_arms(rng: np.random.Generator, *, pilots: int, tasks: int, arms: list[tuple[float, float]]) -> np.ndarray:
    """Differences, pilots × arms × tasks × 1 seed, of arms (gain, discordance) that share a baseline of rate ½."""
    failed = rng.random((pilots, tasks)) < 0.5
    found = []
    for gain, discordance in arms:
        flip = rng.random((pilots, tasks)) < np.where(failed, discordance + gain, discordance - gain)
        found.append(np.where(failed, 1, -1) * flip)
    return np.stack(found, axis=1)[..., None]


@dataclass
class Course:
    """What became of pilots × arms."""

    stopped: np.ndarray
    """Tasks at the stop."""
    verdict: np.ndarray
    """"intervene", "forbear", "futile" or "undecided"."""
    harmful: np.ndarray


def statistic(effects: np.ndarray, margin: float, alternative: str = "greater") -> np.ndarray:
    """z of each pilot (pilots × tasks × seeds) against Δ = margin, in the direction of the alternative."""
    _, tasks, seeds = effects.shape
    if seeds == 1:
        recovered, disrupted = ((effects == sign).sum(axis=(1, 2)) * 1.0 for sign in (1, -1))
        z = tango_statistic(recovered, disrupted, n=tasks, gain=margin)
        return z if alternative == "greater" else -z
    differences = effects.sum(axis=2)
    counts = np.stack([(differences == d).sum(axis=1) for d in range(-seeds, seeds + 1)], axis=1)
    return stats.norm.isf(simulated.lattice_pvalues(counts, seeds, margin=margin, alternative=alternative))


def watched(effects: np.ndarray, margin: float, alternative: str = "less", bets: Bets | None = None) -> np.ndarray:
    """log E against Δ ≥ margin (or ≤) after every task, pilots × tasks; by the bets of the watch, or others."""
    pilots, tasks, seeds = effects.shape
    staked = watch_bets(several_seeds=seeds > 1) if bets is None else bets
    process = EProcess(margin=margin, alternative=alternative, streams=pilots, bets=staked)
    means, found = effects.mean(axis=2), np.empty((pilots, tasks))
    for task in range(tasks):
        process.update(means[:, task])
        found[:, task] = process.log_value
    return found


def outcomes(effects: np.ndarray) -> tuple[list[list[bool]], list[list[bool]]]:
    """Baseline and treated of one pilot's arm (tasks × seeds); pairs that do not differ succeed and fail in turn."""
    even = (np.arange(effects.size) % 2 == 0).reshape(effects.shape)
    baseline = np.where(effects == 0, even, effects == -1)
    return baseline.tolist(), np.where(effects == 0, even, effects == 1).tolist()


def run(effects: np.ndarray, looks: Looks, rule: DecisionRule) -> Course:
    """Stops every arm of every pilot; an arm that has stopped stays in Holm's family with the data it had."""
    pilots, arms, tasks, seeds = effects.shape
    harm = rule.harm_alpha / 2
    helps = [boundary_constant(looks, alpha=rule.alpha / k, margin=rule.margin) for k in range(arms, 0, -1)]
    harms = {m: boundary_constant(looks, alpha=harm, margin=-m) for m in (rule.worthwhile, 0.0)}
    levels = {
        m: watch_threshold(looks, alpha=rule.harm_alpha, margin=m, several_seeds=seeds > 1)
        for m in (rule.worthwhile, 0.0)
    }
    wealth = {m: np.stack([watched(effects[:, a], m) for a in range(arms)], axis=1) for m in levels}
    course = Course(
        stopped=np.full((pilots, arms), tasks),
        verdict=np.full((pilots, arms), "undecided", dtype=object),
        harmful=np.zeros((pilots, arms), dtype=bool),
    )
    going = np.ones((pilots, arms), dtype=bool)
    best = np.full((pilots, arms), -np.inf)
    worst = {m: np.full((pilots, arms), -np.inf) for m in harms}
    design = StoppingRule(looks, rule)

    def stop(which: np.ndarray, verdict: str, after: int) -> None:
        now = which & going
        course.verdict[now], course.stopped[now] = verdict, after
        if verdict == "forbear":
            seen = wealth[0.0][:, :, :after].max(axis=2) >= levels[0.0]
            course.harmful[now] = (seen | (worst[0.0] >= harms[0.0]))[now]
        going[now] = False

    for after in range(1, tasks + 1):
        by_watch = wealth[rule.worthwhile][:, :, after - 1] >= levels[rule.worthwhile] - 1e-9
        if after not in looks.tasks:
            stop(by_watch, "forbear", after)
            continue
        factor = looks.factors[looks.tasks.index(after)]
        for arm in range(arms):
            data, alive = effects[:, arm, :after], going[:, arm]
            enough = ((data != 0).any(axis=2).sum(axis=1) >= 4) & alive
            z = statistic(data, rule.margin)
            best[enough, arm] = np.maximum(best[enough, arm], z[enough] / factor)
            for m in harms:
                z = statistic(data, m, "less")
                counts = enough if m <= 0 else alive
                worst[m][counts, arm] = np.maximum(worst[m][counts, arm], z[counts] / factor)
        stop(by_watch | (worst[rule.worthwhile] >= harms[rule.worthwhile] - 1e-9), "forbear", after)
        stop(_rejected(best, helps), "intervene", after)
        if after < tasks and looks.futility:
            stop(_futile(effects[:, :, :after], going, looks, rule, design), "futile", after)
    return course


def _rejected(best: np.ndarray, helps: list[float]) -> np.ndarray:
    """Holm's steps: the strongest evidence has to meet α over the number of arms, the next one over one less."""
    rejected = np.zeros(best.shape, dtype=bool)
    order, still = np.argsort(-best, axis=1), np.ones(len(best), dtype=bool)
    for step, constant in enumerate(helps):
        arm = order[:, step]
        still &= best[np.arange(len(best)), arm] >= constant - 1e-9
        rejected[np.arange(len(best)), arm] |= still
    return rejected


def _futile(seen: np.ndarray, going: np.ndarray, looks: Looks, rule: DecisionRule, design: StoppingRule) -> np.ndarray:
    pilots, arms, after, seeds = seen.shape
    if seeds == 1:
        stops = design(after)
        recovered, disrupted = (seen == 1).sum(axis=(2, 3)), (seen == -1).sum(axis=(2, 3))
        return stops.futile[recovered, disrupted]
    found = np.zeros((pilots, arms), dtype=bool)
    for pilot, arm in np.argwhere(going):
        baseline, treated = outcomes(seen[pilot, arm])
        data = ClusteredOutcomes(baseline=tuple(map(tuple, baseline)), treated=tuple(map(tuple, treated)))
        found[pilot, arm] = is_futile(looks, rule, data, tasks=after)
    return found


def missed(effects: np.ndarray, course: Course, looks: Looks, rule: DecisionRule, gain: float) -> np.ndarray:
    """Whether the interval shown at the stop leaves out the truth; one arm."""
    seeds, upper = effects.shape[3], rule.alpha / 2
    low, high = (
        boundary_constant(looks, alpha=a, margin=m) for a, m in ((rule.alpha, rule.margin), (upper, -rule.worthwhile))
    )
    stopped = course.stopped[:, 0]
    level = watch_threshold(looks, alpha=rule.alpha, margin=rule.worthwhile, several_seeds=seeds > 1)
    after = np.arange(1, effects.shape[2] + 1)
    out = ((watched(effects[:, 0], gain) >= level) & (after <= stopped[:, None])).any(axis=1)
    for n, factor in zip(looks.tasks, looks.factors, strict=True):
        above, below = (statistic(effects[:, 0, :n], gain, side) for side in ("greater", "less"))
        out |= (stopped >= n) & ((above >= low * factor) | (below >= high * factor))
    return out
