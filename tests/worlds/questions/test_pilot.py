import asyncio
import json
from collections import Counter

import pytest

from forbear.adapters.parts import BUILT_IN
from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.records.model import Action, Task
from forbear.testing import EnvironmentContract
from forbear.worlds.questions.matching import exact_match, normalised
from forbear.worlds.questions.pilot import (
    SEED,
    environment,
    file_tasks,
    generated_tasks,
    shipped_questions,
    shipped_tasks,
)
from forbear.worlds.questions.seeds import SEEDS

SHIPPED = shipped_questions().values()


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "q.jsonl"
    lines = [{"question": f"Q{n}?", "answer": str(n), "kind": "ab"[n % 2]} for n in range(20)]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


class TestEnvironmentOfShippedQuestions(EnvironmentContract):
    def make(self):
        return environment()

    def variants(self):
        return [environment(mode="react"), environment(f1=0.5)]

    def tasks(self):
        return shipped_tasks(6)

    def actions(self, task: Task):
        return [Action("finish[Rome]")]


class TestEnvironmentOfGeneratedQuestions(EnvironmentContract):
    def make(self):
        return environment(mode="react")

    def tasks(self):
        return generated_tasks(3, seed=9)

    def actions(self, task: Task):
        return [Action("search[nobody]"), Action("lookup[x]"), Action("finish[Rome]")]


@pytest.mark.parametrize("use", SEEDS)
def test_what_was_learned_from_is_not_for_pilots(use):
    with pytest.raises(InvalidInput, match=use):
        generated_tasks(5, SEEDS[use])
    with pytest.raises(InvalidInput, match="at least 1"):
        generated_tasks(0)


def test_a_longer_list_of_generated_tasks_starts_with_a_shorter_one():
    assert generated_tasks(12)[:6] == generated_tasks(n=6, seed=SEED)
    assert len({task.stratum for task in generated_tasks(6)}) == 6


def test_a_longer_list_starts_with_a_shorter_one(file):
    longer = file_tasks(file, n=12)
    assert file_tasks(str(file), n=5) == longer[:5]
    assert [task.id for task in file_tasks(file, n=12, seed=8)] != [task.id for task in longer]
    assert len(file_tasks(file)) == len(file_tasks(file, n=99)) == 20


def test_kinds_are_chosen(file):
    assert Counter(task.stratum for task in file_tasks(file, kind="a")) == {"a": 10}
    assert Counter(task.stratum for task in file_tasks(file, kind=["a", "b"])) == {"a": 10, "b": 10}
    for kind in ("c", ["a", "c"], []):
        with pytest.raises(InvalidInput, match="the kinds of these questions are 'a', 'b'"):
            file_tasks(file, kind=kind)
    with pytest.raises(InvalidInput, match="at least 1 task"):
        file_tasks(file, n=0)


def test_the_tasks_of_a_file_are_asked_by_the_environment_of_that_file(file):
    async def answer(task: Task) -> bool | None:
        world, draw = environment(data=file), Draw(task_id=task.id, seed=1, role="environment")
        seen = await world.reset(task, draw=draw)
        said = seen.text.removeprefix("Question: Q").removesuffix("?")
        return (await world.step(Action(said), draw=draw)).success

    assert all(asyncio.run(answer(task)) for task in file_tasks(file))


def test_they_are_built_in():
    assert {"questions:file", "questions:shipped"} <= set(BUILT_IN["tasks"])
    assert "questions" in BUILT_IN["environment"]


def test_the_shipped_questions_are_enough_of_each_kind():
    kinds = Counter(question.kind for question in SHIPPED)
    assert kinds.total() >= 200
    assert min(kinds.values()) >= 16


def test_no_shipped_question_is_asked_twice_nor_two_of_one_text():
    asked = [(one.text, one.context, one.choices) for one in SHIPPED]
    texts = [one.context for one in SHIPPED if one.context]
    assert len(set(asked)) == len(asked)
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("question", SHIPPED, ids=lambda question: question.id)
def test_the_answer_of_a_shipped_question_can_be_given(question):
    assert all(normalised(answer) for answer in question.answers)
    assert exact_match(question.answers[0], question.answers)
    right = [choice for choice in question.choices if exact_match(choice, question.answers)]
    assert right == ([question.answers[0]] if question.choices else [])
    if question.context:
        (paragraph,) = question.context
        assert question.answers[0] in paragraph.text
