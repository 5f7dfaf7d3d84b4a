import gzip
import json

import pytest

from forbear.errors import InvalidInput
from forbear.worlds.questions import reading
from forbear.worlds.questions.question import Paragraph, Question
from forbear.worlds.questions.reading import parse_questions, read_questions

SENTENCES = [["Alba is a hill.", " It is green."], ["Brock is a lake."]]
HOTPOT = {
    "_id": "5a",
    "question": "What is Alba?",
    "answer": "a hill",
    "type": "bridge",
    "level": "easy",
    "supporting_facts": [["Alba", 0]],
    "context": [["Alba", SENTENCES[0]], ["Brock", SENTENCES[1]]],
}
HUGGING_FACE = {
    **{key: value for key, value in HOTPOT.items() if key != "_id"},
    "id": "5a",
    "supporting_facts": {"title": ["Alba"], "sent_id": [0]},
    "context": {"title": ["Alba", "Brock"], "sentences": SENTENCES},
}
EXPECTED = Question(
    id="5a",
    text="What is Alba?",
    answers=("a hill",),
    context=(Paragraph("Alba", ("Alba is a hill.", " It is green.")), Paragraph("Brock", ("Brock is a lake.",))),
    kind="bridge",
)
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Alba",
            "paragraphs": [
                {
                    "context": "Alba is a hill. Is it green? It is!",
                    "qas": [
                        {"id": "1", "question": "What?", "answers": [{"text": "a hill", "answer_start": 8}] * 2},
                        {"id": "2", "question": "Why?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ],
}


def parse(content: object) -> list[Question]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return list(parse_questions(data, name="f.json").values())


def lines(*records: object) -> bytes:
    return "".join(f"{json.dumps(record)}\n" for record in records).encode()


@pytest.mark.parametrize("record", [HOTPOT, HUGGING_FACE])
def test_hotpotqa_in_both_layouts_is_the_same_as_a_list_and_as_lines(record):
    assert parse([record]) == [EXPECTED]
    assert parse(lines(record)) == [EXPECTED]
    assert parse(json.dumps([record], indent=1).encode()) == [EXPECTED]
    assert parse(b"\xef\xbb\xbf" + lines(record).replace(b"\n", b"\r\n")) == [EXPECTED]


def test_squad_is_read_below_its_articles():
    for content in (SQUAD, lines(SQUAD), json.dumps(SQUAD, indent=2).encode()):
        first, second = parse(content)
        assert first.answers == ("a hill",)  # said twice by the annotators
        assert first.context == (Paragraph("Alba", ("Alba is a hill.", "Is it green?", "It is!")),)
        assert first.cluster == "Alba"
        assert second.answers == ("noanswer",)


def test_squad_flat_as_hugging_face_has_it():
    flat = {"id": "1", "title": "T", "context": "One.", "question": "Q?", "answers": {"text": ["a", "b"]}}
    (question,) = parse(lines(flat))
    assert question.answers == ("a", "b")
    assert question.context == (Paragraph("T", ("One.",)),)


def test_lines_of_question_and_answer():
    own = {"id": 7, "question": " Q? ", "answer": "x", "aliases": ["y", "x"], "choices": ["x", "z"], "kind": "k"}
    first, second = parse(lines(own) + b"\n" + lines({"question": "R?", "answer": "r", "context": ["One. Two.", "3"]}))
    assert first == Question(id="7", text="Q?", answers=("x", "y"), choices=("x", "z"), kind="k")
    assert second.id == "q2"
    assert second.context == (Paragraph("", ("One.", "Two.")), Paragraph("", ("3",)))


def test_gzip_is_unpacked_also_in_several_parts(tmp_path):
    path = tmp_path / "q.jsonl.gz"
    path.write_bytes(gzip.compress(lines(HOTPOT)) + gzip.compress(lines({"question": "Q?", "answer": "a"})))
    assert list(read_questions(path)) == ["5a", "q2"]
    assert read_questions(path) is read_questions(path)


BROKEN = [
    (b"", "holds no question"),
    (b"[]", "holds no question"),
    (b"\xff\xfe", r"line 1: not UTF-8"),
    (b'{"question": "Q?", "answer": "a"}\n\xff', "line 2: not UTF-8"),
    (b'{"question": "Q?", "answer": "a"}\n\n{"question"', "line 3: not JSON"),
    (b'{"question": "Q?", "answer"', "line 1: not JSON"),
    (b'[{"question": "Q?",\n"answer" 5}]', "line 2: not JSON"),
    (b"[" * 100_000, "not usable JSON"),
    (b"5", "line 1: expected a JSON object, got 5"),
    (b"[5]", "question 1: expected a JSON object, got 5"),
    ([{"question": "", "answer": "a"}], "question 1: expected text in 'question', got ''"),
    ([{"question": 5, "answer": "a"}], "expected text in 'question', got 5"),
    ([{"question": "Q?"}], "expected a list of texts in 'answer', got None"),
    ([{"question": "Q?", "answer": 5}], "expected a list of texts in 'answer', got 5"),
    ([{"question": "Q?", "answers": []}], "no answer"),
    ([{"question": "Q?", "answer": "a", "aliases": "b"}], "expected a list of texts in 'aliases', got 'b'"),
    ([{"question": "Q?", "answer": "a", "choices": ["a", "a"]}], "a choice stands twice"),
    ([{"question": "Q?", "answer": "a", "choices": [1]}], "expected a list of texts in 'choices'"),
    ([{"question": "Q?", "answer": "a", "kind": 1}], "expected text in 'kind', got 1"),
    ([{"question": "Q?", "answer": "a", "id": [1]}], "expected text in 'id'"),
    ([{"question": "Q?", "answer": "a", "context": 5}], "expected text or paragraphs in 'context', got 5"),
    ([{"question": "Q?", "answer": "a", "context": [["T", "s"]]}], "expected a list of texts in 'context'"),
    ([{"question": "Q?", "answer": "a", "context": [["T"]]}], r"expected \[title, \[sentences\]\]"),
    ([{"question": "Q?", "answer": "a", "context": {"title": ["T"], "sentences": []}}], "as many lists"),
    ([{"question": "Q?", "answer": "a", "context": "x" * 600_000}], "600,002 characters with its paragraphs"),
    ([HOTPOT, HOTPOT], "question 2: the id '5a' stands at question 1 already"),
    ({"version": "1"}, "line 1: expected text in 'question'"),
    (b'{\n"version": 1}', "an object without a list 'data'"),
    ({"data": [5]}, "an article after question 0: expected a JSON object"),
    ({"data": [{"title": "T"}]}, "expected a list in 'paragraphs', got None"),
    ({"data": [{"paragraphs": [{"context": "c"}]}]}, "expected a list in 'qas'"),
]


@pytest.mark.parametrize(("content", "said"), BROKEN, ids=[said for _, said in BROKEN])
def test_what_is_malformed_is_named_by_its_place(content, said):
    with pytest.raises(InvalidInput, match=said) as caught:
        parse(content)
    assert len(str(caught.value)) < 400
    assert str(caught.value).startswith("f.json")


def test_files_that_cannot_be_read_are_said(tmp_path, monkeypatch):
    with pytest.raises(InvalidInput, match=r"cannot read .*No such file"):
        read_questions(tmp_path / "none.jsonl")
    torn = tmp_path / "torn.gz"
    torn.write_bytes(gzip.compress(lines(HOTPOT))[:-9])
    with pytest.raises(InvalidInput, match="ends too early"):
        read_questions(torn)
    torn.write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        read_questions(torn)
    monkeypatch.setattr(reading, "LIMIT", 1000)
    torn.write_bytes(gzip.compress(b" " * 100_000))
    with pytest.raises(InvalidInput, match="larger than"):
        read_questions(torn)


@pytest.mark.slow
def test_real_questions_are_read_and_their_titles_found(shared_data):
    path = shared_data / "hotpotqa" / "train100.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    questions = read_questions(path)
    assert len(questions) == 100
    assert {question.kind for question in questions.values()} == {"bridge", "comparison"}
    assert all(question.context and question.answers[0] for question in questions.values())
