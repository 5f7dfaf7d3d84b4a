"""A ladder of settings: which arms it makes."""

import pytest

from forbear.errors import InvalidInput
from forbear.interventions import Placebo
from forbear.policy.arm import Arm
from forbear.policy.ladder import ladder_arms
from forbear.runner.plan import freeze
from runner.pilots import POLICY, plan, with_


def test_every_combination_is_an_arm_that_differs_in_nothing_else():
    arms = ladder_arms(POLICY, {"threshold": [0.3, 0.6], "budget": [1, 20]}, name="rollback")
    assert [arm.name for arm in arms] == [
        "rollback threshold 0.3 budget 1",
        "rollback threshold 0.3 budget 20",
        "rollback threshold 0.6 budget 1",
        "rollback threshold 0.6 budget 20",
    ]
    assert [(arm.policy.threshold, arm.policy.budget) for arm in arms] == [(0.3, 1), (0.3, 20), (0.6, 1), (0.6, 20)]
    assert {arm.ladder for arm in arms} == {"rollback"}
    assert {arm.policy.intervention for arm in arms} == {POLICY.intervention}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "got nothing to vary"),
        ({"intervention": ["a", "b"]}, "got 'intervention'"),
        ({"threshold": [0.5]}, "2 to 64 combinations, got 1"),
        ({"threshold": [0.5, 0.5]}, "list of different values"),
        ({"threshold": "ab"}, "list of different values"),
        ({"threshold": [0.1, 1.5]}, "threshold must be a number in"),
        ({"budget": list(range(9)), "cooldown": list(range(9))}, "got 81"),
    ],
)
def test_what_is_no_ladder_is_refused(settings, message):
    with pytest.raises(InvalidInput, match=message):
        ladder_arms(POLICY, settings)


RUNGS = ladder_arms(POLICY, {"threshold": [0.3, 0.6]})


@pytest.mark.parametrize(
    ("arms", "options", "message"),
    [
        (RUNGS, {"looks": [8]}, "at least two looks, got 8"),
        ([*RUNGS, Arm("other", POLICY)], {}, "and 'other'"),
        ([*RUNGS, *ladder_arms(POLICY, {"budget": [1, 2]}, name="second")], {}, "'ladder', 'second'"),
        (RUNGS[:1], {}, "at least two arms"),
    ],
)
def test_a_plan_has_one_ladder_and_looks_to_choose_and_to_confirm(arms, options, message):
    with pytest.raises(InvalidInput, match=message):
        freeze(plan([Arm.baseline(), *arms], **{"looks": [4, 8], **options}))


def test_the_plan_says_which_arms_are_its_rungs():
    record = freeze(plan([Arm.baseline(), *RUNGS, Arm("placebo", with_(Placebo()))], looks=[4, 6, 8])).record
    assert record.ladder == [arm.name for arm in RUNGS] == record.candidates
    assert record.confirming.tasks == (2, 4)
    assert freeze(plan()).record.confirming == freeze(plan()).looks
