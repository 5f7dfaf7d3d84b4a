"""How a table of outcomes is read: one set of options for every command that reads one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click
from click.core import ParameterSource

from forbear.errors import InvalidInput

if TYPE_CHECKING:
    from forbear.adapters.formats.reading import Reading

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--task-col", metavar="NAME", help="Column of the task ids. [default: task_id]"),
    click.option("--arm-col", metavar="NAME", help="Column of the arms. [default: arm]"),
    click.option("--seed-col", metavar="NAME", help="Column of the seeds. [default: seed, if there is one]"),
    click.option("--success-col", metavar="NAME", help="Column of the outcomes. [default: success]"),
    click.option("--cluster-col", metavar="NAME", help="Column of what tasks belong to. [default: cluster, if there]"),
    click.option("--stratum-col", metavar="NAME", help="Column of the kinds of task. [default: stratum, if there]"),
    click.option(
        "--failure", "failures", metavar="R,R,...", help="Reasons for which a run without outcome failed, in any arm."
    ),
    click.option("--reason-col", metavar="NAME", help="Column of those reasons. [default: reason]"),
    click.option("--from", "format", metavar="NAME", help="Format of logs. [default: found by content; docs/logs.md]"),
    click.option("--scorer", metavar="NAME", help="Of logs: the score or metric that is the outcome."),
    click.option("--lower-is-better", is_flag=True, help="Of logs: low scores are the good ones."),
    click.option(
        "--arms-by",
        type=click.Choice(["auto", "config", "file"]),
        default="auto",
        help="Of logs: an arm is each configuration, or each file. [default: told apart by both, and said]",
    ),
    click.option("--threshold", type=float, metavar="T", help="success is a score; from T on it is a success."),
)
_NAMES = (
    *("task_col", "arm_col", "seed_col", "success_col", "cluster_col", "stratum_col"),
    *("failures", "reason_col", "format", "scorer", "lower_is_better", "arms_by", "threshold"),
)


def table_options(command: _Command) -> Callable[..., Any]:
    """Adds the options; the command is handed what they say as one argument, `reading`."""

    @wraps(command)
    def with_reading(**values: Any) -> Any:
        given = {name: values.pop(name) for name in _NAMES}
        return command(reading=_reading(**given), **values)

    decorated: Callable[..., Any] = with_reading
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def table_options_given() -> list[str]:
    """Those of the options that stand on the command line, as they are written there."""
    context = click.get_current_context()
    written = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    return [written[name] for name in _NAMES if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]


def _reading(
    *,
    task_col: str | None,
    arm_col: str | None,
    seed_col: str | None,
    success_col: str | None,
    cluster_col: str | None,
    stratum_col: str | None,
    failures: str | None,
    reason_col: str | None,
    format: str | None,
    scorer: str | None,
    lower_is_better: bool,
    arms_by: Literal["auto", "config", "file"],
    threshold: float | None,
) -> Reading:
    from forbear.adapters.formats.reading import Columns, Reading

    if reason_col is not None and failures is None:
        raise click.UsageError("--reason-col belongs to --failure, the reasons that count, e.g. --failure timeout.")
    return Reading(
        columns=Columns(
            task=task_col,
            arm=arm_col,
            seed=seed_col,
            success=success_col,
            cluster=cluster_col,
            stratum=stratum_col,
            reason=reason_col,
        ),
        threshold=threshold,
        format=format,
        scorer=scorer,
        lower_is_better=lower_is_better,
        arms_by=arms_by,
        failures=()
        if failures is None
        else _words(failures, option="--failure", what="reasons, e.g. --failure timeout,crash"),
    )


def _words(text: str, *, option: str, what: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise InvalidInput(f"{option} needs {what}.")
    return words
