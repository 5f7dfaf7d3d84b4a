"""How often outcomes that people bring are looked at: once, at looks that were declared, or whenever one likes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeVar

import click

from forbear.errors import InvalidInput

if TYPE_CHECKING:
    from forbear.stats.looks.looks import Looks

ShapeName = Literal["obrien-fleming", "pocock"]
_Command = TypeVar("_Command", bound=Callable[..., object])


def shape_option(command: _Command) -> _Command:
    """The option --shape, None where it is not given."""
    return click.option(
        "--shape",
        type=click.Choice(["obrien-fleming", "pocock"]),
        help="How much early looks ask: more, or the same. [default: obrien-fleming]",
    )(command)


def declared_looks(looks: str, *, watch: bool, futility: float | None, shape: ShapeName | None) -> Looks:
    """The design that was declared as "50,100,200" or "50-200/10"; futility None: the usual one.

    Raises:
        InvalidInput: Not whole numbers, or none that rise.
    """
    from forbear.stats.looks.looks import Looks

    try:
        declared = Looks.of_text(looks)
    except InvalidInput as error:
        raise InvalidInput(f"--looks: {error}") from None
    declared = replace(declared, shape=shape or "obrien-fleming", watch=watch)
    return declared if futility is None else replace(declared, futility=futility)


def looks_of(*, looks: str | None, look: int | None, shape: ShapeName | None, anytime: bool) -> Looks | None:
    """The looks that the options declare; None for a stream, and for the one look of a pilot of fixed size.

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
        return None
    if looks is None:
        if given:
            raise click.UsageError(
                f"{given[0]} belongs to looks that were declared beforehand: give them too, e.g. --looks 50,100,200."
            )
        return None
    declared = declared_looks(looks, watch=False, futility=None, shape=shape)
    if look is None:
        raise click.UsageError(
            f"--looks needs to know which of them this is: --look 1 to --look {len(declared.tasks)}."
        )
    return declared
