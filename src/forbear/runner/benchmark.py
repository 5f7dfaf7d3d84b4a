"""A benchmark: a pilot for each of a world's agents, and the arms that all of them have in common.

`forbear bench NAME` runs and prints any (`cli/bench_command.py`); what a pilot's arms are worth is `analysis/bench.py`.
"""

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from forbear.analysis.blind import matching_rates
from forbear.contracts.agent import Agent
from forbear.contracts.critic import Critic
from forbear.contracts.environment import Environment
from forbear.critics.blind import blind_arm
from forbear.errors import InvalidInput
from forbear.interventions.append import Append
from forbear.interventions.placebo import Placebo
from forbear.interventions.ready import TOLD, ToldRollback
from forbear.interventions.restart import Restart
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import Task
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan
from forbear.stats.looks.looks import Looks
from forbear.wording import listed

FIRST_SEED = 42
"""Of the draws; a second seed is the next number."""
THRESHOLD, BUDGET = 0.6, 3
"""The study's threshold and its budget of interventions."""

BLIND = {"blind-rollback": "c-rollback", "blind-append": "c-append"}
"""The blind arms, and what each is blind of."""
ARMS = ("u-rollback", "c-rollback", "u-append", "c-append", "charged", "restart", "placebo", *BLIND, "rerun")
"""Names of the arms, in the order of the table. ROLLBACK drops a proposal and tells the agent so, free of charge;
`charged` is the same at the price of a step. APPEND lets the action run and tells the agent with what it sees next.
u- and c-: the critic before and after its calibration is applied. `restart` begins the task again, once. The last four
are controls: a fresh draw where ROLLBACK would act, both interventions at random moments, and the agent alone again."""


class MakesPlan(Protocol):
    """Makes the pilot of one agent."""

    def __call__(self, agent: str, /, *, arms: Sequence[str], tasks: int, seeds: int) -> PilotPlan:
        """Makes it.

        Args:
            agent: One of the benchmark's.
            arms: Names among the benchmark's, beside the baseline.
            tasks: How many, or all where there are fewer; more begin with the same ones.
            seeds: Draws per task.

        Raises:
            InvalidInput: A name that there is not, or a blind arm without the one that it is blind of.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What `forbear bench NAME` needs to know of a world."""

    name: str
    """As the command calls it, and JSON."""
    title: str
    """As pages call it."""
    agents: Sequence[str]
    plan: MakesPlan
    critic: Callable[[str], Critic | None]
    """The one that chooses between runs of an agent: that of its calibrated arms, made anew. None: nobody chooses."""
    arms: Sequence[str] = ARMS
    agent_word: str = "player"
    """What messages call an agent."""


def study_arms(critic: Critic, *, uncalibrated: Critic, rates: Mapping[str, Sequence[float]]) -> Mapping[str, Arm]:
    """The arms of the study's design, its controls and those for comparison, by name; see `ARMS`.

    Args:
        critic: After calibration.
        uncalibrated: The same before it.
        rates: By arm that a blind one is compared with, how often that is to act, by step (`analysis/blind.py`,
            `matching_rates`); without an arm's rates its blind one is left out.
    """
    rollback = InterventionPolicy(critic=critic, intervention=ToldRollback(), threshold=THRESHOLD, budget=BUDGET)
    append = replace(rollback, intervention=Append())
    arms = {
        "u-rollback": replace(rollback, critic=uncalibrated),
        "c-rollback": rollback,
        "u-append": replace(append, critic=uncalibrated),
        "c-append": append,
        "charged": replace(rollback, intervention=ToldRollback(costs_step=True)),
        # Undone steps stay spent, so that a second restart would leave no steps to win in.
        "restart": replace(rollback, intervention=Restart(message=TOLD), budget=1),
        "placebo": replace(rollback, intervention=Placebo()),
    }
    made = {name: Arm(name, policy) for name, policy in arms.items()} | {"rerun": Arm.rerun()}
    for name, like in BLIND.items():
        if like in rates:
            made[name] = blind_arm(made[like], rates=rates[like], name=name)
    return {name: made[name] for name in ARMS if name in made}


def chosen_arms(arms: Mapping[str, Arm], names: Sequence[str]) -> list[Arm]:
    """Baseline and those that were named, in the table's order.

    Raises:
        InvalidInput: A name that there is not, none, or a blind arm without the one that it is blind of.
    """
    unknown = [name for name in names if name not in arms]
    if unknown or not names:
        raise InvalidInput(f"expected arms among {', '.join(arms)}, got {listed(unknown) or 'none'}.")
    for name, like in BLIND.items():
        if name in names and like not in names:
            raise InvalidInput(f"'{name}' is compared with '{like}': add '{like}' to the arms, or leave it out.")
    return [Arm.baseline(), *(arm for name, arm in arms.items() if name in names)]


def draw_seeds(seeds: int) -> tuple[int, ...]:
    """The seeds of a benchmark's draws."""
    return tuple(range(FIRST_SEED, FIRST_SEED + seeds))


def full_plan(
    tasks: Sequence[Task],
    *,
    agent: Callable[[], Agent],
    environment: Callable[[], Environment],
    arms: Sequence[Arm],
    seeds: int,
    steps: int,
) -> PilotPlan:
    """The pilot of one agent, to be run whole and to be drawn from: one look, at the end, and no stop on the way."""
    return PilotPlan(
        tasks=tasks,
        agent=agent,
        environment=environment,
        arms=arms,
        seeds=draw_seeds(seeds),
        max_steps=steps,
        looks=Looks(tasks=(len(tasks),), watch=False),
    )


def blind_rates(plan: PilotPlan) -> dict[str, tuple[float, ...]]:
    """The rates at which a blind critic would act as often as the arms that blind ones are compared with, by step.

    Args:
        plan: With those arms, on tasks that no benchmark uses; it is run in a folder that is thrown away.
    """
    with tempfile.TemporaryDirectory(prefix="forbear-rates-") as folder:
        result = asyncio.run(run_pilot(plan, Journal(folder)))
    return {name: tuple(matching_rates(result, name)) for name in BLIND.values()}


def rates(text: str) -> tuple[float, ...]:
    """Rates as they are written down: with spaces between them."""
    return tuple(map(float, text.split()))
