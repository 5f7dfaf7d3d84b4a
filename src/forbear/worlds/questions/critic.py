"""What the readers' critics look at. The regression itself is `forbear.critics.logistic`.

Looked at: how the proposal stands to what was read and to the question (the relations that the reader knows too), the
words of the question, whether the last actions found anything, and how much of the question what was read covers.

Not looked at: the index of the step, the budget, whether the episode is over, the messages, the task's id and payload,
and what any name, place or number is called. A colour or a trade that is proposed is looked at as a word.
"""

from forbear.critics.logistic import Features
from forbear.records.model import Action, Trajectory
from forbear.worlds.questions.features import (
    Candidate,
    Memory,
    answers,
    candidates,
    parse_action,
    read_sentence,
    remember,
    repeats,
)
from forbear.worlds.questions.reader import Choice, describe


class QuestionFeatures:
    """Features of a reading, for `forbear.critics.logistic.LogisticCritic`."""

    name = "questions-transcript-1"
    size = 5

    def __call__(self, trajectory: Trajectory, proposed: Action) -> Features:
        """Returns the features; the last step is open."""
        memory = remember(trajectory)
        verb, argument = parse_action(proposed.text)
        known = {one.text: one for one in candidates(memory)}
        one = known.get(proposed.text) or Candidate(verb, argument)
        (choice,) = describe(memory, (), [one])
        opened = sum(page.opened for page in memory.pages.values())
        # Which pages were opened, by their distance from the question.
        way = "".join(sorted(str(min(page.depth, 3)) for page in memory.pages.values() if page.opened))
        names = [*choice.names(), f"o={way}|{verb}|{choice.where}", f"n={argument in memory.asked.names}|{verb}"]
        return Features(
            names, [*_covered(memory, choice), _rivals(memory, choice), min(1.0, opened / 4), _void(memory)]
        )


def _covered(memory: Memory, choice: Choice) -> tuple[float, float]:
    """The shares of the question's words that the proposal covers, and that the best sentence read does."""
    words = max(1, len(memory.asked.stems))
    best = [
        len(memory.asked.stems & (read_sentence(text).words | page.path))
        for page in memory.pages.values()
        for text in page.read
    ]
    return 1 - len(choice.missing) / words, max(best, default=0) / words


def _rivals(memory: Memory, choice: Choice) -> float:
    """Of an answer: how many others of its shape were read, by tenths."""
    if choice.verb != "finish":
        return 0.0
    shapes = [one.span.shape for one in answers(memory) if one.span is not None]
    return min(1.0, max(0, shapes.count(choice.shape) - 1) / 10)


def _void(memory: Memory) -> float:
    return repeats(memory.recent) / 3
