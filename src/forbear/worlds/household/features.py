"""What a player of the household can know from the transcript: the one reading that agent and critic share.

`remember` folds the steps of a trajectory into a `Memory`: the task's words, where one stands, what is in hand, what
was seen where. It reads texts alone, so that nobody knows more than was seen, and it counts no steps: nothing in a
memory says how much of an episode is left.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from forbear.records.model import Trajectory
from forbear.worlds.told import RECENT

_TASK = re.compile(r"Your task is to: ([^\n]*)")
_THING = re.compile(r"\ban? ([a-z]+ \d+)\b")
_VIEW = re.compile(r"(?:On the|The) ([a-z]+ \d+)(?:,| is (?:open|closed))")
_ARRIVE = re.compile(r"You arrive at ([a-z]+ \d+)\. ")
_COMMAND = re.compile(
    r"(?P<verb>go to|open|close|take|move|put|examine|use|heat|clean|cool|slice|look|inventory|help)"
    r"(?: (?P<first>[a-z]+ \d+)(?: (?:from|to|in/on|with) (?P<second>[a-z]+ \d+))?)?\Z"
)
_LOOKS = frozenset({"look", "inventory", "help", "examine"})
_TREATMENTS = {"clean": "clean", "heat": "hot", "cool": "cool"}
_GRAMMAR = frozenset(
    [
        "put",
        "a",
        "some",
        "in",
        "on",
        "two",
        "find",
        "them",
        "it",
        "and",
        "clean",
        "heat",
        "cool",
        "hot",
        "look",
        "at",
        "under",
        "the",
        "examine",
        "with",
    ]
)
TOOLS = {"clean": "sink", "heat": "microwave", "cool": "fridge"}
"""Type of the receptacle that a treatment needs."""
_MODES = (
    ("light", ("look", "examine")),
    ("two", ("two",)),
    ("clean", ("clean",)),
    ("heat", ("heat", "hot")),
    ("cool", ("cool",)),
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command, taken apart; `thing` and `place` are names like "mug 1", empty where there is none."""

    verb: str
    thing: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """The words of the task."""

    mode: str
    """What it is about: "light", "two", "clean", "heat", "cool" or "put"."""
    words: frozenset[str]

    def names(self, thing: str) -> bool:
        """Whether the task names things of this type."""
        return kind(thing) in self.words

    def wants(self, thing: str) -> bool:
        """Whether the task names it as something to bring, not as a lamp or a receptacle."""
        return self.names(thing) and not is_lamp(thing)


@dataclass(slots=True)
class Memory:
    """What was seen so far."""

    goal: Goal
    receptacles: frozenset[str] = frozenset()
    """Those that the first observation lists."""
    place: str = ""
    held: str = ""
    seen: dict[str, frozenset[str]] = field(default_factory=dict)
    """Receptacle → things last seen in or on it; only those whose inside was seen."""
    closed: set[str] = field(default_factory=set)
    """Receptacles last seen closed."""
    treated: dict[str, str] = field(default_factory=dict)
    """Thing → last of "clean", "hot", "cool"."""
    lit: set[str] = field(default_factory=set)
    """Lamps turned on."""
    done: set[str] = field(default_factory=set)
    """Things named in the task that were put, as the task wants them, where it says."""
    recent: list[tuple[str, str]] = field(default_factory=list)
    """The last executed (command, observation after it), oldest first, at most `RECENT`."""

    def lamp_places(self) -> set[str]:
        """Receptacles where a lamp that the task names was seen."""
        return {p for p, things in self.seen.items() if any(is_lamp(t) and self.goal.names(t) for t in things)}

    def wanted_places(self) -> set[str]:
        """Receptacles where something that the task wants was last seen and is not done."""
        wants, done = self.goal.wants, self.done
        return {p for p, things in self.seen.items() if any(wants(t) and t not in done for t in things)}

    @property
    def wanted(self) -> str:
        """The types that the task names, sorted: what a search is for."""
        return "+".join(sorted(self.goal.words - _GRAMMAR))

    def ready(self) -> bool:
        """Whether the thing in hand is as the task wants it before it is put or looked at."""
        wanted = {"clean": "clean", "heat": "hot", "cool": "cool"}.get(self.goal.mode)
        return wanted is None or self.treated.get(self.held) == wanted


@lru_cache(maxsize=4096)
def kind(name: str) -> str:
    """The type in a name: "mug" of "mug 1"; a sink's basin is a sink."""
    return name.partition(" ")[0].removesuffix("basin")


def is_lamp(name: str) -> bool:
    """Whether it is a lamp, by its type."""
    return kind(name).endswith("lamp")


@lru_cache(maxsize=16384)
def parse_command(text: str) -> Command:
    """Takes a command apart; one that is none of the game's has the verb "other"."""
    match = _COMMAND.match(text)
    if match is None:
        return Command("other")
    verb, first, second = match["verb"], match["first"] or "", match["second"] or ""
    if verb in ("go to", "open", "close"):
        return Command(verb, "", first)
    return Command("move" if verb == "put" else verb, first, second)


@lru_cache(maxsize=4096)
def read_goal(first_observation: str) -> Goal:
    """Finds the task in the first observation; without one, the task has no words."""
    match = _TASK.search(first_observation)
    words = frozenset(re.findall(r"[a-z]+", match[1].lower())) if match else frozenset[str]()
    mode = next((mode for mode, signs in _MODES if words.intersection(signs)), "put")
    return Goal(mode, frozenset(word.removesuffix("basin") for word in words))


@lru_cache(maxsize=4096)
def read_room(first_observation: str) -> frozenset[str]:
    """Finds the receptacles that the first observation lists."""
    return frozenset(_THING.findall(first_observation.partition("Your task is to")[0]))


def remember(trajectory: Trajectory) -> Memory:
    """Folds all executed steps and the observation that is open into what is known now."""
    steps = trajectory.steps
    first = steps[0].observation if steps else ""
    memory = Memory(read_goal(first), read_room(first))
    for step, after in pairwise(steps):
        if step.executed is not None:
            _learn(memory, step.executed.text, after.observation)
    return memory


@dataclass(frozen=True, slots=True)
class _View:
    place: str
    closed: bool
    things: frozenset[str]


@lru_cache(maxsize=16384)
def _view(text: str) -> _View | None:
    """What an observation shows of a receptacle."""
    match = _VIEW.search(text)
    if match is None:
        return None
    closed = match[0].endswith("closed")
    return _View(match[1], closed, frozenset(_THING.findall(text, match.end())))


@lru_cache(maxsize=16384)
def _arrival(text: str) -> str:
    match = _ARRIVE.match(text)
    return match[1] if match else ""


def _learn(memory: Memory, command_text: str, observation: str) -> None:
    memory.recent.append((command_text, observation))
    del memory.recent[:-RECENT]
    if observation.startswith("Nothing happens"):
        return
    command = parse_command(command_text)
    memory.place = _arrival(observation) or memory.place
    view = _view(observation)
    if view is not None:
        if view.closed:
            memory.closed.add(view.place)
        else:
            memory.closed.discard(view.place)
            memory.seen[view.place] = view.things
    thing, place = command.thing, command.place
    if command.verb == "take" and observation.startswith("You pick up"):
        memory.held = thing
        memory.done.discard(thing)
        if place in memory.seen:
            memory.seen[place] -= {thing}
    elif command.verb == "move" and observation.startswith("You move"):
        if memory.goal.names(thing) and memory.goal.names(place) and memory.ready():
            memory.done.add(thing)
        memory.held = ""
        if place in memory.seen:  # one can put things where one has not looked: into what is at the same spot
            memory.seen[place] |= {thing}
    elif command.verb in _TREATMENTS:
        memory.treated[thing] = _TREATMENTS[command.verb]
    elif command.verb == "use":
        memory.lit.add(thing)
    elif command.verb == "close":
        memory.closed.add(place)


def changes_nothing(command: Command) -> bool:
    """Whether the command only looks."""
    return command.verb in _LOOKS or command.verb == "other"


class Situation:
    """A memory made ready for describing many commands."""

    def __init__(self, memory: Memory) -> None:
        goal = memory.goal
        self.memory = memory
        self._wanted = memory.wanted_places()
        self._lamps = memory.lamp_places() if goal.mode == "light" else set[str]()
        sought = self._lamps if memory.held else self._wanted
        hand = "empty"
        if memory.held:
            hand = ("wanted" if goal.wants(memory.held) else "other") + ("-ready" if memory.ready() else "")
        sight = "here" if memory.place in sought else "elsewhere" if sought else "none"
        self._common = f"{hand}|{sight}|{'lit' if memory.lit else 'dark'}|{'some' if memory.done else 'none'}"
        self._counts = Counter(text for text, _ in memory.recent)

    def relation(self, command: Command) -> str:
        """How a command stands to what is known: relations with a few values each, joined by "|".

        In order: the verb; its thing (named in the task? done?); its receptacle (named in the task? of the kind that
        the task's treatment needs? what was seen there?); what is in hand; whether something wanted, or in hand with
        something the lamp, is known to be here or elsewhere; whether a lamp is lit; whether something is done.
        """
        goal, thing = self.memory.goal, "-"
        if command.thing:
            thing = (
                "done" if command.thing in self.memory.done else
                "other" if not goal.names(command.thing) else "lamp" if is_lamp(command.thing) else "wanted"
            )  # fmt: skip
        place = self._place(command.place) if command.place else "-"
        return f"{command.verb}|{thing}|{place}|{self._common}"

    def repeats(self, text: str) -> int:
        """How often the command is among the recent ones, at most 2."""
        return min(2, self._counts.get(text, 0))

    def _place(self, place: str) -> str:
        memory = self.memory
        goal, seen = memory.goal, memory.seen.get(place)
        role = "named" if goal.names(place) else "tool" if kind(place) == TOOLS.get(goal.mode) else "other"
        if place in memory.closed:
            known = "closed" if seen is None else "shut"
        elif seen is None:
            known = "unseen"
        elif place in self._wanted:
            known = "wanted"
        elif not seen.isdisjoint(memory.done):
            known = "done"
        elif place in self._lamps:
            known = "lamp"
        else:
            known = "seen"
        return f"{role}-{known}{'-here' if place == memory.place else ''}"
