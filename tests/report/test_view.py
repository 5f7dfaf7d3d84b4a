import json

import pytest

from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.graded import GradedOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.report.sections import overview
from forbear.report.text import decision_text
from forbear.report.view import arm_view, decision_json, decision_view
from forbear.stats.context.prior import Prior
from forbear.stats.context.transport import gain_at
from forbear.stats.context.value import Costs
from forbear.stats.decision import decide, decide_arms
from forbear.stats.looks.anytime import AnytimeOutcomes
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.sequential import SequentialOutcomes, sequential_outcomes
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import Recommendation, Remark, Verdict
from remarks import unsaid


def pairs(a, c, b, d):
    return PairedOutcomes(both_fail=a, recovered=c, disrupted=b, both_succeed=d)


def view_of(outcomes, **rule):
    return arm_view("critic", decide(outcomes, DecisionRule(**rule)))


def texts(remarks):
    return [remark["text"] for remark in remarks]


def test_a_view_is_json_with_fractions_and_a_version():
    view = decision_view({"critic": decide(pairs(35, 7, 11, 47))}, baseline="plain", ignored=["note"])
    assert json.loads(json.dumps(view, allow_nan=False)) == view
    assert (view["format"], view["baseline"], view["ignored_columns"]) == ("forbear-verdicts-2", "plain", ["note"])
    (arm,) = view["verdicts"].values()
    assert (arm["format"], arm["baseline"], arm["arm"]) == ("forbear-verdict-2", "plain", "critic")
    assert arm["success_gain"]["value"] == -0.04
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("outcomes", "rule", "headline"),
    [
        (pairs(27, 17, 0, 20), {}, "INTERVENE: the intervention helps; switch it on"),
        (pairs(27, 0, 17, 20), {}, "FORBEAR: the intervention harms; leave it off."),
        (pairs(35, 7, 11, 47), {}, "UNDECIDED: this pilot cannot tell; leave the intervention off."),
        (pairs(400, 0, 0, 400), {}, "FORBEAR: no gain that would pay; leave the intervention off."),
        (pairs(400, 20, 1, 400), {"worthwhile": 0.1}, "FORBEAR: the intervention helps, but too little to pay"),
        (
            pairs(120, 4, 5, 121),
            {"margin": -0.05},
            "INTERVENE: it is not worse by 5.0 pp or more; it may be switched on",
        ),
        (pairs(115, 15, 2, 118), {"margin": -0.05}, "INTERVENE: the intervention helps; switch it on"),
        (pairs(115, 4, 14, 117), {"margin": -0.15}, "INTERVENE: it costs success, but not 15.0 pp or more;"),
        (pairs(100, 2, 40, 108), {"margin": -0.05}, "FORBEAR: the intervention harms; leave it off."),
    ],
)
def test_every_verdict_has_its_sentence_and_something_to_do(outcomes, rule, headline):
    arm = view_of(outcomes, **rule)
    assert arm["headline"]["text"].startswith(headline)
    assert arm["reasons"]
    assert arm["next"]


def test_json_is_the_view_and_reads_as_the_verdict():
    one = decide(pairs(35, 7, 11, 47))
    view = decision_view({"critic": one}, ignored=["note"])
    data = json.loads(decision_json(view))
    assert data == {**view["verdicts"]["critic"], "ignored_columns": ["note"], "understood": []}
    assert data.items() >= one.to_dict().items()
    assert Verdict.from_dict(data) == one
    several = decide_arms({"a": pairs(35, 7, 11, 47), "b\x1b": pairs(27, 17, 0, 20)})
    text = decision_json(decision_view(several))
    assert json.loads(text) == decision_view(several)
    assert {name: Verdict.from_dict(arm) for name, arm in json.loads(text)["verdicts"].items()} == several
    assert "\x1b" not in text


LOOKS = Looks(tasks=(50, 100), watch=False, futility=0)


@pytest.mark.parametrize(
    "outcomes",
    [
        pairs(27, 17, 0, 20),
        pairs(27, 0, 17, 20),
        pairs(35, 7, 11, 47),
        AnytimeOutcomes(now=pairs(10, 8, 6, 10)),
        SequentialOutcomes.at_look(pairs(14, 11, 3, 22), LOOKS, look=1),
        SequentialOutcomes.at_look(pairs(30, 16, 12, 42), LOOKS, look=2),
    ],
)
def test_every_number_that_a_section_says_stands_beside_it(outcomes):
    arm = view_of(outcomes)
    remarks = [arm["headline"], *arm["next"], *arm["how"], *arm["reasons"], *arm["cautions"], *arm["value"]["lines"]]
    for remark in remarks:
        assert unsaid(Remark(**remark)) == [], remark
    assert len({remark["code"] for remark in remarks}) == len(remarks)


@pytest.mark.parametrize("several", [False, True])
def test_a_baseline_is_called_by_its_name(several):
    outcomes = pairs(35, 7, 11, 47)
    cautions = {"v2": [gain_at(outcomes, failure_rate=0.3).remark(baseline="v1")]}
    verdicts = decide_arms({"v2": outcomes} | ({"v3": outcomes} if several else {}), cautions=cautions)
    text = decision_text(decision_view(verdicts, baseline="v1"))
    assert "v1 fails" in text
    assert "v1 succeeds" in text
    assert "Where 'v1' fails 30 %" in " ".join(text.split())
    assert "baseline" not in text.replace("treated minus baseline", "")


@pytest.mark.slow
def test_where_a_pilot_with_looks_goes_on():
    outcomes = pairs(30, 20, 8, 42)
    declared = {last: Looks(tasks=(50, 100, *last), watch=False, futility=0) for last in ((), (150, 200))}
    views = {
        last: arm_view("critic", decide(SequentialOutcomes.at_look(outcomes, looks, look=2)))
        for last, looks in declared.items()
    }
    assert texts(views[150, 200]["next"]) == [
        "The next declared look is at 150 tasks: decide again then, with exactly those, not before."
    ]
    assert views[150, 200]["headline"]["text"].startswith("UNDECIDED: this pilot cannot tell yet")
    assert texts(views[150, 200]["how"])[3].startswith("Look 2 of 4, at 100 tasks: INTERVENE needs z >= ")
    assert views[()]["headline"]["text"].startswith("INTERVENE")
    assert [line["code"] for line in view_of(outcomes)["how"]] == ["intervene_test", "forbear_test", "method"]


@pytest.mark.slow
def test_between_two_looks_and_with_one_look_the_design_is_said():
    runs = {"baseline": [[True]] * 30, "treated": [[False]] * 20 + [[True]] * 10}
    between, _ = sequential_outcomes(**runs, looks=Looks(tasks=(50, 100)))
    view = view_of(between)
    assert texts(view["how"])[3] == "Between two looks, after 30 tasks."
    once = SequentialOutcomes.at_look(pairs(10, 5, 5, 10), Looks(tasks=(30,)), look=1)
    view = view_of(once)
    assert texts(view["how"])[3:] == ["The one look that was declared, at 30 tasks."]
    assert texts(view["next"])[0].startswith("This was the last declared look")


# --- The worth of switching on ------------------------------------------------------------------------------


def test_the_worth_stands_beside_the_verdict_and_does_not_change_it():
    verdict = decide(pairs(36, 9, 3, 2))
    plain = arm_view("critic", verdict)
    dear = arm_view("critic", verdict, prior=Prior(recovered=1, disrupted=9, alike=10, source="mine"))
    assert plain["value"]["net_gain"] > dear["value"]["net_gain"]
    assert {k: v for k, v in plain.items() if k != "value"} == {k: v for k, v in dear.items() if k != "value"}
    assert "Prior: mine, as much as 20 tasks." in texts(dear["value"]["lines"])[2]


def test_intervening_costs_the_gain_that_is_worthwhile_unless_stated():
    verdict = decide(pairs(36, 9, 3, 2), DecisionRule(worthwhile=0.04))
    value = arm_view("critic", verdict)["value"]
    assert value["gain"] - value["net_gain"] == pytest.approx(0.04)
    value = arm_view("critic", verdict, costs=Costs())["value"]
    assert value["net_gain"] == value["gain"]
    assert "after costs" not in texts(value["lines"])[0]
    not_worse = decide(pairs(36, 9, 3, 2), DecisionRule(margin=-0.05, worthwhile=-0.05))
    assert arm_view("critic", not_worse)["value"]["cost_of_intervening"] == 0


def test_several_seeds_of_a_task_weigh_as_one_task():
    once = ClusteredOutcomes.from_outcomes(baseline=[[0], [0], [1], [1]] * 10, treated=[[0], [1], [1], [1]] * 10)
    thrice = ClusteredOutcomes.from_outcomes(
        baseline=[[0] * 3, [0] * 3, [1] * 3, [1] * 3] * 10, treated=[[0] * 3, [1] * 3, [1] * 3, [1] * 3] * 10
    )
    assert view_of(thrice)["value"] == view_of(once)["value"]


def test_unpaired_seeds_are_worth_what_their_rates_are():
    # One run against one, unpaired only because the first task was run twice, is nearly the table itself.
    before, after = [[0], [0], [1], [1], [1]] * 20, [[0], [1], [1], [1], [0]] * 20
    paired = view_of(ClusteredOutcomes.from_outcomes(baseline=before, treated=after))["value"]
    unpaired = view_of(ClusteredOutcomes.from_outcomes(baseline=[[0, 0], *before[1:]], treated=after))["value"]
    assert unpaired["gain"] == pytest.approx(paired["gain"], abs=1e-12)
    assert unpaired["new_pilots"] == [
        {"tasks": one["tasks"], "worth": pytest.approx(one["worth"])} for one in paired["new_pilots"]
    ]


def test_why_nothing_is_said_of_the_worth_is_said():
    scores = view_of(GradedOutcomes.from_scores(baseline=[[0.1]] * 20, treated=[[0.6]] * 20))
    verdict = decide(ClusteredOutcomes.from_outcomes(baseline=[[0, 1, 1]] * 20, treated=[[1]] * 20))
    harm = arm_view("critic", verdict, costs=Costs(harm=1.0))
    for view, code in ((scores, "no_worth_of_scores"), (harm, "no_worth_with_harm")):
        assert view["value"] is None
        assert view["no_value"]["code"] == code
        assert "worth is not said" in decision_text(one_arm(view)).replace("\n  ", " ")
    assert arm_view("critic", verdict)["no_value"] is None


def one_arm(view):
    return {
        "format": "forbear-verdicts-2",
        "baseline": "baseline",
        "verdicts": {"critic": view},
        "ignored_columns": [],
        "understood": [],
    }


def test_the_overview_promises_no_more_than_the_arms_do():
    helps, harms = decide(pairs(20, 25, 2, 53)), decide(pairs(20, 2, 25, 53))
    not_worse = decide(pairs(30, 6, 6, 158), DecisionRule(margin=-0.1))
    assert not_worse.recommendation is Recommendation.INTERVENE

    def said(**verdicts):
        return overview.view(arm_view(name, verdict) for name, verdict in verdicts.items())["text"]

    assert said(a=helps) == "Switch on 'a', as piloted."
    assert said(a=helps, b=helps, c=harms) == "Switch on one of 'a', 'b', as piloted. FORBEAR: 'c'."
    assert said(a=not_worse) == "INTERVENE on 'a', as its own sentence says."
    assert said(a=harms) == "Leave it off. FORBEAR: 'a'."
    assert said(a=harms, b=harms) == "Leave all off. FORBEAR: 'a', 'b'."
