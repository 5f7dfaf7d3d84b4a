import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.missing import planned_outcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.context.churn import churn_of, net_of_churn
from forbear.stats.context.transport import gain_at, post_stratified_gain
from forbear.stats.decision import decide, decide_arms
from forbear.stats.looks.anytime import AnytimeOutcomes, anytime_outcomes
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.sequential import SequentialOutcomes
from forbear.stats.verdict import AtAnyTime, AtLook, Remark, Verdict
from forbear.testing.strategies import decision_rules, paired_outcomes
from remarks import unsaid

FIRST = Path(__file__).parents[1] / "data" / "verdicts" / "v1.json"


def table(recovered, disrupted, n):
    return PairedOutcomes(both_fail=0, recovered=recovered, disrupted=disrupted, both_succeed=n - recovered - disrupted)


def again(verdict):
    return Verdict.from_dict(json.loads(json.dumps(verdict.to_dict(), allow_nan=False)))


@pytest.mark.slow
@given(paired_outcomes(min_pairs=1, max_pairs=60), decision_rules(), st.integers(1, 3))
def test_every_number_of_a_sentence_stands_beside_it(pairs, rule, arms):
    for verdict in decide_arms({f"arm{i}": pairs for i in range(arms)}, rule).values():
        for remark in (*verdict.reasons, *verdict.cautions):
            assert unsaid(remark) == [], remark


def _missing():
    planned = planned_outcomes(baseline=[[True], [False], [None]] * 9, treated=[[True], [True], [False]] * 9)
    return decide(planned.observed, missing=planned.missing)


def _early():
    observed, _ = anytime_outcomes(baseline=[[False]] * 30 + [[True]] * 30, treated=[[True]] * 30 + [[False]] * 30)
    return decide(observed)


def _several_seeds():
    runs = [[True, False], [False, False], [True, True]] * 3
    return decide(
        ClusteredOutcomes.from_outcomes(baseline=runs, treated=[[True, True], [True, False], [True, True]] * 3)
    )


VERDICTS = {
    "missing_outcomes": _missing,
    "order": _early,
    "few_discordant": _several_seeds,
    "next_look": lambda: decide(SequentialOutcomes.at_look(table(9, 4, 50), Looks(tasks=(50, 100)), look=1)),
}


@pytest.mark.parametrize("code", VERDICTS)
def test_what_a_remark_says_survives_json(code):
    verdict = VERDICTS[code]()
    remarks = {remark.code.removesuffix("_decide"): remark for remark in (*verdict.reasons, *verdict.cautions)}
    assert remarks[code].values
    assert [unsaid(remark) for remark in remarks.values()] == [[]] * len(remarks)
    assert again(verdict) == verdict


def test_what_stands_beside_a_verdict_has_its_numbers_too():
    pairs = PairedOutcomes(both_fail=20, recovered=6, disrupted=15, both_succeed=27)
    mixed = post_stratified_gain(
        {"easy": pairs, "odd": table(1, 1, 3)}, mix={"easy": 0.4, "odd": 0.2, "new": 0.4}, confidence=0.9
    )
    churn = churn_of([[True, False], [True, True], [False, True], [False, False]])
    remarks = [
        gain_at(pairs, failure_rate=0.3).remark(),
        *mixed.remarks(margin=0.0),
        *net_of_churn(pairs, churn).cautions,
    ]
    assert [remark.code for remark in remarks] == [
        *("gain_at", "deployment_mix", "uncovered_strata", "thin_strata", "churn", "prefer_selection"),
    ]
    for remark in remarks:
        assert remark.values
        assert unsaid(remark) == []
    assert again(decide(pairs, cautions=remarks)).cautions[:6] == tuple(remarks)


def test_a_number_without_its_value_is_found():
    assert unsaid(Remark(code="x", text="Only 3 of 'a 5' differ (p = 0.041).", values={"p_value": 0.0411})) == ["3"]


def test_a_remark_needs_no_values():
    remark = Remark(code="pilot_old", text="The pilot is old.")
    assert remark.to_dict() == {"code": "pilot_old", "text": "The pilot is old.", "values": {}}
    assert again(decide(table(5, 0, 60), cautions=[remark])).cautions[0] == remark


def test_where_a_pilot_stands_is_read_back_as_what_it_was():
    looked = decide(SequentialOutcomes.at_look(table(12, 2, 50), Looks(tasks=(50, 100)), look=1))
    stream = decide(AnytimeOutcomes(now=table(12, 2, 50)))
    assert isinstance(again(looked).look, AtLook)
    assert again(looked).look == looked.look
    assert again(stream).look == stream.look == AtAnyTime(tasks=50, ordered=False, stopped="decided")
    assert stream.to_dict()["look"] == {"anytime": True, "tasks": 50, "ordered": False, "stopped": "decided"}


def test_verdicts_of_the_first_format_are_read():
    data = json.loads(FIRST.read_text(encoding="utf-8"))
    verdict = Verdict.from_dict(data)
    assert verdict.unpaired == data["excluded"] == {"baseline": 1, "treated": 3}
    assert [remark.code for remark in verdict.cautions] == [remark["code"] for remark in data["cautions"]]
    assert isinstance(verdict.look, AtLook)
    assert verdict.rule.missing == "exclude"
    assert again(verdict) == verdict


@pytest.mark.parametrize("change", [{"format": "forbear-verdict-9"}, {"unpaired": None}, {"look": {"number": 1}}])
def test_unusable_verdicts_are_refused(change):
    with pytest.raises(InvalidInput):
        Verdict.from_dict({**decide(table(5, 0, 60)).to_dict(), **change})
