import asyncio
from collections.abc import Sequence

import pytest

from forbear.contracts.border import checked_observation
from forbear.contracts.draw import Draw
from forbear.contracts.environment import Observation
from forbear.errors import InvalidInput
from forbear.records.model import Action, Task
from forbear.testing.contracts import EnvironmentContract
from forbear.worlds.questions.environment import Mode, QuestionEnvironment
from forbear.worlds.questions.question import Paragraph, Question, task_of

SEA = Paragraph("Coral Sea", ("One coral.", " Two coral fish.", "Three.", "Four.", "Five.", "Six, a CORAL reef."))
QUESTIONS = [
    Question(
        id="reef",
        text="What is the sixth?",
        answers=("a coral reef", "the reef"),
        context=(Paragraph("Deep Sea", ("It is dark.",)), SEA, Paragraph("Lakes", ("Coral is not here.",))),
        kind="bridge",
    ),
    Question(id="colour", text="Which is a colour?", answers=("red",), choices=("red", "house")),
    Question(id="plain", text="Who?", answers=("Ann",), context=(Paragraph("", ("Ann was here.",)),), cluster="Ann"),
]
DRAW = Draw(task_id="t", seed=1, role="environment")


class OfQuestions(EnvironmentContract):
    mode: Mode

    def make(self) -> QuestionEnvironment:
        return QuestionEnvironment(QUESTIONS, mode=self.mode)

    def tasks(self) -> Sequence[Task]:
        return [task_of(question) for question in QUESTIONS]


class TestReact(OfQuestions):
    mode = "react"

    def variants(self) -> list[QuestionEnvironment]:
        return [QuestionEnvironment(QUESTIONS, mode="one_step"), QuestionEnvironment(QUESTIONS, mode="react", f1=0.5)]

    def actions(self, task: Task) -> Sequence[Action]:
        said = ["search[sea]", "search[coral sea]", "lookup[coral]", "lookup[coral]", "think", "finish[the reef]"]
        return [Action(text) for text in said]


class TestOneStep(OfQuestions):
    mode = "one_step"

    def actions(self, task: Task) -> Sequence[Action]:
        return [Action("red")]


class TestDraft(OfQuestions):
    mode = "draft"

    def actions(self, task: Task) -> Sequence[Action]:
        return [Action("house"), Action("red")]


def play(question: Question, *actions: str, mode: Mode = "react", f1: float | None = None) -> list[Observation]:
    async def run() -> list[Observation]:
        world = QuestionEnvironment([question], mode=mode, f1=f1)
        seen = [await world.reset(task_of(question), draw=DRAW)]
        return [*seen, *[await world.step(Action(text), draw=DRAW) for text in actions]]

    return [checked_observation(seen) for seen in asyncio.run(run())]


def test_a_search_reads_the_first_sentences_or_names_similar_titles():
    first, found, similar, other = play(QUESTIONS[0], "search[ coral  SEA ]", "search[coral]", "search[]")
    assert first.text == "Question: What is the sixth?"
    assert found.text == "One coral. Two coral fish. Three. Four. Five."
    assert similar.text == "Could not find coral. Similar: Coral Sea, Lakes, Deep Sea."
    assert other.text == "Could not find . Similar: Deep Sea, Coral Sea, Lakes."


def test_a_lookup_steps_through_the_sentences_with_a_text():
    said = ["lookup[coral]", "search[Coral Sea]", *["lookup[coral]"] * 4, "lookup[four]", "lookup[coral]"]
    texts = [seen.text for seen in play(QUESTIONS[0], *said)][1:]
    assert texts[0] == "No more results."  # nothing has been read
    assert texts[2:6] == [
        "(Result 1 / 3) One coral.",
        "(Result 2 / 3) Two coral fish.",
        "(Result 3 / 3) Six, a CORAL reef.",
        "No more results.",
    ]
    assert texts[6:] == ["(Result 1 / 1) Four.", "(Result 1 / 3) One coral."]  # another text begins again


def test_a_search_that_finds_nothing_keeps_the_paragraph():
    texts = [seen.text for seen in play(QUESTIONS[0], "search[Coral Sea]", "search[x]", "lookup[six]")]
    assert texts[-1] == "(Result 1 / 1) Six, a CORAL reef."


@pytest.mark.parametrize(
    "said", ["", "think[hm]", "search Coral Sea", "search[", "Action: finish[x]", "\x00[☃]", "x" * 999]
)
def test_what_is_no_action_is_told_and_the_world_goes_on(said):
    *_, told, end = play(QUESTIONS[0], said, "finish[reef]")
    assert told.text.startswith("Invalid action: ")
    assert told.text.endswith("Valid are search[title], lookup[text] and finish[answer].")
    assert len(told.text) < 300
    assert "\x00" not in told.text
    assert not told.done
    assert end.done
    assert end.success is True


@pytest.mark.parametrize(
    ("answer", "f1", "success"),
    [
        ("finish[A coral reef!]", None, True),
        ("Finish [the reef]", None, True),
        ("finish[reef of coral]", None, False),
        ("finish[reef of coral]", 0.5, True),  # two of three words, two of two: 0.8
        ("finish[reef of coral]", 0.81, False),
        ("finish[[reef]]", None, True),  # punctuation
        ("finish[]", None, False),
    ],
)
def test_answers_are_right_by_exact_match_or_f1(answer, f1, success):
    end = play(QUESTIONS[0], answer, f1=f1)[-1]
    assert (end.text, end.done, end.success) == ("Answered.", True, success)


def test_an_empty_answer_is_never_right():
    question = Question(id="a", text="Which article?", answers=("The",))
    assert play(question, "finish[]")[-1].success is False
    assert play(question, "finish[the]")[-1].success is True


def test_one_step_shows_all_and_takes_any_text_as_the_answer():
    first, end = play(QUESTIONS[2], " Ann. ", mode="one_step")
    assert first.text == "Ann was here.\nQuestion: Who?"
    assert first.legal_actions is None
    assert end.success is True
    assert play(QUESTIONS[2], "finish[Ann]", mode="one_step")[-1].success is True
    assert play(QUESTIONS[2], "search[Ann]", mode="one_step")[-1].success is False
    reef, _ = play(QUESTIONS[0], "reef", mode="one_step")
    assert reef.text.split("\n")[:1] == ["Deep Sea: It is dark."]


def test_of_a_draft_the_second_answer_counts():
    first, again, end = play(QUESTIONS[2], "Bob", "Ann", mode="draft")
    assert first.text == "Ann was here.\nQuestion: Who?"
    assert (again.done, again.text) == (False, "Once more; this answer counts.\nQuestion: Who?")
    assert end.success is True
    assert play(QUESTIONS[2], "Ann", "Bob", mode="draft")[-1].success is False


def test_choices_are_shown_and_legal_where_one_step_decides():
    first, end = play(QUESTIONS[1], "finish[red]", mode="one_step")
    assert first.text == "Question: Which is a colour?\nChoices: red, house"
    assert first.legal_actions == ("finish[red]", "finish[house]")
    assert end.success is True
    assert play(QUESTIONS[1])[0].legal_actions is None


@pytest.mark.parametrize(
    ("mode", "names"), [("react", ["search", "lookup", "finish"]), ("one_step", ["finish"]), ("draft", ["finish"])]
)
def test_the_actions_are_told_as_tools(mode, names):
    tools = play(QUESTIONS[0], mode=mode)[0].payload["tools"]
    assert [tool["function"]["name"] for tool in tools] == names
    for tool in tools:
        parameters = tool["function"]["parameters"]
        assert tool["type"] == "function"
        assert [one["type"] for one in parameters["properties"].values()] == ["string"]
        assert parameters["required"] == list(parameters["properties"])


def test_a_task_gives_nothing_away_and_belongs_to_its_question():
    task = task_of(QUESTIONS[0])
    assert (task.stratum, set(task.payload)) == ("bridge", {"sha256"})
    assert task_of(QUESTIONS[2]).cluster == "Ann"

    def reset(task: Task) -> None:
        asyncio.run(QuestionEnvironment(QUESTIONS, mode="react").reset(task, draw=DRAW))

    with pytest.raises(InvalidInput, match="no question of the id"):
        reset(Task(id="elsewhere"))
    with pytest.raises(InvalidInput, match="not the one"):
        reset(Task(id="reef", payload=task_of(QUESTIONS[1]).payload))


@pytest.mark.parametrize("options", [{"mode": "two_step"}, {"mode": "react", "f1": 0}, {"mode": "react", "f1": True}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(InvalidInput, match="must be"):
        QuestionEnvironment(QUESTIONS, **options)


def test_misuse_is_said():
    world = QuestionEnvironment(QUESTIONS, mode="one_step")
    with pytest.raises(InvalidInput, match="reset"):
        world.snapshot()
    with pytest.raises(InvalidInput, match="has been answered"):
        play(QUESTIONS[1], "red", "red", mode="one_step")
    asyncio.run(world.reset(task_of(QUESTIONS[0]), draw=DRAW))
    with pytest.raises(InvalidInput, match="snapshot"):
        world.restore("no place")
