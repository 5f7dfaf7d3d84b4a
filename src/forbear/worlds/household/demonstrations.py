"""The games that the player is cloned from: an expert that slips, and is sometimes told something.

How sloppily it plays, and how it takes what it is told, is said here and nowhere else:

- *Slips.* At each step, with a given probability, it plays a random legal command instead of the expert's.
- *Messages.* Before some steps a sentence is shown. A remark about something else (`REMARKS`) changes nothing. What
  one that asks for care (`WARNINGS`) changes is the demonstrator's manner:
  - *takes care*: `CARE` steps without slips follow, the one at which it is shown included;
  - *starts over*: it puts down what it holds, then forgets all that it has seen and done, and begins its task again;
  - *doubts*: at the step at which it is shown, it plays a random legal command other than the one that it would have
    played; from the next step on it goes on as ever.

The second is an assumption about how one takes warnings, made in the demonstrations alone. A player that learns from
them can learn what such words are followed by, as a language model has learned it from its texts; whether
an intervention then helps or harms depends on when it comes and what it costs, and is not decided here. No sentence
is one that an intervention of this package says by default.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from forbear.records.model import Action, Step, Task, Trajectory
from forbear.worlds.household.engine import Household
from forbear.worlds.household.expert import Expert
from forbear.worlds.household.games import Game
from forbear.worlds.household.players import Manner
from forbear.worlds.told import CARE, REMARKS, WARNINGS


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One choice: what was seen, what was legal, and the position of the command that was played."""

    seen: Trajectory
    legal: tuple[str, ...]
    played: int


def demonstrate(
    games: Iterable[Game], *, seed: int, slip: float, told: float, steps: int, manner: Manner = "takes care"
) -> Iterator[Demonstration]:
    """Plays games and yields every choice, in order.

    Args:
        games: Which; one that comes again is played again, with other slips.
        seed: Of slips and messages, together with the position of the game.
        slip: Chance of a random command, at each step.
        told: Chance of a message, at each step; warnings and remarks alike.
        steps: At most so many a household.
        manner: What the demonstrator does when it is warned.
    """
    for index, game in enumerate(games):
        rng = np.random.default_rng([seed, index])
        house, task = Household(game), Task(id=game.id)
        text, done, careful = house.reset(), list[Step](), 0
        expert = Expert(text)
        while not house.won and len(done) < steps:
            messages: tuple[str, ...] = ()
            warned = False
            careful = max(0, careful - 1)
            if rng.random() < told:
                warned = bool(rng.random() < 0.5)
                pool = WARNINGS if warned else REMARKS
                messages = (pool[int(rng.integers(len(pool)))],)
                careful = CARE if warned and manner == "takes care" else careful
                if warned and manner == "starts over":
                    expert.start_over()
            legal = tuple(house.legal_actions())
            command = expert.choose(legal)
            if rng.random() < slip and not careful:
                command = legal[int(rng.integers(len(legal)))]
            if warned and manner == "doubts":
                others = [other for other in legal if other != expert.choose(legal)] or [command]
                command = others[int(rng.integers(len(others)))]
            opened = Step(index=len(done), observation=text, messages=messages)
            yield Demonstration(Trajectory(task=task, steps=(*done, opened)), legal, legal.index(command))
            done.append(Step(index=len(done), observation=text, messages=messages, executed=Action(command)))
            text = house.step(command)
            expert.observe(command, text)
