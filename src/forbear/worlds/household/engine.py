"""The game itself: commands in, sentences out, by ALFWorld's `alfred_domain.pddl` and `alfred_grammar.twl2`.

Every sentence, list order and legal command is the one that TextWorld 1.7 gives for the same game, with its quirks: a
command is matched to the letter; objects in the hand alone can be examined; lamps are turned on for ever; heating and
cooling need no open door; going to where one stands is not a command.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from forbear.errors import InvalidInput
from forbear.wording import described
from forbear.worlds.household.games import Game
from forbear.worlds.household.goal import compile_goal
from forbear.worlds.household.world import State, World, build_world

NOTHING_HAPPENS = "Nothing happens."
HELP = """Available commands:
  look:                             look around your current location
  inventory:                        check your current inventory
  go to (receptacle):               move to a receptacle
  open (receptacle):                open a receptacle
  close (receptacle):               close a receptacle
  take (object) from (receptacle):  take an object from a receptacle
  move (object) to (receptacle):  place an object in or on a receptacle
  examine (something):              examine a receptacle or an object
  use (object):                     use an object
  heat (object) with (receptacle):  heat an object using a receptacle
  clean (object) with (receptacle): clean an object using a receptacle
  cool (object) with (receptacle):  cool an object using a receptacle
  slice (object) with (object):     slice an object using a sharp object
"""


class Snapshot(NamedTuple):
    """Everything that the past of a game leaves behind; immutable, and only valid for the game it was taken from."""

    place: int
    held: int
    opened: int
    inside: tuple[tuple[int, ...], ...]
    lying: tuple[int, ...]
    left: frozenset[tuple[int, int]]
    clean: int
    hot: int
    cool: int
    toggled: int
    on: int
    sliced: int
    won: bool


class Household:
    """One playthrough of one game.

    A new household stands at the beginning; `intro` is the first observation. Commands after the goal is reached are
    still played, and `won` says whether the goal holds now.
    """

    def __init__(self, game: Game) -> None:
        """Prepares the game.

        Raises:
            InvalidInput: The game is malformed; the message names its id.
        """
        try:
            self.world = build_world(game.problem)
            goal = compile_goal(game.problem, world=self.world)
        except InvalidInput as error:
            raise InvalidInput(f"game {described(game.id, limit=200)}: {error}") from error
        self.game = game
        self._goal = goal.reached
        self._decisive = frozenset(verb for verb, changed in _CHANGES.items() if goal.touches & changed)
        self._start = self._first()
        self.restore(self._start)

    def _first(self) -> Snapshot:
        start = self.world.start
        return Snapshot(
            start.place, start.held, start.opened, tuple(start.inside), tuple(start.lying), start.left, start.clean,
            start.hot, start.cool, start.toggled, start.on, start.sliced, self._goal(start),
        )  # fmt: skip

    def reset(self) -> str:
        """Back to the beginning; returns `intro`."""
        self.restore(self._start)
        return self.intro

    @property
    def intro(self) -> str:
        """The first observation: a welcome, the room or what one faces, and the task."""
        facing = self.world.faced.get(self._start.place)
        if facing:
            names = listed(self.world.receptacles[each] for each in facing)
            seen = f"You are facing the {names}. Next to it, you see nothing."
        else:
            seen = (
                "You are in the middle of a room. Looking quickly around you, you see "
                f"{listed(f'a {name}' for name in self.world.receptacles)}."
            )
        return f"-= Welcome to TextWorld, ALFRED! =-\n\n{seen}\n\n{self.game.task}"

    def snapshot(self) -> Snapshot:
        """The present state, to come back to."""
        s = self._state
        return Snapshot(
            s.place, s.held, s.opened, tuple(s.inside), tuple(s.lying), s.left, s.clean,
            s.hot, s.cool, s.toggled, s.on, s.sliced, self.won,
        )  # fmt: skip

    def restore(self, snapshot: Snapshot) -> None:
        """Goes to a state of this same game."""
        self._state = State(
            place=snapshot.place,
            held=snapshot.held,
            opened=snapshot.opened,
            inside=list(snapshot.inside),
            lying=list(snapshot.lying),
            left=snapshot.left,
            clean=snapshot.clean,
            hot=snapshot.hot,
            cool=snapshot.cool,
            toggled=snapshot.toggled,
            on=snapshot.on,
            sliced=snapshot.sliced,
        )
        self.won = snapshot.won

    def step(self, command: str) -> str:
        """Plays one command and returns the observation; one that is not legal changes nothing."""
        verb, _, rest = command.strip().partition(" ")
        play = _VERBS.get(verb)
        text = play(self.world, self._state, rest) if play else None
        if text is None:
            return NOTHING_HAPPENS
        if verb in self._decisive:
            self.won = self._goal(self._state)
        return text

    def legal_actions(self) -> list[str]:
        """The commands that do not end in "Nothing happens.", sorted."""
        world, state = self.world, self._state
        held, faced = state.held, world.faced.get(state.place, ())
        commands = list(world.goto[state.place])
        commands += ("help", "inventory", "look")
        if held >= 0:
            commands += _with_held(world, state, held, faced)
        for receptacle in faced:
            name = world.receptacles[receptacle]
            commands.append(f"examine {name}")
            bit = 1 << receptacle
            if world.openable & bit:
                commands.append(f"close {name}" if state.opened & bit else f"open {name}")
            things = state.inside[receptacle]
            if held < 0 and things and _reachable(world, state, receptacle):
                commands += [f"take {world.objects[o]} from {name}" for o in things if world.pickupable >> o & 1]
            commands += [f"use {world.objects[o]}" for o in things if world.toggleable >> o & 1]
        return sorted(set(commands))


def listed(names: Iterable[str]) -> str:
    """A list as the game writes it: "nothing", "a", "a, and b", "a, b, and c"."""
    each = list(names)
    if len(each) < 2:
        return each[0] if each else "nothing"
    return f"{', '.join(each[:-1])}, and {each[-1]}"


def _with_held(world: World, state: State, held: int, faced: tuple[int, ...]) -> Iterator[str]:
    name, bit = world.objects[held], 1 << held
    yield f"examine {name}"
    for receptacle in faced:
        target = world.receptacles[receptacle]
        if world.accepted[receptacle] & bit and _reachable(world, state, receptacle):
            yield f"move {name} to {target}"
        for verb, able, tools in _treatments(world):
            if able & bit and receptacle in tools:
                yield f"{verb} {name} with {target}"
    if world.knives & bit:
        for thing, where in enumerate(state.lying):
            if where >> state.place & 1 and world.sliceable >> thing & 1:
                yield f"slice {world.objects[thing]} with {name}"


def _treatments(world: World) -> tuple[tuple[str, int, frozenset[int]], ...]:
    return (
        ("clean", world.cleanable, world.sinks),
        ("cool", world.coolable, world.fridges),
        ("heat", world.heatable, world.microwaves),
    )


def _reachable(world: World, state: State, receptacle: int) -> bool:
    return not world.openable >> receptacle & 1 or bool(state.opened >> receptacle & 1)


def _here(world: World, state: State, name: str) -> int | None:
    """The receptacle of that name, if one stands at it."""
    receptacle = world.receptacle_number.get(name)
    return receptacle if receptacle is not None and world.location_of[receptacle] == state.place else None


def _view(world: World, state: State, receptacle: int) -> str:
    name = world.receptacles[receptacle]
    things = listed(f"a {world.objects[thing]}" for thing in state.inside[receptacle])
    if not world.openable >> receptacle & 1:
        return f"On the {name}, you see {things}."
    return (
        f"The {name} is open. In it, you see {things}." if state.opened >> receptacle & 1 else f"The {name} is closed."
    )


def _look(world: World, state: State, rest: str) -> str | None:
    if rest:
        return None
    faced = world.faced.get(state.place)
    if not faced:
        return "You are in the middle of a room. Looking quickly around you, you see nothing."
    beside = [
        f"a {world.objects[thing]}"
        for thing, receptacle in sorted(state.left)
        if receptacle in faced and state.lying[thing] >> state.place & 1
    ]
    return (
        f"You are facing the {listed(world.receptacles[each] for each in faced)}. Next to it, you see {listed(beside)}."
    )


def _inventory(world: World, state: State, rest: str) -> str | None:
    if rest:
        return None
    return f"You are carrying: a {world.objects[state.held]}." if state.held >= 0 else "You are not carrying anything."


def _help(_world: World, _state: State, rest: str) -> str | None:
    return None if rest else HELP


def _go(world: World, state: State, rest: str) -> str | None:
    receptacle = world.receptacle_number.get(rest[3:]) if rest.startswith("to ") else None
    if receptacle is None or world.location_of[receptacle] == state.place:
        return None
    state.place = world.location_of[receptacle]
    return f"You arrive at {world.receptacles[receptacle]}. {_view(world, state, receptacle)}"


def _open(world: World, state: State, rest: str) -> str | None:
    receptacle = _here(world, state, rest)
    if receptacle is None or _reachable(world, state, receptacle):
        return None
    state.opened |= 1 << receptacle
    return f"You open the {rest}. {_view(world, state, receptacle)}"


def _close(world: World, state: State, rest: str) -> str | None:
    receptacle = _here(world, state, rest)
    if receptacle is None or not world.openable & state.opened & 1 << receptacle:
        return None
    state.opened &= ~(1 << receptacle)
    return f"You close the {rest}."


def _take(world: World, state: State, rest: str) -> str | None:
    name, _, source = rest.partition(" from ")
    thing, receptacle = world.object_number.get(name), _here(world, state, source)
    if thing is None or receptacle is None or state.held >= 0 or not world.pickupable >> thing & 1:
        return None
    things = state.inside[receptacle]
    if thing not in things or not _reachable(world, state, receptacle):
        return None
    state.inside[receptacle] = tuple(each for each in things if each != thing)
    state.lying[thing] &= ~(1 << state.place)
    state.left |= {(thing, receptacle)}
    state.held = thing
    return f"You pick up the {name} from the {source}."


def _move(world: World, state: State, rest: str) -> str | None:
    name, _, target = rest.partition(" to ")
    thing, receptacle = world.object_number.get(name), _here(world, state, target)
    if thing is None or receptacle is None or state.held != thing:
        return None
    if not world.accepted[receptacle] >> thing & 1 or not _reachable(world, state, receptacle):
        return None
    state.inside[receptacle] = tuple(sorted({*state.inside[receptacle], thing}))
    state.lying[thing] |= 1 << state.place
    state.left -= {(thing, receptacle)}
    state.held = -1
    return f"You move the {name} to the {target}."


def _examine(world: World, state: State, rest: str) -> str | None:
    receptacle = _here(world, state, rest)
    if receptacle is not None:
        return _view(world, state, receptacle)
    thing = world.object_number.get(rest)
    if thing is None or state.held != thing:
        return None
    if thing in world.contents:
        inner = listed(f"a {world.objects[each]}" for each in world.contents[thing])
        return f"This is a normal {rest}. In it, you see {inner}."
    return _described(state, rest, 1 << thing, lamp=bool(world.toggleable >> thing & 1))


def _described(state: State, name: str, bit: int, *, lamp: bool) -> str:
    """The first line that fits, in the order of the grammar; its wording is not consistent."""
    clean, hot, cool, sliced = (bool(each & bit) for each in (state.clean, state.hot, state.cool, state.sliced))
    warmth = "hot" if hot else "cool" if cool else ""
    if sliced and (clean or warmth):
        return f"This is a {' and '.join(filter(None, (warmth, 'clean' if clean else '')))} sliced {name}."
    if clean and warmth:
        return f"This is a {warmth} and clean {name}."
    if hot or clean or cool:
        return f"This is a {'hot' if hot else 'clean' if clean else 'cold'} {name}."
    if lamp and state.toggled & bit:
        return f"This {name} is on."
    return f"This is a sliced {name}." if sliced else f"There's nothing special about {name}."


def _use(world: World, state: State, rest: str) -> str | None:
    thing = world.object_number.get(rest)
    if thing is None or not world.toggleable >> thing & 1:
        return None
    if not any(thing in state.inside[receptacle] for receptacle in world.faced.get(state.place, ())):
        return None
    state.on ^= 1 << thing
    state.toggled |= 1 << thing
    return f"You turn on the {rest}."


def _treated(world: World, state: State, rest: str, *, able: int, tools: frozenset[int]) -> str | None:
    """The object in the hand is changed with a receptacle here, or None; returns the two names joined by "using"."""
    name, _, tool = rest.partition(" with ")
    thing, receptacle = world.object_number.get(name), _here(world, state, tool)
    if thing is None or receptacle not in tools or state.held != thing or not able >> thing & 1:
        return None
    return f"the {name} using the {tool}."


def _heat(world: World, state: State, rest: str) -> str | None:
    text = _treated(world, state, rest, able=world.heatable, tools=world.microwaves)
    if text is None:
        return None
    state.hot |= 1 << state.held
    state.cool &= ~(1 << state.held)
    return f"You heat {text}"


def _cool(world: World, state: State, rest: str) -> str | None:
    text = _treated(world, state, rest, able=world.coolable, tools=world.fridges)
    if text is None:
        return None
    state.cool |= 1 << state.held
    state.hot &= ~(1 << state.held)
    return f"You cool {text}"


def _clean(world: World, state: State, rest: str) -> str | None:
    text = _treated(world, state, rest, able=world.cleanable, tools=world.sinks)
    if text is None:
        return None
    state.clean |= 1 << state.held
    return f"You clean {text}"


def _slice(world: World, state: State, rest: str) -> str | None:
    name, _, knife = rest.partition(" with ")
    thing, tool = world.object_number.get(name), world.object_number.get(knife)
    if thing is None or tool is None or state.held != tool or not world.knives >> tool & 1:
        return None
    if not world.sliceable >> thing & 1 or not state.lying[thing] >> state.place & 1:
        return None
    state.sliced |= 1 << thing
    return f"You sliced the {name} with the {knife}."


_VERBS: dict[str, Callable[[World, State, str], str | None]] = {
    "look": _look,
    "inventory": _inventory,
    "help": _help,
    "go": _go,
    "open": _open,
    "close": _close,
    "take": _take,
    "move": _move,
    "examine": _examine,
    "use": _use,
    "heat": _heat,
    "cool": _cool,
    "clean": _clean,
    "slice": _slice,
}

_CHANGES: dict[str, frozenset[str]] = {
    "go": frozenset({"atlocation"}),
    "open": frozenset({"opened"}),
    "close": frozenset({"opened"}),
    "take": frozenset({"inreceptacle", "objectatlocation", "holds", "holdsany"}),
    "move": frozenset({"inreceptacle", "objectatlocation", "holds", "holdsany"}),
    "use": frozenset({"ison", "istoggled"}),
    "heat": frozenset({"ishot", "iscool"}),
    "cool": frozenset({"ishot", "iscool"}),
    "clean": frozenset({"isclean"}),
    "slice": frozenset({"issliced"}),
}
"""What each verb can change, so that a goal is only tested again when it may have come true."""
