import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear import wording as w


@given(st.floats(-1, 1))
def test_points_are_signed_unless_they_round_to_nothing(gain):
    text = w.points(gain)
    assert float(text.removesuffix(" pp")) == pytest.approx(100 * gain, abs=0.05 + 1e-9)
    assert text[0] in "+-"
    assert text != "-0.0 pp"


@given(st.floats(0, 1), st.integers(0, 3))
def test_per_cent_has_the_digits_that_are_asked_for(fraction, digits):
    text = w.percent(fraction, digits).removesuffix(" %")
    assert float(text) == pytest.approx(100 * fraction, abs=0.5 * 10**-digits + 1e-9)
    assert len(text.partition(".")[2]) == digits


@given(st.floats(0, 1))
def test_a_p_value_is_never_shown_as_zero(value):
    text = w.pvalue(value)
    assert text == "< 0.001" if value < 0.001 else float(text) == pytest.approx(value, abs=0.0005 + 1e-9)
    assert w.pvalue(value, name="p") == (f"p = {text}" if value >= 0.001 else f"p {text}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (w.points_interval(-0.114, 0.031), "-11.4 to +3.1 pp"),
        (w.points_confidence(-0.114, 0.031, confidence=0.9), "90% CI -11.4 pp to +3.1 pp"),
        (w.percent_interval(0.342, 0.502), "34.2 to 50.2 %"),
        (w.share(0.975), "97.5 %"),
        (w.gain_or_loss(-0.114), "a loss of 11.4 pp"),
        (w.number(math.pi), "3.142"),
        (w.counted(1, "success"), "1 success"),
        (w.counted(1234, "success"), "1,234 successes"),
        (w.count(None), "-"),
        (w.pvalue(None, name="p"), "p undefined"),
        *((word(None), "undefined") for word in (w.points, w.percent, w.number, w.pvalue)),
    ],
)
def test_words_for_numbers(text, expected):
    assert text == expected
