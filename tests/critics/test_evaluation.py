from dataclasses import replace

import numpy as np
import pytest

from forbear.critics.evaluation import evaluate_on_runs
from forbear.critics.measures import auroc
from forbear.critics.runs import JudgedRun
from forbear.critics.scored import ScoredRuns
from forbear.errors import InvalidInput
from forbear.records.model import Action, Step, Task, Trajectory
from forbear.stats.intervals import Rate


def scored(*, tasks=60, effect=1.5, shift=0.0, seed=0, abstain=0.0):
    rng, runs, scores = np.random.default_rng(seed), [], []
    for task in range(tasks):
        failed, length = bool(rng.random() < 0.5), int(rng.integers(1, 9))
        steps = tuple(Step(index=i, observation="", executed=Action(f"go {i % 3}")) for i in range(length))
        trajectory = Trajectory(task=Task(id=f"t{task}"), steps=steps)
        model = "big" if task % 2 else "small"
        runs.append(JudgedRun(trajectory=trajectory, success=not failed, run="0", model=model, place=f"line {task}"))
        logits = effect * (failed - 0.5) + shift + 0.8 * rng.standard_normal(length)
        said = 1 / (1 + np.exp(-logits))
        scores.append(tuple(None if rng.random() < abstain else float(p) for p in said))
    return ScoredRuns(runs=tuple(runs), scores=tuple(scores))


def found(some, **options):
    return evaluate_on_runs(some, critic="it", resamples=60, **options)


def test_controls_are_measured_on_the_same_steps():
    some = scored(abstain=0.2)
    got = found(some)
    assert list(got.controls) == [
        "never", "always", "random", "matched-rate", "after-step", "repeated-action", "step-count",
    ]  # fmt: skip
    for name in ("never", "always"):
        assert got.controls[name].estimates["auroc"].value == 0.5
        difference = got.controls[name].differences["auroc"]
        assert difference.value == pytest.approx(got.report.overall["auroc"].value - 0.5)
        assert difference.low <= difference.value <= difference.high
    rows = [
        (run.failed, step)
        for run, said in zip(some.runs, some.scores, strict=True)
        for step, score in enumerate(said)
        if score is not None
    ]
    by_step = auroc([failed for failed, _ in rows], np.array([step for _, step in rows]) / 10)
    assert got.controls["step-count"].estimates["auroc"].value == pytest.approx(by_step, abs=1e-12)
    assert got.abstained == some.abstained > 0


def test_triggers_count_runs_touched_at_any_step():
    some = scored()
    got = found(some, thresholds=[0.2, 0.9], min_step=1)
    assert [one.threshold for one in got.triggers] == [0.2, 0.6, 0.9]
    for one in got.triggers:
        for failed, estimate in ((True, one.failures), (False, one.successes)):
            touched = [
                any(p > one.threshold for p in said[1:])
                for run, said in zip(some.runs, some.scores, strict=True)
                if run.failed == failed
            ]
            assert estimate.value == pytest.approx(np.mean(touched))
            assert estimate.low <= estimate.value <= estimate.high
            assert estimate.low < estimate.high


@pytest.mark.parametrize("seeds", [1, 3])
def test_no_run_touched_is_no_certainty(seeds):
    some = scored()
    many = ScoredRuns(
        runs=tuple(replace(run, run=str(seed)) for run in some.runs for seed in range(seeds)),
        scores=tuple(said for said in some.scores for _ in range(seeds)),
    )
    (one,) = found(many, threshold=1.0, thresholds=[]).triggers
    won = sum(run.success for run in some.runs)
    assert one.successes.value == one.successes.low == 0.0
    assert one.successes.high == Rate(k=0, n=won).interval().high  # of tasks, not of runs


def test_models_are_measured_apart():
    some = scored()
    got = found(some)
    assert list(got.groups) == ["model big", "model small"]
    big = some.where(lambda run: run.model == "big").judgements()
    assert got.groups["model big"].measures["auroc"].value == auroc(big.failed, big.p_fail)
    assert sum(group.runs for group in got.groups.values()) == got.runs == 60


def test_a_base_rate_that_was_not_learned_is_said():
    assert found(scored(effect=4.0)).shift is None
    shift = found(scored(effect=4.0, shift=2.0)).shift
    assert shift.value > 0.1
    assert shift.low > 0


def test_what_is_undefined_has_a_reason():
    some = scored()
    late = ScoredRuns(runs=some.runs, scores=tuple((None, *said[1:]) for said in some.scores))
    got = found(late, threshold=1.0)
    assert got.report.overall["first_step_auroc"] is None
    assert "no first step" in got.undefined["first_step_auroc"]
    assert "above the threshold 1" in got.undefined["precision"]
    sure = ScoredRuns(runs=some.runs, scores=tuple(tuple(0.0 for _ in said) for said in some.scores))
    assert "infinite" in found(sure).undefined["log_loss"]


def test_grades_are_judged_by_their_order():
    some = scored()
    graded = ScoredRuns(
        runs=some.runs, scores=tuple(tuple(round(16 * p) for p in said) for said in some.scores), ordinal=True
    )
    got = found(graded, threshold=10, thresholds=[8])
    assert "ece" not in got.report.overall
    assert got.report.overall["auroc"].value == pytest.approx(found(some).report.overall["auroc"].value, abs=0.02)
    assert got.shift is None


def test_steps_that_say_nothing_are_refused():
    some = scored()
    alike = ScoredRuns(runs=tuple(replace(run, success=True) for run in some.runs), scores=some.scores)
    with pytest.raises(InvalidInput, match="all 60 runs succeeded"):
        found(alike)
    only = ScoredRuns(
        runs=some.runs,
        scores=tuple(
            said if run.failed else (None,) * len(said) for run, said in zip(some.runs, some.scores, strict=True)
        ),
    )
    with pytest.raises(InvalidInput, match="ended alike"):
        found(only)
    with pytest.raises(InvalidInput, match=r"numbers in \[0, 1\]"):
        found(some, threshold=2)
