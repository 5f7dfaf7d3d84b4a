"""Parts of a small pilot that do something else than answer at the n-th call of one of them. They can be pickled."""

import asyncio
import errno
import math
from dataclasses import dataclass, field

from forbear.contracts.critic import Score
from forbear.contracts.environment import Observation
from forbear.contracts.intervention import Replace, Retry
from forbear.errors import AgentError, InvalidInput, NotReproducible, ProviderError
from forbear.interventions import Append, Rollback
from forbear.records.model import Action, Usage
from forbear.testing import CoinFlipAgent, Corridor, RestorableCorridor, WordCritic


class Hostile(Exception):
    """An error that does not want to be told of."""

    def __str__(self):
        raise SystemExit(0)

    __repr__ = __str__


class Unreadable:
    """An answer whose every method raises."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __repr__(self):
        raise RuntimeError("repr")

    def __bool__(self):
        raise RuntimeError("bool")


class OwnBase(BaseException):
    """Not even an Exception."""


RAISED = {
    "RuntimeError": lambda: RuntimeError("CUDA out of memory"),
    "KeyError": lambda: KeyError("state"),
    "TypeError": lambda: TypeError("no"),
    "AssertionError": lambda: AssertionError(),
    "StopIteration": lambda: StopIteration(1),
    "StopAsyncIteration": lambda: StopAsyncIteration(),
    "GeneratorExit": lambda: GeneratorExit(),
    "SystemExit0": lambda: SystemExit(0),
    "SystemExitText": lambda: SystemExit("bye"),
    "KeyboardInterrupt": lambda: KeyboardInterrupt(),
    "CancelledError": lambda: asyncio.CancelledError(),
    "TimeoutError": lambda: TimeoutError("socket"),
    "MemoryError": lambda: MemoryError(),
    "RecursionError": lambda: RecursionError("maximum recursion depth exceeded"),
    "ENOSPC": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "EPIPE": lambda: BrokenPipeError(errno.EPIPE, "Broken pipe"),
    "EOFError": lambda: EOFError(),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    "ExceptionGroup": lambda: ExceptionGroup("several", [ValueError(1), KeyError(2)]),
    "BaseExceptionGroup": lambda: BaseExceptionGroup("several", [SystemExit(1)]),
    "OwnBase": lambda: OwnBase("own"),
    "Hostile": Hostile,
    "huge": lambda: ValueError("x" * 10**6),
    "escapes": lambda: ValueError("\x1b[2J\r\n\u202e\ud800"),
    "ProviderError": lambda: ProviderError("503"),
    "AgentError": lambda: AgentError("lost my plan"),
    "InvalidInput": lambda: InvalidInput("no"),
    "NotReproducible": lambda: NotReproducible("no"),
}
"""What a part may raise."""

ANSWERS = {
    "None": lambda: None,
    "number": lambda: 5,
    "text": lambda: "open",
    "bytes": lambda: b"open",
    "nan": lambda: math.nan,
    "class": lambda: Action,
    "unreadable": Unreadable,
}
"""What nobody may answer (a critic may abstain)."""

OF = {
    "agent.act": {
        "Action(None)": lambda: Action(None),
        "Action(5)": lambda: Action(5),
        "Action(huge)": lambda: Action("x" * (2 << 20)),
        "payload": lambda: Action("open", payload={"a": {1, 2}}),
        "nan in payload": lambda: Action("open", payload=[math.nan]),
        "tokens": lambda: Action("open", usage=Usage(output_tokens=-1)),
    },
    "world.step": {
        "text": lambda: Observation(text=None),
        "done": lambda: Observation(text="over", done="yes"),
        "no success": lambda: Observation(text="over", done=True),
        "huge": lambda: Observation(text="x" * (2 << 20)),
        "payload": lambda: Observation(text="on", payload={1: 2}),
    },
    "critic.score": {
        "beyond": lambda: Score(1.5),
        "flag": lambda: True,
        "why": lambda: Score(0.9, 7),
        "usage": lambda: Score(0.9, None, 7),
    },
    "intervention.apply": {
        "undo": lambda: Retry(undo=-1),
        "action": lambda: Replace("open"),
        "message": lambda: Retry(message=7),
    },
}
OF["world.reset"] = OF["world.step"]

WAITS = ("hangs", "swallows", "answers late")
"""What a part that is awaited may do instead of answering in time."""

CANCELS = ("cancels itself", "cancels all")
"""What a part may do to the task that it is called in, or to all that it finds, before it answers."""

AWAITED = ("agent.act", "world.reset", "world.step", "critic.score")
AT_ONCE = (
    "agent.factory",
    "agent.snapshot",
    "agent.restore",
    "world.factory",
    "world.snapshot",
    "world.restore",
    "intervention.apply",
)


def faults_of(point):
    """The names of what may happen at a point."""
    if point in ("agent.snapshot", "agent.restore", "world.snapshot", "world.restore"):
        return [*RAISED, *CANCELS]  # a state is opaque: any answer is one
    answers = [name for name in ANSWERS if (point, name) != ("critic.score", "None")]
    waits = (*WAITS, *(f"{cancels} and waits" for cancels in CANCELS)) if point in AWAITED else ()
    return [*RAISED, *answers, *OF.get(point, ()), *CANCELS, *waits]


@dataclass
class Injector:
    """Counts the calls at each point, in this process, and says when something is to happen."""

    point: str = ""
    fault: str = ""
    nth: int = 0
    calls: dict[str, int] = field(default_factory=dict)

    def due(self, point):
        self.calls[point] = count = self.calls.get(point, 0) + 1
        return (point, count) == (self.point, self.nth)

    def at_once(self, point, answer):
        """Answers, or does not."""
        if not self.due(point):
            return answer()
        if self.fault in CANCELS:
            self._cancel()
            return answer()
        return self._now()

    def _cancel(self):
        for task in asyncio.all_tasks() if self.fault.startswith("cancels all") else [asyncio.current_task()]:
            task.cancel()

    async def awaited(self, point, answer):
        if not self.due(point):
            return await answer()
        if self.fault == "hangs":
            await asyncio.Event().wait()
        if self.fault == "swallows":
            for _ in range(3):
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    continue
        if self.fault == "answers late":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return await answer()
        if self.fault.startswith(CANCELS):
            self._cancel()
            if self.fault.endswith("waits"):
                await asyncio.sleep(0)
            return await answer()
        return self._now()

    def _now(self):
        if self.fault in RAISED:
            raise RAISED[self.fault]()
        return (OF.get(self.point, {}) | ANSWERS).get(self.fault)()

    def __reduce__(self):
        return Injector, (self.point, self.fault, self.nth)


WEIGHTS = {"open": 3, "wait": 2, "jump": 1}


class Agent(CoinFlipAgent):
    def __init__(self, injector):
        super().__init__(WEIGHTS, warned={"open": 5, "wait": 1})
        self.injector = injector

    async def act(self, trajectory, *, draw, excluded=()):
        return await self.injector.awaited("agent.act", lambda: self.say(trajectory, draw=draw, excluded=excluded))

    async def say(self, trajectory, *, draw, excluded):
        return await super().act(trajectory, draw=draw, excluded=excluded)


class Remembering(Agent):
    """With a memory: the number of its proposals, which it acts on by waiting every fourth time."""

    def __init__(self, injector):
        super().__init__(injector)
        self.count = 0

    async def act(self, trajectory, *, draw, excluded=()):
        self.count += 1
        return await super().act(trajectory, draw=draw, excluded=excluded)

    async def say(self, trajectory, *, draw, excluded):
        said = await super().say(trajectory, draw=draw, excluded=excluded)
        return Action("wait") if self.count % 4 == 0 and said.text == "open" else said

    def snapshot(self):
        return self.injector.at_once("agent.snapshot", lambda: self.count)

    def restore(self, snapshot):
        def back():
            self.count = 0 if snapshot is None else snapshot

        self.injector.at_once("agent.restore", back)


class _Breaking:
    """Put before a world."""

    def __init__(self, injector):
        super().__init__(doors=3, slip=0.2)
        self.injector = injector

    async def reset(self, task, *, draw):
        seen = super()
        return await self.injector.awaited("world.reset", lambda: seen.reset(task, draw=draw))

    async def step(self, action, *, draw):
        seen = super()
        return await self.injector.awaited("world.step", lambda: seen.step(action, draw=draw))


class World(_Breaking, Corridor):
    """Can be replayed."""


class RestorableWorld(_Breaking, RestorableCorridor):
    """Can be put back."""

    def snapshot(self):
        return self.injector.at_once("world.snapshot", super().snapshot)

    def restore(self, snapshot):
        back = super()
        self.injector.at_once("world.restore", lambda: back.restore(snapshot))


@dataclass(frozen=True)
class Make:
    """A factory that may break too; not the first time, when it is asked for the config."""

    point: str
    kind: type
    injector: Injector
    made: list[int] = field(default_factory=lambda: [0])

    def __call__(self):
        self.made[0] += 1
        if self.made[0] == 1:
            return self.kind(self.injector)
        return self.injector.at_once(self.point, lambda: self.kind(self.injector))

    def __reduce__(self):
        return Make, (self.point, self.kind, self.injector, self.made)


class Critic(WordCritic):
    def __init__(self, injector):
        super().__init__({"jump": 0.9}, otherwise=0.2)
        self.injector = injector

    async def score(self, trajectory, proposed, *, draw):
        said = super()
        return await self.injector.awaited("critic.score", lambda: said.score(trajectory, proposed, draw=draw))


@dataclass(frozen=True)
class Injected:
    """An intervention of ours that may break."""

    inner: Rollback | Append
    injector: Injector

    @property
    def name(self):
        return self.inner.name

    @property
    def undoes_steps(self):
        return self.inner.undoes_steps

    def apply(self, trajectory, proposed, *, score, draw):
        return self.injector.at_once(
            "intervention.apply", lambda: self.inner.apply(trajectory, proposed, score=score, draw=draw)
        )

    def config(self):
        return self.inner.config()
