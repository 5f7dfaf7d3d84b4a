import asyncio
import shutil
from dataclasses import replace

import msgspec
import pytest

from forbear.analysis.cautions import cautions_of
from forbear.analysis.evidence import evidence_of
from forbear.contracts.draw import Draw
from forbear.critics.recorded import recorded_outcome
from forbear.errors import InvalidInput
from forbear.interventions.append import Append
from forbear.interventions.rollback import Rollback
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import Action, Trajectory
from runner.pilots import WORD, plan, run


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """The directory of a pilot whose baseline is known, and what it found."""
    directory = tmp_path_factory.mktemp("earlier")
    return directory, run(plan([Arm.baseline(), Arm.rerun()], n=24), directory)


def oracle(directory, intervention, **options):
    critic = recorded_outcome(str(directory))
    policy = InterventionPolicy(critic=critic, intervention=intervention, threshold=0.5, budget=5, **options)
    return Arm("oracle", policy)


@pytest.mark.parametrize("intervention", [Rollback(message="It will fail."), Rollback(), Append()])
def test_it_acts_in_runs_that_fail_and_in_no_other_and_disrupts_none(earlier, tmp_path, intervention):
    directory, known = earlier
    found = run(plan([Arm.baseline(), oracle(directory, intervention)], n=24), tmp_path)
    fails = [key for key, episode in known.episodes.items() if key[2] == "baseline" and not episode.success]
    assert 0 < len(fails) < 24
    for (task, seed, arm), episode in found.episodes.items():
        if arm == "oracle":
            assert (episode.interventions > 0) == ((task, seed, "baseline") in fails)
    verdict = evidence_of(found).verdicts["oracle"]
    assert verdict.disrupted == 0
    assert verdict.failure_rate.value == pytest.approx(len(fails) / 24)


def score(critic, trajectory, proposed, seed=42):
    draw = Draw(task_id=trajectory.task.id, seed=seed, role="critic:recorded-outcome")
    return asyncio.run(critic.score(trajectory, proposed, draw=draw))


def test_it_knows_the_recorded_run_to_its_end_and_abstains_on_any_other(earlier):
    directory, known = earlier
    critic = recorded_outcome(str(directory))
    for (_, seed, arm), episode in known.episodes.items():
        if arm != "baseline":
            continue
        for number, step in enumerate(episode.steps):
            opened = msgspec.structs.replace(step, executed=None, proposals=())
            done = tuple(msgspec.structs.replace(one, proposals=()) for one in episode.steps[:number])
            seen = Trajectory(task=episode.task, steps=(*done, opened))
            assert score(critic, seen, step.executed, seed) == float(not episode.success)
            told = Trajectory(task=episode.task, steps=(*done, msgspec.structs.replace(opened, messages=("Careful",))))
            assert score(critic, told, step.executed, seed) is None
            elsewhere = msgspec.structs.replace(opened, observation="somewhere else")
            assert score(critic, Trajectory(task=episode.task, steps=(*done, elsewhere)), step.executed, seed) is None
            assert score(critic, seen, Action("another thing"), seed) is None
        with pytest.raises(InvalidInput, match="under seed 7"):
            score(critic, seen, step.executed, 7)


def test_what_holds_no_outcome_is_refused(earlier, tmp_path):
    with pytest.raises(InvalidInput, match="there is no journal"):
        recorded_outcome(str(tmp_path / "nowhere"))
    directory, _ = earlier
    (tmp_path / "plan.json").write_bytes((directory / "plan.json").read_bytes())
    with pytest.raises(InvalidInput, match="no run of an agent alone"):
        recorded_outcome(str(tmp_path))


def test_it_is_the_same_wherever_the_journal_lies(earlier, tmp_path):
    directory, _ = earlier
    shutil.copytree(directory, tmp_path / "copy")
    assert recorded_outcome(str(tmp_path / "copy")).config() == recorded_outcome(str(directory)).config()


def test_its_arms_are_controls(earlier, tmp_path):
    directory, _ = earlier
    arm = oracle(directory, Append())
    assert arm.is_control
    assert not replace(arm, policy=replace(arm.policy, critic=WORD)).is_control
    found = run(plan([Arm.baseline(), arm], n=24), tmp_path)
    assert found.plan.candidates == []
    (said,) = [remark.text for remark in cautions_of(found, "oracle") if remark.code == "control"]
    assert "never deployed" in said
    assert "churn" not in said
