"""The verdict in a sentence: what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from forbear.stats.verdict import Recommendation, Remark, RemarkJson, Verdict

if TYPE_CHECKING:
    from forbear.report.terminal import Terminal


class HeadlineView(TypedDict):
    """What is shown."""

    recommendation: str
    headline: RemarkJson


def view(verdict: Verdict) -> RemarkJson:
    """The sentence of a verdict."""
    code, text = _said(verdict)
    values = {"margin": verdict.rule.margin} if "not_worse" in code or "loss" in code else {}
    return Remark(code=code, text=f"{verdict.recommendation.value}: {text}", values=values).to_dict()


def _said(verdict: Verdict) -> tuple[str, str]:
    codes = {remark.code for remark in verdict.reasons}
    if verdict.recommendation is Recommendation.INTERVENE:
        if "not_worse" not in codes or "helps" in codes:
            return "helps", "the intervention helps; switch it on as it was piloted."
        bound = f"{100 * abs(verdict.rule.margin):.1f} pp or more"
        if "loss_within_margin" in codes:
            return (
                "loss_within_margin",
                f"it costs success, but not {bound}; switch it on if that is the price agreed on.",
            )
        return "not_worse", f"it is not worse by {bound}; it may be switched on as it was piloted."
    if verdict.recommendation is Recommendation.UNDECIDED:
        if verdict.goes_on:
            return "cannot_tell_yet", "this pilot cannot tell yet; leave the intervention off."
        return "cannot_tell", "this pilot cannot tell; leave the intervention off."
    if verdict.harmful:
        return "harms", "the intervention harms; leave it off."
    if "loss_beyond_worthwhile" in codes:
        return "worse", "the intervention is worse by more than is allowed; leave it off."
    if "helps_too_little" in codes:
        return "helps_too_little", "the intervention helps, but too little to pay; leave it off."
    return "no_gain", "no gain that would pay; leave the intervention off."


def text(terminal: Terminal, arm: HeadlineView) -> None:
    """Prints the sentence."""
    from forbear.report.terminal import STYLES

    terminal.line(arm["headline"]["text"], style=STYLES[arm["recommendation"]])
    terminal.line()
