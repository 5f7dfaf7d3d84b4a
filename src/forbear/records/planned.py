"""What the journal itself reads of `plan.json`: whether it is whole, and which episodes it plans.

All else in it is typed and read by `analysis.plan_record`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import msgspec
from msgspec import Struct

from forbear.errors import InvalidInput
from forbear.records.codec import config_digest, unknown_format
from forbear.records.model import JSON
from forbear.wording import shown

PLAN_FORMAT = "forbear-plan-2"


class _Baseline(Struct):
    tasks: list[list[Any]]
    seeds: list[int]
    design: Any = None


class _Arm(Struct):
    kind: Any = None


class _Plan(Struct):
    baseline: _Baseline
    arms: dict[str, _Arm]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The cells of a plan: tasks × seeds × arms."""

    tasks: Mapping[str, int]
    """Position in the planned order, from 0 on, by id."""
    seeds: tuple[int, ...]
    arms: tuple[str, ...]
    baseline: str | None
    """Name of the arm that every other is compared with."""
    coupled: tuple[str, ...]
    """Arms that share what they pay for within a row, in the order in which they are run; none in another design."""

    @classmethod
    def of(cls, plan: Mapping[str, JSON], *, where: str) -> Self:
        """Reads the cells.

        Raises:
            InvalidInput: It does not say which tasks, seeds and arms it has.
        """
        try:
            read = msgspec.convert(plan, _Plan)
            tasks = {str(task[0]): position for position, task in enumerate(read.baseline.tasks)}
        except (msgspec.ValidationError, IndexError) as error:
            raise InvalidInput(
                f"{where}: plan.json does not say which tasks, seeds and arms there are "
                f"({shown(str(error), limit=150)})."
            ) from None
        return cls(
            tasks=tasks,
            seeds=tuple(read.baseline.seeds),
            arms=tuple(read.arms),
            baseline=next((name for name, arm in read.arms.items() if arm.kind == "baseline"), None),
            coupled=tuple(
                name for name, arm in read.arms.items() if arm.kind != "rerun" and read.baseline.design == "coupled"
            ),
        )


def plan_digest(plan: Mapping[str, JSON]) -> str:
    """Returns the sha256, in hexadecimal, of all that a plan says but its `digest`."""
    return config_digest({key: value for key, value in plan.items() if key != "digest"})


def require_whole(plan: Mapping[str, JSON], *, where: str) -> None:
    """Refuses a plan of another version, and one that was changed since it was written.

    Raises:
        InvalidInput: With which of the two, and what to do.
    """
    if plan.get("format") == "forbear-plan-1":
        raise InvalidInput(
            f"{where}: the pilot was started with an earlier version of forbear (forbear-plan-1), which this one "
            "cannot go on with. Decide with the version that started it, or start it afresh in another directory."
        )
    if plan.get("format") != PLAN_FORMAT:
        raise unknown_format(plan.get("format"), where=where)
    try:
        whole = plan.get("digest") == plan_digest(plan)
    except InvalidInput:  # a number that has become infinite cannot be what was written
        whole = False
    if not whole:
        raise changed_plan("its digest differs", where=where)


def changed_plan(how: str, *, where: str) -> InvalidInput:
    """The error for a plan.json that is not what it was."""
    return InvalidInput(
        f"{where}: plan.json is not what the pilot was started with ({how}). Restore the file from a copy; starting "
        "the same pilot in another directory writes the same file."
    )
