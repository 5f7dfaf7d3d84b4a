"""A calibration with its proof: fitted on some tasks, measured on others, before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forbear.critics.calibrators import METHODS, ChosenCalibrator, Method, choose_calibrator
from forbear.critics.estimates import clustered_estimates
from forbear.critics.evaluation import SHIFT
from forbear.critics.scored import ScoredRuns, require_both_outcomes
from forbear.critics.splits import split_tasks
from forbear.errors import InvalidInput
from forbear.stats.intervals import Estimate

_MEASURES = ("calibration_error", "calibration_error_debiased", "brier", "log_loss", "auroc", "excess")

BASE_RATE = 0.1
"""From this difference on between the failure rates of runs, they are said to be of another base rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalibration:
    """A map, and what it does on tasks that did not fit it."""

    chosen: ChosenCalibrator
    before: Mapping[str, Estimate | None]
    after: Mapping[str, Estimate | None]
    calibration_tasks: tuple[str, ...]
    test_tasks: tuple[str, ...]
    failure_rate: float
    """Of the runs that fitted it: the map is for agents that fail about as often."""
    runs: int
    """That fitted it."""
    shift: Estimate | None
    """Mean score less failure rate before, where its interval excludes 0 and it is large."""


def recalibrate(
    scored: ScoredRuns,
    *,
    methods: Sequence[Method] = METHODS,
    held_out: float = 0.3,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Recalibration:
    """Fits a map on part of the tasks and measures it on the others.

    Args:
        scored: Runs whose tasks the critic has not seen.
        methods: Among which the best is chosen, by loss on held-out folds of the fitting tasks.
        held_out: Share of the tasks, in (0, 1), that only measure.
        resamples: Of tasks, for the intervals.
        confidence: Two-sided.
        seed: Of the resamples.

    Raises:
        InvalidInput: Too few tasks, or one outcome only, in either part; grades; an option out of range.
    """
    if not 0 < held_out < 1:
        raise InvalidInput(f"held_out is a share of the tasks between 0 and 1 (exclusive), got {held_out!r}.")
    require_both_outcomes(scored.runs, tasks=8)
    fitting, measuring = split_tasks([run.group for run in scored.runs], share=held_out)
    fits = scored.where(lambda run: run.group in fitting)
    measures = scored.where(lambda run: run.group in measuring)
    if fits is None or measures is None:
        raise InvalidInput(f"with held_out = {held_out:g} one part has no task; collect runs of more tasks.")
    require_both_outcomes(fits.runs)
    require_both_outcomes(measures.runs)
    chosen = choose_calibrator(fits.judgements(), methods=methods)
    judged = measures.judgements()

    def measured(p_fail: NDArray[np.float64]) -> dict[str, Estimate | None]:
        return clustered_estimates(
            replace(judged, p_fail=p_fail),
            _MEASURES,
            rng=np.random.default_rng(seed),
            resamples=resamples,
            confidence=confidence,
        )

    before = measured(judged.p_fail)
    excess = before["excess"]
    shifted = excess is not None and excess.value is not None and abs(excess.value) >= SHIFT
    return Recalibration(
        chosen=chosen,
        before=before,
        after=measured(chosen.calibrator(judged.p_fail, judged.steps)),
        calibration_tasks=_names(fits),
        test_tasks=_names(measures),
        failure_rate=sum(run.failed for run in fits.runs) / len(fits.runs),
        runs=len(fits.runs),
        shift=excess if shifted and excess is not None and not excess.low <= 0 <= excess.high else None,
    )


def _names(part: ScoredRuns) -> tuple[str, ...]:
    return tuple(sorted({name for run in part.runs for name in (run.task, run.group)}))
