"""`forbear power`: what a pilot of a given size would find, and how large it must be."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click

from forbear.cli.decide_options import StatedRule, adding, planned_rule_options
from forbear.cli.design import ShapeName, declared_looks, shape_option
from forbear.cli.screen import columns
from forbear.cli.table_options import table_options, table_options_given
from forbear.errors import InvalidInput
from forbear.wording import count, counted, percent, points, share, shown

if TYPE_CHECKING:
    from forbear.adapters.formats.reading import Reading
    from forbear.stats.looks.looks import Looks
    from forbear.stats.looks.stopping import LookedPower
    from forbear.stats.planning import AssumedEffect, Power
    from forbear.stats.rule import DecisionRule
    from forbear.stats.simulation import OperatingCharacteristics

_HELP = """Plan a pilot: how likely each verdict is under a truth you state.

State it as --gain and --discordance (the share of tasks whose outcome the
intervention changes at all), or as --failure-rate, --recovery-rate and
--disruption-rate. Exact to 400 effective pairs, a normal approximation above.

--from FILE takes from a table as for decide what is not stated: the baseline's
failure rate, and where the table has a treated arm, what it was seen to recover
and to disrupt. What was seen in a small pilot is uncertain: plan for less.

Several seeds per task count by how much they agree: --agreement 0 is as good
as new tasks, 1 adds nothing.

Runs of the agent alone are often logged already, and `decide` takes as many of
them as there are: --baseline-seeds 5 beside one treated run per task (--seeds 1)
cuts the variance by 29 to 35 % where agreement is .12 to .28, by 40 % where it is
0. They have to be of the same agent, tasks and grader, and drawn apart from the
treated runs: a coupled pilot has other runs to share. A pilot re-uses them where
its file says [baseline] from = "log.csv".

--looks says what a pilot does that is looked at on the way and stops when it
can tell, beside a single look at its last task: exact, one run per task, at most
400 tasks. Harm is watched after every task, and a look stops where INTERVENE at a
further one is too improbable if the gain only just pays, and FORBEAR is not to be
expected either. `decide --looks` does not watch: add --no-watch for its numbers.

\b
Examples:
    forbear power --gain 0.10 --discordance 0.14
    forbear power --failure-rate 0.42 --recovery-rate 0.4 --disruption-rate 0.1
    forbear power --gain 0.05 --discordance 0.2 --tasks 100,200 --seeds 3 --agreement 0.5
    forbear power --gain 0.10 --discordance 0.14 --looks 50,100,150,200
    forbear power --from outcomes.csv
    forbear power --from runs.csv --recovery-rate 0.3 --disruption-rate 0.05
    forbear power --study

Exit codes: 0 done, 1 a bug, 2 bad input, 130 Ctrl-C.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """How a pilot that is looked at on the way is designed."""

    looks: str | None
    shape: ShapeName | None
    no_watch: bool
    futility: float | None

    def declared(self, others: Mapping[str, bool], *, several: bool) -> Looks | None:
        """The looks; None of pilots that are looked at once.

        Args:
            others: Options that say something of those, and whether each is given.
            several: Whether a task has several runs.
        """
        if self.looks is None:
            lost = {"--shape": self.shape is not None, "--no-watch": self.no_watch}
            lost |= {"--futility": self.futility is not None}
            _refuse(_given(lost), "{} belongs to looks: give them too, e.g. --looks 50,100,200.")
            return None
        _refuse(_given(others), "--looks is one pilot; drop {}.")
        if several:
            raise click.UsageError(
                "--looks is computed for one run per task: how the seeds of a task agree decides when a pilot stops, "
                "and effective pairs do not say that. Drop --seeds and --baseline-seeds."
            )
        return declared_looks(self.looks, watch=not self.no_watch, futility=self.futility, shape=self.shape)


_looked_options = adding(
    "looked",
    {
        "looks": click.option(
            "--looks", metavar="N,N,...", help="Tasks at which one pilot is looked at; 50-200/10: every 10."
        ),
        "shape": shape_option,
        "no_watch": click.option(
            "--no-watch", is_flag=True, help="With --looks: harm is not watched after every task."
        ),
        "futility": click.option(
            "--futility", type=float, metavar="P", help="With --looks: stop below this; 0 is never. [default: 0.05]"
        ),
    },
    _Looked,
)


def _given(options: Mapping[str, bool]) -> list[str]:
    return [option for option, given in options.items() if given]


@click.command(help=_HELP, short_help="How many tasks a pilot needs, and what it would find.")
@click.option("--gain", type=float, help="True gain, a fraction: 0.05 is 5 points.")
@click.option("--discordance", type=float, help="True share of tasks whose outcome changes.")
@click.option("--failure-rate", type=float, help="p, the baseline's failure rate.")
@click.option("--recovery-rate", type=float, help="r, the share of its failures that are recovered.")
@click.option("--disruption-rate", type=float, help="d, the share of its successes that are disrupted.")
@click.option("--from", "table", metavar="FILE", help="A table of outcomes, for what is not stated.")
@click.option("--baseline", metavar="NAME", help="With --from: the arm without intervention. [default: as in decide]")
@click.option("--treated", metavar="NAME", help="With --from: the arm with it. [default: the only one]")
@partial(table_options, format_option="--log-format")
@click.option("--tasks", metavar="N,N,...", help="Sizes of pilots, each looked at once. [default: 50,100,200]")
@click.option("--seeds", type=int, default=1, show_default=True, help="Runs per task and arm.")
@click.option("--baseline-seeds", type=int, metavar="K", help="Runs per task of the baseline alone. [default: --seeds]")
@click.option("--agreement", type=float, default=0.0, show_default=True, help="How much the seeds of a task agree.")
@planned_rule_options
@click.option("--power", "target", type=float, default=0.8, show_default=True, help="Asked of the size needed.")
@_looked_options
@click.option("--simulate", "pilots", type=int, metavar="N", help="Also draw N pilots (needs rates).")
@click.option("--study", is_flag=True, help="The study's minimum detectable effects beside ours, and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def power(
    gain: float | None,
    discordance: float | None,
    failure_rate: float | None,
    recovery_rate: float | None,
    disruption_rate: float | None,
    table: str | None,
    baseline: str | None,
    treated: str | None,
    reading: Reading,
    tasks: str | None,
    seeds: int,
    baseline_seeds: int | None,
    agreement: float,
    rule: StatedRule,
    target: float,
    looked: _Looked,
    pilots: int | None,
    study: bool,
    as_json: bool,
) -> None:
    """Reads the truth, asks the statistics, prints a table."""
    from forbear.stats.planning import power as power_of
    from forbear.stats.planning import tasks_needed, variance_ratio

    made = rule.made()
    if study:
        _print_study(as_json)
        return
    _refuse([] if table else _given_of_tables(baseline, treated), "{} says how a table is read: name it, --from FILE.")
    if table is not None:
        rates = (failure_rate, recovery_rate, disruption_rate)
        _refuse(
            [option for option, value in (("--gain", gain), ("--discordance", discordance)) if value is not None],
            "--from gives rates; state others as rates too, and drop {}.",
        )
        failure_rate, recovery_rate, disruption_rate = _seen(table, reading, rates, baseline, treated, quiet=as_json)
    effect = _effect(gain, discordance, (failure_rate, recovery_rate, disruption_rate))
    others = {"--tasks": tasks is not None, "--simulate": pilots is not None}
    looks = looked.declared(others, several=seeds != 1 or baseline_seeds is not None)
    if looks is not None:
        _print_looked(effect, made, looks, as_json)
        return
    drawn_from = None
    if pilots is not None:
        if baseline_seeds is not None:
            raise click.UsageError("--simulate draws as many runs in both arms; drop --baseline-seeds.")
        if failure_rate is None or recovery_rate is None or disruption_rate is None:
            raise click.UsageError("--simulate needs --failure-rate, --recovery-rate and --disruption-rate.")
        drawn_from = (failure_rate, recovery_rate, disruption_rate)
    sizes = _sizes("50,100,200" if tasks is None else tasks)
    before = seeds if baseline_seeds is None else baseline_seeds
    rows = [
        power_of(effect, tasks=n, rule=made, seeds=seeds, agreement=agreement, baseline_seeds=before) for n in sizes
    ]
    needed = tasks_needed(effect, rule=made, power=target, seeds=seeds, agreement=agreement, baseline_seeds=before)
    drawn = [] if pilots is None or drawn_from is None else _simulated(rows, drawn_from, agreement, made, pilots)
    if as_json:
        payload = _payload(rows, effect, made, needed, target)
        payload["simulated"] = [{"tasks": o.truth.tasks, "pilots": o.pilots, **o.decisions} for o in drawn]
        click.echo(json.dumps(payload, indent=2, allow_nan=False))
        return
    _print_sizes(rows, drawn)
    right = "INTERVENE" if effect.gain > made.margin else "FORBEAR"
    size = "more than a million" if needed is None else count(needed)
    each = counted(seeds, "seed") if baseline_seeds is None else f"{seeds} treated and {baseline_seeds} baseline runs"
    click.echo(f"\n{right} with probability {target:g} needs {size} tasks of {each}.")
    if baseline_seeds is not None:
        cut = 1 - variance_ratio(seeds=seeds, baseline_seeds=baseline_seeds, agreement=agreement)
        click.echo(f"Against {counted(seeds, 'baseline run')} a task that cuts the variance by {percent(cut, 0)}.")
    click.echo('The point rule, "deploy if p > p*", deploys whenever more pairs were recovered than disrupted.')


def _given_of_tables(baseline: str | None, treated: str | None) -> list[str]:
    named = [option for option, name in (("--baseline", baseline), ("--treated", treated)) if name is not None]
    return named + table_options_given()


def _seen(
    path: str,
    reading: Reading,
    stated: tuple[float | None, ...],
    baseline: str | None,
    treated: str | None,
    *,
    quiet: bool,
) -> tuple[float | None, ...]:
    """The rates as they are stated, the others as a table shows them; says what was taken from it."""
    from forbear.adapters.formats.tabular import read_outcomes
    from forbear.analysis.seen import seen_rates

    if reading.by is not None:
        raise click.UsageError("a plan is for one comparison: choose one, --where COLUMN=VALUE instead of --by.")
    read = read_outcomes(path, reading=reading, needs_arm=False)
    seen = seen_rates(read.table, baseline=baseline, treated=treated)
    rates = tuple(known if known is not None else new for known, new in zip(stated, seen.rates, strict=True))
    taken = [
        f"{name} {percent(rate)}"
        for name, known, rate in zip(("failure rate", "recovery", "disruption"), stated, seen.rates, strict=True)
        if known is None and rate is not None
    ]
    if None in rates:
        name = shown(seen.baseline) or "the agent"
        raise InvalidInput(
            f"the table has the runs of '{name}' alone, which fail at {percent(rates[0])}. State what "
            "the intervention would do to them: --recovery-rate and --disruption-rate."
        )
    if not quiet:
        for remark in (*read.notes, *read.understood):
            click.echo(textwrap.fill(f"- {remark.text}", width=80, subsequent_indent="  "))
    if taken and not quiet:
        click.echo(f"Seen: {', '.join(taken)} in {counted(seen.tasks, 'task')}.")
    return rates


def _refuse(options: list[str], sentence: str) -> None:
    if options:
        raise click.UsageError(sentence.format(options[0]))


def _print_truth(effect: AssumedEffect) -> None:
    click.echo(f"Truth: gain {points(effect.gain)}, {percent(effect.discordance)} of pairs discordant.\n")


def _print_sizes(rows: list[Power], drawn: list[OperatingCharacteristics]) -> None:
    """One line a size, and what was drawn."""
    _print_truth(rows[0].effect)
    click.echo(
        f"{'tasks':>7} {'pairs':>6} {'INTERVENE':>10} {'FORBEAR':>8} {'UNDECIDED':>10} {'point rule deploys':>19}"
    )
    for row in rows:
        chances = (row.intervene, row.forbear, row.undecided, row.point_rule)
        cells = [percent(x).rjust(w) for x, w in zip(chances, (10, 8, 10, 19), strict=True)]
        mark = "" if row.method == "exact" else "  (normal approximation)"
        click.echo(f"{row.tasks:>7,} {row.effective_pairs:>6,} {' '.join(cells)}{mark}")
    for outcome in drawn:
        said = ", ".join(f"{name} {percent(chance)}" for name, chance in outcome.decisions.items())
        click.echo(f"{outcome.pilots:,} simulated pilots of {outcome.truth.tasks:,} tasks: {said}")


def _effect(gain: float | None, discordance: float | None, rates: tuple[float | None, ...]) -> AssumedEffect:
    from forbear.stats.planning import AssumedEffect

    p, r, d = rates
    if gain is not None and discordance is not None and rates == (None, None, None):
        return AssumedEffect(gain=gain, discordance=discordance)
    if gain is None and discordance is None and p is not None and r is not None and d is not None:
        return AssumedEffect.from_rates(failure_rate=p, recovery_rate=r, disruption_rate=d)
    raise click.UsageError(
        "state the truth as --gain and --discordance, or as --failure-rate, --recovery-rate and --disruption-rate."
    )


def _simulated(
    rows: list[Power], rates: tuple[float, float, float], agreement: float, rule: DecisionRule, pilots: int
) -> list[OperatingCharacteristics]:
    import numpy as np

    from forbear.stats.simulation import PilotTruth, simulate

    p, r, d = rates
    truths = [
        PilotTruth(
            tasks=row.tasks,
            seeds=row.seeds,
            success_rate=1 - p,
            agreement=agreement,
            recovery_rate=r,
            disruption_rate=d,
        )
        for row in rows
    ]
    # The same question always gives the same answer.
    return [simulate(truth, rng=np.random.default_rng(0), rule=rule, pilots=pilots) for truth in truths]


def _sizes(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise InvalidInput(f"--tasks needs whole numbers, e.g. 50,100,200; got '{text:.60}'.") from None


def _payload(
    rows: list[Power], effect: AssumedEffect, rule: DecisionRule, needed: int | None, target: float
) -> dict[str, object]:
    return {
        "format": "forbear-power-1",
        "gain": effect.gain,
        "discordance": effect.discordance,
        "rule": rule.to_dict(),
        "tasks_needed": needed,
        "power": target,
        "rows": [
            {
                "tasks": row.tasks,
                "seeds": row.seeds,
                "baseline_seeds": row.baseline_seeds,
                "effective_pairs": row.effective_pairs,
                "intervene": row.intervene,
                "forbear": row.forbear,
                "undecided": row.undecided,
                "point_rule": row.point_rule,
                "method": row.method,
            }
            for row in rows
        ],
    }


def _print_looked(effect: AssumedEffect, rule: DecisionRule, looks: Looks, as_json: bool) -> None:
    """One pilot with looks beside a single look at its last task."""
    from forbear.stats.looks.stopping import looked_power, planned_effect
    from forbear.stats.planning import power as power_of

    looked = looked_power(effect, looks=looks, rule=rule)
    single = power_of(effect, tasks=looks.planned, rule=rule)
    if as_json:
        click.echo(json.dumps(_looked_payload(effect, rule, looks, looked, single), indent=2, allow_nan=False))
        return
    _print_truth(effect)
    click.echo(f"{'':<20} {'INTERVENE':>10} {'FORBEAR':>9} {'futile':>9} {'UNDECIDED':>10} {'mean tasks':>11}")
    rows = [
        ("looks on the way", looked.intervene, looked.forbear, looked.futile, looked.undecided, looked.expected_tasks),
        (f"one look at {looks.planned}", single.intervene, single.forbear, None, single.undecided, looks.planned),
    ]
    for name, *chances, tasks in rows:
        cells = [percent(x, undefined="-") for x in chances]
        click.echo(f"{name:<20} {cells[0]:>10} {cells[1]:>9} {cells[2]:>9} {cells[3]:>10} {tasks:>11.1f}")
    over = [f"{percent(chance)} by {n}" for n, chance in zip(looks.tasks, looked.stopped_by, strict=True)]
    said = [f"Over: {', '.join(over)} tasks, which are the most it takes."]
    watch = "harm watched after every task" if looks.watch else "no watch between them"
    futility = f"futile below {share(looks.futility)}" if looks.futility else "no stop for futility"
    said.append(f"{looks.shape_name} looks, {watch}, {futility}.")
    if looks.futility:
        planned = planned_effect(looks, rule)
        assumed = f"{points(planned.gain)} at {percent(planned.discordance, 0)} discordance"
        said.append(
            f"Futile: further looks would too seldom say INTERVENE with a gain of {assumed}, and FORBEAR with what "
            "was seen."
        )
    click.echo("")
    for line in said:
        click.echo(textwrap.fill(line, width=columns()))


def _looked_payload(
    effect: AssumedEffect, rule: DecisionRule, looks: Looks, looked: LookedPower, single: Power
) -> dict[str, object]:
    return {
        "format": "forbear-looked-power-1",
        "gain": effect.gain,
        "discordance": effect.discordance,
        "rule": rule.to_dict(),
        "looks": list(looks.tasks),
        "shape": looks.shape,
        "watched": looks.watch,
        "futility": looks.futility,
        "intervene": looked.intervene,
        "forbear": looked.forbear,
        "futile": looked.futile,
        "undecided": looked.undecided,
        "expected_tasks": looked.expected_tasks,
        "most_tasks": looks.planned,
        "over_by": list(looked.stopped_by),
        "single_look": {
            "tasks": single.tasks,
            "intervene": single.intervene,
            "forbear": single.forbear,
            "undecided": single.undecided,
            "method": single.method,
        },
    }


def _print_study(as_json: bool) -> None:
    from forbear.stats.study import study_detectable

    rows = study_detectable()
    if as_json:
        payload = {
            "format": "forbear-study-power-1",
            "rows": [
                {
                    "benchmark": row.benchmark,
                    "tasks": row.tasks,
                    "seeds": row.seeds,
                    "discordance": row.discordance,
                    "study": row.claimed,
                    "seeds_independent": row.independent,
                    "seeds_agree_half": row.half,
                    "seeds_agree": row.agreeing,
                }
                for row in rows
            ],
        }
        click.echo(json.dumps(payload, indent=2, allow_nan=False))
        return
    click.echo("Smallest gain found with probability .8 at .05 one-sided, in points: the study's and ours, where the")
    click.echo("seeds of a task tell new stories (0), half (.5) or the same one (1). Above the study's: optimistic.\n")
    click.echo(f"{'benchmark':<10} {'tasks x seeds':>13} {'discordant':>11} {'study':>6} {'0':>7} {'.5':>7} {'1':>7}")
    for row in rows:
        ours = [f"{'-' if x is None else f'{100 * x:.1f}'}".rjust(7) for x in (row.independent, row.half, row.agreeing)]
        note = "  optimistic" if row.half is None or row.half > row.claimed else ""
        size = f"{row.tasks} x {row.seeds}"
        click.echo(
            f"{row.benchmark:<10} {size:>13} {percent(row.discordance, 0):>11} {100 * row.claimed:>6.0f} "
            f"{' '.join(ours)}{note}"
        )
