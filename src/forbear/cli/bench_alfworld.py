"""`forbear bench alfworld`: real ALFWorld games, played by learned players, a chat model, or their walkthroughs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from forbear.cli.bench_command import BenchOptions, bench_options, run_bench
from forbear.errors import InvalidInput
from forbear.wording import shown

_HELP = """Real ALFWorld games in forbear's own engine, with and without a critic.

The arms and the table are those of forbear bench household. The players are
the household's, which never saw a real game, and some that learned from real
ones (NAME-retrained); or the agent of a file, for instance a chat model.

\b
Games: where alfworld-download has put them ($ALFWORLD_DATA, json_2.1.1), or
--data: such a folder, or a compact file, one game a line as JSON, usually
gzip-compressed: id, split, task_type, task, solvable, walkthrough,
pddl_problem; alfred_domain.pddl and alfred_grammar.twl2 lie beside it.

A player is never judged on games that it learned from. To learn from yours:
python -m forbear.worlds.household.real_train GAMES FOLDER, then --players.

--verify plays the walkthroughs instead: one wins if each of its commands is
legal and the last one reaches the goal; the ids of the others are listed.

\b
Examples:
    forbear bench alfworld
    forbear bench alfworld --data valid_seen.jsonl.gz --agents heed-retrained
    forbear bench alfworld --agent-file agent.toml --tasks 50 --seeds 1
    forbear bench alfworld --data valid_seen.jsonl.gz --verify --json

Exit codes: 0 done, 1 a bug, 2 bad input, changed plan or locked journal,
3 could not complete, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
"""


@click.command(help=_HELP, short_help="Real household games.")
@click.option("--data", metavar="PATH", type=click.Path(path_type=Path), help="The games. [default: $ALFWORLD_DATA]")
@click.option("--split", metavar="NAME", default="valid_seen", help="Of such a folder. [default: valid_seen]")
@click.option(
    "--players", metavar="DIR", type=click.Path(path_type=Path), help="Players that learned from your own games."
)
@click.option("--agent-file", metavar="FILE", type=click.Path(path_type=Path), help="Play this agent and no other.")
@click.option("--verify", "verifying", is_flag=True, help="Play every walkthrough and count those that win.")
@bench_options(tasks=140, seeds=3, folder="runs/bench-alfworld", of="Games, at most")
def alfworld(
    asked: BenchOptions,
    data: Path | None,
    split: str,
    players: Path | None,
    agent_file: Path | None,
    verifying: bool,
) -> None:
    """Plays, prints."""
    if agent_file is not None and players is not None:
        raise InvalidInput("--players and --agent-file name different agents: leave one of them out.")
    if verifying:
        _verify(data, split=split, as_json=asked.as_json)
        return
    from forbear.adapters.agent_file import read_agent_file
    from forbear.worlds.household.real_bench import RealBench

    described = None if agent_file is None else read_agent_file(agent_file)
    bench = RealBench(
        path=data,
        split=split,
        players=players,
        brought=None if described is None else {described.name: described.agent},
    )
    run_bench(
        bench.benchmark(),
        asked,
        budget=None if described is None else described.budget,
        models=None if described is None else described.models,
    )


def _verify(data: Path | None, *, split: str, as_json: bool) -> None:
    from forbear.worlds.household.real_games import real_games
    from forbear.worlds.household.verify import verify

    result = verify(real_games(data, split=split).values())
    if as_json:
        click.echo(json.dumps(result.to_dict()))
        return
    click.echo(f"{result.won} of {result.games} walkthroughs win.")
    for each in result.failed:
        click.echo(f"failed: {shown(each, limit=200)}")
