import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.errors import InvalidInput
from forbear.templates import check_template, fill_template

HOLES = ("action", "why")


def filled(template, **fills):
    check_template(template, holes=HOLES, whose="it")
    return fill_template(template, fills)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{action}!", "jump!"),
        ("{action}{action}", "jumpjump"),
        ("{{action}}", "{action}"),
        ("{{{action}}}", "{jump}"),
        ("}}{{", "}{"),
        ("{why}", "{action} {{x}}"),
    ],
)
def test_holes_are_filled_and_what_fills_them_is_quoted(template, said):
    assert filled(template, action="jump", why="{action} {{x}}") == said


@given(st.text())
def test_any_text_can_be_quoted(text):
    template = text.replace("{", "{{").replace("}", "}}")
    assert filled(template) == text
    assert filled("{why}", why=text) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "it must be a text, got None"),
        ("{acton}", r"it: nothing fills {acton}; known are {action}, {why}; write {{ and }} .*did you mean {action}\?"),
        ("{}", r"nothing fills {}"),
        ("{ action }", r"nothing fills { action }.*did you mean {action}"),
        ("{action!r}", "nothing fills"),
        ("{zzz\x1b[2J}", "nothing fills {zzz\ufffd"),
        ("{", "has a '{' without its other half"),
        ("a } b", "has a '}' without its other half"),
        ("{a{action}", "has a '{' without its other half"),
    ],
)
def test_what_cannot_be_filled_is_refused(template, message):
    with pytest.raises(InvalidInput, match=message):
        check_template(template, holes=HOLES, whose="it")


@pytest.mark.parametrize("text", ["{" * 100_001, "}" * 100_001, "{a" * 50_000, "{" + "a" * 100_000])
def test_hostile_templates_are_read_at_once(text):
    started = time.process_time()
    with pytest.raises(InvalidInput) as refused:
        check_template(text, holes=HOLES, whose="it")
    assert len(str(refused.value)) < 400
    assert time.process_time() - started < 0.5
