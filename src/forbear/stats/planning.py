"""Planning a pilot: what a rule would do under a stated truth, and how many tasks it takes.

To 400 effective pairs everything is exact: the verdict's own rejection regions, summed over all tables. Above, and for
the number that a verdict prints, the normal approximation with the null variance at the restricted likelihood maximum
of the expected table (at margin 0: Miettinen 1968, Biometrics 24:339). How each was checked: docs/methods.md.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, Self

import numpy as np
from scipy.special import ndtr, ndtri

from forbear.errors import InvalidInput
from forbear.stats.exact import MAX_EXACT_PAIRS
from forbear.stats.intervals import restricted_discordance, tango_statistic
from forbear.stats.regions import Counts, at_least, binomial, rejection_region, score_region
from forbear.stats.rule import DecisionRule

MOST_EXACT = 400
"""Effective pairs to which regions are enumerated; above, the approximation is good to about a point."""

_MOST_TASKS = 1_000_000
_MOST = 1e15  # beyond it whole numbers are no longer exact in double precision


@dataclass(frozen=True, slots=True, kw_only=True)
class AssumedEffect:
    """A truth about an intervention: its gain and how often it changes an outcome at all.

    Raises:
        InvalidInput: Unless |gain| ≤ discordance ≤ 1.
    """

    gain: float
    """Δ, treated minus baseline, a fraction."""
    discordance: float
    """ψ, the share of pairs whose outcomes differ."""

    def __post_init__(self) -> None:
        if not abs(self.gain) <= self.discordance <= 1:
            raise InvalidInput(
                f"a gain of {self.gain!r} needs a discordance between {abs(self.gain)!r} and 1, got "
                f"{self.discordance!r}: the gain is the difference of two shares that add up to the discordance."
            )

    @classmethod
    def from_rates(cls, *, failure_rate: float, recovery_rate: float, disruption_rate: float) -> Self:
        """The effect of recovering a share r of the baseline's failures and disrupting a share d of its successes.

        Args:
            failure_rate: p.
            recovery_rate: r.
            disruption_rate: d.

        Raises:
            InvalidInput: A rate outside [0, 1].
        """
        for name, rate in (("failure", failure_rate), ("recovery", recovery_rate), ("disruption", disruption_rate)):
            if not 0 <= rate <= 1:
                raise InvalidInput(f"the {name} rate is a fraction between 0 and 1, got {rate!r}.")
        recovered, disrupted = failure_rate * recovery_rate, (1 - failure_rate) * disruption_rate
        return cls(gain=recovered - disrupted, discordance=recovered + disrupted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What the rule would do under a truth: probabilities that sum to one."""

    effect: AssumedEffect
    tasks: int
    seeds: int
    baseline_seeds: int
    """Runs per task of the baseline; of the treated arm there are `seeds`."""
    effective_pairs: int
    """Independent pairs that carry as much as all seeds of all tasks."""
    intervene: float
    forbear: float
    undecided: float
    point_rule: float
    """Probability that "deploy if p > p*", the sign of C − B, deploys; one pair per task as the effective pairs."""
    method: Literal["exact", "normal approximation"]


def power(
    effect: AssumedEffect,
    *,
    tasks: int,
    rule: DecisionRule = DecisionRule(),
    seeds: int = 1,
    agreement: float = 0.0,
    baseline_seeds: int | None = None,
) -> Power:
    """The probability of each verdict under a truth.

    Args:
        effect: The truth.
        tasks: Of the pilot, 1 or more.
        rule: As it will be applied.
        seeds: Pairs per task.
        agreement: Intra-task correlation ρ of the pairs' differences, 0 (seeds tell new stories) to 1 (the same one).
            Several seeds count as tasks·seeds/(1 + (seeds − 1)·ρ) independent pairs.
        baseline_seeds: Runs per task of the baseline, where they are not as many, as for `effective_pairs`.

    Raises:
        InvalidInput: An argument out of its range.
    """
    pairs = effective_pairs(tasks=tasks, seeds=seeds, agreement=agreement, baseline_seeds=baseline_seeds)
    exact = pairs <= MOST_EXACT
    intervene, forbear = (_exact if exact else _approximate)(effect, pairs, rule)
    return Power(
        effect=effect,
        tasks=tasks,
        seeds=seeds,
        baseline_seeds=seeds if baseline_seeds is None else baseline_seeds,
        effective_pairs=pairs,
        intervene=intervene,
        forbear=forbear,
        undecided=max(0.0, 1 - intervene - forbear),
        point_rule=_point_rule(effect, pairs),
        method="exact" if exact else "normal approximation",
    )


def effective_pairs(*, tasks: int, seeds: int, agreement: float, baseline_seeds: int | None = None) -> int:
    """Independent pairs that weigh as much as so many runs on each of `tasks` tasks, rounded down, at least 1.

    With b runs of the baseline and k of the treated arm the variance of a task's difference is
    ρ + (1 − ρ)·(1/b + 1/k)/2 times that of one pair, where a task's two arms are run apart and are about equally
    chancy: the part ρ is the task's own, the rest is half the baseline's chance. With b = k this is (1 + (k − 1)·ρ)/k.

    Args:
        tasks: 1 to a million.
        seeds: Runs per task of the treated arm, and of the baseline unless said otherwise, 1 to 1,000.
        agreement: ρ, 0 to 1.
        baseline_seeds: Runs per task of the baseline, 1 to 1,000; None for as many.

    Raises:
        InvalidInput: An argument out of its range.

    Checked: simulated pilots whose tasks have random success rates.
    """
    before = seeds if baseline_seeds is None else baseline_seeds
    if not (1 <= tasks <= _MOST_TASKS and 1 <= seeds <= 1000 and 1 <= before <= 1000 and 0 <= agreement <= 1):
        raise InvalidInput(
            f"a plan needs 1 to {_MOST_TASKS:,} tasks, 1 to 1,000 seeds in either arm and an agreement between 0 and "
            f"1, got tasks = {tasks!r}, seeds = {seeds!r}, baseline_seeds = {before!r}, agreement = {agreement!r}."
        )
    return max(1, math.floor(tasks / _variance_per_task(seeds, before, agreement) + 1e-9))


def variance_ratio(*, seeds: int, baseline_seeds: int, agreement: float) -> float:
    """The variance of the gain with so many baseline runs per task, to that with as many as treated ones."""
    return _variance_per_task(seeds, baseline_seeds, agreement) / _variance_per_task(seeds, seeds, agreement)


def _variance_per_task(seeds: int, baseline_seeds: int, agreement: float) -> float:
    """Of a task's difference, in units of that of one pair."""
    return agreement + (1 - agreement) * (1 / baseline_seeds + 1 / seeds) / 2


def tasks_needed(
    effect: AssumedEffect,
    *,
    rule: DecisionRule = DecisionRule(),
    power: float = 0.8,
    seeds: int = 1,
    agreement: float = 0.0,
    baseline_seeds: int | None = None,
) -> int | None:
    """The fewest tasks from which on the right verdict comes with the asked probability.

    Right is INTERVENE where the gain exceeds the margin and is at least worthwhile, or lies above the margin; FORBEAR
    where it is below worthwhile and not above the margin. Exact to 400 effective pairs: power then rises in a sawtooth,
    and "from which on" means for this number of pairs and the next ten. Never below `least_tasks`.

    Args:
        effect: The truth.
        rule: As it will be applied.
        power: Between 0 and 1.
        seeds: Pairs per task.
        agreement: As for `power`.
        baseline_seeds: As for `power`.

    Returns:
        Tasks, or None where a million do not suffice.

    Raises:
        InvalidInput: An argument out of its range.
    """
    if not 0 < power < 1:
        raise InvalidInput(f"power is a probability between 0 and 1 (exclusive), got {power!r}.")
    effective_pairs(tasks=1, seeds=seeds, agreement=agreement, baseline_seeds=baseline_seeds)
    per_pair = _variance_per_task(seeds, seeds if baseline_seeds is None else baseline_seeds, agreement)

    def right(pairs: int) -> float:
        if effect.gain > rule.margin:
            return (
                _exact_intervene(effect, pairs, rule) if pairs <= MOST_EXACT else _approximate(effect, pairs, rule)[0]
            )
        return (_exact if pairs <= MOST_EXACT else _approximate)(effect, pairs, rule)[1]

    high = 1
    while _approximate_right(effect, high, rule) < power:
        high *= 2
        if high > _MOST_TASKS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _approximate_right(effect, middle, rule) >= power else (middle, high)
    pairs = high
    if pairs <= MOST_EXACT:
        # From the approximation walk down while it holds, then up to the first run of eleven that all hold.
        while pairs > 1 and right(pairs - 1) >= power:
            pairs -= 1
        run, candidate = 0, pairs
        while run < 11:
            run, candidate = (run + 1, candidate + 1) if right(candidate) >= power else (0, candidate + 1)
        pairs = candidate - 11
    helps = effect.gain > rule.margin
    margin, alpha = (rule.margin, rule.alpha) if helps else (-rule.worthwhile, rule.harm_alpha)
    pairs = max(pairs, least_tasks(margin=margin, alpha=alpha, differing=effect.discordance > 0) or 1)
    return math.ceil(pairs * per_pair - 1e-9)


def least_tasks(*, margin: float, alpha: float, differing: bool = True) -> int | None:
    """The number of tasks, one pair each, below which no outcome at all rejects Δ ≤ margin at `alpha`.

    Nothing speaks louder for a gain than every pair recovered, where the p-value is its largest null probability,
    ((1 + margin)/2)^N. Where pairs never differ there is only one table, and below a margin under 0 its probability is
    largest where all differences would be losses: (1 + margin)^N. A verdict also needs the score test, and above 2,000
    tasks only that. FORBEAR rejects Δ ≥ worthwhile: ask with the margin −worthwhile.

    Args:
        margin: The gain to be rejected, −1 < margin < 1.
        alpha: One-sided level, 0 < alpha < ½.
        differing: Whether pairs may differ between the arms at all.

    Returns:
        Tasks, at least 1; None where 10¹² do not suffice (pairs that never differ, and a margin of about 0 or more).

    Raises:
        InvalidInput: An argument out of its range.

    Checked: no table of one task less rejects, and to α = .05 the loudest of so many does.
    """
    if not (-1 < margin < 1 and 0 < alpha < 0.5):
        raise InvalidInput(f"expected -1 < margin < 1 and 0 < alpha < 0.5, got margin = {margin!r}, alpha = {alpha!r}.")
    if not differing and margin > -1e-12:
        return None
    null = (1 + margin) / 2 if differing else 1 + margin
    exact = math.ceil(math.log(alpha) / math.log(null) - 1e-9)

    def score(tasks: float) -> float:
        return tango_statistic(tasks if differing else 0.0, 0.0, n=tasks, gain=margin)

    # The statistic of these tables grows as the root of their number.
    tasks = max(1, math.ceil((float(ndtri(alpha)) / score(1.0)) ** 2 - 1e-9))
    if score(float(tasks)) <= -float(ndtri(alpha)):
        tasks += 1
    return max(tasks, min(exact, MAX_EXACT_PAIRS + 1))


def minimum_detectable_gain(
    *,
    tasks: int,
    discordance: float,
    rule: DecisionRule = DecisionRule(),
    power: float = 0.8,
    seeds: int = 1,
    agreement: float = 0.0,
) -> float | None:
    """The smallest gain for which the rule says INTERVENE with the asked probability.

    Args:
        tasks: Of the pilot.
        discordance: The share of pairs whose outcomes differ, held fixed.
        rule: As it will be applied.
        power: Between 0 and 1.
        seeds: Pairs per task.
        agreement: As for `power`.

    Returns:
        A fraction, rounded up to four digits; None where not even a gain as large as the discordance is found so often.

    Raises:
        InvalidInput: An argument out of its range.
    """
    if not (0 < power < 1 and 0 <= discordance <= 1):
        raise InvalidInput(
            f"expected 0 < power < 1 and 0 <= discordance <= 1, got power = {power!r}, discordance = {discordance!r}."
        )
    pairs = effective_pairs(tasks=tasks, seeds=seeds, agreement=agreement)

    def found(gain: float) -> bool:
        effect = AssumedEffect(gain=gain, discordance=discordance)
        exact = pairs <= MOST_EXACT
        return (_exact_intervene(effect, pairs, rule) if exact else _approximate(effect, pairs, rule)[0]) >= power

    low, high = max(rule.margin, -discordance), discordance
    if not found(high):
        return None
    while high - low > 5e-5:
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return min(math.ceil(high * 1e4) / 1e4, discordance)


# --- Exact --------------------------------------------------------------------------------------------------


def _exact(effect: AssumedEffect, pairs: int, rule: DecisionRule) -> tuple[float, float]:
    """P(INTERVENE) and P(FORBEAR) over all tables."""
    helps = _region(pairs, rule.margin, rule.alpha)
    # Δ ≥ worthwhile is rejected by few recovered pairs: the mirrored test's region, seen from the disrupted ones.
    too_little = _region(pairs, -rule.worthwhile, rule.harm_alpha)
    total = np.arange(pairs + 1)
    mass = binomial(total, np.full(pairs + 1, pairs), effect.discordance)
    up = (1 + effect.gain / effect.discordance) / 2 if effect.discordance else 0.5
    up = min(max(up, 0.0), 1.0)
    # FORBEAR needs disrupted ≥ too_little[n], that is recovered ≤ n − too_little[n].
    first = np.maximum(helps, total - too_little + 1)
    intervene = float(mass @ at_least(first, total, up))
    forbear = float(mass @ at_least(too_little, total, 1 - up))
    return min(intervene, 1.0), min(forbear, 1.0)


def _exact_intervene(effect: AssumedEffect, pairs: int, rule: DecisionRule) -> float:
    """P(INTERVENE) alone: mostly without the slow region of FORBEAR, which matters only where the two overlap."""
    helps, total = _region(pairs, rule.margin, rule.alpha), np.arange(pairs + 1)
    # The score test rejects wherever a verdict does, so without overlap there the region itself has none.
    forbids = score_region(n_pairs=pairs, margin=-rule.worthwhile, alpha=rule.harm_alpha)
    if (helps <= np.minimum(total - forbids, total)).any():
        return _exact(effect, pairs, rule)[0]
    mass = binomial(total, np.full(pairs + 1, pairs), effect.discordance)
    up = (1 + effect.gain / effect.discordance) / 2 if effect.discordance else 0.5
    return min(float(mass @ at_least(helps, total, min(max(up, 0.0), 1.0))), 1.0)


@lru_cache(maxsize=256)
def _region(pairs: int, margin: float, alpha: float) -> Counts:
    return rejection_region(n_pairs=pairs, margin=margin, alpha=alpha)


def _point_rule(effect: AssumedEffect, pairs: int) -> float:
    """P(C > B): what "deploy if p > p*" does, since p > p* in one sample is exactly C > B."""
    up = (1 + effect.gain / effect.discordance) / 2 if effect.discordance else 0.5
    up = min(max(up, 0.0), 1.0)
    if pairs > 10 * MOST_EXACT:
        spread = math.sqrt(max(effect.discordance - effect.gain**2, 1e-300) * pairs)
        return float(ndtr((effect.gain * pairs - 0.5) / spread))
    total = np.arange(pairs + 1)
    mass = binomial(total, np.full(pairs + 1, pairs), effect.discordance)
    return min(float(mass @ at_least(total // 2 + 1, total, up)), 1.0)


# --- Approximate --------------------------------------------------------------------------------------------


def _approximate(effect: AssumedEffect, pairs: int, rule: DecisionRule) -> tuple[float, float]:
    """The same by the normal approximation of C − B: one threshold for each rejection."""

    def null_sd(margin: float) -> float:
        expected = (effect.discordance + effect.gain) / 2, (effect.discordance - effect.gain) / 2
        variance = restricted_discordance(expected[0], expected[1], n=1.0, gain=margin) - margin**2
        return math.sqrt(max(variance, 0.0) / pairs)

    spread = math.sqrt(max(effect.discordance - effect.gain**2, 1e-300) / pairs)
    helps = rule.margin - float(ndtri(rule.alpha)) * null_sd(rule.margin)
    too_little = rule.worthwhile + float(ndtri(rule.harm_alpha)) * null_sd(rule.worthwhile)
    intervene = float(ndtr((effect.gain - max(helps, too_little)) / spread))
    return intervene, float(ndtr((too_little - effect.gain) / spread))


def _approximate_right(effect: AssumedEffect, pairs: int, rule: DecisionRule) -> float:
    intervene, forbear = _approximate(effect, pairs, rule)
    return intervene if effect.gain > rule.margin else forbear


def approximate_tasks_needed(
    *, gain: float, discordance: float, margin: float = 0.0, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Tasks, one pair each, at which a one-sided score test at `alpha` tells the gain from the margin: closed form.

    Args:
        gain: The true gain Δ, a fraction; above the margin the test is of Δ ≤ margin, below it of Δ ≥ margin.
        discordance: The true share ψ of pairs whose outcomes differ, |gain| ≤ ψ ≤ 1.
        margin: The gain to be told from, −1 < margin < 1.
        alpha: One-sided level, 0 < alpha < 1.
        power: Probability to reject, alpha < power < 1.

    Returns:
        The number of tasks by the normal approximation, at least 1; None where gain and margin are equal or so close
        that more than 10¹⁵ tasks would be needed.

    Raises:
        InvalidInput: An argument out of its range.
    """
    if not (-1 < margin < 1 and 0 < alpha < 1 and alpha < power < 1):
        raise InvalidInput(
            "approximate_tasks_needed expects -1 < margin < 1 and 0 < alpha < power < 1, "
            f"got margin = {margin!r}, alpha = {alpha!r}, power = {power!r}."
        )
    AssumedEffect(gain=gain, discordance=discordance)
    if gain == margin:
        return None
    expected = (discordance + gain) / 2, (discordance - gain) / 2
    null = restricted_discordance(expected[0], expected[1], n=1.0, gain=margin) - margin**2
    true = discordance - gain**2
    spread = -float(ndtri(alpha)) * math.sqrt(max(null, 0.0)) + float(ndtri(power)) * math.sqrt(max(true, 0.0))
    tasks = (spread / (gain - margin)) ** 2 if abs(gain - margin) > 1e-150 else math.inf
    return max(1, math.ceil(tasks)) if tasks <= _MOST else None
