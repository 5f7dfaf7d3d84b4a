"""`forbear decide`: a verdict from outcomes that people already have."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, cast

import click

from forbear.cli.brought import elsewhere, from_counts, from_files
from forbear.cli.design import ShapeName, looks_of, shape_option
from forbear.cli.report import charts_option, write_charts, write_page
from forbear.cli.screen import columns
from forbear.cli.table_options import table_options, table_options_given
from forbear.errors import ForbearError, InvalidInput
from forbear.wording import listed, shown

if TYPE_CHECKING:
    from pathlib import Path

    from forbear.adapters.formats.reading import Reading
    from forbear.analysis.pairing import Pairing
    from forbear.report.view import DecisionView
    from forbear.stats.context.prior import Prior
    from forbear.stats.context.value import Costs
    from forbear.stats.rule import DecisionRule
    from forbear.stats.verdict import Verdict

Output = Literal["text", "json", "md", "junit", "brief"]

GATE = {"INTERVENE": 0, "FORBEAR": 20, "UNDECIDED": 21}
"""Exit codes under --gate."""

_WITH_JOURNAL = {
    "files",
    "treated",
    "as_json",
    "output",
    "brief",
    "gate",
    "prior",
    "cost_of_intervening",
    "cost_of_harm",
}

_HELP = """Decide from paired outcomes whether an intervention helps.

\b
FILE is a table with one row per task and arm: CSV, TSV or JSONL, with a header.
    task_id,arm,seed,success
    t1,baseline,0,1
    t1,rollback,0,0
Or JSON (an array, {id: outcome}, {arm: {id: outcome}}), Parquet, packed by gzip
or zip. Columns of other usual names are found, and said (docs/formats.md).
success is 0/1, true/false, pass/fail, correct/incorrect, resolved, C/I, ...;
empty, null, NaN, error or timeout where the run has no outcome: left out,
counted, bounded, and what one arm lost more than the other stands against
INTERVENE (--missing). `seed` tells several runs of a task
apart; `cluster` says what tasks belong to, where that is the unit. Two
files are two arms, baseline first, and need no `arm` column. `-` is standard
input. Tasks that only one arm has are left out and counted.

Without a file, --counts gives the paired table itself: A both fail,
C recovered (fails, then succeeds when treated), B disrupted (succeeds, then
fails when treated), D both succeed. A directory is a pilot's journal: it is
decided on at the looks that its own plan declares. A page that --report or a
pilot wrote carries its verdicts, and they are shown.

\b
INTERVENE   gains up to --margin are rejected: switch it on
FORBEAR     gains of --worthwhile or more are rejected: leave it off
UNDECIDED   the pilot cannot tell: leave it off

Several runs per task: tasks are the unit, runs are paired by seed. Several
treated arms share one error rate (Holm), also when --treated names one of them.
Scores from 0 to 1 instead of success and failure: --graded decides on the mean
score, --threshold T makes them binary.

Deciding again after tasks were added raises the error rate, unless that was
declared before the first outcome was seen: --looks 50,100,200 --look 2 decides
at the second of these numbers of tasks, and needs exactly so many (a task
without an outcome counts if it has its rows). --anytime needs no plan and may
be asked after every task, for somewhat less power: what all tasks so far are
worth, whatever the order of the rows; act on an INTERVENE when it comes. With
--in-order the rows stand as the tasks were planned, not as their runs ended
(which gives false verdicts), and evidence that was once reached counts for
good; looks are then watched after every task, as a pilot's are.

Beside the verdict, which does not use it, stands what switching on is worth on
average and what a new pilot would add, in successes a task: under --prior and
after --cost-of-intervening and, for each disrupted task, --cost-of-harm.

\b
Examples:
    forbear decide --counts 35,7,11,47
    forbear decide outcomes.csv
    forbear decide outcomes.csv --baseline v1 --treated v2 --worthwhile 0.05
    forbear decide baseline.jsonl treated.jsonl --json
    forbear decide outcomes.csv --gate && ./deploy.sh
    forbear decide outcomes.csv --gate --format md >> "$GITHUB_STEP_SUMMARY"
    forbear decide samples.jsonl --where filter=strict-match --by model --brief
    forbear decide outcomes.csv --looks 50,100,200 --look 1
    forbear decide stream.csv --anytime
    forbear decide runs/pilot

Exit codes: 0 done, 1 a bug, 2 bad input, 130 Ctrl-C. With --gate: 0 INTERVENE,
20 FORBEAR, 21 UNDECIDED; of several arms 0 if one is INTERVENE (standard error
names it), 20 if all are FORBEAR, else 21.
"""


@click.command(help=_HELP, short_help="A verdict from paired outcomes.")
@click.argument("files", nargs=-1, metavar="[FILE | BASELINE_FILE TREATED_FILE | JOURNAL]")
@click.option("--counts", metavar="A,C,B,D", help="The paired table instead of a file, e.g. 35,7,11,47.")
@click.option(
    "--margin",
    type=float,
    default=0.0,
    show_default=True,
    help="INTERVENE only if gains up to this are rejected; a fraction. Negative: is it worse by no more than that?",
)
@click.option(
    "--worthwhile",
    type=float,
    help="Smallest gain that pays; a fraction. [default: 0.02; the margin where that is negative]",
)
@click.option(
    "--alpha",
    type=float,
    default=0.05,
    show_default=True,
    help="Largest probability of a false INTERVENE.",
)
@click.option("--baseline", metavar="NAME", help="The arm without intervention. [default: the arm 'baseline']")
@click.option(
    "--treated", metavar="NAME", help="The arm to report on; others still share the error rate. [default: all]"
)
@click.option(
    "--only-arm-tested", is_flag=True, help="State that no arm but --treated was a candidate: nothing is shared."
)
@table_options
@click.option("--mix", metavar="FILE", help="CSV stratum,weight: also say the gain on that mix of tasks.")
@click.option(
    "--at", type=float, metavar="P", help="Also say the gain where the baseline's failure rate is P; a fraction."
)
@click.option(
    "--guarantee",
    type=click.Choice(["calibrated", "finite-sample"]),
    default="calibrated",
    show_default=True,
    help="For several seeds per task: error rates kept in simulations, or by a proof.",
)
@click.option("--graded", is_flag=True, help="success is a score from 0 to 1: a verdict about the mean score.")
@click.option(
    "--missing",
    type=click.Choice(["excess", "exclude", "worst"]),
    default="excess",
    show_default=True,
    help="What INTERVENE also has to hold for: the excess of one arm's lost runs against it; nothing; all at worst.",
)
@click.option("--looks", metavar="N,N,...", help="Numbers of tasks at which it is decided, declared beforehand.")
@click.option("--look", type=int, metavar="K", help="Which of the --looks this is, from 1 on: exactly its tasks.")
@shape_option
@click.option("--anytime", is_flag=True, help="A stream without a planned size: valid after every task, however often.")
@click.option(
    "--planned",
    type=click.IntRange(1),
    metavar="N",
    help="With --anytime: about so many tasks, decided beforehand; above 2,000 small gains are found sooner.",
)
@click.option(
    "--in-order", is_flag=True, help="Rows stand in the planned order: past evidence counts (--anytime, --looks)."
)
@click.option("--prior", metavar="UP,DOWN,SAME", help="For the worth, as tasks. [default: published pilots]")
@click.option(
    "--cost-of-intervening", type=float, metavar="X", help="For the worth, in successes a task. [default: --worthwhile]"
)
@click.option("--cost-of-harm", type=float, metavar="X", help="For the worth, of a disrupted task. [default: 0]")
@click.option(
    "--format",
    "output",
    type=click.Choice(["text", "json", "md", "junit"]),
    help="For a terminal, a program, a pull request, a test report. [default: text]",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json: one object and nothing else.")
@click.option("--brief", is_flag=True, help="One line an arm.")
@click.option("--report", metavar="FILE", help="Also write the verdict as one HTML page to look at and to send.")
@charts_option
@click.option("--gate", is_flag=True, help="Exit 0 INTERVENE (of one arm at least), 20 FORBEAR (of all), 21 else.")
def decide(
    files: tuple[str, ...],
    counts: str | None,
    margin: float,
    worthwhile: float | None,
    alpha: float,
    baseline: str | None,
    treated: str | None,
    only_arm_tested: bool,
    reading: Reading,
    mix: str | None,
    at: float | None,
    guarantee: Literal["calibrated", "finite-sample"],
    graded: bool,
    missing: Literal["excess", "exclude", "worst"],
    looks: str | None,
    look: int | None,
    shape: ShapeName | None,
    anytime: bool,
    planned: int | None,
    in_order: bool,
    prior: str | None,
    cost_of_intervening: float | None,
    cost_of_harm: float | None,
    output: str | None,
    as_json: bool,
    brief: bool,
    report: str | None,
    charts: Path | None,
    gate: bool,
) -> int:
    """Reads, decides, prints; returns the exit code."""
    from forbear.adapters.formats.report_page import is_report
    from forbear.analysis.verdicts import decide_pairings
    from forbear.report.view import decision_view
    from forbear.stats.rule import DecisionRule

    believed, printed = _prior(prior), _output(output, as_json=as_json, brief=brief)
    if len(files) == 1 and _is_journal(files[0]):
        stated = (cost_of_intervening, cost_of_harm)
        return _from_journal(files[0], treated=treated, output=printed, gate=gate, believed=believed, stated=stated)
    if len(files) == 1 and is_report(files[0]):
        stated = (cost_of_intervening, cost_of_harm)
        return _from_report(files[0], treated=treated, output=printed, gate=gate, believed=believed, stated=stated)
    paying = {} if worthwhile is None else {"worthwhile": worthwhile}
    rule = DecisionRule(margin=margin, alpha=alpha, guarantee=guarantee, missing=missing, **paying)
    declared = looks_of(looks=looks, look=look, shape=shape, anytime=anytime)
    if (declared is not None or anytime) and (mix is not None or at is not None):
        option = "--mix" if at is None else "--at"
        raise click.UsageError(f"{option} has the interval of a single look; drop it, or --looks and --anytime.")
    if planned is not None and not anytime:
        raise click.UsageError("--planned says how long a stream will be: it belongs to --anytime.")
    if in_order and ((not anytime and declared is None) or counts is not None):
        raise click.UsageError("--in-order says how rows stand: it needs a FILE, and --looks or --anytime.")
    if counts is None:
        brought = from_files(
            files,
            replace(reading, graded=graded),
            baseline=baseline,
            treated=treated,
            only_arm_tested=only_arm_tested,
        )
    else:
        others = {"--baseline": baseline, "--treated": treated, "--mix": mix, "--graded": graded or None}
        others |= {"--only-arm-tested": only_arm_tested or None}
        clash = ["the file"] if files else [option for option, value in others.items() if value is not None]
        if clash := clash + table_options_given():
            raise click.UsageError(f"--counts stands alone; drop {clash[0]}.")
        brought = from_counts(counts)
    brought = elsewhere(brought, rule, mix=mix, at=at)
    verdicts = decide_pairings(
        brought.pairings,
        rule,
        looks=declared,
        look=look,
        anytime=anytime,
        in_order=in_order,
        table=brought.table,
        planned=planned,
    )
    verdicts = {one.treated: verdicts[one.treated] for one in brought.asked}
    view = decision_view(
        verdicts,
        baseline=brought.baseline,
        baselines={one.treated: one.baseline for one in brought.pairings},
        ignored=brought.ignored,
        understood=brought.understood,
        prior=believed,
        costs=_costs((cost_of_intervening, cost_of_harm), worthwhile=rule.worthwhile),
    )
    _print(view, output=printed)
    if report is not None or charts is not None:
        single = declared is None and not anytime
        _write_report(report, charts, view, {one.treated: one for one in brought.asked} if single else {}, rule)
    if printed == "json" and brought.ignored:
        click.echo(f"note: columns not used: {listed(brought.ignored)}", err=True)
    return _through_the_gate(verdicts) if gate else 0


def _through_the_gate(verdicts: Mapping[str, Verdict]) -> int:
    """The exit code: 0 where at least one arm is to be switched on, and of several which; 20 where all are FORBEAR."""
    said = {name: verdict.recommendation.value for name, verdict in verdicts.items()}
    go = [name for name, one in said.items() if one == "INTERVENE"]
    if go and len(said) > 1:
        click.echo(f"gate: INTERVENE on {listed(go)}", err=True)
    if go:
        return GATE["INTERVENE"]
    return GATE["FORBEAR"] if set(said.values()) == {"FORBEAR"} else GATE["UNDECIDED"]


def _write_report(
    report: str | None, charts: Path | None, view: DecisionView, pairings: Mapping[str, Pairing], rule: DecisionRule
) -> None:
    """The page and its pictures; the gain elsewhere has the interval of a single look, and is shown for one only."""
    from forbear.analysis.evidence import elsewhere as gains_elsewhere
    from forbear.report import pictures
    from forbear.report.html import decision_html
    from forbear.report.sections import breakeven

    confidence = 1 - 2 * rule.alpha
    curves = {
        name: breakeven.view(curve, baseline=view["baseline"])
        for name, pairing in pairings.items()
        if (curve := gains_elsewhere(pairing, confidence=confidence, guarantee=rule.guarantee)) is not None
    }
    title = f"{' and '.join(view['verdicts'])} against {view['baseline']}"
    if report is not None:
        write_page(report, decision_html(view, title=title, break_even=curves))
        click.echo(f"Report:  {shown(report, limit=200)}  (open it in a browser)", err=True)
    if charts is not None:
        click.echo(write_charts(charts, pictures.of_decision(view, curves), note=title), err=True)


def _from_report(
    path: str,
    *,
    treated: str | None,
    output: Output,
    gate: bool,
    believed: Prior,
    stated: tuple[float | None, float | None],
) -> int:
    """Shows the verdicts that a page carries; returns the exit code."""
    from forbear.adapters.formats.report_page import read_report
    from forbear.report.view import decision_view

    _refuse_but_with_journal("a report: its verdicts were made when it was written")
    read = read_report(path)
    verdicts = dict(read.verdicts)
    if treated is not None:
        if treated not in verdicts:
            raise InvalidInput(f"there is no arm '{shown(treated)}' in this report; there are {listed(verdicts)}.")
        verdicts = {treated: verdicts[treated]}
    costs = _costs(stated, worthwhile=next(iter(verdicts.values())).rule.worthwhile)
    _print(decision_view(verdicts, baseline=read.baseline, prior=believed, costs=costs), output=output)
    return _through_the_gate(verdicts) if gate else 0


def _refuse_but_with_journal(what: str) -> None:
    """Raises where an option was given that belongs to a table of outcomes."""
    from click.core import ParameterSource

    context = click.get_current_context()
    for name in context.params:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE and name not in _WITH_JOURNAL:
            raise click.UsageError(f"--{name.replace('_', '-')} does not go with {what}.")


def _is_journal(path: str) -> bool:
    """Whether a folder is a pilot's, or none of logs either."""
    if not os.path.isdir(path) or os.path.exists(os.path.join(path, "plan.json")):
        return os.path.isdir(path)
    from forbear.adapters.formats.logs.reading import is_log

    return not is_log(path)


def _from_journal(
    directory: str,
    *,
    treated: str | None,
    output: Output,
    gate: bool,
    believed: Prior,
    stated: tuple[float | None, float | None],
) -> int:
    """Decides on a pilot's journal as its plan says; returns the exit code."""
    from forbear.analysis.evidence import arms_tested, verdicts_of
    from forbear.analysis.result import analyse_journal
    from forbear.records.journal import Journal
    from forbear.report.view import decision_view

    _refuse_but_with_journal("a journal: its rule and looks were fixed before the first run")
    where = shown(directory, limit=200)
    result = analyse_journal(Journal(directory))
    plan = result.plan
    if not plan.candidates:
        raise InvalidInput(f"{where}: the plan has no arm that may be deployed, only controls.")
    try:
        found = verdicts_of(result)
    except ForbearError as error:
        raise type(error)(f"{where}: {error}") from None
    tested = arms_tested(result)
    if not tested:
        raise InvalidInput(
            f"{where}: of its ladder '{shown(result.monitor.chosen or 'none')}' was chosen, and is tested on tasks "
            "that are yet to be run. Go on with forbear pilot extend."
        )
    baseline, verdicts = plan.baseline_arm, {arm: found[arm] for arm in tested}
    if treated is not None:
        if treated not in verdicts:
            raise InvalidInput(f"there is no arm '{shown(treated)}' to deploy; there are {listed(verdicts)}.")
        verdicts = {treated: verdicts[treated]}
    costs = _costs(stated, worthwhile=plan.rule.worthwhile)
    _print(decision_view(verdicts, baseline=baseline, prior=believed, costs=costs), output=output)
    return _through_the_gate(verdicts) if gate else 0


def _prior(text: str | None) -> Prior:
    """What is believed before the pilot."""
    from forbear.stats.context.prior import PUBLISHED, Prior

    if text is None:
        return PUBLISHED
    try:
        recovered, disrupted, alike = (float(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(
            f"--prior needs three numbers of tasks UP,DOWN,SAME (recovered, disrupted, alike), got '{shown(text)}'. "
            "Example: --prior 3,2,20."
        ) from None
    return Prior(recovered=recovered, disrupted=disrupted, alike=alike, source="as stated by --prior")


def _costs(stated: tuple[float | None, float | None], *, worthwhile: float) -> Costs:
    """The costs as stated; intervening costs by default the gain that is worthwhile."""
    from forbear.stats.context.value import Costs

    intervening, harm = stated
    return Costs(
        intervening=max(worthwhile, 0.0) if intervening is None else intervening, harm=0.0 if harm is None else harm
    )


def _output(output: str | None, *, as_json: bool, brief: bool) -> Output:
    """What is printed, of three options that say it."""
    said = [output] if output is not None else []
    said += (["json"] if as_json else []) + (["brief"] if brief else [])
    if len(set(said)) > 1:
        raise click.UsageError("--format, --json and --brief say what is printed: give one of them.")
    return cast("Output", said[0] if said else "text")


def _print(view: DecisionView, *, output: Output) -> None:
    """The whole output, in the shape that is asked for."""
    if output == "json":
        from forbear.report.view import decision_json

        click.echo(decision_json(view))
    elif output == "md":
        from forbear.report.markdown import decision_markdown

        click.echo(decision_markdown(view), nl=False)
    elif output == "junit":
        from forbear.report.junit import decision_junit

        click.echo(decision_junit(view), nl=False)
    elif output == "brief":
        from forbear.report.brief import brief_text

        click.echo(brief_text(view), nl=False)
    else:
        from forbear.report.text import decision_text

        click.echo(decision_text(view, width=columns(), color=color()), nl=False, color=True)


def color() -> bool:
    """Whether standard output is a terminal that wants colours."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
