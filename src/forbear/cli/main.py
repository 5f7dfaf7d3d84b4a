"""The command `forbear`: its groups, and the one place where errors become exit codes."""

import contextlib
import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Sequence

import click

from forbear import __version__
from forbear.cli.bench import bench
from forbear.cli.churn import churn
from forbear.cli.convert import convert
from forbear.cli.critic import critic
from forbear.cli.critic_calibrate import calibrate
from forbear.cli.critic_evaluate import evaluate
from forbear.cli.critic_threshold import threshold
from forbear.cli.critic_train import train
from forbear.cli.decide import decide
from forbear.cli.journal import journal
from forbear.cli.models import models
from forbear.cli.pilot import pilot
from forbear.cli.pilot_ask import ask, tell
from forbear.cli.power import power
from forbear.cli.proxy import proxy
from forbear.cli.report import report
from forbear.cli.screen import ARGUMENTS
from forbear.cli.serve import serve
from forbear.cli.stopping import Stopped
from forbear.errors import ForbearError
from forbear.wording import shown

_PIPE_CLOSED = 141
"""What a shell reports for a program that a closed pipe stopped."""

_MOST_LINES = 200
"""Of a traceback, its end."""


_FIRST = """\
forbear says whether a critic that steps into your agent's runs helps or harms.
Outcomes of both:    forbear decide outcomes.csv
An agent:            forbear pilot init, then forbear pilot run pilot.toml
Just to see one:     forbear decide --counts 35,7,11,47
Everything else:     forbear --help
"""
"""What `forbear` alone says."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, prog_name="forbear")
@click.pass_context
def cli(context: click.Context) -> None:
    """Know when not to intervene: decide from a small paired pilot whether a critic helps or harms an agent."""
    if context.invoked_subcommand is None:
        click.echo(_FIRST, nl=False)


for command in (decide, churn, convert, power, pilot, proxy, report, serve, critic, journal, bench, models):
    cli.add_command(command)
for command in (ask, tell):
    pilot.add_command(command)
for command in (train, evaluate, calibrate, threshold):
    critic.add_command(command)


def main() -> None:
    """Runs the command line; exits 0 done, 1 a bug, 2 bad input, 3 could not complete, 130 Ctrl-C, as in the README."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows "?" for it; that is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if (asked := os.environ.get("_FORBEAR_COMPLETE")) is not None:  # a shell that completes a command
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(cli, {}, "forbear", "_FORBEAR_COMPLETE", asked))
    code = run(sys.argv[1:], process_ends=True)
    if sys.stdout is not None:
        _drop_output()  # what somebody's code prints at exit is no part of what was asked for
    sys.exit(code)


def run(arguments: Sequence[str], *, process_ends: bool = False) -> int:
    """Runs one command and returns its exit code.

    Whatever went wrong is one line on standard error; a bug is a traceback. Where the process ends with it, standard
    output is not given back to code of others.
    """
    # make_context and invoke instead of cli.main: click would turn a closed pipe into exit code 1, "a bug".
    try:
        with cli.make_context("forbear", list(arguments), obj=process_ends) as context:
            context.meta[ARGUMENTS] = list(arguments)
            code = cli.invoke(context)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt) as stop:
        # What can be gone on with says so itself.
        _tell(str(stop) or "stopped")
        return 128 + (stop.number if isinstance(stop, Stopped) else signal.SIGINT)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        return _complain(error.format_message(), code=2)
    except ForbearError as error:
        return _complain(str(error), code=error.exit_code)
    except OSError as error:
        if not _is_of_our_output(error):
            return _confess(error)
        _drop_output()
        return _PIPE_CLOSED if error.errno == errno.EPIPE else _complain(f"cannot write: {error.strerror}.", code=3)
    except BaseException as error:  # also a SystemExit of somebody else's code: it has no say in our exit code
        return _confess(error)
    return code if isinstance(code, int) else 0


def _is_of_our_output(error: OSError) -> bool:
    """Whether standard output took no more. An agent's own broken pipe or full disk is something else."""
    raised_in = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)][-1:]
    return error.errno in (errno.EPIPE, errno.ENOSPC, errno.EDQUOT) and raised_in in (
        [__file__],
        [click.utils.__file__],
    )


def _complain(message: str, *, code: int) -> int:
    _tell(f"error: {message}")
    return code


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone; the exit code is not
        click.echo(shown(text, limit=1000), err=True)


def _confess(error: BaseException) -> int:
    """Prints the traceback of a bug; its texts may be those of an agent, so nothing in it reaches the terminal raw."""
    lines = "".join(traceback.format_exception(error)).rstrip("\n").split("\n")
    for line in lines[-_MOST_LINES:]:
        click.echo(shown(line, limit=1000), err=True)
    return 1


def _drop_output() -> None:
    """Lets the interpreter's own flush at exit succeed, although nobody can take the output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
