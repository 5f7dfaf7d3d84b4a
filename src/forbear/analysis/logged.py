"""Logged baseline runs beside the pilot's own: how many there are, and whether they say the same.

What nobody can test is whether the log is of the same agent, tasks and grader. What can be seen is whether the pilot's
own runs of the baseline succeed as often, task by task, as the logged ones. Where they do not, and the difference helps
the verdict, there is no verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from forbear.analysis.plan_record import PlanRecord
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.stats.clustered import clustered_gain_interval, clustered_gain_test
from forbear.stats.intervals import Estimate
from forbear.stats.verdict import Recommendation, Remark, Verdict
from forbear.wording import counted, points, points_confidence, pvalue, shown

ALPHA = 0.2
"""Of each of the two one-sided tests for drift. Larger than a verdict's: a drift that is missed makes false verdicts,
one that is imagined costs a verdict. At .05 a useless arm is INTERVENE twice as often where the log has drifted
(docs/methods.md)."""

_CONFIDENCE = 0.9
"""Of the interval that is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstLogged:
    """The baseline's own runs beside the logged ones, on the tasks that count."""

    source: str
    digest: str
    runs: int
    """Logged, with an outcome."""
    without_outcome: int
    tasks: int
    """With both."""
    drift: Estimate | None
    """Success rate of the pilot's own runs minus that of the logged ones, every task alike; None with too few tasks."""
    p_better: float
    """Of a drift of 0 or less."""
    p_worse: float
    """Of a drift of 0 or more."""

    @classmethod
    def of(cls, plan: PlanRecord, own: Mapping[str, Sequence[bool]]) -> Self | None:
        """Compares them; None where nothing was logged.

        Args:
            plan: Of the pilot.
            own: By task, the outcomes of the baseline's own runs.
        """
        record, logged = plan.baseline.logged, plan.logged
        if record is None:
            return None
        drift, better, worse = None, 1.0, 1.0
        if len(own) > 1:
            outcomes = ClusteredOutcomes.from_outcomes(
                baseline=[logged[task] for task in own], treated=list(own.values())
            )
            bounds = clustered_gain_interval(outcomes, confidence=_CONFIDENCE)
            drift = Estimate(value=outcomes.success_gain, low=bounds.low, high=bounds.high, confidence=_CONFIDENCE)
            better = clustered_gain_test(outcomes, margin=0.0, alternative="greater").pvalue
            worse = clustered_gain_test(outcomes, margin=0.0, alternative="less").pvalue
        return cls(
            source=record.source,
            digest=record.digest,
            runs=sum(map(len, record.runs)),
            without_outcome=record.without_outcome,
            tasks=len(own),
            drift=drift,
            p_better=better,
            p_worse=worse,
        )

    def values(self) -> dict[str, object]:
        """The numbers, by the names that they have in JSON."""
        return {
            "source": self.source,
            "digest": self.digest,
            "runs": self.runs,
            "without_outcome": self.without_outcome,
            "tasks": self.tasks,
            "drift": None if self.drift is None else self.drift.to_dict(),
            "p_value_better": self.p_better,
            "p_value_worse": self.p_worse,
        }

    def remarks(self) -> tuple[Remark, ...]:
        """What is said of them beside each verdict."""
        left_out = f", {self.without_outcome:,} without an outcome left out" if self.without_outcome else ""
        text = (
            f"{counted(self.runs, 'logged run')} ({shown(self.source)}, sha256 {self.digest[:12]}{left_out}) count as "
            "runs of the baseline. That it is the same agent, tasks and grader nobody has tested"
        )
        if self.drift is not None and self.drift.value is not None:
            text += (
                f"; the pilot's own {points(self.drift.value)} against them "
                f"({points_confidence(self.drift.low, self.drift.high, confidence=self.drift.confidence)})"
            )
        return (Remark(code="logged_baseline", text=f"{text}.", values=self.values()),)

    def withheld(self, verdict: Verdict) -> Verdict:
        """No INTERVENE where the agent alone has become better than its log, no FORBEAR where it has become worse."""
        said = verdict.recommendation
        p = {Recommendation.INTERVENE: self.p_better, Recommendation.FORBEAR: self.p_worse}.get(said, 1.0)
        if p > ALPHA or self.drift is None:
            return verdict
        how = "more" if said is Recommendation.INTERVENE else "less"
        text = (
            f"The agent alone succeeds {how} often now than in {shown(self.source)} "
            f"({points(self.drift.value)}, {pvalue(p, name='p')}): the log is not of this agent, these tasks "
            "or this grader, or the tasks were chosen by it. Decide without it, on a fresh pilot."
        )
        values = {"drift": self.drift.value, "p_value": p, "alpha": ALPHA, "without_drift": said.value}
        reason = Remark(code="baseline_drifted", text=text, values=values)
        return replace(verdict, recommendation=Recommendation.UNDECIDED, harmful=False, reasons=(reason,))
