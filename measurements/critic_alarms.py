"""False alarms and calibration on real runs: a critic of words, trained on one model's runs, judged on another's.

    python measurements/critic_alarms.py ../shared/data/trajectories [--splits 200]

Tasks are split at random: a third trains, the others are the second model's. Of those, 25, 50 or 100 successes set the
threshold and the rest measure it; a map is fitted on 40 or 200 runs and measured on the rest. Means over splits, and
where the middle nine tenths of them lie.
"""

import argparse
from pathlib import Path

import numpy as np

from forbear.adapters.formats.episodes import read_runs
from forbear.critics.alarms import false_alarm_threshold
from forbear.critics.calibrators import choose_calibrator
from forbear.critics.logistic import Features, LogisticCritic, train_logistic
from forbear.critics.measures import auroc, calibration_error
from forbear.critics.scored import scored_now

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
    judged, highest = scored.judgements(), scored.highest()
    print(f"AUROC {auroc(judged.failed, judged.p_fail):.3f}, ECE {calibration_error(judged.failed, judged.p_fail):.3f}")
    successes = highest.p_fail[~highest.failed]
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
            order = rng.permutation(np.unique(judged.tasks))
            fits = np.isin(judged.tasks, order[:count])
            chosen = choose_calibrator(judged.where(fits))
            rest = judged.where(~fits)
            errors.append(calibration_error(rest.failed, chosen.calibrator(rest.p_fail)))
        print(f"  {count:>4} runs {spread(errors)}")


if __name__ == "__main__":
    main()
