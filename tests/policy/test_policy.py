from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forbear.errors import InvalidInput
from forbear.interventions import Append, Placebo, Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import Decision, InterventionPolicy, PolicyState, critic_name
from forbear.testing import ScriptedCritic, WordCritic


def make(**options):
    return InterventionPolicy(critic=WordCritic({}), intervention=Rollback(), **options)


def run(policy, proposals):
    """Decisions on (step index, p_fail) in order."""
    state, decisions = PolicyState(), []
    for index, p_fail in proposals:
        decision, state = policy.decide(state, index, p_fail)
        decisions.append(decision)
    return decisions


ACT, LOW, HOPELESS, EARLY, SPENT, COOLING, ABSTAINED = (
    Decision.ACT,
    Decision.LOW_RISK,
    Decision.HOPELESS,
    Decision.TOO_EARLY,
    Decision.BUDGET_SPENT,
    Decision.COOLING_DOWN,
    Decision.ABSTAINED,
)


@pytest.mark.parametrize(
    ("options", "proposals", "expected"),
    [
        ({}, [(0, 0.6), (0, 0.6000001), (1, None), (2, 0.0)], [LOW, ACT, ABSTAINED, LOW]),
        ({"threshold": 1.0}, [(0, 1.0)], [LOW]),
        ({"threshold": 0.0}, [(0, 0.0), (0, 1e-9)], [LOW, ACT]),
        ({"up_to": 0.8}, [(0, 0.6), (0, 0.7), (0, 0.8), (0, 0.8000001), (0, 1.0)], [LOW, ACT, ACT, HOPELESS, HOPELESS]),
        ({"min_step": 2}, [(0, 0.9), (1, 0.9), (2, 0.9)], [EARLY, EARLY, ACT]),
        ({"budget": 2}, [(0, 0.9), (0, 0.9), (0, 0.9), (5, 0.9)], [ACT, ACT, SPENT, SPENT]),
        ({"budget": 0}, [(0, 0.9)], [SPENT]),
        # Two executed steps have to lie between: those of indices 3 and 4.
        ({"cooldown": 2}, [(3, 0.9), (3, 0.9), (4, 0.9), (5, 0.9), (5, 0.9)], [ACT, COOLING, COOLING, ACT, COOLING]),
        # A rollback of depth 3 at index 5 goes back to 3; from there on two steps have to be executed.
        ({"cooldown": 2}, [(5, 0.9), (3, 0.9), (4, 0.9), (5, 0.9)], [ACT, COOLING, COOLING, ACT]),
        ({}, [(0, float("nan"))], [LOW]),
    ],
)
def test_decisions(options, proposals, expected):
    assert run(make(**options), proposals) == expected


@given(
    st.floats(0, 1),
    st.floats(0, 1, exclude_min=True),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 4),
    st.lists(st.tuples(st.integers(0, 8), st.none() | st.floats(0, 1)), max_size=20),
)
def test_it_never_acts_beyond_its_options(threshold, width, min_step, budget, cooldown, proposals):
    up_to = threshold + (1 - threshold) * width
    up_to = up_to if threshold < up_to <= 1 else 1.0
    policy = make(threshold=threshold, up_to=up_to, min_step=min_step, budget=budget, cooldown=cooldown)
    decisions = run(policy, proposals)
    acted = [proposal for proposal, decision in zip(proposals, decisions, strict=True) if decision is ACT]
    assert len(acted) <= budget
    assert all(p_fail is not None and threshold < p_fail <= up_to and index >= min_step for index, p_fail in acted)
    assert decisions == run(policy, proposals)  # pure


@given(st.lists(st.tuples(st.integers(0, 8), st.floats(0, 1)), max_size=20), st.floats(0, 1))
def test_until_it_first_acts_a_stricter_policy_lets_go_whatever_a_laxer_one_does(proposals, threshold):
    lax, strict = run(make(threshold=threshold / 2), proposals), run(make(threshold=threshold), proposals)
    if ACT in strict:
        assert ACT in lax[: strict.index(ACT) + 1]


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 1.01},
        {"threshold": float("nan")},
        {"threshold": "0.5"},
        {"up_to": 1.01},
        {"up_to": 0.6},
        {"up_to": float("nan")},
        {"up_to": "0.9"},
        {"up_to": True},
        {"min_step": -1},
        {"budget": 2.0},
        {"budget": True},
        {"cooldown": -1},
        {"critic_deadline_s": 0},
        {"critic_deadline_s": float("inf")},
        {"critic_deadline_s": float("nan")},
        {"critic_deadline_s": True},
        {"fail_open": 1},
    ],
)
def test_options_out_of_range_are_refused_by_name(options):
    with pytest.raises(InvalidInput, match=next(iter(options))):
        make(**options)


def test_what_behaves_differently_has_another_digest():
    base = make()
    others = [
        replace(base, threshold=0.7),
        replace(base, up_to=0.9),
        replace(base, min_step=1),
        replace(base, budget=4),
        replace(base, cooldown=1),
        replace(base, critic_deadline_s=2.5),
        replace(base, fail_open=False),
        replace(base, critic=WordCritic({"jump": 0.9})),
        replace(base, intervention=Append()),
        replace(base, intervention=Placebo()),
        replace(base, intervention=Rollback(costs_step=True)),
        replace(base, intervention=Rollback(depth=2)),
        replace(base, intervention=Rollback(exclude=True)),
        replace(base, intervention=Rollback(message="no")),
    ]
    assert len({policy.digest() for policy in [base, *others]}) == len(others) + 1
    assert make(threshold=1).digest() == make(threshold=1.0).digest()
    assert make(up_to=1).digest() == base.digest()


def test_a_policy_of_what_is_not_json_is_refused_at_once():
    with pytest.raises(InvalidInput, match="JSON"):
        InterventionPolicy(critic=ScriptedCritic([float("nan")]), intervention=Rollback())


def test_critics_are_named_by_what_they_do():
    assert critic_name(WordCritic({})).startswith("word:")
    assert critic_name(WordCritic({})) == critic_name(WordCritic({}))
    assert critic_name(WordCritic({})) != critic_name(WordCritic({"jump": 0.9}))


def test_arms():
    assert Arm.baseline().is_baseline
    assert not Arm.rerun().is_baseline
    assert not Arm("rollback", make()).is_baseline
    assert Arm("a", make()).config() == Arm("b", make()).config()
    assert len({str(arm.config()) for arm in (Arm.baseline(), Arm.rerun(), Arm("a", make()))}) == 3
    for bad in ("", " ", "a\nb", "\x1b[31m"):
        with pytest.raises(InvalidInput, match="name"):
            Arm(bad)
    with pytest.raises(InvalidInput, match="rerun"):
        Arm("a", make(), is_rerun=True)
