"""`forbear churn`: how often an agent's own reruns change the outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from forbear.cli.table_options import table_options
from forbear.errors import InvalidInput
from forbear.wording import listed, percent, percent_interval, points, share, shown

if TYPE_CHECKING:
    from forbear.adapters.formats.reading import Reading
    from forbear.outcomes.table import OutcomeTable
    from forbear.stats.context.churn import Churn, NetRates
    from forbear.stats.intervals import Estimate

_MOST_GROUPS = 100

_HELP = """Measure an agent's own run-to-run variation from repeated runs.

FILE is a table as for decide, with several seeds per task of one agent. Where
it holds other arms too, their recovery and disruption are shown net of churn;
that is for arms that ran independently of the baseline.

\b
Examples:
    forbear churn repeats.csv
    forbear churn outcomes.csv --arm baseline --json

Exit codes: 0 done, 1 a bug, 2 bad input, 130 Ctrl-C.
"""


@click.command(help=_HELP, short_help="How often reruns alone change the outcome.")
@click.argument("file", metavar="FILE")
@click.option("--arm", metavar="NAME", help="The repeated arm. [default: the only one, or 'baseline']")
@table_options
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the intervals.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def churn(file: str, arm: str | None, reading: Reading, confidence: float, as_json: bool) -> None:
    """Reads, measures, prints."""
    from forbear.adapters.formats.tabular import read_outcomes

    read = read_outcomes(file, reading=reading, needs_arm=False)
    table = read.table
    parts = {"": table}
    if table.groups is not None:
        codes = dict.fromkeys(table.groups.codes.tolist())
        parts = {table.groups.names[code]: table.only(table.groups.codes == code) for code in codes}
        if len(parts) > _MOST_GROUPS:
            raise InvalidInput(
                f"--by makes {len(parts):,} groups; at most {_MOST_GROUPS} are shown. Choose with --where."
            )
    found = {group: _measured(part, arm, confidence) for group, part in parts.items()}
    if as_json:
        remarks = {"understood": [remark.to_dict() for remark in (*read.notes, *read.understood)]}
        groups = {group: one.payload() for group, one in found.items()}
        payload = {"format": "forbear-churn-1", "groups": groups} if table.groups else groups[""]
        click.echo(json.dumps(payload | remarks, indent=2, allow_nan=False))
        return
    for group, one in found.items():
        if table.groups is not None:
            click.echo(f"{shown(group)}:")
        _print(one)
    for remark in (*read.notes, *read.understood):
        click.echo(f"- {remark.text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    arm: str
    found: Churn
    nets: Mapping[str, NetRates]

    def payload(self) -> dict[str, object]:
        return self.found.to_dict() | {
            "arm": self.arm,
            "net": {
                name: {
                    "recovery_rate": net.recovery,
                    "disruption_rate": net.disruption,
                    "cautions": [remark.to_dict() for remark in net.cautions],
                }
                for name, net in self.nets.items()
            },
        }


def _measured(table: OutcomeTable, arm: str | None, confidence: float) -> _Measured:
    """The churn of one arm of a table, and the other arms net of it."""
    from forbear.analysis.pairing import compare, repeats_of
    from forbear.stats.context.churn import churn_of, net_of_churn

    arms = [table.arms.names[code] for code in dict.fromkeys(table.arms.codes.tolist())]
    if arm is None:
        arm = arms[0] if len(arms) == 1 else "baseline"
    if arm not in arms:
        raise InvalidInput(f"there is no arm '{shown(arm)}'; the arms are {listed(arms)}. Name it: --arm NAME.")
    found = churn_of(repeats_of(table, arm=arm), confidence=confidence)
    pairings = compare(table, baseline=arm) if len(arms) > 1 else ()
    nets = {one.treated: net_of_churn(one.binary, found) for one in pairings}
    return _Measured(arm=arm, found=found, nets=nets)


def _print(measured: _Measured) -> None:
    arm, found, nets = measured.arm, measured.found, measured.nets
    name = f"'{shown(arm)}'" if arm else "The agent"
    click.echo(f"{name}: {found.tasks:,} tasks, {found.runs:,} runs" + _left_out(found.single))
    rows = [
        ("flip rate", found.flip_rate, "two runs of one task differ"),
        ("p", found.failure_rate, "failure rate"),
        ("r0", found.recovery_rate, "of the failures, recovered by a mere rerun"),
        ("d0", found.disruption_rate, "of the successes, disrupted by a mere rerun"),
    ]
    for symbol, estimate, meaning in rows:
        click.echo(f"  {symbol:<10}{_rate(estimate):<32}{meaning}")
    for name, net in nets.items():
        click.echo(
            f"'{shown(name)}' net of churn: recovery {points(net.recovery)}, disruption {points(net.disruption)}"
        )
        for remark in net.cautions:
            click.echo(f"  - {remark.text}")


def _left_out(single: int) -> str:
    return f"; {single:,} tasks with one run left out" if single else ""


def _rate(estimate: Estimate | None) -> str:
    if estimate is None or estimate.value is None:
        return "undefined"
    interval = percent_interval(estimate.low, estimate.high)
    return f"{percent(estimate.value)} ({share(estimate.confidence, unit='%')} CI {interval})"
