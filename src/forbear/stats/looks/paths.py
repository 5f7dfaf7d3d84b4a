"""Many pilots at once, each a path of outcomes in its planned order: what the looks and the watch make of them.

For simulations that draw tasks from runs which were made, with what each task cost. `stopping` gives the probabilities
of truths with one discordance exactly, to 400 tasks; a path says in addition what was spent by the time it stopped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forbear.errors import InvalidInput
from forbear.stats.intervals import tango_statistic
from forbear.stats.looks.betting import log_growth
from forbear.stats.looks.crossing import TIE
from forbear.stats.looks.looks import Looks, boundary_constant, fewest_discordant
from forbear.stats.looks.stopping import looks_share
from forbear.stats.looks.watch import watch_bets, watch_threshold
from forbear.stats.rule import DecisionRule

Bools = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoppedPaths:
    """Where each path stopped, shape (paths,) each."""

    intervene: Bools
    forbear: Bools
    """Neither: undecided at the last look."""
    tasks: Counts
    """After how many tasks; those of the last look where nothing was decided."""


def stop_paths(changes: NDArray[np.int8], *, looks: Looks, rule: DecisionRule) -> StoppedPaths:
    """Lets one arm's pilots run to a verdict, or to their last look.

    Stops for futility are left out of account: they give up verdicts and cost none that counts here.

    Args:
        changes: Paths × tasks, in the planned order, one pair per task: 1 recovered, −1 disrupted, 0 alike. As many
            tasks as the last look.
        looks: As declared; the watch is asked after every task where they have one.
        rule: As it is applied.

    Raises:
        InvalidInput: Other numbers than these, or another number of tasks than the looks plan.

    Checked: against `looked_power`, and path by path against `decide` (tests/stats/looks/test_paths.py).
    """
    if changes.ndim != 2 or changes.shape[1] != looks.planned or not np.isin(changes, (-1, 0, 1)).all():
        raise InvalidInput(
            f"expected paths of {looks.planned} tasks that are 1, 0 or -1, got an array of shape {changes.shape}."
        )
    recovered = np.cumsum(changes > 0, axis=1, dtype=np.int64)
    disrupted = np.cumsum(changes < 0, axis=1, dtype=np.int64)
    paths, never = len(changes), looks.planned + 1
    helps_at, fails_at = np.full(paths, never), np.full(paths, never)
    helps = boundary_constant(looks, alpha=rule.alpha, margin=rule.margin)
    too_little = boundary_constant(looks, alpha=looks_share(looks, rule), margin=-rule.worthwhile)
    for tasks, factor in zip(looks.tasks, looks.factors, strict=True):
        up, down = recovered[:, tasks - 1], disrupted[:, tasks - 1]
        fails = _rejects(down, up, tasks, margin=-rule.worthwhile, at_least=too_little * factor)
        gains = _rejects(up, down, tasks, margin=rule.margin, at_least=helps * factor) & ~fails
        helps_at[gains & (helps_at == never)] = tasks
        fails_at[fails & (fails_at == never)] = tasks
    if looks.watch:
        fails_at = np.minimum(fails_at, _watched(recovered, disrupted, looks, rule))
    forbear = (fails_at <= helps_at) & (fails_at < never)
    intervene = (helps_at < fails_at) & (helps_at < never)
    return StoppedPaths(
        intervene=intervene, forbear=forbear, tasks=np.minimum(np.minimum(helps_at, fails_at), looks.planned)
    )


def _rejects(up: Counts, down: Counts, tasks: int, *, margin: float, at_least: float) -> Bools:
    """Where a look rejects a gain of the margin or less."""
    statistic = tango_statistic(up.astype(float), down.astype(float), n=tasks, gain=margin)
    enough: Bools = (up + down >= fewest_discordant(margin, tasks=tasks)) & (statistic >= at_least - TIE)
    return enough


def _watched(recovered: Counts, disrupted: Counts, looks: Looks, rule: DecisionRule) -> Counts:
    """The first task after which the watch stops; one more than planned where it never does."""
    threshold = watch_threshold(looks, alpha=rule.harm_alpha, margin=rule.worthwhile)
    bets = watch_bets(several_seeds=False)
    up, same, down = log_growth(np.array([1.0, 0.0, -1.0]), margin=rule.worthwhile, alternative="less", bets=bets)[:, 0]
    tasks = np.arange(1, looks.planned + 1)
    reached = tasks * same + recovered * (up - same) + disrupted * (down - same) >= threshold - TIE
    first: Counts = np.where(reached.any(axis=1), reached.argmax(axis=1) + 1, looks.planned + 1)
    return first
