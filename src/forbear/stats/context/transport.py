"""From the pilot to other tasks: another failure rate, or another mix of strata.

A task that fails often is not a task that failed once: the 2×2 of one seed mixes the two, so the naive line
p′·r − (1 − p′)·d changes too fast with p′ (the agent's own churn looks like recovery and disruption). The cross-seed
slope compares the difference under one seed with the baseline's outcome under another, which churn cannot reach. With
one seed the truth lies between the line and no change at all, and nothing in the data says where.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.missing import Outcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.inference import inference
from forbear.stats.intervals import Estimate, check_confidence
from forbear.stats.rule import Guarantee
from forbear.stats.verdict import Remark
from forbear.wording import listed, percent, points, points_confidence, share, shown

Floats = NDArray[np.float64]

LEAST_CORRELATION = 0.15
"""Below this intra-task correlation of the baseline the slope is a ratio with next to nothing below the line."""

_FEW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """How the gain changes with a task's chance of success under the baseline."""

    value: float
    """β in gain per unit of success: −(r + d) for an intervention that recovers r and disrupts d everywhere."""
    correlation: float
    """Intra-task correlation of the baseline's outcomes across seeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GainAt:
    """The gain to expect where the baseline fails at another rate, on tasks that are otherwise like the pilot's."""

    failure_rate: float
    gain: Estimate
    """`value` is None between no change and the line."""
    method: Literal["cross-seed slope", "between no change and the line"]
    unchanged: float | None = None
    """The pilot's own gain: that there too if it did not depend on the failure rate; None where the slope is known."""
    line: float | None = None
    """p′·r − (1 − p′)·d, which changes at least as fast with the failure rate as the truth; None as above."""
    several_seeds: bool = False
    """Whether there were several seeds a task, and yet no slope: the runs of a task hardly agree."""

    def remark(self, *, baseline: str = "baseline") -> Remark:
        """The gain there as a caution for a verdict (`gain_at`).

        Args:
            baseline: The baseline's name.
        """
        who = "the baseline" if baseline == "baseline" else f"'{shown(baseline)}'"
        gain = self.gain
        interval = points_confidence(gain.low, gain.high, confidence=gain.confidence)
        text = f"Where {who} fails {share(self.failure_rate)} of the time the gain "
        if self.method == "cross-seed slope":
            text += f"is {points(gain.value)} ({interval}; cross-seed slope)."
        else:
            text += (
                f"lies between {points(self.unchanged)} (no change) and {points(self.line)} (r and d as they are); "
                f"{interval} for all of that. "
            )
            if self.several_seeds:
                text += f"The runs of {who} hardly agree within a task: they cannot tell where."
            else:
                text += "One run a task cannot tell where, whether or not the arms shared their draws; several seeds "
                text += "can."
        values: dict[str, object] = {
            "failure_rate": self.failure_rate,
            "gain": self.gain.to_dict(),
            "method": self.method,
            "unchanged": self.unchanged,
            "line": self.line,
        }
        return Remark(code="gain_at", text=text, values=values)


def cross_seed_slope(outcomes: ClusteredOutcomes) -> Slope | None:
    """β = Cov(D of one seed, Y₀ of another)/Cov(Y₀ of one seed, Y₀ of another), across tasks.

    Args:
        outcomes: Tasks with at least two baseline seeds count; others are left out.

    Returns:
        None with fewer than three such tasks, or an intra-task correlation below .15.
    """
    moments = _moments(outcomes)
    return None if len(moments) < 3 else _slope(moments.mean(axis=0), _products(moments))


def gain_at(
    outcomes: Outcomes, *, failure_rate: float, confidence: float = 0.95, guarantee: Guarantee = "calibrated"
) -> GainAt:
    """The gain at another failure rate: Δ − β(p′ − p) where the slope can be had, else between Δ and the naive line.

    Args:
        outcomes: Of the pilot; the slope needs at least two seeds per task.
        failure_rate: p′, between 0 and 1.
        confidence: Of the interval: a jackknife over tasks for the slope. Else it reaches from the lower one of the
            ends for Δ and for the line (MOVER from Wilson's limits) to the higher one: where the truth is between the
            two, it errs on a side only where that one's does.
        guarantee: Of the pilot's own gain, as in the rule; the slope's interval has none.

    Raises:
        InvalidInput: A rate out of range, no pairs, or seeds that are not paired where no slope can be had.

    Source: cross-seed moments as in instrumental-variable estimates of regression with measurement error; MOVER: Zou &
    Donner (2008, Statistics in Medicine 27:1693). Checked: recovers known r and d from coupled and independent
    data; coverage by simulation in both designs.
    """
    return gain_curve(outcomes, failure_rates=[failure_rate], confidence=confidence, guarantee=guarantee)[0]


def gain_curve(
    outcomes: Outcomes,
    *,
    failure_rates: Sequence[float],
    confidence: float = 0.95,
    guarantee: Guarantee = "calibrated",
) -> tuple[GainAt, ...]:
    """The break-even chart: `gain_at` over failure rates; what they have in common is computed once.

    Raises:
        InvalidInput: As `gain_at`.
    """
    check_confidence(confidence)
    without_slope: _WithoutSlope | None = None
    found = []
    for rate in failure_rates:
        if not 0 <= rate <= 1:
            raise InvalidInput(f"failure_rate is a fraction between 0 and 1, got {rate!r}.")
        gain = _gain_by_slope(outcomes, rate, confidence) if isinstance(outcomes, ClusteredOutcomes) else None
        if gain is not None:
            found.append(GainAt(failure_rate=rate, gain=gain, method="cross-seed slope"))
            continue
        without_slope = without_slope or _WithoutSlope.of(outcomes, confidence, guarantee)
        found.append(without_slope.at(rate))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _WithoutSlope:
    """What is known of the gain elsewhere where no slope is: the gain here, r and d."""

    unchanged: Estimate
    recovery: Estimate
    disruption: Estimate
    several_seeds: bool

    @classmethod
    def of(cls, outcomes: Outcomes, confidence: float, guarantee: Guarantee) -> Self:
        table = outcomes if isinstance(outcomes, PairedOutcomes) else outcomes.table
        if table is None:
            raise InvalidInput("without a slope the gain elsewhere needs pairs of runs: as many seeds under both arms.")
        if not table.failures or not table.successes:
            raise InvalidInput(
                "the gain elsewhere needs failures and successes of the baseline; the pilot has only one kind."
            )
        rates = inference(outcomes).rates(confidence)
        assert rates.recovery is not None, "the baseline fails"
        assert rates.disruption is not None, "the baseline succeeds"
        return cls(
            unchanged=_gain(outcomes, confidence, guarantee),
            recovery=rates.recovery,
            disruption=rates.disruption,
            several_seeds=isinstance(outcomes, ClusteredOutcomes) and any(len(runs) > 1 for runs in outcomes.baseline),
        )

    def at(self, failure_rate: float) -> GainAt:
        confidence, unchanged = self.unchanged.confidence, self.unchanged
        line = _combined([(failure_rate, self.recovery), (failure_rate - 1, self.disruption)], confidence)
        ends = min(line.low, unchanged.low), max(line.high, unchanged.high)
        return GainAt(
            failure_rate=failure_rate,
            gain=Estimate(value=None, low=ends[0], high=ends[1], confidence=confidence),
            method="between no change and the line",
            unchanged=unchanged.value,
            line=line.value,
            several_seeds=self.several_seeds,
        )


# --- The slope ----------------------------------------------------------------------------------------------


def _moments(outcomes: ClusteredOutcomes) -> Floats:
    """(tasks, 4): mean of D, mean of Y₀, mean over different seeds of D·Y₀′ and of Y₀·Y₀′."""
    rows, paired = [], outcomes.paired_seeds
    for before, after in zip(outcomes.baseline, outcomes.treated, strict=True):
        k = len(before)
        if k < 2:
            continue
        base, treated = sum(before), sum(after)
        square = (base * base - base) / (k * (k - 1))
        if paired:
            both = sum(b and a for b, a in zip(before, after, strict=True))
            cross = (treated * base - both) / (k * (k - 1))
        else:  # no treated run shares its draws with a baseline run: all combinations are of different seeds
            cross = treated / len(after) * base / k
        rows.append((treated / len(after) - base / k, base / k, cross - square, square))
    return np.array(rows).reshape(-1, 4)


def _products(moments: Floats) -> tuple[float, float]:
    """Unbiased E[D]·E[Y₀] and E[Y₀]²: products of means over different tasks."""
    n = len(moments)
    d, y = moments[:, 0], moments[:, 1]
    return (
        float(d.sum() * y.sum() - d @ y) / (n * (n - 1)),
        float(y.sum() ** 2 - y @ y) / (n * (n - 1)),
    )


def _slope(means: Floats, products: tuple[float, float]) -> Slope | None:
    spread = float(means[3]) - products[1]
    variance = float(means[1] * (1 - means[1]))
    correlation = spread / variance if variance > 0 else 0.0
    if correlation < LEAST_CORRELATION:
        return None
    return Slope(value=(float(means[2]) - products[0]) / spread, correlation=correlation)


def _gain_by_slope(outcomes: ClusteredOutcomes, failure_rate: float, confidence: float) -> Estimate | None:
    moments = _moments(outcomes)
    n = len(moments)
    slope = None if n < 3 else _slope(moments.mean(axis=0), _products(moments))
    if slope is None:
        return None
    p = 1 - float(moments[:, 1].mean())
    value = float(moments[:, 0].mean()) - slope.value * (failure_rate - p)
    # Leave one task out: sums minus that task's, for all tasks at once.
    means = (moments.sum(axis=0) - moments) / (n - 1)
    d, y = moments[:, 0], moments[:, 1]
    cross = (d.sum() - d) * (y.sum() - y) - (d @ y - d * y)
    square = (y.sum() - y) ** 2 - (y @ y - y * y)
    pairs = (n - 1) * (n - 2)
    spreads = means[:, 3] - square / pairs
    if (spreads <= 0).any():  # one task carries all that the tasks differ by: without it there is no slope
        return None
    slopes = (means[:, 2] - cross / pairs) / spreads
    replicates = means[:, 0] - slopes * (failure_rate - (1 - means[:, 1]))
    error = math.sqrt((n - 1) / n * float(((replicates - replicates.mean()) ** 2).sum()))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * error
    value = min(max(value, -1.0), 1.0)
    return Estimate(value=value, low=max(-1.0, value - half), high=min(1.0, value + half), confidence=confidence)


# --- The mix ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedGain:
    """The gain on a mix of strata that differs from the pilot's."""

    gain: Estimate
    """`value` is None where a stratum of the mix has no pilot tasks: its part is bounded, not estimated."""
    by_stratum: Mapping[str, Estimate]
    uncovered: float
    """Weight of the strata without pilot tasks."""
    cautions: tuple[Remark, ...]

    def remarks(self, *, margin: float) -> tuple[Remark, ...]:
        """The gain on that mix as cautions for a verdict (`deployment_mix`), with what is to be said of the strata.

        Args:
            margin: Whether the gain is shown to exceed it, −1 < margin < 1.
        """
        gain = self.gain
        above = gain.low > margin
        text = (
            f"On the mix given the gain is {points(gain.value)} "
            f"({points_confidence(gain.low, gain.high, confidence=gain.confidence)}): "
            f"{'also there above' if above else 'not shown to exceed'} {points(margin)}."
        )
        values: dict[str, object] = {"gain": self.gain.to_dict(), "margin": margin, "above": above}
        return Remark(code="deployment_mix", text=text, values=values), *self.cautions


def post_stratified_gain(
    strata: Mapping[str, Outcomes],
    *,
    mix: Mapping[str, float],
    confidence: float = 0.95,
    guarantee: Guarantee = "calibrated",
) -> MixedGain:
    """The gain on the deployment's mix: each stratum's gain times its weight there, with a MOVER interval.

    A stratum of the mix without pilot tasks can be anything from −1 to 1 and widens the interval by its weight on both
    sides. Strata of the pilot that the mix does not name are left out.

    Args:
        strata: The pilot's outcomes by stratum.
        mix: Weight of each stratum in deployment; shares that add up to 1.
        confidence: Two-sided coverage, 0 < confidence < 1.
        guarantee: Of each stratum's gain, as in the rule.

    Raises:
        InvalidInput: Weights that are negative or do not add up to 1, or no stratum in common.

    Source: MOVER, Zou & Donner (2008), from per-stratum Tango limits. Checked: simulated coverage.
    """
    check_confidence(confidence)
    if not mix or any(not (isinstance(w, int | float) and w >= 0) for w in mix.values()):
        raise InvalidInput("the mix needs a weight of 0 or more for each stratum.")
    if abs(sum(mix.values()) - 1) > 1e-6:
        raise InvalidInput(f"the weights of the mix must add up to 1, got {sum(mix.values()):.6g}. Give shares.")
    weights = {name: float(weight) for name, weight in mix.items() if weight > 0}
    known = [name for name in weights if name in strata and _tasks(strata[name])]
    if not known:
        raise InvalidInput(
            f"no stratum of the mix ({listed(weights)}) has tasks in the pilot ({listed(strata)}). Check the names."
        )
    by_stratum = {name: _gain(strata[name], confidence, guarantee) for name in known}
    combined = _combined([(weights[name], by_stratum[name]) for name in known], confidence)
    unknown = [name for name in weights if name not in by_stratum]
    uncovered = sum(weights[name] for name in unknown)
    cautions = []
    if unknown:
        text = (
            f"{percent(uncovered, 0)} of the mix ({listed(unknown)}) has no pilot tasks: the interval allows for any "
            "gain there, and no single gain is stated."
        )
        cautions.append(Remark(code="uncovered_strata", text=text, values={"weight": uncovered, "strata": unknown}))
    thin = [name for name in known if _tasks(strata[name]) < _FEW]
    if thin:
        text = f"Fewer than {_FEW} pilot tasks stand for {listed(shown(name) for name in thin)}."
        cautions.append(Remark(code="thin_strata", text=text, values={"fewer_than": _FEW, "strata": thin}))
    gain = Estimate(
        value=combined.value if not unknown else None,
        low=max(-1.0, combined.low - uncovered),
        high=min(1.0, combined.high + uncovered),
        confidence=confidence,
    )
    return MixedGain(gain=gain, by_stratum=by_stratum, uncovered=uncovered, cautions=tuple(cautions))


def _tasks(outcomes: Outcomes) -> int:
    return outcomes.pairs if isinstance(outcomes, PairedOutcomes) else outcomes.tasks


def _gain(outcomes: Outcomes, confidence: float, guarantee: Guarantee) -> Estimate:
    if isinstance(outcomes, ClusteredOutcomes) and outcomes.tasks < 2 and not outcomes.one_pair_per_task:
        # The seeds of one task say nothing about its stratum.
        return Estimate(value=outcomes.success_gain, low=-1.0, high=1.0, confidence=confidence)
    return inference(outcomes, guarantee=guarantee).gain(confidence)


def _combined(terms: Sequence[tuple[float, Estimate]], confidence: float) -> Estimate:
    """Σ weight·estimate with MOVER limits: each side adds the squares of what its terms may lose on that side."""
    value, below, above = 0.0, 0.0, 0.0
    for weight, estimate in terms:
        at = estimate.value or 0.0
        down, up = at - estimate.low, estimate.high - at
        if weight < 0:
            down, up = up, down
        value += weight * at
        below += (weight * down) ** 2
        above += (weight * up) ** 2
    low, high = max(-1.0, value - math.sqrt(below)), min(1.0, value + math.sqrt(above))
    return Estimate(value=value, low=low, high=high, confidence=confidence)
