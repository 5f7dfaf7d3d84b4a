import dataclasses

import pytest

from forbear.errors import InvalidInput
from forbear.worlds.household.engine import Household
from forbear.worlds.household.generator import generate
from forbear.worlds.household.goal import MAX_VARIABLES
from work import work

GAME = next(generate(seed=1, count=1))


def household(variables: int, *, facts: int = 1) -> Household:
    """Is anything open? Asked with idle variables, and the same fact again and again."""
    idle = tuple(word for i in range(variables - 2) for word in (f"?x{i}", "-", "agent"))
    where = (("receptacleatlocation", "?r", "?l"),) * facts
    declared = ("?r", "-", "receptacle", "?l", "-", "location", *idle)
    goal = ("exists", declared, ("and", *where, ("opened", "?r")))
    problem = dataclasses.replace(GAME.problem, goal=goal)
    return Household(dataclasses.replace(GAME, problem=problem))


def test_as_many_variables_as_allowed_are_played():
    house = household(MAX_VARIABLES)
    assert not house.won
    lid = next(name for number, name in enumerate(house.world.receptacles) if house.world.openable >> number & 1)
    house.step(f"go to {lid}")
    assert not house.won
    house.step(f"open {lid}")
    assert house.won


@pytest.mark.parametrize("variables", [MAX_VARIABLES + 1, 8_000])
def test_a_goal_of_too_many_variables_is_refused_at_once(variables):
    with work(most=10_000 + 100 * variables), pytest.raises(InvalidInput, match=f"{variables} variables") as caught:
        household(variables, facts=variables)
    assert GAME.id in str(caught.value)


def test_quantifiers_right_inside_one_another_count_as_one():
    goal = ("holdsany", "?x0")
    for i in range(MAX_VARIABLES + 1):
        goal = ("exists", (f"?x{i}", "-", "agent"), goal)
    with pytest.raises(InvalidInput, match=f"{MAX_VARIABLES + 1} variables"):
        Household(dataclasses.replace(GAME, problem=dataclasses.replace(GAME.problem, goal=goal)))
