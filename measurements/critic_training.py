"""What `forbear critic train` reaches on real logs: `python measurements/critic_training.py FOLDER`.

FOLDER holds `mint_MODEL_none.jsonl` (runs of several models on the same tasks). Tasks are dealt into three folds by a
hash of their id. For each fold a critic is trained on the runs of the other two, and judged on the runs of each model
in that fold: tasks that no critic has seen. Trained on all models there are, without and with a feature of how the
others did on the task, or on all but the one judged.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from forbear.adapters.formats.episodes import read_runs
from forbear.critics.measures import auroc, brier, calibration_error
from forbear.critics.trained import TrainedCritic
from forbear.critics.training import history_of, train_critic
from forbear.learned.hashing import bucket

FOLDS = 3


def judged(critic, runs):
    rows = [
        (run.failed, critic.p_fail(seen, proposed), len(seen.steps) - 1)
        for run in runs
        for seen, proposed in run.judged()
    ]
    return (np.array(column) for column in zip(*rows, strict=True))


def measures(critic, runs):
    failed, p_fail, index = judged(critic, runs)
    first = index == 0
    return (
        auroc(failed, p_fail),
        auroc(failed[first], p_fail[first]),
        auroc(failed, index / index.max()),
        calibration_error(failed, p_fail),
        brier(failed, p_fail),
    )


def speed(critic, runs):
    """Steps a second in batch, and quantiles of one step in ms."""
    begun = time.perf_counter()
    steps = sum(1 for run in runs for seen, proposed in run.judged() if critic.p_fail(seen, proposed) >= 0)
    batch = steps / (time.perf_counter() - begun)
    took = []
    for run in runs[:200]:
        for seen, proposed in run.judged():
            begun = time.perf_counter()
            critic.p_fail(seen, proposed)
            took.append(time.perf_counter() - begun)
    return batch, 1000 * float(np.median(took)), 1000 * float(np.quantile(took, 0.99))


def row(name, values):
    print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |", flush=True)


def main(folder):
    paths = sorted(folder.glob("mint_*_none.jsonl"))
    runs = {path.name.split("_")[1]: read_runs([path]).runs for path in paths}
    fold = {run.task: bucket(f"fold:{run.task}") % FOLDS for one in runs.values() for run in one}
    print(f"models: {', '.join(f'{name} ({len(one)} runs)' for name, one in runs.items())}\n")
    print("| trained on; judged on unseen tasks of | AUROC | first step | step's index | ECE | Brier |")
    print("| --- | --- | --- | --- | --- | --- |")
    everyone, seconds, critic = [run for one in runs.values() for run in one], [], None

    def trained(learned, number, history=None):
        begun = time.perf_counter()
        found = train_critic([run for run in learned if fold[run.task] != number], history=history).weights
        seconds.append(time.perf_counter() - begun)
        return found

    knowing = [trained(everyone, number, history=everyone) for number in range(FOLDS)]
    plain = [trained(everyone, number) for number in range(FOLDS)]
    for title in ("all models", "all models, with how others did on the task", "the other models"):
        every = []
        for model, own in runs.items():
            others = [run for name, one in runs.items() if name != model for run in one]
            found = []
            for number in range(FOLDS):
                if title == "all models":
                    weights = plain[number]
                elif title == "the other models":
                    weights = trained(others, number)
                else:  # the judged model's own runs are no part of what the critic may know
                    weights = replace(knowing[number], history=history_of(others))
                critic = TrainedCritic(weights=weights, sha256="")
                found.append(measures(critic, [run for run in own if fold[run.task] == number]))
            row(f"{title}; {model}", np.mean(found, axis=0))
            every += found
        row(f"{title}; mean", np.mean(every, axis=0))
    batch, median, worst = speed(critic, everyone)
    print(f"\ntraining: {np.mean(seconds):.1f} s, at most {max(seconds):.1f} s")
    print(f"scoring: {batch:,.0f} steps/s in batch; one step {median:.2f} ms (median), {worst:.2f} ms (99 %)")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
