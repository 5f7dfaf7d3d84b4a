"""`forbear bench questions`: a pilot for each reader that comes with forbear, as one table."""

import click

from forbear.cli.bench_command import BenchOptions, bench_options, run_bench

_HELP = """Readers that learned, critics that learned, and what acting on them did.

\b
Each reader searches paragraphs for the answers to generated questions, often
answers after a step or two, and runs a pilot with these arms:
    u-rollback, c-rollback   drop the proposal and say so; the critic raw,
    u-append, c-append       or calibrated; let it run and say so
    charged                  c-rollback, the dropped proposal costs a step
    restart                  begin the task again, once
    placebo, blind-rollback, blind-append, rerun     controls
and, from the runs of the reader alone, best-of-2 to -4: the critic chooses.

The table is that of forbear bench household; docs/results.md has a full run.
Journals lie in DIR, one a reader: what was stopped goes on, and what is done
is only read.

\b
Examples:
    forbear bench questions
    forbear bench questions --agents waverer --arms c-append,rerun --tasks 50
    forbear bench questions --tasks 1000 --workers 2 --journal runs/full \\
        --pilot-study --calls

Exit codes: 0 done, 1 a bug, 2 bad input, changed plan or locked journal,
3 could not complete, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
"""


@click.command(help=_HELP, short_help="Learned readers with and without their critics.")
@bench_options(tasks=200, seeds=2, folder="runs/bench-questions", of="Questions")
def questions(asked: BenchOptions) -> None:
    """Runs what is left, and prints the tables."""
    from forbear.worlds.questions.bench import benchmark

    run_bench(benchmark(), asked)
