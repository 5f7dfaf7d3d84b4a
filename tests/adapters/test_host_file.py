import pytest

from forbear.adapters.host_file import is_host_file, read_host_file
from forbear.adapters.pilot_file import read_pilot_file
from forbear.errors import InvalidInput
from host_files import TEXT, write_host
from pilot_files import write_pilot


def test_a_file_becomes_a_plan(tmp_path):
    described = read_host_file(write_host(tmp_path))
    plan = described.plan
    assert [task.id for task in plan.tasks] == [f"t{n}" for n in range(8)]
    assert plan.host == {"agent": "mine 1.0", "model": {"name": "small"}}
    assert [(arm.name, dict(arm.config), arm.is_control) for arm in plan.treated] == [
        ("critic", {"threshold": 0.6}, False),
        ("placebo", {}, True),
    ]
    assert (tuple(plan.looks.tasks), plan.looks.futility, list(plan.seeds)) == ((4, 8), 0, [7])
    assert (plan.rule.worthwhile, plan.rerun, plan.baseline) == (0.05, True, "baseline")
    assert (described.retries, described.outage_after, described.lease_s) == (2, 20, 600)


def test_other_names_and_no_rerun(tmp_path):
    text = TEXT.replace("[run]", '[run]\nbaseline = "alone"\nrerun = false\norder_seed = 3')
    assert list(read_host_file(write_host(tmp_path, text=text)).plan.record().arms) == ["alone", "critic", "placebo"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('agent = "mine 1.0"', "at = 2026-01-01", "line 1: host: expected only JSON values"),
        ("[host]\n", 'agent = "x"\n[host]\n', "line 1: agent: unknown key 'agent'; known here: arm, host"),
        ('name = "critic"\n', "", "line 9: arm: 'name' is missing; it is a text"),
        ('name = "critic"', 'name = "a\\u001b"', "line 9: arm: an arm's name must be a printable text"),
        ('name = "placebo"', 'name = "critic"', "arm name 'critic' occurs twice"),
        ("is_control = true", "control = true", "line 17: arm.control: unknown key"),
        ("is_control = true", "is_control = 1", "line 17: arm.is_control: expected true or false, got 1"),
        ("is_control = true", "threshold = 0.6", "line 17: arm.threshold: unknown key"),
        ("[arm.config]\nthreshold = 0.6", "config = 7", "line 12: arm.config: expected a table, got 7"),
        ("threshold = 0.6", "threshold = nan", "line 9: arm: the config of arm 'critic': expected only JSON"),
        ("lease_s = 600", "lease_s = 0", "line 23: run.lease_s: expected a number of seconds above 0, got 0"),
        ("lease_s = 600", "lease = 600", "line 23: run.lease: unknown key 'lease'; did you mean 'lease_s'"),
        ("lease_s = 600", "max_steps = 6", "line 23: run.max_steps: unknown key"),
        ("lease_s = 600", "rerun = 1", "line 23: run.rerun: expected true or false"),
        ("lease_s = 600", "outage_after = 0", "line 23: run.outage_after: expected a whole number of at least 1"),
        ("worthwhile = 0.05", "worthwhile = 7", "line 25: rule: worthwhile"),
        ("looks = [4, 8]", "looks = [4, 9]", "the last look is at 9 tasks, the plan has 8"),
        ("seeds = [7]", "seeds = [7.5]", r"seeds must be whole numbers, got \[7.5\]"),
        ('source = "tasks.jsonl"', 'source = "no.jsonl"', "line 7: tasks.source: .*cannot be read"),
    ],
)
def test_every_error_names_its_place(tmp_path, old, new, message):
    assert TEXT.count(old) == 1
    with pytest.raises(InvalidInput, match=message):
        read_host_file(write_host(tmp_path, text=TEXT.replace(old, new)))


def test_no_arm_is_an_error(tmp_path):
    text = TEXT[: TEXT.index("[[arm]]")] + TEXT[TEXT.index("[run]") :]
    with pytest.raises(InvalidInput, match=r"at least one \[\[arm\]\]"):
        read_host_file(write_host(tmp_path, text=text))


def test_each_kind_of_file_names_the_commands_for_it(tmp_path):
    hosted = write_host(tmp_path)
    assert is_host_file(hosted)
    with pytest.raises(InvalidInput, match=r"line 1: host: its host runs this pilot.*pilot ask.*pilot tell"):
        read_pilot_file(hosted)
    own = write_pilot(tmp_path)
    assert not is_host_file(own)
    with pytest.raises(InvalidInput, match=r"has no \[host\].*forbear pilot run"):
        read_host_file(own)
    assert not is_host_file(tmp_path / "missing.toml")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_host_file(tmp_path / "missing.toml")


POLICIES = """\
[host]
agent = "mine 1.0"

[tasks]
source = "tasks.jsonl"

[critic]
use = "repeated-action"

[[arm]]
name = "drop"
intervention = "rollback"
threshold = 0.4

[[arm]]
intervention = "placebo"

[prices]
m = { input = 1.0, output = 2.0 }

[run]
looks = [8]
"""


def test_arms_may_be_policies_that_forbear_applies(tmp_path):
    described = read_host_file(write_host(tmp_path, text=POLICIES))
    assert list(described.policies) == ["drop", "placebo"]
    assert described.policies["drop"].threshold == 0.4
    assert described.prices.models["m"].output == 2.0
    arms = {arm.name: arm for arm in described.plan.treated}
    assert arms["drop"].config == described.policies["drop"].config()
    assert (arms["drop"].is_control, arms["placebo"].is_control) == (False, True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('intervention = "placebo"', 'intervention = "rerun"', r"'rerun' is a rerun, which \[run\] rerun = true makes"),
        ("threshold = 0.4", "threshold = 0.4\nladder = true", "'drop' is in a ladder"),
        ("threshold = 0.4", "threshold = 4", "line 10: arm: threshold must be a number"),
        ('intervention = "placebo"', 'name = "own"', "line 15: arm: 'intervention' is missing"),
        ('use = "repeated-action"', 'use = "chat"', "asks a language model, and this file names none"),
    ],
)
def test_what_such_arms_cannot_be_is_refused(tmp_path, old, new, message):
    assert POLICIES.count(old) == 1
    with pytest.raises(InvalidInput, match=message):
        read_host_file(write_host(tmp_path, text=POLICIES.replace(old, new)))
