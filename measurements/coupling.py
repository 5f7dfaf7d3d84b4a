"""What coupling is worth on the household world: the same gains, with less variance and fewer calls.

Runs one coupled and one independent pilot of the same arms on the same tasks, with the agent and the critic that come
with forbear, and prints each arm's gain from both, the ratio of their variances, and the ratio of agent calls.

A language model behind somebody's server is coupled only up to the fork: what it said before is kept and shared, but it
cannot be made to draw alike afterwards. The last lines are of such an agent: from the first message on, its draws are
its own in each arm.

    python measurements/coupling.py [--tasks 2000] [--seed 11]
"""

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from msgspec import structs

from forbear.analysis.pairing import pair_episodes
from forbear.analysis.result import PilotResult
from forbear.contracts.draw import Draw, derived_seed
from forbear.interventions import Append, Placebo, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Journal
from forbear.records.model import JSON, Action, Trajectory
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

    alone, shared = total_calls(apart), total_calls(coupled)
    print(f"agent calls of the whole pilot: {alone:,} independent, {shared:,} coupled, {alone / shared:.2f}x")
    # A placebo says nothing, so that nothing tells such an agent that it was touched.
    told_arms = [arm for arm in plan.arms if arm.name != "placebo"]
    forked = run(replace(plan, agent=ForkedAgent, arms=told_arms))
    print("no common draws after the fork: gain (95 % interval), variance apart to this, calls")
    for arm in ("rollback", "append"):
        (_, spread, text), (_, wide, _) = estimate(forked, arm), estimate(apart, arm)
        print(f"{arm:10} {text:32} {wide / spread:.1f}x  {cost(apart, arm) / cost(forked, arm):.2f}x")


class ForkedAgent:
    """The shipped player, whose draws are its arm's own from the first message on."""

    def __init__(self) -> None:
        self._player = agent()

    async def act(self, trajectory: Trajectory, *, draw: Draw, excluded: Sequence[Action] = ()) -> Action:
        told = [message for step in trajectory.steps for message in step.messages]
        own = draw if not told else structs.replace(draw, seed=derived_seed(draw.seed, purpose=f"told:{told[0]}"))
        return await self._player.act(trajectory, draw=own, excluded=excluded)

    def config(self) -> Mapping[str, JSON]:
        return {**self._player.config(), "name": "household-ranker-forked"}


def total_calls(pilot: PilotResult) -> int:
    return sum(arm.new_agent_calls for arm in pilot.arms.values() if arm.name != "rerun")


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
