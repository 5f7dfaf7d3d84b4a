"""The estimate of the gain at the first look, over random orders of what was seen: where not all can be counted."""

import numpy as np

from forbear.stats.looks.looks import Looks, boundary_constant
from forbear.stats.looks.stopping import looks_share
from forbear.stats.regions import Counts, Floats
from forbear.stats.rule import DecisionRule

_ORDERS = 2000
"""Random orders over which the estimate is averaged."""
_AT_ONCE = 1 << 18
"""Units of them that are held in memory."""


def gain_over_orders(
    differences: Floats, weights: Floats | None, *, tasks: int, looks: Looks, rule: DecisionRule
) -> float | None:
    """The mean gain at the first look over random orders of the units in which no look so far would have stopped.

    What `stopping.corrected_gain` counts exactly, drawn: by the statistic Σd/√Σd², the watch left out.

    Args:
        differences: (tasks,) as `sequential.unit_differences`; NaN where there is none.
        weights: Of the same; None where all weigh the same.
        tasks: So far.
        looks: As declared.
        rule: As it is applied.

    Returns:
        None without a unit, and where every order would have stopped.
    """
    known = ~np.isnan(differences)
    values = differences[known]
    weights = np.ones(len(values)) if weights is None else weights[known]
    units = len(values)
    if not units:
        return None
    # A look at so many tasks is one at as large a share of the units (clusters; tasks without an outcome left out).
    by_look = [max(1, round(units * look / tasks)) for look in looks.tasks if look < tasks]
    ends, counts, factors = np.array(by_look) - 1, np.array(by_look, float), np.array(looks.factors[: len(by_look)])
    up = boundary_constant(looks, alpha=rule.alpha, margin=rule.margin)
    down = boundary_constant(looks, alpha=looks_share(looks, rule), margin=-rule.worthwhile)
    rng, at_once, gains = np.random.default_rng(0), max(1, _AT_ONCE // units), []
    for first in range(0, _ORDERS, at_once):
        order = rng.permuted(np.tile(np.arange(units), (min(at_once, _ORDERS - first), 1)), axis=1)

        def upto(column: Floats, order: Counts = order) -> Floats:
            """(orders, looks): the sum over the units to each look."""
            sums: Floats = np.cumsum(column[order], axis=1)[:, ends]
            return sums

        gain, square = upto(weights * values), upto((weights * values) ** 2)
        weight, size, cross = counts, counts, gain
        if (weights != 1).any():
            weight, size, cross = upto(weights), upto(weights**2), upto(weights**2 * values)
        going = np.ones(len(order), dtype=bool)
        for margin, bound, sign in ((rule.margin, up, 1), (rule.worthwhile, down, -1)):
            spread = np.sqrt(np.maximum(square - 2 * margin * cross + margin**2 * size, 0.0))
            going &= (sign * (gain - margin * weight) < bound * factors * spread).all(axis=1)
        gains.append((gain / weight)[going, 0])
    means = np.concatenate(gains)
    return float(means.mean()) if len(means) else None
