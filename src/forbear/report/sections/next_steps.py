"""What to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from forbear.stats.verdict import AtAnyTime, Recommendation, Remark, RemarkJson, Verdict

if TYPE_CHECKING:
    from forbear.report.terminal import Terminal


class NextView(TypedDict):
    """What is shown."""

    next: list[RemarkJson]


def view(verdict: Verdict) -> list[RemarkJson]:
    """What a verdict leaves to do."""
    return [remark.to_dict() for remark in _steps(verdict)]


def _steps(verdict: Verdict) -> list[Remark]:
    if verdict.recommendation is Recommendation.INTERVENE:
        deploy = "Deploy exactly what was piloted: the same agent, critic, threshold and budget."
        mix = "The verdict speaks for tasks like the pilot's; another mix of tasks needs its own pilot."
        return [Remark(code="deploy_as_piloted", text=deploy), Remark(code="same_tasks", text=mix)]
    if verdict.recommendation is Recommendation.FORBEAR:
        text = "A changed intervention is a new question: pilot it afresh, best on new tasks."
        return [Remark(code="pilot_what_changed", text=text)]
    look = verdict.look
    if isinstance(look, AtAnyTime):
        text = "Go on: add tasks in the planned order and ask again, as often as you like; the error rates hold."
        return [Remark(code="go_on", text=text)]
    if look is None or verdict.futile:
        text = "To find out, run a new pilot. Adding tasks to this one and deciding again raises the false-go rate."
        return [Remark(code="new_pilot", text=text)]
    if look.next is not None:
        text = f"The next declared look is at {look.next:,} tasks: decide again then, with exactly those, not before."
        return [Remark(code="go_on_to_look", text=text, values={"tasks": look.next})]
    text = (
        "This was the last declared look: more tasks and another decision would raise the false-go rate. To find "
        "out, run a new pilot, or one that may be looked at whenever you like (forbear decide --anytime)."
    )
    return [Remark(code="no_look_left", text=text)]


def text(terminal: Terminal, arm: NextView) -> None:
    """Prints a list."""
    terminal.bullets("Next", (step["text"] for step in arm["next"]))
