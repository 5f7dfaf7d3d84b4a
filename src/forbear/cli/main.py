"""The command `forbear`: its groups, and the one place where errors become exit codes."""

import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence

import click

from forbear import __version__
from forbear.cli.bench import bench
from forbear.cli.churn import churn
from forbear.cli.decide import decide
from forbear.cli.journal import journal
from forbear.cli.pilot import pilot
from forbear.cli.pilot_ask import ask, tell
from forbear.cli.power import power
from forbear.errors import ForbearError
from forbear.wording import shown

_PIPE_CLOSED = 141
"""What a shell reports for a program that a closed pipe stopped."""

_MOST_LINES = 200
"""Of a traceback, its end."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="forbear")
def cli() -> None:
    """Know when not to intervene: decide from a small paired pilot whether a critic helps or harms an agent."""


for command in (decide, churn, power, pilot, journal, bench):
    cli.add_command(command)
for command in (ask, tell):
    pilot.add_command(command)


def main() -> None:
    """Runs the command line; exits 0 done, 1 a bug, 2 bad input, 3 could not complete, 130 Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows "?" for it; that is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code.

    Whatever went wrong is one line on standard error; a bug is a traceback.
    """
    # make_context and invoke instead of cli.main: click would turn a closed pipe into exit code 1, "a bug".
    try:
        with cli.make_context("forbear", list(arguments)) as context:
            code = cli.invoke(context)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt) as stop:
        # What can be gone on with says so itself.
        click.echo(shown(str(stop) or "stopped", limit=1000), err=True)
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        return _complain(error.format_message(), code=2)
    except ForbearError as error:
        return _complain(str(error), code=error.exit_code)
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EDQUOT):
            return _confess(error)
        _drop_output()
        return _PIPE_CLOSED if error.errno == errno.EPIPE else _complain(f"cannot write: {error.strerror}.", code=3)
    except Exception as error:
        return _confess(error)
    return code if isinstance(code, int) else 0


def _complain(message: str, *, code: int) -> int:
    click.echo(f"error: {shown(message, limit=1000)}", err=True)
    return code


def _confess(error: Exception) -> int:
    """Prints the traceback of a bug; its texts may be those of an agent, so nothing in it reaches the terminal raw."""
    lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
    for line in lines[-_MOST_LINES:]:
        click.echo(shown(line, limit=1000), err=True)
    return 1


def _drop_output() -> None:
    """Lets the interpreter's own flush at exit succeed, although nobody can take the output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
