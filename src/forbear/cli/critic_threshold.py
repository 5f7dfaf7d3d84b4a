"""`forbear critic threshold`: from which score on to act, so that few runs that would succeed are touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TextIO

import click

from forbear.cli.critic_options import WHICH, judged, judging
from forbear.wording import counted, percent, percent_interval, share, shown

if TYPE_CHECKING:
    from forbear.critics.alarms import AlarmThreshold, CheckedAlarms
    from forbear.stats.intervals import Rate

_HELP = f"""Find a threshold with a guaranteed rate of false alarms.

{WHICH}
At most a share A of the runs that would succeed are touched, at any of their
steps: split conformal prediction on the highest score of a run, on successes of
your own. One run a task is used, chosen whatever its outcome. The guarantee is
for new tasks of the same kind and the same agent, on average over such samples;
--assurance 0.9 makes it hold for this very threshold in 9 samples of 10.

\b
Examples:
    forbear critic threshold critics/mine runs.jsonl --false-alarms 0.1
    forbear critic threshold recorded:household runs/pilot --false-alarms 0.05 --json

Exit codes: 0 done, 1 a bug, 2 bad input or too few successes, 130 Ctrl-C.
"""


@click.command(help=_HELP, short_help="A threshold with a guaranteed rate of false alarms.")
@judging
@click.option("--false-alarms", type=float, required=True, metavar="A", help="Of the successes; a fraction.")
@click.option("--assurance", type=float, metavar="P", help="Keep it with this probability. [default: on average]")
@click.option(
    "--held-out", type=float, default=0.5, show_default=True, help="Share of the tasks that only measure it; 0: none."
)
@click.option("--min-step", type=click.IntRange(0), default=0, help="Before this step nobody steps in.")
@click.option("--ordinal", is_flag=True, help="Scores are grades of any range, e.g. 0 to 16.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def threshold(
    critic: str,
    episodes: tuple[str, ...],
    arms: tuple[str, ...],
    allow_overlap: bool,
    options: str,
    false_alarms: float,
    assurance: float | None,
    held_out: float,
    min_step: int,
    ordinal: bool,
    as_json: bool,
) -> None:
    """Reads, scores, sets, measures, prints."""
    from forbear.critics.alarms import alarms_checked

    with judged(critic, episodes, arms=arms, options=options, allow_overlap=allow_overlap, ordinal=ordinal) as (
        named,
        found,
        out,
    ):
        checked = alarms_checked(
            found.scored, false_alarms=false_alarms, assurance=assurance, held_out=held_out, min_step=min_step
        )
        guarantee = _guarantee(checked.found, min_step=min_step)
        cautions = []
        if found.overlap:
            tasks = counted(len(found.overlap), "task")
            cautions.append(f"The critic has learned from {tasks} of these runs: the guarantee is void.")
        if not named.seen_is_known:
            cautions.append("Nobody says which tasks this critic has learned from: the guarantee needs others.")
        if as_json:
            payload = {
                "format": "forbear-critic-threshold-1",
                "critic": found.name,
                "threshold": checked.found.threshold,
                "false_alarms": false_alarms,
                "assurance": assurance,
                "min_step": min_step,
                "successes": checked.found.successes,
                "expected": checked.found.expected,
                "likely_at_most": checked.found.likely_at_most,
                "guarantee": guarantee,
                "measured": _json(checked.measured_on_successes),
                "caught": _json(checked.measured_on_failures),
                "cautions": cautions,
            }
            click.echo(json.dumps(payload, indent=2, allow_nan=False), file=out)
            return
        _print(checked, guarantee, name=found.name, cautions=cautions, out=out)


def _print(checked: CheckedAlarms, guarantee: str, *, name: str, cautions: list[str], out: TextIO) -> None:
    late = f", min_step = {checked.min_step}" if checked.min_step else ""
    click.echo(f"{shown(name)}: threshold = {checked.found.threshold!r}{late}", file=out)
    click.echo(guarantee, file=out)
    if checked.measured_on_successes is None:
        click.echo("Not measured: all tasks set the threshold (--held-out).", file=out)
    else:
        click.echo(
            f"Measured on held-out tasks: {_worded(checked.measured_on_successes, 'successes')} touched.", file=out
        )
        if checked.measured_on_failures is not None:
            click.echo(f"It also touches {_worded(checked.measured_on_failures, 'failures')}.", file=out)
    for caution in cautions:
        click.echo(f"- {caution}", file=out)


def _guarantee(found: AlarmThreshold, *, min_step: int) -> str:
    late = f" from step {min_step} on" if min_step else ""
    most = f"at most {share(found.false_alarms)} of the runs of this agent on new tasks of this kind that would succeed"
    basis = f"from {counted(found.successes, 'successful run')} of as many tasks (split conformal)"
    if found.assurance is not None:
        return (
            f"With probability {share(found.assurance)} over such samples, acting on p_fail > threshold{late} touches "
            f"{most}, at any step; {basis}."
        )
    return (
        f"Acting on p_fail > threshold{late} touches {most}, at any step, on average over such samples; {basis}. The "
        f"rate of this very threshold is at most {percent(found.likely_at_most)} in 9 samples of 10."
    )


def _worded(rate: Rate, noun: str) -> str:
    interval = rate.interval(method="clopper-pearson")
    return (
        f"{rate.k} of {rate.n} {noun}, {percent(rate.value)} (95% CI {percent_interval(interval.low, interval.high)})"
    )


def _json(rate: Rate | None) -> dict[str, float | int | None] | None:
    if rate is None:
        return None
    interval = rate.interval(method="clopper-pearson")
    return {
        "value": rate.value,
        "low": interval.low,
        "high": interval.high,
        "confidence": 0.95,
        "k": rate.k,
        "n": rate.n,
    }
