"""What `forbear decide` is told beside its table: the rule, how often was looked, what it is worth, what is printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click

from forbear.cli.design import ShapeName, looks_of, shape_option
from forbear.errors import InvalidInput
from forbear.wording import shown

if TYPE_CHECKING:
    from forbear.stats.context.prior import Prior
    from forbear.stats.context.value import Costs
    from forbear.stats.looks.looks import Looks
    from forbear.stats.rule import DecisionRule

Command = Callable[..., Any]
Output = Literal["text", "json", "md", "junit", "brief"]


def adding(name: str, options: Mapping[str, Command], make: Callable[..., Any]) -> Callable[[Command], Command]:
    """A decorator that adds options, by the names of their arguments, and hands the command what is made of them."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_them(**values: Any) -> Any:
            given = {option: values.pop(option) for option in options}
            return command(**{name: make(**given)}, **values)

        decorated: Command = with_them
        for option in reversed(list(options.values())):
            decorated = option(decorated)
        return decorated

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedRule:
    """The rule as it stands on the command line; not looked at until it is made."""

    margin: float
    worthwhile: float | None
    alpha: float
    guarantee: Literal["calibrated", "finite-sample"] = "calibrated"
    missing: Literal["excess", "exclude", "worst"] = "excess"

    def made(self) -> DecisionRule:
        """The rule.

        Raises:
            InvalidInput: There is none like it.
        """
        from forbear.stats.rule import DecisionRule

        paying = {} if self.worthwhile is None else {"worthwhile": self.worthwhile}
        return DecisionRule(
            margin=self.margin, alpha=self.alpha, guarantee=self.guarantee, missing=self.missing, **paying
        )


def _errors(margin: str, worthwhile: str, alpha: str) -> dict[str, Command]:
    return {
        "margin": click.option("--margin", type=float, default=0.0, show_default=True, help=margin),
        "worthwhile": click.option(
            "--worthwhile", type=float, help=f"{worthwhile} [default: 0.02; the margin where that is negative]"
        ),
        "alpha": click.option("--alpha", type=float, default=0.05, show_default=True, help=alpha),
    }


rule_options = adding(
    "rule",
    {
        **_errors(
            "INTERVENE only if gains up to this are rejected; a fraction. Negative: is it worse by no more than that?",
            "Smallest gain that pays; a fraction.",
            "Largest probability of a false INTERVENE.",
        ),
        "guarantee": click.option(
            "--guarantee",
            type=click.Choice(["calibrated", "finite-sample"]),
            default="calibrated",
            show_default=True,
            help="For several seeds per task: error rates kept in simulations, or by a proof.",
        ),
        "missing": click.option(
            "--missing",
            type=click.Choice(["excess", "exclude", "worst"]),
            default="excess",
            show_default=True,
            help="What INTERVENE also has to hold for: the excess of one arm's lost runs against it; nothing; all at "
            "worst.",
        ),
    },
    StatedRule,
)
"""The command is handed a `StatedRule` as `rule`."""

planned_rule_options = adding("rule", _errors("As in decide.", "As in decide.", "As in decide."), StatedRule)
"""The same of a command that plans: how outcomes are read is no part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """How often outcomes are looked at."""

    looks: str | None
    look: int | None
    shape: ShapeName | None
    anytime: bool
    planned: int | None
    in_order: bool

    def declared(self, *, elsewhere: str | None, has_rows: bool) -> Looks | None:
        """The looks that were declared; None for a stream, and for the one look of a pilot of fixed size.

        Args:
            elsewhere: An option that says what the gain is elsewhere, if one is given.
            has_rows: Whether outcomes have an order.

        Raises:
            click.UsageError, InvalidInput: As `looks_of`, or options that do not go with each other.
        """
        declared = looks_of(looks=self.looks, look=self.look, shape=self.shape, anytime=self.anytime)
        if elsewhere is not None and (declared is not None or self.anytime):
            raise click.UsageError(f"{elsewhere} has the interval of a single look; drop it, or --looks and --anytime.")
        if self.planned is not None and not self.anytime:
            raise click.UsageError("--planned says how long a stream will be: it belongs to --anytime.")
        if self.in_order and ((not self.anytime and declared is None) or not has_rows):
            raise click.UsageError("--in-order says how rows stand: it needs a FILE, and --looks or --anytime.")
        return declared


looking_options = adding(
    "looking",
    {
        "looks": click.option(
            "--looks", metavar="N,N,...", help="Tasks at which it is decided, declared beforehand; 50-200/10."
        ),
        "look": click.option(
            "--look", type=int, metavar="K", help="Which of the --looks this is, from 1 on: exactly its tasks."
        ),
        "shape": shape_option,
        "anytime": click.option(
            "--anytime",
            is_flag=True,
            help="A stream without a planned size: valid after every task, however often.",
        ),
        "planned": click.option(
            "--planned",
            type=click.IntRange(1),
            metavar="N",
            help="With --anytime: about so many tasks, decided beforehand; above 2,000 small gains are found sooner.",
        ),
        "in_order": click.option(
            "--in-order",
            is_flag=True,
            help="Rows stand in the planned order: past evidence counts (--anytime, --looks).",
        ),
    },
    Looking,
)
"""The command is handed a `Looking` as `looking`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What is believed and what things cost, for what stands beside a verdict."""

    prior: str | None
    cost_of_intervening: float | None
    cost_of_harm: float | None

    def believed(self) -> Prior:
        """What is believed before the pilot.

        Raises:
            InvalidInput: It is no prior.
        """
        from forbear.stats.context.prior import PUBLISHED, Prior

        if self.prior is None:
            return PUBLISHED
        try:
            recovered, disrupted, alike = (float(part) for part in self.prior.split(","))
        except ValueError:
            raise InvalidInput(
                "--prior needs three numbers of tasks UP,DOWN,SAME (recovered, disrupted, alike), got "
                f"'{shown(self.prior)}'. Example: --prior 3,2,20."
            ) from None
        return Prior(recovered=recovered, disrupted=disrupted, alike=alike, source="as stated by --prior")

    def costs(self, *, worthwhile: float) -> Costs:
        """The costs; intervening costs by default the gain that is worthwhile."""
        from forbear.stats.context.value import Costs

        intervening, harm = self.cost_of_intervening, self.cost_of_harm
        return Costs(
            intervening=max(worthwhile, 0.0) if intervening is None else intervening, harm=0.0 if harm is None else harm
        )


worth_options = adding(
    "worth",
    {
        "prior": click.option(
            "--prior", metavar="UP,DOWN,SAME", help="For the worth, as tasks. [default: published pilots]"
        ),
        "cost_of_intervening": click.option(
            "--cost-of-intervening",
            type=float,
            metavar="X",
            help="For the worth, in successes a task. [default: --worthwhile]",
        ),
        "cost_of_harm": click.option(
            "--cost-of-harm", type=float, metavar="X", help="For the worth, of a disrupted task. [default: 0]"
        ),
    },
    Worth,
)
"""The command is handed a `Worth` as `worth`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Printing:
    """What is printed and written, and what the exit code says."""

    output: Output
    report: str | None
    charts: Path | None
    gate: bool


def _printing(
    output: str | None, as_json: bool, brief: bool, report: str | None, charts: Path | None, gate: bool
) -> Printing:
    said = [output] if output is not None else []
    said += (["json"] if as_json else []) + (["brief"] if brief else [])
    if len(set(said)) > 1:
        raise click.UsageError("--format, --json and --brief say what is printed: give one of them.")
    chosen = cast("Output", said[0] if said else "text")
    return Printing(output=chosen, report=report, charts=charts, gate=gate)


charts_option = click.option(
    "--charts", type=click.Path(path_type=Path), metavar="DIR", help="Also write the pictures as files: SVG and PNG."
)

printing_options = adding(
    "printing",
    {
        "output": click.option(
            "--format",
            "output",
            type=click.Choice(["text", "json", "md", "junit"]),
            help="For a terminal, a program, a pull request, a test report. [default: text]",
        ),
        "as_json": click.option(
            "--json", "as_json", is_flag=True, help="The same as --format json: one object and nothing else."
        ),
        "brief": click.option("--brief", is_flag=True, help="One line an arm."),
        "report": click.option(
            "--report", metavar="FILE", help="Also write the verdict as one HTML page to look at and to send."
        ),
        "charts": charts_option,
        "gate": click.option(
            "--gate", is_flag=True, help="Exit 0 INTERVENE (of one arm at least), 20 FORBEAR (of all), 21 else."
        ),
    },
    _printing,
)
"""The command is handed a `Printing` as `printing`."""
