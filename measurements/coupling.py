"""What coupling is worth on the household world: the same gains, with less variance and fewer calls.

Runs one coupled and one independent pilot of the same arms on the same tasks, with the agent and the critic that come
with forbear, and prints each arm's gain from both, the ratio of their variances, and the ratio of agent calls.

    python measurements/coupling.py [--tasks 2000] [--seed 11]
"""

import argparse
import asyncio
import math
import tempfile
import time
from dataclasses import replace

from forbear.analysis.pairing import pair_episodes
from forbear.analysis.result import PilotResult
from forbear.interventions import Append, Placebo, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.runner.pilot import run_pilot
from forbear.runner.plan import PilotPlan
from forbear.stats.intervals import paired_gain_interval
from forbear.stats.looks.looks import Looks
from forbear.worlds.household.pilot import agent, critic, environment, generated_tasks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=11, help="of the generated tasks")
    options = parser.parse_args()
    told = Rollback(message="A monitor expects this to fail (probability {p_fail}). Propose something better.")
    policy = InterventionPolicy(critic=critic(), intervention=told)
    plan = PilotPlan(
        tasks=generated_tasks(n=options.tasks, seed=options.seed),
        agent=agent,
        environment=environment,
        arms=[
            Arm.baseline(),
            Arm("rollback", policy),
            Arm("append", replace(policy, intervention=Append())),
            Arm("placebo", replace(policy, intervention=Placebo())),
        ],
        max_steps=20,
        # To measure, all tasks: no stop on the way.
        looks=Looks(tasks=(options.tasks,), watch=False),
    )
    coupled, apart = run(plan), run(replace(plan, design="independent"))
    print(f"{options.tasks} tasks; baseline success {success(coupled):.3f} coupled, {success(apart):.3f} independent")
    print(
        f"{'arm':10} {'coupled gain (95 % interval)':32} {'independent gain (95 % interval)':34} z     variance  calls"
    )
    for arm in ("rollback", "append", "placebo"):
        (gain, spread, text), (other, wide, other_text) = estimate(coupled, arm), estimate(apart, arm)
        z = (gain - other) / math.sqrt(spread + wide)
        calls = cost(apart, arm) / cost(coupled, arm)
        ratio = f"{wide / spread:.1f}x" if spread else "inf"
        print(f"{arm:10} {text:32} {other_text:34} {z:+.2f} {ratio:>8}  {calls:.2f}x")

    coupled_calls, apart_calls = (
        sum(arm.new_agent_calls for arm in pilot.arms.values() if arm.name != "rerun") for pilot in (coupled, apart)
    )
    ratio = apart_calls / coupled_calls
    print(f"agent calls of the whole pilot: {apart_calls:,} independent, {coupled_calls:,} coupled, {ratio:.2f}x")


def run(plan: PilotPlan) -> PilotResult:
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(run_pilot(plan, Journal(folder)))
    episodes = sum(arm.episodes for arm in result.arms.values())
    print(f"{result.design}: {episodes} episodes in {time.perf_counter() - started:.0f} s")
    return result


def success(result: PilotResult) -> float:
    return result.arms["baseline"].successes / result.arms["baseline"].episodes


def estimate(result: PilotResult, arm: str) -> tuple[float, float, str]:
    """The gain, the variance of its estimate, and both in words."""
    pairs = pair_episodes(result.episodes.values(), treated=arm).pairs
    gain = (pairs.recovered - pairs.disrupted) / pairs.pairs
    bounds = paired_gain_interval(pairs)
    text = f"{gain:+.4f} ({bounds.low:+.4f} to {bounds.high:+.4f})"
    return gain, (pairs.discordant / pairs.pairs - gain**2) / pairs.pairs, text


def cost(result: PilotResult, arm: str) -> int:
    """Agent calls paid for the baseline and this arm."""
    return result.arms["baseline"].new_agent_calls + result.arms[arm].new_agent_calls


if __name__ == "__main__":
    main()
