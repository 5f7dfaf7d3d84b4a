"""`forbear bench`: worlds and what happens in them."""

import json
from pathlib import Path

import click

_HELP = """Play and check the worlds that come with forbear.

\b
Examples:
    forbear bench alfworld --data games/valid_seen.jsonl.gz --verify

Exit codes: 0 done, 1 a bug, 2 no readable games, 130 Ctrl-C.
"""


@click.group(help=_HELP, short_help="The worlds that come with forbear: alfworld.")
def bench() -> None:
    """The group."""


@bench.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Compact file of games, *.jsonl.gz.")
@click.option("--verify", "verifying", is_flag=True, help="Play every walkthrough and count those that win.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object and nothing else.")
def alfworld(data: Path, verifying: bool, as_json: bool) -> None:
    """Real ALFWorld games, played by forbear's own engine.

    alfred_domain.pddl and alfred_grammar.twl2 must lie beside the file.
    """
    from forbear.benchmarks.household.games import read_games
    from forbear.benchmarks.household.verify import verify

    if not verifying:
        raise click.UsageError("say what to do with the games: --verify plays every walkthrough.")
    result = verify(read_games(data))
    if as_json:
        click.echo(json.dumps(result.to_dict()))
        return
    click.echo(f"{result.won} of {result.games} walkthroughs win.")
    for each in result.failed:
        click.echo(f"failed: {json.dumps(each)}")
