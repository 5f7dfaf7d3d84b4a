"""`forbear bench`: the worlds that come with forbear, played and checked."""

import click

from forbear.cli.bench_alfworld import alfworld
from forbear.cli.bench_household import household
from forbear.cli.bench_questions import questions

_HELP = """Play and check the worlds that come with forbear.

\b
Examples:
    forbear bench household
    forbear bench questions
    forbear bench alfworld --data valid_seen.jsonl.gz

Exit codes: 0 done, 1 a bug, 2 bad input, 3 could not complete, 130 Ctrl-C.
"""


@click.group(help=_HELP, short_help="Worlds to test on.")
def bench() -> None:
    """Gathers the benchmarks."""


bench.add_command(household)
bench.add_command(questions)
bench.add_command(alfworld)
