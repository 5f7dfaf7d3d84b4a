"""From paired outcomes to a verdict: INTERVENE, FORBEAR or UNDECIDED, with the numbers and the reasons."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Self, TypeAlias

from forbear.errors import InvalidInput
from forbear.outcomes.graded import GradedOutcomes
from forbear.outcomes.missing import MissingOutcomes, Outcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats import remarks
from forbear.stats.dirichlet import units_needed
from forbear.stats.exact import OneSided, exact_unconditional
from forbear.stats.inference import Inference, inference
from forbear.stats.intervals import Estimate
from forbear.stats.looks.anytime import Anytime, AnytimeOutcomes
from forbear.stats.looks.sequential import Sequential, SequentialOutcomes
from forbear.stats.planning import approximate_tasks_needed, least_tasks
from forbear.stats.remarks import MOST_TASKS, TARGET_POWER
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import AtAnyTime, Look, Recommendation, Remark, Verdict
from forbear.wording import described

AnyOutcomes = Outcomes | GradedOutcomes | SequentialOutcomes | AnytimeOutcomes
"""Looked at once (pairs, several seeds, graded scores), at declared looks, or whenever one likes."""

_Target: TypeAlias = tuple[float, OneSided, float]
"""A gain that is to be told from, on which side of it, and the level."""

_FEWEST_CHECKED = 400
"""Pairs up to which a size that is named is checked by the exact test; above, the approximation is good."""


def decide(
    outcomes: AnyOutcomes,
    rule: DecisionRule = DecisionRule(),
    *,
    missing: MissingOutcomes[AnyOutcomes] | None = None,
    unpaired: Mapping[str, int] | None = None,
    cautions: Sequence[Remark] = (),
) -> Verdict:
    """Decides whether to intervene: the same data and rule always give the same verdict.

    INTERVENE if Δ ≤ margin is rejected at `alpha` and Δ ≥ worthwhile is not rejected; FORBEAR if Δ ≥ worthwhile is
    rejected at `harm_alpha` (harmful if Δ ≥ 0 is too); else UNDECIDED, which is never deployed. A hypothesis counts as
    rejected when both the test and the interval beside it reject it, so the two never contradict each other. One pair
    per task: the exact unconditional test and Tango's interval (above 2,000 pairs the score test alone). Several seeds
    per task: Dirichlet weights over tasks with the worst value added, and the interval that inverts them; the same for
    graded scores. A pilot that was looked at on the way: sequential p-values and repeated confidence intervals. A
    stream without a planned size: e-processes and confidence sequences, valid after every task.

    Args:
        outcomes: One pair per task (a table), several seeds per task, either with the looks that were declared, or a
            stream of either; or graded scores. At least one pair, or two tasks.
        rule: Margin, worthwhile gain and error rates.
        missing: Runs without an outcome (`planned_outcomes` makes both); counted as the rule says, bounded, and the
            verdict re-tested there.
        unpaired: Tasks left out of the table, by arm; echoed.
        cautions: What the caller knows and the table does not; listed first.

    Raises:
        InvalidInput: No pairs, or an argument of another type.
    """
    for name, value, kind in (("missing", missing, MissingOutcomes), ("unpaired", unpaired, Mapping)):
        if value is not None and not isinstance(value, kind):
            raise InvalidInput(f"{name} must be a {kind.__name__} or None, got {described(value)}.")
    listed = cautions if isinstance(cautions, Sequence) and not isinstance(cautions, str | bytes) else [None]
    if not all(isinstance(remark, Remark) for remark in listed):
        raise InvalidInput(f"cautions must be a sequence of Remark, got {described(cautions)}.")
    arm = "treated"
    left_out, said = {arm: unpaired or {}}, {arm: cautions}
    return decide_arms({arm: outcomes}, rule, missing={arm: missing}, unpaired=left_out, cautions=said)[arm]


def decide_arms(
    arms: Mapping[str, AnyOutcomes],
    rule: DecisionRule = DecisionRule(),
    *,
    missing: Mapping[str, MissingOutcomes[AnyOutcomes] | None] | None = None,
    unpaired: Mapping[str, Mapping[str, int]] | None = None,
    cautions: Mapping[str, Sequence[Remark]] | None = None,
) -> dict[str, Verdict]:
    """Decides on several treated arms that share a baseline: INTERVENE with family-wise error at most `alpha` (Holm).

    So is `harmful`, at `harm_alpha`. FORBEAR is judged arm by arm: it switches nothing on.

    Args:
        arms: The outcomes of each treated arm, as for `decide`. An arm that was dropped on the way stays in the family.
        rule: Margin, worthwhile gain and error rates, the same for all.
        missing: By treated arm, its runs without an outcome; re-tested with those of all arms filled at once.
        unpaired: By treated arm, tasks left out by arm; echoed.
        cautions: By treated arm; listed first.

    Raises:
        InvalidInput: No arms, an arm without pairs, or an argument of another type.
    """
    if not isinstance(arms, Mapping) or not arms:
        raise InvalidInput(f"decide_arms expects a mapping from arm to PairedOutcomes, got {described(arms)}.")
    holes = {name: found for name in arms if (found := (missing or {}).get(name)) is not None}
    cases = {name: _Case.of(outcomes, rule, holes.get(name)) for name, outcomes in arms.items()}
    family = _family(cases, rule, unpaired or {}, cautions or {})
    if not holes:
        return family
    # A hole of the shared baseline moves every arm, and with them Holm's factors: all are filled alike at once.
    fillings = [
        {name: found.worst for name, found in holes.items()},
        {name: found.best for name, found in holes.items()},
    ]
    bounds = [_family(cases | {name: _Case.of(full, rule) for name, full in fill.items()}, rule) for fill in fillings]
    return {
        name: replace(
            verdict,
            cautions=(
                *verdict.cautions,
                *remarks.on_missing(
                    verdict, holes.get(name), cases[name].tests(rule.margin), *(bound[name] for bound in bounds)
                ),
            ),
        )
        for name, verdict in family.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """An arm's evidence, and what INTERVENE also has to hold for."""

    data: Inference
    held: Inference | None = None
    _known: dict[float, tuple[float, float]] = field(default_factory=dict, compare=False)
    """By margin, the p-values of Δ ≤ margin: they are asked for by verdict, interval and words."""

    @classmethod
    def of(cls, outcomes: AnyOutcomes, rule: DecisionRule, missing: MissingOutcomes[AnyOutcomes] | None = None) -> Self:
        held = None
        if missing is not None and rule.missing != "exclude":
            held = missing.worst if rule.missing == "worst" else missing.charged
        return cls(data=_inference(outcomes, rule), held=None if held is None else _inference(held, rule))

    def p_gain(self, margin: float) -> float:
        """Of Δ ≤ margin: the larger of both."""
        return max(self._pvalues(margin))

    def _pvalues(self, margin: float) -> tuple[float, float]:
        """Without and with what INTERVENE also has to hold for."""
        if margin not in self._known:
            found = self.data.pvalue(margin, "greater")
            self._known[margin] = found, found if self.held is None else self.held.pvalue(margin, "greater")
        return self._known[margin]

    def tests(self, margin: float) -> tuple[float, float] | None:
        """The p-values of Δ ≤ margin without and with what INTERVENE also has to hold for; None for nothing more."""
        return None if self.held is None else self._pvalues(margin)

    def above(self, margin: float, alpha: float) -> bool:
        """Whether both intervals lie above the margin."""
        held = self.held is None or self.held.rules_out(margin, "greater", alpha)
        return held and self.data.rules_out(margin, "greater", alpha)


def _family(
    cases: Mapping[str, _Case],
    rule: DecisionRule,
    unpaired: Mapping[str, Mapping[str, int]] = {},
    cautions: Mapping[str, Sequence[Remark]] = {},
) -> dict[str, Verdict]:
    p_gain = holm({name: case.p_gain(rule.margin) for name, case in cases.items()})
    # "It helps" is more than "not worse": of a negative margin both are asked.
    p_zero = p_gain if rule.margin >= 0 else holm({name: case.p_gain(0.0) for name, case in cases.items()})
    p_harm = holm({name: case.data.pvalue(0.0, "less") for name, case in cases.items()})
    # What Holm asks of an arm that is not rejected yet, the rejected ones given.
    left = max(1, sum(p > rule.alpha for p in p_gain.values()))
    return {
        name: _verdict(
            case,
            rule,
            p_gain=p_gain[name],
            p_zero=p_zero[name],
            p_harm=p_harm[name],
            arms=len(cases),
            left=left,
            unpaired=unpaired.get(name, {}),
            cautions=cautions.get(name, ()),
        )
        for name, case in cases.items()
    }


def holm(pvalues: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values: rejecting those at most α keeps the family-wise error at α under any dependence.

    Args:
        pvalues: One p-value in [0, 1] per hypothesis.

    Returns:
        Adjusted p-values in [0, 1] under the same names, in the same order.

    Source: Holm (1979, Scand. J. Statist. 6:65). Checked: R's p.adjust values, and equality with the closed test
    by Bonferroni over every subset.
    """
    adjusted, largest = {}, 0.0
    for rank, name in enumerate(sorted(pvalues, key=lambda name: pvalues[name])):
        largest = max(largest, min(1.0, (len(pvalues) - rank) * pvalues[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in pvalues}


def _inference(outcomes: AnyOutcomes, rule: DecisionRule) -> Inference:
    if not isinstance(outcomes, AnyOutcomes):
        raise InvalidInput(
            f"decide expects PairedOutcomes, ClusteredOutcomes or GradedOutcomes, got {described(outcomes)}. "
            "From two lists of outcomes: "
            "PairedOutcomes.from_outcomes(baseline=..., treated=...)."
        )
    if not isinstance(rule, DecisionRule):
        raise InvalidInput(f"rule must be a DecisionRule, got {described(rule)}.")
    if isinstance(outcomes, SequentialOutcomes):
        return Sequential(outcomes, rule)
    if isinstance(outcomes, AnytimeOutcomes):
        return Anytime(outcomes)
    return inference(outcomes, guarantee=rule.guarantee)


def _verdict(
    case: _Case,
    rule: DecisionRule,
    *,
    p_gain: float,
    p_zero: float,
    p_harm: float,
    arms: int,
    left: int,
    unpaired: Mapping[str, int],
    cautions: Sequence[Remark],
) -> Verdict:
    data, confidence = case.data, 1 - 2 * rule.alpha
    p_worthwhile = data.pvalue(rule.worthwhile, "less")

    def below(pvalue: float, gain: float) -> bool:
        return pvalue <= rule.harm_alpha and data.rules_out(gain, "less", rule.harm_alpha)

    passes = p_gain <= rule.alpha and case.above(rule.margin, rule.alpha)
    helps = passes and (rule.margin >= 0 or (p_zero <= rule.alpha and case.above(0.0, rule.alpha)))
    too_little = below(p_worthwhile, rule.worthwhile)
    lowers = below(p_harm, 0.0)
    gain, rates, table = _shown_gain(case, rule, confidence, p_worthwhile), data.rates(confidence), data.table
    undecided, needed = not too_little and not passes, None
    if too_little:
        recommendation = Recommendation.FORBEAR
        reasons = remarks.to_forbear(rule, p_worthwhile, p_harm, lowers=lowers, passes=passes, helps=helps)
    elif passes:
        recommendation = Recommendation.INTERVENE
        reasons = remarks.to_intervene(rule, p_gain, p_zero, p_harm, helps=helps, lowers=lowers)
    else:
        recommendation = Recommendation.UNDECIDED
        needed = _tasks_for_a_verdict(data, gain.value or 0.0, rule, rule.alpha / left)
        reasons = [
            *remarks.undecided(data, gain, rule, held=case.tests(rule.margin), arms=arms),
            remarks.tasks_needed(data, needed, rule, left=left),
        ]
    return Verdict(
        recommendation=recommendation,
        harmful=too_little and lowers,
        futile=undecided and data.futile,
        tasks=data.tasks,
        pairs=data.pairs,
        both_fail=None if table is None else table.both_fail,
        recovered=None if table is None else table.recovered,
        disrupted=None if table is None else table.disrupted,
        both_succeed=None if table is None else table.both_succeed,
        failure_rate=rates.failure,
        recovery_rate=rates.recovery,
        disruption_rate=rates.disruption,
        break_even_failure_rate=rates.break_even,
        success_gain=gain,
        p_value_gain=p_gain,
        p_value_harm=p_harm,
        p_value_worthwhile=p_worthwhile,
        method=data.method(rule.margin) + (f", Holm over {arms} arms" if arms > 1 else ""),
        rule=rule,
        reasons=tuple(reasons),
        cautions=(*cautions, *remarks.cautions(data, gain, rule, arms=arms, left=left, undecided=undecided)),
        tasks_needed=needed,
        look=None
        if data.look is None
        else replace(data.look, stopped=_stopped(data.look, recommendation, futile=data.futile)),
        unpaired=dict(unpaired),
    )


def _shown_gain(case: _Case, rule: DecisionRule, confidence: float, p_worthwhile: float) -> Estimate:
    """The gain with an interval that holds whatever of margin and worthwhile gain its tests do not reject.

    The exact test and the interval beside it are two methods; where they differ the interval gives way.
    """
    gain = case.data.gain(confidence)
    low = gain.low if case.p_gain(rule.margin) <= rule.alpha else min(gain.low, rule.margin)
    high = gain.high if p_worthwhile <= rule.alpha else max(gain.high, rule.worthwhile)
    return replace(gain, low=low, high=high)


def _tasks_for_a_verdict(data: Inference, gain: float, rule: DecisionRule, alpha: float) -> int | None:
    """Tasks of a new pilot that would decide, were the truth as observed: the nearer of the two verdicts.

    Args:
        data: What was observed.
        gain: As estimated.
        rule: Margin and worthwhile gain.
        alpha: What several arms leave this one.
    """
    targets: list[_Target] = []
    if gain > rule.margin:
        targets.append((rule.margin, "greater", alpha))
    if gain < rule.worthwhile:
        targets.append((rule.worthwhile, "less", rule.harm_alpha))
    if data.units is None:
        sizes, tasks_each = [_pairs_needed(data.discordance, gain, target) for target in targets], data.tasks_per_pair
    else:
        units, weight = data.units
        needed = partial(units_needed, units, weight=weight, gain=gain, power=TARGET_POWER)
        sizes = [needed(margin=margin, alternative=side, alpha=level) for margin, side, level in targets]
        tasks_each = data.tasks / float(units.counts.sum())
    tasks = math.ceil(min((size for size in sizes if size is not None), default=MOST_TASKS + 1) * tasks_each)
    # A pilot that just failed to decide needs more than it had.
    return max(tasks, data.tasks + 1) if tasks <= MOST_TASKS else None


@lru_cache(maxsize=256)  # a pilot asks at its look and again for its report, and several arms may be alike
def _pairs_needed(discordance: float, gain: float, target: _Target) -> int | None:
    """By the normal approximation, and from there on the first size at which the very table to be expected decides.

    The approximation knows no tables.
    """
    margin, alternative, alpha = target
    discordance = max(discordance, abs(gain))
    pairs = approximate_tasks_needed(gain=gain, discordance=discordance, margin=margin, alpha=alpha, power=TARGET_POWER)
    least = least_tasks(margin=margin if alternative == "greater" else -margin, alpha=alpha, differing=discordance > 0)
    if pairs is None or least is None or max(pairs, least) > MOST_TASKS:
        return None
    pairs = max(pairs, least)
    while pairs <= _FEWEST_CHECKED:
        recovered, disrupted = (round(pairs * (discordance + sign * gain) / 2) for sign in (1, -1))
        same = max(0, pairs - recovered - disrupted)
        table = PairedOutcomes(both_fail=same, recovered=recovered, disrupted=disrupted, both_succeed=0)
        if exact_unconditional(table, margin=margin, alternative=alternative).pvalue <= alpha:
            return pairs
        pairs += 1 + pairs // 100
    return pairs


def _stopped(look: Look, recommendation: Recommendation, *, futile: bool) -> str | None:
    """Why a pilot with looks is over: `watch`, `decided`, `futile` or `last look`; None where it is not."""
    if isinstance(look, AtAnyTime):
        return None if recommendation is Recommendation.UNDECIDED else "decided"
    if recommendation is not Recommendation.UNDECIDED:
        # Between two looks only the watch can end an arm.
        return "watch" if look.number is None and recommendation is Recommendation.FORBEAR else "decided"
    if futile:
        return "futile"
    return None if look.next is not None else "last look"
