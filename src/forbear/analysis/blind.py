"""What an arm gains on the same intervention at random moments, and which rates make those moments match.

The comparison is outside of Holm's family: it deploys nothing.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Self

from forbear.analysis.result import ArmResult, PilotResult
from forbear.errors import InvalidInput
from forbear.stats.decision import decide_arms
from forbear.stats.intervals import Estimate
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import Remark
from forbear.wording import percent, points, points_confidence, pvalue, share, shown

FEWEST = 20
"""First proposals at a step from which on it has a rate of its own; those of all later steps are taken together."""

_HALVINGS = 40

MOST_APART = 0.2
"""How far the interventions per episode of both may lie apart, as a share of the arm's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgainstBlind:
    """An arm beside its blind control, on the same tasks."""

    arm: str
    blind: str
    tasks: int
    gain: Estimate
    """Success rate of the arm minus that of the blind one, with the interval of a verdict."""
    p_value: float
    """Of a gain of 0 or less."""
    p_value_worse: float
    """Of a gain of 0 or more."""
    alpha: float
    interventions: float
    """Of the arm, per episode."""
    blind_interventions: float
    touched: float
    """Share of the arm's episodes with an intervention: a critic may bunch them."""
    blind_touched: float
    rates: tuple[float, ...]
    """Those with which the blind one would have intervened as often as the arm."""

    @property
    def is_better(self) -> bool:
        """Whether the critic is shown to matter."""
        return self.p_value <= self.alpha and self.gain.low > 0

    @property
    def is_worse(self) -> bool:
        """Whether the critic is shown to do worse than random moments."""
        return self.p_value_worse <= self.alpha and self.gain.high < 0

    @property
    def is_matched(self) -> bool:
        """Whether both intervened about as often."""
        return abs(self.blind_interventions - self.interventions) <= MOST_APART * self.interventions

    def remarks(self) -> tuple[Remark, ...]:
        """What is said of it beside the arm's verdict."""
        arm, blind, gain = f"'{shown(self.arm)}'", f"'{shown(self.blind)}'", self.gain
        code, says = "critic_not_shown_to_matter", "The critic is not shown to matter"
        if self.is_better:
            code, says = "critic_matters", "The critic is shown to matter"
        elif self.is_worse:
            code, says = "critic_worse_than_blind", "The critic is shown to do worse than random moments"
        p = pvalue(self.p_value_worse if self.is_worse else self.p_value, name="p")
        each = (
            f"{self.interventions:.2f} and {self.blind_interventions:.2f} interventions per episode, in "
            f"{percent(self.touched, 0)} and {percent(self.blind_touched, 0)} of the episodes"
        )
        found = Remark(
            code=code,
            text=f"{says}: {arm} against {blind}, the same at random moments, {points(gain.value)} "
            f"({points_confidence(gain.low, gain.high, confidence=gain.confidence)}, {p}; {each}).",
            values=self.values(),
        )
        if self.is_matched:
            return (found,)
        apart = Remark(
            code="blind_mismatch",
            text=f"{blind} intervened {self.blind_interventions:.2f} times per episode, {arm} {self.interventions:.2f} "
            f"times: more than {share(MOST_APART)} apart, so that two doses are compared. For a new pilot: rates = "
            f"[{', '.join(f'{rate:g}' for rate in self.rates)}].",
            values={
                "blind_interventions_per_episode": self.blind_interventions,
                "interventions_per_episode": self.interventions,
                "most": MOST_APART,
                "rates": list(self.rates),
            },
        )
        return (found, apart)

    def values(self) -> dict[str, object]:
        """The numbers, by the names that they have in JSON."""
        return {
            "arm": self.arm,
            "blind": self.blind,
            "tasks": self.tasks,
            "gain": self.gain.to_dict(),
            "p_value": self.p_value,
            "p_value_worse": self.p_value_worse,
            "interventions_per_episode": self.interventions,
            "blind_interventions_per_episode": self.blind_interventions,
            "touched": self.touched,
            "blind_touched": self.blind_touched,
        }


def against_blind(result: PilotResult) -> dict[str, AgainstBlind]:
    """By arm that has a blind control: the paired difference, by the test of verdicts and with its looks.

    Left out where both have no pair in common, or too few for a verdict.
    """
    plan, found = result.plan, dict[str, AgainstBlind]()
    # "Is it better at all?", whatever gain would pay.
    rule = DecisionRule(alpha=plan.rule.alpha, guarantee=plan.rule.guarantee, missing=plan.rule.missing)
    for arm in plan.candidates:
        blind = plan.blind_to(arm)
        if blind is None:
            continue
        outcomes, missing = result.monitor.outcomes(arm, against=blind)
        if outcomes is None:
            continue
        try:
            verdict = decide_arms({arm: outcomes}, rule, missing={arm: missing})[arm]
        except InvalidInput:  # too little to say anything, such as a single task with several seeds
            continue
        dose, touched = zip(*(_dose(result.arms[name]) for name in (arm, blind)), strict=True)
        found[arm] = AgainstBlind(
            arm=arm,
            blind=blind,
            tasks=verdict.tasks,
            gain=verdict.success_gain,
            p_value=verdict.p_value_gain,
            p_value_worse=verdict.p_value_harm,
            alpha=rule.alpha,
            interventions=dose[0],
            blind_interventions=dose[1],
            touched=touched[0],
            blind_touched=touched[1],
            rates=tuple(matching_rates(result, arm)),
        )
    return found


def _dose(arm: ArmResult) -> tuple[float, float]:
    """Interventions per episode, and the share of episodes that had one."""
    episodes = max(arm.episodes, 1)
    return arm.interventions / episodes, sum(arm.first_interventions.values()) / episodes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rhythm:
    """When a policy may act at all."""

    budget: int
    min_step: int
    cooldown: int
    retries: bool
    """Its intervention has the agent propose again, at the same step."""


_State = tuple[int, int | None]
"""Interventions so far, and steps since the last one (None: none yet)."""


def matching_rates(result: PilotResult, arm: str) -> list[float]:
    """By step, the rates at which a `BlindCritic` intervenes as often there as an arm did; to three decimals.

    Solved forward, step by step, for the interventions that are expected of runs that are all alike: what the budget
    or a cooldown forbids is reckoned with, and so is how far the runs of its blind arm came, where there is one. Empty
    where the arm never intervened.

    Args:
        result: Of a pilot, or of its first tasks.
        arm: One with a policy.
    """
    policy, own = result.plan.arms[arm].policy, _Counts.of(result, arm)
    if policy is None or not any(own.acted.values()):
        return []
    blind = result.plan.blind_to(arm)
    wanted = own.wanted(own if blind is None or not result.arms[blind].episodes else _Counts.of(result, blind))
    rhythm = _Rhythm(
        budget=policy["budget"], min_step=policy["min_step"], cooldown=policy["cooldown"], retries=own.retries
    )
    rates, states = list[float](), dict[_State, float]({(0, None): 1.0})
    for step, target in enumerate(wanted):
        rate = _solved(states, target, step=step, rhythm=rhythm)
        _, states = _after(states, rate, step=step, rhythm=rhythm)
        rates.append(round(rate, 3))
    return rates


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """What the runs of an arm did, by step index."""

    episodes: int
    came: Counter[int]
    """How often a run came to the step; more than once where steps were undone."""
    acted: Counter[int]
    """Interventions there."""
    retries: bool
    """Whether one was followed by another proposal at the same step."""

    @classmethod
    def of(cls, result: PilotResult, arm: str) -> Self:
        came, acted, retries = Counter[int](), Counter[int](), False
        for key, episode in result.episodes.items():
            for step in episode.steps if key[2] == arm else ():
                came[step.index] += 1
                applied = [proposal.intervened for proposal in step.proposals]
                acted[step.index] += sum(applied)
                retries = retries or any(applied[:-1])
        return cls(episodes=result.arms[arm].episodes, came=came, acted=acted, retries=retries)

    def wanted(self, other: "_Counts") -> list[float]:
        """Interventions for a run of another arm at each step that it comes to; the last of all later ones."""
        size = max(other.came) + 1
        own = next((step for step in range(size) if other.came[step] < FEWEST), size)
        parts = [[step] for step in range(own)] + ([list(range(own, size))] if own < size else [])
        return [
            sum(self.acted[step] for step in part)
            / self.episodes
            / (sum(other.came[step] for step in part) / other.episodes)
            for part in parts
        ]


def _solved(states: dict[_State, float], target: float, *, step: int, rhythm: _Rhythm) -> float:
    """The rate that gives so many interventions; 1 where none gives as many."""
    low, high = 0.0, 1.0
    if _after(states, high, step=step, rhythm=rhythm)[0] <= target:
        return high if target > 0 else 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _after(states, middle, step=step, rhythm=rhythm)[0] > target else (middle, high)
    return high


def _after(
    states: dict[_State, float], rate: float, *, step: int, rhythm: _Rhythm
) -> tuple[float, dict[_State, float]]:
    """Interventions expected at a step, and the states after it."""
    expected, after = 0.0, defaultdict[_State, float](float)
    for (used, since), weight in states.items():
        while True:
            rests = since is not None and since < rhythm.cooldown
            if step < rhythm.min_step or used >= rhythm.budget or rests or weight == 0:
                break
            expected += weight * rate
            after[used, None if since is None else since + 1] += weight * (1 - rate)
            used, since, weight = used + 1, 0, weight * rate
            if not rhythm.retries:
                break
        after[used, None if since is None else since + 1] += weight
    return expected, dict(after)
