"""What the best imaginable use of the same runs would have given, beside what intervening gave."""

from dataclasses import dataclass

import numpy as np

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.clustered import clustered_rate
from forbear.stats.context.churn import Churn
from forbear.stats.intervals import Estimate, Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """Shares of all pairs; add `oracle_gain` to the baseline's success rate for the oracle's."""

    oracle_gain: Estimate
    """C/N: what an intervention that never disrupted would gain, no more."""
    disruption_tax: Estimate
    """B/N: what the disruptions cost of that."""
    rerun_advantage: float | None
    """p(r₀ − r): how much more of all pairs a mere rerun of the failures recovers; None without churn or failures."""


def ceilings(
    outcomes: PairedOutcomes | ClusteredOutcomes, *, churn: Churn | None = None, confidence: float = 0.95
) -> Ceilings:
    """Oracle intervention, disruption tax and rerun advantage.

    Args:
        outcomes: At least one pair, seeds paired.
        churn: Of the baseline, for the comparison with rerunning.
        confidence: Of the intervals (Wilson's; several seeds: at effective counts, tasks as the unit).

    Raises:
        InvalidInput: No pairs, seeds that are not paired, or confidence out of range.
    """
    table = outcomes if isinstance(outcomes, PairedOutcomes) else outcomes.table
    if table is None or not table.pairs:
        raise InvalidInput("ceilings need pairs of runs: as many seeds under both arms, and at least one pair.")
    own = None if churn is None or churn.recovery_rate is None else churn.recovery_rate.value
    advantage = None
    if own is not None and table.failure_rate is not None and table.recovery_rate is not None:
        advantage = table.failure_rate * (own - table.recovery_rate)
    return Ceilings(
        oracle_gain=_share(outcomes, "recovered", confidence),
        disruption_tax=_share(outcomes, "disrupted", confidence),
        rerun_advantage=advantage,
    )


def _share(outcomes: PairedOutcomes | ClusteredOutcomes, cell: str, confidence: float) -> Estimate:
    if isinstance(outcomes, ClusteredOutcomes) and not outcomes.one_pair_per_task:
        before, after = outcomes.baseline, outcomes.treated
        wanted = (False, True) if cell == "recovered" else (True, False)
        hits = [sum(p == wanted for p in zip(b, t, strict=True)) for b, t in zip(before, after, strict=True)]
        sizes = np.array([len(b) for b in before], dtype=float)
        share, _ = clustered_rate(np.array(hits, dtype=float), sizes, confidence=confidence)
        assert share is not None, "there is at least one pair"
        return share
    table = outcomes if isinstance(outcomes, PairedOutcomes) else outcomes.table
    assert table is not None, "checked by the caller"
    return Rate(k=getattr(table, cell), n=table.pairs).estimate(confidence=confidence)
