"""What a verdict says: its reasons and cautions, as sentences with their numbers."""

import math
from functools import partial

from scipy.special import bdtrc

from forbear.outcomes.missing import LostRuns, MissingOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.stats.dirichlet import units_needed
from forbear.stats.inference import GradedScores, Inference
from forbear.stats.intervals import Estimate
from forbear.stats.looks.anytime import Anytime
from forbear.stats.planning import approximate_tasks_needed
from forbear.stats.rule import DecisionRule
from forbear.stats.verdict import AtAnyTime, AtLook, Remark, Verdict
from forbear.wording import at_least, at_most, counted, gain_or_loss, points, pvalue, share, shown

FEW_DISCORDANT = 10
"""Fewer differing pairs than this carry a caution: one task more or less then moves the p-value severalfold."""

_MANY = 20
"""Runs from which on it is worth a word that all of them are alike."""

_OTHERWISE = 5
"""By so many runs the other arm must differ from one that is constant."""

_HARDLY = 0.01
"""Probability below which the lack of any disruption is remarkable."""

_TIMES_TOO_FEW = 10
"""A pilot needs to be so many times larger before the gain that pays is called out of reach."""

_UNEQUAL = 0.05
"""Of the two-sided exact test that both arms lose runs alike."""

MOST_TASKS = 1_000_000
"""More are not worth naming."""

TARGET_POWER = 0.8
"""How often a new pilot of `tasks_needed` tasks would decide."""

# --- Reasons ------------------------------------------------------------------------------------------------


def to_intervene(
    rule: DecisionRule, p_gain: float, p_zero: float, p_harm: float, *, helps: bool, lowers: bool
) -> list[Remark]:
    """Why INTERVENE; of a negative margin that it is not worse by so much, and whether it helps or costs something."""
    text = f"{_begun(at_most(rule.margin))} is rejected ({pvalue(p_gain, name='p')})."
    values = {"margin": rule.margin, "p_value": p_gain}
    if rule.margin >= 0:
        return [Remark(code="gain_above_margin", text=text, values=values)]
    reasons = [Remark(code="not_worse", text=text, values=values)]
    if helps:
        text = f"It helps: no change or worse is rejected too ({pvalue(p_zero, name='p')})."
        reasons.append(Remark(code="helps", text=text, values={"p_value": p_zero}))
    if lowers:
        text = "It lowers success all the same, by less than that: no change or better is rejected "
        text += f"({pvalue(p_harm, name='p')})."
        reasons.append(Remark(code="loss_within_margin", text=text, values={"p_value": p_harm}))
    return reasons


def to_forbear(
    rule: DecisionRule, p_worthwhile: float, p_harm: float, *, lowers: bool, passes: bool, helps: bool
) -> list[Remark]:
    """Why FORBEAR."""
    text, code = _begun(at_least(rule.worthwhile)), "gain_below_worthwhile"
    if rule.worthwhile < 0:
        text, code = f"{text}, or any gain,", "loss_beyond_worthwhile"
    else:
        text += ", the least that would pay,"
    text += f" is rejected ({pvalue(p_worthwhile, name='p')})."
    reasons = [Remark(code=code, text=text, values={"worthwhile": rule.worthwhile, "p_value": p_worthwhile})]
    if lowers:
        text = f"It lowers success: no change or better is rejected too ({pvalue(p_harm, name='p')})."
        reasons.append(Remark(code="harmful", text=text, values={"p_value": p_harm}))
    if helps:
        reasons.append(Remark(code="helps_too_little", text="It helps, but not enough to pay."))
    elif passes:
        text = f"{_begun(at_most(rule.margin))} is rejected too: not worse than that, but no gain that would pay."
        reasons.append(Remark(code="not_worse_but_no_gain", text=text, values={"margin": rule.margin}))
    return reasons


def undecided(
    data: Inference, gain: Estimate, rule: DecisionRule, *, held: tuple[float, float] | None, arms: int
) -> list[Remark]:
    """Why UNDECIDED, and where a pilot with looks goes on.

    Args:
        data: What was observed.
        gain: With the interval that is shown.
        rule: The verdict's.
        held: The p-values without and with the runs that count without an outcome; None where none does.
        arms: That share the error rate.
    """
    text = f"Compatible with anything from {gain_or_loss(gain.low)} to {gain_or_loss(gain.high)}"
    alone = gain.low <= rule.margin  # else it would do by itself, but the error rate is shared
    values: dict[str, object] = {"low": gain.low, "high": gain.high, "arms": 1 if alone else arms}
    if arms > 1 and not alone:
        text += f", which is not enough as one of {arms} arms"
    reasons = [Remark(code="inconclusive", text=f"{text}: leave it off.", values=values)]
    if held is not None and held[0] <= rule.alpha < held[1]:
        text = f"Without the runs that have no outcome {at_most(rule.margin)} would be rejected "
        text += f"({pvalue(held[0], name='p')}); with them as the rule counts them it is not "
        text += f"({pvalue(held[1], name='p')})."
        values = {"margin": rule.margin, "p_value": held[0], "p_value_held": held[1]}
        reasons.append(Remark(code="missing_hold_back", text=text, values=values))
    if isinstance(data.look, AtLook) and data.look.next is not None:
        if data.futile:
            text = "Stopped: under the planned gain a further look would hardly ever say INTERVENE, "
            text += "and FORBEAR is not to be expected of one either."
            reasons.append(Remark(code="futile", text=text))
        else:
            text = f"The next declared look is at {data.look.next} tasks."
            reasons.append(Remark(code="next_look", text=text, values={"tasks": data.look.next}))
    return reasons


def tasks_needed(data: Inference, needed: int | None, rule: DecisionRule, *, left: int) -> Remark:
    """How many tasks would decide, and how many arms share the error then."""
    values: dict[str, object] = {"tasks": needed, "power": TARGET_POWER, "most": MOST_TASKS}
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


def _begun(text: str) -> str:
    return text[0].upper() + text[1:]


# --- Cautions -----------------------------------------------------------------------------------------------


def cautions(
    data: Inference, gain: Estimate, rule: DecisionRule, *, arms: int, left: int, undecided: bool
) -> list[Remark]:
    """What makes any verdict weaker than it looks.

    Args:
        data: What was observed.
        gain: As shown.
        rule: The verdict's.
        arms: That were compared.
        left: Of them, those that share the error rate still.
        undecided: Whether the verdict is.
    """
    found = [] if data.table is None else _about_grading(data.table)
    if isinstance(data, Anytime) and gain.value is not None and not gain.low <= gain.value <= gain.high:
        text = (
            f"The gain of all pairs ({points(gain.value)}) was rejected on the way. Are the tasks in the order "
            "in which they were planned? Sorted rows, or the order in which runs ended, give false verdicts."
        )
        found.append(Remark(code="order", text=text, values={"gain": gain.value}))
    differing, few = data.informative
    if differing < FEW_DISCORDANT:
        found.append(few)
    if arms > 1:
        text = (
            f"{arms} arms were compared: p-values for a gain and for harm are Holm's, intervals and rates are each "
            f"arm's own. FORBEAR is judged arm by arm, at {share(rule.harm_alpha, unit='%')} each: of several arms "
            "that would pay, one is left off more often than that."
        )
        found.append(Remark(code="several_arms", text=text, values={"arms": arms, "harm_alpha": rule.harm_alpha}))
    if undecided:
        found += _out_of_reach(data, rule, left)
    return found


def _about_grading(table: PairedOutcomes) -> list[Remark]:
    """What a dead grader, an arm that never ran, or one that saw the grade would look like."""
    found = []
    arms = {"untreated": table.successes, "treated": table.recovered + table.both_succeed}
    for arm, other in (("untreated", "treated"), ("treated", "untreated")):
        won, elsewhere = arms[arm], arms[other]
        if table.pairs >= _MANY and won in (0, table.pairs) and abs(won - elsewhere) >= _OTHERWISE:
            text = (
                f"All {table.pairs:,} {arm} runs {'succeeded' if won else 'failed'}, of the {other} ones "
                f"{elsewhere:,} succeeded: did that arm run, and is its grader alive?"
            )
            values = {"arm": arm, "runs": table.pairs, "succeeded": won, "others_succeeded": elsewhere}
            found.append(Remark(code="constant_arm", text=text, values=values))
    if not found and not table.disrupted and table.recovered and table.successes >= _MANY:
        # Were successes changed as often as failures were, would some have been?
        expected = (1 - table.recovered / table.failures) ** table.successes
        if expected <= _HARDLY:
            text = (
                f"Of {table.successes:,} successes none was disrupted, of {table.failures:,} failures "
                f"{table.recovered:,} were recovered: did the treated arm see the grade, or try again where it failed?"
            )
            values = {"successes": table.successes, "failures": table.failures, "recovered": table.recovered}
            found.append(Remark(code="no_disruption", text=text, values=values))
    return found


def _out_of_reach(data: Inference, rule: DecisionRule, left: int) -> list[Remark]:
    """That the pilot is far too small for the gain that is said to pay."""
    gain, look = rule.worthwhile, data.look
    if isinstance(look, AtAnyTime):  # it goes on
        return []
    size = data.tasks if look is None else look.looks[-1]
    discordance = max(data.discordance, abs(gain))
    if not rule.margin < gain or not 0 < discordance <= 1:
        return []
    if isinstance(data, GradedScores):
        units, weight = data.units
        needed, each = (
            partial(units_needed, units, weight=weight, alternative="greater"),
            data.tasks / units.counts.sum(),
        )
    else:
        needed, each = partial(approximate_tasks_needed, discordance=discordance), data.tasks_per_pair
    count = needed(gain=gain, margin=rule.margin, alpha=rule.alpha / left, power=TARGET_POWER)
    tasks = None if count is None else math.ceil(count * each)
    if tasks is not None and tasks < _TIMES_TOO_FEW * size:
        return []
    needs = f"more than {MOST_TASKS:,}" if tasks is None or tasks > MOST_TASKS else f"about {tasks:,}"
    text = (
        f"A gain of {points(gain)}, the least that would pay, is out of reach: to see it takes {needs} tasks "
        f"({share(TARGET_POWER, unit='%')} of the time), this pilot has {size:,}."
    )
    values = {"worthwhile": gain, "tasks_needed": tasks, "tasks": size, "power": TARGET_POWER, "most": MOST_TASKS}
    return [Remark(code="worthwhile_out_of_reach", text=text, values=values)]


def on_missing(
    verdict: Verdict,
    missing: MissingOutcomes[object] | None,
    held: tuple[float, float] | None,
    worst: Verdict,
    best: Verdict,
) -> list[Remark]:
    """What is to be said of the runs without an outcome: whether they could overturn the verdict, and how they count.

    Args:
        verdict: On the known pairs.
        missing: The arm's own; None where only others have some.
        held: The p-values of a gain without and with those that count; None where none does.
        worst: The verdict with the runs of all arms at their worst.
        best: The same at their best.
    """
    others = dict.fromkeys(
        bound.recommendation.value for bound in (worst, best) if bound.recommendation is not verdict.recommendation
    )
    if missing is None:
        if not others:
            return []
        text = "Runs of other arms have no outcome: through the shared error rate the verdict could be "
        text += f"{' or '.join(others)}."
        return [Remark(code="missing_elsewhere", text=text, values={"could_be": list(others)})]
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
    return [remark, *_on_lost_runs(verdict.rule, held, missing.lost)]


def _on_lost_runs(rule: DecisionRule, held: tuple[float, float] | None, lost: LostRuns) -> list[Remark]:
    """Whether both arms lost as many runs, and what the rule made of it."""
    remarks = []
    (first, a), (second, b) = lost.tasks.items()
    p_equal = min(1.0, 2 * float(bdtrc(max(a, b) - 1, a + b, 0.5))) if a != b else 1.0
    if p_equal <= _UNEQUAL:
        text = f"Runs are not lost alike: '{shown(second)}' lost more than its partner in {counted(b, 'task')}, "
        text += f"'{shown(first)}' in {a:,} ({pvalue(p_equal, name='p')}). How a run went may decide whether it counts."
        values: dict[str, object] = {"tasks": dict(lost.tasks), "p_value": p_equal}
        remarks.append(Remark(code="missing_unequal", text=text, values=values))
    if held is None or (rule.missing == "excess" and not lost.charged):
        return remarks
    values = {"p_value": held[0], "p_value_held": held[1]}
    tests = f"{pvalue(held[0], name='p')} without them, {pvalue(held[1], name='p')} with them"
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
