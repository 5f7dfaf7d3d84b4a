"""How it was decided: the two tests, the method, and how often was looked."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from forbear.stats.verdict import AtAnyTime, AtLook, Remark, RemarkJson, Verdict
from forbear.wording import at_least, at_most, points, pvalue

if TYPE_CHECKING:
    from forbear.report.terminal import Terminal


class HowView(TypedDict):
    """What is shown."""

    how: list[RemarkJson]


def view(verdict: Verdict) -> list[RemarkJson]:
    """How a verdict came about."""
    return [remark.to_dict() for remark in (*_tests(verdict), *_design(verdict))]


def _tests(verdict: Verdict) -> list[Remark]:
    rule, method = verdict.rule, verdict.method
    p_gain, p_worthwhile = verdict.p_value_gain, verdict.p_value_worthwhile
    return [
        Remark(
            code="intervene_test",
            text=f"INTERVENE rejects {at_most(rule.margin)} at {rule.alpha:g}: here {pvalue(p_gain, name='p')}.",
            values={"margin": rule.margin, "alpha": rule.alpha, "p_value": p_gain},
        ),
        Remark(
            code="forbear_test",
            text=f"FORBEAR rejects {at_least(rule.worthwhile)} at {rule.harm_alpha:g}: here "
            f"{pvalue(p_worthwhile, name='p')}.",
            values={"worthwhile": rule.worthwhile, "alpha": rule.harm_alpha, "p_value": p_worthwhile},
        ),
        Remark(code="method", text=f"Method: {method}.", values={"method": method}),
    ]


def _design(verdict: Verdict) -> list[Remark]:
    """How often was looked, and that the numbers allow for it."""
    look = verdict.look
    if look is None:
        return []
    if isinstance(look, AtAnyTime):
        text = "The p-values and intervals hold at any time, however often one looks."
        order = "The rows stand in the planned order, it was said: evidence that was once reached counts for good."
        if not look.ordered:
            order = "The order of the rows does not matter: what counts is what all tasks so far are worth together."
        return [Remark(code="anytime_valid", text=text), Remark(code="order_of_rows", text=order)]
    if look.of == 1:
        text = f"The one look that was declared, at {look.tasks:,} tasks."
        return [Remark(code="look", text=text, values={"tasks": look.tasks})] if look.number else []
    text = "The p-values and intervals are sequential: they hold for all looks together."
    remarks = [_where(look, verdict), Remark(code="sequential", text=text)]
    gain, (up, down) = verdict.success_gain.value, (verdict.recovered, verdict.disrupted)
    if gain is not None and up is not None and down is not None:
        plain = (up - down) / verdict.pairs
        if points(gain) != points(plain):
            text = f"The gain is corrected for stopping early; that of all pairs is {points(plain)}."
            remarks.append(Remark(code="gain_corrected", text=text, values={"gain_of_all_pairs": plain}))
    return remarks


def _where(look: AtLook, verdict: Verdict) -> Remark:
    text = f"Look {look.number} of {look.of}, at {look.tasks:,} tasks"
    if look.number is None:
        text = f"Between two looks, after {look.tasks:,} tasks"
    if look.boundary is not None:
        alone = " for one arm" if any(caution.code == "several_arms" for caution in verdict.cautions) else ""
        text += f": INTERVENE needs z >= {look.boundary:.2f} here{alone}"
        text += f", z = {look.statistic:.2f}" if look.statistic is not None else ""
    values = {key: getattr(look, key) for key in ("number", "of", "tasks", "boundary", "statistic")}
    return Remark(code="look", text=f"{text}.", values=values)


def text(terminal: Terminal, arm: HowView) -> None:
    """Prints a list."""
    terminal.bullets("How", (line["text"] for line in arm["how"]))
