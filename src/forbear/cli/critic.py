"""`forbear critic`: train a critic on logs, and say how good it is. Each command lies in a module of its own."""

import click

_HELP = """Train and judge critics on runs that you have.

None of it says whether stepping in helps: that takes a pilot (forbear pilot).

\b
Examples:
    forbear critic train runs/pilot -o critics/mine
    forbear critic train logs/*.jsonl -o critics/mine --history older.jsonl
    forbear critic evaluate critics/mine other-runs.jsonl --html critic.html
    forbear critic evaluate recorded runs/pilot

Exit codes: 0 done, 1 a bug, 2 bad input, 3 could not complete, 130 Ctrl-C.
"""


@click.group(help=_HELP, short_help="Critics: train them and judge them on logs.")
def critic() -> None:
    """Gathers the commands; `cli.main` adds them."""
