"""A verdict as one line, as Markdown and as JUnit XML: the numbers of the view, and nothing of a name that acts."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.outcomes.paired import PairedOutcomes
from forbear.report.brief import brief_text
from forbear.report.junit import decision_junit
from forbear.report.markdown import decision_markdown, markdown
from forbear.report.view import decision_view
from forbear.stats.decision import decide_arms


def pairs(a, c, b, d):
    return PairedOutcomes(both_fail=a, recovered=c, disrupted=b, both_succeed=d)


SEVERAL = {"rollback": pairs(35, 7, 11, 47), "append": pairs(27, 30, 0, 43), "stop": pairs(27, 0, 30, 43)}


def test_one_line_an_arm():
    lines = brief_text(decision_view(decide_arms(SEVERAL))).splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["UNDECIDED", "rollback"],
        ["INTERVENE", "append"],
        ["FORBEAR", "stop"],
    ]
    assert "-4.0 pp (90% CI -11.4 to +3.1)  p = 1.000  100 tasks" in lines[0]
    assert all(len(line) <= 90 for line in lines)


def test_markdown_has_a_row_an_arm_and_folds_the_rest():
    text = decision_markdown(decision_view(decide_arms(SEVERAL), ignored=["note"]))
    assert text.startswith("### forbear: ✅ 1 INTERVENE, 🛑 1 FORBEAR, ❔ 1 UNDECIDED\n")
    assert "| append | ✅ INTERVENE | +30.0 pp |" in text
    assert text.count("<details>") == text.count("</details>") == 3
    assert "- Columns not used: 'note'." in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.count("|") for line in rows if "INTERVENE" in line or "arm |" in line}) == 1


HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
ATTACKS = [
    "<img src=x>",
    "a|b",
    "](http://x)",
    "@someone",
    "#12",
    "www.x.y",
    "`x`",
    "$x$",
    "1. x",
    "- x",
    "&lt;",
    "\x1b[31m",
    "\n\n# x",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_markdown_of_others_is_text(text):
    made = markdown(text)
    assert "\n" not in made
    bare = re.sub(r"\\.", "", made)
    assert not re.search(r"[<>|`\[\]$&#*_]", bare)
    assert not re.search(r"@\w|://\w|www\.", made)
    assert not re.match(r"(\d+[.)]|[-+=]) ", made)


@given(HOSTILE)
def test_what_is_shown_is_the_text_itself(text):
    """Without the backslashes and the blanks of no width it reads as it was, but for what cannot be printed."""
    made = re.sub(r"\\(.)", r"\1", markdown(text).replace("\u200b", ""))
    kept = "".join(ch if ch.isprintable() else "\ufffd" for ch in text).strip().replace("\u200b", "\ufffd")
    assert made == kept


@given(HOSTILE)
def test_junit_is_well_formed_whatever_an_arm_is_called(name):
    view = decision_view(decide_arms({name: pairs(35, 7, 11, 47)}))
    root = ElementTree.fromstring(decision_junit(view))
    (case,) = root.iter("testcase")
    assert case.find("failure").get("type") == "UNDECIDED"
    numbers = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert (float(numbers["success_gain"]), numbers["tasks"]) == (-0.04, "100")


def test_junit_fails_what_is_not_to_be_switched_on():
    root = ElementTree.fromstring(decision_junit(decision_view(decide_arms(SEVERAL))))
    assert (root.get("tests"), root.get("failures")) == ("3", "2")
    found = {case.get("name"): case.find("failure") for case in root.iter("testcase")}
    assert found["append"] is None
    assert {name: each.get("type") for name, each in found.items() if each is not None} == {
        "rollback": "UNDECIDED",
        "stop": "FORBEAR",
    }
