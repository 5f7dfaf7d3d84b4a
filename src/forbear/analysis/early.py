"""What stepping in early does, against stepping in later: the net effect by where a run was first touched."""

from forbear.analysis.advantage import Touched, first_touches, touched_runs
from forbear.analysis.result import PilotResult
from forbear.stats.verdict import Remark

EARLY_STEPS = 2
"""Steps 0 and 1, where the study found every one of its regressions."""


def early_harm(result: PilotResult, arm: str) -> list[Remark]:
    """Advises a larger `min_step` where early touches are shown to do net harm; else says nothing.

    Counting the disruptions that began early is not enough: the same touches recover runs, and where those are more, a
    larger `min_step` costs. Coupled designs only: apart from its baseline, a run that is touched early began badly.
    """
    if result.design != "coupled":
        return []
    early, later = touched(result, arm, later=False), touched(result, arm, later=True)
    if not early.is_harmful:
        return []
    text = (
        f"First touched at step 0 or 1: {early}; later: {later}. Early touches do net harm: try a min_step of "
        f"{EARLY_STEPS}, in a new pilot."
    )
    values = {"early": early.values(), "later": later.values(), "min_step": EARLY_STEPS}
    return [Remark(code="early_harm", text=text, values=values)]


def touched(result: PilotResult, arm: str, *, later: bool) -> Touched:
    """Counts the runs of an arm that were first touched at the early steps, or later.

    Both runs of a pair share what came before the touch, so that their difference is what it did. The interval is that
    of a verdict of these runs by themselves, at a single look; arms that may be deployed share alpha evenly, so
    that several of them give no more false advice than one.
    """
    keys = {one.key for one in first_touches(result, arm) if (one.step >= EARLY_STEPS) is later}
    return touched_runs(result, arm, keys, alpha=result.plan.rule.alpha / max(1, len(result.plan.candidates)))
