import numpy as np
import pytest

from critics.test_evaluation import scored
from forbear.critics.recalibration import recalibrate
from forbear.critics.scored import ScoredRuns
from forbear.critics.splits import split_tasks
from forbear.errors import InvalidInput


def test_a_map_is_measured_on_tasks_that_did_not_fit_it():
    some = scored(tasks=300, effect=4.0, shift=2.0)
    found = recalibrate(some, resamples=60)
    assert not set(found.calibration_tasks) & set(found.test_tasks)
    assert (len(found.calibration_tasks), len(found.test_tasks)) == (210, 90)
    assert found.before["calibration_error"].value > 0.15
    assert found.after["calibration_error"].value < 0.08
    assert found.shift.value > 0.1
    assert found.failure_rate == pytest.approx(
        np.mean([run.failed for run in some.runs if run.task in set(found.calibration_tasks)])
    )


def test_what_happens_to_the_measuring_tasks_changes_no_map():
    some = scored(tasks=100)
    _, away = split_tasks([run.group for run in some.runs], share=0.3)
    other = ScoredRuns(
        runs=some.runs,
        scores=tuple(
            tuple(1 - p for p in said) if run.group in away else said
            for run, said in zip(some.runs, some.scores, strict=True)
        ),
    )
    first, second = recalibrate(some, resamples=20), recalibrate(other, resamples=20)
    assert first.chosen.calibrator == second.chosen.calibrator
    assert first.before["auroc"].value == pytest.approx(1 - second.before["auroc"].value)


def test_too_few_tasks_are_refused():
    with pytest.raises(InvalidInput, match="at least 8 are needed"):
        recalibrate(scored(tasks=6, seed=1))
    with pytest.raises(InvalidInput, match="held_out"):
        recalibrate(scored(), held_out=1.0)
