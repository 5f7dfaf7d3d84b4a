import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.worlds.questions.matching import exact_match, f1, normalised

# By hand, following hotpot_evaluate_v1.py: lower case, ASCII punctuation away, articles as words away, white space.


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("The  Beatles!", "beatles"),
        ("An apple a day", "apple day"),
        ("theatre", "theatre"),
        ("U.S.A.", "usa"),  # punctuation first: no article "a" is left over
        ("A.", ""),
        ("the-end", "theend"),
        ("rock 'n' roll", "rock n roll"),
        ("São Paulo", "são paulo"),
        ("“quoted”", "“quoted”"),  # typographic marks are not in string.punctuation
        ("1,000", "1000"),
        ("a\tb\n c", "b c"),
        ("", ""),
    ],
)
def test_normal_forms(answer, expected):
    assert normalised(answer) == expected


@pytest.mark.parametrize(
    ("answer", "accepted", "same", "score"),
    [
        ("The Eiffel Tower", ["Eiffel Tower"], True, 1.0),
        ("Eiffel Tower in Paris", ["Eiffel Tower"], False, 2 / 3),  # precision 2/4, recall 2/2
        ("Tower", ["Eiffel Tower"], False, 2 / 3),  # precision 1, recall 1/2
        ("Tower Bridge", ["Eiffel Tower"], False, 0.5),  # 1/2 and 1/2
        ("Paris Paris", ["Paris"], False, 2 / 3),  # a word counts as often as both have it
        ("London", ["Paris"], False, 0.0),
        ("yes", ["Yes."], True, 1.0),
        ("yes it is", ["yes"], False, 0.0),  # yes and no are right as a whole or not at all
        ("no", ["no way"], False, 0.0),
        ("noanswer", ["no answer"], False, 0.0),
        ("the", ["a"], True, 0.0),  # both empty: equal, and no word in common
        ("Bombay", ["Mumbai", "Bombay"], True, 1.0),
        ("New Delhi", ["Delhi", "New Delhi, India"], False, 0.8),  # the best: 2/2 and 2/3, against 1/2 and 1/1
    ],
)
def test_matches_by_hand(answer, accepted, same, score):
    assert exact_match(answer, accepted) is same
    assert f1(answer, accepted) == pytest.approx(score)


@given(st.text(), st.text())
def test_f1_is_symmetric_and_one_for_equal_words(left, right):
    assert f1(left, [right]) == f1(right, [left])
    assert 0 <= f1(left, [right]) <= 1
    assert exact_match(left, [left])
    assert f1(left, [left]) == (1.0 if normalised(left) else 0.0)


def test_nothing_accepted_is_nothing_right():
    assert not exact_match("x", [])
    assert f1("x", []) == 0.0
