"""Whether stepping in early does net harm: recovered and disrupted runs by where they were first touched."""

import itertools
import math

import numpy as np
import pytest
from msgspec.structs import replace

from analysis.test_cautions import NAMES, N, cautions, episode
from analysis.test_plan_record import ARMS, record
from forbear.analysis.early import early_harm, touched
from forbear.analysis.result import analyse
from forbear.outcomes.paired import PairedOutcomes
from forbear.records.journal import JournalContent
from forbear.records.model import Task
from forbear.stats.decision import decide
from forbear.stats.looks.looks import Looks

Z = 1.6448536269514722
"""The standard normal's .95."""


def result_of(runs, *, clusters=None, **options):
    """A pilot whose n-th task was first touched at a step, and failed or succeeded before and after."""
    names = [f"t{n}" for n in range(len(runs))]
    plan = record(tasks=names, looks=Looks(tasks=(len(runs),), watch=False, futility=0.0), clusters=clusters, **options)
    content = JournalContent(plan=plan.to_dict())
    for name, (step, before, after) in zip(names, runs, strict=True):
        task = Task(id=name, cluster=clusters and clusters[name])
        content.add(replace(episode(name, "alone", success=before), task=task), where="here")
        for arm in plan.treated:
            content.add(replace(episode(name, arm, touched=(step,), success=after), task=task), where="here")
    return analyse(plan, content)


def runs_of(step, *, recovered=0, disrupted=0, alike=0):
    return [(step, False, True)] * recovered + [(step, True, False)] * disrupted + [(step, True, True)] * alike


def test_a_larger_min_step_is_advised_exactly_where_early_touches_are_shown_to_harm():
    """By enumeration: where the pairs by themselves are shown to be harmful, and never where McNemar's score is not."""
    for recovered, disrupted in itertools.product(range(5), range(0, 10, 3)):
        runs = runs_of(1, recovered=recovered, disrupted=disrupted, alike=14 - recovered)
        said = early_harm(result_of(runs + runs_of(3, recovered=3)), "rollback")
        pairs = PairedOutcomes(both_fail=0, recovered=recovered, disrupted=disrupted, both_succeed=14 - recovered)
        verdict = decide(pairs)
        assert bool(said) is (verdict.p_value_harm <= 0.05 and verdict.success_gain.high < 0), (recovered, disrupted)
        assert not said or (disrupted - recovered) / math.sqrt(recovered + disrupted) > Z
        if said:
            early, later = said[0].values["early"], said[0].values["later"]
            assert (early["recovered"], early["disrupted"], early["runs"]) == (recovered, disrupted, len(runs))
            assert (later["recovered"], later["disrupted"], later["runs"]) == (3, 0, 3)
            assert early["gain"]["value"] == pytest.approx((recovered - disrupted) / len(runs))
            assert early["gain"]["high"] < 0


@pytest.mark.statistical
def test_without_an_effect_it_is_advised_about_as_rarely_as_alpha_says():
    """By simulation: the outcome after the touch is that of a fresh draw, whenever it comes."""
    rng, said, pilots = np.random.default_rng(1), 0, 400
    for _ in range(pilots):
        before, after = rng.random((2, 30)) < 0.6
        runs = [(n % 2, bool(before[n]), bool(after[n])) for n in range(30)]
        said += bool(early_harm(result_of(runs), "rollback"))
    assert said <= pilots * 0.05 + 3 * math.sqrt(pilots * 0.05 * 0.95)


def test_disruptions_that_recoveries_outweigh_advise_nothing():
    """What the count of early disruptions alone took for a reason: all four began early, and five were recovered."""
    runs = runs_of(0, recovered=5, disrupted=4, alike=11)
    assert early_harm(result_of(runs), "rollback") == []
    assert "early_harm" not in cautions(treated=lambda n: {"touched": (0,)})


def test_it_says_both_numbers():
    runs = runs_of(0, recovered=1, disrupted=9, alike=10) + runs_of(3, recovered=4, disrupted=1, alike=5)
    (said,) = early_harm(result_of(runs), "rollback")
    assert said.code == "early_harm"
    assert said.text.startswith("First touched at step 0 or 1: 1 recovered, 9 disrupted of 20 (-40.0 pp, 90% CI -")
    assert "; later: 4 recovered, 1 disrupted of 10 (+30.0 pp, 90% CI " in said.text
    assert said.text.endswith("Early touches do net harm: try a min_step of 2, in a new pilot.")
    assert said.values["min_step"] == 2
    nobody = early_harm(result_of(runs_of(0, disrupted=9)), "rollback")[0]
    assert "; later: 0 recovered, 0 disrupted of 0. " in nobody.text
    assert nobody.values["later"]["gain"] is None


def test_apart_from_its_baseline_a_run_that_is_touched_early_began_badly():
    runs = runs_of(0, disrupted=9, alike=3)
    assert early_harm(result_of(runs), "rollback")
    assert early_harm(result_of(runs, design="independent"), "rollback") == []


def test_only_an_arm_that_may_be_deployed_is_advised():
    harm = {"treated": lambda n: {"touched": (0,), "success": n > 10}}
    assert "early_harm" in cautions(**harm)
    assert "early_harm" not in cautions("placebo", **harm)
    assert len(NAMES) == N


def test_clusters_are_the_unit_where_verdicts_take_them_so():
    runs = runs_of(0, disrupted=20, alike=4)
    alone = touched(result_of(runs), "rollback", later=False)
    clusters = {f"t{n}": f"c{n // 2}" for n in range(24)}
    found = touched(result_of(runs, clusters=clusters), "rollback", later=False)
    assert (found.runs, found.disrupted, found.gain.value) == (24, 20, pytest.approx(-20 / 24))
    assert found.is_harmful
    assert found.gain.high - found.gain.low > alone.gain.high - alone.gain.low
    few = runs_of(0, disrupted=4) + runs_of(3, alike=20)
    found = touched(result_of(few, clusters=clusters), "rollback", later=False)
    assert (found.disrupted, found.gain) == (4, None)  # two clusters are too few for an interval


def test_arms_share_alpha():
    """Four of four are p = .034 for one arm, which two arms that share .05 do not reach."""
    runs, two = runs_of(0, disrupted=4, alike=10), {**ARMS, "other": replace(ARMS["rollback"], digest="o")}
    (alone,) = early_harm(result_of(runs), "rollback")
    assert alone.values["early"]["gain"]["confidence"] == pytest.approx(0.9)
    assert early_harm(result_of(runs, arms=two), "rollback") == []
    (said,) = early_harm(result_of(runs_of(0, disrupted=9, alike=5), arms=two), "rollback")
    assert said.values["early"]["gain"]["confidence"] == pytest.approx(0.95)
