import json

import pytest

from forbear.outcomes.paired import PairedOutcomes
from forbear.report.view import decision_json, decision_view
from forbear.stats.decision import decide, decide_arms
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.sequential import SequentialOutcomes, sequential_outcomes
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
        "format": "forbear-verdicts-2",
        "verdicts": {name: verdict.to_dict() for name, verdict in several.items()},
    }
    assert "\x1b" not in decision_json(several)


def test_where_a_pilot_with_looks_goes_on():
    outcomes = pairs(30, 20, 8, 42)
    declared = {last: Looks(tasks=(50, 100, *last), watch=False, futility=0) for last in ((), (150, 200))}
    views = {
        last: decision_view({"critic": decide(SequentialOutcomes.at_look(outcomes, looks, look=2))})["arms"][0]
        for last, looks in declared.items()
    }
    assert views[150, 200]["next"] == [
        "The next declared look is at 150 tasks: decide again then, with exactly those, not before."
    ]
    assert views[150, 200]["headline"].startswith("UNDECIDED: this pilot cannot tell yet")
    assert views[150, 200]["design"][0].startswith("Look 2 of 4, at 100 tasks: INTERVENE needs z >= ")
    assert views[()]["headline"].startswith("INTERVENE")
    assert decision_view({"critic": decide(outcomes)})["arms"][0]["design"] == []


@pytest.mark.slow
def test_between_two_looks_and_with_one_look_the_design_is_said():
    runs = {"baseline": [[True]] * 30, "treated": [[False]] * 20 + [[True]] * 10}
    between, _ = sequential_outcomes(**runs, looks=Looks(tasks=(50, 100)))
    view = decision_view({"critic": decide(between)})["arms"][0]
    assert view["design"][0] == "Between two looks, after 30 tasks."
    once = SequentialOutcomes.at_look(pairs(10, 5, 5, 10), Looks(tasks=(30,)), look=1)
    view = decision_view({"critic": decide(once)})["arms"][0]
    assert view["design"] == ["The one look that was declared, at 30 tasks."]
    assert view["next"][0].startswith("This was the last declared look")
