import gzip
import json

import pytest

from forbear.errors import InvalidInput
from forbear.worlds.household.engine import Household
from forbear.worlds.household.games import parse_game, read_games
from forbear.worlds.household.generator import generate
from forbear.worlds.household.pddl import read_expression, read_problem, write_problem
from work import work

GAME = next(generate(seed=1, count=1))
TEXT = write_problem(GAME.problem, name="game")
NAME = "put-mug/trial_7"


def line(**changes) -> str:
    data = {"id": NAME, "task_type": GAME.family, "task": GAME.task, "pddl_problem": TEXT, "walkthrough": ["look"]}
    return json.dumps({**data, **changes})


def test_a_problem_survives_writing_and_reading():
    assert read_problem(TEXT) == GAME.problem


def test_case_and_comments_do_not_matter():
    assert read_expression("(A ; not (this\n B)") == read_expression("(a b)") == ("a", "b")


def deep(levels: int) -> str:
    return TEXT.replace("(:goal ", "(:goal " + "(and " * levels).removesuffix("\n)\n") + ")" * levels + "\n)\n"


def exploding() -> str:
    variables = " ".join(f"?x{i} - object" for i in range(12))
    body = " ".join(f"(not (= ?x{i} ?x{i + 1})) (inreceptacle ?x{i} cart_bar_01)" for i in range(11))
    return TEXT[: TEXT.index("(:goal")] + f"(:goal (exists ({variables}) (and {body}))))"


MALFORMED = {
    "empty problem": line(pddl_problem=" "),
    "no objects": line(pddl_problem=TEXT.replace(":objects", ":things")),
    "objects missing": line(pddl_problem=TEXT.replace(f"{next(iter(GAME.problem.init))[1]} - agent\n", "")),
    "unknown type": line(pddl_problem=TEXT.replace("- receptacle\n", "- spaceship\n", 1)),
    "unknown predicate": line(pddl_problem=TEXT.replace("(pickupable ", "(edible ", 1)),
    "fact with a wrong type": line(pddl_problem=TEXT.replace("(openable ", "(pickupable ", 1)),
    "cut off": line(pddl_problem=TEXT[: len(TEXT) // 2]),
    "one parenthesis too many": line(pddl_problem=TEXT + ")"),
    "goal without end": line(pddl_problem=deep(200)),
    "deep nesting": line(pddl_problem="(" * 300_000),
    "exploding goal": line(pddl_problem=exploding()),
    "free variable in the goal": line(pddl_problem=TEXT.replace("(?r - receptacle)", "(?q - receptacle)")),
    "goal about nothing known": line(pddl_problem=TEXT.replace("(objecttype ?o1", "(flavour ?o1")),
    "two agents": line(pddl_problem=TEXT.replace("agent1 - agent", "agent1 - agent\nagent2 - agent").replace(
        "(atlocation agent1", "(atlocation agent2 loc_bar_00)\n(atlocation agent1", 1)),
    "receptacle in two places": line(pddl_problem=TEXT.replace(
        "(:init", "(:init (receptacleatlocation cart_bar_01 loc_bar_00)")),
    "declared twice": line(pddl_problem=TEXT.replace("agent1 - agent", "agent1 - agent\nagent1 - agent")),
    "dangling type": line(pddl_problem=TEXT.replace("agent1 - agent", "agent1 -")),
    "numbers": line(pddl_problem=7),
    "no task": line(task=None),
    "walkthrough of numbers": line(walkthrough=[1, 2]),
    "nested JSON": '{"id": "' + NAME + '", "x": ' + "[" * 100_000,
    "cut JSON": line()[:-30],
    "10 MB": line(pddl_problem="(define " + "(a b) " * 1_700_000),
    "too many receptacles": line(pddl_problem=TEXT.replace(
        "(:objects", "(:objects\n" + " ".join(f"r_bar_{i}" for i in range(40_000)) + " - receptacle")),
    "2 MB of names": line(pddl_problem=TEXT.replace("(:init", "(:init" + "(openable cart_bar_01)" * 100_000)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_game_is_one_line_with_its_id_and_does_not_hang(case):
    with work(most=2_000_000), pytest.raises(InvalidInput) as caught:
        Household(parse_game(MALFORMED[case], where="line 1"))
    assert NAME in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_the_game_behind_the_malformed_ones_is_sound():
    house = Household(parse_game(line(walkthrough=list(GAME.walkthrough)), where="here"))
    for command in house.game.walkthrough:
        house.step(command)
    assert house.won


@pytest.mark.parametrize(
    "content",
    [b"not gzip at all", gzip.compress(line().encode() * 50)[:-40], gzip.compress(b'{"id": 3}')],
    ids=["not gzip", "cut off", "no text"],
)
def test_a_file_that_is_not_games_is_refused(content, tmp_path, rules):
    path = tmp_path / "games.jsonl.gz"
    path.write_bytes(content)
    rules(tmp_path)
    with pytest.raises(InvalidInput, match=r"games\.jsonl\.gz"):
        list(read_games(path))


def test_a_line_that_is_too_long_is_refused_by_its_id(tmp_path, rules):
    path = tmp_path / "games.jsonl.gz"
    path.write_bytes(gzip.compress(MALFORMED["10 MB"].encode()))
    rules(tmp_path)
    with pytest.raises(InvalidInput, match=NAME):
        list(read_games(path))


def test_an_id_that_comes_twice_is_refused(tmp_path, rules):
    path = tmp_path / "games.jsonl"
    path.write_text(f"{line()}\n\n{line()}\n")
    rules(tmp_path)
    with pytest.raises(InvalidInput, match="twice"):
        list(read_games(path))


def test_games_without_their_rules_or_with_others_are_refused(tmp_path, rules):
    path = tmp_path / "games.jsonl"
    path.write_text(line())
    with pytest.raises(InvalidInput, match=r"alfred_domain\.pddl"):
        list(read_games(path))
    rules(tmp_path)
    grammar = tmp_path / "alfred_grammar.twl2"
    grammar.write_text(grammar.read_text().replace("move {o} to {r}", "put {o} in {r}"))
    with pytest.raises(InvalidInput, match=r"alfred_grammar\.twl2"):
        list(read_games(path))


def test_a_file_that_is_not_there_is_named_before_what_lies_beside_it(tmp_path):
    with pytest.raises(InvalidInput, match=r"there is no file '.*nope\.jsonl\.gz'"):
        list(read_games(tmp_path / "nope.jsonl.gz"))
