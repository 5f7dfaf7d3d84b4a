"""`forbear bench`: the worlds that come with forbear, played and checked."""

import json
from pathlib import Path

import click

from forbear.cli.bench_household import household
from forbear.cli.bench_questions import questions
from forbear.wording import shown

_HELP = """Play and check the worlds that come with forbear.

\b
Examples:
    forbear bench household
    forbear bench questions
    forbear bench alfworld --data valid_seen.jsonl.gz --verify

Exit codes: 0 done, 1 a bug, 2 bad input, 130 Ctrl-C.
"""

_ALFWORLD = """Real ALFWorld games, played by forbear's own engine.

\b
FILE is a compact file, one game a line as JSON, usually gzip-compressed:
    id, split, task_type, task, solvable, walkthrough, pddl_problem
alfred_domain.pddl and alfred_grammar.twl2 must lie beside it.

A walkthrough wins if each of its commands is legal and the last one reaches
the goal; the ids of the others are listed.

\b
Examples:
    forbear bench alfworld --data valid_seen.jsonl.gz --verify
    forbear bench alfworld --data valid_seen.jsonl.gz --verify --json

Exit codes: 0 done, 1 a bug, 2 bad input, 130 Ctrl-C.
"""


@click.group(help=_HELP, short_help="Worlds to test on.")
def bench() -> None:
    """Gathers the benchmarks."""


bench.add_command(household)
bench.add_command(questions)


@bench.command(help=_ALFWORLD, short_help="Real household games.")
@click.option("--data", metavar="FILE", type=click.Path(path_type=Path), required=True, help="The games.")
@click.option("--verify", "verifying", is_flag=True, help="Play every walkthrough and count those that win.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def alfworld(data: Path, verifying: bool, as_json: bool) -> None:
    """Reads, plays, prints."""
    from forbear.worlds.household.games import read_games
    from forbear.worlds.household.verify import verify

    if not verifying:
        raise click.UsageError("say what to do with the games: --verify plays every walkthrough.")
    result = verify(read_games(data))
    if as_json:
        click.echo(json.dumps(result.to_dict()))
        return
    click.echo(f"{result.won} of {result.games} walkthroughs win.")
    for each in result.failed:
        click.echo(f"failed: {shown(each, limit=200)}")
