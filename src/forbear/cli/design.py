"""How often outcomes that people bring are looked at: once, at looks that were declared, or whenever one likes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from forbear.errors import InvalidInput
from forbear.wording import shown

if TYPE_CHECKING:
    from forbear.analysis.pairing import Pairing
    from forbear.outcomes.missing import MissingOutcomes, Outcomes
    from forbear.outcomes.table import OutcomeTable
    from forbear.stats.decision import AnyOutcomes
    from forbear.stats.looks.looks import Looks
    from forbear.stats.looks.sequential import SequentialOutcomes

ShapeName = Literal["obrien-fleming", "pocock"]
_Command = TypeVar("_Command", bound=Callable[..., object])


def shape_option(command: _Command) -> _Command:
    """The option --shape, None where it is not given."""
    return click.option(
        "--shape",
        type=click.Choice(["obrien-fleming", "pocock"]),
        help="How much early looks ask: more, or the same. [default: obrien-fleming]",
    )(command)


def declared_looks(looks: str, *, watch: bool, futility: float, shape: ShapeName | None) -> Looks:
    """The design that was declared as "50,100,200".

    Raises:
        InvalidInput: Not whole numbers, or none that rise.
    """
    from forbear.stats.looks.looks import Looks

    parts = [part.strip() for part in looks.split(",")]
    if not all(part.isdecimal() and len(part) <= 12 for part in parts):
        raise InvalidInput(
            f"--looks needs rising whole numbers of tasks, got '{shown(looks)}'. Example: --looks 50,100,200."
        )
    return Looks(tasks=tuple(map(int, parts)), shape=shape or "obrien-fleming", watch=watch, futility=futility)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """What is decided on, by treated arm."""

    arms: Mapping[str, AnyOutcomes]
    missing: Mapping[str, MissingOutcomes[AnyOutcomes] | None]


Design = Callable[[Sequence["Pairing"], "OutcomeTable | None"], Brought]
"""From the pairings, and the table they came from (None for counts), to what is decided on."""


def design_of(*, looks: str | None, look: int | None, shape: ShapeName | None, anytime: bool) -> Design | None:
    """How the options say that outcomes are looked at; None for the one look of a pilot of fixed size.

    Raises:
        click.UsageError: Options that exclude each other, or one without that which it belongs to.
        InvalidInput: As `declared_looks`.
    """
    given = [
        option for option, value in (("--looks", looks), ("--look", look), ("--shape", shape)) if value is not None
    ]
    if anytime:
        if given:
            raise click.UsageError(f"--anytime has no planned looks; drop {given[0]}, or --anytime.")
        return at_any_time
    if looks is None:
        if given:
            raise click.UsageError(
                f"{given[0]} belongs to looks that were declared beforehand: give them too, e.g. --looks 50,100,200."
            )
        return None
    declared = declared_looks(looks, watch=False, futility=0.0, shape=shape)
    if look is None:
        raise click.UsageError(
            f"--looks needs to know which of them this is: --look 1 to --look {len(declared.tasks)}."
        )
    return partial(at_look, looks=declared, number=look)


def once(pairings: Sequence[Pairing]) -> Brought:
    """The outcomes as they are: a single look."""
    arms = {one.treated: one.pairs for one in pairings}
    return Brought(arms=arms, missing={one.treated: one.missing for one in pairings})


def at_look(pairings: Sequence[Pairing], table: OutcomeTable | None, *, looks: Looks, number: int) -> Brought:
    """The outcomes at one of the declared looks.

    Raises:
        InvalidInput: An arm with other tasks than the look has.
    """
    from forbear.outcomes.missing import MissingOutcomes
    from forbear.stats.looks.sequential import SequentialOutcomes

    def taken(outcomes: Outcomes, tasks: int) -> SequentialOutcomes:
        return SequentialOutcomes.at_look(outcomes, looks, look=number, tasks=tasks, arms=len(pairings))

    arms: dict[str, AnyOutcomes] = {}
    missing: dict[str, MissingOutcomes[AnyOutcomes] | None] = {}
    for one in pairings:
        # A task that an outage took holds its place in the order: the looks count it.
        arms[one.treated] = taken(one.pairs, one.tasks)
        missing[one.treated] = None
        if one.missing is not None:
            worst, best = taken(one.missing.worst, one.tasks), taken(one.missing.best, one.tasks)
            missing[one.treated] = MissingOutcomes(worst=worst, best=best, by_arm=one.missing.by_arm)
    return Brought(arms=arms, missing=missing)


def at_any_time(pairings: Sequence[Pairing], table: OutcomeTable | None) -> Brought:
    """The outcomes as a stream, in the order in which tasks first appear; of counts the order is not known.

    Raises:
        InvalidInput: A cluster whose tasks do not stand together.
    """
    from forbear.analysis.pairing import planned_runs
    from forbear.stats.looks.anytime import AnytimeOutcomes, anytime_outcomes

    arms: dict[str, AnyOutcomes] = {}
    missing: dict[str, MissingOutcomes[AnyOutcomes] | None] = {}
    for one in pairings:
        missing[one.treated] = None
        if table is None:
            arms[one.treated] = AnytimeOutcomes(now=one.pairs)
            continue
        runs = planned_runs(table, baseline=one.baseline, treated=one.treated)
        observed, missing[one.treated] = anytime_outcomes(
            baseline=runs.baseline,
            treated=runs.treated,
            clusters=runs.clusters,
            names=(one.baseline, one.treated),
        )
        assert observed is not None, "a pairing has a pair"
        arms[one.treated] = observed
    return Brought(arms=arms, missing=missing)
