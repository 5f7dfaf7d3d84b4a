"""`forbear critic calibrate`: scores that mean what they say, and the proof on tasks that had no part in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from forbear.cli.critic_options import WHICH, judged, judging
from forbear.wording import counted, number, percent, shown

if TYPE_CHECKING:
    from forbear.adapters.judged import NamedCritic
    from forbear.critics.recalibration import Recalibration
    from forbear.stats.intervals import Estimate

_HELP = f"""Map a critic's scores to probabilities that mean what they say.

{WHICH}
Five maps are fitted: temperature, Platt, beta, isotonic, and Platt's with a line
for each step. The one with the least loss on held-out folds of tasks is kept,
and measured on tasks that had no part in any of it, before and after. DIR is a critic of its own: plain numbers, which
load without running code:

\b
    [critic]
    use = "calibrated"
    options = {{ path = "DIR" }}

A map fits agents that fail about as often as the one that it was fitted on; a
few dozen runs of the new agent's own are enough for another.

\b
Examples:
    forbear critic calibrate critics/mine runs.jsonl -o critics/mine-calibrated
    forbear critic calibrate step-count runs/pilot -o critics/steps --method platt

Exit codes: 0 done, 1 a bug, 2 bad input, 130 Ctrl-C.
"""

_FORMAT = "forbear-critic-calibration-1"
_SHOWN = {"ece": "calibration_error", "brier": "brier", "log_loss": "log_loss", "auroc": "auroc", "excess": "excess"}


@click.command(help=_HELP, short_help="Make a critic's scores mean what they say.")
@judging
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where to write.")
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice(["temperature", "platt", "beta", "isotonic", "by-step"]),
    help="Choose among these only. [default: all]",
)
@click.option(
    "--held-out", type=float, default=0.3, show_default=True, help="Share of the tasks that only measure; a fraction."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def calibrate(
    critic: str,
    episodes: tuple[str, ...],
    arms: tuple[str, ...],
    allow_overlap: bool,
    options: str,
    output: Path,
    methods: tuple[Any, ...],
    held_out: float,
    as_json: bool,
) -> None:
    """Reads, scores, fits, measures, writes."""
    from forbear.adapters.critic_folder import save_calibrated
    from forbear.critics.calibrators import METHODS
    from forbear.critics.recalibration import recalibrate

    with judged(critic, episodes, arms=arms, options=options, allow_overlap=allow_overlap) as (named, found, out):
        chosen = recalibrate(found.scored, methods=methods or METHODS, held_out=held_out)
        cautions = _cautions(chosen, named, overlap=len(found.overlap))
        payload: dict[str, object] = {
            "critic": named.name,
            "method": chosen.chosen.calibrator.method,
            "held_out_log_loss": dict(chosen.chosen.held_out_log_loss),
            "failure_rate": chosen.failure_rate,
            "runs": chosen.runs,
            "before": _json(chosen.before),
            "after": _json(chosen.after),
            "cautions": cautions,
        }
        learned = sorted(named.seen)
        save_calibrated(
            output,
            calibrator=chosen.chosen.calibrator,
            use=named.name,
            options=named.options,
            source=named.folder,
            splits={
                **({"critic": learned} if learned else {}),
                "calibration": list(chosen.calibration_tasks),
                "test": sorted(set(chosen.test_tasks) - named.seen),
            },
            more={key: value for key, value in payload.items() if key not in ("critic", "method")},
        )
        if as_json:
            click.echo(
                json.dumps({"format": _FORMAT, **payload, "output": str(output)}, indent=2, allow_nan=False), file=out
            )
        else:
            _print(chosen, named, output, cautions, out)


def _print(chosen: Recalibration, named: NamedCritic, output: Path, cautions: list[str], out: TextIO) -> None:
    from forbear.adapters.critic_folder import HARMLESS

    tasks = counted(len(chosen.test_tasks), "task")
    best = chosen.chosen.calibrator.method
    losses = ", ".join(f"{method} {loss:.4f}" for method, loss in chosen.chosen.held_out_log_loss.items())
    click.echo(f"{shown(named.name)}: {best}, by its log loss on held-out folds ({losses})", file=out)
    click.echo(f"on {tasks} that had no part in it:", file=out)
    click.echo(f"  {'':<10}{'before':<26}after", file=out)
    for name, measure in _SHOWN.items():
        click.echo(f"  {name:<10}{_worded(chosen.before[measure]):<26}{_worded(chosen.after[measure])}", file=out)
    for caution in cautions:
        click.echo(f"- {caution}", file=out)
    own = "" if named.folder or named.name in HARMLESS else ', critic = "..."'
    click.echo(
        f'wrote {shown(str(output), limit=200)}: use = "calibrated", options = {{ path = "..."{own} }}', file=out
    )


def _cautions(chosen: Recalibration, named: NamedCritic, *, overlap: int) -> list[str]:
    from forbear.critics.recalibration import BASE_RATE

    said = []
    if overlap:
        said.append(f"The critic has learned from {counted(overlap, 'task')} of these runs: the map is too sure.")
    if not named.seen_is_known:
        said.append("Nobody says which tasks this critic has learned from: make sure that these are others.")
    if named.failure_rate is not None and abs(named.failure_rate - chosen.failure_rate) >= BASE_RATE:
        said.append(
            f"The base rate has shifted: of the runs that it learned from {percent(named.failure_rate)} failed, "
            f"of these {percent(chosen.failure_rate)}."
        )
    elif (shift := chosen.shift) is not None and shift.value is not None:
        direction = "above" if shift.value > 0 else "below"
        said.append(
            f"Before, the mean score was {abs(shift.value):.3f} {direction} the failure rate ({number(shift.low)} to "
            f"{number(shift.high)}): the critic knows another base rate."
        )
    losses = chosen.chosen.held_out_log_loss
    if losses["none"] <= losses[chosen.chosen.calibrator.method]:
        said.append("Left as they were, the scores had no more loss on held-out folds: no map is needed.")
    said.append(
        f"The map is for agents that fail about as often as these, {percent(chosen.failure_rate)} of the runs; for "
        "others it has to be fitted again."
    )
    return said


def _json(measures: Any) -> dict[str, object]:
    from forbear.report.critic_view import NAMES

    return {NAMES.get(name, name): None if one is None else one.to_dict() for name, one in measures.items()}


def _worded(found: Estimate | None) -> str:
    return "undefined" if found is None else f"{number(found.value)} ({number(found.low)} to {number(found.high)})"
