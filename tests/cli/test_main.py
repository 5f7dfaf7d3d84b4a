"""Exit codes and streams, as a shell sees them."""

import errno
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from forbear.cli.main import cli, run

FORBEAR = [sys.executable, "-m", "forbear"]
COUNTS = [*FORBEAR, "decide", "--counts", "35,7,11,47"]


def test_help_and_version(capsys):
    assert run(["--version"]) == 0
    assert run(["--help"]) == 0
    assert "decide" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_help(name, capsys):
    assert run([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert cli.commands[name].short_help
    for word in ("Usage:", "Exit codes:", "Examples:"):
        assert word in text


def test_forbear_alone_says_in_five_lines_what_it_is_for(capsys):
    assert run([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert max(map(len, lines)) <= 80
    assert "forbear decide" in lines[1]


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["decide", "--nonsense"], ["nonsense\x1b[31m"]])
def test_usage_errors_are_one_line(arguments, capsys):
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert captured.err.rstrip("\n").isprintable()


@pytest.mark.slow
def test_a_bug_is_exit_code_1():
    # A real command that fails in a way nobody foresaw.
    code = (
        "from forbear.cli.main import cli, main\n"
        "import sys\n"
        "cli.command('broken')(lambda: 1 / 0)\n"
        "sys.argv = ['forbear', 'broken']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_the_text_of_a_bug_reaches_the_terminal_inert(capsys):
    """Agents raise what they read; a traceback quotes it."""

    def broken():
        raise RuntimeError("\x1b]0;owned\x07\x1b[31mred\nnext line" + "x" * 100_000 + "\n" * 100_000 + "\u202eend")

    cli.command("broken")(broken)
    try:
        assert run(["broken"]) == 1
    finally:
        del cli.commands["broken"]
    lines = capsys.readouterr().err.rstrip("\n").split("\n")
    assert lines[-1] == "\ufffdend"
    assert len(lines) <= 200
    assert all(line.isprintable() and len(line) <= 1000 for line in lines)


def test_an_unforeseen_error_of_the_system_is_a_bug_too(capsys):
    def broken():
        raise PermissionError(1, "not \x1b[31mallowed")

    cli.command("broken")(broken)
    try:
        assert run(["broken"]) == 1
    finally:
        del cli.commands["broken"]
    seen = capsys.readouterr().err
    assert "Traceback" in seen
    assert "PermissionError" in seen
    assert "\x1b" not in seen


@pytest.mark.parametrize("error", [BrokenPipeError(errno.EPIPE, "gone"), OSError(errno.ENOSPC, "full")])
def test_only_our_own_output_can_be_gone_or_full(error, capsys):
    def broken():
        raise error

    cli.command("broken")(broken)
    try:
        assert run(["broken"]) == 1
    finally:
        del cli.commands["broken"]
    assert type(error).__name__ in capsys.readouterr().err


def test_ctrl_c_while_the_command_line_is_imported_says_so_once():
    code = (
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'forbear.cli.main': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from forbear.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped\n")


@pytest.mark.slow
def test_a_closed_pipe_is_no_bug():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(COUNTS, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(COUNTS, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("error: cannot write")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_ctrl_c_is_130_without_a_traceback():
    with subprocess.Popen(
        [*FORBEAR, "decide", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        # More than a pipe holds: once this is written, the command is reading.
        process.stdin.write(b"task_id,arm,success\n" * 20_000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"stopped\n")


@pytest.mark.slow
def test_standard_input_is_read_and_may_be_closed():
    table = b"task_id,arm,success\nt,baseline,0\nt,critic,1\n"
    done = subprocess.run([*FORBEAR, "decide", "-", "--json"], input=table, capture_output=True, check=True)
    assert json.loads(done.stdout)["recovered"] == 1
    closed = subprocess.run(
        ["bash", "-c", '"$@" <&-', "bash", *FORBEAR, "decide", "-"], capture_output=True, text=True, check=False
    )
    assert (closed.returncode, closed.stdout) == (2, "")
    assert closed.stderr.startswith("error: standard input is closed")


@pytest.mark.slow
def test_a_terminal_gets_colour_unless_it_refuses():
    def seen(**extra: str) -> bytes:
        environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
        master, slave = pty.openpty()
        subprocess.run(COUNTS, stdout=slave, env={**environment, "TERM": "xterm", **extra}, check=True)
        os.close(slave)
        text = b""
        while b"Method" not in text:
            text += os.read(master, 65536)
        os.close(master)
        return text

    assert b"\x1b[" in seen()
    assert b"\x1b" not in seen(NO_COLOR="1")


@pytest.mark.slow
def test_output_that_cannot_show_a_character_still_comes(tmp_path):
    path = tmp_path / "outcomes.csv"
    path.write_text("task_id,arm,success\nt,baseline,1\nt,界,1\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([*FORBEAR, "decide", path], capture_output=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"? succeeds" in done.stdout


def test_a_shell_can_complete_commands():
    asked = {"_FORBEAR_COMPLETE": "bash_complete", "COMP_WORDS": "forbear pilot st", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "forbear"], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["plain,status"]
