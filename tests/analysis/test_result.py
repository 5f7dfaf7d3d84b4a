"""What is counted, and the digest of what was found."""

import pytest
from msgspec.structs import replace

from analysis.test_plan_record import record
from forbear.analysis.result import analyse, count_arm, findings_digest
from forbear.errors import InvalidInput
from forbear.records.codec import ArmEnd, Missing
from forbear.records.journal import JournalContent
from forbear.records.model import (
    REFUSED,
    Action,
    Episode,
    EpisodeUsage,
    Origin,
    Proposal,
    RoleUsage,
    Step,
    Task,
    Termination,
    Usage,
)
from forbear.stats.looks.looks import Looks
from runner.pilots import plan, run

PLAN = record(looks=Looks(tasks=(1, 2)))


def episode(task="t1", arm="alone", *, success=True, **more):
    step = Step(index=0, observation="door", executed=Action("open"))
    return Episode(
        task=Task(id=task),
        arm=arm,
        seed=42,
        steps=(step,),
        success=success,
        **{"termination": Termination.FINISHED, **more},
    )


SHARED = replace(episode(arm="rollback"), origin=Origin(arm="alone", step=None))
BROKEN = episode("t2", success=None, termination=Termination.PROVIDER_ERROR, cause="503")
LOST = Missing(task_id="t2", seed=42, arm="alone", reason="503")


def digest(*records, of=PLAN):
    content = JournalContent(plan=of.to_dict())
    for one in records:
        content.add(one, where="here")
    return findings_digest(of, content)


def test_the_digest_is_of_what_was_found_not_of_how():
    found = digest(episode(), SHARED, BROKEN, LOST)
    dear = RoleUsage(paid=Usage(calls=1, seconds=2.5), reused=Usage(seconds=1.0))
    cheap = RoleUsage(paid=Usage(calls=1))

    def used(role, seconds):
        return replace(episode(), usage=EpisodeUsage(agent=role, critic=role, feedback=role, seconds=seconds))

    assert digest(SHARED, LOST, BROKEN, BROKEN, episode()) == found  # order, broken attempts
    assert digest(replace(LOST, reason="timeout"), episode(), SHARED) == found
    assert digest(used(dear, 9.0)) == digest(used(cheap, 0.0))  # seconds, of every role
    assert digest(replace(episode(), cause="a")) == digest(episode())


def test_everything_else_changes_the_digest():
    step = episode().steps[0]

    def proposing(**more):
        return (replace(step, proposals=(Proposal(attempt=0, action=Action("open"), **more),)),)

    found = [
        digest(),
        digest(episode()),
        digest(episode(success=False)),
        digest(episode("t2")),
        digest(episode(arm="rollback")),
        digest(SHARED),
        digest(LOST),
        digest(episode(), SHARED),
        digest(replace(episode(), seed=43), of=record(seeds=[43], looks=PLAN.looks)),
        digest(replace(episode(), final_observation="out")),
        digest(replace(episode(), final_payload=1)),
        digest(replace(episode(), termination=Termination.STEP_LIMIT, success=False)),
        digest(replace(episode(), steps=proposing())),
        digest(replace(episode(), steps=proposing(p_fail={"c": 0.5}))),
        digest(replace(episode(), steps=proposing(p_fail={"c": 0.5}, why={"c": "because"}))),
        digest(replace(episode(), steps=proposing(critic_usage={"c": Usage(cost=1.0)}))),
        digest(replace(episode(), steps=(replace(step, payload={"a": 1}),))),
        digest(replace(episode(), usage=EpisodeUsage(agent=RoleUsage(paid=Usage(calls=1))))),
        digest(replace(episode(), usage=EpisodeUsage(agent=RoleUsage(reused=Usage(calls=1))))),
        digest(replace(episode(), usage=EpisodeUsage(critic=RoleUsage(paid=Usage(calls=1))))),
        digest(replace(episode(), usage=EpisodeUsage(agent=RoleUsage(paid=Usage(cost=1.0))))),
    ]
    assert len(set(found)) == len(found)


def test_what_lies_beyond_the_end_of_an_arm_is_no_part_of_the_digest():
    end = ArmEnd(arm="rollback", tasks=1, reason="watch")
    others = [ArmEnd(arm=arm, tasks=1, reason="with the others") for arm in ("placebo", "rerun")]
    found = digest(episode(), SHARED, end)
    # It was under way: the arm's is no evidence. The baseline's still is, while another arm is compared with it.
    assert digest(episode(), SHARED, end, episode("t2", arm="rollback")) == found
    assert digest(episode(), SHARED, end, episode("t2")) != found
    assert digest(episode(), SHARED, end, *others, episode("t2"), episode("t2", arm="rerun")) == found


def test_an_arms_end_is_the_last_of_its_evidence_and_the_rest_is_listed():
    ends = [ArmEnd(arm=arm, tasks=1, reason="watch") for arm in PLAN.treated]
    rows = [episode(task, arm) for task in ("t1", "t2") for arm in PLAN.arms]
    content = JournalContent(plan=PLAN.to_dict())
    for one in (*rows, *ends):
        content.add(one, where="here")
    result = analyse(PLAN, content)
    assert {key[0] for key in result.episodes} == {"t1"}
    assert {key for key in result.unused} == {("t2", 42, arm) for arm in PLAN.arms}
    assert (result.tasks, {arm.episodes for arm in result.arms.values()}) == (1, {1})
    with pytest.raises(InvalidInput, match="there is no arm 'x'; there are alone, rollback"):
        result.arm("x")


def test_arms_that_go_on_are_counted_at_the_last_look_that_was_taken():
    """Whatever was run since; before the first look nothing is evidence yet."""
    of = record(tasks=("t1", "t2", "t3"), looks=Looks(tasks=(2, 3), watch=False))
    content = JournalContent(plan=of.to_dict())
    counts = []
    for task in ("t1", "t2", "t3"):
        for arm in of.arms:
            content.add(episode(task, arm, success=arm == "alone"), where="here")
            result = analyse(of, content)
            counts.append(len(result.episodes))
            assert not result.unused
    assert counts == [0] * 7 + [8] * 4 + [12]


def test_an_arm_is_counted():
    taken = Usage(calls=3, output_tokens=5)

    def proposal(decision, attempt=0, **more):
        return Proposal(attempt=attempt, action=Action("open"), decision=decision, **more)

    faulty = proposal(REFUSED, p_fail={"mine": None, "other": None}, faults={"mine": "error", "other": "timeout"})
    retried = [proposal("rollback"), proposal("rollback", 1), proposal("rollback", 2), proposal("proceed", 3)]
    steps = (
        Step(index=0, observation="a", proposals=(faulty,), executed=Action("open")),
        Step(index=1, observation="b", proposals=tuple(retried), executed=Action("open")),
        Step(index=1, observation="b"),
    )
    usage = EpisodeUsage(agent=RoleUsage(paid=taken), critic=RoleUsage(reused=taken), seconds=1.0)
    one = replace(episode(), steps=steps, usage=usage)
    two = replace(
        episode("t2", success=False, termination=Termination.STEP_LIMIT),
        origin=Origin(arm="alone", step=None),
        usage=usage,
    )
    arm = count_arm("mine", [one, two], missing=3, critics=["mine"])
    assert (arm.episodes, arm.successes, arm.missing, arm.steps) == (2, 1, 3, 3)
    assert (arm.critic_faults, arm.refusals) == (1, 1)
    assert (arm.interventions, arm.cascades, arm.rollback_noops) == (3, 1, 3)
    assert (arm.no_answers, arm.shared_episodes, arm.first_interventions) == (1, 1, {1: 1})
    assert (arm.agent_calls, arm.new_agent_calls, arm.critic_calls, arm.new_critic_calls) == (6, 6, 6, 0)
    assert arm.usage.agent.paid == Usage(calls=6, output_tokens=10)
    assert arm.usage.seconds == 2.0


@pytest.mark.slow
def test_an_arm_misses_what_its_evidence_should_have(tmp_path):
    result = run(plan(n=2), tmp_path / "j")
    assert all(arm.missing == 0 for arm in result.arms.values())
    content = JournalContent(plan=result.plan.to_dict())
    for key, one in result.episodes.items():
        lost = Missing(task_id=key[0], seed=key[1], arm=key[2], reason="gone")
        content.add(lost if key[:1] == ("t00",) and key[2] in ("baseline", "deep") else one, where="here")
    again = analyse(result.plan, content)
    assert {name: arm.missing for name, arm in again.arms.items() if arm.missing} == {"baseline": 1, "deep": 1}
    assert {key[2] for key in again.missing} == {"baseline", "deep"}
