"""Episodes as JSON lines, format `forbear-episode-1`.

An episode that shares a prefix with an earlier one names it in `from` and holds only its own steps; keys at their
default are left out.
"""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from forbear.errors import InvalidInput
from forbear.records.model import JSON, Action, Episode, Origin, Proposal, Step, Task, Termination, Usage

EPISODE_FORMAT = "forbear-episode-1"

EpisodeKey = tuple[str, int, str]
"""Task id, seed, arm: what names an episode, and the canonical order of a journal."""

_T = TypeVar("_T")

_COMPACT = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def episode_key(episode: Episode) -> EpisodeKey:
    """Returns what names an episode in its pilot."""
    return (episode.task.id, episode.seed, episode.arm)


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


def encode_episode(episode: Episode) -> str:
    """Returns the episode's line, without the line's end.

    Args:
        episode: Where it has an origin, the shared steps are left out and its task is named by id alone.
    """
    shared = 0
    if episode.origin is not None:
        shared = len(episode.steps) if episode.origin.step is None else episode.origin.step
    return _COMPACT.encode(
        {
            "format": EPISODE_FORMAT,
            "task": _task_json(episode.task) if episode.origin is None else episode.task.id,
            "arm": episode.arm,
            "seed": episode.seed,
            "from": episode.origin and {"arm": episode.origin.arm, "step": episode.origin.step},
            "steps": [_step_json(step) for step in episode.steps[shared:]],
            "termination": episode.termination.value,
            "success": episode.success,
            "final_observation": episode.final_observation,
            "usage": _usage_json(episode.usage),
            **({"cause": episode.cause} if episode.cause is not None else {}),
        }
    )


def decode_episode(line: str, *, where: str, parents: Mapping[EpisodeKey, Episode] | None = None) -> Episode:
    """Reads an episode back.

    Args:
        line: What `encode_episode` wrote; keys that this version does not know are ignored.
        where: Names the line in errors, e.g. "episodes.jsonl, line 3".
        parents: The episodes of earlier lines, for one that names where it came from.

    Raises:
        InvalidInput: Not JSON, another format, a missing key, a value of the wrong type, or an unknown parent.
    """
    record = read_record(line, where=where)
    if record.get("format") != EPISODE_FORMAT:
        raise InvalidInput(f"{where}: expected format {EPISODE_FORMAT!r}, got {record.get('format')!r:.60}.")
    return _episode(_Reader(record, where), parents or {})


def read_record(line: str, *, where: str) -> dict[str, JSON]:
    """Reads one line as a JSON object.

    Raises:
        InvalidInput: It is not one, or holds NaN or an infinity.
    """
    try:
        record = json.loads(line, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where}: not a line of JSON ({str(error)[:80]}).") from None
    if not isinstance(record, dict):
        raise InvalidInput(f"{where}: expected a JSON object, got {type(record).__name__}.")
    return record


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number


def _task_json(task: Task) -> dict[str, JSON]:
    record: dict[str, JSON] = {"id": task.id}
    if task.payload is not None:
        record["payload"] = task.payload
    if task.stratum is not None:
        record["stratum"] = task.stratum
    if task.cluster is not None:
        record["cluster"] = task.cluster
    return record


def _action_json(action: Action) -> JSON:
    if action.payload is None and action.tokens is None:
        return action.text
    record: dict[str, JSON] = {"text": action.text}
    if action.payload is not None:
        record["payload"] = action.payload
    if action.tokens is not None:
        record["tokens"] = action.tokens
    return record


def _proposal_json(proposal: Proposal) -> dict[str, JSON]:
    record: dict[str, JSON] = {"attempt": proposal.attempt, "action": _action_json(proposal.action)}
    if proposal.shown:
        record["shown"] = proposal.shown
    if proposal.excluded:
        record["excluded"] = [_action_json(action) for action in proposal.excluded]
    if proposal.p_fail:
        record["p_fail"] = dict(proposal.p_fail)
    if proposal.faults:
        record["faults"] = dict(proposal.faults)
    record["decision"] = proposal.decision
    return record


def _step_json(step: Step) -> dict[str, JSON]:
    record: dict[str, JSON] = {"index": step.index, "observation": step.observation}
    if step.messages:
        record["messages"] = step.messages
    if step.proposals:
        record["proposals"] = [_proposal_json(proposal) for proposal in step.proposals]
    record["executed"] = None if step.executed is None else _action_json(step.executed)
    if step.irreversible:
        record["irreversible"] = True
    return record


def _usage_json(usage: Usage) -> dict[str, JSON]:
    return {
        "agent_calls": usage.agent_calls,
        "new_agent_calls": usage.new_agent_calls,
        "critic_calls": usage.critic_calls,
        "new_critic_calls": usage.new_critic_calls,
        "tokens": usage.tokens,
        "seconds": usage.seconds,
    }


_Where: TypeAlias = "str | tuple[_Where, str, int | None]"
"""Where a value stands: its line, or what it is part of, by which key, as which item. Only errors spell it out."""


def _spelled(where: _Where) -> str:
    if isinstance(where, str):
        return where
    outer, key, number = where
    return f"{_spelled(outer)}, {key}" + ("" if number is None else f" {number}")


class _Reader:
    """A JSON object whose keys are read with their type checked; errors name the line and the key."""

    def __init__(self, record: JSON, where: _Where) -> None:
        if not isinstance(record, dict):
            raise InvalidInput(f"{_spelled(where)}: expected an object, got {type(record).__name__}.")
        self.record = record
        self.where = where

    def text(self, key: str) -> str:
        return self._get(key, str, "a text")

    def text_or_none(self, key: str) -> str | None:
        return None if self.record.get(key) is None else self.text(key)

    def count(self, key: str) -> int:
        value = self._get(key, int, "a whole number")
        if value < 0:
            raise self.wrong(key, "a number of at least 0")
        return value

    def count_or_none(self, key: str) -> int | None:
        return None if self.record.get(key) is None else self.count(key)

    def flag(self, key: str) -> bool:
        return self._get(key, bool, "true or false")

    def object(self, key: str) -> dict[str, JSON]:
        return self._get(key, dict, "an object")

    def items(self, key: str, read: Callable[[JSON, _Where], _T]) -> tuple[_T, ...]:
        if key not in self.record:
            return ()
        values: list[JSON] = self._get(key, list, "a list")
        return tuple([read(value, (self.where, key, number)) for number, value in enumerate(values)])

    def wrong(self, key: str, expected: str) -> InvalidInput:
        got = f"got {self.record[key]!r:.60}" if key in self.record else "it is missing"
        return InvalidInput(f"{_spelled(self.where)}: {key!r} must be {expected}, {got}.")

    def _get(self, key: str, kind: type[_T], expected: str) -> _T:
        value = self.record.get(key)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self.wrong(key, expected)
        return value


def _episode(reader: _Reader, parents: Mapping[EpisodeKey, Episode]) -> Episode:
    arm, seed = reader.text("arm"), reader._get("seed", int, "a whole number")
    steps = reader.items("steps", _step)
    try:
        termination = Termination(reader.text("termination"))
    except ValueError:
        raise reader.wrong("termination", f"one of {', '.join(Termination)}") from None
    success = None if reader.record.get("success") is None else reader.flag("success")
    if (success is None) is termination.has_outcome:
        raise reader.wrong("success", f"{'true or false' if termination.has_outcome else 'null'} after {termination}")
    origin = None
    if reader.record.get("from") is None:
        task = _task(reader.record.get("task"), (reader.where, "task", None))
    else:
        source = _Reader(reader.record["from"], (reader.where, "from", None))
        origin = Origin(arm=source.text("arm"), step=source.count_or_none("step"))
        parent = parents.get((reader.text("task"), seed, origin.arm))
        if parent is None or (origin.step or 0) > len(parent.steps):
            raise InvalidInput(
                f"{_spelled(reader.where)}: it continues step {origin.step} of arm {origin.arm!r:.60}, task "
                f"{reader.text('task')!r:.60}, seed {seed}, which no earlier line holds. The file is incomplete."
            )
        task, steps = parent.task, parent.steps[: origin.step] + steps
    return Episode(
        task=task,
        arm=arm,
        seed=seed,
        steps=steps,
        termination=termination,
        success=success,
        final_observation=reader.text_or_none("final_observation"),
        usage=_usage(_Reader(reader.object("usage"), (reader.where, "usage", None))),
        origin=origin,
        cause=reader.text_or_none("cause"),
    )


def _task(value: JSON, where: _Where) -> Task:
    reader = _Reader(value, where)
    return Task(
        id=reader.text("id"),
        payload=reader.record.get("payload"),
        stratum=reader.text_or_none("stratum"),
        cluster=reader.text_or_none("cluster"),
    )


def _action(value: JSON, where: _Where) -> Action:
    if isinstance(value, str):
        return Action(value)
    reader = _Reader(value, where)
    return Action(reader.text("text"), payload=reader.record.get("payload"), tokens=reader.count_or_none("tokens"))


def _proposal(value: JSON, where: _Where) -> Proposal:
    reader = _Reader(value, where)
    p_fail: dict[str, float | None] = {}
    for critic, score in (reader.object("p_fail") if "p_fail" in reader.record else {}).items():
        if score is not None and not (
            isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1
        ):
            raise reader.wrong("p_fail", "null or a number in [0, 1] for each critic")
        p_fail[critic] = None if score is None else float(score)
    faults = reader.object("faults") if "faults" in reader.record else {}
    if not all(isinstance(fault, str) for fault in faults.values()):
        raise reader.wrong("faults", "a text for each critic")
    return Proposal(
        attempt=reader.count("attempt"),
        action=_action(reader.record.get("action"), (where, "action", None)),
        shown=reader.count("shown") if "shown" in reader.record else 0,
        excluded=reader.items("excluded", _action),
        p_fail=p_fail,
        faults={critic: str(fault) for critic, fault in faults.items()},
        decision=reader.text("decision"),
    )


def _step(value: JSON, where: _Where) -> Step:
    reader = _Reader(value, where)
    executed = reader.record.get("executed")
    return Step(
        index=reader.count("index"),
        observation=reader.text("observation"),
        messages=reader.items("messages", _message),
        proposals=reader.items("proposals", _proposal),
        executed=None if executed is None else _action(executed, (where, "executed", None)),
        irreversible="irreversible" in reader.record and reader.flag("irreversible"),
    )


def _message(value: JSON, where: _Where) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{_spelled(where)}: expected a text, got {value!r:.60}.")
    return value


def _usage(reader: _Reader) -> Usage:
    seconds = reader.record.get("seconds", 0.0)
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= 1e15:
        raise reader.wrong("seconds", "a number from 0 to 1e15")
    return Usage(
        agent_calls=reader.count("agent_calls"),
        new_agent_calls=reader.count("new_agent_calls"),
        critic_calls=reader.count("critic_calls"),
        new_critic_calls=reader.count("new_critic_calls"),
        tokens=reader.count_or_none("tokens"),
        seconds=float(seconds),
    )
