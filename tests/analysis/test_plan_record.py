import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forbear.analysis.plan_record import ArmRecord, PlanRecord
from forbear.errors import InvalidInput, PlanChanged
from forbear.records.codec import config_digest
from forbear.stats.looks.looks import Looks
from forbear.stats.rule import DecisionRule

POLICY = ArmRecord(digest="p", kind="policy", critic="word:1", intervention="rollback", policy={"threshold": 0.6})
ARMS = {
    "alone": ArmRecord(digest="b", kind="baseline"),
    "rollback": POLICY,
    "placebo": ArmRecord(digest="c", kind="policy", is_control=True, critic="word:1", policy={}),
    "rerun": ArmRecord(digest="r", kind="rerun", is_control=True),
}


def record(*, tasks=("t1", "t2"), arms=ARMS, rule=DecisionRule(), looks=None, clusters=None, **baseline):
    names = list(tasks)
    parts = {
        "tasks": [[name, f"digest of {name}", clusters and clusters.get(name)] for name in names],
        "seeds": [42],
        "max_steps": 15,
        "design": "coupled",
        "agent": {"name": "coin"},
        "environment": {"name": "corridor"},
        "call_deadline_s": 600.0,
        **baseline,
    }
    looks = looks or Looks(tasks=(len(names),))
    return PlanRecord.make(baseline=parts, arms=arms, critics={"word:1": {"name": "word"}}, rule=rule, looks=looks)


def sealed(plan):
    """With the digest that it would have been written with."""
    return {**plan, "digest": config_digest({key: value for key, value in plan.items() if key != "digest"})}


def test_a_record_reads_back_from_json():
    made = record(clusters={"t1": "house"}, looks=Looks(tasks=(1, 2), futility=0.0))
    text = json.dumps(made.to_dict())
    assert PlanRecord.of(json.loads(text), where="j") == made
    assert made.digest == record(clusters={"t1": "house"}, looks=Looks(tasks=(1, 2), futility=0.0)).digest


def test_it_says_who_is_who():
    made = record(clusters={"t1": "house"}, seeds=[1, 2])
    assert [task.id for task in made.tasks] == ["t1", "t2"]
    assert (made.seeds, made.design, made.baseline_arm) == ((1, 2), "coupled", "alone")
    assert (made.treated, made.candidates, made.controls) == (
        ["rollback", "placebo", "rerun"],
        ["rollback"],
        ["placebo", "rerun"],
    )
    assert made.clusters == ["house", "t2"]
    assert record().clusters is None


def test_everything_that_it_says_is_in_its_digest():
    made = [
        record(),
        record(tasks=("t2", "t1")),
        record(tasks=("t1",)),
        record(seeds=[43]),
        record(max_steps=16),
        record(max_steps=None),
        record(design="independent"),
        record(agent={"name": "other"}),
        record(environment={"name": "other"}),
        record(call_deadline_s=None),
        record(clusters={"t1": "house"}),
        record(rule=DecisionRule(alpha=0.01)),
        record(rule=DecisionRule(missing="worst")),
        record(looks=Looks(tasks=(1, 2))),
        record(looks=Looks(tasks=(2,), watch=False)),
        record(arms={name: arm for name, arm in ARMS.items() if name != "rerun"}),
        record(arms={**ARMS, "rollback": ARMS["placebo"]}),
    ]
    assert len({one.digest for one in made}) == len(made)


def test_another_plan_is_refused_with_what_differs():
    changed = record(
        max_steps=20, tasks=("t1", "t3"), arms={**ARMS, "rollback": ARMS["rerun"], "more": POLICY}, seeds=[42, 43]
    )
    with pytest.raises(PlanChanged) as raised:
        changed.require(record(), where="runs/mine")
    said = str(raised.value)
    assert said.startswith("runs/mine was started under another plan: ")
    assert "baseline.tasks[1][0] was 't2', is 't3'" in said
    assert "baseline.seeds was [42], is [42, 43]" in said
    assert "baseline.max_steps was 15, is 20" in said
    assert " more. Go back to that plan" in said  # at most four are named
    assert "\n" not in said
    fewer = {name: arm for name, arm in ARMS.items() if name != "rerun"}
    with pytest.raises(PlanChanged, match=r"plan: arms\.rerun is gone; arms\.more is new\. Go back"):
        record(arms={**fewer, "more": POLICY}).require(record(), where="j")
    with pytest.raises(PlanChanged, match=r"looks.tasks was \[2\], is \[1, 2\]"):
        record(looks=Looks(tasks=(1, 2))).require(record(), where="j")
    many = [f"t{i}" for i in range(1, 12)]
    with pytest.raises(PlanChanged, match=r"baseline.tasks was a list of 11, is a list of 10"):
        record(tasks=many[:10]).require(record(tasks=many), where="j")
    record().require(record(), where="j")


def test_a_pilot_that_has_grown_is_refused_with_the_reason():
    with pytest.raises(PlanChanged, match=r"j: it has grown: 2 tasks were planned, now there are 3\..* 9\.8 % of the"):
        record(tasks=("t1", "t2", "t3")).require(record(), where="j")


def test_a_plan_of_another_version_is_refused_with_what_to_do():
    plan = record().to_dict()
    with pytest.raises(InvalidInput, match=r"^j: the pilot was started with an earlier version .*start it afresh"):
        PlanRecord.of({**plan, "format": "forbear-plan-1"}, where="j")
    for kind in ("forbear-plan-9", None, 3):
        with pytest.raises(InvalidInput, match=r"^j: this version .* does not know the format"):
            PlanRecord.of({**plan, "format": kind}, where="j")
    with pytest.raises(InvalidInput, match="does not know the format"):
        PlanRecord.of({}, where="j")


def test_a_plan_from_before_missing_runs_counted_leaves_them_out_and_can_go_on():
    plan = record(rule=DecisionRule(missing="exclude")).to_dict()
    old = sealed({**plan, "rule": {key: value for key, value in plan["rule"].items() if key != "missing"}})
    read = PlanRecord.of(old, where="j")
    assert read.rule == DecisionRule(missing="exclude")
    record(rule=DecisionRule(missing="exclude")).require(read, where="j")
    with pytest.raises(PlanChanged, match=r"rule\.missing was 'exclude', is 'excess'"):
        record().require(read, where="j")


def test_a_plan_that_was_changed_afterwards_is_refused():
    plan = record().to_dict()
    with pytest.raises(InvalidInput, match=r"^j: plan\.json is not what the pilot was started with"):
        PlanRecord.of({**plan, "rule": {**plan["rule"], "alpha": 0.3}}, where="j")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"looks": {"tasks": [1]}}, "the last look of a plan is at all of its tasks"),
        ({"looks": {"tasks": []}}, "looks are 1 to 50 numbers"),
        ({"rule": {"alpha": 2}}, "alpha"),
        ({"arms": {}}, "exactly one baseline"),
        ({"arms": {"a": {"digest": "", "kind": "baseline"}, "b": {"digest": "", "kind": "baseline"}}}, "one baseline"),
        ({"arms": {"a": {"digest": "", "kind": "king"}}}, "`$.arms[...].kind`"),
        ({"baseline": {}}, "missing required field"),
        ({"baseline": None}, "`$.baseline`"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_by_its_place(changes, said):
    with pytest.raises(InvalidInput, match="does not say what a verdict needs") as raised:
        PlanRecord.of(sealed({**record().to_dict(), **changes}), where="j")
    assert said in str(raised.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@settings(max_examples=25)
@given(json_values)
def test_any_json_in_place_of_any_key_loads_or_is_refused(value):
    plan = record().to_dict()
    for key in plan:
        with contextlib.suppress(InvalidInput):
            PlanRecord.of(sealed({**plan, key: value}), where="j")
    for key in plan["baseline"]:
        with contextlib.suppress(InvalidInput):
            PlanRecord.of(sealed({**plan, "baseline": {**plan["baseline"], key: value}}), where="j")
