import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.errors import ForbearError, InvalidInput, ProviderError
from forbear.wording import listed, shown


def test_the_tree_serves_those_who_catch_standard_exceptions():
    assert issubclass(InvalidInput, ValueError)
    assert (ForbearError.exit_code, ProviderError.exit_code) == (2, 3)


@given(st.text(), st.integers(min_value=1, max_value=80))
def test_shown_text_is_one_bounded_printable_line(text, limit):
    result = shown(text, limit=limit)
    assert len(result) <= limit
    assert result.isprintable()


@pytest.mark.parametrize("hostile", ["\x1b[31mred", "a\nb", "a\x9b1m", "a\u202eb", "a\u2028b", "\ud800", "\x07"])
def test_control_characters_become_visible(hostile):
    assert "\ufffd" in shown(hostile)


def test_a_list_of_names_is_bounded():
    assert listed(["a", "b"]) == "'a', 'b'"
    assert listed(str(i) for i in range(10**9)) == "'0', '1', '2', '3', '4', ..."
    assert len(listed(["x" * 10_000] * 10)) < 250
