"""What `forbear bench household` runs: one pilot a player, with the study's arms and more, settled beforehand.

Everything here was fixed before the full run, and nothing by what an arm gained (docs/results.md).
"""

import asyncio
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from forbear.analysis.blind import matching_rates
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
from forbear.worlds.household.environment import task_of
from forbear.worlds.household.generator import generate
from forbear.worlds.household.pilot import agent, critic, environment, generated_tasks
from forbear.worlds.household.players import recipe_of
from forbear.worlds.household.seeds import SEEDS

TASK_SEED = 16
"""Of the generated households: nothing learned from them, and no setting was chosen on them."""
FIRST_SEED = 42
"""Of the draws; a second seed is the next number."""
THRESHOLD, BUDGET, STEPS = 0.6, 3, 20
"""The study's threshold and its budget of interventions; the players' budget of steps."""

_Make = Callable[[str], Arm]


def _policy(player: str, *, calibrated: bool = True) -> InterventionPolicy:
    return InterventionPolicy(
        critic=critic(player=player, calibrated=calibrated),
        intervention=ToldRollback(),
        threshold=THRESHOLD,
        budget=BUDGET,
    )


def _append(player: str, *, calibrated: bool = True) -> InterventionPolicy:
    return replace(_policy(player, calibrated=calibrated), intervention=Append())


def _charged(player: str) -> InterventionPolicy:
    return replace(_policy(player), intervention=ToldRollback(costs_step=True))


def _restart(player: str) -> InterventionPolicy:
    # Undone steps stay spent, so that a second restart would leave no steps to win in.
    return replace(_policy(player), intervention=Restart(message=TOLD), budget=1)


ARMS: Mapping[str, _Make] = {
    "u-rollback": lambda player: Arm("u-rollback", _policy(player, calibrated=False)),
    "c-rollback": lambda player: Arm("c-rollback", _policy(player)),
    "u-append": lambda player: Arm("u-append", _append(player, calibrated=False)),
    "c-append": lambda player: Arm("c-append", _append(player)),
    "charged": lambda player: Arm("charged", _charged(player)),
    "restart": lambda player: Arm("restart", _restart(player)),
    "placebo": lambda player: Arm("placebo", replace(_policy(player), intervention=Placebo())),
    "blind-rollback": lambda player: blind_arm(
        Arm("c-rollback", _policy(player)), rates=BLIND_RATES[player]["c-rollback"], name="blind-rollback"
    ),
    "blind-append": lambda player: blind_arm(
        Arm("c-append", _append(player)), rates=BLIND_RATES[player]["c-append"], name="blind-append"
    ),
    "rerun": lambda player: Arm.rerun(),
}
"""By name. ROLLBACK drops a proposal and tells the player so, free of charge; `charged` is the same at the price of a
step. APPEND lets the action run and tells the player with what it sees next. u- and c-: the critic before and after its
temperature is applied. `restart` begins the task again, once. The last four are controls: a fresh draw where ROLLBACK
would act, both interventions at random moments, and the player alone once more."""

_NEEDS = {"blind-rollback": "c-rollback", "blind-append": "c-append"}


def bench_plan(player: str, *, arms: Sequence[str] = tuple(ARMS), tasks: int = 200, seeds: int = 2) -> PilotPlan:
    """The pilot of one player: all its tasks, one look at the end.

    Args:
        player: One of `players.PLAYERS`.
        arms: Names among `ARMS`, beside the baseline.
        tasks: How many generated households; more begin with the same ones.
        seeds: Draws per household.

    Raises:
        InvalidInput: No such player or arm, a blind arm without the one that it is blind of, or no task or seed.
    """
    recipe_of(player)
    unknown = [name for name in arms if name not in ARMS]
    if unknown or not arms:
        raise InvalidInput(f"expected arms among {', '.join(ARMS)}, got {listed(unknown) or 'none'}.")
    for name, like in _NEEDS.items():
        if name in arms and like not in arms:
            raise InvalidInput(f"'{name}' is compared with '{like}': add '{like}' to the arms, or leave it out.")
    return _plan(
        player, generated_tasks(tasks, TASK_SEED), [ARMS[name](player) for name in ARMS if name in arms], seeds
    )


def _plan(player: str, tasks: Sequence[Task], arms: Sequence[Arm], seeds: int) -> PilotPlan:
    return PilotPlan(
        tasks=tasks,
        agent=partial(agent, player=player),
        environment=environment,
        arms=[Arm.baseline(), *arms],
        seeds=tuple(range(FIRST_SEED, FIRST_SEED + seeds)),
        max_steps=STEPS,
        # A full run, to be drawn from: no stop on the way.
        looks=Looks(tasks=(len(tasks),), watch=False),
    )


def measured_rates(player: str, *, tasks: int = 200) -> dict[str, tuple[float, ...]]:
    """The rates at which a blind critic would intervene as often as the calibrated one, by arm and step.

    From a pilot on the households on which the critic's temperature was fitted: no bench uses those.
    """
    known = [task_of(game) for game in generate(seed=SEEDS["calibration"], count=tasks)]
    arms = [ARMS[name](player) for name in _NEEDS.values()]
    with tempfile.TemporaryDirectory(prefix="forbear-rates-") as folder:
        result = asyncio.run(run_pilot(_plan(player, known, arms, 1), Journal(folder)))
    return {name: tuple(matching_rates(result, name)) for name in _NEEDS.values()}


def _rates(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split()))


BLIND_RATES: Mapping[str, Mapping[str, Sequence[float]]] = {
    "heed": {
        "c-rollback": _rates(
            ".245 .058 .106 .063 .051 .076 .033 .097 .138 .102 .099 .038 .100 .059 .000 .000 .035 .076 .123 .000"
        ),
        "c-append": _rates(
            ".120 .105 .145 .055 .078 .063 .056 .085 .124 .114 .134 .074 .105 .096 .013 .029 .033 .056 .084 .048"
        ),
    },
    "novice": {
        "c-rollback": _rates(
            ".703 .382 .238 .130 .062 .188 .116 .190 .177 .217 .262 .219 .109 .175 .036 .179 .000 .090 .000 .000"
        ),
        "c-append": _rates(
            ".555 .625 .635 .199 .109 .150 .115 .165 .110 .196 .203 .172 .219 .145 .082 .060 .065 .072 .040 .000"
        ),
    },
    "restarter": {
        "c-rollback": _rates(
            ".211 .117 .142 .133 .047 .043 .105 .135 .141 .154 .150 .075 .072 .024 .050 .069 .086 .048 .000 .036"
        ),
        "c-append": _rates(
            ".115 .125 .150 .151 .130 .085 .111 .103 .137 .126 .144 .143 .089 .076 .023 .061 .067 .057 .032 .017"
        ),
    },
    "doubter": {
        "c-rollback": _rates(
            ".123 .066 .029 .030 .016 .087 .030 .067 .058 .095 .176 .126 .103 .128 .049 .019 .000 .046 .079 .030"
        ),
        "c-append": _rates(
            ".050 .075 .090 .030 .026 .044 .055 .071 .077 .142 .135 .171 .110 .118 .112 .053 .040 .065 .048 .053"
        ),
    },
}
"""By player and arm, what `measured_rates` found."""
