"""`forbear critic train`: from runs to a critic in a folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from forbear.cli.critic_train_lora import lora_options, train_in_folder
from forbear.wording import counted, shown

_HELP = """Train a critic on runs that ended with a success or a failure.

EPISODES are directories of journals (their baseline), files of forbear-episode
lines, or JSONL with task_id, success, task and steps of action and observation.
The critic is critic.npz (arrays; loading runs no code) and critic.json. Use it
as critic = {use = "trained", options = {path = "DIR"}} in a pilot's arm.

--backend lora teaches a language model instead (extra hf, hours without a GPU):
adapters and a head, in adapter.safetensors. The model is one on this disk;
nothing is fetched. Killed, the same command goes on from where it was.

Everything is split by task. Printed is what held on tasks that were held out.
None of it says whether stepping in helps: that takes a pilot.

\b
Examples:
    forbear critic train runs/pilot -o critics/mine
    forbear critic train logs.jsonl -o critics/mine --history older.jsonl
    forbear critic train logs.jsonl -o critics/lm --backend lora
"""

_LABELS = {
    "auroc": "AUROC",
    "first_step_auroc": "AUROC, first step",
    "step_count_auroc": "AUROC of the step's index alone",
    "ece": "calibration error (ECE)",
    "brier": "Brier score",
}


@click.command(help=_HELP, short_help="Train a critic on runs.")
@click.argument("episodes", nargs=-1, required=True, metavar="EPISODES...")
@click.option("-o", "--output", required=True, metavar="DIR", type=click.Path(path_type=Path), help="The critic.")
@click.option("--arm", "arms", multiple=True, metavar="NAME", help="Arm that is read; may be repeated. [baseline]")
@click.option(
    "--history", multiple=True, metavar="EPISODES", help="Earlier runs: how tasks ended before; may be repeated."
)
@click.option(
    "--backend", type=click.Choice(["words", "lora"]), default="words", show_default=True, help="What is trained."
)
@lora_options
@click.option("--json", "as_json", is_flag=True, help="Print critic.json and nothing else.")
def train(
    episodes: tuple[str, ...],
    output: Path,
    arms: tuple[str, ...],
    history: tuple[str, ...],
    backend: str,
    as_json: bool,
    **lora: Any,
) -> None:
    """Reads, trains, writes, prints."""
    from forbear.adapters.formats.episodes import read_runs
    from forbear.critics.card import metrics_of, write_critic
    from forbear.critics.training import train_critic

    given = {name.removeprefix("lora_"): value for name, value in lora.items() if value is not None}
    if backend == "lora":
        if history:
            raise click.UsageError("--history is a feature of --backend words; a language model has none.")
        told = train_in_folder(
            read_runs(episodes, arms=arms),
            output,
            given=given,
            sources=[Path(path).name for path in episodes],
            tell=lambda line: click.echo(line, err=True),
        )
        click.echo(json.dumps(told, indent=1) if as_json else _told(told, output))
        return
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise click.UsageError(f"{names}: of --backend lora only.")
    read = read_runs(episodes, arms=arms)
    earlier = read_runs(history, arms=arms).runs if history else None
    training = train_critic(read.runs, history=earlier)
    card = write_critic(
        training,
        output,
        runs=read.runs,
        metrics=metrics_of(training),
        sources=[Path(path).name for path in episodes],
        left_out=read.left_out,
    )
    click.echo(json.dumps(card, indent=1) if as_json else _told(card, output))


def _told(card: Mapping[str, Any], output: Path) -> str:
    trained, leaks, folds = card["trained"], card["leaks"]["shuffled_auroc"], card["splits"].get("folds")
    held_out = f"{folds} folds" if folds else counted(len(card["splits"]["test"]), "task")
    lines = [
        f"{counted(trained['runs'], 'run')} of {counted(trained['tasks'], 'task')}, {trained['failed']:,} failed, "
        f"{counted(trained['steps'], 'step')}",
        *(f"left out, {why}: {count:,}" for why, count in trained["left_out"].items() if count),
        "",
        f"on held-out tasks ({held_out})",
    ]
    for name, label in _LABELS.items():
        value = card["metrics"][name]
        told = "undefined" if value is None else f"{value['value']:.3f}  {value['low']:.3f} to {value['high']:.3f}"
        lines.append(f"  {label:<32} {told}")
    lines.append(
        f"  {'AUROC, outcomes shuffled':<32} {leaks['mean']:.3f}  {leaks['low']:.3f} to {leaks['high']:.3f} (range)"
    )
    if card["warning"]:
        lines.append(f"warning: {card['warning']}")
    lines += [
        "",
        f"written: {shown(str(output), limit=200)} (sha256 {card['sha256'][:12]})",
        "None of this says whether stepping in helps: forbear pilot run does.",
    ]
    return "\n".join(lines)
