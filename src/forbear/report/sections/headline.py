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
    return Remark(code=code, text=f"{verdict.recommendation.value}: {text}").to_dict()


def _said(verdict: Verdict) -> tuple[str, str]:
    if verdict.recommendation is Recommendation.INTERVENE:
        return "helps", "the intervention helps; switch it on as it was piloted."
    if verdict.recommendation is Recommendation.UNDECIDED:
        if verdict.goes_on:
            return "cannot_tell_yet", "this pilot cannot tell yet; leave the intervention off."
        return "cannot_tell", "this pilot cannot tell; leave the intervention off."
    if verdict.harmful:
        return "harms", "the intervention harms; leave it off."
    if any(remark.code == "helps_too_little" for remark in verdict.reasons):
        return "helps_too_little", "the intervention helps, but too little to pay; leave it off."
    return "no_gain", "no gain that would pay; leave the intervention off."


def text(terminal: Terminal, arm: HeadlineView) -> None:
    """Prints the sentence."""
    from forbear.report.terminal import STYLES

    terminal.line(arm["headline"]["text"], style=STYLES[arm["recommendation"]])
    terminal.line()
