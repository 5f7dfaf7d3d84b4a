"""The readings that a reader is cloned from: one who knows where it stands, is hasty, and is sometimes told something.

The demonstrator reads towards the answer: it searches the paragraph of what is named in the question, looks up what
does not stand in its beginning (a word of the question where that word is in the sentence, else its subject, again and
again), goes on to the paragraph that this leads to, and answers once all that is needed was read. How hastily it
reads, and how it takes what it is told, is said here and nowhere else:

- *Haste.* At each step, with a given probability, it answers with anything of the right kind that was read (a colour
  where a colour is asked for); of two people it names one. Where nothing of the kind was read it goes on.
- *Slips.* With a small probability it does something random instead.
- *Messages.* Before some steps a sentence is shown. A remark about something else changes nothing. What a warning
  changes is the demonstrator's manner:
  - *takes care*: `CARE` steps without haste and slips follow, the one at which it is shown included;
  - *reads on*: for as many steps it answers nothing, also where it knows the answer, but opens another paragraph of
    which it has read, or looks further in the open one;
  - *doubts*: where it was about to answer, it gives another answer of the kind that it has read, or reads on where
    there is none; from the next step on it goes on as ever.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from forbear.records.model import Action, Step, Trajectory
from forbear.worlds.questions.environment import QuestionEnvironment
from forbear.worlds.questions.features import Candidate, Memory, candidates, remember
from forbear.worlds.questions.generator import Fact, Made, generate
from forbear.worlds.questions.question import task_of
from forbear.worlds.questions.readers import Recipe
from forbear.worlds.told import CARE, REMARKS, WARNINGS


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One choice: what was seen, what could be done, and the position of what was done."""

    seen: Trajectory
    memory: Memory
    offered: tuple[Candidate, ...]
    taken: int


class Demonstrator:
    """Knows how a question is answered, and reads only what it opens."""

    def __init__(self, made: Made) -> None:
        self._made = made

    def careful(self, memory: Memory) -> str:
        """The next action towards the answer."""
        read = _read(memory)
        for fact in self._made.needed:
            if fact.sentence not in read:
                return _towards(memory, fact)
        return f"finish[{self._made.question.answers[0]}]"

    def plausible(self, memory: Memory) -> list[str]:
        """The answers of the right kind that were read; of two people, both."""
        if len(self._made.names) > 1:
            return [f"finish[{name}]" for name in self._made.names]
        read, kind = _read(memory), _kind(self._made.needed[-1])
        values = [fact.value for fact in self._made.facts if fact.sentence in read and _kind(fact) == kind]
        return [f"finish[{value}]" for value in dict.fromkeys(values)]


def _read(memory: Memory) -> set[str]:
    return {sentence for page in memory.pages.values() for sentence in page.read}


def _kind(fact: Fact) -> str:
    return "colour" if fact.what in ("thing", "tower") else fact.what


def _towards(memory: Memory, fact: Fact) -> str:
    """The next action that leads to a sentence."""
    if memory.page != fact.page:
        return f"search[{fact.page}]"
    there = [word for word in memory.asked.content if word.lower() in fact.sentence.lower()]
    return f"lookup[{there[0] if there else fact.page.partition(' ')[0]}]"


def _on(memory: Memory, rng: np.random.Generator) -> str:
    """Reading on, without an answer."""
    new = [title for title, page in memory.pages.items() if not page.opened and title not in memory.failed]
    return f"search[{new[int(rng.integers(len(new)))]}]" if new else f"lookup[{memory.page.partition(' ')[0]}]"


def _warned(
    recipe: Recipe, due: str, plausible: Sequence[str], memory: Memory, rng: np.random.Generator, *, now: bool
) -> str:
    """What it does in the steps after a warning; `now`: at the one at which it was shown."""
    answering = due.startswith("finish[")
    if recipe.manner == "reads on" and answering:
        return _on(memory, rng)
    if recipe.manner == "doubts" and answering and now:
        others = [other for other in plausible if other != due]
        return others[int(rng.integers(len(others)))] if others else _on(memory, rng)
    return due


def demonstrate(recipe: Recipe, *, seed: int) -> Iterator[Demonstration]:
    """Reads the first questions of a seed as a recipe says, and yields every choice, in order."""
    for index, made in enumerate(generate(seed=seed, count=recipe.demonstrations)):
        rng = np.random.default_rng([seed, index])
        task, one = task_of(made.question), Demonstrator(made)
        world = QuestionEnvironment([made.question], mode="react")
        text, done, steps, since = world.ask(task).text, False, list[Step](), CARE
        while not done and len(steps) < recipe.steps:
            messages: tuple[str, ...] = ()
            since += 1
            if rng.random() < recipe.told:
                warned = bool(rng.random() < 0.5)
                pool = WARNINGS if warned else REMARKS
                messages = (pool[int(rng.integers(len(pool)))],)
                since = 0 if warned else since
            opened = Step(index=len(steps), observation=text, messages=messages)
            seen = Trajectory(task=task, steps=(*steps, opened))
            memory = remember(seen)
            offered = tuple(candidates(memory))
            texts = [each.text for each in offered]
            plausible = one.plausible(memory)
            due, heeds = one.careful(memory), since < CARE and recipe.manner == "takes care"
            chances = rng.random(2)
            if plausible and chances[0] < recipe.haste and not heeds:
                due = plausible[int(rng.integers(len(plausible)))]
            if chances[1] < recipe.slip and not heeds:
                due = texts[int(rng.integers(len(texts)))]
            if since < CARE:
                due = _warned(recipe, due, plausible, memory, rng, now=since == 0)
            yield Demonstration(seen, memory, offered, texts.index(due))
            steps.append(Step(index=len(steps), observation=text, messages=messages, executed=Action(due)))
            told = world.carry_out(Action(due))
            text, done = told.text, told.done
