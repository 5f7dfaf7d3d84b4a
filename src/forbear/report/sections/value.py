"""What switching on is worth, and what a new pilot would be: beside the verdict, which does not use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from forbear.stats.context.prior import PUBLISHED, Prior
from forbear.stats.context.value import Costs, Value, value_of
from forbear.stats.verdict import Remark, RemarkJson, Verdict
from forbear.wording import number, points, worth

if TYPE_CHECKING:
    from forbear.report.terminal import Terminal


class PriorView(TypedDict):
    """What was believed before, as so many tasks."""

    recovered: float
    disrupted: float
    alike: float
    source: str


class NewPilotView(TypedDict):
    """A new pilot, and what it adds to the net gain of every later task on average."""

    tasks: int
    worth: float


class ValueView(TypedDict):
    """What is shown; fractions of success, a task."""

    gain: float
    """Expected, before costs."""
    net_gain: float
    """Expected, after costs."""
    loss_probability: float
    """That the gain after costs is below 0."""
    cost_of_intervening: float
    cost_of_harm: float
    new_pilots: list[NewPilotView]
    perfect_information: float
    prior: PriorView
    lines: list[RemarkJson]
    """The sentences."""


class ArmValueView(TypedDict):
    """An arm with its value, or the reason why there is none; both None for a control."""

    value: ValueView | None
    no_value: RemarkJson | None


def view(
    verdict: Verdict, *, prior: Prior = PUBLISHED, costs: Costs | None = None
) -> tuple[ValueView | None, RemarkJson | None]:
    """The value of one arm, or why there is none: scores, and harm that cannot be told from run-to-run variation.

    Args:
        verdict: Several seeds of a task count as one task, whatever they agree on. Where they are not paired a task is
            recovered, or disrupted, as often as one run of either arm, taken at random, would be: the expected gain is
            that of the rates, and the truth counts as less known than it is.
        prior: What is believed before.
        costs: By default intervening costs the gain that is worthwhile, and harm nothing more.
    """
    if costs is None:
        costs = Costs(intervening=max(verdict.rule.worthwhile, 0.0))
    if verdict.failure_rate is None:
        text = (
            "What switching on is worth is not said of scores: its prior is about tasks that succeed or fail. "
            "--threshold T makes them so."
        )
        return None, Remark(code="no_worth_of_scores", text=text).to_dict()
    if verdict.recovered is None and costs.harm:
        text = (
            "What switching on is worth is not said with a cost of harm where the arms ran different numbers of seeds: "
            "a disrupted task cannot be told from the agent's own variation."
        )
        return None, Remark(code="no_worth_with_harm", text=text).to_dict()
    recovered, disrupted = _changed(verdict)
    value = value_of(recovered=recovered, disrupted=disrupted, pairs=verdict.tasks, prior=prior, costs=costs)
    new = [NewPilotView(tasks=n, worth=x) for n, x in zip(value.next_tasks, value.information, strict=True)]
    found = ValueView(
        gain=value.gain,
        net_gain=value.net,
        loss_probability=value.loss_probability,
        cost_of_intervening=costs.intervening,
        cost_of_harm=costs.harm,
        new_pilots=new,
        perfect_information=value.perfect,
        prior=PriorView(recovered=prior.recovered, disrupted=prior.disrupted, alike=prior.alike, source=prior.source),
        lines=[remark.to_dict() for remark in _lines(value)],
    )
    return found, None


def _changed(verdict: Verdict) -> tuple[float, float]:
    """Tasks that were recovered and disrupted; of unpaired seeds by the rates, p·r and (1 − p)·d of the tasks."""
    if verdict.recovered is not None and verdict.disrupted is not None:
        weight = verdict.tasks / verdict.pairs
        return verdict.recovered * weight, verdict.disrupted * weight
    failures, recovery, disruption = (
        0.0 if rate is None or rate.value is None else rate.value
        for rate in (verdict.failure_rate, verdict.recovery_rate, verdict.disruption_rate)
    )
    return failures * recovery * verdict.tasks, (1 - failures) * disruption * verdict.tasks


def _lines(value: Value) -> list[Remark]:
    costs, prior = value.costs, value.prior
    text = f"Switched on, {points(value.gain)} are expected"
    if costs.intervening or costs.harm:
        text += f", {points(value.net)} after costs of {worth(costs.intervening)} a task"
        text += f" and {number(costs.harm)} successes for each disrupted one" if costs.harm else ""
    text += f"; a loss has probability {number(value.loss_probability)}."
    expected = Remark(
        code="expected_gain",
        text=text,
        values={
            "gain": value.gain,
            "net_gain": value.net,
            "loss_probability": value.loss_probability,
            "cost_of_intervening": costs.intervening,
            "cost_of_harm": costs.harm,
        },
    )
    sizes = ", ".join(str(tasks) for tasks in value.next_tasks)
    worths = ", ".join(worth(x) for x in value.information)
    text = f"A new pilot of {sizes} tasks would add {worths} to every later task, on average; the truth, if it were "
    text += f"known, {worth(value.perfect)}."
    information = Remark(
        code="value_of_information",
        text=text,
        values={
            "tasks": list(value.next_tasks),
            "worth": list(value.information),
            "perfect_information": value.perfect,
        },
    )
    weight = prior.recovered + prior.disrupted + prior.alike
    text = f"Prior: {prior.source}, as much as {weight:.0f} tasks. The verdict does not use it."
    values: dict[str, object] = {"source": prior.source, "tasks": round(weight)}
    values |= {"recovered": prior.recovered, "disrupted": prior.disrupted, "alike": prior.alike}
    return [expected, information, Remark(code="prior", text=text, values=values)]


def text(terminal: Terminal, arm: ArmValueView) -> None:
    """Prints a list."""
    if arm["value"] is not None:
        terminal.bullets("Worth", (line["text"] for line in arm["value"]["lines"]))
    elif arm["no_value"] is not None:
        terminal.bullets("Worth", [arm["no_value"]["text"]])
