"""A journal's lines as JSON: `forbear-episode-2`, `forbear-missing-1`, `forbear-end-1`, `forbear-assignment-1`.

The types of `records.model` are the schema; msgspec writes and reads them, and its errors keep the path of what does
not fit. An episode that shares a prefix with an earlier one names it in `from` and holds only its own steps; keys at
their default are left out.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from forbear.errors import InvalidInput
from forbear.records.model import (
    JSON,
    Action,
    Amount,
    Count,
    Episode,
    EpisodeUsage,
    Origin,
    RoleUsage,
    Step,
    Task,
    Termination,
    Usage,
)
from forbear.wording import shown

EPISODE_FORMAT = "forbear-episode-2"

EpisodeKey = tuple[str, int, str]
"""Task id, seed, arm: what names an episode, and the canonical order of a journal."""


class Missing(
    Struct, frozen=True, kw_only=True, tag="forbear-missing-1", tag_field="format", rename={"task_id": "task"}
):
    """An episode that will have no outcome, and why; its pair is counted as missing, never as a failure."""

    task_id: str
    seed: int
    arm: str
    reason: str

    @property
    def key(self) -> EpisodeKey:
        """What names the episode."""
        return (self.task_id, self.seed, self.arm)


class ArmEnd(Struct, frozen=True, kw_only=True, tag="forbear-end-1", tag_field="format"):
    """An arm is over before its last task: final, so that it is written down when it is found."""

    arm: str
    tasks: Count
    """The first ones of the planned order are its evidence; what it ran beyond is kept and not used."""
    reason: str
    """`watch`, `decided`, `futile`, `last look`, or `with the others`."""


class HandedOut(
    Struct, frozen=True, kw_only=True, tag="forbear-assignment-1", tag_field="format", rename={"task_id": "task"}
):
    """An episode that a host was given to run; written down so that no two processes give out the same."""

    task_id: str
    seed: int
    arm: str
    until: Amount
    """Unix time, in seconds, from which on it is given out again where nobody has told what came of it."""

    @property
    def key(self) -> EpisodeKey:
        """What names the episode."""
        return (self.task_id, self.seed, self.arm)


Record: TypeAlias = Episode | Missing | ArmEnd | HandedOut
"""What a line holds."""


class _EpisodeLine(
    Struct, kw_only=True, omit_defaults=True, tag=EPISODE_FORMAT, tag_field="format", rename={"origin": "from"}
):
    """An episode as it is written."""

    task: str | Task
    """Named by its id alone where there is an origin, which has the task."""
    arm: str
    seed: int
    origin: Origin | None = None
    steps: tuple[Step, ...] = ()
    termination: Termination
    success: bool | None
    final_observation: str | None = None
    final_payload: Any = None
    usage: EpisodeUsage = EpisodeUsage()
    cause: str | None = None


class _ActionObject(Struct, omit_defaults=True):
    """An action that is more than its text."""

    text: str
    payload: Any = None
    rationale: str | None = None
    logprobs: tuple[float, ...] | None = None
    usage: Usage | None = None


class _Format(Struct):
    format: Any = None


def _write_action(value: object) -> object:
    if not isinstance(value, Action):
        raise TypeError(f"{type(value).__name__} is not JSON")
    return value.text if value.is_plain else _ActionObject(value.text, **value.extras())


@functools.lru_cache(maxsize=4096)
def _plain_action(text: str) -> Action:
    return Action(text)  # one object for all of its occurrences: a journal says "look" a thousand times


def _read_action(kind: type, value: object) -> Action:
    assert kind is Action, "the only type of the records that msgspec does not know"
    if isinstance(value, str):
        return _plain_action(value)
    try:
        read = msgspec.convert(value, _ActionObject)
    except msgspec.ValidationError as error:  # as a plain error it gets the path of the action put before it
        raise ValueError(f"an action: {error}") from None
    return Action(read.text, payload=read.payload, rationale=read.rationale, logprobs=read.logprobs, usage=read.usage)


_ENCODER = msgspec.json.Encoder(enc_hook=_write_action, order="deterministic")
_DECODER: msgspec.json.Decoder[_EpisodeLine | Missing | ArmEnd | HandedOut] = msgspec.json.Decoder(
    _EpisodeLine | Missing | ArmEnd | HandedOut, dec_hook=_read_action
)


def episode_key(episode: Episode) -> EpisodeKey:
    """Returns what names an episode in its pilot."""
    return (episode.task.id, episode.seed, episode.arm)


def origin_key(task_id: str, seed: int, origin: Origin) -> EpisodeKey:
    """Returns what names the episode that one of this task and seed continues."""
    return (task_id, seed if origin.seed is None else origin.seed, origin.arm)


def canonical_json(value: JSON) -> str:
    """Returns the one text of a JSON value: sorted keys, no spaces, ASCII; what digests are taken of.

    Raises:
        InvalidInput: The value holds something that JSON cannot.
    """
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"expected only JSON values (finite numbers, texts, lists, objects): {error}.") from None


def config_digest(config: JSON) -> str:
    """Returns the sha256, in hexadecimal, of a config's canonical JSON."""
    return hashlib.sha256(canonical_json(config).encode("ascii")).hexdigest()


def encode_record(record: Record) -> bytes:
    """Returns the record's line in UTF-8, without the line's end; the same record always gives the same bytes.

    Args:
        record: Where an episode has an origin, the shared steps are left out and its task is named by id alone.

    Raises:
        InvalidInput: It holds what JSON cannot: an object that is none, a lone surrogate, or too many levels.
    """
    line = _line_of(record) if isinstance(record, Episode) else record
    try:
        return _ENCODER.encode(line)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"a record cannot be written as JSON: {shown(str(error), limit=150)}.") from None


def _line_of(record: Episode) -> _EpisodeLine:
    origin, shared = record.origin, 0
    if origin is not None:
        shared = len(record.steps) if origin.step is None else origin.step
        if shared > len(record.steps):
            raise InvalidInput(f"an episode of {len(record.steps)} steps cannot share {shared} with another.")
    return _EpisodeLine(
        task=record.task if origin is None else record.task.id,
        arm=record.arm,
        seed=record.seed,
        origin=origin,
        steps=record.steps[shared:],
        termination=record.termination,
        success=record.success,
        final_observation=record.final_observation,
        final_payload=record.final_payload,
        usage=_compact(record.usage),
        cause=record.cause,
    )


def _compact(usage: EpisodeUsage) -> EpisodeUsage:
    """The same usage, with the very defaults where it equals them: only those are left out of a line."""
    roles: dict[str, RoleUsage] = {}
    for name in ("agent", "critic", "feedback"):
        role = getattr(usage, name)
        parts = {part: value for part in ("paid", "reused") if (value := getattr(role, part)) != _NO_USAGE}
        if parts:
            roles[name] = RoleUsage(**parts)
    return EpisodeUsage(**roles, seconds=usage.seconds)


_NO_USAGE = Usage()


def decode_record(line: bytes | str, *, where: str, parents: Mapping[EpisodeKey, Episode] | None = None) -> Record:
    """Reads a record back.

    Args:
        line: What `encode_record` wrote; keys that this version does not know are ignored.
        where: Names the line in errors, e.g. "episodes.jsonl, line 3".
        parents: The episodes of earlier lines, for one that names where it came from.

    Raises:
        InvalidInput: Not JSON, another format, a value that does not fit (its path is named), or an unknown parent.
    """
    return parse_line(line, where=where).record(parents or {}, where=where)


@dataclass(frozen=True, slots=True)
class ParsedLine:
    """What a line says, before it is put together with the episode that it continues."""

    _read: _EpisodeLine | Missing | ArmEnd | HandedOut

    @property
    def parent(self) -> EpisodeKey | None:
        """The episode that it continues."""
        line = self._read
        if not isinstance(line, _EpisodeLine) or line.origin is None:
            return None
        return origin_key(line.task if isinstance(line.task, str) else line.task.id, line.seed, line.origin)

    def record(self, parents: Mapping[EpisodeKey, Episode], *, where: str) -> Record:
        """The record.

        Raises:
            InvalidInput: The parent is unknown or too short, or outcome and termination contradict each other.
        """
        line = self._read
        return _episode(line, where=where, parents=parents) if isinstance(line, _EpisodeLine) else line


def parse_line(line: bytes | str, *, where: str) -> ParsedLine:
    """Reads a line without the episode that it continues.

    Raises:
        InvalidInput: Not JSON, another format, or a value that does not fit (its path is named).
    """
    try:
        return ParsedLine(_DECODER.decode(line))
    except (ValueError, RecursionError) as error:  # all errors of msgspec are ValueErrors
        raise _unreadable(line, error, where=where) from None


def _unreadable(line: bytes | str, error: Exception, *, where: str) -> InvalidInput:
    """Says what is wrong with a line."""
    try:
        kind = msgspec.json.decode(line, type=_Format).format
    except (ValueError, RecursionError) as broken:
        return InvalidInput(f"{where}: not a line of JSON, or no object ({shown(str(broken), limit=120)}).")
    if isinstance(kind, str) and kind in _EARLIER:
        return InvalidInput(
            f"{where}: written by an earlier version of forbear ({kind}), which this one does not read. Decide "
            "with the version that wrote it, or start the pilot afresh in another directory."
        )
    if kind not in (EPISODE_FORMAT, "forbear-missing-1", "forbear-end-1", "forbear-assignment-1"):
        return unknown_format(kind, where=where)
    return InvalidInput(f"{where}: {shown(str(error), limit=200)}.")


_EARLIER = ("forbear-episode-1", "forbear-exclusion-1", "forbear-stop-1")


def unknown_format(kind: object, *, where: str) -> InvalidInput:
    """The error for a format that a later version may know."""
    return InvalidInput(
        f"{where}: this version of forbear does not know the format {shown(repr(kind))}. Read it with the version that "
        "wrote it, or a newer one."
    )


def _episode(line: _EpisodeLine, *, where: str, parents: Mapping[EpisodeKey, Episode]) -> Episode:
    task, steps, origin = line.task, line.steps, line.origin
    if origin is not None:
        name = task if isinstance(task, str) else task.id
        key = origin_key(name, line.seed, origin)
        parent = parents.get(key)
        if parent is None or (origin.step or 0) > len(parent.steps):
            raise InvalidInput(
                f"{where}: it continues step {origin.step} of arm {shown(repr(origin.arm))}, task {shown(repr(name))}, "
                f"seed {key[1]}, which no earlier line holds."
            )
        task, steps = parent.task, parent.steps[: origin.step] + steps
    elif isinstance(task, str):
        raise InvalidInput(f"{where}: an episode that continues no other has its task as an object, got a text.")
    try:
        return Episode(
            task=task,
            arm=line.arm,
            seed=line.seed,
            steps=steps,
            termination=line.termination,
            success=line.success,
            final_observation=line.final_observation,
            final_payload=line.final_payload,
            usage=line.usage,
            origin=origin,
            cause=line.cause,
        )
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None
