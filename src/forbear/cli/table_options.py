"""How a table of outcomes is read: one set of options for every command that reads one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from forbear.errors import InvalidInput

if TYPE_CHECKING:
    from forbear.adapters.formats.reading import Named, Reading

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _column(role: str, what: str, default: str) -> Callable[[_Command], _Command]:
    return click.option(f"--{role}-col", multiple=True, metavar="NAME", help=f"Column of {what}. [default: {default}]")


_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "task_col": _column("task", "the task ids", "task_id, or a guess"),
    "arm_col": _column("arm", "the arms", "arm, or a guess"),
    "seed_col": _column("seed", "the seeds", "seed, or a guess, if there"),
    "success_col": _column("success", "the outcomes", "success, or a guess"),
    "cluster_col": _column("cluster", "what tasks belong to", "cluster, if there"),
    "stratum_col": _column("stratum", "the kinds of task", "stratum, if there"),
    "error_col": click.option(
        "--error-col", multiple=True, metavar="NAME", help="Filled where something broke: then a failure is no outcome."
    ),
    "arm_cols": click.option(
        "--arm-cols", metavar="NAME,NAME,...", help="A wide table: columns of the outcomes of one arm each."
    ),
    "where": click.option(
        "--where", multiple=True, metavar="COLUMN=VALUE", help="Rows that are read; again: another value, or column."
    ),
    "by": click.option(
        "--by", metavar="COLUMN", help="One comparison for each value of a column; all share the errors."
    ),
    "key": click.option(
        "--key",
        type=click.Choice(["id", "row"]),
        default="id",
        help="What pairs rows: the task id, or where they stand in their arm. [default: id]",
    ),
    "number_runs": click.option(
        "--number-runs", is_flag=True, help="Rows of one task and arm are separate runs, numbered as they stand."
    ),
    "records": click.option("--records", metavar="PATH", help="Where in a JSON document the outcomes are, as a.b."),
    "threshold": click.option(
        "--threshold", type=float, metavar="T", help="success is a score; from T on it is a success."
    ),
    "success_values": click.option(
        "--success-values", metavar="W,W,...", help="Words for success, beside the usual ones."
    ),
    "failure_values": click.option("--failure-values", metavar="W,W,...", help="Words for failure."),
    "missing_values": click.option("--missing-values", metavar="W,W,...", help="Words for a run without an outcome."),
    "failures": click.option(
        "--failure", "failures", metavar="R,R,...", help="Reasons for which a run without outcome failed, in any arm."
    ),
    "reason_col": _column("reason", "those reasons", "reason"),
    "format": click.option("--from", "format"),
    "scorer": click.option("--scorer", metavar="NAME", help="Of logs: the score or metric that is the outcome."),
    "lower_is_better": click.option("--lower-is-better", is_flag=True, help="Of logs: low scores are the good ones."),
    "arms_by": click.option(
        "--arms-by",
        type=click.Choice(["auto", "config", "file"]),
        default="auto",
        help="Of logs: an arm is each configuration, or each file. [default: told apart by both, and said]",
    ),
}
"""By the name of its argument."""


def table_options(command: _Command, *, format_option: str = "--from") -> Callable[..., Any]:
    """Adds the options; the command is handed what they say as one argument, `reading`.

    Args:
        command: To which they are added.
        format_option: What the format of logs is called, where `--from` is taken.
    """

    @wraps(command)
    def with_reading(**values: Any) -> Any:
        given = {name: values.pop(name) for name in _OPTIONS}
        return command(reading=_reading(given), **values)

    decorated: Callable[..., Any] = with_reading
    told = "Format of logs. [default: found by content; docs/logs.md]"
    options = _OPTIONS | {"format": click.option(format_option, "format", metavar="NAME", help=told)}
    for option in reversed(options.values()):
        decorated = option(decorated)
    return decorated


def table_options_given() -> list[str]:
    """Those of the options that stand on the command line, as they are written there."""
    context = click.get_current_context()
    written = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    return [written[name] for name in _OPTIONS if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]


def _reading(given: Mapping[str, Any]) -> Reading:
    from forbear.adapters.formats.reading import Columns, Condition, Reading

    if given["reason_col"] and given["failures"] is None:
        raise click.UsageError("--reason-col belongs to --failure, the reasons that count, e.g. --failure timeout.")
    roles = ("task", "arm", "seed", "success", "cluster", "stratum", "reason", "error")
    return Reading(
        columns=Columns(**{role: _names(given[f"{role}_col"], role) for role in roles}),
        where=tuple(Condition.parse(text) for text in given["where"]),
        by=given["by"],
        records=given["records"],
        arm_columns=_words(given["arm_cols"], option="--arm-cols", what="columns, e.g. --arm-cols baseline,critic"),
        key=given["key"],
        number_runs=given["number_runs"],
        threshold=given["threshold"],
        **{name: given[name] for name in ("format", "scorer", "lower_is_better", "arms_by")},
        success_values=_words(given["success_values"], option="--success-values", what="words, e.g. done,ok"),
        failure_values=_words(given["failure_values"], option="--failure-values", what="words, e.g. lost,timeout"),
        missing_values=_words(given["missing_values"], option="--missing-values", what="words, e.g. skipped"),
        failures=_words(given["failures"], option="--failure", what="reasons, e.g. --failure timeout,crash"),
    )


def _names(names: Sequence[str], role: str) -> Named:
    """One name for all files, or one for each."""
    if len(names) > 2:
        raise InvalidInput(
            f"--{role}-col is given {len(names)} times; at most once for each of two files, in their order."
        )
    return names[0] if len(names) == 1 else tuple(names) or None


def _words(text: str | None, *, option: str, what: str) -> tuple[str, ...]:
    if text is None:
        return ()
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not 0 < len(words) <= 100:
        raise InvalidInput(f"{option} needs {what}.")
    return words
