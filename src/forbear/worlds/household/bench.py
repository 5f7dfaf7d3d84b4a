"""What `forbear bench household` runs: one pilot a player, with the study's arms and more, settled beforehand.

Everything here was fixed before the full run, and nothing by what an arm gained (docs/results.md).
"""

from collections.abc import Mapping, Sequence
from functools import partial

from forbear.policy.arm import Arm
from forbear.records.model import Task
from forbear.runner.benchmark import ARMS, BLIND, Benchmark, blind_rates, chosen_arms, full_plan, rates, study_arms
from forbear.runner.plan import PilotPlan
from forbear.worlds.household.environment import task_of
from forbear.worlds.household.generator import generate
from forbear.worlds.household.pilot import agent, critic, environment, generated_tasks
from forbear.worlds.household.players import PLAYERS, recipe_of
from forbear.worlds.household.seeds import SEEDS

TASK_SEED = 16
"""Of the generated households: nothing learned from them, and no setting was chosen on them."""
STEPS = 20
"""The players' budget of steps."""


def arms_of(player: str) -> Mapping[str, Arm]:
    """The arms of one player's pilot, by name; its own critic acts in them.

    Raises:
        InvalidInput: No such player.
    """
    recipe_of(player)
    uncalibrated = critic(player=player, calibrated=False)
    return study_arms(critic(player=player), uncalibrated=uncalibrated, rates=BLIND_RATES[player])


def bench_plan(player: str, *, arms: Sequence[str] = ARMS, tasks: int = 200, seeds: int = 2) -> PilotPlan:
    """The pilot of one player: all its tasks, one look at the end.

    Args:
        player: One of `players.PLAYERS`.
        arms: Names among `ARMS`, beside the baseline.
        tasks: How many generated households; more begin with the same ones.
        seeds: Draws per household.

    Raises:
        InvalidInput: No such player or arm, a blind arm without the one that it is blind of, or no task or seed.
    """
    return _plan(player, generated_tasks(tasks, TASK_SEED), chosen_arms(arms_of(player), arms), seeds)


def _plan(player: str, tasks: Sequence[Task], arms: Sequence[Arm], seeds: int) -> PilotPlan:
    made = partial(agent, player=player)
    return full_plan(tasks, agent=made, environment=environment, arms=arms, seeds=seeds, steps=STEPS)


def benchmark() -> Benchmark:
    """What `forbear bench household` runs."""
    return Benchmark(
        name="household",
        title="Household",
        agents=tuple(PLAYERS),
        plan=bench_plan,
        critic=lambda player: critic(player=player),
    )


def measured_rates(player: str, *, tasks: int = 200) -> dict[str, tuple[float, ...]]:
    """The rates at which a blind critic would intervene as often as the calibrated one, by arm and step.

    From a pilot on the households on which the critic's temperature was fitted: no bench uses those.
    """
    known = [task_of(game) for game in generate(seed=SEEDS["calibration"], count=tasks)]
    return blind_rates(_plan(player, known, chosen_arms(arms_of(player), list(BLIND.values())), 1))


BLIND_RATES: Mapping[str, Mapping[str, Sequence[float]]] = {
    "heed": {
        "c-rollback": rates(
            ".245 .058 .106 .063 .051 .076 .033 .097 .138 .102 .099 .038 .100 .059 .000 .000 .035 .076 .123 .000"
        ),
        "c-append": rates(
            ".120 .105 .145 .055 .078 .063 .056 .085 .124 .114 .134 .074 .105 .096 .013 .029 .033 .056 .084 .048"
        ),
    },
    "novice": {
        "c-rollback": rates(
            ".703 .382 .238 .130 .062 .188 .116 .190 .177 .217 .262 .219 .109 .175 .036 .179 .000 .090 .000 .000"
        ),
        "c-append": rates(
            ".555 .625 .635 .199 .109 .150 .115 .165 .110 .196 .203 .172 .219 .145 .082 .060 .065 .072 .040 .000"
        ),
    },
    "restarter": {
        "c-rollback": rates(
            ".211 .117 .142 .133 .047 .043 .105 .135 .141 .154 .150 .075 .072 .024 .050 .069 .086 .048 .000 .036"
        ),
        "c-append": rates(
            ".115 .125 .150 .151 .130 .085 .111 .103 .137 .126 .144 .143 .089 .076 .023 .061 .067 .057 .032 .017"
        ),
    },
    "doubter": {
        "c-rollback": rates(
            ".123 .066 .029 .030 .016 .087 .030 .067 .058 .095 .176 .126 .103 .128 .049 .019 .000 .046 .079 .030"
        ),
        "c-append": rates(
            ".050 .075 .090 .030 .026 .044 .055 .071 .077 .142 .135 .171 .110 .118 .112 .053 .040 .065 .048 .053"
        ),
    },
}
"""By player and arm, what `measured_rates` found."""
