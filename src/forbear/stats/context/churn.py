"""Churn: how often an agent's own reruns change the outcome, without any intervention.

With φ the probability that two runs of one task differ, a rerun "recovers" r₀ = φ/2p of the failures and "disrupts"
d₀ = φ/2(1 − p) of the successes. Under pure churn d₀/(r₀ + d₀) = p: it pulls the break-even towards p, so p − p* keeps
its sign and loses its size, and "d > r" says nothing where p > ½.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.paired import PairedOutcomes, outcome_vector
from forbear.stats.clustered import clustered_rate
from forbear.stats.intervals import Estimate
from forbear.stats.verdict import Remark
from forbear.wording import percent

_NEGLIGIBLE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """Run-to-run variation of one agent."""

    tasks: int
    """With at least two runs."""
    runs: int
    single: int
    """Tasks with one run, which say nothing about churn."""
    failure_rate: Estimate
    """p over all runs, every task alike."""
    flip_rate: Estimate
    """φ, the probability that two runs of one task differ."""
    recovery_rate: Estimate | None
    """r₀: of the failures, the share that a mere rerun turns into successes; None where nothing failed."""
    disruption_rate: Estimate | None
    """d₀: of the successes, the share that a mere rerun turns into failures; None where nothing succeeded."""

    def to_dict(self) -> dict[str, object]:
        """A JSON object, format `forbear-churn-1`; undefined is null."""
        return {
            "format": "forbear-churn-1",
            "tasks": self.tasks,
            "runs": self.runs,
            "single": self.single,
            "failure_rate": self.failure_rate.to_dict(),
            "flip_rate": self.flip_rate.to_dict(),
            "recovery_rate": None if self.recovery_rate is None else self.recovery_rate.to_dict(),
            "disruption_rate": None if self.disruption_rate is None else self.disruption_rate.to_dict(),
        }


def churn_of(runs: Sequence[Sequence[bool]], *, confidence: float = 0.95) -> Churn:
    """Measures churn from repeated runs of one agent.

    Every pair of runs of a task is compared, and tasks weigh the same: with two runs per task φ is the share of tasks
    whose runs differ.

    Args:
        runs: One inner sequence per task, True for success; tasks with one run are left out and counted.
        confidence: Of the intervals, tasks as the unit.

    Raises:
        InvalidInput: Fewer than two tasks with two runs, or an entry that is not an outcome.
    """
    vectors = [outcome_vector(task, name=f"runs[{i}]") for i, task in enumerate(runs)]
    used = [task for task in vectors if len(task) > 1]
    if len(used) < 2:
        raise InvalidInput(
            f"churn needs at least two tasks that were run twice or more, got {len(used)}. "
            "Run the same agent on the same tasks again, under another seed."
        )
    size = np.array([len(task) for task in used])
    won = np.array([np.count_nonzero(task) for task in used])
    flips = 2.0 * won * (size - won) / (size * (size - 1))
    failed = 1.0 - won / size
    flip, _ = clustered_rate(flips, np.ones(len(used)), confidence=confidence)
    failure, _ = clustered_rate(failed, np.ones(len(used)), confidence=confidence)
    recovery, _ = clustered_rate(flips / 2, failed, confidence=confidence)
    disruption, _ = clustered_rate(flips / 2, 1 - failed, confidence=confidence)
    assert flip is not None
    assert failure is not None
    return Churn(
        tasks=len(used),
        runs=int(size.sum()),
        single=sum(len(task) == 1 for task in vectors),
        failure_rate=failure,
        flip_rate=flip,
        recovery_rate=recovery,
        disruption_rate=disruption,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetRates:
    """What is left of recovery and disruption once the agent's own churn is taken off."""

    recovery: float | None
    """r − r₀."""
    disruption: float | None
    """d − d₀."""
    cautions: tuple[Remark, ...]


def net_of_churn(outcomes: PairedOutcomes | ClusteredOutcomes, churn: Churn) -> NetRates:
    """Takes churn off the rates of an arm that ran independently of its baseline.

    Not for coupled pairs, whose arms share their runs up to the first intervention: there a placebo arm measures what
    is left. Net rates are attenuated by 1 − r₀ − d₀ and hold at this failure rate only; the gain needs no correction.

    Args:
        outcomes: The arm against the baseline, seeds paired.
        churn: Of the baseline.

    Raises:
        InvalidInput: Seeds are not paired, so there is no table.
    """
    table = outcomes if isinstance(outcomes, PairedOutcomes) else outcomes.table
    if table is None:
        raise InvalidInput("recovery and disruption need pairs of runs: the same number of seeds under both arms.")

    def net(rate: float | None, own: Estimate | None) -> float | None:
        return None if rate is None or own is None or own.value is None else rate - own.value

    recovery = net(table.recovery_rate, churn.recovery_rate)
    disruption = net(table.disruption_rate, churn.disruption_rate)
    return NetRates(recovery=recovery, disruption=disruption, cautions=_cautions(churn, recovery, disruption))


def _cautions(churn: Churn, recovery: float | None, disruption: float | None) -> tuple[Remark, ...]:
    flips, remarks = churn.flip_rate.value or 0.0, []
    if flips > _NEGLIGIBLE:
        text = (
            f"Two runs of the agent alone differ on {percent(flips)} of tasks: recovery and disruption include "
            "that. Net rates hold at this failure rate only; the gain is free of churn."
        )
        remarks.append(Remark(code="churn", text=text, values={"flip_rate": flips}))
    if recovery is not None and disruption is not None and disruption > recovery:
        text = (
            "Net of churn it disrupts a larger share than it recovers: choosing among finished runs may serve better."
        )
        remarks.append(
            Remark(code="prefer_selection", text=text, values={"net_recovery": recovery, "net_disruption": disruption})
        )
    return tuple(remarks)
