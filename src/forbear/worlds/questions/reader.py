"""A reader that learned from demonstrations: a conditional logit over what may be done next.

Each candidate is described by relations to what was read (`forbear.worlds.questions.features`), by the words of the
question, by how the last actions went and by what was said; the names of these features are hashed into one table of
weights. The reader draws from softmax(score / temperature).
"""

from collections.abc import Collection, Sequence
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

from forbear.errors import AgentError
from forbear.learned.ranker import Described, RankerWeights
from forbear.records.model import Step, Trajectory
from forbear.worlds.questions.features import (
    Candidate,
    Memory,
    Page,
    candidates,
    read_sentence,
    remember,
    repeats,
    stem,
)
from forbear.worlds.questions.readers import FIRST, recipe_of
from forbear.worlds.ranked import RankedAgent
from forbear.worlds.told import lately_told


class ReaderWeights(RankerWeights):
    """Those of a reader of questions."""

    kind = "forbear-questions-reader-1"


class Choice(NamedTuple):
    """What is described of one candidate: short texts, the same for many situations."""

    verb: str
    shape: str
    """Of an answer, or of what is searched for; of a lookup: whether a word of the question or of the title."""
    before: str
    """The word before it where it was read."""
    where: str
    """`q`: named in the question; `0`, `1`, ...: read on a page so far from it; `s`: named as similar; `-`: unknown."""
    missing: frozenset[str]
    """Words of the question that are neither in the sentence nor on the way to its page."""
    state: str
    """Of a search: new, opened or failed. Of a lookup: whether the word was read here, and how often it was tried. Of
    an answer that the question names: how its page compares with the other's."""
    asked: frozenset[str]
    last: str
    """The last action, whether it found something, how many in a row found nothing; how well the open page fits."""
    told: frozenset[str]
    """Words of the last messages; empty without any."""
    ago: int
    """How many steps ago the messages came, at most 3; −1 without any."""

    def names(self) -> list[str]:
        """The names of its features."""
        lacks = min(3, len(self.missing))
        shape = self.shape if self.shape in ("name1", "name2", "number") or self.verb != "finish" else "word"
        kind = f"{self.verb}|{self.where}|{lacks}|{self.state}"
        names = [
            f"v={self.verb}|{self.last}",
            f"k={kind}",
            f"ks={kind}|{shape}",
            f"s={self.verb}|{self.shape}|{self.before}",
            f"l={self.verb}|{self.where}|{lacks}|{self.last}",
            *(f"x={word}|{self.verb}|{self.where}|{shape}" for word in sorted(self.missing)),
        ]
        for word in sorted(self.asked):
            names += [f"q={word}|{self.verb}|{self.shape}", f"w={word}|{kind}|{shape}"]
        if self.ago >= 0:
            names += [
                f"a={self.ago}|{self.verb}",
                f"t={kind}",
                f"tl={self.ago}|{self.verb}|{self.last}",
                f"ts={self.ago}|{self.verb}|{self.where}|{lacks}|{shape}",
                *(f"m={word}|{self.verb}|{self.where}|{lacks}" for word in sorted(self.told)),
            ]
        return names


def describe(memory: Memory, steps: Sequence[Step], offered: Sequence[Candidate]) -> list[Choice]:
    """Describes each candidate as it stands now."""
    told, ago = lately_told(steps)
    last = "start"
    if memory.recent:
        verb, found = memory.recent[-1]
        page = memory.pages.get(memory.page)
        known = "" if page is None else f"{_covers(memory, page)}{'' if page.number is None else '#'}"
        last = f"{verb}|{'found' if found else 'void'}|{repeats(memory.recent)}|{known}"
    common = (memory.asked.words, last, told, -1 if ago is None else min(ago, 3))
    return [Choice(one.verb, *_relation(memory, one), *common) for one in offered]


def _relation(memory: Memory, one: Candidate) -> tuple[str, str, str, frozenset[str], str]:
    """Shape, before, where, missing and state of a candidate."""
    asked = memory.asked
    if one.verb == "search":
        page = memory.pages.get(one.argument)
        state = "failed" if one.argument in memory.failed else "opened" if page and page.opened else "new"
        shape = "name2" if " " in one.argument else "name1"
        if page is None:
            return shape, "", "s" if one.argument in memory.similar else "-", asked.stems, state
        where = "q" if one.argument in asked.names else str(min(page.depth, 3))
        return shape, "", where, asked.stems - page.path, state
    open_page = memory.pages.get(memory.page)
    if one.verb == "lookup":
        of_title = bool(memory.page) and one.argument == memory.page.partition(" ")[0]
        word = stem(one.argument)
        here = open_page is not None and any(word in read_sentence(text).words for text in open_page.read)
        tried = min(3, memory.looked.get(one.argument, 0))
        where = "-" if open_page is None else str(min(open_page.depth, 3))
        lacking = asked.stems if open_page is None else asked.stems - open_page.path
        return "title" if of_title else word, "", where, lacking, f"{'here' if here else 'not'}|{tried}"
    if one.span is None:
        where = "q" if one.argument in asked.names else "-"
        return "name2" if " " in one.argument else "name1", "", where, asked.stems, _compared(memory, one.argument)
    page = memory.pages[one.page]
    where = str(min(page.depth, 3)) + ("*" if one.argument in asked.names else "")
    missing = asked.stems - read_sentence(one.sentence).words - page.path
    return one.span.shape, one.span.before, where, missing, _compared(memory, one.argument)


def _compared(memory: Memory, name: str) -> str:
    """How the page of a name compares with that of the other one in the question; empty without another one."""
    names = memory.asked.names
    if name not in names or len(names) < 2:
        return ""
    others = [memory.pages[other] for other in names if other != name]
    own, number = memory.pages[name], memory.pages[name].number
    numbers = [page.number for page in others if page.number is not None]
    rank = "none" if number is None else "alone"
    if number is not None and numbers:
        rank = "more" if number > max(numbers) else "less"
    elif numbers:
        rank = "unknown"
    covers = [_covers(memory, own), *sorted(_covers(memory, other) for other in others)]
    return "|".join([rank, *covers[:3]])


def _covers(memory: Memory, page: Page) -> str:
    """How well a page fits the question: words that its best sentence lacks, and whether one has a name of it."""
    if not page.read:
        return "unread"
    read = [read_sentence(text) for text in page.read]
    missing = min(len(memory.asked.stems - sentence.words) for sentence in read)
    named = {span.text for sentence in read for span in sentence.spans}.intersection(memory.asked.names)
    return f"{min(3, missing)}{'n' if named else ''}"


class Reader(RankedAgent):
    """Chooses among what may be searched for, looked up and answered, as far as it has read."""

    name = "questions-reader"

    def offered(self, trajectory: Trajectory, *, excluded: Collection[str]) -> tuple[list[str], Sequence[Described]]:
        """Its candidates.

        Raises:
            AgentError: The first observation is no question of mode `react`.
        """
        steps = trajectory.steps
        if not steps or not steps[0].observation.startswith("Question: "):
            raise AgentError("the reader reads questions in mode 'react'; the first observation is none.")
        memory = remember(trajectory)
        known = candidates(memory)
        known = [one for one in known if one.text not in excluded] or known
        return [one.text for one in known], describe(memory, steps, known)


@lru_cache(maxsize=8)
def shipped_weights(reader: str = FIRST) -> ReaderWeights:
    """The weights that come with the package; `python -m forbear.worlds.questions.train` makes them.

    Raises:
        InvalidInput: No reader of this name comes with forbear.
    """
    recipe_of(reader)
    with resources.as_file(resources.files("forbear.worlds.questions") / "weights" / f"{reader}.npz") as path:
        return ReaderWeights.load(path)
