"""What `forbear bench alfworld` runs: a pilot an agent on real games, settled beforehand.

Agents are the household's players as they come, which never saw a real game (zero-shot), those that learned from real
games, and any that is brought, such as a chat model. Settings are the household's bench's (`bench.py`). Everything here
was fixed before the full run, and nothing by what an arm gained (docs/results.md).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from forbear.contracts.agent import Agent
from forbear.contracts.critic import Critic
from forbear.policy.arm import Arm
from forbear.runner.benchmark import ARMS, BLIND, Benchmark, blind_rates, chosen_arms, full_plan, rates, study_arms
from forbear.runner.plan import PilotPlan
from forbear.worlds.household.bench import STEPS
from forbear.worlds.household.environment import task_of
from forbear.worlds.household.games import Game
from forbear.worlds.household.pilot import agent as shipped_agent
from forbear.worlds.household.pilot import critic as shipped_critic
from forbear.worlds.household.players import HEED, PLAYERS
from forbear.worlds.household.real_games import SPLIT, chosen_games, real_environment, real_games
from forbear.worlds.household.real_players import RealPlayer, load_player, names_in, real_agent, real_critic

RETRAINED = "-retrained"
"""Ends the names of players that learned from real games."""
_MakeAgent = Callable[[], Agent]


@dataclass(frozen=True, slots=True, kw_only=True)
class RealBench:
    """Which games and which agents."""

    path: Path | None = None
    """As `real_games.real_games`; likewise the split."""
    split: str = SPLIT
    players: Path | None = None
    """A folder of players that learned from real games; None: those that come with forbear."""
    brought: Mapping[str, _MakeAgent] | None = None
    """Makers of agents by name; they stand alone, beside none of ours."""

    def benchmark(self) -> Benchmark:
        """As the command runs it."""
        names = [*PLAYERS, *(f"{name}{RETRAINED}" for name in names_in(self.players))]
        return Benchmark(
            name="alfworld",
            title="ALFWorld",
            agents=tuple(self.brought or names),
            plan=self.plan,
            critic=self.critic,
            arms=ARMS if self.brought is None else tuple(name for name in ARMS if name not in BLIND),
            agent_word="player" if self.brought is None else "agent",
        )

    def plan(self, agent: str, /, *, arms: Sequence[str] = ARMS, tasks: int = 200, seeds: int = 3) -> PilotPlan:
        """The pilot of one agent; see `runner.benchmark.MakesPlan`.

        Raises:
            InvalidInput: The games cannot be read, the agent learned from one of them, or as `MakesPlan`.
        """
        games = chosen_games(real_games(self.path, split=self.split), tasks)
        if self.brought is None and agent.endswith(RETRAINED):
            self._retrained(agent).require_unseen(games)
        chosen = chosen_arms(self.arms(agent), arms)
        return self._plan(games, self._maker(agent), chosen, seeds)

    def arms(self, agent: str) -> Mapping[str, Arm]:
        """The arms of one agent's pilot, by name."""
        return study_arms(
            self.critic(agent), uncalibrated=self.critic(agent, calibrated=False), rates=self._rates(agent)
        )

    def critic(self, agent: str, *, calibrated: bool = True) -> Critic:
        """A player's own critic; of an agent that is brought that of the household's first player."""
        if self.brought is None and agent.endswith(RETRAINED):
            return real_critic(agent.removesuffix(RETRAINED), self.players, calibrated)
        return shipped_critic(player=agent if self.brought is None else HEED, calibrated=calibrated)

    def measured_rates(self, agent: str) -> dict[str, tuple[float, ...]]:
        """The rates at which a blind critic would intervene as often as the calibrated one, on these games."""
        games = chosen_games(real_games(self.path, split=self.split))
        arms = chosen_arms(self.arms(agent), list(BLIND.values()))
        return blind_rates(self._plan(games, self._maker(agent), arms, 1))

    def _retrained(self, agent: str) -> RealPlayer:
        return load_player(agent.removesuffix(RETRAINED), folder=self.players)

    def _rates(self, agent: str) -> Mapping[str, Sequence[float]]:
        if self.brought is not None:
            return {}
        if agent.endswith(RETRAINED):
            return self._retrained(agent).rates
        return ZERO_SHOT_RATES[agent]

    def _maker(self, agent: str) -> _MakeAgent:
        if self.brought is not None:
            return self.brought[agent]
        if agent.endswith(RETRAINED):
            return partial(real_agent, agent.removesuffix(RETRAINED), self.players)
        return partial(shipped_agent, player=agent)

    def _plan(self, games: Sequence[Game], agent: _MakeAgent, arms: Sequence[Arm], seeds: int) -> PilotPlan:
        return full_plan(
            [task_of(game) for game in games],
            agent=agent,
            environment=partial(real_environment, self.path, self.split),
            arms=arms,
            seeds=seeds,
            steps=STEPS,
        )


ZERO_SHOT_RATES: Mapping[str, Mapping[str, Sequence[float]]] = {
    "heed": {
        "c-rollback": rates(
            ".335 .176 .173 .120 .188 .122 .069 .113 .099 .075 .107 .138 .149 .051 .038 .000 .000 .000 .000 .000"
        ),
        "c-append": rates(
            ".195 .225 .225 .168 .179 .125 .100 .103 .085 .089 .102 .105 .145 .118 .072 .044 .000 .000 .000 .000"
        ),
    },
    "novice": {
        "c-rollback": rates(
            ".770 .281 .197 .132 .101 .116 .159 .112 .176 .229 .000 .126 .143 .086 .032 .098 .039 .041 .000 .000"
        ),
        "c-append": rates(
            ".640 .640 .650 .129 .142 .108 .092 .120 .099 .111 .084 .093 .070 .134 .086 .024 .026 .081 .092 .069"
        ),
    },
    "restarter": {
        "c-rollback": rates(
            ".428 .179 .121 .101 .136 .113 .139 .150 .155 .068 .108 .094 .093 .075 .000 .000 .021 .000 .000 .000"
        ),
        "c-append": rates(
            ".260 .290 .305 .109 .124 .132 .135 .153 .170 .136 .097 .091 .068 .074 .054 .015 .000 .000 .000 .000"
        ),
    },
    "doubter": {
        "c-rollback": rates(
            ".260 .101 .139 .101 .060 .047 .118 .039 .077 .051 .037 .079 .143 .053 .000 .025 .000 .035 .000 .000"
        ),
        "c-append": rates(
            ".135 .125 .150 .097 .076 .086 .072 .067 .041 .065 .057 .051 .076 .106 .061 .070 .027 .000 .000 .000"
        ),
    },
}
"""By player and arm, what `measured_rates` found on the 200 games of `valid_train`."""
