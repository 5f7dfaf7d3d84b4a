"""From paired outcomes to a verdict: INTERVENE, FORBEAR or UNDECIDED, with the numbers and the reasons."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from forbear.errors import InvalidInput
from forbear.outcomes.graded import GradedOutcomes
from forbear.outcomes.missing import MissingOutcomes, Outcomes
from forbear.stats.exact import OneSided
from forbear.stats.inference import Inference, inference
from forbear.stats.intervals import Estimate
from forbear.stats.looks.anytime import Anytime, AnytimeOutcomes
from forbear.stats.looks.sequential import Sequential, SequentialOutcomes
from forbear.stats.planning import approximate_tasks_needed
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import AtAnyTime, AtLook, Look, Recommendation, Remark, Verdict
from forbear.wording import described, gain_or_loss, points, pvalue, share, shown

AnyOutcomes = Outcomes | GradedOutcomes | SequentialOutcomes | AnytimeOutcomes
"""Looked at once (pairs, several seeds, graded scores), at declared looks, or whenever one likes."""

_FEW_DISCORDANT = 10
"""Fewer differing pairs than this carry a caution: one task more or less then moves the p-value severalfold."""

_MOST_TASKS = 1_000_000

TARGET_POWER = 0.8
"""How often a new pilot of `tasks_needed` tasks would decide."""


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
        missing: Runs without an outcome (`planned_outcomes` makes both); bounded, and the verdict re-tested there.
        unpaired: Tasks left out of the table, by arm; echoed.
        cautions: What the caller knows and the table does not; listed first.

    Raises:
        InvalidInput: No pairs, or an argument of another type.
    """
    for name, value, kind in (("missing", missing, MissingOutcomes), ("unpaired", unpaired, Mapping)):
        if value is not None and not isinstance(value, kind):
            raise InvalidInput(f"{name} must be a {kind.__name__} or None, got {described(value)}.")
    remarks = cautions if isinstance(cautions, Sequence) and not isinstance(cautions, str | bytes) else [None]
    if not all(isinstance(remark, Remark) for remark in remarks):
        raise InvalidInput(f"cautions must be a sequence of Remark, got {described(cautions)}.")

    def verdict_on(data: Inference, remarks: Sequence[Remark]) -> Verdict:
        p_gain = data.pvalue(rule.margin, "greater")
        return _verdict(data, rule, p_gain=p_gain, arms=1, unpaired=unpaired, cautions=remarks)

    verdict = verdict_on(_inference(outcomes, rule), cautions)
    if missing is None:
        return verdict
    worst, best = (verdict_on(_inference(bound, rule), ()) for bound in (missing.worst, missing.best))
    return _with_missing(verdict, missing, worst, best)


def decide_arms(
    arms: Mapping[str, AnyOutcomes],
    rule: DecisionRule = DecisionRule(),
    *,
    missing: Mapping[str, MissingOutcomes[AnyOutcomes] | None] | None = None,
    unpaired: Mapping[str, Mapping[str, int]] | None = None,
    cautions: Mapping[str, Sequence[Remark]] | None = None,
) -> dict[str, Verdict]:
    """Decides on several treated arms that share a baseline: INTERVENE with family-wise error at most `alpha` (Holm).

    FORBEAR is judged arm by arm: it switches nothing on.

    Args:
        arms: The outcomes of each treated arm, as for `decide`. An arm that was dropped on the way stays in the family.
        rule: Margin, worthwhile gain and error rates, the same for all.
        missing: By treated arm, its runs without an outcome; each arm is re-tested with the others as observed.
        unpaired: By treated arm, tasks left out by arm; echoed.
        cautions: By treated arm; listed first.

    Raises:
        InvalidInput: No arms, an arm without pairs, or an argument of another type.
    """
    if not isinstance(arms, Mapping) or not arms:
        raise InvalidInput(f"decide_arms expects a mapping from arm to PairedOutcomes, got {described(arms)}.")
    data = {name: _inference(outcomes, rule) for name, outcomes in arms.items()}
    pvalues = {name: arm.pvalue(rule.margin, "greater") for name, arm in data.items()}

    def verdict_on(name: str, arm: Inference, p_gain: float, remarks: Sequence[Remark]) -> Verdict:
        left_out = (unpaired or {}).get(name)
        return _verdict(arm, rule, p_gain=p_gain, arms=len(arms), unpaired=left_out, cautions=remarks)

    verdicts, adjusted = {}, holm(pvalues)
    for name, arm in data.items():
        verdicts[name] = verdict_on(name, arm, adjusted[name], (cautions or {}).get(name, ()))
        holes = (missing or {}).get(name)
        if holes is not None:
            bounds = []
            for bound in (_inference(holes.worst, rule), _inference(holes.best, rule)):
                family = {**pvalues, name: bound.pvalue(rule.margin, "greater")}
                bounds.append(verdict_on(name, bound, holm(family)[name], ()))
            verdicts[name] = _with_missing(verdicts[name], holes, *bounds)
    return verdicts


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
    data: Inference,
    rule: DecisionRule,
    *,
    p_gain: float,
    arms: int,
    unpaired: Mapping[str, int] | None,
    cautions: Sequence[Remark],
) -> Verdict:
    confidence = 1 - 2 * rule.alpha
    p_worthwhile = data.pvalue(rule.worthwhile, "less")
    p_harm = p_worthwhile if rule.worthwhile == 0 else data.pvalue(0.0, "less")

    def rejected(pvalue: float, margin: float, alternative: OneSided, alpha: float) -> bool:
        return pvalue <= alpha and data.rules_out(margin, alternative, alpha)

    helps = rejected(p_gain, rule.margin, "greater", rule.alpha)
    too_little = rejected(p_worthwhile, rule.worthwhile, "less", rule.harm_alpha)
    harmful = too_little and rejected(p_harm, 0.0, "less", rule.harm_alpha)
    gain, rates, table = data.gain(confidence), data.rates(confidence), data.table
    if too_little:
        recommendation = Recommendation.FORBEAR
        reasons = _reasons_to_forbear(rule, p_worthwhile, p_harm, harmful=harmful, helps=helps)
    elif helps:
        recommendation = Recommendation.INTERVENE
        text = f"A gain of {points(rule.margin)} or less is rejected ({pvalue(p_gain, name='p')})."
        values = {"margin": rule.margin, "p_value": p_gain}
        reasons = [Remark(code="gain_above_margin", text=text, values=values)]
    else:
        recommendation = Recommendation.UNDECIDED
        reasons = []
    needed = _tasks_for_a_verdict(data, gain.value or 0.0, rule) if recommendation is Recommendation.UNDECIDED else None
    if recommendation is Recommendation.UNDECIDED:
        reasons = _reasons_undecided(data, gain, needed, arms=arms if gain.low > rule.margin else 1)
    return Verdict(
        recommendation=recommendation,
        harmful=harmful,
        futile=recommendation is Recommendation.UNDECIDED and data.futile,
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
        cautions=(*cautions, *_cautions(data, gain, arms)),
        tasks_needed=needed,
        look=None
        if data.look is None
        else replace(data.look, stopped=_stopped(data.look, recommendation, futile=data.futile)),
        unpaired=dict(unpaired or {}),
    )


def _tasks_for_a_verdict(data: Inference, gain: float, rule: DecisionRule) -> int | None:
    """Tasks of a new pilot that would decide, were the truth as observed: the nearer of the two verdicts."""
    approximate = partial(
        approximate_tasks_needed, gain=gain, discordance=max(data.discordance, abs(gain)), power=TARGET_POWER
    )
    targets = []
    if gain > rule.margin:
        targets.append(approximate(margin=rule.margin, alpha=rule.alpha))
    if gain < rule.worthwhile:
        targets.append(approximate(margin=rule.worthwhile, alpha=rule.harm_alpha))
    pairs = min((n for n in targets if n is not None), default=_MOST_TASKS + 1)
    tasks = math.ceil(pairs * data.tasks_per_pair)
    # A pilot that just failed to decide needs at least as many again.
    return max(tasks, data.tasks) if tasks <= _MOST_TASKS else None


def _reasons_to_forbear(
    rule: DecisionRule, p_worthwhile: float, p_harm: float, *, harmful: bool, helps: bool
) -> list[Remark]:
    text = f"A gain of {points(rule.worthwhile)} or more, the least that would pay, is rejected "
    text += f"({pvalue(p_worthwhile, name='p')})."
    values = {"worthwhile": rule.worthwhile, "p_value": p_worthwhile}
    reasons = [Remark(code="gain_below_worthwhile", text=text, values=values)]
    if harmful:
        text = f"It lowers success: no change or better is rejected too ({pvalue(p_harm, name='p')})."
        reasons.append(Remark(code="harmful", text=text, values={"p_value": p_harm}))
    if helps:
        reasons.append(Remark(code="helps_too_little", text="It helps, but not enough to pay."))
    return reasons


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


def _reasons_undecided(data: Inference, gain: Estimate, needed: int | None, *, arms: int) -> list[Remark]:
    text = f"Compatible with anything from {gain_or_loss(gain.low)} to {gain_or_loss(gain.high)}"
    values: dict[str, object] = {"low": gain.low, "high": gain.high, "arms": arms}
    if arms > 1:  # alone it would do, but the error rate is shared
        text += f", which is not enough as one of {arms} arms"
    reasons = [Remark(code="inconclusive", text=f"{text}: leave it off.", values=values)]
    if isinstance(data.look, AtLook) and data.look.next is not None:
        if data.futile:
            text = "Stopped: under the planned gain a further look would hardly ever say INTERVENE."
            reasons.append(Remark(code="futile", text=text))
        else:
            text = f"The next declared look is at {data.look.next} tasks."
            reasons.append(Remark(code="next_look", text=text, values={"tasks": data.look.next}))
    if needed is None:
        text = "If the truth is as observed, no pilot of a million tasks would decide."
    else:
        pilot = "a pilot of a fixed size" if isinstance(data.look, AtAnyTime) else "a new pilot"
        text = f"If the truth is as observed, {pilot} needs about {needed:,} tasks to decide "
        text += f"({share(TARGET_POWER, unit='%')} of the time)."
    values = {"tasks": needed, "power": TARGET_POWER, "most": _MOST_TASKS}
    return [*reasons, Remark(code="tasks_needed", text=text, values=values)]


def _with_missing(verdict: Verdict, missing: MissingOutcomes[object], worst: Verdict, best: Verdict) -> Verdict:
    """The verdict with a caution on the runs without an outcome: whether they could overturn it."""
    counts = " and ".join(f"{count} of '{shown(arm)}'" for arm, count in missing.by_arm.items() if count)
    low, high = worst.success_gain.value, best.success_gain.value
    text = f"Runs without an outcome: {counts}. Whatever they were, the gain of all planned pairs lies between "
    text += f"{points(low)} and {points(high)}"
    others = dict.fromkeys(
        bound.recommendation.value for bound in (worst, best) if bound.recommendation is not verdict.recommendation
    )
    values: dict[str, object] = {"by_arm": dict(missing.by_arm), "low": low, "high": high, "could_be": list(others)}
    if others:
        text += f", and the verdict could be {' or '.join(others)}."
        remark = Remark(code="missing_outcomes_decide", text=text, values=values)
    else:
        remark = Remark(code="missing_outcomes", text=f"{text}; the verdict stays the same.", values=values)
    return replace(verdict, cautions=(*verdict.cautions, remark))


def _cautions(data: Inference, gain: Estimate, arms: int) -> list[Remark]:
    cautions = []
    if isinstance(data, Anytime) and gain.value is not None and not gain.low <= gain.value <= gain.high:
        text = (
            f"The gain of all pairs ({points(gain.value)}) was rejected on the way. Are the tasks in the order "
            "in which they were planned? Sorted rows, or the order in which runs ended, give false verdicts."
        )
        cautions.append(Remark(code="order", text=text, values={"gain": gain.value}))
    differing, few = data.informative
    if differing < _FEW_DISCORDANT:
        cautions.append(few)
    if arms > 1:
        text = f"{arms} arms were compared: p-values for a gain are Holm's, intervals and rates are each arm's own."
        cautions.append(Remark(code="several_arms", text=text, values={"arms": arms}))
    return cautions
