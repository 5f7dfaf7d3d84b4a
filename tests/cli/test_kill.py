"""The embedded pilot, killed at random moments, ends as if it had not been."""

import os
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

# The household, of which one process opens no more than it is allowed to: however slow the machine, every kill finds
# the pilot with something written and something left to do.
PACED = """
import asyncio, os
from forbear.worlds.household.environment import HouseholdEnvironment
from forbear.worlds.household.pilot import GeneratedHouseholds

opened = 0

class Paced(HouseholdEnvironment):
    async def reset(self, task, *, draw):
        global opened
        opened += 1
        if opened > int(os.environ.get("MOST_WORLDS", "1000000")):
            await asyncio.Event().wait()
        return await super().reset(task, draw=draw)

def environment():
    return Paced(GeneratedHouseholds())
"""


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_nothing(tmp_path):
    text = files("forbear.adapters").joinpath("pilots/household.toml").read_text(encoding="utf-8")
    for old, new in (("n = 200", f"n = {TASKS}"), ('environment = "household"', 'environment = "paced:environment"')):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "pilot.toml").write_text(text, encoding="utf-8")
    (tmp_path / "paced.py").write_text(PACED, encoding="utf-8")
    command = [sys.executable, "-m", "forbear", "pilot", "run", "pilot.toml", "--journal"]

    def start(journal, **limits):
        silent = subprocess.DEVNULL
        return subprocess.Popen(
            [*command, journal], cwd=tmp_path, stdout=silent, stderr=silent, env={**os.environ, **limits}
        )

    assert start("whole").wait() == 0
    lines = tmp_path / "killed" / "episodes.jsonl"
    chance, kept = random.Random(20), b""
    for _ in range(KILLS):
        # An opened world is at most one episode of each of five arms: 2 × 5 × 20 of the 300 are written before the end.
        process = start("killed", MOST_WORLDS="2")
        before = lines.stat().st_size if lines.exists() else 0
        # Wait for the first new line, then a random while: a kill while nothing is written yet would prove little.
        while process.poll() is None and not (lines.exists() and lines.stat().st_size > before):
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.08))
        assert process.poll() is None, "the pilot ended by itself"
        process.kill()
        process.wait()
        now = lines.read_bytes()
        assert now.startswith(kept)
        assert len(now) > len(kept)
        kept = now[: now.rfind(b"\n") + 1]
    assert start("killed").wait() == 0
    final = lines.read_bytes()
    assert final.startswith(kept)
    content = Journal(tmp_path / "killed").read()
    assert len(final.splitlines()) == len(content.episodes) == 5 * TASKS, "an episode was run twice"
    assert digest(tmp_path / "killed") == digest(tmp_path / "whole")
