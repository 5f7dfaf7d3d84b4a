import http.client
import os
import re
import signal
import subprocess
import sys

import pytest

from forbear.cli.main import run

pytest.importorskip("uvicorn", reason="the extra serve is not installed")


@pytest.mark.slow
def test_it_serves_until_it_is_stopped(tmp_path):
    command = [sys.executable, "-m", "forbear", "serve", str(tmp_path), "--port", "0"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/ ", running.stdout.readline())[1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=60)
    assert running.returncode in (0, 130)


def test_what_cannot_be_served_is_refused(tmp_path, capsys):
    assert run(["serve", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err
    assert run(["serve", str(tmp_path), "--host", "0.0.0.0", "--token", "short"]) == 2
    assert "at least 8" in capsys.readouterr().err
    assert run(["serve", str(tmp_path), "--host", "203.0.113.7"]) == 2
    assert "cannot listen" in capsys.readouterr().err
