import hashlib
import itertools
from collections import Counter

import pytest

from forbear.errors import InvalidInput
from forbear.worlds.household.engine import Household
from forbear.worlds.household.generator import generate
from forbear.worlds.household.pddl import write_problem
from forbear.worlds.household.request import FAMILIES, Request, read_request, write_request
from forbear.worlds.household.search import winning_plan

GAMES = list(generate(seed=11, count=120))


def test_every_task_is_won_by_its_walkthrough_and_not_before():
    for game in GAMES:
        house = Household(game)
        for command in game.walkthrough:
            assert not house.won, game.id
            assert command in house.legal_actions(), game.id
            house.step(command)
        assert house.won, game.id


def test_a_task_depends_on_its_seed_and_index_alone():
    assert list(generate(seed=11, count=3, start=60)) == GAMES[60:63]
    other = list(generate(seed=12, count=60))
    assert not {game.id for game in GAMES} & {game.id for game in other}
    assert len({write_problem(game.problem, name="x") for game in (*GAMES, *other)}) == 180


def test_the_tasks_of_a_seed_are_the_same_on_every_platform_and_for_ever():
    text = "".join(f"{g.id}\n{g.task}\n{write_problem(g.problem, name='x')}{g.walkthrough}" for g in GAMES)
    assert (
        hashlib.sha256(text.encode()).hexdigest() == "523d0615a8cfc571affa2ab14887ddf175218dfaf007f20c0bc76015c898468b"
    )


def test_the_families_are_the_strata_in_equal_numbers():
    assert Counter(game.family for game in GAMES) == dict.fromkeys(FAMILIES, 20)
    assert len({game.id for game in GAMES}) == len(GAMES)
    assert all(read_request(game.task).family == game.family for game in GAMES)


@pytest.mark.slow
def test_households_are_as_large_as_real_ones():
    houses = [Household(game) for game in GAMES]
    assert 18 < sum(len(house.world.receptacles) for house in houses) / len(houses) < 26
    assert 20 < sum(len(house.world.objects) for house in houses) / len(houses) < 32


def test_the_search_leaves_the_household_as_it_was_and_knows_when_there_is_no_way():
    house = Household(GAMES[0])
    before = house.snapshot()
    assert winning_plan(house) == GAMES[0].walkthrough
    assert house.snapshot() == before
    hidden = before._replace(inside=((),) * len(before.inside))
    house.restore(hidden)
    assert winning_plan(house) is None
    assert house.snapshot() == hidden


def test_each_sentence_is_read_back_as_what_it_was_written_from():
    for family, variant in itertools.product(FAMILIES, (0, 1)):
        request = Request(family=family, thing="mug", target="desk")
        assert read_request(write_request(request, variant=variant)) == request


@pytest.mark.parametrize(
    "sentence", ["", "Your task is to: dance.", "put a mug in desk.", "Your task is to: put a  in ."]
)
def test_another_sentence_is_refused(sentence):
    with pytest.raises(InvalidInput, match="expected a task like"):
        read_request(sentence)


def test_counts_below_zero_are_refused():
    with pytest.raises(InvalidInput, match="0 or more"):
        next(generate(seed=1, count=-1))
