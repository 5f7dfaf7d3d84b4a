"""`forbear decide`: a verdict from outcomes that people already have."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from forbear.cli.brought import elsewhere, from_counts, from_files
from forbear.cli.decide_options import (
    Looking,
    Output,
    Printing,
    StatedRule,
    Worth,
    looking_options,
    printing_options,
    rule_options,
    worth_options,
)
from forbear.cli.report import write_charts, write_page
from forbear.cli.screen import ARGUMENTS, columns
from forbear.cli.table_options import table_options, table_options_given
from forbear.errors import ForbearError, InvalidInput
from forbear.wording import listed, shown

if TYPE_CHECKING:
    from forbear.adapters.formats.reading import Reading
    from forbear.analysis.pairing import Pairing
    from forbear.report.view import DecisionView
    from forbear.stats.rule import DecisionRule
    from forbear.stats.verdict import Verdict

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
@rule_options
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
@click.option("--graded", is_flag=True, help="success is a score from 0 to 1: a verdict about the mean score.")
@looking_options
@worth_options
@printing_options
def decide(
    files: tuple[str, ...],
    counts: str | None,
    rule: StatedRule,
    baseline: str | None,
    treated: str | None,
    only_arm_tested: bool,
    reading: Reading,
    mix: str | None,
    at: float | None,
    graded: bool,
    looking: Looking,
    worth: Worth,
    printing: Printing,
) -> int:
    """Reads, decides, prints; returns the exit code."""
    from forbear.adapters.formats.report_page import is_report
    from forbear.analysis.verdicts import decide_pairings
    from forbear.report.view import decision_view

    believed = worth.believed()
    if len(files) == 1 and _is_journal(files[0]):
        return _from_journal(files[0], treated=treated, worth=worth, printing=printing)
    if len(files) == 1 and is_report(files[0]):
        return _from_report(files[0], treated=treated, worth=worth, printing=printing)
    made, elsewhere_at = rule.made(), "--at" if at is not None else "--mix" if mix is not None else None
    declared = looking.declared(elsewhere=elsewhere_at, has_rows=counts is None)
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
        _refuse_beside_counts(files, others | {"--only-arm-tested": only_arm_tested or None})
        brought = from_counts(counts)
    brought = elsewhere(brought, made, mix=mix, at=at)
    verdicts = decide_pairings(
        brought.pairings,
        made,
        looks=declared,
        look=looking.look,
        anytime=looking.anytime,
        in_order=looking.in_order,
        table=brought.table,
        planned=looking.planned,
    )
    verdicts = {one.treated: verdicts[one.treated] for one in brought.asked}
    view = decision_view(
        verdicts,
        baseline=brought.baseline,
        baselines={one.treated: one.baseline for one in brought.pairings},
        ignored=brought.ignored,
        understood=brought.understood,
        prior=believed,
        costs=worth.costs(worthwhile=made.worthwhile),
    )
    _print(view, output=printing.output)
    single = {one.treated: one for one in brought.asked if declared is None and not looking.anytime}
    _write(printing, view, single, made)
    if printing.output == "json" and brought.ignored:
        click.echo(f"note: columns not used: {listed(brought.ignored)}", err=True)
    return _through_the_gate(verdicts) if printing.gate else 0


def _refuse_beside_counts(files: tuple[str, ...], others: Mapping[str, object]) -> None:
    """Raises where something is given that says how a table is read."""
    clash = ["the file"] if files else [option for option, value in others.items() if value is not None]
    if clash := clash + table_options_given():
        raise click.UsageError(f"--counts stands alone; drop {clash[0]}.")


def _through_the_gate(verdicts: Mapping[str, Verdict]) -> int:
    """The exit code: 0 where at least one arm is to be switched on, and of several which; 20 where all are FORBEAR."""
    said = {name: verdict.recommendation.value for name, verdict in verdicts.items()}
    go = [name for name, one in said.items() if one == "INTERVENE"]
    if go and len(said) > 1:
        click.echo(f"gate: INTERVENE on {listed(go)}", err=True)
    if go:
        return GATE["INTERVENE"]
    return GATE["FORBEAR"] if set(said.values()) == {"FORBEAR"} else GATE["UNDECIDED"]


def _write(printing: Printing, view: DecisionView, pairings: Mapping[str, Pairing], rule: DecisionRule) -> None:
    """The page and its pictures; the gain elsewhere has the interval of a single look, and is shown for one only."""
    if printing.report is None and printing.charts is None:
        return
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
    if printing.report is not None:
        command = shlex.join(["forbear", "decide", *click.get_current_context().meta[ARGUMENTS][1:]])
        write_page(printing.report, decision_html(view, title=title, break_even=curves, command=command))
        click.echo(f"Report:  {shown(printing.report, limit=200)}  (open it in a browser)", err=True)
    if printing.charts is not None:
        click.echo(write_charts(printing.charts, pictures.decision_pictures(view, curves), note=title), err=True)


def _from_report(path: str, *, treated: str | None, worth: Worth, printing: Printing) -> int:
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
    costs = worth.costs(worthwhile=next(iter(verdicts.values())).rule.worthwhile)
    view = decision_view(verdicts, baseline=read.baseline, prior=worth.believed(), costs=costs)
    _print(view, output=printing.output)
    return _through_the_gate(verdicts) if printing.gate else 0


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


def _from_journal(directory: str, *, treated: str | None, worth: Worth, printing: Printing) -> int:
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
    costs = worth.costs(worthwhile=plan.rule.worthwhile)
    view = decision_view(verdicts, baseline=baseline, prior=worth.believed(), costs=costs)
    _print(view, output=printing.output)
    return _through_the_gate(verdicts) if printing.gate else 0


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
