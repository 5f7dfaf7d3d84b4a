"""`forbear bench household`: a pilot for each player that comes with forbear, as one table."""

import click

from forbear.cli.bench_command import BenchOptions, bench_options, run_bench

_HELP = """Players that learned, critics that learned, and what acting on them did.

\b
Each player of the household runs a pilot with these arms:
    u-rollback, c-rollback   drop the proposal and say so; the critic raw,
    u-append, c-append       or calibrated; let it run and say so
    charged                  c-rollback, the dropped proposal costs a step
    restart                  begin the task again, once
    placebo, blind-rollback, blind-append, rerun     controls
and, from the runs of the player alone, best-of-2 to -4: the critic chooses.

The table says success, C, B, r, d, p*, gain and verdict of each arm, and its
critic's AUROC; docs/results.md has a full run. Journals lie in DIR, one a
player: what was stopped goes on, and what is done is only read.

\b
Examples:
    forbear bench household
    forbear bench household --agents doubter --arms c-append,rerun --tasks 50
    forbear bench household --tasks 1000 --workers 2 --journal runs/full \\
        --pilot-study --calls

Exit codes: 0 done, 1 a bug, 2 bad input, changed plan or locked journal,
3 could not complete, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
"""


@click.command(help=_HELP, short_help="Learned players with and without their critics.")
@bench_options(tasks=200, seeds=2, folder="runs/bench-household", of="Households")
def household(asked: BenchOptions) -> None:
    """Runs what is left, and prints the tables."""
    from forbear.worlds.household.bench import benchmark

    run_bench(benchmark(), asked)
