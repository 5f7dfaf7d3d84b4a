"""A pilot that is stopped anywhere and run again finds what an uninterrupted one finds, and runs nothing twice."""

import signal
import subprocess
import sys

import pytest

from forbear.errors import ProviderError
from forbear.interventions import Append, Placebo
from forbear.policy.arm import Arm
from forbear.records.codec import episode_key
from forbear.records.journal import Journal
from forbear.testing import CoinFlipAgent
from runner.pilots import ALL_ARMS, POLICY, WEIGHTS, digest, plan, run, with_


def lines_of(directory):
    return directory / "episodes.jsonl"


@pytest.mark.parametrize(
    "torn", [b"", pytest.param(b'{"format":"forbear-episode-2","task":"t0', marks=pytest.mark.slow)]
)
def test_after_the_kth_line_for_every_k(tmp_path, torn):
    run(plan(n=2), tmp_path / "whole")
    whole = lines_of(tmp_path / "whole").read_bytes().splitlines(keepends=True)
    expected = digest(tmp_path / "whole")
    assert len(whole) == 2 * len(ALL_ARMS)
    for k in range(len(whole)):
        directory = tmp_path / f"{k}{len(torn)}"
        directory.mkdir()
        (directory / "plan.json").write_bytes((tmp_path / "whole" / "plan.json").read_bytes())
        lines_of(directory).write_bytes(b"".join(whole[:k]) + torn)
        announced = []
        run(plan(n=2), directory, on_episode=announced.append)
        assert digest(directory) == expected
        assert lines_of(directory).read_bytes().startswith(b"".join(whole[:k]))
        assert len(announced) == len({episode_key(episode) for episode in announced}) == len(whole) - k


KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from runner.pilots import plan, run

announced = 0

def announce(episode):
    global announced
    announced += 1
    print(episode.task.id, episode.arm, flush=True)
    if announced == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

run(plan(n=2), sys.argv[1], on_episode=announce, concurrency=4)
"""


@pytest.mark.slow
def test_a_process_killed_after_the_kth_append_for_every_k(tmp_path):
    run(plan(n=2), tmp_path / "whole")
    for k in range(1, 2 * len(ALL_ARMS)):
        directory = tmp_path / str(k)
        killed = subprocess.run(
            [sys.executable, "-c", KILLED.format(path=sys.path), str(directory), str(k)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        before = [tuple(line.split()) for line in killed.stdout.splitlines()]
        assert len(before) == k
        after = []
        run(plan(n=2), directory, on_episode=after.append)
        names = before + [(episode.task.id, episode.arm) for episode in after]
        assert len(names) == len(set(names)) == 2 * len(ALL_ARMS)
        assert digest(directory) == digest(tmp_path / "whole")


class Stopped(Exception):
    pass


def stop_at(predicate):
    def announce(episode):
        if predicate(episode):
            raise Stopped

    return announce


def breaking_once():
    """An agent whose provider is down the first time that each task's retry is asked for."""
    up = set()

    class Breaking(CoinFlipAgent):
        async def act(self, trajectory, *, draw, excluded=()):
            if draw.attempt and draw.task_id not in up:
                up.add(draw.task_id)
                raise ProviderError("503")
            return await super().act(trajectory, draw=draw, excluded=excluded)

    return lambda: Breaking(WEIGHTS, warned={"open": 5, "wait": 1})


def test_what_broke_keeps_its_turn_in_a_process_that_resumes(tmp_path):
    """The placebo takes what the broken rollback had paid for, and the rollback later what the placebo has paid for."""
    arms = [Arm.baseline(), Arm("rollback", POLICY), Arm("placebo", with_(Placebo())), Arm("append", with_(Append()))]
    result = run(plan(arms, agent=breaking_once()), tmp_path / "whole", concurrency=1)
    content = Journal(tmp_path / "whole").read()
    assert len(content.broken) > 2
    assert result.arm("placebo").new_agent_calls > 0
    agent = breaking_once()
    with pytest.raises(Stopped):
        run(
            plan(arms, agent=agent),
            tmp_path / "stopped",
            concurrency=1,
            on_episode=stop_at(lambda episode: episode.success is None),
        )
    assert len(Journal(tmp_path / "stopped").read().broken) == 1
    run(plan(arms, agent=agent), tmp_path / "stopped")
    assert digest(tmp_path / "stopped") == digest(tmp_path / "whole")


def test_a_process_that_resumes_tries_again_whatever_broke_before(tmp_path):
    arms = [Arm.baseline(), Arm("rollback", POLICY)]
    agent = breaking_once()
    with pytest.raises(Stopped):
        run(
            plan(arms, agent=agent),
            tmp_path / "j",
            concurrency=1,
            on_episode=stop_at(lambda episode: episode.success is None),
        )
    (broken,) = Journal(tmp_path / "j").read().broken
    result = run(plan(arms, agent=agent), tmp_path / "j", retries=0)
    assert broken in result.episodes
    assert broken not in result.missing
