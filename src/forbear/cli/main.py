"""The command `forbear`: its groups, and the one place where errors become exit codes."""

import sys

import click

from forbear import __version__
from forbear.errors import ForbearError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="forbear")
def cli() -> None:
    """Know when not to intervene: decide from a small paired pilot whether a critic helps or harms an agent."""


def main() -> None:
    """Runs the command line; exits 0 done, 1 a bug, 2 bad input, 3 could not complete, 130 Ctrl-C."""
    try:
        sys.exit(cli.main(standalone_mode=False) or 0)
    except click.exceptions.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ForbearError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
