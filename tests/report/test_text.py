import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from forbear.outcomes.paired import PairedOutcomes
from forbear.report.text import decision_text
from forbear.report.view import decision_view
from forbear.stats.decision import decide, decide_arms
from forbear.stats.verdict import Remark


def pairs(a, c, b, d):
    return PairedOutcomes(both_fail=a, recovered=c, disrupted=b, both_succeed=d)


STUDY = pairs(35, 7, 11, 47)


def test_the_report_says_everything_that_was_computed():
    text = decision_text(decision_view({"critic": decide(STUDY)}))
    for part in (
        "UNDECIDED: this pilot cannot tell",
        "100 pairs",
        "7 recovered",
        "11 disrupted",
        "42.0 %    34.2 to 50.2 %  42 of 100 pairs",
        "16.7 %     9.3 to 28.1 %  7 of 42 failures",
        "19.0 %    12.0 to 28.7 %  11 of 58 successes",
        "53.2 %    36.1 to 70.5 %",
        "-4.0 pp  -11.4 to +3.1 pp",
        "90 % interval",
        "about 314 tasks",
        "run a new pilot",
        "exact unconditional, mid-p ordering",
    ):
        assert part in text


def test_undefined_is_said():
    text = decision_text(decision_view({"critic": decide(pairs(0, 0, 0, 9))}))
    assert {line[0:2].strip() for line in text.splitlines() if "undefined" in line} == {"r", "p*"}
    assert "nan" not in text.lower()
    assert "None" not in text


def test_one_is_singular():
    text = decision_text(decision_view({"critic": decide(pairs(0, 0, 0, 1))}))
    assert "1 pair  " in text
    assert "0 of 1 pair\n" in text
    assert "0 of 1 success\n" in text


def test_several_arms_start_with_an_overview():
    verdicts = decide_arms({"good": pairs(27, 17, 0, 20), "bad": pairs(27, 0, 17, 20)})
    lines = decision_text(decision_view(verdicts)).splitlines()
    assert lines[0].split() == ["treated", "arm", "verdict", "gain", "interval", "p", "(Holm)"]
    assert lines[1].split()[:2] == ["good", "INTERVENE"]
    assert lines[2].split()[:2] == ["bad", "FORBEAR"]
    assert [line.split()[0] for line in lines if line.endswith("----")] == ["good", "bad"]


def test_plain_text_has_no_terminal_codes_and_colour_has():
    view = decision_view({"critic": decide(STUDY)})
    assert "\x1b" not in decision_text(view)
    assert "\x1b[1;33mUNDECIDED" in decision_text(view, color=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["[red]x[/red]", "\x1b[31mx\x1b[0m", "[link=http://x]y[/link]", ":warning:", "a\nb\rc"]
)
def test_hostile_names_and_remarks_are_inert(name):
    verdict = decide(STUDY, cautions=[Remark(code="x", text=f"caution {name}")])
    text = decision_text(decision_view({name: verdict}, baseline=name, ignored=[name]))
    visible = "".join(c if c.isprintable() else "\ufffd" for c in name)
    assert f"caution {visible}" in text
    assert "\x1b" not in text
    assert "\r" not in text


counts = st.integers(min_value=0, max_value=400) | st.just(200_000_000)


@pytest.mark.slow
@settings(max_examples=25)
@given(counts, counts, counts, counts, st.text(max_size=200), st.text("界", max_size=200), st.integers(40, 200))
def test_no_line_is_wider_than_the_terminal(a, c, b, d, treated, baseline, width):
    if not a + c + b + d:
        return
    view = decision_view({treated: decide(pairs(a, c, b, d))}, baseline=baseline, ignored=[treated] * 9)
    lines = decision_text(view, width=width).split("\n")
    assert lines[-1] == ""
    for line in lines:
        assert cell_len(line) <= width
        assert line.isprintable()
