"""An agent for pilot files: it does something else than answer, as its options say."""

import asyncio
import os

from faults.parts import RAISED
from forbear.testing import CoinFlipAgent


class Agent(CoinFlipAgent):
    def __init__(self, does, at):
        super().__init__({"open": 0.8, "wait": 0.12, "jump": 0.08})
        self._does, self._at = does, at

    async def act(self, trajectory, *, draw, excluded=()):
        if trajectory.task.id.endswith(self._at):
            await self._do()
        return await super().act(trajectory, draw=draw, excluded=excluded)

    async def _do(self):
        if self._does in RAISED:
            raise RAISED[self._does]()
        if self._does == "prints":
            print('{"verdict": "mine"}\x1b[2J')  # noqa: T201
        if self._does == "moves":
            os.chdir("/")
        if self._does == "ends the loop":

            async def end():
                raise SystemExit(0)

            await asyncio.create_task(end())
        if self._does == "cancels from afar":

            async def cancel():
                for task in asyncio.all_tasks():
                    task.cancel()

            await asyncio.create_task(cancel())


def agent(does, at="7</b>"):
    return Agent(does, at)
