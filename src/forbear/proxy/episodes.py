"""Which episode a request belongs to: one that was asked for in a pilot, or one that the client names."""

import asyncio
import contextlib
import logging
import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from forbear.adapters.frameworks import Told, Watch
from forbear.adapters.frameworks.seam import Mode
from forbear.errors import ForbearError, InvalidInput, JournalUnwritable, ProviderError
from forbear.models.prices import Prices
from forbear.policy.policy import InterventionPolicy
from forbear.proxy.upstream import Answer
from forbear.records.codec import encode_record
from forbear.records.model import JSON, Episode, Task
from forbear.runner.ask_tell import NOTHING_TO_RUN, Assignment, HostPilot
from forbear.wording import described, shown

logger = logging.getLogger(__name__)

MOST_OPEN = 10_000
"""Episodes under way at a time, and ended ones whose end may be told again."""


class Ended(Exception):
    """A request names an episode that is not under way."""


@dataclass(slots=True, kw_only=True)
class Running:
    """An episode under way."""

    name: str
    """Printable ASCII."""
    watch: Watch
    assignment: Assignment | None = None
    # One call at a time: a watch judges one proposal after the other.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    told: dict[tuple[int, Told], Any] = field(default_factory=dict)
    """By what interventions told: the message before it."""
    last: tuple[bytes, Answer] | None = None
    """Digest of the last request that was answered, and its answer, for a client that asks it again."""
    calls: int = 0
    used: float = 0.0
    """When it was last asked about, on a clock that only goes on."""


class Episodes:
    """Those that a client names itself: a policy in use, or in shadow."""

    def __init__(
        self,
        policy: InterventionPolicy | None,
        *,
        mode: Mode,
        arm: str,
        prices: Prices,
        log: Path | None = None,
        idle_s: float = 3600.0,
    ) -> None:
        """Begins with none.

        Args:
            policy: What is applied.
            mode: How.
            arm: As records call it.
            prices: What models cost.
            log: Where ended episodes are written, a line each; None: nowhere.
            idle_s: After so many seconds without a call an episode has ended, its outcome unknown.
        """
        self._policy, self._mode, self._arm, self._prices = policy, mode, arm, prices
        self._log, self._idle_s = log, idle_s
        self._telling = asyncio.Lock()
        """What is told twice at a time is told once."""
        if log is not None:
            _cut_torn_line(log)
        self._open: OrderedDict[str, Running] = OrderedDict()
        """The one that was used the longest ago, first."""
        self._told: OrderedDict[str, tuple[bool | None, dict[str, JSON]]] = OrderedDict()

    def find(self, headers: Mapping[str, str], path_name: str | None) -> Running:
        """The episode that a request names; the first one begins it.

        Raises:
            InvalidInput: It names none.
            Ended: There are too many.
        """
        task, seed = unquote(headers.get("x-forbear-task", "")) or path_name, headers.get("x-forbear-seed", "0")
        if not task:
            raise InvalidInput(
                "which episode is it? Name its task by the header X-Forbear-Task (and X-Forbear-Seed), or in the base "
                "URL: /episode/TASK/v1."
            )
        if not (seed.isascii() and seed.isdecimal() and len(seed) < 16):
            raise InvalidInput(f"X-Forbear-Seed must be a whole number, got '{shown(seed)}'.")
        name, now = _name(task, int(seed)), time.monotonic()
        while self._open and next(iter(self._open.values())).used < now - self._idle_s:
            self._give_up(next(iter(self._open)), f"no call within {self._idle_s:g} s, and no outcome was told")
        if name not in self._open:
            if len(self._open) >= MOST_OPEN:
                raise Ended(f"{MOST_OPEN:,} episodes are under way: tell how they ended (POST /forbear/tell).")
            watch = Watch(
                Task(id=task), seed=int(seed), arm=self._arm, policy=self._policy, prices=self._prices, mode=self._mode
            )
            self._open[name] = Running(name=name, watch=watch)
            self._told.pop(name, None)
        running = self._open[name]
        running.used = now
        self._open.move_to_end(name)
        return running

    async def ask(self) -> dict[str, JSON]:
        """What to run next.

        Raises:
            InvalidInput: There is no pilot.
        """
        raise InvalidInput("this proxy runs no pilot: name your episodes yourself.")

    def named(self, body: Mapping[str, Any]) -> str:
        """The name of the episode that is told of.

        Raises:
            InvalidInput: There is none.
        """
        task, seed = body.get("task"), body.get("seed", 0)
        if not isinstance(task, str) or type(seed) is not int:
            raise InvalidInput(f'say of which "task" (a text) and "seed" (a whole number), got {described(task)}.')
        return _name(task, seed)

    async def tell(self, name: str, success: bool | None, *, reason: str, final: bool) -> dict[str, JSON]:
        """Ends an episode; the same told again changes nothing.

        Raises:
            Ended: There is none of that name.
            InvalidInput: Something else was told of it before.
            JournalUnwritable: It could not be written down.
        """
        async with self._telling:
            if (before := self._told_before(name, success)) is not None:
                return before
            return await self._tell(name, success, reason=reason, final=final)

    async def _tell(self, name: str, success: bool | None, *, reason: str, final: bool) -> dict[str, JSON]:
        running = self._running(name)
        episode = running.watch.episode(success, reason=reason)
        self._write(episode)
        return self._note(running, success, episode, {"told": "written" if self._log else "not kept"})

    def status(self) -> dict[str, JSON]:
        """How far it is."""
        return {"open": len(self._open)}

    def close(self) -> None:
        """Ends what is under way, its outcome unknown."""
        for name in list(self._open):
            self._give_up(name, "the proxy was stopped")

    def _running(self, name: str) -> Running:
        if name not in self._open:
            raise Ended(f"episode '{shown(name)}' is not under way: it has ended, or the proxy was started anew.")
        return self._open[name]

    def _told_before(self, name: str, success: bool | None) -> dict[str, JSON] | None:
        if name not in self._told:
            return None
        before, said = self._told[name]
        if before is not success:
            raise InvalidInput("something else was told of this episode before; what was told first counts.")
        return said

    def _note(self, running: Running, success: bool | None, episode: Episode, said: dict[str, JSON]) -> dict[str, JSON]:
        """Ends it, and says what dropped proposals took and how many retries proposed the same again."""
        self._open.pop(running.name, None)
        dropped = running.watch.dropped
        said |= {
            "success": episode.success,
            "cause": episode.cause,
            "dropped": dropped.calls,
            "dropped_tokens": dropped.tokens if dropped.calls else 0,
        }
        said |= {"dropped_cost": dropped.cost, "rollback_noops": episode.rollback_noops}
        self._told[running.name] = (success, said)
        if len(self._told) > MOST_OPEN:
            self._told.popitem(last=False)
        return said

    def _give_up(self, name: str, reason: str) -> None:
        try:
            self._write(self._open.pop(name).watch.episode(None, reason=reason))
        except ForbearError as error:  # agents in use go on without a log
            logger.warning("an episode could not be written: %s", error)

    def _write(self, episode: Episode) -> None:
        if self._log is None:
            return
        try:
            with self._log.open("ab") as file:
                before = file.tell()
                try:
                    file.write(encode_record(episode) + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    with contextlib.suppress(OSError):
                        os.truncate(self._log, before)
                    raise
        except OSError as error:
            raise JournalUnwritable(f"{shown(str(self._log), limit=200)}: {error.strerror}.") from None


class PilotEpisodes(Episodes):
    """Those of a pilot: only what was asked for is run, so that no client chooses what is run in which arm."""

    def __init__(self, pilot: HostPilot, policies: Mapping[str, InterventionPolicy], *, prices: Prices) -> None:
        """Opens it; what an earlier proxy had given out is lost, for nobody knows what its agents were told.

        Args:
            pilot: Open, and ours.
            policies: By arm; the others are left alone.
            prices: What models cost.
        """
        super().__init__(None, mode="pilot", arm="", prices=prices)
        self._pilot, self._policies = pilot, policies
        for lost in pilot.outstanding:
            try:
                pilot.tell(lost.key, None, reason="the proxy was stopped")
            except ProviderError:
                continue  # so many at once look like an outage; what was told is kept

    def find(self, headers: Mapping[str, str], path_name: str | None) -> Running:
        """The episode that a request names; see `Episodes.find`."""
        name = headers.get("x-forbear-episode") or path_name
        if not name:
            raise InvalidInput(
                "which episode is it? Ask for one (POST /forbear/ask), then use the base_url or the header "
                "X-Forbear-Episode that it gives. Task and arm are not the client's to choose."
            )
        return self._running(name)

    async def ask(self) -> dict[str, JSON]:
        """What to run next, as `forbear pilot ask --json` says it, with the name of the episode."""
        given = await asyncio.to_thread(self._pilot.ask)
        said: dict[str, JSON] = {"format": "forbear-ask-1", **await asyncio.to_thread(self.status)}
        if given is None:
            return {**said, **NOTHING_TO_RUN, "episode": None}
        for other in list(self._open.values()):  # its lease has ended, and it is given out anew
            if other.assignment is not None and other.assignment.key == given.key:
                del self._open[other.name]
        name = secrets.token_urlsafe(12)
        watch = Watch.of(given, policy=self._policies.get(given.runs_as), prices=self._prices)
        self._open[name] = Running(name=name, watch=watch, assignment=given)
        return {**said, **given.to_dict(), "episode": name}

    def named(self, body: Mapping[str, Any]) -> str:
        """The name of the episode that is told of; see `Episodes.named`."""
        name = body.get("episode")
        if not isinstance(name, str):
            raise InvalidInput(f'say of which "episode", by the name that ask gave, got {described(name)}.')
        return name

    async def _tell(self, name: str, success: bool | None, *, reason: str, final: bool) -> dict[str, JSON]:
        """Ends an episode; see `Episodes.tell`.

        Raises:
            ProviderError: So many in a row had no outcome that the world outside seems to be down; it is kept.
        """
        running = self._running(name)
        assert running.assignment is not None, "every episode of a pilot was asked for"
        if success and not running.calls:
            raise InvalidInput(
                "no call of this episode came through the proxy: does the agent use the base_url that was given? "
                "What passes it by is under no arm."
            )
        episode = running.watch.episode(success, reason=reason)
        is_final = final and episode.success is None
        said: dict[str, JSON] = {"format": "forbear-tell-1", "told": "tried again"}
        try:
            said["told"] = await asyncio.to_thread(self._pilot.tell, running.assignment, episode, final=is_final)
        except ProviderError:
            self._note(running, success, episode, said)
            raise
        return self._note(running, success, episode, said | await asyncio.to_thread(self.status))

    def status(self) -> dict[str, JSON]:
        """How far it is."""
        pilot = self._pilot
        return {
            "over": pilot.over,
            "tasks": pilot.tasks,
            "planned_tasks": len(pilot.record.tasks),
            "outstanding": len(pilot.outstanding),
        }

    def close(self) -> None:
        """Lets go of the journal; what is under way is asked for again."""
        self._pilot.close()


def _cut_torn_line(log: Path) -> None:
    """Takes away what a kill, or a full disk, left of a line: the next one would be added to it."""
    if not log.is_file():
        return
    with log.open("r+b") as file:
        end = kept = file.seek(0, os.SEEK_END)
        while kept:
            begin = max(0, kept - (1 << 20))
            file.seek(begin)
            newline = file.read(kept - begin).rfind(b"\n")
            if newline >= 0:
                kept = begin + newline + 1
                break
            kept = begin
        if kept < end:
            file.truncate(kept)


def _name(task: str, seed: int) -> str:
    """Of a task's run, as a header can hold it."""
    return quote(task, safe="", errors="replace") + (f"?seed={seed}" if seed else "")
