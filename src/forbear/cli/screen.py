"""What is printed to: how wide it is; and what was typed."""

import os
import sys

ARGUMENTS = "forbear.arguments"
"""By this name a command's context has the arguments of the whole command line."""

MOST = 120
"""Columns; longer lines are hard to read."""
_USUAL = 80
_LEAST = 60


def columns() -> int:
    """Columns to print to: those of the terminal, 80 where output goes elsewhere; `COLUMNS` says otherwise.

    Never fewer than 60, which tables need, nor more than 120.
    """
    stated = os.environ.get("COLUMNS", "")
    if stated.isascii() and stated.isdecimal():
        width = int(stated[:6])
    elif sys.stdout is not None and sys.stdout.isatty():
        try:
            width = os.get_terminal_size(sys.stdout.fileno()).columns
        except OSError:
            width = _USUAL
    else:
        width = _USUAL
    return max(_LEAST, min(width, MOST)) if width else _USUAL
