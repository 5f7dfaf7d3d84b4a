"""A critic judged on runs: its measures, by kind of run and by step, beside controls that know nothing.

None of it says whether acting on the critic helps: that takes a pilot.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forbear.contracts.critic import Critic
from forbear.critics.estimates import (
    Compared,
    CriticReport,
    Judgements,
    clustered_estimates,
    compare_critics,
    evaluate_critic,
)
from forbear.critics.heuristic import AfterStep, RandomCritic, RepeatedAction, StepCount, matched_rate
from forbear.critics.measures import roc_curve
from forbear.critics.scored import ScoredRuns, require_both_outcomes, scored_now
from forbear.errors import InvalidInput
from forbear.stats.intervals import Estimate, Rate

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""At which triggers are counted."""

SHIFT = 0.05
"""From this difference on between mean score and failure rate, it is said; where its interval excludes 0."""

_COMPARED = ("auroc", "first_step_auroc", "average_precision", "recall_at_precision")
_BY_GROUP = ("auroc", "first_step_auroc", "average_precision", "calibration_error", "brier", "excess")


@dataclass(frozen=True, slots=True, kw_only=True)
class Triggered:
    """Of how many runs the critic would have stepped in, at any step, acting on p_fail > threshold."""

    threshold: float
    failures: Estimate | None
    """Of those that failed; None without any."""
    successes: Estimate | None
    """Of those that succeeded: false alarms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMeasures:
    """Runs of one agent, or of one model."""

    runs: int
    failed: int
    measures: Mapping[str, Estimate | None]
    """Empty where the runs are of a single task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CriticEvaluation:
    """What runs say of a critic."""

    critic: str
    runs: int
    failed_runs: int
    abstained: int
    """Steps that it did not score: left out, for it and for the controls."""
    min_step: int
    report: CriticReport
    groups: Mapping[str, GroupMeasures]
    """By `agent NAME` and `model NAME`."""
    controls: Mapping[str, Compared]
    triggers: tuple[Triggered, ...]
    roc: tuple[tuple[float, float], ...]
    undefined: Mapping[str, str]
    """Why a measure is None, by its name."""
    shift: Estimate | None
    """Mean score less failure rate, where it says that the base rate is another than the one that was learned."""


def controls_of(scored: ScoredRuns, *, threshold: float, after_step: int = 5, rate: float = 0.1) -> dict[str, Critic]:
    """Critics that any other has to beat, for they know nothing of the run or next to nothing.

    Args:
        scored: What they are compared with.
        threshold: At which `matched-rate` fires as often.
        after_step: Of the clock.
        rate: Of the coin.
    """
    said = [score for one in scored.scores for score in one if score is not None]
    longest = max(len(one) for one in scored.scores)
    return {
        "never": RandomCritic(rate=0.0),
        "always": RandomCritic(rate=1.0),
        "random": RandomCritic(rate=rate),
        "matched-rate": RandomCritic(rate=matched_rate(said, threshold=threshold)),
        "after-step": AfterStep(step=after_step),
        "repeated-action": RepeatedAction(),
        # So wide that no two steps have the same score.
        "step-count": StepCount(half=8.0, width=max(3.0, longest / 10)),
    }


def evaluate_on_runs(
    scored: ScoredRuns,
    *,
    critic: str,
    threshold: float = 0.6,
    thresholds: Sequence[float] = THRESHOLDS,
    min_step: int = 0,
    after_step: int = 5,
    rate: float = 0.1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> CriticEvaluation:
    """Judges a critic on runs whose tasks it has not seen.

    Args:
        scored: What it says of their steps.
        critic: Its name.
        threshold: Of the policy that would use it.
        thresholds: At which triggers are counted, `threshold` besides.
        min_step: Before this step nobody would step in; for the triggers.
        after_step: Of the control that is a clock.
        rate: Of the control that is a coin.
        resamples: Of tasks, for the intervals.
        confidence: Two-sided.
        seed: Of the resamples: the same input gives the same intervals.

    Raises:
        InvalidInput: All runs ended alike, fewer than 2 tasks, no score at all, or an option out of range.
    """
    require_both_outcomes(scored.runs)
    judged = scored.judgements()
    if judged.failed.all() or not judged.failed.any():
        raise InvalidInput("the critic scored steps of runs that all ended alike: it cannot be judged by them.")
    if not all(np.isfinite(one) and (scored.ordinal or 0 <= one <= 1) for one in (threshold, *thresholds)):
        raise InvalidInput(f"thresholds must be {'finite numbers' if scored.ordinal else 'numbers in [0, 1]'}.")

    def drawn() -> np.random.Generator:
        return np.random.default_rng(seed)

    report = evaluate_critic(judged, rng=drawn(), threshold=threshold, resamples=resamples, confidence=confidence)
    controls = {
        name: scored_now(control, scored.runs, name=name).judgements(at=scored)
        for name, control in controls_of(scored, threshold=threshold, after_step=after_step, rate=rate).items()
    }
    metrics = _COMPARED if scored.ordinal else (*_COMPARED, "f1")
    highest = scored.highest(min_step=min_step)
    return CriticEvaluation(
        critic=critic,
        runs=len(scored.runs),
        failed_runs=sum(run.failed for run in scored.runs),
        abstained=scored.abstained,
        min_step=min_step,
        report=report,
        groups=_groups(scored, rng=drawn(), threshold=threshold, resamples=resamples, confidence=confidence),
        controls=compare_critics(
            judged, controls, metrics, rng=drawn(), threshold=threshold, resamples=resamples, confidence=confidence
        ),
        triggers=tuple(
            _triggered(highest, at, rng=drawn(), resamples=resamples, confidence=confidence)
            for at in sorted({threshold, *thresholds})
        ),
        roc=roc_curve(judged.failed, judged.p_fail) or (),
        undefined={
            name: _why_undefined(name, judged, threshold) for name, found in report.overall.items() if found is None
        },
        shift=_shift(report.overall.get("excess")),
    )


def _triggered(
    highest: Judgements, threshold: float, *, rng: np.random.Generator, resamples: int, confidence: float
) -> Triggered:
    found = clustered_estimates(
        highest,
        ["recall", "false_positive_rate"],
        rng=rng,
        threshold=threshold,
        resamples=resamples,
        confidence=confidence,
    )
    return Triggered(
        threshold=threshold,
        failures=_share(highest, highest.failed, threshold, found["recall"], confidence=confidence),
        successes=_share(highest, ~highest.failed, threshold, found["false_positive_rate"], confidence=confidence),
    )


def _share(
    highest: Judgements, of: NDArray[np.bool_], threshold: float, resampled: Estimate | None, *, confidence: float
) -> Estimate | None:
    """Of runs of different tasks the share's own interval; the resampled one has no width where it is 0 or 1."""
    touched, tasks = highest.p_fail[of] > threshold, len(np.unique(highest.tasks[of]))
    if not len(touched) or (tasks < len(touched) and not (touched.all() or not touched.any())):
        return resampled
    share = float(touched.mean())
    interval = Rate(k=round(share * tasks), n=tasks).interval(confidence=confidence)
    return Estimate(value=share, low=interval.low, high=interval.high, confidence=confidence)


def _groups(
    scored: ScoredRuns, *, rng: np.random.Generator, threshold: float, resamples: int, confidence: float
) -> dict[str, GroupMeasures]:
    found: dict[str, GroupMeasures] = {}
    for kind in ("agent", "model"):
        for name in sorted({name for run in scored.runs if (name := getattr(run, kind)) is not None}):
            part = scored.where(lambda run, kind=kind, name=name: getattr(run, kind) == name)  # type: ignore[misc]
            assert part is not None
            measures: Mapping[str, Estimate | None] = {}
            if len({run.group for run in part.runs}) > 1 and part.abstained < sum(map(len, part.scores)):
                judged = part.judgements()
                wanted = [metric for metric in _BY_GROUP if metric in judged.metrics()]
                if len(np.unique(judged.tasks)) > 1:
                    measures = clustered_estimates(
                        judged, wanted, rng=rng, threshold=threshold, resamples=resamples, confidence=confidence
                    )
            failed = sum(run.failed for run in part.runs)
            found[f"{kind} {name}"] = GroupMeasures(runs=len(part.runs), failed=failed, measures=measures)
    return found


def _shift(excess: Estimate | None) -> Estimate | None:
    if excess is None or excess.value is None or abs(excess.value) < SHIFT or excess.low <= 0 <= excess.high:
        return None
    return excess


def _why_undefined(metric: str, judged: Judgements, threshold: float) -> str:
    if metric == "precision" and not (judged.p_fail > threshold).any():
        return f"no score is above the threshold {threshold:g}"
    if metric == "first_step_auroc":
        first = judged.where(judged.steps == 0)
        if first is None:
            return "the critic scored no first step"
        if first.failed.all() or not first.failed.any():
            return "the first steps that it scored are of runs that all ended alike"
    if metric == "log_loss":
        return "a score of exactly 0 or 1 was wrong: the loss is infinite"
    return "too few tasks: on half of the resamples or more it has no value"
