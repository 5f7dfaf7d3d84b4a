"""GAIA's layout and its scoring."""

import json
from pathlib import Path

import pytest

from forbear.errors import InvalidInput
from forbear.worlds.questions.environment import QuestionEnvironment
from forbear.worlds.questions.gaia import gaia_match
from forbear.worlds.questions.pilot import file_tasks
from forbear.worlds.questions.reading import parse_questions

REFERENCE = json.loads((Path(__file__).parents[2] / "data/reference/gaia.json").read_text(encoding="utf-8"))
SAMPLE = Path(__file__).parents[3] / "src/forbear/adapters/pilots/gaia-sample.jsonl"


def line(task_id="a", answer="42", level=1, file_name=""):
    return {"task_id": task_id, "Question": "What?", "Level": level, "Final answer": answer, "file_name": file_name}


def parse(*records):
    return parse_questions("\n".join(json.dumps(one) for one in records).encode(), name="metadata.jsonl")


def test_answers_are_right_where_the_benchmarks_own_scorer_says_so():
    wrong = [case for case in REFERENCE["cases"] if gaia_match(case[0], [case[1]]) is not case[2]]
    assert wrong == []
    assert 200 < sum(case[2] for case in REFERENCE["cases"]) < len(REFERENCE["cases"]) - 200


@pytest.mark.parametrize(
    ("said", "truth", "right"),
    [
        ("$17,000", "17000", True),  # units and thousands go
        ("17000 km", "17000", False),  # other words do not
        ("sea gull!", "Seagull", True),
        ("b, a", "a, b", False),  # a list has an order
        ("a; 2.0", "a, 2", True),
        ("St. John, x", "St John, x", False),  # within lists punctuation stays
    ],
)
def test_answers_by_hand(said, truth, right):
    assert gaia_match(said, [truth]) is right


def test_its_layout_is_read_levels_are_strata_and_questions_with_files_are_left_out():
    found = parse(line("a", level=1), line("b", "x, y", level="2"), line("c", file_name="c.xlsx"))
    assert {one.id: (one.text, one.answers, one.kind) for one in found.values()} == {
        "a": ("What?", ("42",), "level 1"),
        "b": ("What?", ("x, y",), "level 2"),
    }


def test_what_has_no_true_answer_or_only_files_is_refused():
    with pytest.raises(InvalidInput, match=r"metadata\.jsonl, line 2: 'Final answer' is '\?'; .* validation split"):
        parse(line("a"), line("b", answer="?"))
    with pytest.raises(InvalidInput, match="come with a file"):
        parse(line(file_name="a.png"))
    with pytest.raises(InvalidInput, match="match must be"):
        QuestionEnvironment([], mode="one_step", match="gaia", f1=0.5)


def test_the_sample_of_the_template_has_its_layout_and_two_levels():
    tasks = file_tasks(SAMPLE)
    assert len(tasks) == 12
    assert {task.stratum for task in tasks} == {"level 1", "level 2"}
    assert [len(file_tasks(SAMPLE, kind=level)) for level in ("level 1", "level 2")] == [8, 4]
