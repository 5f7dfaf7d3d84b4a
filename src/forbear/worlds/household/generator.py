"""Households made from a seed: any number of tasks, each proven solvable.

A task depends on (seed, index) alone, through hashes and whole numbers, so that it is the same on every platform and a
longer list starts with a shorter one. It is a problem in the same PDDL as the real games, and loads in their engine.
"""

from collections.abc import Iterator

from forbear.errors import InvalidInput
from forbear.worlds.dice import Dice
from forbear.worlds.household.engine import Household
from forbear.worlds.household.games import Game
from forbear.worlds.household.pddl import Expression, Fact, Problem
from forbear.worlds.household.request import FAMILIES, Request, write_request
from forbear.worlds.household.search import winning_plan
from forbear.worlds.household.tables import LAMPS, OBJECTS, OPENABLE, ROOMS

ABILITY = {"clean": "cleanable", "heat": "heatable", "cool": "coolable"}
TOOL = {"clean": "sinkbasin", "heat": "microwave", "cool": "fridge"}


def generate(*, seed: int, count: int, start: int = 0) -> Iterator[Game]:
    """Makes the tasks `start` to `start + count - 1` of a seed; the six families take turns.

    Args:
        seed: Any whole number; its ids and tasks are disjoint from those of other seeds.
        count: How many, at least 0.
        start: Index of the first, at least 0.

    Raises:
        InvalidInput: A negative count or start.
    """
    if count < 0 or start < 0:
        raise InvalidInput(f"count and start must be 0 or more, got {count} and {start}.")
    for index in range(start, start + count):
        yield _solvable(seed, index)


def _solvable(seed: int, index: int) -> Game:
    family = FAMILIES[index % len(FAMILIES)]
    identity = f"{family}/{seed}/{index}"
    attempt = 0
    while True:
        game = _furnished(Dice(f"forbear-household-1/{seed}/{index}/{attempt}"), family=family, identity=identity)
        house = Household(game)
        plan = None if house.won else winning_plan(house)
        if plan is not None:
            return Game(
                id=game.id,
                family=family,
                task=game.task,
                problem=game.problem,
                walkthrough=plan,
                solvable=True,
                split="generated",
            )
        attempt += 1


class _Draft:
    """A household while it is furnished."""

    def __init__(self, dice: Dice, room: str) -> None:
        self.dice = dice
        self.places: dict[str, str] = {}
        """Receptacle to location."""
        self.kind_of: dict[str, str] = {}
        self.inside: dict[str, str] = {}
        """Object to receptacle."""
        self.of_kind: dict[str, list[str]] = {}
        self.counts: dict[str, int] = {}
        location = ""
        for kind, (least, most) in ROOMS[room].items():
            for _ in range(least + dice.below(most - least + 1)):
                # Now and then two receptacles are used from one spot, as in real rooms.
                if not location or dice.below(8):
                    location = f"loc_bar_{len(set(self.places.values())) + 1:02d}"
                stem, suffix = (kind[:-5], f"_bar_{kind}") if kind.endswith("basin") else (kind, "")
                self.places[self.named(stem, kind, suffix)] = location

    def named(self, stem: str, kind: str, suffix: str = "") -> str:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        name = f"{stem}_bar_{self.counts[kind]:02d}{suffix}"
        self.kind_of[name] = kind
        self.of_kind.setdefault(kind, []).append(name)
        return name

    def homes(self, kind: str, *, avoid: str = "") -> dict[str, int]:
        """The weights of this room's receptacle kinds for a kind of object."""
        return {home: weight for home, weight in OBJECTS[kind].homes.items() if home in self.of_kind and home != avoid}

    def spots(self, target: str) -> list[str]:
        """The receptacles of that kind, or those that a lamp of that kind may stand on."""
        return [name for kind in LAMPS.get(target, (target,)) for name in self.of_kind.get(kind, ())]

    def put(self, kind: str, *, avoid: str = "") -> None:
        """A new object of the kind in one of its homes."""
        self.inside[self.named(kind, kind)] = self.dice.pick(
            self.of_kind[self.dice.weighted(self.homes(kind, avoid=avoid))]
        )


def _furnished(dice: Dice, *, family: str, identity: str) -> Game:
    room, request = _request(dice, family)
    # What is treated may start in its target; what is only to be brought may not.
    avoid = request.target if request.treatment is None else ""
    draft = _Draft(dice, room)
    while not (draft.homes(request.thing, avoid=avoid) and draft.spots(request.target)):
        draft = _Draft(dice, room)
    for _ in range(request.count + (dice.below(3) == 0)):
        draft.put(request.thing, avoid=avoid)
    if request.target in LAMPS:
        draft.inside[draft.named(request.target, request.target)] = dice.pick(draft.spots(request.target))
    kinds = [
        kind for kind, each in OBJECTS.items() if room in each.rooms and kind != request.thing and draft.homes(kind)
    ]
    for _ in range(16 + dice.below(15)):
        draft.put(dice.pick(kinds))
    return Game(
        id=identity,
        family=family,
        task=write_request(request, variant=dice.below(2)),
        problem=_problem(draft, request),
        split="generated",
    )


def _request(dice: Dice, family: str) -> tuple[str, Request]:
    """A room, and what is wanted there."""
    blank = Request(family=family, thing="", target="")
    if family == "look_at_obj_in_light":
        room = dice.pick(("bedroom", "livingroom"))
        thing = dice.pick([kind for kind, each in OBJECTS.items() if room in each.rooms])
        return room, Request(family=family, thing=thing, target=dice.pick(tuple(LAMPS)))
    need = ABILITY.get(blank.treatment or "")
    rooms = [room for room, furniture in ROOMS.items() if blank.treatment is None or TOOL[blank.treatment] in furniture]
    room = dice.pick(rooms)
    things = [
        kind
        for kind, each in OBJECTS.items()
        if room in each.rooms and (need is None or need in each.abilities) and len(_homes_in(room, kind)) > 1
    ]
    thing = dice.pick(things)
    targets = [home for home in _homes_in(room, thing) if blank.treatment is None or home != TOOL[blank.treatment]]
    return room, Request(family=family, thing=thing, target=dice.pick(targets))


def _homes_in(room: str, kind: str) -> list[str]:
    return [home for home in OBJECTS[kind].homes if home in ROOMS[room]]


def _problem(draft: _Draft, request: Request) -> Problem:
    kinds = dict.fromkeys([*OBJECTS, *LAMPS])
    furniture = dict.fromkeys(kind for room in ROOMS.values() for kind in room)
    objects = {"agent1": "agent", "loc_bar_00": "location"}
    objects |= {f"{kind}type": "otype" for kind in kinds} | {f"{kind}type": "rtype" for kind in furniture}
    objects |= dict.fromkeys(draft.inside, "object") | dict.fromkeys(draft.places, "receptacle")
    objects |= dict.fromkeys(draft.places.values(), "location")
    facts: list[Fact] = [("atlocation", "agent1", "loc_bar_00")]
    for receptacle, location in draft.places.items():
        kind = draft.kind_of[receptacle]
        facts += [("receptacletype", receptacle, f"{kind}type"), ("receptacleatlocation", receptacle, location)]
        if kind in OPENABLE:
            facts.append(("openable", receptacle))
    present = {draft.kind_of[thing] for thing in draft.inside}
    for kind in sorted(present - set(LAMPS)):
        facts += [("cancontain", f"{home}type", f"{kind}type") for home in OBJECTS[kind].homes if home in draft.of_kind]
    for thing, receptacle in draft.inside.items():
        kind = draft.kind_of[thing]
        facts += [("objecttype", thing, f"{kind}type"), ("inreceptacle", thing, receptacle)]
        facts.append(("objectatlocation", thing, draft.places[receptacle]))
        if kind in LAMPS:
            facts.append(("toggleable", thing))
        else:
            facts.append(("pickupable", thing))
            facts += [(ability, thing) for ability in sorted(OBJECTS[kind].abilities)]
    return Problem(objects=objects, init=tuple(facts), goal=_goal(request))


def _goal(request: Request) -> Expression:
    """As the public games put it."""
    thing, target = f"{request.thing}type", f"{request.target}type"
    if request.family == "look_at_obj_in_light":
        lamp: Expression = (
            "and",
            ("objecttype", "?ot", target),
            ("toggleable", "?ot"),
            ("istoggled", "?ot"),
            ("receptacleatlocation", "?r", "?l"),
            ("atlocation", "?a", "?l"),
            ("inreceptacle", "?ot", "?r"),
        )
        held: Expression = ("and", ("objecttype", "?o", thing), ("holds", "?a", "?o"))
        return (
            "and",
            (
                "exists",
                ("?ot", "-", "object", "?r", "-", "receptacle", "?a", "-", "agent", "?l", "-", "location"),
                lamp,
            ),
            ("exists", ("?o", "-", "object", "?a", "-", "agent"), held),
        )
    placed: list[Expression] = [
        ("inreceptacle", "?o1", "?r"),
        ("objecttype", "?o1", thing),
        ("receptacletype", "?r", target),
    ]
    if request.treatment:
        state = {"clean": "isclean", "heat": "ishot", "cool": "iscool"}[request.treatment]
        placed += [(ABILITY[request.treatment], "?o1"), (state, "?o1")]
    if request.count == 2:
        other = ("and", ("not", ("=", "?o1", "?o2")), ("objecttype", "?o2", thing), ("inreceptacle", "?o2", "?r"))
        placed.append(("exists", ("?o2", "-", "object"), other))
    return ("exists", ("?r", "-", "receptacle"), ("exists", ("?o1", "-", "object"), ("and", *placed)))
