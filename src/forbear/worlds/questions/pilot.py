"""The factories of pilot files: `questions:shipped` and `questions:file` for tasks, `questions` for the world."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from importlib import resources
from pathlib import Path

from forbear.contracts.draw import Draw
from forbear.errors import InvalidInput
from forbear.records.model import Task
from forbear.wording import described, listed
from forbear.worlds.questions.environment import Match, Mode, QuestionEnvironment
from forbear.worlds.questions.question import Question, task_of
from forbear.worlds.questions.reading import parse_questions, read_questions

SEED = 7


def shipped_tasks(n: int | None = None, kind: str | Collection[str] | None = None, seed: int = SEED) -> list[Task]:
    """Makes tasks of the questions that come with the package; as `file_tasks` without a file."""
    return _tasks(shipped_questions().values(), n=n, kind=kind, seed=seed)


def file_tasks(
    data: str | Path, n: int | None = None, kind: str | Collection[str] | None = None, seed: int = SEED
) -> list[Task]:
    """Makes tasks of a file's questions, in a random order; a longer list starts with a shorter one.

    Args:
        data: The file; in a pilot file, relative to that. The environment needs the same.
        n: How many at most; None: all.
        kind: Only those of this kind, or of one of several.
        seed: Decides the order, and thereby which they are.

    Raises:
        InvalidInput: The file cannot be read, n is below 1, or there is no question of such a kind.
    """
    return _tasks(read_questions(data).values(), n=n, kind=kind, seed=seed)


def environment(
    mode: Mode = "one_step", data: str | Path | None = None, f1: float | None = None, match: Match = "exact"
) -> QuestionEnvironment:
    """Makes an environment that asks any question of the file, or of those that come with the package.

    Raises:
        InvalidInput: The file cannot be read, or another mode, f1 or match than `QuestionEnvironment` takes.
    """
    questions = shipped_questions() if data is None else read_questions(data)
    return QuestionEnvironment(questions, mode=mode, f1=f1, match=match)


@lru_cache(maxsize=1)
def shipped_questions() -> Mapping[str, Question]:
    """The questions that come with the package, by id; docs/questions.md says what they are."""
    file = resources.files("forbear.worlds.questions") / "shipped.jsonl"
    return parse_questions(file.read_bytes(), name="shipped.jsonl")


def _tasks(
    questions: Collection[Question], *, n: int | None, kind: str | Collection[str] | None, seed: int
) -> list[Task]:
    if n is not None and n < 1:
        raise InvalidInput(f"a pilot needs at least 1 task, got n = {n}.")
    if kind is not None:
        kinds = {question.kind for question in questions if question.kind is not None}
        wanted = {kind} if isinstance(kind, str) else set(kind)
        if not wanted or not wanted <= kinds:
            raise InvalidInput(f"kind is {described(kind)}; the kinds of these questions are {listed(sorted(kinds))}.")
        questions = [question for question in questions if question.kind in wanted]

    def place(question: Question) -> int:
        return Draw(task_id=question.id, seed=seed, role="questions").integer()

    return [task_of(question) for question in sorted(questions, key=place)[:n]]
