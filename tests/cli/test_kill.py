"""The embedded pilot, killed at random moments, ends as if it had not been."""

import random
import subprocess
import sys
import time
from importlib.resources import files

import pytest

from forbear.records.journal import Journal
from runner.pilots import digest

KILLS = 20
TASKS = 60


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(tmp_path):
    text = files("forbear.adapters").joinpath("pilot.toml").read_text(encoding="utf-8")
    assert "n = 200" in text
    (tmp_path / "pilot.toml").write_text(text.replace("n = 200", f"n = {TASKS}"), encoding="utf-8")
    command = [sys.executable, "-m", "forbear", "pilot", "run", "pilot.toml", "--journal"]

    def start(journal):
        return subprocess.Popen([*command, journal], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start("whole").wait() == 0
    lines = tmp_path / "killed" / "episodes.jsonl"
    chance, kept, grew = random.Random(20), b"", 0
    for _ in range(KILLS):
        process = start("killed")
        before = lines.stat().st_size if lines.exists() else 0
        deadline = time.monotonic() + 20
        # Wait for the first new line, then a random while: a kill while nothing is written yet would prove little.
        while process.poll() is None and time.monotonic() < deadline:
            if lines.exists() and lines.stat().st_size > before:
                break
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.08))
        process.kill()
        process.wait()
        now = lines.read_bytes()
        assert now.startswith(kept)
        grew += len(now) > len(kept)
        kept = now[: now.rfind(b"\n") + 1]
    assert grew >= 5, "too few kills struck while the pilot ran"
    assert start("killed").wait() == 0
    final = lines.read_bytes()
    assert final.startswith(kept)
    content = Journal(tmp_path / "killed").read()
    assert len(final.splitlines()) == len(content.episodes) == 4 * TASKS, "an episode was run twice"
    assert digest(tmp_path / "killed") == digest(tmp_path / "whole")
