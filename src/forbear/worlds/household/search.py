"""A search that sees everything: commands that win a household, found among its true states.

Subgoals (in the hand; treated; won) are reached one after the other by breadth-first search over the commands that
concern the objects and receptacles in question, which keeps each search to a handful of states.
"""

from collections.abc import Callable, Iterator, Sequence

from forbear.worlds.household.engine import Household, Snapshot
from forbear.worlds.household.request import Request, read_request

MAX_STATES = 400
"""Per subgoal; the largest needs about thirty."""


def winning_plan(house: Household) -> tuple[str, ...] | None:
    """Commands that win from the present state, or None if the search finds none; leaves the household as it was.

    Raises:
        InvalidInput: The task's sentence follows none of the templates.
    """
    request = read_request(house.game.task)
    before = house.snapshot()
    try:
        for subgoals in _ways(house, request):
            house.restore(before)
            plan: list[str] = []
            for reached, commands in subgoals:
                steps = _shortest(house, commands, reached)
                if steps is None:
                    break
                plan += steps
            if house.won:
                return tuple(plan)
    finally:
        house.restore(before)
    return None


_Subgoal = tuple[Callable[[Household], bool], Sequence[str]]


def _ways(house: Household, request: Request) -> Iterator[list[_Subgoal]]:
    """Choices of objects and receptacles, each with its subgoals and the commands that may lead there."""
    world, inside = house.world, house.snapshot().inside
    things = [name for name in world.objects if name.rpartition(" ")[0] == request.thing]
    where = {
        name: [world.receptacles[r] for r, held in enumerate(inside) if world.object_number[name] in held]
        for name in world.objects
    }
    if request.family == "look_at_obj_in_light":
        lamps = [name for name in world.objects if name.rpartition(" ")[0] == request.target]
        for lamp in lamps:
            for thing in things:
                yield [_taken(house, thing, where[thing]), (_won, [*_visits(where[lamp]), f"use {lamp}"])]
        return
    for target in (name for name in world.receptacles if name.rpartition(" ")[0] == request.target):
        outside = [thing for thing in things if target not in where[thing] or request.treatment]
        for first in range(len(outside)):
            wanted = (outside[first:] + outside[:first])[: request.count]
            subgoals = []
            for thing in wanted:
                subgoals.append(_taken(house, thing, where[thing]))
                if request.treatment:
                    subgoals.append(_treated(house, request.treatment, thing))
                subgoals.append(_placed(house, thing, target))
            yield subgoals


def _won(house: Household) -> bool:
    return house.won


def _visits(receptacles: Sequence[str]) -> list[str]:
    return [f"{verb} {name}" for name in receptacles for verb in ("go to", "open")]


def _taken(house: Household, thing: str, places: Sequence[str]) -> _Subgoal:
    number = house.world.object_number[thing]
    commands = [*_visits(places), *(f"take {thing} from {place}" for place in places)]
    return lambda now: now.snapshot().held == number, commands


def _treated(house: Household, treatment: str, thing: str) -> _Subgoal:
    world, bit = house.world, 1 << house.world.object_number[thing]
    tools = {"clean": world.sinks, "heat": world.microwaves, "cool": world.fridges}[treatment]
    names = [world.receptacles[tool] for tool in sorted(tools)]
    field = {"clean": "clean", "heat": "hot", "cool": "cool"}[treatment]
    commands = [*(f"go to {name}" for name in names), *(f"{treatment} {thing} with {name}" for name in names)]
    return lambda now: bool(getattr(now.snapshot(), field) & bit), commands


def _placed(house: Household, thing: str, target: str) -> _Subgoal:
    number, receptacle = house.world.object_number[thing], house.world.receptacle_number[target]
    return lambda now: number in now.snapshot().inside[receptacle], [*_visits([target]), f"move {thing} to {target}"]


def _shortest(house: Household, commands: Sequence[str], reached: Callable[[Household], bool]) -> list[str] | None:
    """Breadth-first from the present state; leaves the household where the subgoal is reached."""
    if reached(house):
        return []
    begin = house.snapshot()
    paths: dict[Snapshot, list[str]] = {begin: []}
    queue = [begin]
    for state in queue:
        for command in commands:
            house.restore(state)
            house.step(command)
            after = house.snapshot()
            if after in paths:
                continue
            paths[after] = [*paths[state], command]
            if reached(house):
                return paths[after]
            if len(paths) < MAX_STATES:
                queue.append(after)
    house.restore(begin)
    return None
