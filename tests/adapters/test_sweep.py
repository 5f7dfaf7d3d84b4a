import re

import pytest

from forbear.adapters.pilot_file import read_pilot_file
from forbear.adapters.sweep import MOST_ARMS
from forbear.errors import InvalidInput
from forbear.interventions import Append, Rollback
from forbear.runner.plan import freeze
from pilot_files import TEXT, write_pilot

SWEPT = 'intervention = ["rollback", "append"]\nthreshold = [0.4, 0.65]\nbudget = [1, 3]\nmin_step = 2'


def arms_of(tmp_path, arm, *, name=""):
    text = TEXT.replace('name = "rollback"\nintervention = "rollback"\nthreshold = 0.7', name + arm)
    return read_pilot_file(write_pilot(tmp_path, text=text)).plan.arms[1:]


def test_lists_are_an_arm_for_each_combination_named_by_what_differs(tmp_path):
    arms = [arm for arm in arms_of(tmp_path, SWEPT) if arm.name not in ("append", "placebo")]
    settings = {arm.name: (type(arm.policy.intervention), arm.policy.threshold, arm.policy.budget) for arm in arms}
    assert settings == {
        f"{kind.__name__.lower()} threshold {threshold:g} budget {budget}": (kind, threshold, budget)
        for kind in (Rollback, Append)
        for threshold in (0.4, 0.65)
        for budget in (1, 3)
    }
    assert all(arm.policy.min_step == 2 for arm in arms)


def test_a_name_stands_before_what_differs_and_other_arms_stay_as_they_are(tmp_path):
    names = [arm.name for arm in arms_of(tmp_path, 'intervention = "append"\nbudget = [1, 2]', name='name = "nudge"\n')]
    assert names == ["nudge budget 1", "nudge budget 2", "append", "placebo"]


def test_a_sweep_is_one_family_and_the_same_file_is_the_same_plan(tmp_path):
    text = TEXT.replace("threshold = 0.7", "threshold = [0.6, 0.7, 0.8]")
    path = write_pilot(tmp_path, text=text)
    record = freeze(read_pilot_file(path).plan).record
    assert record.candidates == [*(f"rollback threshold {n}" for n in (0.6, 0.7, 0.8)), "append"]
    assert record.digest == freeze(read_pilot_file(path).plan).record.digest


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ("threshold = []", "arm.threshold: a list of settings needs at least one"),
        ("threshold = [0.6, 0.6]", r"arm.threshold: a setting stands twice in \[0.6, 0.6\]"),
        ('threshold = [0.6, "x"]', "arm.threshold: expected a number, got 'x'"),
        ("threshold = [0.6, 1.6]", r"threshold must be a number in \[0, 1\], got 1.6"),
        (f"budget = {list(range(MOST_ARMS + 1))}", f"more than {MOST_ARMS} arms"),
        ("depth = [1, 2]", "arm.depth: expected a whole number"),
        ('name = ["a"]\nbudget = [1, 2]', "arm.name: expected a text"),
    ],
)
def test_what_makes_no_arms_is_refused_with_its_line(tmp_path, lists, message):
    with pytest.raises(InvalidInput, match=message) as refused:
        arms_of(tmp_path, f'intervention = "rollback"\n{lists}')
    assert re.match(r"pilot.toml, line \d+", str(refused.value))
