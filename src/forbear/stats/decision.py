"""From paired outcomes to a verdict: INTERVENE, FORBEAR or UNDECIDED, with the numbers and the reasons."""

from collections.abc import Mapping, Sequence

from forbear.errors import InvalidInput, described
from forbear.stats.exact import MAX_EXACT_PAIRS, GainTest, OneSided, exact_unconditional, score_test
from forbear.stats.intervals import Estimate, Interval, Rate, break_even_interval, paired_gain_interval
from forbear.stats.paired import PairedOutcomes
from forbear.stats.power import tasks_needed
from forbear.stats.verdict import DecisionRule, Recommendation, Remark, Verdict, points

_FEW_DISCORDANT = 10
"""Fewer differing pairs than this carry a caution: one task more or less then moves the p-value severalfold."""

_MOST_TASKS = 1_000_000


def decide(
    outcomes: PairedOutcomes,
    rule: DecisionRule = DecisionRule(),
    *,
    excluded: Mapping[str, int] | None = None,
    cautions: Sequence[Remark] = (),
) -> Verdict:
    """Decides whether to intervene: the same data and rule always give the same verdict.

    INTERVENE if Δ ≤ margin is rejected at `alpha` and Δ ≥ worthwhile is not rejected; FORBEAR if Δ ≥ worthwhile is
    rejected at `harm_alpha` (harmful if Δ ≥ 0 is too); else UNDECIDED, which is never deployed. A hypothesis counts as
    rejected when both the exact unconditional test and Tango's interval reject it, so the verdict never contradicts
    the interval beside it; above 2,000 pairs the score test alone decides.

    Args:
        outcomes: The paired table, one pair per task, at least one pair.
        rule: Margin, worthwhile gain and error rates.
        excluded: Tasks left out of the table, by arm; echoed.
        cautions: What the caller knows and the table does not; listed first.

    Raises:
        InvalidInput: No pairs, or an argument of another type.
    """
    _check(outcomes, rule)
    return _verdict(outcomes, rule, arms=1, excluded=excluded, cautions=cautions)


def decide_arms(
    arms: Mapping[str, PairedOutcomes],
    rule: DecisionRule = DecisionRule(),
    *,
    excluded: Mapping[str, Mapping[str, int]] | None = None,
    cautions: Mapping[str, Sequence[Remark]] | None = None,
) -> dict[str, Verdict]:
    """Decides on several treated arms that share a baseline: INTERVENE with family-wise error at most `alpha` (Holm).

    FORBEAR is judged arm by arm: it switches nothing on.

    Args:
        arms: One paired table per treated arm. An arm that was dropped on the way stays in the family.
        rule: Margin, worthwhile gain and error rates, the same for all.
        excluded: By treated arm, tasks left out by arm; echoed.
        cautions: By treated arm; listed first.

    Raises:
        InvalidInput: No arms, an arm without pairs, or an argument of another type.
    """
    if not isinstance(arms, Mapping) or not arms:
        raise InvalidInput(f"decide_arms expects a mapping from arm to PairedOutcomes, got {described(arms)}.")
    for outcomes in arms.values():
        _check(outcomes, rule)
    adjusted = holm({name: _test(outcomes, rule.margin, "greater").pvalue for name, outcomes in arms.items()})
    return {
        name: _verdict(
            outcomes,
            rule,
            arms=len(arms),
            adjusted=adjusted[name] if len(arms) > 1 else None,
            excluded=(excluded or {}).get(name),
            cautions=(cautions or {}).get(name, ()),
        )
        for name, outcomes in arms.items()
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


def _check(outcomes: PairedOutcomes, rule: DecisionRule) -> None:
    if not isinstance(outcomes, PairedOutcomes):
        raise InvalidInput(
            f"decide expects PairedOutcomes, got {described(outcomes)}. From two lists of outcomes: "
            "PairedOutcomes.from_outcomes(baseline=..., treated=...)."
        )
    if not isinstance(rule, DecisionRule):
        raise InvalidInput(f"rule must be a DecisionRule, got {described(rule)}.")
    if not outcomes.pairs:
        raise InvalidInput("there is nothing to decide on: no task has an outcome under both arms.")


def _test(pairs: PairedOutcomes, margin: float, alternative: OneSided) -> GainTest:
    test = exact_unconditional if pairs.pairs <= MAX_EXACT_PAIRS else score_test
    return test(pairs, margin=margin, alternative=alternative)


def _rejected(test: GainTest, alpha: float, *, pvalue: float | None = None) -> bool:
    # At some margins the exact test rejects a hair before the score interval does (margin −.05, α .025, N = 50).
    score = score_test(test.pairs, margin=test.margin, alternative=test.alternative)
    return (test.pvalue if pvalue is None else pvalue) <= alpha and score.pvalue < alpha


def _verdict(
    pairs: PairedOutcomes,
    rule: DecisionRule,
    *,
    arms: int,
    adjusted: float | None = None,
    excluded: Mapping[str, int] | None,
    cautions: Sequence[Remark],
) -> Verdict:
    confidence = 1 - 2 * rule.alpha
    at_margin = _test(pairs, rule.margin, "greater")
    at_worthwhile = _test(pairs, rule.worthwhile, "less")
    at_zero = at_worthwhile if rule.worthwhile == 0 else _test(pairs, 0.0, "less")
    p_gain = at_margin.pvalue if adjusted is None else adjusted
    helps = _rejected(at_margin, rule.alpha, pvalue=p_gain)
    too_little = _rejected(at_worthwhile, rule.harm_alpha)
    harmful = too_little and _rejected(at_zero, rule.harm_alpha)
    gain = _gain(pairs, confidence)
    if too_little:
        recommendation = Recommendation.FORBEAR
        reasons = _reasons_to_forbear(rule, at_worthwhile.pvalue, at_zero.pvalue, harmful=harmful, helps=helps)
    elif helps:
        recommendation = Recommendation.INTERVENE
        reasons = [_remark("gain_above_margin", f"A gain of {points(rule.margin)} or less is rejected ({_p(p_gain)}).")]
    else:
        recommendation = Recommendation.UNDECIDED
        reasons = []
    needed = _tasks_for_a_verdict(pairs, rule) if recommendation is Recommendation.UNDECIDED else None
    if recommendation is Recommendation.UNDECIDED:
        reasons = _reasons_undecided(gain, needed)
    break_even = break_even_interval(pairs, confidence=confidence)
    return Verdict(
        recommendation=recommendation,
        harmful=harmful,
        futile=False,
        tasks=pairs.pairs,
        pairs=pairs.pairs,
        both_fail=pairs.both_fail,
        recovered=pairs.recovered,
        disrupted=pairs.disrupted,
        both_succeed=pairs.both_succeed,
        failure_rate=Rate(k=pairs.failures, n=pairs.pairs).estimate(confidence=confidence),
        recovery_rate=_rate(pairs.recovered, pairs.failures, confidence),
        disruption_rate=_rate(pairs.disrupted, pairs.successes, confidence),
        break_even_failure_rate=_estimate(pairs.break_even_failure_rate, break_even, confidence),
        success_gain=gain,
        p_value_gain=p_gain,
        p_value_harm=at_zero.pvalue,
        p_value_worthwhile=at_worthwhile.pvalue,
        method=at_margin.method + (f", Holm over {arms} arms" if arms > 1 else ""),
        rule=rule,
        reasons=tuple(reasons),
        cautions=(*cautions, *_cautions(pairs, arms)),
        tasks_needed=needed,
        excluded=dict(excluded or {}),
    )


def _gain(pairs: PairedOutcomes, confidence: float) -> Estimate:
    bounds = paired_gain_interval(pairs, confidence=confidence)
    return Estimate(value=pairs.success_gain, low=bounds.low, high=bounds.high, confidence=confidence)


def _rate(k: int, n: int, confidence: float) -> Estimate | None:
    return Rate(k=k, n=n).estimate(confidence=confidence) if n else None


def _estimate(value: float | None, bounds: Interval | None, confidence: float) -> Estimate | None:
    return None if bounds is None else Estimate(value=value, low=bounds.low, high=bounds.high, confidence=confidence)


def _tasks_for_a_verdict(pairs: PairedOutcomes, rule: DecisionRule) -> int | None:
    """Tasks of a new pilot that would decide, were the truth as observed: the nearer of the two verdicts."""
    gain, discordance = pairs.success_gain or 0.0, pairs.discordant / pairs.pairs
    targets = []
    if gain > rule.margin:
        targets.append(tasks_needed(gain=gain, discordance=discordance, margin=rule.margin, alpha=rule.alpha))
    if gain < rule.worthwhile:
        targets.append(tasks_needed(gain=gain, discordance=discordance, margin=rule.worthwhile, alpha=rule.harm_alpha))
    tasks = min((n for n in targets if n is not None), default=_MOST_TASKS + 1)
    # A pilot that just failed to decide needs at least as many again.
    return max(tasks, pairs.pairs) if tasks <= _MOST_TASKS else None


def _reasons_to_forbear(
    rule: DecisionRule, p_worthwhile: float, p_harm: float, *, harmful: bool, helps: bool
) -> list[Remark]:
    reasons = [
        _remark(
            "gain_below_worthwhile",
            f"A gain of {points(rule.worthwhile)} or more, the least that would pay, is rejected ({_p(p_worthwhile)}).",
        )
    ]
    if harmful:
        reasons.append(_remark("harmful", f"It lowers success: no change or better is rejected too ({_p(p_harm)})."))
    if helps:
        reasons.append(_remark("helps_too_little", "It helps, but not enough to pay."))
    return reasons


def _reasons_undecided(gain: Estimate, needed: int | None) -> list[Remark]:
    loss, best = max(0.0, -gain.low), max(0.0, gain.high)
    reasons = [
        _remark(
            "inconclusive",
            f"Compatible with a loss of up to {100 * loss:.1f} pp and with a gain of up to {100 * best:.1f} pp: "
            "leave it off.",
        )
    ]
    if needed is None:
        text = "If the truth is as observed, no pilot of a million tasks would decide."
    else:
        text = f"If the truth is as observed, a new pilot needs about {needed:,} tasks to decide (80% of the time)."
    return [*reasons, _remark("tasks_needed", text)]


def _cautions(pairs: PairedOutcomes, arms: int) -> list[Remark]:
    cautions = []
    if pairs.discordant < _FEW_DISCORDANT:
        cautions.append(
            _remark(
                "few_discordant",
                f"Only {pairs.discordant} of {pairs.pairs} pairs differ between the arms; all evidence lies in those.",
            )
        )
    if arms > 1:
        cautions.append(
            _remark(
                "several_arms",
                f"{arms} arms were compared: p-values for a gain are Holm's, intervals and rates are each arm's own.",
            )
        )
    return cautions


def _remark(code: str, text: str) -> Remark:
    return Remark(code=code, text=text)


def _p(pvalue: float) -> str:
    return f"p = {pvalue:.3f}" if pvalue >= 0.001 else "p < 0.001"
