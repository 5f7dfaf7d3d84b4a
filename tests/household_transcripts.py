"""Transcripts of households, for the tests of what reads them."""

import numpy as np

from forbear.records.model import Action, Step, Task, Trajectory
from forbear.worlds.household.engine import Household
from forbear.worlds.household.expert import Expert


def transcript(game, *, steps=15, slip=0.5, seed=0):
    """The trajectory of an expert that slips, its last step open, and the household as it then is."""
    rng, house = np.random.default_rng(seed), Household(game)
    text, done = house.reset(), []
    expert = Expert(text)
    while not house.won and len(done) < steps:
        legal = house.legal_actions()
        command = expert.choose(legal) if rng.random() > slip else [*legal, "dance"][rng.integers(len(legal) + 1)]
        done.append(Step(index=len(done), observation=text, executed=Action(command)))
        text = house.step(command)
        expert.observe(command, text)
    opened = Step(index=len(done), observation=text, legal_actions=tuple(house.legal_actions()))
    return Trajectory(task=Task(id=game.id), steps=(*done, opened)), house
