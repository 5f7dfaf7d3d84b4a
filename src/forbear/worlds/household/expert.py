"""A player that knows only what it has read, and searches where objects usually are.

Its demonstrations show searching, which the walkthroughs of a planner that sees everything do not.
"""

import re
from collections.abc import Collection, Mapping, Sequence

from forbear.worlds.household.engine import NOTHING_HAPPENS
from forbear.worlds.household.request import Request, read_request
from forbear.worlds.household.tables import OPENABLE, usual

_ARTICLE = re.compile(r"\ba ([a-z]+ \d+)")
_VIEW = re.compile(r"(?:On the ([a-z]+ \d+), you see|The ([a-z]+ \d+) is open\. In it, you see) (.*)\.")
_CLOSED = re.compile(r"The ([a-z]+ \d+) is closed\.")
_ARRIVED = re.compile(r"You arrive at ([a-z]+ \d+)\.")
_TAKEN = re.compile(r"You pick up the ([a-z]+ \d+) from the ([a-z]+ \d+)\.")
_MOVED = re.compile(r"You move the ([a-z]+ \d+) to the ([a-z]+ \d+)\.")
_TREATED = re.compile(r"You (heat|clean|cool) the ([a-z]+ \d+) using")

_TOOLS: Mapping[str, tuple[str, ...]] = {"heat": ("microwave",), "cool": ("fridge",), "clean": ("sinkbasin", "sink")}


def kind_of(name: str) -> str:
    """The kind in a name: "mug" of "mug 2"."""
    return name.rpartition(" ")[0]


class Expert:
    """Plays one household from its sentences alone.

    Feed it every command and what came back, its own or another player's; ask for the next command at any time. It is
    deterministic, and picks up from wherever a sloppier player has left things.
    """

    def __init__(self, intro: str) -> None:
        """Reads the first observation.

        Raises:
            InvalidInput: Its last line is not a task of a known family.
        """
        self.request: Request = read_request(intro.rpartition("\n")[2])
        self.receptacles = tuple(_ARTICLE.findall(intro))
        self.place: str | None = None
        """The receptacle gone to last."""
        self.held: str | None = None
        self.inside: dict[str, list[str]] = {}
        """Contents of the receptacles seen so far; a closed one is absent."""
        self.treated: set[str] = set()
        """Objects that are as the task wants them."""
        self.refused: set[tuple[str, str]] = set()
        """Kinds of objects that a receptacle did not take."""
        self._starts_over = False
        """It is about to put down what it holds, and to begin again."""

    def observe(self, command: str, text: str) -> None:
        """Takes in what a command has brought."""
        if text == NOTHING_HAPPENS:
            return
        if found := _ARRIVED.match(text):
            self.place = found[1]
        for found in _VIEW.finditer(text):
            self.inside[found[1] or found[2]] = _ARTICLE.findall(found[3])
        if found := _TAKEN.match(text):
            self.held = found[1]
            self.inside[found[2]] = [each for each in self.inside.get(found[2], []) if each != found[1]]
        elif found := _MOVED.match(text):
            self.held = None
            self.inside.setdefault(found[2], []).append(found[1])
            self._forget_when_empty_handed()
        elif found := _TREATED.match(text):
            self._note_treatment(found[1], found[2])

    def _note_treatment(self, verb: str, thing: str) -> None:
        wanted = self.request.treatment
        if verb == wanted:
            self.treated.add(thing)
        elif {verb, wanted} == {"heat", "cool"}:
            self.treated.discard(thing)

    def start_over(self) -> None:
        """Puts down what it holds, then forgets what it has seen and done, and begins its task again."""
        self._starts_over = True
        self._forget_when_empty_handed()

    def _forget_when_empty_handed(self) -> None:
        if self._starts_over and self.held is None:
            self._starts_over = False
            self.inside.clear()
            self.treated.clear()
            self.refused.clear()

    def choose(self, legal: Sequence[str]) -> str:
        """The next command, one of `legal`."""
        request = self.request
        if self.held is not None and (self._starts_over or kind_of(self.held) != request.thing):
            return self._drop(legal)
        if request.family == "look_at_obj_in_light":
            return self._look_at(legal)
        if self.held is None:
            return self._fetch(legal, avoid=self._target())
        if request.treatment and self.held not in self.treated:
            return self._treat(legal, request.treatment)
        return self._deliver(legal)

    def _look_at(self, legal: Sequence[str]) -> str:
        lamp, thing = self.request.target, self.request.thing
        if self.held is None:
            return self._fetch(legal, avoid=None)
        for place, things in self.inside.items():
            for each in things:
                if kind_of(each) == lamp:
                    return f"use {each}" if f"use {each}" in legal else self._approach(legal, place)
        return self._search(legal, lamp) or self._again(legal, thing)

    def _fetch(self, legal: Sequence[str], *, avoid: str | None) -> str:
        """Takes an object of the wanted kind that does not already lie finished where it belongs."""
        for place, things in self.inside.items():
            for each in things:
                done = place == avoid and (self.request.treatment is None or each in self.treated)
                if kind_of(each) == self.request.thing and not done:
                    command = f"take {each} from {place}"
                    return command if command in legal else self._approach(legal, place)
        return self._search(legal, self.request.thing) or self._again(legal, self.request.thing)

    def _treat(self, legal: Sequence[str], verb: str) -> str:
        for tool in (name for name in self.receptacles if kind_of(name) in _TOOLS[verb]):
            command = f"{verb} {self.held} with {tool}"
            if command in legal:
                return command
            if self.place != tool:
                return self._approach(legal, tool)
        return self._again(legal, self.request.thing)

    def _target(self) -> str | None:
        """The receptacle to bring things to: the one that already has most of them, then one known to be open."""
        thing = self.request.thing
        targets = [
            name
            for name in self.receptacles
            if kind_of(name) == self.request.target and (name, thing) not in self.refused
        ]

        def merit(name: str) -> tuple[int, bool, bool]:
            things = self.inside.get(name, [])
            return sum(kind_of(each) == thing for each in things), name == self.place, name in self.inside

        return max(targets, key=merit, default=None)

    def _deliver(self, legal: Sequence[str]) -> str:
        target = self._target()
        if target is None:
            return self._again(legal, self.request.thing)
        command = f"move {self.held} to {target}"
        if command in legal:
            return command
        if self.place == target and f"open {target}" not in legal:
            self.refused.add((target, self.request.thing))
            return self._deliver(legal)
        return self._approach(legal, target)

    def _drop(self, legal: Sequence[str]) -> str:
        """Gets rid of something picked up in error, where such things usually are."""
        assert self.held is not None
        moves = [command for command in legal if command.startswith(f"move {self.held} to ")]
        if moves:
            return moves[0]
        if self.place is not None and f"open {self.place}" not in legal:
            self.refused.add((self.place, kind_of(self.held)))
        kind = kind_of(self.held)
        places = [name for name in self.receptacles if (name, kind) not in self.refused]
        if not places:
            return self._again(legal, kind)
        return self._approach(legal, max(places, key=lambda name: self._worth(kind, name)))

    def _search(self, legal: Sequence[str], thing: str) -> str | None:
        """Goes to, or opens, the unseen receptacle that is most worth its commands; None when all have been seen."""
        unseen = [name for name in self.receptacles if name not in self.inside]
        if not unseen:
            return None
        if self.place is not None and self.place in unseen:
            return self._approach(legal, self.place)
        return self._approach(legal, max(unseen, key=lambda name: self._worth(thing, name)))

    def _worth(self, thing: str, receptacle: str) -> float:
        """How usual the object is there, per command; unheard-of places come last, open ones first."""
        kind = kind_of(receptacle)
        alike = sum(kind_of(name) == kind for name in self.receptacles)
        return (usual(thing, kind) / alike + 0.01) / (2 if kind in OPENABLE else 1)

    def _approach(self, legal: Collection[str], receptacle: str) -> str:
        """Walks to a receptacle, or opens the one walked to, or looks at it again."""
        for command in (f"go to {receptacle}", f"open {receptacle}", f"examine {receptacle}"):
            if command in legal:
                return command
        return "look"

    def _again(self, legal: Collection[str], thing: str) -> str:
        """Everything has been seen in vain: forgets what was seen, and searches once more."""
        self.inside.clear()
        self.refused.clear()
        return self._search(list(legal), thing) or "look"
