"""What the commands that judge a critic have in common: which critic, which runs, what it may have seen."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO

import click

from forbear.errors import InvalidInput
from forbear.wording import shown

if TYPE_CHECKING:
    from forbear.adapters.judged import Judged, NamedCritic

WHICH = """CRITIC is the folder of a critic, the name of a built-in one that needs no model
(step-count, repeated-action, ...), module:factory of your own, or
recorded[:NAME]: the scores that stand in the files. EPISODES are journals,
forbear-episode files, or JSONL of task_id, success, task and steps; of journals
the baseline's runs, unless --arm names others.
"""


def judging(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments and options of a command that judges a critic on runs."""
    for decorate in (
        click.option("--options", metavar="JSON", default="{}", help='Of the critic, e.g. {"step": 3}.'),
        click.option("--allow-overlap", is_flag=True, help="Judge it on tasks that it has learned from as well."),
        click.option("--arm", "arms", multiple=True, metavar="NAME", help="Whose runs, of journals; repeatable."),
        click.argument("episodes", nargs=-1, required=True, metavar="EPISODES..."),
        click.argument("critic", metavar="CRITIC"),
    ):
        command = decorate(command)
    return command


@contextlib.contextmanager
def judged(
    critic: str,
    episodes: tuple[str, ...],
    *,
    arms: tuple[str, ...],
    options: str,
    allow_overlap: bool,
    ordinal: bool = False,
) -> Iterator[tuple[NamedCritic, Judged, TextIO]]:
    """Reads and asks; what the critic's own code prints is kept away from standard output, which is given besides."""
    from forbear.adapters.judged import judge, named_critic
    from forbear.cli.foreign import foreign_output

    try:
        given = json.loads(options)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise InvalidInput(f'--options must be a JSON object such as {{"step": 3}}, got {shown(options)}.')
    with foreign_output() as ours:
        named = named_critic(critic, options=given)
        yield named, judge(named, episodes, arms=arms, ordinal=ordinal, allow_overlap=allow_overlap), ours.out


def numbers(text: str, *, name: str) -> list[float]:
    """Reads numbers that commas separate."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InvalidInput(f"{name} expects numbers separated by commas, got {shown(text)}.") from None
