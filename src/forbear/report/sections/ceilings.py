"""What was gained beside what could have been: interventions that never disrupt, and the best of several runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from forbear.stats.intervals import EstimateJson

if TYPE_CHECKING:
    from forbear.analysis.evidence import Evidence
    from forbear.analysis.result import PilotResult


class CeilingView(TypedDict):
    """One arm, or one choice between runs; fractions of all pairs."""

    label: str
    gain: EstimateJson | None
    """None where it is not known, as of a critic that is not there."""
    ceiling: float
    """C/N: the gain without a single disruption; of a choice, that of one that knows the outcomes."""
    tax: float
    """B/N: what disruptions took; 0 of a choice."""
    more_calls: float | None
    """Agent calls per episode beyond the baseline's own."""


class CeilingsView(TypedDict):
    """What is shown of all arms."""

    rows: list[CeilingView]


def view(result: PilotResult, evidence: Evidence) -> CeilingsView:
    """An arm with its ceiling a row, then the best of several seeds."""
    from forbear.analysis.selection import best_of_seeds

    baseline = result.arms[result.plan.baseline_arm]
    alone = baseline.agent_calls / baseline.episodes if baseline.episodes else None
    rows = []
    for name, found in evidence.ceilings.items():
        arm = result.arms[name]
        rerun = result.plan.arms[name].kind == "rerun"
        # Whoever may choose between a run and its rerun gains what the rerun recovers, and loses nothing.
        rows.append(
            CeilingView(
                label=f"{name}: the better of two runs" if rerun else name,
                gain=None if rerun else evidence.verdicts[name].success_gain.to_dict(),
                ceiling=found.oracle_gain.value or 0.0,
                tax=0.0 if rerun else found.disruption_tax.value or 0.0,
                more_calls=None if alone is None else arm.agent_calls / arm.episodes - (0.0 if rerun else alone),
            )
        )
    best = best_of_seeds(result)
    if best is not None:
        rows += [
            CeilingView(
                label=f"best of {best.runs} runs by {critic}",
                gain=gain.to_dict(),
                ceiling=best.oracle_gain,
                tax=0.0,
                more_calls=best.calls,
            )
            for critic, gain in best.gains.items()
        ]
        if not best.gains:
            rows.append(
                CeilingView(
                    label=f"best of {best.runs} runs",
                    gain=None,
                    ceiling=best.oracle_gain,
                    tax=0.0,
                    more_calls=best.calls,
                )
            )
    return CeilingsView(rows=rows)
