"""What `forbear bench questions` runs: one pilot a reader, with the study's arms and more, settled beforehand.

Everything here was fixed before the full run, and nothing by what an arm gained (docs/results.md).
"""

from collections.abc import Mapping, Sequence
from functools import partial

from forbear.policy.arm import Arm
from forbear.records.model import Task
from forbear.runner.benchmark import ARMS, BLIND, Benchmark, blind_rates, chosen_arms, full_plan, rates, study_arms
from forbear.runner.plan import PilotPlan
from forbear.worlds.questions.generator import generate
from forbear.worlds.questions.pilot import agent, critic, environment, generated_tasks
from forbear.worlds.questions.question import task_of
from forbear.worlds.questions.readers import READERS, recipe_of
from forbear.worlds.questions.seeds import SEEDS

TASK_SEED = 16
"""Of the generated questions: nothing learned from them, and no setting was chosen on them."""


def arms_of(reader: str) -> Mapping[str, Arm]:
    """The arms of one reader's pilot, by name; its own critic acts in them.

    Raises:
        InvalidInput: No such reader.
    """
    recipe_of(reader)
    uncalibrated = critic(reader=reader, calibrated=False)
    return study_arms(critic(reader=reader), uncalibrated=uncalibrated, rates=BLIND_RATES[reader])


def bench_plan(reader: str, *, arms: Sequence[str] = ARMS, tasks: int = 200, seeds: int = 2) -> PilotPlan:
    """The pilot of one reader: all its questions, one look at the end.

    Args:
        reader: One of `readers.READERS`.
        arms: Names among `ARMS`, beside the baseline.
        tasks: How many generated questions; more begin with the same ones.
        seeds: Draws per question.

    Raises:
        InvalidInput: No such reader or arm, a blind arm without the one that it is blind of, or no task or seed.
    """
    return _plan(reader, generated_tasks(tasks, TASK_SEED), chosen_arms(arms_of(reader), arms), seeds)


def _plan(reader: str, tasks: Sequence[Task], arms: Sequence[Arm], seeds: int) -> PilotPlan:
    made, world = partial(agent, reader=reader), partial(environment, mode="react")
    return full_plan(tasks, agent=made, environment=world, arms=arms, seeds=seeds, steps=recipe_of(reader).steps)


def benchmark() -> Benchmark:
    """What `forbear bench questions` runs."""
    return Benchmark(
        name="questions",
        title="Questions",
        agents=tuple(READERS),
        plan=bench_plan,
        critic=lambda reader: critic(reader=reader),
        agent_word="reader",
    )


def measured_rates(reader: str, *, tasks: int = 400) -> dict[str, tuple[float, ...]]:
    """The rates at which a blind critic would intervene as often as the calibrated one, by arm and step.

    From a pilot on the questions on which the critic's temperature was fitted: no bench uses those.
    """
    known = [task_of(made.question) for made in generate(seed=SEEDS["calibration"], count=tasks)]
    return blind_rates(_plan(reader, known, chosen_arms(arms_of(reader), list(BLIND.values())), 1))


BLIND_RATES: Mapping[str, Mapping[str, Sequence[float]]] = {
    "skimmer": {
        "c-rollback": rates(".085 .220 .289 .131 .078 .168 .067 .057 .044 .092"),
        "c-append": rates(".038 .151 .272 .303 .297 .147 .105 .103 .025 .034"),
    },
    "beginner": {
        "c-rollback": rates(".397 .293 .175 .064 .226 .000 .015 .032 .103 .097"),
        "c-append": rates(".213 .289 .335 .292 .207 .138 .117 .043 .099 .033"),
    },
    "rambler": {
        "c-rollback": rates(".083 .179 .230 .135 .180 .039 .000 .014 .207 .141"),
        "c-append": rates(".040 .123 .166 .259 .252 .111 .110 .000 .072 .094"),
    },
    "waverer": {
        "c-rollback": rates(".027 .114 .208 .114 .413 .013 .028 .029 .117 .081"),
        "c-append": rates(".013 .063 .140 .216 .380 .253 .235 .015 .067 .064"),
    },
}
"""By reader and arm, what `measured_rates` found."""
