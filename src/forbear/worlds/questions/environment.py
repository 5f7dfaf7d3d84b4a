"""Questions as forbear's runner asks them: as ReAct plays them (arXiv 2210.03629), or answered in one step."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from forbear.contracts.draw import Draw
from forbear.contracts.environment import Observation
from forbear.errors import InvalidInput
from forbear.records.model import JSON, Action, Task
from forbear.wording import described, shown
from forbear.worlds.questions.gaia import gaia_match
from forbear.worlds.questions.matching import exact_match, f1
from forbear.worlds.questions.question import Paragraph, Question, task_of

Mode: TypeAlias = Literal["one_step", "draft", "react"]
"""`one_step`: the paragraphs are shown, and the first action is the answer; `draft`: the second is, so that there is
something to say between the two; `react`: they have to be searched."""

Match: TypeAlias = Literal["exact", "gaia"]
"""When an answer is right: by HotPotQA's normalisation, or by GAIA's."""

FIRST_SENTENCES = 5
"""Of a paragraph that was found; the others are found by `lookup`."""
SIMILAR = 5
"""Titles that are named where none is the one searched for."""

_ACTION = re.compile(r"(search|lookup|finish)\s*\[(.*)\]", re.IGNORECASE | re.DOTALL)
_WORDS = re.compile(r"\w+")


def _tool(name: str, argument: str, description: str, *, about: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {argument: {"type": "string", "description": about}},
        "required": [argument],
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


FINISH: Final = _tool("finish", "answer", "Gives the answer and ends.", about="As short as it can be.")
TOOLS: Final = (
    _tool("search", "query", "Reads the start of the paragraph of that title, or names others.", about="A title."),
    _tool("lookup", "text", "Finds the next sentence with that text in the paragraph read last.", about="A few words."),
    FINISH,
)
"""The actions as functions of OpenAI's format; calling `name` with its argument is the action `name[argument]`."""


class Place(Struct, frozen=True):
    """Where an episode stands."""

    page: int | None = None
    """The paragraph read last."""
    keyword: str | None = None
    """What was looked up in it last."""
    found: int = 0
    """How many sentences with it were told."""
    drafted: bool = False
    """A first answer was given, where the second counts."""
    done: bool = False


class QuestionEnvironment:
    """Asks the questions it was given, by id. Draws are not used.

    Every action takes a step, also one that is none. An episode without an answer ends at the plan's limit of steps.
    """

    replay_safe = True

    def __init__(
        self,
        questions: Iterable[Question] | Mapping[str, Question],
        *,
        mode: Mode,
        f1: float | None = None,
        match: Match = "exact",
    ) -> None:
        """Keeps the questions, or where to find them by id.

        Args:
            questions: Those of the tasks.
            mode: How they are asked.
            f1: From which F1 on an answer is a success, in (0, 1]; None: exact matches are.
            match: How answers are normalised before they are compared; f1 needs "exact".

        Raises:
            InvalidInput: Another mode or match, or f1 out of range.
        """
        if mode not in ("one_step", "draft", "react"):
            raise InvalidInput(f"mode must be 'one_step', 'draft' or 'react', got {described(mode)}.")
        if f1 is not None and not (isinstance(f1, int | float) and not isinstance(f1, bool) and 0 < f1 <= 1):
            raise InvalidInput(f"f1 must be above 0 and at most 1, got {described(f1)}.")
        if match not in ("exact", "gaia") or (match == "gaia" and f1 is not None):
            raise InvalidInput(f"match must be 'exact', or 'gaia' without f1, got {described(match)}.")
        self._questions = questions if isinstance(questions, Mapping) else {one.id: one for one in questions}
        self._mode, self._f1, self._match = mode, f1, match
        self._asked: Question | None = None
        self._place = Place()

    async def reset(self, task: Task, *, draw: Draw) -> Observation:
        """Asks the task's question; the payload has the actions as `tools`.

        Raises:
            InvalidInput: No question of that id, or another one than when the task was made.
        """
        return self.ask(task)

    def ask(self, task: Task) -> Observation:
        """`reset`, without a loop to run in."""
        question = self._questions.get(task.id)
        if question is None:
            raise InvalidInput(f"no question of the id {described(task.id)}; give the environment the tasks' data.")
        if task.payload != task_of(question).payload:
            raise InvalidInput(f"the question {described(task.id)} is not the one that the task was made from.")
        self._asked, self._place = question, Place()
        if self._mode == "react":
            return Observation(text=f"Question: {question.text}{_choices(question)}", payload={"tools": list(TOOLS)})
        paragraphs = [f"{one.title}: {one.text}" if one.title else one.text for one in question.context]
        legal = tuple(f"finish[{choice}]" for choice in question.choices)
        return Observation(
            text="\n".join([*paragraphs, f"Question: {question.text}{_choices(question)}"]),
            payload={"tools": [FINISH]},
            legal_actions=legal or None,
        )

    async def step(self, action: Action, *, draw: Draw) -> Observation:
        """Carries out an action.

        Raises:
            InvalidInput: The question has been answered, or none was asked.
        """
        return self.carry_out(action)

    def carry_out(self, action: Action) -> Observation:
        """`step`, without a loop to run in."""
        question, text = self._ready(), action.text.strip()
        if self._place.done:
            raise InvalidInput("the question has been answered; reset(task) asks another.")
        found = _ACTION.fullmatch(text)
        verb, argument = (found[1].lower(), found[2].strip()) if found else ("", text)
        if self._mode == "draft" and not self._place.drafted:
            self._place = replace(self._place, drafted=True)
            return Observation(text=f"Once more; this answer counts.\nQuestion: {question.text}{_choices(question)}")
        if self._mode != "react":
            return self._finish(question, argument if verb == "finish" else text)
        if verb == "search":
            return self._search(question, argument)
        if verb == "lookup":
            return self._lookup(question, argument)
        if verb == "finish":
            return self._finish(question, argument)
        return Observation(
            text=f"Invalid action: {shown(text, limit=200)} Valid are search[title], lookup[text] and finish[answer]."
        )

    def snapshot(self) -> Place:
        """Where the episode stands."""
        self._ready()
        return self._place

    def restore(self, snapshot: object) -> None:
        """Goes back there."""
        self._ready()
        if not isinstance(snapshot, Place):
            raise InvalidInput(f"expected a snapshot of this question, got {described(snapshot)}.")
        self._place = snapshot

    def config(self) -> Mapping[str, JSON]:
        """The rules; the questions are in the tasks' payloads."""
        success = "exact match" if self._f1 is None else f"F1 of at least {float(self._f1)!r}"
        success = "GAIA's match" if self._match == "gaia" else success
        return {"name": "questions", "mode": self._mode, "success": success, "version": 1}

    def _search(self, question: Question, query: str) -> Observation:
        titles = [_folded(paragraph.title) for paragraph in question.context]
        if query and _folded(query) in titles:
            page = titles.index(_folded(query))
            self._place = Place(page=page)
            sentences = question.context[page].sentences[:FIRST_SENTENCES]
            return Observation(text=Paragraph("", sentences).text)
        similar = ", ".join(_similar(query, question.context))
        return Observation(text=f"Could not find {shown(query, limit=200)}. Similar: {similar or 'nothing'}.")

    def _lookup(self, question: Question, text: str) -> Observation:
        place = self._place
        if text != place.keyword:
            place = replace(place, keyword=text, found=0)
        sentences = () if place.page is None else question.context[place.page].sentences
        results = [sentence.strip() for sentence in sentences if text.lower() in sentence.lower()]
        if place.found >= len(results):
            self._place = place
            return Observation(text="No more results.")
        self._place = replace(place, found=place.found + 1)
        return Observation(text=f"(Result {place.found + 1} / {len(results)}) {results[place.found]}")

    def _finish(self, question: Question, answer: str) -> Observation:
        self._place = replace(self._place, done=True)
        if self._f1 is not None:
            right = f1(answer, question.answers) >= self._f1
        else:
            right = (gaia_match if self._match == "gaia" else exact_match)(answer, question.answers)
        # An accepted answer that is an article only would make nothing an answer.
        return Observation(text="Answered.", done=True, success=right and bool(answer))

    def _ready(self) -> Question:
        if self._asked is None:
            raise InvalidInput("no question was asked yet; call reset(task) first.")
        return self._asked


def _choices(question: Question) -> str:
    return f"\nChoices: {', '.join(question.choices)}" if question.choices else ""


def _folded(title: str) -> str:
    return " ".join(title.casefold().split())


def _similar(query: str, context: Iterable[Paragraph]) -> list[str]:
    """The titles that share the most words with it, and then those whose texts do; in their order where alike."""
    wanted = set(_WORDS.findall(query.casefold()))

    def shared(paragraph: Paragraph) -> tuple[int, int]:
        title, text = (set(_WORDS.findall(part.casefold())) for part in (paragraph.title, paragraph.text))
        return -len(wanted & title), -len(wanted & text)

    return [paragraph.title for paragraph in sorted(context, key=shared) if paragraph.title][:SIMILAR]
