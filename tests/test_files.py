import os
import subprocess
import sys
import threading
import tracemalloc

import pytest

from forbear.errors import InvalidInput
from forbear.files import read_bounded, write_whole

MIB = 1 << 20


def test_a_file_of_the_limit_is_read_and_a_larger_one_is_not_even_begun(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(MIB)
    assert len(read_bounded(path, limit=MIB)) == MIB
    with path.open("wb") as file:
        file.truncate(100 * MIB + 1)
    tracemalloc.start()
    with pytest.raises(InvalidInput, match=r"large: larger than 1 MiB, .* FORBEAR_MAX_INPUT_MIB"):
        read_bounded(path, limit=MIB)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < MIB


def test_the_environment_raises_and_lowers_the_limit(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"a" * (3 * MIB))
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "3")
    assert len(read_bounded(path, limit=MIB)) == 3 * MIB
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", "2")
    with pytest.raises(InvalidInput, match=r"larger than 2 MiB, .*now 2\)"):
        read_bounded(path, limit=10 * MIB)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "ten", "1" * 30, "²"])
def test_a_limit_that_is_no_number_is_refused(tmp_path, monkeypatch, value):
    (tmp_path / "file").write_bytes(b"a")
    monkeypatch.setenv("FORBEAR_MAX_INPUT_MIB", value)
    with pytest.raises(InvalidInput, match="FORBEAR_MAX_INPUT_MIB must be a whole number"):
        read_bounded(tmp_path / "file", limit=MIB)


def test_what_never_ends_is_given_up(tmp_path):
    with pytest.raises(InvalidInput, match="zero: larger than 1 MiB"):
        read_bounded("/dev/zero", limit=MIB)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(
        [sys.executable, "-c", f"f = open({str(pipe)!r}, 'w')\nwhile True: f.write('a' * 4096)"]
    ) as ever:
        try:
            with pytest.raises(InvalidInput, match="pipe: larger than 1 MiB"):
                read_bounded(pipe, limit=MIB)
        finally:
            ever.kill()


@pytest.mark.slow
def test_a_pipe_is_waited_for_while_somebody_may_write(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def write():
        with pipe.open("wb") as file:  # blocks until somebody reads
            started.wait(0.3)
            file.write(b"late")

    started = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    assert read_bounded(pipe, limit=MIB) == b"late"
    writer.join()


@pytest.mark.slow
def test_a_pipe_that_nobody_writes_is_not_waited_for_for_ever(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="nobody has it open"):
        read_bounded(tmp_path / "pipe", limit=MIB)


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "report"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "none" / "report", b"one")
    (tmp_path / "report").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "report", b"one")
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_the_old_one(tmp_path):
    # What a process may write to a file is limited as a disk is, without needing to fill one.
    code = (
        "import resource, signal, sys, pathlib\n"
        "from forbear.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_whole(pathlib.Path('report'), b'x' * 5000)\n"
        "except OSError as error: sys.exit(error.strerror)\n"
    )
    (tmp_path / "report").write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "File too large\n")
    assert (tmp_path / "report").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1
