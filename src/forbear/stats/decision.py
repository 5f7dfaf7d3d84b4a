"""From paired outcomes to a verdict: INTERVENE, FORBEAR or UNDECIDED, with the numbers and the reasons."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from scipy.special import bdtrc

from forbear.errors import InvalidInput
from forbear.outcomes.missing import LostRuns, MissingOutcomes, Outcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.exact import OneSided, exact_unconditional
from forbear.stats.inference import Inference, inference
from forbear.stats.intervals import Estimate
from forbear.stats.looks.anytime import Anytime, AnytimeOutcomes
from forbear.stats.looks.sequential import Sequential, SequentialOutcomes
from forbear.stats.planning import approximate_tasks_needed
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import AtAnyTime, AtLook, Look, Recommendation, Remark, Verdict
from forbear.wording import counted, described, gain_or_loss, points, pvalue, share, shown

AnyOutcomes = Outcomes | SequentialOutcomes | AnytimeOutcomes
"""Looked at once, at declared looks, or whenever one likes."""

_FEW_DISCORDANT = 10
"""Fewer differing pairs than this carry a caution: one task more or less then moves the p-value severalfold."""

_UNEQUAL = 0.05
"""Of the two-sided exact test that both arms lose runs alike."""

_MOST_TASKS = 1_000_000

_FEWEST_CHECKED = 400
"""Pairs up to which a size that is named is checked by the exact test; above, the approximation is good."""

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
    per task: the score test with a shrunk design effect, or, with the rule's guarantee "finite-sample", the exact test
    seed by seed. A pilot that was looked at on the way: sequential p-values and repeated confidence intervals. A stream
    without a planned size: e-processes and confidence sequences, valid after every task.

    Args:
        outcomes: One pair per task (a table), several seeds per task, either with the looks that were declared, or a
            stream of either; at least one pair, or two tasks.
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
    remarks = cautions if isinstance(cautions, Sequence) and not isinstance(cautions, str | bytes) else [None]
    if not all(isinstance(remark, Remark) for remark in remarks):
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
        name: _with_missing(verdict, cases[name], holes.get(name), *(bound[name] for bound in bounds))
        for name, verdict in family.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """An arm's evidence, and what INTERVENE also has to hold for."""

    data: Inference
    held: Inference | None = None

    @classmethod
    def of(cls, outcomes: AnyOutcomes, rule: DecisionRule, missing: MissingOutcomes[AnyOutcomes] | None = None) -> Self:
        held = None
        if missing is not None and rule.missing != "exclude":
            held = missing.worst if rule.missing == "worst" else missing.charged
        return cls(data=_inference(outcomes, rule), held=None if held is None else _inference(held, rule))

    def p_gain(self, margin: float) -> float:
        """Of Δ ≤ margin: the larger of both."""
        found = self.data.pvalue(margin, "greater")
        return found if self.held is None else max(found, self.held.pvalue(margin, "greater"))

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
    p_harm = holm({name: case.data.pvalue(0.0, "less") for name, case in cases.items()})
    # What Holm asks of an arm that is not rejected yet, the rejected ones given.
    left = max(1, sum(p > rule.alpha for p in p_gain.values()))
    return {
        name: _verdict(
            case,
            rule,
            p_gain=p_gain[name],
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
            f"decide expects PairedOutcomes or ClusteredOutcomes, got {described(outcomes)}. "
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

    helps = p_gain <= rule.alpha and case.above(rule.margin, rule.alpha)
    too_little = below(p_worthwhile, rule.worthwhile)
    harmful = too_little and below(p_harm, 0.0)
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
    undecided = recommendation is Recommendation.UNDECIDED
    needed = _tasks_for_a_verdict(data, gain.value or 0.0, rule, rule.alpha / left) if undecided else None
    if undecided:
        reasons = _reasons_undecided(data, gain, arms=arms if gain.low > rule.margin else 1)
        reasons.append(_reason_tasks_needed(data, needed, rule, left))
        reasons[1:1] = _held_back(case, rule)
    return Verdict(
        recommendation=recommendation,
        harmful=harmful,
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
        cautions=(*cautions, *_cautions(data, gain, rule, arms)),
        tasks_needed=needed,
        look=None
        if data.look is None
        else replace(data.look, stopped=_stopped(data.look, recommendation, futile=data.futile)),
        unpaired=dict(unpaired),
    )


def _tasks_for_a_verdict(data: Inference, gain: float, rule: DecisionRule, alpha: float) -> int | None:
    """Tasks of a new pilot that would decide, were the truth as observed: the nearer of the two verdicts.

    Args:
        data: What was observed.
        gain: As estimated.
        rule: Margin and worthwhile gain.
        alpha: What several arms leave this one.
    """
    discordance = max(data.discordance, abs(gain))
    approximate = partial(approximate_tasks_needed, gain=gain, discordance=discordance, power=TARGET_POWER)
    targets: list[tuple[float, OneSided, float]] = []
    if gain > rule.margin:
        targets.append((rule.margin, "greater", alpha))
    if gain < rule.worthwhile:
        targets.append((rule.worthwhile, "less", rule.harm_alpha))
    sizes = [
        _first_that_decides(pairs, gain, discordance, target)
        for target in targets
        if (pairs := approximate(margin=target[0], alpha=target[2])) is not None and pairs <= _MOST_TASKS
    ]
    tasks = math.ceil(min(sizes, default=_MOST_TASKS + 1) * data.tasks_per_pair)
    # A pilot that just failed to decide needs more than it had.
    return max(tasks, data.tasks + 1) if tasks <= _MOST_TASKS else None


def _first_that_decides(pairs: int, gain: float, discordance: float, target: tuple[float, OneSided, float]) -> int:
    """From a size on, the first at which the very table to be expected decides: the approximation knows no tables."""
    margin, alternative, alpha = target
    while pairs <= _FEWEST_CHECKED:
        recovered, disrupted = (round(pairs * (discordance + sign * gain) / 2) for sign in (1, -1))
        same = max(0, pairs - recovered - disrupted)
        table = PairedOutcomes(both_fail=same, recovered=recovered, disrupted=disrupted, both_succeed=0)
        if exact_unconditional(table, margin=margin, alternative=alternative).pvalue <= alpha:
            return pairs
        pairs += 1 + pairs // 100
    return pairs


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


def _reasons_undecided(data: Inference, gain: Estimate, *, arms: int) -> list[Remark]:
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
    return reasons


def _reason_tasks_needed(data: Inference, needed: int | None, rule: DecisionRule, left: int) -> Remark:
    values = {"tasks": needed, "power": TARGET_POWER, "most": _MOST_TASKS}
    if needed is None:
        text = "If the truth is as observed, no pilot of a million tasks would decide."
    else:
        pilot = "a pilot of a fixed size" if isinstance(data.look, AtAnyTime) else "a new pilot"
        text = f"If the truth is as observed, {pilot} needs about {needed:,} tasks to decide "
        text += f"({share(TARGET_POWER, unit='%')} of the time"
        if left > 1:
            text += f", with {share(rule.alpha, unit='%')} shared by {left} arms"
            values |= {"alpha": rule.alpha, "arms": left}
        text += ")."
    return Remark(code="tasks_needed", text=text, values=values)


def _held_back(case: _Case, rule: DecisionRule) -> list[Remark]:
    """That only the runs without an outcome stand against INTERVENE."""
    if case.held is None or (without := case.data.pvalue(rule.margin, "greater")) > rule.alpha:
        return []
    if (held := case.held.pvalue(rule.margin, "greater")) <= rule.alpha:
        return []
    text = f"Without the runs that have no outcome a gain of {points(rule.margin)} or less would be rejected "
    text += f"({pvalue(without, name='p')}); with them as the rule counts them it is not ({pvalue(held, name='p')})."
    values = {"margin": rule.margin, "p_value": without, "p_value_held": held}
    return [Remark(code="missing_hold_back", text=text, values=values)]


def _with_missing(
    verdict: Verdict, case: _Case, missing: MissingOutcomes[AnyOutcomes] | None, worst: Verdict, best: Verdict
) -> Verdict:
    """The verdict with cautions on the runs without an outcome: whether they could overturn it, and how they count."""
    others = dict.fromkeys(
        bound.recommendation.value for bound in (worst, best) if bound.recommendation is not verdict.recommendation
    )
    if missing is None:
        if not others:
            return verdict
        text = "Runs of other arms have no outcome: through the shared error rate the verdict could be "
        text += f"{' or '.join(others)}."
        remarks = [Remark(code="missing_elsewhere", text=text, values={"could_be": list(others)})]
        return replace(verdict, cautions=(*verdict.cautions, *remarks))
    counts = " and ".join(f"{count} of '{shown(arm)}'" for arm, count in missing.by_arm.items() if count)
    low, high = worst.success_gain.value, best.success_gain.value
    text = f"Runs without an outcome: {counts}. Whatever they were, the gain of all planned pairs lies between "
    text += f"{points(low)} and {points(high)}"
    values: dict[str, object] = {"by_arm": dict(missing.by_arm), "low": low, "high": high, "could_be": list(others)}
    if others:
        text += f", and the verdict could be {' or '.join(others)}."
        remark = Remark(code="missing_outcomes_decide", text=text, values=values)
    else:
        remark = Remark(code="missing_outcomes", text=f"{text}; the verdict stays the same.", values=values)
    return replace(verdict, cautions=(*verdict.cautions, remark, *_on_lost_runs(verdict.rule, case, missing.lost)))


def _on_lost_runs(rule: DecisionRule, case: _Case, lost: LostRuns) -> list[Remark]:
    """Whether both arms lost as many runs, and what the rule made of it."""
    remarks = []
    (first, a), (second, b) = lost.tasks.items()
    p_equal = min(1.0, 2 * float(bdtrc(max(a, b) - 1, a + b, 0.5))) if a != b else 1.0
    if p_equal <= _UNEQUAL:
        text = f"Runs are not lost alike: '{shown(second)}' lost more than its partner in {counted(b, 'task')}, "
        text += f"'{shown(first)}' in {a:,} ({pvalue(p_equal, name='p')}). How a run went may decide whether it counts."
        values: dict[str, object] = {"tasks": dict(lost.tasks), "p_value": p_equal}
        remarks.append(Remark(code="missing_unequal", text=text, values=values))
    if case.held is None or (rule.missing == "excess" and not lost.charged):
        return remarks
    without, held = case.data.pvalue(rule.margin, "greater"), case.held.pvalue(rule.margin, "greater")
    values = {"p_value": without, "p_value_held": held}
    tests = f"{pvalue(without, name='p')} without them, {pvalue(held, name='p')} with them"
    if rule.missing == "worst":
        text = f"INTERVENE was also asked of every run without an outcome at its worst: {tests}."
        return [*remarks, Remark(code="missing_worst", text=text, values=values)]
    more = lost.more
    assert more is not None, "something is charged to the arm that lost more"
    fewer = first if more == second else second
    kind = "treated failures" if more == second else "baseline successes"
    text = (
        f"'{shown(more)}' alone lost {counted(lost.alone[more], 'run')}, '{shown(fewer)}' alone {lost.alone[fewer]:,}: "
        f"{lost.charged:,} of them also count as {kind} before it says INTERVENE ({tests}). That holds where one arm "
        "loses the runs that matter; where both do, only the rule missing = worst holds."
    )
    values |= {"arm": more, "alone": dict(lost.alone), "charged": lost.charged}
    return [*remarks, Remark(code="missing_excess", text=text, values=values)]


def _cautions(data: Inference, gain: Estimate, rule: DecisionRule, arms: int) -> list[Remark]:
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
        text = (
            f"{arms} arms were compared: p-values for a gain and for harm are Holm's, intervals and rates are each "
            f"arm's own. FORBEAR is judged arm by arm, at {share(rule.harm_alpha, unit='%')} each: of several arms that "
            "would pay, one is left off more often than that."
        )
        cautions.append(Remark(code="several_arms", text=text, values={"arms": arms, "harm_alpha": rule.harm_alpha}))
    return cautions
