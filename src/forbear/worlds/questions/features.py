"""What a reader can know from the transcript: the one reading that agent and critic share.

`remember` folds the steps of a trajectory into a `Memory`: the question's words and the names in it, which paragraphs
were opened, which sentences were read where, and how a paragraph was come upon. `candidates` lists what may be done
next: searching for a name that was read, looking up a word of the question in the open paragraph, answering with
something that was read. It reads texts alone, it knows nothing of the generator, and no answer is stored: what is not
in the transcript cannot be answered.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from forbear.records.model import Trajectory

STOP = frozenset((
    "a", "an", "and", "as", "at", "by", "does", "for", "from", "has", "have", "how", "in", "into", "is", "it",
    "its", "many", "not", "now", "of", "on", "or", "than", "the", "then", "there", "this", "through", "to",
    "two", "was", "were", "what", "when", "where", "which", "who", "with",
))  # fmt: skip
"""Words that say little of what a text is about."""
MOST = 400
"""Candidates at most; a generated question has some fifty."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_TOKEN = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*|\d+(?:[.,]\d+)*")
_RESULT = re.compile(r"\(Result \d+ / \d+\) ")
_ACTION = re.compile(r"(search|lookup|finish)\[(.*)\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Span:
    """Something in a sentence that could be an answer, or the title of a paragraph."""

    text: str
    shape: str
    """`name2` of several words, `name1`, `number`, or the word itself where it is in lower case."""
    before: str
    """The word before it, in lower case, `name` or `number`; empty at the beginning."""

    @property
    def is_name(self) -> bool:
        """Whether it begins with a capital."""
        return self.shape in ("name1", "name2")


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence, taken apart."""

    words: frozenset[str]
    """Stems of its words that are no names and no `STOP`."""
    spans: tuple[Span, ...]


def stem(word: str) -> str:
    """A word in lower case without a final s."""
    lower = word.lower()
    return lower[:-1] if len(lower) > 3 and lower.endswith("s") else lower


@lru_cache(maxsize=1 << 15)
def read_sentence(text: str) -> Sentence:
    """Takes a sentence apart: runs of capitalised words are one name, a `STOP` at its beginning is none."""
    tokens = [(match[0], match.start(), match.end()) for match in _TOKEN.finditer(text)]
    spans, words, at, before = list[Span](), set[str](), 0, ""
    while at < len(tokens):
        word, start, end = tokens[at]
        at += 1
        if word[0].isupper() and not (not before and word.lower() in STOP):
            count = 1
            while at < len(tokens) and tokens[at][0][0].isupper() and text[end : tokens[at][1]] == " ":
                end, at, count = tokens[at][2], at + 1, count + 1
            spans.append(Span(text[start:end], "name2" if count > 1 else "name1", before))
            before = "name"
            continue
        if word[0].isdigit():
            spans.append(Span(word, "number", before))
        elif word.lower() not in STOP:
            words.add(stem(word))
            spans.append(Span(word, word.lower(), before))
        before = "number" if word[0].isdigit() else word.lower()
    return Sentence(frozenset(words), tuple(spans))


@dataclass(frozen=True, slots=True)
class Asked:
    """The question."""

    words: frozenset[str]
    """All its words but names, in lower case."""
    content: tuple[str, ...]
    """Those that are no `STOP`, as they stand, in their order."""
    stems: frozenset[str]
    names: tuple[str, ...]


@lru_cache(maxsize=4096)
def read_question(observation: str) -> Asked:
    """Finds the question in the first observation."""
    text = observation.partition("Question: ")[2].partition("\n")[0]
    read = read_sentence(text)
    names = [span.text for span in read.spans if span.is_name]
    # The first word has a capital because it is the first.
    if names and text.startswith(names[0]) and not names[0].count(" "):
        names = names[1:]
    named = {word for name in names for word in name.split()}
    words = [word for word in _TOKEN.findall(text) if word not in named]
    content = tuple(dict.fromkeys(word for word in words if word.lower() not in STOP))
    return Asked(frozenset(word.lower() for word in words), content, frozenset(map(stem, content)), tuple(names))


@dataclass(slots=True)
class Page:
    """A paragraph that was opened, or the name of one that could be."""

    depth: int
    """0: named in the question; else the number of paragraphs that led to it."""
    path: frozenset[str] = frozenset()
    """Words of the sentences that led to it."""
    read: list[str] = field(default_factory=list)
    """Its sentences, as far as they were read."""
    opened: bool = False
    number: float | None = None
    """The first number read in it."""


@dataclass(slots=True)
class Memory:
    """What is known now."""

    asked: Asked
    pages: dict[str, Page]
    """By title, in the order in which they were come upon."""
    page: str = ""
    """The one that is open."""
    similar: tuple[str, ...] = ()
    """Titles that were named because there was none such."""
    failed: set[str] = field(default_factory=set)
    """Titles that there are none of."""
    looked: dict[str, int] = field(default_factory=dict)
    """How often what was looked up in the open page."""
    recent: list[tuple[str, bool]] = field(default_factory=list)
    """Verbs, and whether they found something."""


def remember(trajectory: Trajectory) -> Memory:
    """Folds all executed steps and the observation that is open into what is known now."""
    steps = trajectory.steps
    asked = read_question(steps[0].observation if steps else "")
    memory = Memory(asked, {name: Page(0) for name in asked.names})
    for step, after in pairwise(steps):
        if step.executed is not None:
            _learn(memory, step.executed.text, after.observation)
    return memory


def parse_action(text: str) -> tuple[str, str]:
    """Verb and argument; "other" and the text where it is no action."""
    found = _ACTION.fullmatch(text.strip())
    return (found[1], found[2]) if found else ("other", text)


@lru_cache(maxsize=1 << 14)
def _sentences(text: str) -> tuple[str, ...]:
    return tuple(_SENTENCE.split(text.strip()))


def _learn(memory: Memory, action: str, observation: str) -> None:
    verb, argument = parse_action(action)
    if verb == "search":
        if observation.startswith("Could not find "):
            memory.failed.add(argument)
            listed = observation.rpartition("Similar: ")[2].rstrip(".")
            memory.similar = tuple(name.strip() for name in listed.split(","))[:5]
            memory.recent.append(("search", False))
            return
        page = memory.pages.setdefault(argument, Page(1))
        page.opened, memory.page, memory.looked = True, argument, {}
        for sentence in _sentences(observation):
            _read(memory, argument, sentence)
        memory.recent.append(("search", True))
    elif verb == "lookup":
        memory.looked[argument] = memory.looked.get(argument, 0) + 1
        found = _RESULT.match(observation)
        if found and memory.page:
            _read(memory, memory.page, observation[found.end() :])
        memory.recent.append(("lookup", found is not None))
    else:
        memory.recent.append((verb, False))


def _read(memory: Memory, title: str, sentence: str) -> None:
    page = memory.pages[title]
    if sentence in page.read:
        return
    page.read.append(sentence)
    read = read_sentence(sentence)
    for span in read.spans:
        if span.shape == "number" and page.number is None:
            page.number = _number(span.text)
        if span.is_name and span.text not in memory.pages and not _is_short(span.text, memory.pages):
            memory.pages[span.text] = Page(page.depth + 1, page.path | read.words)


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", ""))
    except ValueError:  # a date, a version
        return None


def _is_short(name: str, pages: Iterable[str]) -> bool:
    """Whether it is how somebody known is called for short."""
    return any(page.startswith(f"{name} ") for page in pages)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may be done next."""

    verb: str
    argument: str
    page: str = ""
    """Where it was read."""
    sentence: str = ""
    span: Span | None = None

    @property
    def text(self) -> str:
        """As an action."""
        return f"{self.verb}[{self.argument}]"


def candidates(memory: Memory) -> list[Candidate]:
    """What may be done next, in a fixed order, each text once; at least one thing."""
    found: dict[str, Candidate] = {}
    for title in (*memory.pages, *memory.similar):
        if title:
            found.setdefault(f"search[{title}]", Candidate("search", title))
    if memory.page:
        for word in (*memory.asked.content, memory.page.partition(" ")[0]):
            found.setdefault(f"lookup[{word}]", Candidate("lookup", word))
    found |= {one.text: one for one in answers(memory)}
    return list(found.values())[:MOST] or [Candidate("finish", "noanswer")]


def answers(memory: Memory) -> list[Candidate]:
    """What could be answered: names of the question, and whatever was read, there where it fits the question best."""
    best: dict[str, tuple[int, Candidate]] = {}
    for name in memory.asked.names:
        best[name] = (-1, Candidate("finish", name))
    for title, page in memory.pages.items():
        for sentence in page.read:
            read = read_sentence(sentence)
            missing = len(memory.asked.stems - read.words - page.path)
            for span in read.spans:
                if span.is_name and span.text not in memory.pages and _is_short(span.text, memory.pages):
                    continue
                known = best.get(span.text)
                if known is None or missing < known[0]:
                    best[span.text] = (missing, Candidate("finish", span.text, title, sentence, span))
    return [candidate for _, candidate in best.values()]


def repeats(recent: Sequence[tuple[str, bool]]) -> int:
    """How many of the last actions in a row found nothing, at most 3."""
    count = 0
    for _, found in reversed(recent[-3:]):
        if found:
            break
        count += 1
    return count
