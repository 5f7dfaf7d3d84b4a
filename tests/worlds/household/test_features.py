import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.records.model import Action, Step, Task, Trajectory
from forbear.worlds.household.engine import Household
from forbear.worlds.household.features import (
    Situation,
    parse_command,
    read_goal,
    remember,
)
from forbear.worlds.household.generator import generate
from forbear.worlds.told import RECENT
from household_transcripts import transcript

GAMES = list(generate(seed=12, count=24))


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.id)
def test_what_is_remembered_is_so(game):
    """The engine knows the truth; the memory only read the sentences."""
    for seed in range(3):
        seen, house = transcript(game, seed=seed)
        memory, state, world = remember(seen), house.snapshot(), house.world
        assert memory.held == (world.objects[state.held] if state.held >= 0 else "")
        if memory.place:
            assert world.location_of[world.receptacle_number[memory.place]] == state.place
        for place, things in memory.seen.items():
            truth = {world.objects[thing] for thing in state.inside[world.receptacle_number[place]]}
            assert things == truth
        for place in memory.closed:
            assert not state.opened >> world.receptacle_number[place] & 1


@pytest.mark.parametrize("game", GAMES[:6], ids=lambda game: game.id)
def test_every_legal_command_is_understood(game):
    _, house = transcript(game)
    names = {*house.world.receptacles, *house.world.objects}
    for text in house.legal_actions():
        command = parse_command(text)
        assert command.verb != "other"
        assert {command.thing, command.place} - {""} <= names
        assert all(name in {command.thing, command.place} for name in names if f" {name} " in f" {text} ")


MODES = {
    "pick_and_place_simple": "put",
    "look_at_obj_in_light": "light",
    "pick_clean_then_place_in_recep": "clean",
    "pick_heat_then_place_in_recep": "heat",
    "pick_cool_then_place_in_recep": "cool",
    "pick_two_obj_and_place": "two",
}


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game.id)
def test_the_task_is_told_by_its_words(game):
    goal = read_goal(Household(game).intro)
    assert goal.mode == MODES[game.family]
    # Whatever the walkthrough takes is wanted, and wherever it puts it is named.
    for command in map(parse_command, game.walkthrough):
        assert command.verb not in ("take", "move") or goal.wants(command.thing)
        assert command.verb != "move" or goal.names(command.place)


TAKE = "take mug 1 from drawer 1"


def test_relations_of_a_small_story():
    texts = [
        ("You are in the middle of a room.\n\nYour task is to: put a clean mug in desk.", "go to drawer 1"),
        ("You arrive at drawer 1. The drawer 1 is closed.", "open drawer 1"),
        (
            "You open the drawer 1. The drawer 1 is open. In it, you see a mug 1, and a pen 1.",
            "take mug 1 from drawer 1",
        ),
        ("You pick up the mug 1 from the drawer 1.", "dance"),
        ("Nothing happens.", None),
    ]
    steps = tuple(Step(index=i, observation=o, executed=c and Action(c)) for i, (o, c) in enumerate(texts))

    def relation(length, text):
        return Situation(remember(Trajectory(task=Task(id="t"), steps=steps[:length]))).relation(parse_command(text))

    assert relation(1, "go to drawer 1") == "go to|-|other-unseen|empty|none|dark|none"
    assert relation(2, "open drawer 1") == "open|-|other-closed-here|empty|none|dark|none"
    assert relation(3, TAKE) == "take|wanted|other-wanted-here|empty|here|dark|none"
    assert relation(3, "take pen 1 from drawer 1") == "take|other|other-wanted-here|empty|here|dark|none"
    assert relation(5, "go to desk 1") == "go to|-|named-unseen|wanted|none|dark|none"
    assert relation(5, "go to sinkbasin 1") == "go to|-|tool-unseen|wanted|none|dark|none"
    memory = remember(Trajectory(task=Task(id="t"), steps=steps))
    assert (memory.held, memory.place, memory.seen) == ("mug 1", "drawer 1", {"drawer 1": frozenset({"pen 1"})})


@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=30)), max_size=12))
def test_any_text_is_read(pairs):
    steps = tuple(Step(index=i, observation=o, executed=Action(a)) for i, (o, a) in enumerate(pairs))
    memory = remember(Trajectory(task=Task(id="t"), steps=steps))
    assert len(memory.recent) <= RECENT
    for _, text in pairs:
        assert Situation(memory).relation(parse_command(text)).count("|") >= 6
