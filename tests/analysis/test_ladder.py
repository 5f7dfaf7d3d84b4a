"""The best of a ladder at the first look is tested on the tasks after it, and on nothing else."""

import dataclasses
import math

import numpy as np
import pytest
from msgspec.structs import replace

from analysis.test_plan_record import POLICY, record
from forbear.adapters.pilot_file import read_pilot_file
from forbear.analysis.evidence import arms_tested, evidence_of, verdicts_of
from forbear.analysis.monitor import NOT_CHOSEN, Monitor
from forbear.cli.main import run as forbear
from forbear.errors import InvalidInput
from forbear.interventions import Append, Placebo
from forbear.outcomes.paired import PairedOutcomes
from forbear.policy.arm import Arm
from forbear.records.codec import ArmEnd
from forbear.runner.plan import freeze
from forbear.stats.decision import decide
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.sequential import SequentialOutcomes
from forbear.stats.verdict import Recommendation
from forbear.testing import WordCritic
from pilot_files import TEXT, write_pilot
from runner.pilots import digest, plan, run, with_

RUNGS = ("low", "middle", "high")
LOOKS = Looks(tasks=(20, 40, 60), watch=False, futility=0.0)


def ladder_plan(looks=LOOKS):
    arms = {"alone": replace(POLICY, kind="baseline", critic=None, intervention=None, policy=None, digest="b")}
    arms |= {name: replace(POLICY, digest=name, in_ladder=True) for name in RUNGS}
    return record(tasks=[f"t{n}" for n in range(looks.planned)], arms=arms, looks=looks)


def monitor_of(outcomes, looks=LOOKS, tasks=None):
    """A monitor of what each arm did at each task."""
    planned = ladder_plan(looks)
    position = {task.id: n for n, task in enumerate(planned.tasks)}

    def success(key):
        if position[key[0]] >= (looks.planned if tasks is None else tasks):
            raise KeyError(key)
        return bool(outcomes[key[2]][position[key[0]]])

    monitor = Monitor(planned, success)
    monitor.advance()
    return monitor


def outcomes_of(seed, *, gain=0.0, n=60):
    """Arms that share their chance, as arms that share a run do; `middle` gains."""
    rng = np.random.default_rng(seed)
    chance = rng.random(n)
    arms = {"alone": chance < 0.5}
    for name in RUNGS:
        again = rng.random(n) < 0.2
        arms[name] = np.where(again, rng.random(n) < 0.5 + (gain if name == "middle" else 0.0), arms["alone"])
    return arms


def test_the_largest_gain_at_the_first_look_goes_on_and_the_others_end():
    outcomes = {"alone": [0] * 60, "low": [0] * 60, "middle": [1] * 3 + [0] * 57, "high": [1] * 3 + [0] * 57}
    monitor = monitor_of(outcomes)
    assert monitor.ladder_gains() == {"low": 0.0, "middle": 3 / 20, "high": 3 / 20}
    assert monitor.chosen == "middle"  # the first of several
    assert [monitor.ends[name] for name in ("low", "high")] == [
        ArmEnd(arm=name, tasks=20, reason=NOT_CHOSEN) for name in ("low", "high")
    ]
    assert monitor.span("middle") == (20, 60)
    assert monitor.span("low") == (0, 20)
    assert monitor_of(outcomes, tasks=19).chosen is None
    assert not monitor_of(outcomes, tasks=19).ends


@pytest.mark.parametrize("seed", range(6))
def test_it_is_decided_as_a_pilot_of_the_later_tasks_alone(seed):
    outcomes = outcomes_of(seed, gain=0.4)
    monitor = monitor_of(outcomes)
    begin, end = monitor.span(monitor.chosen)
    assert begin == 20
    before, after = (np.array(outcomes[arm])[begin:end] for arm in ("alone", monitor.chosen))
    observed, _ = monitor.outcomes(monitor.chosen)
    pairs = PairedOutcomes.from_outcomes(baseline=before.tolist(), treated=after.tolist())
    assert observed.now == pairs
    assert observed.looks.tasks == (20, 40)
    at_look = SequentialOutcomes.at_look(pairs, observed.looks, look=observed.looks.tasks.index(end - begin) + 1)
    assert decide(observed).p_value_gain == pytest.approx(decide(at_look).p_value_gain)
    # What chose it counts for nothing: other first tasks by which it is chosen too leave the evidence as it is.
    changed = {arm: np.array(runs) for arm, runs in outcomes.items()}
    changed[monitor.chosen][:20] = True
    assert monitor_of(changed).outcomes(monitor.chosen)[0].now == pairs


@pytest.mark.statistical
def test_of_useless_settings_one_is_deployed_in_at_most_one_pilot_of_twenty():
    """Also where choosing and testing on the same tasks would deploy one far more often."""
    looks, pilots, said, naive = Looks(tasks=(30, 60, 90), watch=False), 200, 0, 0
    for seed in range(pilots):
        outcomes = outcomes_of(seed, n=90)
        monitor = monitor_of(outcomes, looks)
        observed, _ = monitor.outcomes(monitor.chosen)
        said += decide(observed).recommendation is Recommendation.INTERVENE
        best = max(RUNGS, key=lambda name: sum(outcomes[name]))
        changed = outcomes[best].astype(int) - outcomes["alone"]
        naive += changed.sum() > 1.6449 * math.sqrt((changed != 0).sum())  # McNemar's score
    most = pilots * 0.05 + 3 * math.sqrt(pilots * 0.05 * 0.95)
    assert said <= most
    assert naive > said


CRITIC = WordCritic({"jump": 0.9, "back": 0.7, "wait": 0.4})
ARMS = [
    Arm.baseline(),
    *(
        Arm(f"{threshold} {budget}", with_(Append(), critic=CRITIC, threshold=threshold, budget=budget), in_ladder=True)
        for threshold in (0.3, 0.6, 0.8)
        for budget in (1, 3)
    ),
    Arm("placebo", with_(Placebo(), critic=CRITIC)),
]


def test_a_pilot_with_a_ladder_goes_on_after_any_line_and_reports_one_verdict(tmp_path):
    described = plan(ARMS, n=12, looks=Looks(tasks=(4, 8, 12), futility=0.0))
    result = run(described, tmp_path / "whole")
    chosen = result.monitor.chosen
    evidence = evidence_of(result)
    assert arms_tested(result) == [chosen]
    assert evidence.controls == {arm.name for arm in ARMS[1:]} - {chosen}
    assert evidence.verdicts[chosen].tasks == 8
    (said,) = (one for one in evidence.verdicts[chosen].cautions if one.code == "ladder")
    assert (said.values["chosen"], said.values["first"], said.values["tested_on"]) == (chosen, 4, 8)
    for arm in ARMS[1:7]:
        if arm.name != chosen:
            assert result.arms[arm.name].episodes == 4
            assert evidence.verdicts[arm.name].recommendation is Recommendation.UNDECIDED
            assert [reason.code for reason in evidence.verdicts[arm.name].reasons] == ["not_tested"]
    assert result.arms["placebo"].episodes == 12
    lines = (tmp_path / "whole/episodes.jsonl").read_bytes().splitlines(keepends=True)
    for k in range(3, len(lines), 7):
        directory = tmp_path / str(k)
        directory.mkdir()
        (directory / "plan.json").write_bytes((tmp_path / "whole/plan.json").read_bytes())
        (directory / "episodes.jsonl").write_bytes(b"".join(lines[:k]))
        again = run(described, directory)
        assert (again.monitor.chosen, digest(directory)) == (chosen, digest(tmp_path / "whole"))


def test_at_the_look_that_chooses_nothing_is_decided(tmp_path):
    described = plan(ARMS, n=12, looks=Looks(tasks=(4, 8, 12), futility=0.0))
    result = run(described, tmp_path, until_look=1)
    assert arms_tested(result) == []
    assert {verdict.recommendation for name, verdict in verdicts_of(result).items() if name != "placebo"} == {
        Recommendation.UNDECIDED
    }


def test_a_file_has_a_ladder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arm = TEXT.index('[[arm]]\nname = "append"')
    text = TEXT[:arm].replace("threshold = 0.7", "threshold = [0.5, 0.7]\nbudget = [1, 3]\nladder = true")
    text += '[[arm]]\nintervention = "placebo"\n\n' + TEXT[TEXT.index("[run]") :] + ""
    path = write_pilot(tmp_path, text=text.replace("[run]", "[run]\nlooks = [4, 8, 12]"))
    arms = read_pilot_file(path).plan.arms
    assert [arm.in_ladder for arm in arms] == [False, *[True] * 4, False]
    assert dataclasses.replace(arms[1].policy, threshold=0.7, budget=3) == arms[4].policy
    assert forbear(["pilot", "plan", "pilot.toml", "--try", "0"]) == 0
    assert "a ladder of 4 settings" in capsys.readouterr().out
    assert forbear(["pilot", "run", "pilot.toml", "--look", "1"]) == 0
    assert "CHOSEN: to be tested on the tasks to come." in capsys.readouterr().out
    assert forbear(["decide", "runs/pilot"]) == 2
    assert "tested on tasks that are yet to be run" in capsys.readouterr().err
    assert forbear(["pilot", "run", "pilot.toml"]) == 0
    told = capsys.readouterr().out
    assert told.count("NOT CHOSEN at the first look: not tested.") == 3
    assert forbear(["pilot", "sweep", "pilot.toml"]) == 0
    swept = " ".join(capsys.readouterr().out.split())
    assert "is judged by the tasks after them alone" in swept
    assert swept.count("Chosen as the best of 4 settings") == 1
    assert forbear(["decide", "runs/pilot", "--json"]) == 0
    assert capsys.readouterr().out.count('"recommendation"') == 1
    write_pilot(tmp_path, text=text.replace("ladder = true", 'ladder = "yes"'))
    assert forbear(["pilot", "plan", "pilot.toml", "--try", "0"]) == 2
    assert "ladder" in capsys.readouterr().err


RUNGS_OF_A_PLAN = ARMS[1:3]


@pytest.mark.parametrize(
    ("arms", "options", "message"),
    [
        (RUNGS_OF_A_PLAN, {"looks": [8]}, "at least two looks, got 8"),
        ([*RUNGS_OF_A_PLAN, Arm("other", with_(Append()))], {}, "got 'other'"),
        ([*RUNGS_OF_A_PLAN, Arm("held", with_(Placebo()), in_ladder=True)], {}, "got 'held'"),
        (RUNGS_OF_A_PLAN[:1], {}, "at least two arms"),
    ],
)
def test_a_plan_has_one_ladder_and_looks_to_choose_and_to_confirm(arms, options, message):
    with pytest.raises(InvalidInput, match=message):
        freeze(plan([Arm.baseline(), *arms], **{"looks": [4, 8], **options}))


def test_the_plan_says_which_arms_are_in_the_ladder():
    found = freeze(plan(ARMS, looks=[4, 6, 8])).record
    assert found.ladder == [arm.name for arm in ARMS[1:7]] == found.candidates
    assert found.confirming.tasks == (2, 4)
    assert freeze(plan()).record.confirming == freeze(plan()).looks
