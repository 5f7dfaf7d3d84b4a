"""What outcomes that are there show of a baseline and of a treated arm, to plan another pilot with."""

from dataclasses import dataclass

import numpy as np

from forbear.analysis.pairing import choose_arms, pair_arms, repeats_of
from forbear.errors import InvalidInput
from forbear.outcomes.paired import PairedOutcomes
from forbear.outcomes.table import OutcomeTable
from forbear.wording import listed, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRates:
    """What outcomes show of a baseline, and of what one treated arm did to it, to plan another pilot with."""

    baseline: str
    tasks: int
    """That the rates are of."""
    failure_rate: float
    recovery_rate: float | None
    """Of the baseline's failures; None without a treated arm or a failure."""
    disruption_rate: float | None
    """Of the baseline's successes; None without a treated arm or a success."""

    @property
    def rates(self) -> tuple[float, float | None, float | None]:
        """All three, in their order."""
        return self.failure_rate, self.recovery_rate, self.disruption_rate


def seen_rates(table: OutcomeTable, *, baseline: str | None = None, treated: str | None = None) -> SeenRates:
    """The rates of a baseline, and of one treated arm where there is one. Every task weighs the same.

    Args:
        table: At least one row.
        baseline: Its name; omitted: the only arm, or the arm called `baseline`.
        treated: The treated arm; omitted: the only one.

    Raises:
        InvalidInput: An unknown arm, several treated arms of which none is named, graded scores, no outcome at all.
    """
    arms = [table.arms.names[code] for code in np.unique(table.arms.codes).tolist()]
    if len(arms) == 1 and treated is None:
        runs = repeats_of(table, arm=arms[0] if baseline is None else baseline)
        if not runs:
            raise InvalidInput(f"no run of '{shown(arms[0])}' has an outcome.")
        failed = float(np.mean([1 - np.mean(task) for task in runs]))
        return SeenRates(
            baseline=arms[0], tasks=len(runs), failure_rate=failed, recovery_rate=None, disruption_rate=None
        )
    baseline, others = choose_arms(table, baseline=baseline, treated=treated)
    if len(others) > 1 and treated is None:
        raise InvalidInput(f"there are {len(others)} treated arms, {listed(others)}. Name one: --treated NAME.")
    found = pair_arms(table, baseline=baseline, treated=others[0]).binary
    if isinstance(found, PairedOutcomes):
        p, r, d = found.failure_rate, found.recovery_rate, found.disruption_rate
    else:
        units = found.units
        weight = np.maximum(units.pairs, 1)
        p = float(np.mean(units.failures / weight))
        r = float(np.mean(units.recovered / weight)) / p if p else None
        d = float(np.mean(units.disrupted / weight)) / (1 - p) if p < 1 else None
    assert p is not None, "a pairing has a pair"
    # Without a failure nothing can be recovered: any rate plans the same.
    return SeenRates(
        baseline=baseline,
        tasks=found.pairs if isinstance(found, PairedOutcomes) else found.tasks,
        failure_rate=p,
        recovery_rate=0.0 if r is None else r,
        disruption_rate=0.0 if d is None else d,
    )
