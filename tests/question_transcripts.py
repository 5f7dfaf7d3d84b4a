"""Readings of generated questions, for tests: what a reader meets on its way."""

import re

from msgspec import structs

from forbear.contracts.draw import Draw
from forbear.records.model import Step, Trajectory
from forbear.worlds.questions.environment import QuestionEnvironment
from forbear.worlds.questions.features import STOP
from forbear.worlds.questions.pilot import agent
from forbear.worlds.questions.question import task_of


def transcript(made, *, steps, seed=0, reader="skimmer", temperature=None):
    """The reader's way through a question, up to so many steps, open at the end."""
    world, player = QuestionEnvironment([made.question], mode="react"), agent(reader=reader, temperature=temperature)
    task = task_of(made.question)
    told, done = world.ask(task), []
    for index in range(steps):
        opened = Step(index=index, observation=told.text)
        draw = Draw(task_id=task.id, seed=seed, role="agent", step_index=index)
        action = player.choose(Trajectory(task=task, steps=(*done, opened)), draw=draw)
        if action.text.startswith("finish["):
            break
        done.append(structs.replace(opened, executed=action))
        told = world.carry_out(action)
    return Trajectory(task=task, steps=(*done, Step(index=len(done), observation=told.text)))


def renamed(text):
    """The same text about others: each name has another word for each of its words, each number is larger by 1,000."""
    text = re.sub(r"\b[A-Z][a-z]+\b", lambda m: m[0] if m[0].lower() in STOP | PLAIN else other_name(m[0]), text)
    # Numbers of results and of an observation's order are the world's, not the question's.
    return re.sub(r"(?<![(/] )(?<!Result )\b\d+\b(?! / )(?!\))", lambda m: str(int(m[0]) + 1000), text)


PLAIN = {"question", "result", "could", "similar", "strangers", "invalid", "valid", "no"}


def other_name(word):
    """Another word for a word of a name, of its own."""
    return "X" + word.lower()
