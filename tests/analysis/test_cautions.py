"""At which counts each caution is said: built episode by episode, so that every threshold is met exactly."""

import re

import pytest
from msgspec.structs import replace

from analysis.test_plan_record import ARMS, record
from forbear.analysis.cautions import cautions_of
from forbear.analysis.result import analyse
from forbear.records.journal import JournalContent
from forbear.records.model import (
    PROCEED,
    REFUSED,
    Action,
    Episode,
    EpisodeUsage,
    Proposal,
    RoleUsage,
    Step,
    Task,
    Termination,
    Usage,
)
from forbear.stats.looks.looks import Looks

N = 20


def proposal(decision, attempt=0, *, fault=False, action="open"):
    said = {"p_fail": {"word:1": None}, "faults": {"word:1": "error"}} if fault else {"p_fail": {"word:1": 0.5}}
    return Proposal(attempt=attempt, action=Action(action), decision=decision, **said)


def episode(task, arm, *, touched=(), faults=0, answered=True, success=True, actions=None):
    """An episode of five steps, with one intervention before each proposal at the indices in `touched`."""
    steps = []
    for index in range(5):
        times = touched.count(index)
        made = [proposal("rollback", attempt, action=(actions or str)(attempt)) for attempt in range(times)]
        made.append(proposal(PROCEED, times, fault=index < faults, action=(actions or str)(times)))
        steps.append(Step(index=index, observation="o", proposals=tuple(made), executed=made[-1].action))
    critic = RoleUsage(paid=Usage(calls=sum(len(step.proposals) for step in steps)))
    return Episode(
        task=Task(id=task),
        arm=arm,
        seed=42,
        steps=tuple(steps),
        termination=Termination.FINISHED if answered else Termination.STEP_LIMIT,
        success=success and answered,
        usage=EpisodeUsage(critic=critic),
    )


def cautions(arm="rollback", *, baseline=None, treated=None, plan=None):
    """What is said of an arm whose n-th episode is made with `treated(n)`, the baseline's with `baseline(n)`."""
    names = [f"t{n}" for n in range(N)]
    plan = plan or record(tasks=names, looks=Looks(tasks=(N,), watch=False, futility=0.0))
    content = JournalContent(plan=plan.to_dict())
    for n, name in enumerate(names):
        content.add(episode(name, "alone", **(baseline(n) if baseline else {})), where="here")
        for other in plan.treated:
            content.add(episode(name, other, **(treated(n) if treated else {})), where="here")
    return {remark.code: remark for remark in cautions_of(analyse(plan, content), arm)}


TOUCHED = {"touched": (3,)}
NAMES = [f"t{n}" for n in range(N)]
WITH_BLIND = {**ARMS, "blind": replace(ARMS["rollback"], digest="b", is_control=True, blind_of="rollback")}


def numbers_of(remark):
    """Every number of a sentence; none of the constants that belong to the wording."""
    return [int(number) for number in re.findall(r"\d+", remark.text)]


def test_an_arm_in_which_nothing_is_odd_has_no_caution():
    plan = record(tasks=NAMES, arms=WITH_BLIND, looks=Looks(tasks=(N,), watch=False, futility=0.0))
    assert cautions(treated=lambda n: TOUCHED, plan=plan) == {}


def test_without_a_blind_arm_nobody_can_say_whether_the_critic_matters():
    assert set(cautions(treated=lambda n: TOUCHED)) == {"no_blind"}
    assert "no_blind" not in cautions("placebo", treated=lambda n: TOUCHED)
    assert "no_blind" not in cautions("rerun", treated=lambda n: TOUCHED)


def test_a_blind_arm_says_what_it_is_there_for():
    plan = record(tasks=NAMES, arms=WITH_BLIND, looks=Looks(tasks=(N,), watch=False, futility=0.0))
    found = cautions("blind", treated=lambda n: TOUCHED, plan=plan)
    assert set(found) == {"control"}
    assert found["control"].values == {"blind_of": "rollback"}
    assert "never deployed" in found["control"].text


def test_an_arm_that_never_intervened_is_the_baseline():
    assert set(cautions()) == {"never_intervened"}
    assert "never_intervened" not in cautions(treated=lambda n: TOUCHED if n == 0 else {})


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [(0, 2, False), (0, 3, True), (3, 5, False), (3, 6, True), (16, 18, False), (16, 19, True), (5, 0, False)],
)
def test_a_tenth_more_episodes_without_an_answer_is_too_many(before, after, said):
    """In per cent of each arm's own episodes: 2 of 20 more are a tenth, and not yet said; a third one is."""
    found = cautions(
        baseline=lambda n: {"answered": n >= before}, treated=lambda n: {**TOUCHED, "answered": n >= after}
    )
    assert ("no_answer" in found) is said
    if said:
        values = {"no_answers": after, "episodes": N, "baseline_no_answers": before, "baseline_episodes": N}
        assert found["no_answer"].values == values
        assert numbers_of(found["no_answer"]) == list(values.values())


@pytest.mark.parametrize(("cascading", "said"), [(9, False), (10, True), (20, True)])
def test_three_interventions_in_half_of_the_episodes_are_a_cascade(cascading, said):
    found = cautions(treated=lambda n: {"touched": (2, 3, 4) if n < cascading else (2, 3)})
    assert ("cascades" in found) is said
    if said:
        assert found["cascades"].values == {"cascades": cascading, "episodes": N}


@pytest.mark.parametrize(("noops", "said"), [(9, False), (10, True), (20, True)])
def test_half_of_the_retries_in_vain_are_too_many(noops, said):
    same = {"touched": (2,), "actions": lambda attempt: "same"}
    found = cautions(treated=lambda n: same if n < noops else {"touched": (2,)})
    assert ("rollback_noops" in found) is said
    if said:
        assert found["rollback_noops"].values == {"rollback_noops": noops, "interventions": N}


def test_refusals_are_counted():
    def refused(task, arm):
        made = episode(task, arm, **TOUCHED)
        step = Step(index=5, observation="o", proposals=(proposal(REFUSED),), executed=Action("open"))
        return replace(made, steps=(*made.steps, step))

    plan = record(tasks=["t0", "t1"], looks=Looks(tasks=(2,), watch=False, futility=0.0))
    content = JournalContent(plan=plan.to_dict())
    for task in ("t0", "t1"):
        content.add(episode(task, "alone"), where="here")
        for arm in plan.treated:
            content.add(refused(task, arm), where="here")
    caution, blind = cautions_of(analyse(plan, content), "rollback")
    assert blind.code == "no_blind"
    assert (caution.code, caution.values) == ("refused_rollbacks", {"refusals": 2})


def test_what_a_critic_owed_is_said_from_the_first_score_on():
    found = cautions(treated=lambda n: {**TOUCHED, "faults": int(n == 7)})
    assert found["critic_faults"].values == {"owed": 1, "asked": 6 * N}
    assert found["critic_faults"].text == f"The critic owed 1 of {6 * N} scores; there the agent went on."
    never = cautions(treated=lambda n: {"faults": 5})["critic_faults"]
    assert never.values == {"owed": 5 * N, "asked": 5 * N}
    assert never.text.startswith(f"The critic never answered ({5 * N} scores owed)")


def test_a_policy_that_does_not_fail_open_says_what_its_faults_did():
    closed = {**ARMS, "rollback": replace(ARMS["rollback"], policy={"fail_open": False})}
    plan = record(tasks=[f"t{n}" for n in range(N)], arms=closed, looks=Looks(tasks=(N,), watch=False, futility=0.0))
    found = cautions(treated=lambda n: {**TOUCHED, "faults": int(n == 7)}, plan=plan)
    assert "each counted as a failure foreseen" in found["critic_faults"].text


def test_controls_say_what_they_are():
    assert "a fresh draw and nothing else" in cautions("placebo", treated=lambda n: TOUCHED)["control"].text
    assert "the agent alone at another seed" in cautions("rerun")["control"].text


def test_arms_run_apart_say_so():
    names = [f"t{n}" for n in range(N)]
    plan = record(tasks=names, design="independent", looks=Looks(tasks=(N,), watch=False, futility=0.0))
    assert "independent_design" in cautions("rollback", treated=lambda n: TOUCHED, plan=plan)
    assert "independent_design" not in cautions("rerun", plan=plan)
