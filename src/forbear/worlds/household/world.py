"""A problem turned into tables: everything about a household that no command changes, and what holds at first.

Receptacles and objects are numbered by the order of their ids; a set of objects is the bits of an integer. The rules
are those of `alfred_domain.pddl`; names and the order of lists follow ALFWorld's demangler and TextWorld's generator.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from forbear.errors import InvalidInput
from forbear.wording import described
from forbear.worlds.household.pddl import Fact, Problem

TYPES = frozenset({"agent", "location", "receptacle", "object", "rtype", "otype"})

PREDICATES: Mapping[str, tuple[str, ...]] = {
    "atlocation": ("agent", "location"),
    "receptacleatlocation": ("receptacle", "location"),
    "objectatlocation": ("object", "location"),
    "openable": ("receptacle",),
    "opened": ("receptacle",),
    "inreceptacle": ("object", "receptacle"),
    "isreceptacleobject": ("object",),
    "inreceptacleobject": ("object", "object"),
    "isreceptacleobjectfull": ("object",),
    "wasinreceptacle": ("object", "receptacle"),
    "receptacletype": ("receptacle", "rtype"),
    "cancontain": ("rtype", "otype"),
    "objecttype": ("object", "otype"),
    "holds": ("agent", "object"),
    "holdsany": ("agent",),
    "holdsanyreceptacleobject": ("agent",),
    "full": ("receptacle",),
    "isclean": ("object",),
    "cleanable": ("object",),
    "ishot": ("object",),
    "heatable": ("object",),
    "iscool": ("object",),
    "coolable": ("object",),
    "pickupable": ("object",),
    "moveable": ("object",),
    "toggleable": ("object",),
    "ison": ("object",),
    "istoggled": ("object",),
    "sliceable": ("object",),
    "issliced": ("object",),
}
"""Names and argument types. The domain's `checked` and `examined` are bookkeeping of `look` and left out."""

DYNAMIC = frozenset(
    [
        "atlocation",
        "opened",
        "inreceptacle",
        "objectatlocation",
        "holds",
        "holdsany",
        "isclean",
        "ishot",
        "iscool",
        "ison",
        "istoggled",
        "issliced",
    ]
)
"""What commands change."""

MAX_RECEPTACLES = 500
MAX_OBJECTS = 5_000
"""The public games checked have at most 54 and 152; the commands of a household grow with the square of the first."""

SINKS = frozenset({"sinktype", "sinkbasintype"})
MICROWAVES = frozenset({"microwavetype"})
FRIDGES = frozenset({"fridgetype"})
KNIVES = frozenset({"knifetype", "butterknifetype"})


@dataclass(slots=True, kw_only=True)
class State:
    """What commands change. Only the engine writes it; sets of objects or receptacles are bits."""

    place: int
    held: int
    """The object in hand, -1 for none."""
    opened: int
    inside: list[tuple[int, ...]]
    """Per receptacle, its objects in order; an object may be recorded in several."""
    lying: list[int]
    """Per object, the locations where it is recorded to lie: bits."""
    left: frozenset[tuple[int, int]]
    """(object, receptacle) taken out and not put back: `look` lists such an object beside what one faces."""
    clean: int
    hot: int
    cool: int
    toggled: int
    on: int
    sliced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One household. Tuples are indexed by receptacle, object or location number."""

    receptacles: tuple[str, ...]
    objects: tuple[str, ...]
    receptacle_number: Mapping[str, int]
    object_number: Mapping[str, int]
    location_of: tuple[int, ...]
    """Per receptacle, where one stands to use it."""
    faced: Mapping[int, tuple[int, ...]]
    """Per location, the receptacles there; a location without any is absent."""
    accepted: tuple[int, ...]
    """Per receptacle, the objects it may hold: bits."""
    openable: int
    pickupable: int
    cleanable: int
    heatable: int
    coolable: int
    toggleable: int
    sliceable: int
    knives: int
    contents: Mapping[int, tuple[int, ...]]
    """Per object that is a receptacle itself, the objects in it; nothing changes them."""
    sinks: frozenset[int]
    microwaves: frozenset[int]
    fridges: frozenset[int]
    goto: Mapping[int, tuple[str, ...]]
    """Per location where the player can stand, the sorted commands that lead elsewhere."""
    start: State
    """What holds at first; copied, never played."""
    numbers: Mapping[str, int]
    """Number of a receptacle, object or location by its id, for goals."""


def build_world(problem: Problem) -> World:
    """Turns a problem into tables.

    Raises:
        InvalidInput: An unknown type or predicate, a fact about something undeclared or of another type, not exactly
            one agent, an agent or receptacle without exactly one location, or several things in the hand.
    """
    facts = _checked_facts(problem)
    receptacle_ids = sorted(name for name, kind in problem.objects.items() if kind == "receptacle")
    named = {word for arguments in facts.values() for fact in arguments for word in fact}
    object_ids = sorted(name for name, kind in problem.objects.items() if kind == "object" and name in named)
    location_ids = sorted(name for name, kind in problem.objects.items() if kind == "location")
    if len(receptacle_ids) > MAX_RECEPTACLES or len(object_ids) > MAX_OBJECTS:
        raise InvalidInput(
            f"{len(receptacle_ids):,} receptacles and {len(object_ids):,} objects, "
            f"expected at most {MAX_RECEPTACLES:,} and {MAX_OBJECTS:,}."
        )
    names = display_names(named.union(receptacle_ids))
    for each in (*receptacle_ids, *object_ids):
        if each not in names:
            raise InvalidInput(
                f"{described(each)} is in the world without a place in its id, expected like 'mug_bar_1'."
            )
    numbers = {name: i for ids in (receptacle_ids, object_ids, location_ids) for i, name in enumerate(ids)}

    def bits(predicate: str) -> int:
        return _bits(facts[predicate], numbers)

    place = _only(facts["atlocation"], of="the agent", count=1)[0][1]
    standing = _only(facts["receptacleatlocation"], of="a receptacle", count=len(receptacle_ids))
    location_of = tuple(numbers[where[1]] for where in standing)
    faced: dict[int, tuple[int, ...]] = {}
    for receptacle, location in enumerate(location_of):
        faced[location] = (*faced.get(location, ()), receptacle)
    receptacles = tuple(names[name] for name in receptacle_ids)
    kinds_of_object, accepted = _acceptance(facts, receptacle_ids, numbers)
    contents: dict[int, list[int]] = {numbers[thing]: [] for (thing,) in facts["isreceptacleobject"]}
    for inner, outer in sorted(facts["inreceptacleobject"]):
        contents.get(numbers[outer], []).append(numbers[inner])

    def of_type(wanted: frozenset[str]) -> frozenset[int]:
        return frozenset(numbers[receptacle] for receptacle, kind in facts["receptacletype"] if kind in wanted)

    return World(
        receptacles=receptacles,
        objects=tuple(names[name] for name in object_ids),
        receptacle_number={name: i for i, name in enumerate(receptacles)},
        object_number={names[name]: i for i, name in enumerate(object_ids)},
        location_of=location_of,
        faced=faced,
        accepted=accepted,
        openable=bits("openable"),
        pickupable=bits("pickupable"),
        cleanable=bits("cleanable"),
        heatable=bits("heatable"),
        coolable=bits("coolable"),
        toggleable=bits("toggleable"),
        sliceable=bits("sliceable"),
        knives=mask(thing for thing, kinds in kinds_of_object.items() if kinds & KNIVES),
        contents={outer: tuple(inner) for outer, inner in contents.items()},
        sinks=of_type(SINKS),
        microwaves=of_type(MICROWAVES),
        fridges=of_type(FRIDGES),
        goto=_goto(receptacles, location_of, start=numbers[place]),
        start=_start(facts, numbers, receptacles=len(receptacle_ids), objects=len(object_ids)),
        numbers=numbers,
    )


def display_names(ids: Iterable[str]) -> dict[str, str]:
    """ALFWorld's names: type and number, counted down in the order of the ids; ids without `_bar_` have none.

    Source: alfworld 0.4.2, agents/utils/misc.py, Demangler.
    """
    kinds = {}
    for each in sorted(ids):
        kind, bar, _ = each.partition("_bar_")
        if bar:
            kinds[each] = kind + "basin" if "basin" in each else kind
    remaining: dict[str, int] = defaultdict(int)
    for kind in kinds.values():
        remaining[kind] += 1
    names = {}
    for each, kind in kinds.items():
        names[each] = f"{kind} {remaining[kind]}"
        remaining[kind] -= 1
    return names


def mask(numbers: Iterable[int]) -> int:
    """The set of small numbers as bits."""
    bits = 0
    for number in numbers:
        bits |= 1 << number
    return bits


def _bits(facts: Iterable[Fact], numbers: Mapping[str, int]) -> int:
    """The things that the facts are about."""
    return mask(numbers[fact[0]] for fact in facts)


def _start(facts: Mapping[str, list[Fact]], numbers: Mapping[str, int], *, receptacles: int, objects: int) -> State:
    inside: list[list[int]] = [[] for _ in range(receptacles)]
    for thing, where in sorted(facts["inreceptacle"]):
        inside[numbers[where]].append(numbers[thing])
    lying = [0] * objects
    for thing, where in facts["objectatlocation"]:
        lying[numbers[thing]] |= 1 << numbers[where]
    return State(
        place=numbers[facts["atlocation"][0][1]],
        held=_held(facts, numbers),
        opened=_bits(facts["opened"], numbers),
        inside=[tuple(things) for things in inside],
        lying=lying,
        left=frozenset(),
        clean=_bits(facts["isclean"], numbers),
        hot=_bits(facts["ishot"], numbers),
        cool=_bits(facts["iscool"], numbers),
        toggled=_bits(facts["istoggled"], numbers),
        on=_bits(facts["ison"], numbers),
        sliced=_bits(facts["issliced"], numbers),
    )


def _checked_facts(problem: Problem) -> dict[str, list[Fact]]:
    """The arguments of the initial facts by predicate, each of the declared types."""
    for name, kind in problem.objects.items():
        if kind not in TYPES:
            raise InvalidInput(
                f"{described(name)} has the type {described(kind)}, expected one of {', '.join(sorted(TYPES))}."
            )
    facts: dict[str, list[Fact]] = {predicate: [] for predicate in PREDICATES}
    kind_of = problem.objects.get
    for fact in dict.fromkeys(problem.init):  # real games repeat the same relation for every receptacle of a type
        predicate, arguments = fact[0], fact[1:]
        kinds = PREDICATES.get(predicate)
        if kinds is None:
            raise InvalidInput(f"the predicate {described(predicate)} is not in the domain.")
        if tuple(map(kind_of, arguments)) != kinds:
            missing = [argument for argument in arguments if argument not in problem.objects]
            wrong = f"{described(missing[0])} is not declared" if missing else f"expected types {' '.join(kinds)}"
            raise InvalidInput(f"in the fact {described(' '.join(fact), limit=120)}: {wrong}.")
        facts[predicate].append(arguments)
    return facts


def _only(facts: list[Fact], *, of: str, count: int) -> list[Fact]:
    """The distinct facts in order, one location for each of `count` things."""
    distinct = sorted(facts)
    if len(distinct) != count or len({fact[0] for fact in distinct}) != count:
        raise InvalidInput(f"expected exactly one location for {of} ({count} in all), got {len(distinct)}.")
    return distinct


def _held(facts: Mapping[str, list[Fact]], numbers: Mapping[str, int]) -> int:
    held = {fact[1] for fact in facts["holds"]}
    if len(held) > 1 or bool(held) != bool(facts["holdsany"]):
        raise InvalidInput(f"expected at most one object in hand, and (holdsany) with it, got {len(held)} objects.")
    return numbers[held.pop()] if held else -1


def _acceptance(
    facts: Mapping[str, list[Fact]], receptacles: list[str], numbers: Mapping[str, int]
) -> tuple[dict[int, set[str]], tuple[int, ...]]:
    """The types of each object, and the objects that each receptacle may hold: by its types and theirs."""
    kinds: dict[int, set[str]] = defaultdict(set)
    of_kind: dict[str, int] = defaultdict(int)
    for thing, kind in facts["objecttype"]:
        kinds[numbers[thing]].add(kind)
        of_kind[kind] |= 1 << numbers[thing]
    taken: dict[str, int] = defaultdict(int)
    for receptacle_kind, kind in facts["cancontain"]:
        taken[receptacle_kind] |= of_kind.get(kind, 0)
    accepted = [0] * len(receptacles)
    for receptacle, kind in facts["receptacletype"]:
        accepted[numbers[receptacle]] |= taken.get(kind, 0)
    return kinds, tuple(accepted)


def _goto(receptacles: tuple[str, ...], location_of: tuple[int, ...], *, start: int) -> dict[int, tuple[str, ...]]:
    """From where one stands, the planner drops a step that would change nothing: going to where one is."""
    commands = sorted((f"go to {name}", location_of[number]) for number, name in enumerate(receptacles))
    return {
        place: tuple(command for command, location in commands if location != place) for place in {start, *location_of}
    }
