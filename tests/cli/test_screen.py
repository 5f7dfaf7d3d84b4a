import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from forbear.cli.screen import columns

STATED = {"100": 100, "20": 60, "9999": 120, "0": 80, "": 80, "-5": 80, "wide": 80, "9" * 50: 120}


@pytest.mark.parametrize(("stated", "width"), STATED.items())
def test_columns_can_be_stated(monkeypatch, stated, width):
    monkeypatch.setenv("COLUMNS", stated)
    assert columns() == width


def on_terminal(width, *arguments):
    """What `forbear` prints on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"} | {"NO_COLOR": "1"}
    running = subprocess.Popen(
        [sys.executable, "-m", "forbear", *arguments], stdout=theirs, stderr=theirs, stdin=theirs, env=environment
    )
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert running.wait() == 0
    return text.decode().replace("\r\n", "\n")


@pytest.mark.slow
def test_a_report_is_as_wide_as_its_terminal():
    lines = {width: on_terminal(width, "decide", "--counts", "40,7,11,42").splitlines() for width in (60, 80, 110)}
    assert [max(map(len, lines[width])) <= width for width in lines] == [True] * 3
    assert len(lines[60]) > len(lines[80]) > len(lines[110])
