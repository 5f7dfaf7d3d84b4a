import json
from html.parser import HTMLParser

import pytest

from critics.test_evaluation import scored
from forbear.critics.evaluation import evaluate_on_runs
from forbear.critics.scored import ScoredRuns
from forbear.report.charts import reliability_chart, roc_chart
from forbear.report.critic_html import critic_html
from forbear.report.critic_text import critic_text
from forbear.report.critic_view import critic_json, critic_view

HOSTILE = "<script>alert(1)</script>\x1b[31m"


def view_of(some, **options):
    return critic_view(
        evaluate_on_runs(some, critic=HOSTILE, resamples=40, **options), left_out={"without an outcome": 3}
    )


@pytest.fixture(scope="module")
def view():
    return view_of(scored(abstain=0.1))


def test_every_measure_is_an_estimate_under_its_own_key(view):
    found = json.loads(json.dumps(critic_json(view), allow_nan=False))
    estimate = {"value", "low", "high", "confidence"}
    for name in ("auroc", "first_step_auroc", "auprc", "f1", "recall_at_precision", "ece", "brier", "log_loss"):
        assert set(found[name]) == estimate
    assert set(found["step_buckets"]["0-4"]["auroc"]) == estimate
    for control in found["controls"].values():
        assert set(control["auroc"]) == set(control["difference"]["auroc"]) == estimate
    assert set(found["groups"]["model big"]["brier"]) == estimate
    assert set(found["triggers"][0]["successes"]) == estimate
    assert found["left_out"] == {"without an outcome": 3}


def test_the_terminal_says_what_it_does_not_say(view):
    text = critic_text(view)
    assert "None of this says whether acting on the critic helps" in text
    assert "forbear pilot run" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 80
    assert "left out: 3 without an outcome" in text


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag not in ("meta", "line", "rect", "circle", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_holds_no_script(view):
    page = critic_html(view)
    tags = Tags()
    tags.feed(page.replace("/>", ">"))
    assert tags.open == []
    assert "svg" in tags.seen
    assert "script" not in tags.seen
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert "None of this says" in page
    assert "http" not in page.replace("http-equiv", "")


def test_curves_stand_in_their_square(view):
    for chart in (roc_chart(view["roc"]), reliability_chart(view["reliability"])):
        for corner in chart["line"].split():
            across, down = map(float, corner.split(","))
            assert chart["left"] <= across <= chart["right"]
            assert chart["top"] <= down <= chart["bottom"]
    roc = roc_chart(view["roc"])["line"].split()
    assert (roc[0], roc[-1]) == ("46.0,312.0", "346.0,12.0")
    assert len(view["roc"]) <= 200


def test_what_is_undefined_has_its_reason():
    view = view_of(scored(), threshold=1.0)
    assert view["measures"]["precision"] is None
    assert "no score is above the threshold 1" in view["undefined"]["precision"]
    assert "no score is above the" in critic_text(view)
    assert "no score is above the threshold 1" in critic_html(view)


def test_grades_have_no_reliability():
    some = scored()
    graded = ScoredRuns(
        runs=some.runs, scores=tuple(tuple(round(16 * p) for p in said) for said in some.scores), ordinal=True
    )
    view = view_of(graded, threshold=8, thresholds=[])
    assert reliability_chart(view["reliability"]) is None
    assert "ece" not in critic_json(view)
    assert "Reliability" not in critic_html(view)


def test_cautions_are_said(view):
    found = evaluate_on_runs(scored(effect=4.0, shift=2.0), critic="it", resamples=40)
    said = critic_view(found, left_out={}, overlap=2, seen_is_known=False, learned_failure_rate=0.1)["cautions"]
    assert [
        next(
            words
            for words in (
                "learned from 2 tasks",
                "Nobody says",
                "Scores and base rate do not fit",
                "10.0 % of the runs",
            )
            if words in one
        )
        for one in said
    ] == ["learned from 2 tasks", "Nobody says", "Scores and base rate do not fit", "10.0 % of the runs"]
    blind = critic_view(evaluate_on_runs(scored(effect=0.0), critic="it", resamples=40), left_out={})
    assert any("not shown to be better than never" in one for one in blind["cautions"])
