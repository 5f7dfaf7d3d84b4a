"""Questions made from a seed: any number of them, about people and towns that nobody has met before.

Each comes with paragraphs about the people it names, those to whom it leads, the towns they live in and others. A
paragraph says one thing a sentence, in one of several wordings and in a random order, so that what is asked for may
stand beyond the first five sentences. People, towns and rivers are made of syllables; colours, trades, things and
relatives are English words. A question depends on (seed, index) alone, and a longer list starts with a shorter one.

`Made` says beside the question how it is answered: for demonstrations and tests; no reader sees that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeAlias

from forbear.errors import InvalidInput
from forbear.worlds.dice import Dice
from forbear.worlds.generated import Generated
from forbear.worlds.questions.question import Paragraph, Question

Kind: TypeAlias = Literal["thing", "self", "kin", "town", "older", "which"]
KINDS: tuple[Kind, ...] = ("thing", "kin", "older", "town", "self", "which")
"""What is asked: the colour of a thing that somebody has; something about somebody; something about a relative of
somebody; something about the town in which somebody lives; who of two is older or younger; who of two has a trade or
lives somewhere. They take turns."""

COLOURS = ("red", "blue", "green", "yellow", "white", "black", "brown", "grey", "purple", "pink")
THINGS = ("boat", "hat", "coat", "cart", "door", "lamp", "bag", "tent", "chair", "bell", "ladder", "kite")
TRADES = (
    "baker", "miller", "potter", "weaver", "tailor", "carpenter", "smith", "fisher", "farmer", "teacher", "doctor",
    "painter", "printer", "glazier", "cook", "gardener",
)  # fmt: skip
RELATIVES = ("sister", "brother", "cousin", "nephew", "niece", "friend")
GOODS = ("salt", "wool", "cheese", "honey", "paper", "candles", "copper", "linen", "apples", "rope")

_SAYINGS: Mapping[str, Sequence[str]] = {
    "trade": ("{given} is a {value}.", "{given} works as a {value}.", "By trade {given} is a {value}."),
    "home": ("{given} lives in {value}.", "The home of {given} is in {value}.", "{given} has a house in {value}."),
    "age": ("{given} is {value} years old.", "{given} has reached the age of {value}."),
    "thing": ("{given} has a {value} {more}.", "{given} owns a {value} {more}.", "The {more} of {given} is {value}."),
    "kin": ("The {more} of {given} is {value}.", "{given} has a {more}, {value}."),
    "river": ("{given} lies at the river {value}.", "The river {value} flows through {given}."),
    "mayor": ("The mayor of {given} is {value}.", "{value} is the mayor of {given}."),
    "goods": ("The market of {given} sells {value}.", "{given} is known for its {value}."),
    "tower": ("The tower of {given} is {value}.", "{given} has a {value} tower."),
    "idle": (
        "{given} likes the winter.", "{given} gets up early.", "Strangers come to {given} now and then.",
        "Not much is written about {given}.", "{given} was painted once.", "Many have heard of {given}.",
    ),
}  # fmt: skip

_ASKED: Mapping[str, Sequence[str]] = {
    "trade": ("What is the trade of {whom}?", "What does {whom} work as?"),
    "home": ("In which town does {whom} live?", "Where is the home of {whom}?"),
    "age": ("How old is {whom}?", "What is the age of {whom}?"),
    "thing": ("What colour is the {more} of {whom}?", "Which colour has the {more} of {whom}?"),
    "river": ("Which river flows through the town where {whom} lives?", "At which river does the town of {whom} lie?"),
    "mayor": ("Who is the mayor of the town where {whom} lives?", "Who is the mayor of the home of {whom}?"),
    "goods": ("What does the market sell in the town where {whom} lives?", "What is the town of {whom} known for?"),
    "tower": (
        "What colour is the tower of the town where {whom} lives?", "Which colour has the tower in the town of {whom}?",
    ),
    "older": ("Who is older, {a} or {b}?", "Which of the two is older, {a} or {b}?"),
    "younger": ("Who is younger, {a} or {b}?", "Which of the two is younger, {a} or {b}?"),
    "has trade": ("Who is a {value}, {a} or {b}?", "Who works as a {value}, {a} or {b}?"),
    "has home": ("Who lives in {value}, {a} or {b}?", "Who has a house in {value}, {a} or {b}?"),
}  # fmt: skip

_STARTS = ("Bra", "Cor", "Dal", "El", "Fen", "Gor", "Hal", "Il", "Jor", "Kel", "Lun", "Mar", "Nev", "Or", "Pel", "Quin",
           "Ras", "Sel", "Tor", "Ul", "Ver", "Wil", "Yor", "Zan")  # fmt: skip
_MIDDLES = ("a", "e", "i", "o", "u", "an", "er", "il", "or", "un")
_ENDS = {
    "given": ("da", "la", "mo", "na", "ro", "si", "to", "vik"),
    "family": ("berg", "dorf", "gren", "land", "mark", "sen", "stad", "vall"),
    "town": ("bury", "field", "ford", "ham", "ness", "port", "ton", "wick"),
    "river": ("ka", "lo", "me", "ra", "sa", "va"),
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that a paragraph says."""

    page: str
    """Title of the paragraph."""
    what: str
    """E.g. "trade"."""
    more: str
    """The thing, or the relative; else empty."""
    value: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A question, and how it is answered."""

    question: Question
    facts: tuple[Fact, ...]
    """All that is said."""
    needed: tuple[Fact, ...]
    """Those to be read one after the other; whoever knows them knows the answer."""
    names: tuple[str, ...]
    """Those named in the question."""


def generate(*, seed: int, count: int, start: int = 0) -> Iterator[Made]:
    """Makes the questions `start` to `start + count - 1` of a seed; the kinds take turns.

    Args:
        seed: Any whole number; its ids and people are those of no other seed.
        count: How many, at least 0.
        start: Index of the first, at least 0.

    Raises:
        InvalidInput: A negative count or start.
    """
    if count < 0 or start < 0:
        raise InvalidInput(f"count and start must be 0 or more, got {count} and {start}.")
    for index in range(start, start + count):
        yield _made(seed, index)


class GeneratedQuestions(Generated[Question]):
    """All generated questions by their ids, and others that are given."""

    of = "questions"

    def __init__(self, others: Mapping[str, Question] | None = None) -> None:
        self._others = others or {}

    def made(self, seed: int, index: int) -> Question:
        """Makes one."""
        return _question(seed, index)

    def __getitem__(self, key: str) -> Question:
        """Returns the question; KeyError where none has this id."""
        return self._others[key] if key in self._others else super().__getitem__(key)


@lru_cache(maxsize=4096)
def _question(seed: int, index: int) -> Question:
    # Arms and seeds of a pilot come back to the same questions.
    return _made(seed, index).question


@dataclass(slots=True)
class _Draft:
    """Paragraphs while they are written."""

    dice: Dice
    taken: set[str] = field(default_factory=set)
    facts: dict[str, list[Fact]] = field(default_factory=dict)

    def name(self, *ends: str) -> str:
        """A name that nobody has yet, in none of its words."""
        while True:
            words = [self.dice.pick(_STARTS) + self.dice.pick(_MIDDLES) + self.dice.pick(_ENDS[end]) for end in ends]
            if self.taken.isdisjoint(words):
                self.taken.update(words)
                return " ".join(words)

    def say(self, page: str, what: str, value: str = "", more: str = "") -> Fact:
        """Adds a sentence to a paragraph."""
        given = page.partition(" ")[0]
        sentence = self.dice.pick(_SAYINGS[what]).format(given=given, value=value, more=more)
        fact = Fact(page, what, more, value, sentence)
        self.facts.setdefault(page, []).append(fact)
        return fact

    def idle(self, page: str, count: int) -> None:
        """Adds sentences that answer nothing."""
        for sentence in self.dice.several(_SAYINGS["idle"], count):
            said = sentence.format(given=page.partition(" ")[0])
            self.facts[page].append(Fact(page, "idle", "", "", said))

    def person(self, *, home: str, age: str, trade: str) -> str:
        """A paragraph about somebody new."""
        name = self.name("given", "family")
        self.say(name, "trade", trade)
        self.say(name, "home", home)
        self.say(name, "age", age)
        colours = self.dice.several(COLOURS, 3)
        for thing, colour in zip(self.dice.several(THINGS, 1 + self.dice.below(3)), colours, strict=False):
            self.say(name, "thing", colour, thing)
        self.idle(name, self.dice.below(3))
        return name

    def town(self) -> str:
        """A paragraph about a new town; its mayor is nobody else's."""
        name = self.name("town")
        self.say(name, "river", self.name("river"))
        self.say(name, "mayor", self.name("given", "family"))
        self.say(name, "goods", self.dice.pick(GOODS))
        self.say(name, "tower", self.dice.pick(COLOURS))
        self.idle(name, self.dice.below(4))
        return name

    def find(self, page: str, what: str, more: str = "") -> Fact:
        """What a paragraph says about something."""
        return next(fact for fact in self.facts[page] if (fact.what, fact.more) == (what, more))


def _made(seed: int, index: int) -> Made:
    kind = KINDS[index % len(KINDS)]
    dice = Dice(f"forbear-questions-1/{seed}/{index}")
    draft = _Draft(dice)
    towns = [draft.town() for _ in range(3)]
    ages = [str(20 + number) for number in dice.several(range(60), 6)]
    trades = dice.several(TRADES, 6)
    people = [draft.person(home=towns[i % 3], age=ages[i], trade=trades[i]) for i in range(6)]
    # The first one's relatives are the second and the third; of the fourth, the fifth and the sixth.
    for i in (0, 3):
        for other, relative in zip((i + 1, i + 2), dice.several(RELATIVES, 2), strict=True):
            draft.say(people[i], "kin", people[other], relative)
    text, answer, needed, names = _ASKING[kind](draft, people)
    pages = dice.several(list(draft.facts), len(draft.facts))
    context = [Paragraph(page, tuple(f.sentence for f in dice.several(draft.facts[page], 99))) for page in pages]
    question = Question(id=f"{kind}/{seed}/{index}", text=text, answers=(answer,), context=tuple(context), kind=kind)
    facts = tuple(fact for said in draft.facts.values() for fact in said)
    return Made(question=question, facts=facts, needed=tuple(needed), names=tuple(names))


_Asked: TypeAlias = tuple[str, str, Sequence[Fact], Sequence[str]]


def _ask(draft: _Draft, what: str, **filled: str) -> str:
    return draft.dice.pick(_ASKED[what]).format(**filled)


def _of(draft: _Draft, page: str) -> Fact:
    """Something that is said about a person."""
    what = draft.dice.pick(("trade", "home", "age", "thing"))
    return draft.dice.pick([fact for fact in draft.facts[page] if fact.what == what])


def _thing(draft: _Draft, people: Sequence[str]) -> _Asked:
    fact = draft.dice.pick([fact for fact in draft.facts[people[0]] if fact.what == "thing"])
    return _ask(draft, "thing", more=fact.more, whom=people[0]), fact.value, [fact], people[:1]


def _self(draft: _Draft, people: Sequence[str]) -> _Asked:
    fact = draft.find(people[0], draft.dice.pick(("trade", "home", "age")))
    return _ask(draft, fact.what, whom=people[0]), fact.value, [fact], people[:1]


def _kin(draft: _Draft, people: Sequence[str]) -> _Asked:
    link = draft.dice.pick([fact for fact in draft.facts[people[0]] if fact.what == "kin"])
    fact = _of(draft, link.value)
    text = _ask(draft, fact.what, more=fact.more, whom=f"the {link.more} of {people[0]}")
    return text, fact.value, [link, fact], people[:1]


def _town(draft: _Draft, people: Sequence[str]) -> _Asked:
    home = draft.find(people[0], "home")
    fact = draft.find(home.value, draft.dice.pick(("river", "mayor", "goods", "tower")))
    return _ask(draft, fact.what, whom=people[0]), fact.value, [home, fact], people[:1]


def _older(draft: _Draft, people: Sequence[str]) -> _Asked:
    pair = draft.dice.several((people[0], people[3]), 2)
    ages = [draft.find(page, "age") for page in pair]
    which = draft.dice.pick(("older", "younger"))
    best = max if which == "older" else min
    answer = best(ages, key=lambda fact: int(fact.value)).page
    return _ask(draft, which, a=pair[0], b=pair[1]), answer, ages, pair


def _which(draft: _Draft, people: Sequence[str]) -> _Asked:
    # Of different families, from different towns and of different trades.
    pair = draft.dice.several((people[0], people[4]), 2)
    what = draft.dice.pick(("trade", "home"))
    fact = draft.find(draft.dice.pick(pair), what)
    needed = [draft.find(page, what) for page in pair]
    needed = needed[: 1 + (needed[0].page != fact.page)]
    return _ask(draft, f"has {what}", value=fact.value, a=pair[0], b=pair[1]), fact.page, needed, pair


_ASKING = {"thing": _thing, "self": _self, "kin": _kin, "town": _town, "older": _older, "which": _which}
