"""Simulated pilots from a stated truth, and what any rule would do with them.

The truth is about tasks: each has its own chance of success, the critic triggers on some runs, an intervention recovers
failures and disrupts successes, and what is not shared between the arms churns.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.missing import Outcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.decision import decide
from forbear.stats.rule import DecisionRule

Rule = Callable[[Outcomes], str]
"""Any way to decide: from a pilot's outcomes to the name of a decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotTruth:
    """What a simulated pilot draws from.

    Raises:
        InvalidInput: A share outside [0, 1], or no tasks or seeds.
    """

    tasks: int
    seeds: int = 1
    success_rate: float
    """Mean chance of success under the baseline."""
    agreement: float = 0.5
    """Intra-task correlation of the baseline: 0, every task has the same chance; 1, it always or never succeeds."""
    recovery_rate: float
    """Of the runs that would fail and are intervened upon, the share that succeeds."""
    disruption_rate: float
    """Of the runs that would succeed and are intervened upon, the share that fails."""
    trigger_rate: float = 1.0
    """Share of runs that are intervened upon, whatever their outcome would be."""
    coupled: bool = True
    """Whether the arms share a run up to the intervention; else the treated arm draws its own run (churn)."""

    def __post_init__(self) -> None:
        for name in ("success_rate", "agreement", "recovery_rate", "disruption_rate", "trigger_rate"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidInput(f"{name} is a fraction between 0 and 1, got {getattr(self, name)!r}.")
        if not (1 <= self.tasks <= 1_000_000 and 1 <= self.seeds <= 1000):
            raise InvalidInput(
                f"a pilot has 1 to 1,000,000 tasks and 1 to 1,000 seeds, got {self.tasks!r} and {self.seeds!r}."
            )

    @property
    def gain(self) -> float:
        """Δ: trigger·((1 − s)·r − s·d)."""
        failed = 1 - self.success_rate
        return self.trigger_rate * (failed * self.recovery_rate - self.success_rate * self.disruption_rate)


def draw_pilot(truth: PilotTruth, *, rng: np.random.Generator) -> Outcomes:
    """One pilot; a plain table where each task has one seed."""
    shape = (truth.tasks, truth.seeds)
    chance = _chances(truth, rng)[:, None]
    baseline = rng.random(shape) < chance
    alone = baseline if truth.coupled else rng.random(shape) < chance
    triggered = rng.random(shape) < truth.trigger_rate
    changed = triggered & (rng.random(shape) < np.where(alone, truth.disruption_rate, truth.recovery_rate))
    treated = alone ^ changed
    if truth.seeds == 1:
        return PairedOutcomes.from_outcomes(
            baseline=baseline[:, 0],  # type: ignore[arg-type]  # arrays are sequences of booleans
            treated=treated[:, 0],  # type: ignore[arg-type]
        )
    return ClusteredOutcomes(baseline=tuple(map(tuple, baseline.tolist())), treated=tuple(map(tuple, treated.tolist())))


def _chances(truth: PilotTruth, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Chances of success of all tasks: Beta with the asked mean and intra-task correlation 1/(a + b + 1)."""
    mean = truth.success_rate
    if truth.agreement in (0.0, 1.0) or mean in (0.0, 1.0):
        certain = (rng.random(truth.tasks) < mean).astype(float)
        return certain if truth.agreement == 1.0 else np.full(truth.tasks, mean)
    size = 1 / truth.agreement - 1
    return rng.beta(mean * size, (1 - mean) * size, size=truth.tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingCharacteristics:
    """How often a rule said what."""

    truth: PilotTruth
    pilots: int
    decisions: Mapping[str, float]
    """Decision → share of pilots, largest first."""
    gain: float
    """Mean observed gain; the truth's is `truth.gain`."""
    standard_error: float
    """Of each share, at worst: √(¼/pilots)."""


def simulate(
    truth: PilotTruth, *, rng: np.random.Generator, rule: DecisionRule | Rule = DecisionRule(), pilots: int = 1000
) -> OperatingCharacteristics:
    """Draws pilots from a truth and applies a rule to each.

    Args:
        truth: What the pilots draw from.
        rng: Source of the draws.
        rule: A rule for `decide`, or any function from outcomes to the name of a decision.
        pilots: How many, 1 or more.

    Raises:
        InvalidInput: No pilots, or what `decide` refuses.
    """
    if pilots < 1:
        raise InvalidInput(f"pilots must be 1 or more, got {pilots!r}.")
    known: dict[PairedOutcomes, str] = {}

    def verdict(outcomes: Outcomes) -> str:
        if not isinstance(rule, DecisionRule):
            return rule(outcomes)
        if not isinstance(outcomes, PairedOutcomes):
            return decide(outcomes, rule).recommendation.value
        if outcomes not in known:  # a small pilot shows the same table again and again
            known[outcomes] = decide(outcomes, rule).recommendation.value
        return known[outcomes]

    decisions, gains = Counter[str](), 0.0
    for _ in range(pilots):
        outcomes = draw_pilot(truth, rng=rng)
        decisions[verdict(outcomes)] += 1
        gains += outcomes.success_gain or 0.0
    return OperatingCharacteristics(
        truth=truth,
        pilots=pilots,
        decisions=MappingProxyType({name: count / pilots for name, count in decisions.most_common()}),
        gain=gains / pilots,
        standard_error=(0.25 / pilots) ** 0.5,
    )


def point_rule(outcomes: Outcomes) -> str:
    """The study's rule, "deploy if p > p*": deploys where more was recovered than disrupted."""
    return "deploy" if (outcomes.success_gain or 0.0) > 0 else "leave off"
