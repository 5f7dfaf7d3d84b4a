"""Parts of pilots that can be sent to another process: what they remember of the outside world lies in files."""

import asyncio
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from forbear.errors import ProviderError
from forbear.interventions import Append
from forbear.records.model import Action, Usage
from forbear.testing import CoinFlipAgent, Corridor, RestorableCorridor, WordCritic
from runner.pilots import WEIGHTS


class Undoable(RestorableCorridor):
    """Has side effects, but can be put back: its arms can be forked only while states are in memory."""

    def __init__(self):
        super().__init__(doors=4, slip=0.2, replay_safe=False)


@dataclass(frozen=True)
class Dying:
    """Makes corridors in which one task ends the process, so many times: by `os._exit(3)`, or by SIGKILL."""

    marks: Path
    task: str
    times: int
    killed: bool = False

    def __call__(self):
        return _DyingCorridor(self)

    def end(self):
        deaths = self.marks.read_bytes() if self.marks.exists() else b""
        if len(deaths) < self.times:
            self.marks.write_bytes(deaths + b".")
            if self.killed:
                os.kill(os.getpid(), signal.SIGKILL)
            os._exit(3)


class _DyingCorridor(Corridor):
    def __init__(self, dying):
        super().__init__(doors=4, slip=0.2)
        self._dying, self._task = dying, ""

    async def reset(self, task, *, draw):
        self._task = task.id
        return await super().reset(task, draw=draw)

    async def step(self, action, *, draw):
        if (self._task, draw.step_index) == (self._dying.task, 1):
            self._dying.end()
        return await super().step(action, draw=draw)


class Faulty(CoinFlipAgent):
    """Raises what it was told to, at the second step of one task."""

    def __init__(self, error, task):
        super().__init__(WEIGHTS, warned={"open": 5, "wait": 1})
        self._error, self._task = error, task

    async def act(self, trajectory, *, draw, excluded=()):
        if (trajectory.task.id, draw.step_index) == (self._task, 1):
            raise self._error("the state\x1b is gone")
        return await super().act(trajectory, draw=draw, excluded=excluded)


class Talkative(CoinFlipAgent):
    """Prints what it does, itself and through a subprocess."""

    async def act(self, trajectory, *, draw, excluded=()):
        if draw.step_index == 0:
            print("I think")  # noqa: T201
            subprocess.run(["echo", "therefore"], check=True)  # noqa: ASYNC221
        return await super().act(trajectory, draw=draw, excluded=excluded)


class Speechless(CoinFlipAgent):
    """Answers with a text instead of an action."""

    async def act(self, trajectory, *, draw, excluded=()):
        return "open"


class Rogue(CoinFlipAgent):
    """Does to its process what it was told to, at the second step of one task."""

    def __init__(self, how, task):
        super().__init__(WEIGHTS, warned={"open": 5, "wait": 1})
        self._how, self._task = how, task

    async def act(self, trajectory, *, draw, excluded=()):
        if (trajectory.task.id, draw.step_index) == (self._task, 1):
            getattr(self, self._how)()
        return await super().act(trajectory, draw=draw, excluded=excluded)

    def exits(self):
        os._exit(0)

    def crashes(self):
        os.kill(os.getpid(), signal.SIGSEGV)

    def blocks(self):
        time.sleep(600)

    def eats(self):
        self.eaten = [bytes(1 << 20) + b"x" for _ in range(2000)]
        time.sleep(600)

    def cancels(self):
        for task in asyncio.all_tasks():
            task.cancel()

    def forks(self):
        if os.fork():
            os.wait()

    def leaves_a_child(self):
        if not os.fork():
            time.sleep(3)
            os._exit(0)
        os._exit(5)


class RogueCritic(WordCritic):
    """Does to its process what it was told to, at the second step of one task."""

    def __init__(self, how, task):
        super().__init__({"jump": 0.9})
        self._how, self._task = how, task

    async def score(self, trajectory, proposed, *, draw):
        if (trajectory.task.id, draw.step_index) == (self._task, 1):
            getattr(Rogue, self._how)(self)
        return await super().score(trajectory, proposed, draw=draw)


@dataclass(frozen=True)
class RogueIntervention(Append):
    """Does to its process what it was told to, in one task."""

    how: str = ""
    task: str = ""

    def apply(self, trajectory, proposed, *, score, draw):
        if trajectory.task.id == self.task:
            getattr(Rogue, self.how)(self)
        return super().apply(trajectory, proposed, score=score, draw=draw)


def _block():
    time.sleep(600)


class Blocking(Corridor):
    """Never comes back, in one task."""

    def __init__(self, task):
        super().__init__(doors=4, slip=0.2)
        self._task = task

    async def reset(self, task, *, draw):
        if task.id == self._task:
            _block()
        return await super().reset(task, draw=draw)


class Fickle(CoinFlipAgent):
    """Says another thing each time it is asked."""

    async def act(self, trajectory, *, draw, excluded=()):
        return Action(os.urandom(8).hex())


class Down(Corridor):
    """Is never there."""

    async def reset(self, task, *, draw):
        raise ProviderError("connection reset")


@dataclass(frozen=True)
class Waiting:
    """Makes corridors that say which process they are in, and wait there for ever from a number of tasks on."""

    pids: Path

    def __call__(self):
        return _WaitingCorridor(self.pids)


class _WaitingCorridor(Corridor):
    def __init__(self, pids):
        super().__init__(doors=4, slip=0.2)
        self._pids = pids

    async def reset(self, task, *, draw):
        (self._pids / str(os.getpid())).touch()
        await asyncio.Event().wait()


@dataclass(frozen=True)
class Correct:
    """A critic's correction: another action runs."""

    action: str = "open"
    message: str | None = None
    name = "correct"

    def apply(self, trajectory, proposed, *, score, draw):
        from forbear.contracts.intervention import Replace

        return Replace(Action(self.action, payload={"instead_of": proposed.text}), message=self.message)

    def config(self):
        return {"kind": self.name, "action": self.action, "message": self.message}


class Counted:
    """A factory that knows how often it was asked, in this process."""

    def __init__(self, make):
        self.make, self.asked = make, 0

    def __call__(self):
        self.asked += 1
        return self.make()

    def __reduce__(self):
        return Counted, (self.make,)


def spend(purse, times):
    """Charges a purse from a process of its own."""
    ledger = purse.ledger()
    for _ in range(times):
        ledger.add(Usage(calls=1))
