"""Runs that an earlier pilot paid for, which a coupled pilot takes instead of making them again.

A run is a function of its history and its draws, and a draw of task, seed, role, step and attempt. So what an earlier
pilot of the same agent in the same world found for a task under a seed is, call for call, what a fresh pilot would find
there. What makes that true is asked for here; the first forks of the pilot have a fresh agent repeat what is taken.
"""

import hashlib
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from forbear.analysis.plan_record import ArmRecord, BaselineRecord, EarlierRecord, PlanRecord
from forbear.errors import InvalidInput
from forbear.models.store import NAME
from forbear.records.codec import config_digest
from forbear.records.journal import Journal
from forbear.records.model import JSON, Episode
from forbear.wording import listed, shown

_ALIKE = ("agent", "environment", "max_steps", "call_deadline_s")
"""What both pilots have to say alike, for a run of the one to be a run of the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRuns:
    """What a journal holds that another pilot may take."""

    plan: PlanRecord
    episodes: Mapping[tuple[str, int], tuple[Episode, ...]]
    """By task id and seed: those with an outcome, in the order in which they were written."""
    source: str
    """What the journal is called, for people."""
    digest: str
    """The sha256 of its lines."""
    responses: Path | None = None
    """What language models answered, where that is kept beside it."""


def read_earlier(source: str | os.PathLike[str], *, name: str | None = None) -> EarlierRuns:
    """Reads a journal whose runs of the agent another pilot takes: `PilotPlan(earlier=[...])`.

    Args:
        source: Its directory.
        name: What it is called in the plan; omitted: the name of the directory.

    Raises:
        InvalidInput: No journal there, or one that is damaged or was changed.
    """
    journal, label = Journal(source), Path(source).name if name is None else name
    content = journal.read()
    rows = {
        key: ended
        for key, row in content.rows.items()
        if (ended := tuple(episode for episode in row if episode.success is not None))
    }
    digest = hashlib.sha256()
    for _, line in journal.lines():
        digest.update(line if line.endswith(b"\n") else b"")
    return EarlierRuns(
        plan=PlanRecord.of(content.plan, where=shown(label, limit=150)),
        episodes=rows,
        source=label,
        digest=digest.hexdigest(),
        responses=kept if (kept := journal.directory.absolute() / NAME).is_file() else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a plan takes from earlier pilots."""

    records: tuple[EarlierRecord, ...] = ()
    """As its record says it, one a journal."""
    rows: Mapping[tuple[str, int], tuple[Episode, ...]] = field(default_factory=dict)
    """By task id and seed of draws."""
    reviewers: frozenset[str] = frozenset()
    """The critics, by name in records, whose scores are taken: those with one config in all of the plans."""


def taken(
    earlier: Sequence[EarlierRuns],
    *,
    baseline: Mapping[str, JSON],
    arms: Mapping[str, ArmRecord],
    critics: Mapping[str, Mapping[str, JSON]],
) -> Taken:
    """Settles what a coupled plan takes from earlier journals.

    Args:
        earlier: As the plan names them.
        baseline: The plan's own part, as `PlanRecord.make` takes it.
        arms: Its arms.
        critics: Its critics' configs, by name in records.

    Raises:
        InvalidInput: A journal of another agent, world, task or design, one without a run that can be taken, two that
            contradict each other, or one that has tried an arm of this plan on its tasks.
    """
    now = msgspec.convert({"digest": "", **baseline}, BaselineRecord)
    records, rows = list[EarlierRecord](), dict[tuple[str, int], tuple[Episode, ...]]()
    for one in earlier:
        _require_alike(one, now)
        usable = _usable(one, now)
        _require_agreement(one, usable, rows)
        records.append(_record(one, usable, arms))
        for key, episodes in usable.items():
            rows[key] = (*rows.get(key, ()), *episodes)
    agreed = {
        name
        for name, config in critics.items()
        if all(config_digest(one.plan.critics.get(name, config)) == config_digest(config) for one in earlier)
    }
    return Taken(records=tuple(records), rows=rows, reviewers=frozenset(agreed))


def _require_alike(one: EarlierRuns, now: BaselineRecord) -> None:
    """Refuses runs of which nobody can say that the pilot would make them alike."""
    name, before = shown(one.source, limit=150), one.plan.baseline
    if before.design != "coupled":
        raise InvalidInput(
            f"{name}: its arms were run apart (design {before.design!r}), so that nobody has seen its agent repeat "
            "itself under the same draws. A coupled pilot takes runs of coupled ones only."
        )
    for part in _ALIKE:
        was, wanted = getattr(before, part), getattr(now, part)
        if config_digest([was]) != config_digest([wanted]):
            raise InvalidInput(
                f"{name}: its {part} was {shown(repr(was), limit=150)}, the pilot's is "
                f"{shown(repr(wanted), limit=150)}. "
                "A run is taken only where it is the very run that the pilot would make."
            )
    digests = {task.id: task.digest for task in now.tasks}
    changed = [task.id for task in before.tasks if digests.get(task.id, task.digest) != task.digest]
    if changed:
        raise InvalidInput(f"{name}: the tasks {listed(changed)} were others there, by the same ids.")


def _first_seeds(seeds: Sequence[int], continuations: int) -> Sequence[int]:
    """The seeds under which runs draw as any other would: a continuation draws otherwise behind its fork."""
    return seeds[:1] if continuations > 1 else seeds


def _usable(one: EarlierRuns, now: BaselineRecord) -> dict[tuple[str, int], tuple[Episode, ...]]:
    """The runs of the pilot's tasks under its seeds, of arms that draw as its baseline does."""
    plan = one.plan
    alone = {name for name, arm in plan.arms.items() if arm.kind == "rerun"}
    ours = _first_seeds(now.seeds, now.continuations)
    seeds = set(ours) & set(_first_seeds(plan.seeds, plan.continuations))
    planned = {task.id for task in now.tasks}
    found = {
        key: tuple(episode for episode in row if episode.arm not in alone)
        for key, row in one.episodes.items()
        if key[0] in planned and key[1] in seeds
    }
    found = {key: row for key, row in found.items() if any(episode.arm == plan.baseline_arm for episode in row)}
    if not found:
        raise InvalidInput(
            f"{shown(one.source, limit=150)}: it has no run of the agent alone on the pilot's tasks under the pilot's "
            f"seeds ({', '.join(map(str, ours[:10]))}); it ran {listed([task.id for task in plan.tasks])} under "
            f"{', '.join(map(str, plan.seeds[:10]))}. Runs are taken by task and seed ([run] seeds)."
        )
    return found


def _require_agreement(
    one: EarlierRuns,
    usable: Mapping[tuple[str, int], tuple[Episode, ...]],
    before: Mapping[tuple[str, int], tuple[Episode, ...]],
) -> None:
    """Refuses two journals of which the agent, or the world, was another."""
    differing = [
        key for key, row in usable.items() if any(not _is_same(a, b) for a in row for b in before.get(key, ()))
    ]
    if differing:
        task, seed = differing[0]
        raise InvalidInput(
            f"{shown(one.source, limit=150)}: task '{shown(task)}', seed {seed} went otherwise there than in another "
            f"of the earlier journals ({len(differing)} such runs): agent or world are no functions of what they are "
            "given, or were changed in between. Name one of the journals only."
        )


def _is_same(one: Episode, other: Episode) -> bool:
    """Whether two runs can be of one agent: only the agent alone has to come out alike."""
    touched = one.first_intervention is not None or other.first_intervention is not None
    return touched or (one.termination, one.success, len(one.steps)) == (
        other.termination,
        other.success,
        len(other.steps),
    )


def _record(
    one: EarlierRuns, usable: Mapping[tuple[str, int], tuple[Episode, ...]], arms: Mapping[str, ArmRecord]
) -> EarlierRecord:
    """Says what was taken, and which arms there saw the tasks through the same critics."""
    ran: Collection[str] = {episode.arm for row in usable.values() for episode in row}
    there = {name: arm for name, arm in one.plan.arms.items() if name in ran and arm.kind == "policy"}
    tried = dict[str, tuple[str, ...]]()
    for name, arm in arms.items():
        if arm.kind != "policy" or arm.is_control:
            continue
        again = [other for other, was in there.items() if was.digest == arm.digest]
        if again:
            raise InvalidInput(
                f"{shown(one.source, limit=150)}: it has tried arm '{shown(name)}' on these tasks, there called "
                f"{listed(again)}, and its verdict stands there. Deciding again on the same runs, alone or with more "
                "tasks, makes false verdicts: give the pilot other tasks or other seeds, or leave the journal out of a "
                "pilot that has none of its tasks."
            )
        tried[name] = tuple(other for other, was in there.items() if was.critic == arm.critic and not was.is_control)
    runs = sum(episode.arm == one.plan.baseline_arm for row in usable.values() for episode in row)
    return EarlierRecord(
        source=one.source,
        sha256=one.digest,
        runs=runs,
        tried={name: before for name, before in tried.items() if before},
    )
