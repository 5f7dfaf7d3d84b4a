"""What runs say of a critic, as plain JSON data: the one thing that the terminal, the page and `--json` show."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypedDict

from forbear.critics.estimates import CriticReport
from forbear.critics.evaluation import CriticEvaluation
from forbear.critics.measures import PRECISION
from forbear.stats.intervals import Estimate, EstimateJson
from forbear.wording import counted, number, percent

MeasuresJson: TypeAlias = dict[str, EstimateJson | None]
"""By measure, an estimate with its interval; None where it is undefined."""

NAMES = {
    "calibration_error": "ece",
    "calibration_error_debiased": "ece_debiased",
    "average_precision": "auprc",
}
"""Measures that have another name where people read them."""

PILOT = "None of this says whether acting on the critic helps: a good critic may do harm. A pilot says so:"
COMMAND = "forbear pilot init mine.toml --template own && forbear pilot run mine.toml"

FORMAT = "forbear-critic-evaluation-1"
"""Of the JSON."""

_MOST_CORNERS = 200
"""Of the ROC."""


class TriggerView(TypedDict):
    """Shares of runs that are touched at any step."""

    threshold: float
    failures: EstimateJson | None
    successes: EstimateJson | None


class BinView(TypedDict):
    """A point of the reliability curve."""

    mean_p_fail: float
    failure_rate: float
    count: int


class GroupView(TypedDict):
    """Runs of one agent or model."""

    runs: int
    failed: int
    measures: MeasuresJson


class ControlView(TypedDict):
    """A control on the same steps."""

    measures: MeasuresJson
    difference: MeasuresJson
    """The critic's less the control's."""


class CriticView(TypedDict):
    """An evaluation."""

    critic: str
    runs: int
    failed_runs: int
    tasks: int
    steps: int
    abstained: int
    left_out: dict[str, int]
    threshold: float
    min_step: int
    failed_share: float
    """Of the scored steps: the AUPRC of a coin."""
    precision_asked: float
    measures: MeasuresJson
    undefined: dict[str, str]
    step_buckets: dict[str, MeasuresJson]
    groups: dict[str, GroupView]
    controls: dict[str, ControlView]
    triggers: list[TriggerView]
    reliability: list[BinView]
    roc: list[tuple[float, float]]
    cautions: list[str]
    says: str
    command: str


def critic_view(
    found: CriticEvaluation,
    *,
    left_out: Mapping[str, int],
    overlap: int = 0,
    seen_is_known: bool = True,
    learned_failure_rate: float | None = None,
) -> CriticView:
    """Arranges an evaluation.

    Args:
        found: The evaluation.
        left_out: Runs that were not judged: why, and how many.
        overlap: Tasks among them that the critic has learned from.
        seen_is_known: Whether it is known which tasks it has learned from.
        learned_failure_rate: Of the runs that it learned from, where known.
    """
    report = found.report
    return CriticView(
        critic=found.critic,
        runs=found.runs,
        failed_runs=found.failed_runs,
        tasks=report.tasks,
        steps=report.steps,
        abstained=found.abstained,
        left_out=dict(left_out),
        threshold=report.threshold,
        min_step=found.min_step,
        failed_share=report.episodes_failed,
        precision_asked=PRECISION,
        measures=_measures(report.overall),
        undefined={NAMES.get(name, name): why for name, why in found.undefined.items()},
        step_buckets={name: _measures(bucket) for name, bucket in report.by_bucket.items()},
        groups={
            name: GroupView(runs=group.runs, failed=group.failed, measures=_measures(group.measures))
            for name, group in found.groups.items()
        },
        controls={
            name: ControlView(measures=_measures(one.estimates), difference=_measures(one.differences))
            for name, one in found.controls.items()
        },
        triggers=[
            TriggerView(threshold=one.threshold, failures=_json(one.failures), successes=_json(one.successes))
            for one in found.triggers
        ],
        reliability=reliability_view(report),
        roc=thinned(found.roc),
        cautions=_cautions(found, overlap, seen_is_known, learned_failure_rate),
        says=PILOT,
        command=COMMAND,
    )


def critic_json(view: CriticView) -> dict[str, object]:
    """The object that `--json` prints: each measure under its own key, those of controls and buckets likewise."""
    rest: dict[str, object] = {
        key: value for key, value in view.items() if key not in ("measures", "groups", "controls")
    }
    return {
        "format": FORMAT,
        **view["measures"],
        **rest,
        "groups": {
            name: {"runs": one["runs"], "failed": one["failed"], **one["measures"]}
            for name, one in view["groups"].items()
        },
        "controls": {
            name: {**one["measures"], "difference": one["difference"]} for name, one in view["controls"].items()
        },
    }


def _measures(found: Mapping[str, Estimate | None]) -> MeasuresJson:
    return {NAMES.get(name, name): _json(estimate) for name, estimate in found.items()}


def _json(estimate: Estimate | None) -> EstimateJson | None:
    return None if estimate is None else estimate.to_dict()


def reliability_view(report: CriticReport) -> list[BinView]:
    """The bins of the reliability curve."""
    return [
        BinView(mean_p_fail=one.mean_p_fail, failure_rate=one.failure_rate, count=one.count)
        for one in report.reliability
    ]


def thinned(corners: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """So many corners of an ROC that more would not be told apart in a picture, the ends among them."""
    if len(corners) <= _MOST_CORNERS:
        return list(corners)
    last = len(corners) - 1
    return [corners[round(place * last / (_MOST_CORNERS - 1))] for place in range(_MOST_CORNERS)]


def _cautions(found: CriticEvaluation, overlap: int, seen_is_known: bool, learned: float | None) -> list[str]:
    said = []
    if overlap:
        said.append(
            f"The critic has learned from {counted(overlap, 'task')} of these runs: the numbers flatter it and say "
            "little of other tasks."
        )
    if not seen_is_known:
        said.append("Nobody says which tasks this critic has learned from: make sure that these are others.")
    if (shift := found.shift) is not None and shift.value is not None:
        rate = found.report.episodes_failed
        said.append(
            f"Scores and base rate do not fit: the mean score is {percent(rate + shift.value)}, and {percent(rate)} of "
            f"the steps were of runs that failed ({number(shift.low)} to {number(shift.high)} apart). Either the base "
            "rate is another than the critic learned, or it never was calibrated: forbear critic calibrate, on a few "
            "dozen runs of this agent."
        )
    actual = found.failed_runs / found.runs
    if learned is not None and abs(actual - learned) >= 0.1:
        said.append(f"{percent(learned)} of the runs that it learned from failed, and {percent(actual)} of these.")
    beaten = [
        name
        for name, control in found.controls.items()
        if (gap := control.differences.get("auroc")) is not None and gap.low <= 0
    ]
    if beaten:
        said.append(f"By AUROC it is not shown to be better than {', '.join(beaten)}.")
    return said
