"""How good the readers of questions and their critics are: the tables of docs/questions.md.

    python measurements/readers.py [../shared/data/hotpotqa/train100.jsonl.gz]

On the 400 questions of the evaluation seed; with a file of real questions, each read under three draws, on those too.
Speed is of new situations, in processor time.
"""

import sys
import time
from pathlib import Path

import numpy as np
from scipy.special import expit

from forbear.critics.estimates import Judgements, evaluate_critic
from forbear.worlds.questions.matching import f1
from forbear.worlds.questions.pilot import agent, critic
from forbear.worlds.questions.readers import READERS, recipe_of
from forbear.worlds.questions.reading import read_questions
from forbear.worlds.questions.seeds import SEEDS
from forbear.worlds.questions.train import play, roll_out
from forbear.worlds.rollouts import judged


def report(rollouts, judge):
    """What a critic is worth on these runs."""
    met = list(judged(rollouts))
    return evaluate_critic(
        Judgements.of(
            failed=[not rollout.success for rollout, _, _ in met],
            p_fail=[float(expit(judge.logit(seen, proposed))) for _, seen, proposed in met],
            tasks=[seen.task.id for _, seen, _ in met],
            steps=[len(seen.steps) - 1 for _, seen, _ in met],
        ),
        rng=np.random.default_rng(0),
    ).overall


def said(estimate):
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def answered(rollout):
    return rollout.trajectory.steps[-1].executed.text.startswith("finish[")


def generated(name):
    """One reader on questions that neither it nor its critic has met."""
    recipe = recipe_of(name)
    began = time.process_time()
    runs = roll_out(agent(reader=name), seed=SEEDS["evaluation"], count=recipe.evaluation_tasks, steps=recipe.steps)
    seconds, steps = time.process_time() - began, sum(len(run.trajectory.steps) for run in runs)
    early = np.mean([answered(run) and len(run.trajectory.steps) <= 2 for run in runs])
    lost = np.mean([not answered(run) for run in runs])
    success = np.mean([run.success for run in runs])
    before, after = (report(runs, critic(reader=name, calibrated=calibrated)) for calibrated in (False, True))
    print(
        f"| `{name}` | {success:.1%} | {early:.0%} | {lost:.0%} | {said(after['auroc'])} | "
        f"{after['first_step_auroc'].value:.3f} | {said(before['calibration_error'])} | "
        f"{said(after['calibration_error'])} | {steps / seconds:,.0f} |"
    )


def real(name, questions):
    """One reader on real questions: exact matches, F1, and whether it ever opened a paragraph."""
    steps = recipe_of(name).steps
    runs = [(q, play(agent(reader=name), q, steps=steps, seed=seed)) for q in questions.values() for seed in range(3)]
    exact = np.mean([run.success for _, run in runs])
    overlap = [f1(last(run), question.answers) if answered(run) else 0.0 for question, run in runs]
    print(f"| `{name}` | {exact:.1%} | {np.mean(overlap):.2f} |")


def last(run):
    return run.trajectory.steps[-1].executed.text.removeprefix("finish[").removesuffix("]")


def main():
    print(
        "| reader | success | answers at step 0, 1 | no answer | AUROC | first step | ECE, raw | calibrated | steps/s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in READERS:
        generated(name)
    if len(sys.argv) > 1:
        questions = read_questions(Path(sys.argv[1]))
        print("\n| reader | exact match | F1 |\n| --- | --- | --- |")
        for name in READERS:
            real(name, questions)


if __name__ == "__main__":
    main()
