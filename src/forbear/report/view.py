"""What a report shows, as plain data: the text and the HTML report render this and compute nothing.

Format `forbear-view-1`. Rates are fractions here and become per cent or points only when printed; the order is always
baseline, treated. Names are as they came: who prints them makes them inert.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TypedDict

from forbear.stats.intervals import Estimate
from forbear.stats.verdict import AtAnyTime, Json, Recommendation, Verdict
from forbear.wording import plural, points

FORMAT = "forbear-view-1"


class EstimateView(TypedDict):
    """A fraction with its interval; the value is None where it is undefined."""

    value: float | None
    low: float
    high: float
    confidence: float


class RateView(TypedDict):
    """A rate as k of n; the estimate is None where n is 0 or the rate is undefined."""

    symbol: str
    name: str
    k: int | None
    n: int | None
    of: str
    estimate: EstimateView | None


class ArmView(TypedDict):
    """One treated arm against the baseline."""

    arm: str
    recommendation: str
    headline: str
    pairs: int
    both_fail: int | None
    recovered: int | None
    disrupted: int | None
    both_succeed: int | None
    rates: list[RateView]
    gain: EstimateView
    p_value_gain: float | None
    p_value_worthwhile: float | None
    method: str
    design: list[str]
    margin: float
    worthwhile: float
    alpha: float
    harm_alpha: float
    reasons: list[str]
    cautions: list[str]
    next: list[str]


class DecisionView(TypedDict):
    """Everything one `decide` has to say."""

    format: str
    baseline: str
    arms: list[ArmView]
    ignored_columns: list[str]


def decision_view(
    verdicts: Mapping[str, Verdict], *, baseline: str = "baseline", ignored: Sequence[str] = ()
) -> DecisionView:
    """Arranges verdicts for a report.

    Args:
        verdicts: By treated arm, at least one.
        baseline: The baseline's name.
        ignored: Columns of the input that were not used.
    """
    return DecisionView(
        format=FORMAT,
        baseline=baseline,
        arms=[arm_view(name, verdict) for name, verdict in verdicts.items()],
        ignored_columns=list(ignored),
    )


def decision_json(verdicts: Mapping[str, Verdict]) -> str:
    """The verdicts for programs: `forbear-verdict-2` for one arm, `forbear-verdicts-2` for several; strict JSON."""
    if len(verdicts) == 1:
        payload: dict[str, Json] = next(iter(verdicts.values())).to_dict()
    else:
        payload = {"format": "forbear-verdicts-2", "verdicts": {name: v.to_dict() for name, v in verdicts.items()}}
    return json.dumps(payload, indent=2, allow_nan=False)


def arm_view(name: str, verdict: Verdict) -> ArmView:
    """One treated arm's verdict, arranged for a report."""
    gain = _estimate(verdict.success_gain)
    assert gain is not None
    return ArmView(
        arm=name,
        recommendation=verdict.recommendation.value,
        headline=_headline(verdict),
        pairs=verdict.pairs,
        both_fail=verdict.both_fail,
        recovered=verdict.recovered,
        disrupted=verdict.disrupted,
        both_succeed=verdict.both_succeed,
        rates=_rates(verdict),
        gain=gain,
        p_value_gain=verdict.p_value_gain,
        p_value_worthwhile=verdict.p_value_worthwhile,
        method=verdict.method,
        design=_design(verdict),
        margin=verdict.rule.margin,
        worthwhile=verdict.rule.worthwhile,
        alpha=verdict.rule.alpha,
        harm_alpha=verdict.rule.harm_alpha,
        # Where to go on is said under "Next".
        reasons=[remark.text for remark in verdict.reasons if remark.code != "next_look"],
        cautions=[remark.text for remark in verdict.cautions],
        next=_next(verdict),
    )


def _rates(verdict: Verdict) -> list[RateView]:
    failures = _sum(verdict.both_fail, verdict.recovered)
    successes = _sum(verdict.disrupted, verdict.both_succeed)
    return [
        _rate("p", "failure rate", failures, verdict.pairs, plural("pair", verdict.pairs), verdict.failure_rate),
        _rate("r", "recovery rate", verdict.recovered, failures, plural("failure", failures), verdict.recovery_rate),
        _rate(
            "d", "disruption rate", verdict.disrupted, successes, plural("success", successes), verdict.disruption_rate
        ),
        _rate("p*", "break-even failure rate", None, None, "d / (r + d)", verdict.break_even_failure_rate),
    ]


def _rate(symbol: str, name: str, k: int | None, n: int | None, of: str, estimate: Estimate | None) -> RateView:
    return RateView(symbol=symbol, name=name, k=k, n=n, of=of, estimate=_estimate(estimate))


def _estimate(estimate: Estimate | None) -> EstimateView | None:
    if estimate is None:
        return None
    return EstimateView(
        value=estimate.value, low=estimate.low, high=estimate.high, confidence=round(estimate.confidence, 12)
    )


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first + second


def _headline(verdict: Verdict) -> str:
    codes = {remark.code for remark in verdict.reasons}
    if verdict.recommendation is Recommendation.INTERVENE:
        text = "the intervention helps; switch it on as it was piloted."
    elif _goes_on(verdict):
        text = "this pilot cannot tell yet; leave the intervention off."
    elif verdict.recommendation is Recommendation.UNDECIDED:
        text = "this pilot cannot tell; leave the intervention off."
    elif verdict.harmful:
        text = "the intervention harms; leave it off."
    elif "helps_too_little" in codes:
        text = "the intervention helps, but too little to pay; leave it off."
    else:
        text = "no gain that would pay; leave the intervention off."
    return f"{verdict.recommendation.value}: {text}"


def _next(verdict: Verdict) -> list[str]:
    if verdict.recommendation is Recommendation.INTERVENE:
        return [
            "Deploy exactly what was piloted: the same agent, critic, threshold and budget.",
            "The verdict speaks for tasks like the pilot's; another mix of tasks needs its own pilot.",
        ]
    if verdict.recommendation is Recommendation.FORBEAR:
        return ["A changed intervention is a new question: pilot it afresh, best on new tasks."]
    look = verdict.look
    if isinstance(look, AtAnyTime):
        return ["Go on: add tasks in the planned order and ask again, as often as you like; the error rates hold."]
    if look is not None and look.next is not None and not verdict.futile:
        return [f"The next declared look is at {look.next:,} tasks: decide again then, with exactly those, not before."]
    if look is not None and not verdict.futile:
        return [
            "This was the last declared look: more tasks and another decision would raise the false-go rate. To find "
            "out, run a new pilot, or one that may be looked at whenever you like (forbear decide --anytime).",
        ]
    return [
        "To find out, run a new pilot. Adding tasks to this one and deciding again raises the false-go rate.",
    ]


def _goes_on(verdict: Verdict) -> bool:
    """Whether deciding again on more tasks was declared, or needs not be."""
    look = verdict.look
    if verdict.recommendation is not Recommendation.UNDECIDED or look is None or verdict.futile:
        return False
    return isinstance(look, AtAnyTime) or look.next is not None


def _design(verdict: Verdict) -> list[str]:
    """How often was looked, and that the numbers allow for it."""
    look = verdict.look
    if look is None:
        return []
    if isinstance(look, AtAnyTime):
        return ["The p-values and intervals hold at any time, however often one looks."]
    if look.of == 1:
        return [f"The one look that was declared, at {look.tasks:,} tasks."] if look.number else []
    where = f"Look {look.number} of {look.of}, at {look.tasks:,} tasks"
    if look.number is None:
        where = f"Between two looks, after {look.tasks:,} tasks"
    if look.boundary is not None:
        alone = " for one arm" if any(caution.code == "several_arms" for caution in verdict.cautions) else ""
        where += f": INTERVENE needs z >= {look.boundary:.2f} here{alone}"
        where += f", z = {look.statistic:.2f}" if look.statistic is not None else ""
    lines = [f"{where}.", "The p-values and intervals are sequential: they hold for all looks together."]
    gain, (up, down) = verdict.success_gain.value, (verdict.recovered, verdict.disrupted)
    if gain is not None and up is not None and down is not None:
        plain = (up - down) / verdict.pairs
        if points(gain) != points(plain):
            lines.append(f"The gain is corrected for stopping early; that of all pairs is {points(plain)}.")
    return lines
