"""Trains the shipped readers and their critics from generated questions: `python -m forbear.worlds.questions.train`.

With a folder and the name of a reader (`readers.READERS`) it makes that reader and its critic there, `NAME.npz` and
`NAME-critic.npz`, and prints what was measured; without a name, all of them. The same command gives the same bytes on
one platform: fixed seeds and orders, double precision, sums in one thread.

Four sets of questions are used, each from its own seed of the generator, and they never meet: the reader's
demonstrations; its own runs, on which the critic learns; others, on which the critic's temperature is fitted; and
others, on which both are measured. Pilots use none of these seeds.
"""

import json
import sys
from pathlib import Path

from forbear.contracts.draw import Draw
from forbear.critics.estimates import CriticReport
from forbear.critics.logistic import LogisticCritic, LogisticWeights
from forbear.learned.ranker import Choices
from forbear.records.model import Step, Trajectory
from forbear.worlds.questions.critic import QuestionFeatures
from forbear.worlds.questions.demonstrations import demonstrate
from forbear.worlds.questions.environment import QuestionEnvironment
from forbear.worlds.questions.generator import generate
from forbear.worlds.questions.question import Question, task_of
from forbear.worlds.questions.reader import Reader, ReaderWeights, describe
from forbear.worlds.questions.readers import READERS, Recipe, recipe_of
from forbear.worlds.questions.seeds import SEEDS
from forbear.worlds.rollouts import Rollout, calibrate_critic, fit_critic, measured, written


def train_reader(recipe: Recipe) -> ReaderWeights:
    """Fits the conditional logit to the demonstrations."""
    choices = Choices()
    for shown in demonstrate(recipe, seed=SEEDS["demonstrations"]):
        choices.add(describe(shown.memory, shown.seen.steps, shown.offered), taken=shown.taken)
    return ReaderWeights(table=choices.fit(l2=recipe.agent_l2, iterations=recipe.agent_iterations))


def roll_out(reader: Reader, *, seed: int, count: int, steps: int) -> list[Rollout]:
    """Lets the reader answer the first `count` questions of a seed, alone."""
    return [play(reader, made.question, steps=steps) for made in generate(seed=seed, count=count)]


def play(reader: Reader, question: Question, *, steps: int, seed: int = 0) -> Rollout:
    """Lets the reader answer a question, alone; another seed is another draw."""
    task, world = task_of(question), QuestionEnvironment([question], mode="react")
    told, done = world.ask(task), list[Step]()
    while not told.done and len(done) < steps:
        number = len(done)
        seen = Trajectory(task=task, steps=(*done, Step(index=number, observation=told.text)))
        action = reader.choose(seen, draw=Draw(task_id=task.id, seed=seed, role="agent", step_index=number))
        done.append(Step(index=number, observation=told.text, executed=action))
        told = world.carry_out(action)
    return Rollout(trajectory=Trajectory(task=task, steps=tuple(done)), success=told.success is True)


def train_critic(recipe: Recipe, reader: Reader) -> LogisticWeights:
    """Fits the critic on one set of the reader's runs and its temperature on another."""
    features = QuestionFeatures()
    runs = roll_out(reader, seed=SEEDS["critic"], count=recipe.critic_tasks, steps=recipe.steps)
    return calibrate_critic(
        fit_critic(runs, features=features, l2=recipe.critic_l2),
        roll_out(reader, seed=SEEDS["calibration"], count=recipe.calibration_tasks, steps=recipe.steps),
        features=features,
        calibration="temperature",
        steps=recipe.steps,
    )


def measure(recipe: Recipe, reader: Reader, weights: LogisticWeights) -> tuple[float, CriticReport]:
    """Returns the reader's success and the critic's report on questions that neither has met."""
    rollouts = roll_out(reader, seed=SEEDS["evaluation"], count=recipe.evaluation_tasks, steps=recipe.steps)
    return measured(rollouts, LogisticCritic(weights, features=QuestionFeatures()))


def main(folder: Path, name: str) -> None:
    """Trains one reader, writes the weights into the folder and prints what was measured as JSON.

    Raises:
        InvalidInput: No reader of this name comes with forbear.
    """
    recipe = recipe_of(name)
    folder.mkdir(parents=True, exist_ok=True)
    learned = train_reader(recipe)
    (folder / f"{name}.npz").write_bytes(learned.to_bytes())
    reader = Reader(learned, temperature=recipe.temperature)
    weights = train_critic(recipe, reader)
    (folder / f"{name}-critic.npz").write_bytes(weights.to_bytes())
    success, report = measure(recipe, reader, weights)
    result = {
        "reader": name,
        "reader_sha256": learned.sha256(),
        "critic_sha256": weights.sha256(),
        "success": success,
        "tasks": report.tasks,
        "steps": report.steps,
        "temperature": weights.temperature,
        "critic": written(report.overall),
        "critic_by_step": {steps: written(row) for steps, row in report.by_bucket.items()},
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    for each in sys.argv[2:] or READERS:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("weights"), each)
