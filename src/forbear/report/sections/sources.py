"""Where an arm's harm and help come from: the step of its first intervention, how many there were, kinds of tasks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypedDict

from forbear.report.sections.advantage import RangeView

if TYPE_CHECKING:
    from forbear.analysis.result import PilotResult
    from forbear.analysis.sources import Changes

MOST_STEPS = 8
"""Columns of steps; more are put together."""
MOST_INTERVENTIONS = 5
"""The last column holds all runs with as many or more."""
MOST_STRATA = 12

CAVEAT = "A run that goes badly is stepped into more often: the number of interventions is no cause."
OF_STRATA = "Each kind of task by itself, not corrected for their number: where to look in a new pilot, no verdict."


class ColumnView(TypedDict):
    """The runs of one column."""

    label: str
    runs: int
    recovered: int
    disrupted: int


class SourcesView(TypedDict):
    """What is shown of one arm."""

    by_step: list[ColumnView]
    """By the step of the first intervention; empty where arms share no prefix, or it touched nothing."""
    by_interventions: list[ColumnView]
    by_stratum: list[RangeView]
    """By the kind of task; empty where there are fewer than two. Its `begin` and `end` say the order."""
    strata_left_out: int
    caveat: str
    of_strata: str


def view(arm: str, result: PilotResult) -> SourcesView | None:
    """Where an arm's changes come from; None of an arm that never stepped in."""
    from forbear.analysis.sources import sources_of

    found = sources_of(result, arm)
    if not found.by_step:
        return None
    strata = list(found.by_stratum.items())
    return SourcesView(
        by_step=_steps(found.by_step) if result.design == "coupled" else [],
        by_interventions=_interventions(found.by_interventions),
        by_stratum=[
            RangeView(
                label=name,
                begin=place,
                end=place + 1,
                runs=one.runs,
                recovered=one.recovered,
                disrupted=one.disrupted,
                gain=None if one.gain is None else one.gain.to_dict(),
            )
            for place, (name, one) in enumerate(strata[:MOST_STRATA])
        ],
        strata_left_out=max(0, len(strata) - MOST_STRATA),
        caveat=CAVEAT,
        of_strata=OF_STRATA,
    )


def _steps(changes: Mapping[int, Changes]) -> list[ColumnView]:
    """A column a step, or a few steps, from 0 to the last at which there was a first intervention."""
    if not changes:
        return []
    size = -(-(max(changes) + 1) // MOST_STEPS)
    columns = []
    for begin in range(0, max(changes) + 1, size):
        label = str(begin) if size == 1 else f"{begin}-{begin + size - 1}"
        columns.append(_column(label, [one for at, one in changes.items() if begin <= at < begin + size]))
    return columns


def _interventions(changes: Mapping[int, Changes]) -> list[ColumnView]:
    last = min(max(changes, default=0), MOST_INTERVENTIONS)
    columns = []
    for number in range(last + 1):
        chosen = [one for at, one in changes.items() if at == number or (number == last and at > last)]
        label = f"{number}+" if number == last and max(changes, default=0) > last else str(number)
        columns.append(_column(label, chosen))
    return columns


def _column(label: str, chosen: list[Changes]) -> ColumnView:
    return ColumnView(
        label=label,
        runs=sum(one.runs for one in chosen),
        recovered=sum(one.recovered for one in chosen),
        disrupted=sum(one.disrupted for one in chosen),
    )
