"""A player that learned from demonstrations: a conditional logit over the legal commands.

Each command is described by what is known of it (`forbear.worlds.household.features.signature`), by the words of
the task, by what was done recently and by what was said; the names of these features are hashed into one table of
weights. The player draws from softmax(score / temperature).
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from forbear.errors import AgentError
from forbear.learned.ranker import Described, RankerWeights
from forbear.records.model import Step, Trajectory
from forbear.worlds.household.features import (
    Memory,
    Situation,
    kind,
    parse_command,
    remember,
)
from forbear.worlds.household.players import HEED, TEMPERATURE, recipe_of
from forbear.worlds.ranked import RankedAgent
from forbear.worlds.told import lately_told


class Choice(NamedTuple):
    """What is described of one command in one situation: short names, the same for many situations."""

    relation: str
    """The relational signature."""
    mode: str
    repeat: int
    last: str
    """Verb of the command before, and whether it did anything."""
    habitat: str
    """Type of thing wanted and type of receptacle, where the command leads to a receptacle not yet looked into."""
    told: frozenset[str]
    """Words of the last messages; empty without any, or when they came longer ago than `features.RECENT` steps."""
    ago: int
    """How many steps ago the messages came, at most 3; −1 without any."""

    def names(self) -> list[str]:
        """The names of its features."""
        verb = self.relation.partition("|")[0]
        names = [
            f"r={self.relation}",
            f"m={self.mode}|{self.relation}",
            f"n={self.repeat}|{verb}",
            f"l={self.last}|{verb}",
            f"lm={self.last}|{self.mode}|{verb}",
        ]
        if self.habitat:
            names.append(f"h={self.habitat}")
        if self.ago >= 0:
            names += [
                f"a={self.ago}|{verb}",
                f"t={self.relation}",
                f"tm={self.ago}|{self.mode}|{self.relation}",
                f"tn={self.ago}|{self.repeat}|{verb}",
            ]
            if self.habitat:
                names.append(f"th={self.habitat}")
            names += [f"w={word}|{self.relation}" for word in sorted(self.told)]
        return names


def describe(memory: Memory, steps: Sequence[Step], commands: Sequence[str]) -> list[Choice]:
    """Describes each command as it stands now."""
    told, ago = lately_told(steps)
    last = "start"
    if memory.recent:
        before, answer = memory.recent[-1]
        last = parse_command(before).verb + ("-void" if answer.startswith("Nothing happens") else "")
    situation, choices = Situation(memory), []
    goal_mode, wanted, seen = memory.goal.mode, memory.wanted, memory.seen
    for text in commands:
        command = parse_command(text)
        place = command.place
        unseen = command.verb in ("go to", "open") and place not in seen
        choices.append(
            Choice(
                situation.relation(command),
                goal_mode,
                situation.repeats(text),
                last,
                f"{wanted}|{kind(place)}" if unseen else "",
                told,
                -1 if ago is None else min(ago, 3),
            )
        )
    return choices


class HouseholdWeights(RankerWeights):
    """Those of a player of the household."""

    kind = "forbear-household-ranker-1"


class RankerAgent(RankedAgent):
    """Chooses among the legal commands."""

    name = "household-ranker"

    def __init__(self, weights: RankerWeights, *, temperature: float = TEMPERATURE) -> None:
        """Makes a player.

        Raises:
            InvalidInput: Unless 0.01 ≤ temperature ≤ 100.
        """
        super().__init__(weights, temperature=temperature)

    def offered(self, trajectory: Trajectory, *, excluded: Collection[str]) -> tuple[list[str], Sequence[Described]]:
        """The legal commands.

        Raises:
            AgentError: The open step names none.
        """
        steps = trajectory.steps
        legal = (steps[-1].legal_actions if steps else None) or ()
        if not legal:
            raise AgentError("the household player chooses among legal commands; the environment names none here.")
        commands = [text for text in legal if text not in excluded] or list(legal)
        return commands, describe(remember(trajectory), steps, commands)


@lru_cache(maxsize=8)
def shipped_weights(player: str = HEED) -> HouseholdWeights:
    """The weights that come with the package; `python -m forbear.worlds.household.train` makes them.

    Raises:
        InvalidInput: No player of this name comes with forbear.
    """
    recipe_of(player)
    name = "agent.npz" if player == HEED else f"{player}.npz"
    with resources.as_file(resources.files("forbear.worlds.household") / "weights" / name) as path:
        return HouseholdWeights.load(path)
