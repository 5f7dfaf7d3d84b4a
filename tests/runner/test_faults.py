import pytest

from forbear.errors import TooManyAgentErrors, TooManyCriticFaults
from forbear.records.model import Action, Episode, EpisodeUsage, Proposal, Step, Task, Termination
from forbear.runner.faults import LEAST_RUNS, LEAST_SCORES, AgentFaults, CriticFaults


def ended(termination, *, arm="a", cause=None, task="t"):
    return Episode(
        task=Task(id=task),
        arm=arm,
        seed=1,
        steps=(),
        termination=termination,
        success=False,
        final_observation=None,
        final_payload=None,
        usage=EpisodeUsage(),
        cause=cause,
    )


FINE = ended(Termination.FINISHED)
BROKEN = ended(Termination.AGENT_ERROR, cause="ValueError: x\x1b[2J", task="<b>")


def after(limit, episodes):
    """How many episodes were counted when it was too many."""
    faults = AgentFaults(limit)
    for number, episode in enumerate(episodes, start=1):
        try:
            faults.add(episode)
        except TooManyAgentErrors:
            return number
    return None


def test_a_share_is_judged_once_there_are_runs_enough():
    assert after(0.2, [BROKEN] * 30) == LEAST_RUNS
    assert after(0.2, [FINE] * 8 + [BROKEN] * 2) is None
    assert after(0.2, [FINE] * 8 + [BROKEN] * 3) == 11
    assert after(0.0, [FINE] * 20 + [BROKEN]) == 21


def test_a_number_is_judged_at_once_and_none_is_no_limit():
    assert after(2, [BROKEN] * 9) == 3
    assert after(None, [BROKEN] * 99) is None


def test_late_and_wrong_answers_are_faults_and_failures_are_none():
    late = ended(Termination.AGENT_TIMEOUT)
    assert after(1, [late, BROKEN]) == 2
    assert after(0.0, [ended(Termination.STEP_LIMIT), ended(Termination.STOPPED)] * 20) is None


def test_arms_are_judged_by_themselves():
    other = ended(Termination.AGENT_ERROR, arm="b")
    assert after(1, [BROKEN, other]) is None
    assert after(1, [BROKEN, other, other]) == 3


def test_the_message_says_what_happened_most_and_where():
    faults = AgentFaults(1)
    faults.add(BROKEN)
    with pytest.raises(TooManyAgentErrors) as raised:
        faults.add(BROKEN)
    text = str(raised.value)
    assert text.startswith(
        "in 2 of 2 runs of arm 'a' the agent broke, more than 1 (max_agent_errors): 2 times ValueErr"
    )
    assert "task '<b>', seed 1" in text
    assert text.isprintable()


def steps(*faults, critic="c", why="ValueError: x\x1b"):
    proposals = [
        Proposal(
            attempt=0,
            action=Action("x"),
            p_fail={critic: None if fault else 0.5},
            faults={critic: fault} if fault else {},
            why={critic: why} if fault else {},
        )
        for fault in faults
    ]
    return [Step(index=0, observation="", proposals=tuple(proposals))]


def test_scores_that_a_critic_owed_are_counted():
    faults = CriticFaults(0.1)
    faults.add(steps(*[None] * 18, "error", "timeout"))
    with pytest.raises(TooManyCriticFaults) as raised:
        faults.add(steps("invalid"))
    text = str(raised.value)
    assert text.startswith(
        "critic 'c' gave no score in 3 of 21 cases, more than 10 % of them (max_critic_faults): 3 times"
    )
    assert "ValueError: x" in text
    assert text.isprintable()


def test_few_scores_are_not_judged_and_abstentions_are_answers():
    faults = CriticFaults(0.0)
    faults.add(steps(*["error"] * (LEAST_SCORES - 1)))
    with pytest.raises(TooManyCriticFaults):
        faults.add(steps("error"))
    abstains = CriticFaults(0.0)
    abstains.add(
        [Step(index=0, observation="", proposals=(Proposal(attempt=0, action=Action("x"), p_fail={"c": None}),) * 50)]
    )


def test_critics_are_judged_by_themselves_and_none_is_no_limit():
    faults = CriticFaults(0.5)
    faults.add(steps(*[None] * 200, critic="good"))
    with pytest.raises(TooManyCriticFaults, match="critic 'bad'"):
        faults.add(steps(*["error"] * LEAST_SCORES, critic="bad"))
    CriticFaults(None).add(steps(*["error"] * 500))
    CriticFaults(1.0).add(steps(*["error"] * 500))
