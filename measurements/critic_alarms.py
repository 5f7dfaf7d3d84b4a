"""False alarms and calibration on real runs: a critic of words, trained on one model's runs, judged on another's.

    python measurements/critic_alarms.py ../shared/data/trajectories [--splits 200]

Tasks are split at random: a third trains, the others are the second model's. Of those, 25, 50 or 100 successes set the
threshold and the rest measure it; a map is fitted on 40 or 200 runs and measured on the rest. Means over splits, and
where the middle nine tenths of them lie.

Then triggers at the same rate: the conformal threshold on the highest score, and the e-process of E-valuator (arXiv
2512.03109). That one bets at each step on failing against succeeding runs, by the ratio of their densities, and acts
where the wealth passes 1/rate (Ville's inequality). The ratio is known in a simulation; else it is fitted: by Bayes'
rule it is the odds of failing given the score and the step over the odds of failing, here by a line for each step.
"Held out" fits it on half of the runs and takes the conformal threshold of its highest wealth on the other half, which
is a critic calibrated by step with a conformal threshold. Three kinds of runs: simulated ones, MINT's, and those of the
household world that comes with forbear.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import logit

from forbear.adapters.formats.episodes import read_runs
from forbear.critics.alarms import false_alarm_threshold
from forbear.critics.calibration import fit_step_lines
from forbear.critics.calibrators import choose_calibrator
from forbear.critics.logistic import Features, LogisticCritic, train_logistic
from forbear.critics.measures import auroc, calibration_error
from forbear.critics.scored import scored_now
from forbear.worlds.household.agent import RankerAgent, shipped_weights
from forbear.worlds.household.pilot import critic as household_critic
from forbear.worlds.household.train import roll_out
from forbear.worlds.rollouts import judged

TRAINED, JUDGED, ALPHA = "mint_gpt-35-turbo-0613_none.jsonl", "mint_claude-instant-1_none.jsonl", 0.1


class Words:
    name, size = "words-1", 1

    def __call__(self, trajectory, proposed):
        last = trajectory.steps[-1].observation if len(trajectory.steps) > 1 else ""
        words = {f"a {word}" for word in proposed.text.split()} | {f"o {word}" for word in last.split()}
        return Features(names=sorted(words), numbers=[len(trajectory.steps) / 5])


def critic_of(runs):
    rows, failed, weights = [], [], []
    for run in runs:
        for trajectory, proposed in run.judged():
            rows.append(Words()(trajectory, proposed))
            failed.append(run.failed)
            weights.append(1 / len(run.trajectory.steps))
    return LogisticCritic(train_logistic(rows, failed, row_weights=weights, l2=3.0), features=Words())


def spread(values):
    low, high = np.percentile(values, [5, 95])
    return f"{np.mean(values):7.3f} ({low:.3f} to {high:.3f})"


@dataclass(frozen=True)
class Paths:
    """Log-odds that a critic gives, step by step, of runs of which it has seen none."""

    logits: list
    failed: np.ndarray
    exact: bool = False
    """They are the truth, given all steps so far: odds over base odds are then the ratio of densities itself."""

    def where(self, rows):
        return Paths([self.logits[row] for row in rows], self.failed[rows], self.exact)

    def flat(self):
        lengths = [len(path) for path in self.logits]
        return np.repeat(self.failed, lengths), np.concatenate(self.logits), np.concatenate([*map(np.arange, lengths)])

    def base(self):
        return float(np.log((self.failed.sum() + 0.5) / ((~self.failed).sum() + 0.5)))


def simulated(rng, *, runs=800, steps=10, drift=0.5, rate=0.4):
    """Each step adds a normal number, about `drift` where the run fails and 0 where not."""
    failed = rng.random(runs) < rate
    seen = rng.standard_normal((runs, steps)) + drift * failed[:, None]
    logits = np.log(rate / (1 - rate)) + np.cumsum(drift * seen - drift**2 / 2, axis=1)
    return Paths([*logits], failed, exact=True)


def household(*, runs=800):
    agent, judge = RankerAgent(shipped_weights()), household_critic()
    logits, failed = [], []
    for rollout in roll_out(agent, seed=31, count=runs, steps=20):
        logits.append(np.array([judge.logit(seen, proposed) for _, seen, proposed in judged([rollout])]))
        failed.append(not rollout.success)
    return Paths(logits, np.array(failed))


def wealth(fitted_on):
    """The log of the e-process, step by step, from runs that it is fitted on."""
    failed, logits, steps = fitted_on.flat()
    lines = fit_step_lines(failed, logits, steps, last=max(1, int(steps.max())))
    return lambda path: lines(path, np.arange(len(path))) - fitted_on.base()


def highest(paths, of=lambda path: path):
    return np.array([of(path).max() for path in paths.logits])


def conformal(scores):
    return false_alarm_threshold(scores, false_alarms=ALPHA).threshold


def triggers(setting, rng):
    """By name: what is compared with which threshold."""
    found = {"fixed 0.6": (lambda path: path, float(np.log(0.6 / 0.4)))}
    found["conformal"] = lambda path: path, conformal(highest(setting)[~setting.failed])
    if setting.exact:
        base = setting.base()
        found["e-process, known"] = lambda path: path - base, -np.log(ALPHA)
    found["e-process, fitted"] = wealth(setting), -np.log(ALPHA)
    order = rng.permutation(len(setting.logits))
    fits, checks = setting.where(order[: len(order) // 2]), setting.where(order[len(order) // 2 :])
    log_wealth = wealth(fits)
    if (~checks.failed).sum() >= 1 / ALPHA - 1:
        found["e-process, held out"] = log_wealth, conformal(highest(checks, log_wealth)[~checks.failed])
    return found


def compare(name, paths, rng, *, counts, splits):
    late = int(np.ceil(0.4 * max(map(len, paths.logits))))
    print(
        f"{name}: {len(paths.logits)} runs, {np.mean(paths.failed):.0%} fail; touched, successes and failures; in time,"
    )
    print(f"  failures that are touched with at least {late} steps to come, that one included")
    for count in counts:
        rates = {}
        for _ in range(splits):
            order = rng.permutation(len(paths.logits))
            setting, rest = paths.where(order[:count]), paths.where(order[count:])
            for trigger, (of, threshold) in triggers(setting, rng).items():
                hits = [np.flatnonzero(of(path) > threshold) for path in rest.logits]
                left = np.array(
                    [len(path) - hit[0] if len(hit) else 0 for path, hit in zip(rest.logits, hits, strict=True)]
                )
                shares = [
                    np.mean(left[~rest.failed] > 0),
                    np.mean(left[rest.failed] > 0),
                    np.mean(left[rest.failed] >= late),
                ]
                rates.setdefault(trigger, []).append(shares)
        for trigger, found in rates.items():
            alarms, caught, in_time = zip(*found, strict=True)
            print(
                f"  {count:>4} runs, {trigger:<20}{spread(alarms)}; {spread(caught)}; {np.mean(in_time):6.3f}",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--splits", type=int, default=200)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    ones, others = (read_runs([options.folder / name]).runs for name in (TRAINED, JUDGED))
    tasks = sorted({run.task for run in others})
    training = set(rng.permutation(tasks)[: len(tasks) // 3].tolist())
    critic = critic_of([run for run in ones if run.task in training])
    scored = scored_now(critic, [run for run in others if run.task not in training], name="words")
    steps, maxima = scored.judgements(), scored.highest()
    print(f"AUROC {auroc(steps.failed, steps.p_fail):.3f}, ECE {calibration_error(steps.failed, steps.p_fail):.3f}")
    successes = maxima.p_fail[~maxima.failed]
    print(f"successes touched where at most {ALPHA:.0%} were asked for, {len(successes)} in all")
    for count in (25, 50, 100):
        for assurance in (None, 0.9):
            rates = []
            for _ in range(options.splits):
                order = rng.permutation(successes)
                found = false_alarm_threshold(order[:count], false_alarms=ALPHA, assurance=assurance)
                rates.append(np.mean(order[count:] > found.threshold))
            above = np.mean(np.array(rates) > ALPHA)
            asked = "on average" if assurance is None else f"assured {assurance:.0%}"
            print(f"  {count:>4} set it, {asked:<12} {spread(rates)}; above it in {above:.0%} of the splits")
    print("ECE after calibration on some of the runs, measured on the others")
    for count in (40, 200):
        errors = []
        for _ in range(options.splits // 10):
            order = rng.permutation(np.unique(steps.tasks))
            fits = np.isin(steps.tasks, order[:count])
            chosen = choose_calibrator(steps.where(fits))
            rest = steps.where(~fits)
            errors.append(calibration_error(rest.failed, chosen.calibrator(rest.p_fail, rest.steps)))
        print(f"  {count:>4} runs {spread(errors)}")
    print(f"triggers at {ALPHA:.0%}")
    mint = Paths(
        [logit(np.clip(np.array(said), 1e-6, 1 - 1e-6)) for said in scored.scores],
        np.array([run.failed for run in scored.runs]),
    )
    for name, paths in (("simulated", simulated(rng)), ("MINT", mint), ("household", household())):
        compare(name, paths, rng, counts=(60, 120, 200), splits=options.splits // 2)


if __name__ == "__main__":
    main()
