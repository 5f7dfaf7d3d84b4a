import json

import pytest

from forbear.report.view import decision_json, decision_view
from forbear.stats.decision import decide, decide_arms
from forbear.stats.paired import PairedOutcomes
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import Verdict


def pairs(a, c, b, d):
    return PairedOutcomes(both_fail=a, recovered=c, disrupted=b, both_succeed=d)


def view_of(outcomes, **rule):
    return decision_view({"critic": decide(outcomes, DecisionRule(**rule))})["arms"][0]


def test_a_view_is_json_with_fractions_and_a_version():
    view = decision_view({"critic": decide(pairs(35, 7, 11, 47))}, baseline="plain", ignored=["note"])
    assert json.loads(json.dumps(view, allow_nan=False)) == view
    assert (view["format"], view["baseline"], view["ignored_columns"]) == ("forbear-view-1", "plain", ["note"])
    (arm,) = view["arms"]
    assert arm["gain"]["value"] == -0.04
    assert [(r["symbol"], r["k"], r["n"]) for r in arm["rates"]] == [
        ("p", 42, 100),
        ("r", 7, 42),
        ("d", 11, 58),
        ("p*", None, None),
    ]
    for rate in arm["rates"][:3]:
        assert rate["estimate"]["value"] == pytest.approx(rate["k"] / rate["n"], abs=1e-15)


def test_what_is_undefined_is_none():
    assert [rate["estimate"] is None for rate in view_of(pairs(0, 0, 0, 9))["rates"]] == [False, True, False, True]


@pytest.mark.parametrize(
    ("outcomes", "rule", "headline"),
    [
        (pairs(27, 17, 0, 20), {}, "INTERVENE: the intervention helps; switch it on"),
        (pairs(27, 0, 17, 20), {}, "FORBEAR: the intervention harms; leave it off."),
        (pairs(35, 7, 11, 47), {}, "UNDECIDED: this pilot cannot tell; leave the intervention off."),
        (pairs(400, 0, 0, 400), {}, "FORBEAR: no gain that would pay; leave the intervention off."),
        (pairs(400, 20, 1, 400), {"worthwhile": 0.1}, "FORBEAR: the intervention helps, but too little to pay"),
    ],
)
def test_every_verdict_has_its_sentence_and_something_to_do(outcomes, rule, headline):
    arm = view_of(outcomes, **rule)
    assert arm["headline"].startswith(headline)
    assert arm["reasons"]
    assert arm["next"]


def test_json_is_the_verdict_or_all_verdicts():
    one = decide(pairs(35, 7, 11, 47))
    assert json.loads(decision_json({"critic": one})) == one.to_dict()
    assert Verdict.from_dict(json.loads(decision_json({"critic": one}))) == one
    several = decide_arms({"a": pairs(35, 7, 11, 47), "b\x1b": pairs(27, 17, 0, 20)})
    assert json.loads(decision_json(several)) == {
        "format": "forbear-verdicts-1",
        "verdicts": {name: verdict.to_dict() for name, verdict in several.items()},
    }
    assert "\x1b" not in decision_json(several)
