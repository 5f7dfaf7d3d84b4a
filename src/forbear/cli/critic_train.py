"""`forbear critic train`: from runs to a critic in a folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from forbear.cli.critic_train_lora import lora_options, train_in_folder
from forbear.wording import counted, listed, points, points_interval, shown

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

--target advantage learns from the journals of coupled pilots what stepping in
was worth, against going on from the same prefix; --arm names whose (best one
that steps in at random, once, with several continuations of each fork).

\b
Examples:
    forbear critic train runs/pilot -o critics/mine
    forbear critic train logs.jsonl -o critics/mine --history older.jsonl
    forbear critic train runs/forks -o critics/worth --target advantage
    forbear critic train logs.jsonl -o critics/lm --backend lora
"""

_GAINS = {
    "gain": "at all forks",
    "upper_half": "where it says it is worth more",
    "lower_half": "where it says it is worth less",
    "difference": "the difference",
}
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
    "--target",
    type=click.Choice(("failure", "advantage")),
    default="failure",
    help="What is learned: whether a run fails, or what stepping in is worth. [failure]",
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
    target: str,
    backend: str,
    as_json: bool,
    **lora: Any,
) -> None:
    """Reads, trains, writes, prints."""
    given = {name.removeprefix("lora_"): value for name, value in lora.items() if value is not None}
    if target == "advantage":
        if history:
            raise click.UsageError("--history tells how runs ended; what stepping in is worth is learned from forks.")
        if backend == "lora" or given:
            raise click.UsageError("--target advantage is learned by --backend words.")
        _train_advantage(episodes, output, arms, as_json=as_json)
        return
    from forbear.adapters.formats.episodes import read_runs
    from forbear.critics.card import metrics_of, write_critic
    from forbear.critics.training import train_critic

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


def _train_advantage(episodes: tuple[str, ...], output: Path, arms: tuple[str, ...], *, as_json: bool) -> None:
    from forbear.adapters.formats.forks import read_forks
    from forbear.critics.advantage import train_advantage
    from forbear.critics.card import write_advantage_critic

    read = read_forks(episodes, arms=arms)
    sources = [Path(path).name for path in episodes]
    card = write_advantage_critic(train_advantage(read.forks), output, sources=sources, arms=read.arms)
    click.echo(json.dumps(card, indent=1) if as_json else _told_of_advantage(card, output))


def _told_of_advantage(card: Mapping[str, Any], output: Path) -> str:
    trained = card["trained"]
    lines = [
        f"{counted(trained['forks'], 'fork')} of {counted(trained['tasks'], 'task')}, "
        f"{counted(trained['continuations'], 'pair')} of runs, stepped in on by {listed(trained['arms'])}",
        "",
        f"on held-out tasks ({card['splits']['folds']} folds), what stepping in was worth",
    ]
    for name, label in _GAINS.items():
        found = card["metrics"][name]
        told = (
            "undefined"
            if found is None
            else f"{points(found['value'])}  {points_interval(found['low'], found['high'])}"
        )
        lines.append(f"  {label:<32} {told}")
    if card["warning"]:
        lines.append(f"warning: {card['warning']}")
    lines += [
        "",
        f"written: {shown(str(output), limit=200)} (sha256 {card['sha256'][:12]})",
        "A policy acts where the advantage exceeds its threshold: 0 is any gain. Whether that",
        "pays is for a pilot to say: forbear pilot run.",
    ]
    return "\n".join(lines)


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
