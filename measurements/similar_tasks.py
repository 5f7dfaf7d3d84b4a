"""Is how earlier runs of *similar* tasks ended worth a feature? `python measurements/similar_tasks.py FOLDER`.

FOLDER, folds and judging are as in `critic_training.py`: tasks in three folds, judged on the fold that no critic has
seen, means over folds and two models. The feature is the history of `forbear critic train --history`, with the runs of
the ten tasks whose texts are most alike (cosine of (1 + log tf)·idf) in place of runs of the task, which has none.

- *all*: a critic of all models' runs, without and with their runs of similar tasks.
- *moved*: a critic of the other model's runs; then what one's own earlier runs, of 100 or all tasks of the other folds,
  add: as runs of similar tasks, or as runs to train on besides.
"""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from critic_training import FOLDS, measures

from forbear.adapters.formats.episodes import read_runs
from forbear.critics.behaviour import TEXT_LIMIT
from forbear.critics.trained import TrainedCritic
from forbear.critics.training import Recipe, history_of, train_critic
from forbear.learned.hashing import bucket
from forbear.records.model import Task, Trajectory

NEIGHBOURS = 10
ONCE = Recipe(shuffles=1)


def likeness(runs):
    """Tasks, and how alike their texts are."""
    texts = {run.task: run.trajectory.steps[0].observation[:TEXT_LIMIT].lower().split() for run in runs}
    tasks, words = sorted(texts), {}
    table = np.zeros((len(tasks), len({word for text in texts.values() for word in text})))
    for row, task in enumerate(tasks):
        for word, times in Counter(texts[task]).items():
            table[row, words.setdefault(word, len(words))] = 1 + np.log(times)
    table *= np.log((1 + len(tasks)) / (1 + (table > 0).sum(axis=0))) + 1
    table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    return tasks, table @ table.T


def stand_ins(runs, tasks, alike):
    """For each task the runs of its nearest others, under its name: what a history would say of it."""
    number = {task: row for row, task in enumerate(tasks)}
    known = sorted({number[run.task] for run in runs})
    by_task = {}
    for run in runs:
        by_task.setdefault(run.task, []).append(run)
    found = []
    for row, task in enumerate(tasks):
        nearest = sorted((other for other in known if other != row), key=lambda other: -alike[row, other])[:NEIGHBOURS]
        for other in nearest:
            for run in by_task[tasks[other]]:
                seen = Trajectory(task=Task(id=task), steps=run.trajectory.steps)
                found.append(replace(run, trajectory=seen, run=f"{tasks[other]}/{run.run}"))
    return found


def main(folder):
    runs = {path.name.split("_")[1]: read_runs([path]).runs for path in sorted(folder.glob("mint_*_none.jsonl"))}
    everyone = [run for one in runs.values() for run in one]
    fold = {run.task: bucket(f"fold:{run.task}") % FOLDS for run in everyone}
    tasks, alike = likeness(everyone)
    found = {}

    def judge(title, weights, tested):
        values = measures(TrainedCritic(weights=weights, sha256=""), tested)
        found.setdefault(title, []).append([values[0], values[1], values[3]])

    def trained(learned, history=None):
        return train_critic(learned, history=history, recipe=ONCE).weights

    for number in range(FOLDS):
        seen = [run for run in everyone if fold[run.task] != number]
        plain, similar = trained(seen), trained(seen, stand_ins(seen, tasks, alike))
        for model, own in runs.items():
            others = [run for name, one in runs.items() if name != model for run in one if fold[run.task] != number]
            tested = [run for run in own if fold[run.task] == number]
            judge("all", plain, tested)
            judge("all, similar tasks", similar, tested)
            mine = [run for run in own if fold[run.task] != number]
            judge("moved", trained(others), tested)
            knowing = trained(others, stand_ins(others, tasks, alike))
            for count in (100, len(mine)):
                some = [mine[at] for at in np.random.default_rng(0).permutation(len(mine))[:count]]
                name = "100" if count == 100 else "all"
                history = history_of(stand_ins(some, tasks, alike))
                judge(f"moved, {name} own: similar tasks", replace(knowing, history=history), tested)
                judge(f"moved, {name} own: trained on too", trained(others + some), tested)
    print("| critic | AUROC | first step | ECE |")
    print("| --- | --- | --- | --- |")
    for title, values in found.items():
        print(f"| {title} | " + " | ".join(f"{value:.3f}" for value in np.mean(values, axis=0)) + " |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
