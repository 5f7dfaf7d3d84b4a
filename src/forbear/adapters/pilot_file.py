"""`pilot.toml`: a pilot described in a file. Inputs are relative to the file; every error names its key and line."""

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forbear.adapters.parts import RERUN, Factory, factory, guarded, imported
from forbear.adapters.toml_section import Part, Section, option_kinds, read_bytes
from forbear.contracts.critic import Critic
from forbear.contracts.intervention import Intervention
from forbear.errors import InvalidInput
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Sync, require_sync
from forbear.records.model import Task
from forbear.runner.plan import PilotPlan
from forbear.stats.looks.looks import Looks
from forbear.stats.rule import DecisionRule
from forbear.wording import listed, shown

MAX_BYTES = 1 << 20
_MAX_TASK_BYTES = 64 << 20
_ARM = ("name", "intervention", "critic", "options")
"""Keys of an arm that say what it is made of; what an intervention calls so is given in its table of options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotFile:
    """What a file describes."""

    path: Path
    plan: PilotPlan
    concurrency: int
    """Tasks under way at a time."""
    retries: int
    """How often an episode that the outside world broke is tried again."""
    workers: int
    """Processes that run episodes."""
    sync: Sync
    """When episodes are forced to the disk."""


def read_pilot_file(path: str | Path) -> PilotFile:
    """Reads a pilot and imports its parts; critics and interventions are made, agents and worlds when asked for.

    Args:
        path: The TOML file, at most 1 MiB. Modules that it names may lie beside it.

    Raises:
        InvalidInput: The file, a key, or a part that it names cannot be used; the message names the key and the line.
    """
    file = Path(path)
    try:
        top = Section.of_file(file, limit=MAX_BYTES)
    except OSError as error:
        raise InvalidInput(
            f"{shown(str(file), limit=200)}: cannot be read ({error.strerror}). forbear pilot init writes an example."
        ) from None
    if "host" in top.table:
        name = shown(str(file), limit=200)
        raise top.error(
            "host",
            message="its host runs this pilot, forbear does not: ask what to run with forbear pilot ask "
            f"{name}, tell what came of it with forbear pilot tell {name}",
        )
    tasks, run, rule = top.section("tasks"), top.section("run", optional=True), top.section("rule", optional=True)
    plan = _plan(top, tasks, run, rule, file.parent)
    described = PilotFile(
        path=file,
        plan=plan,
        concurrency=run.count("concurrency", default=16, least=1),
        retries=run.count("retries", default=2, least=0),
        workers=run.count("workers", default=1, least=1),
        sync=run.guard("sync", make=lambda: require_sync(run.take("sync", str, "group"))),
    )
    for section in (top, run, rule):
        section.close()
    return described


def _plan(top: Section, tasks: Section, run: Section, rule: Section, folder: Path) -> PilotPlan:
    arms = [Arm.baseline(), *_arms(top, run, folder)]
    given = tasks_of(tasks, folder)
    looks = looks_of(run, len(given))
    options = option_kinds(PilotPlan, skip=("tasks", "agent", "environment", "arms", "rule", "looks"))
    return top.guard(
        make=lambda: PilotPlan(
            tasks=given,
            looks=looks,
            agent=_factory(top, "agent", folder),
            environment=_factory(top, "environment", folder),
            arms=arms,
            rule=rule.guard(make=lambda: DecisionRule(**rule.take_all(option_kinds(DecisionRule)))),
            **run.take_all(options),
        )
    )


def _factory(top: Section, kind: str, folder: Path) -> Factory:
    part = top.part(kind)
    assert part is not None
    return factory(part, folder)


def looks_of(run: Section, tasks: int) -> Looks | None:
    """What the file says of looks; None where it says nothing."""
    given, options = run.take("looks", list, []), run.take_all(option_kinds(Looks, skip=("tasks",)))
    named = "looks" in run.table
    if not named and not options:
        return None
    base = run.guard("looks", make=lambda: Looks(tasks=tuple(given))) if named else Looks.for_tasks(tasks)
    return run.guard(make=lambda: replace(base, **options))


# --- Arms -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What the arms of a file have in common."""

    folder: Path
    critic: Part | None
    """Of arms that name none."""
    make_critic: Callable[[Part], Critic]
    """Gives equal parts the same critic."""
    policy: Mapping[str, Any]
    """Options of policies that do not say otherwise."""


def _arms(top: Section, run: Section, folder: Path) -> list[Arm]:
    deadline = run.take_all({"critic_deadline_s": float})
    shared = _Shared(
        folder=folder,
        critic=top.part("critic", optional=True),
        make_critic=functools.cache(lambda part: factory(part, folder).once()),
        policy={key: value for key, value in deadline.items() if key in option_kinds(InterventionPolicy)},
    )
    sections = top.sections("arm")
    if not sections:
        raise top.error(message="at least one [[arm]] is needed; the baseline is there of itself")
    return [_arm(section, shared) for section in sections]


def _arm(section: Section, shared: _Shared) -> Arm:
    kind = section.take("intervention", str)
    name = section.take("name", str, kind.rpartition(":")[2])
    if kind == RERUN:
        section.close()
        return section.guard("name", make=lambda: Arm(name, is_rerun=True))
    policy = option_kinds(InterventionPolicy, skip=("critic", "intervention"))
    intervention = _intervention(section, shared.folder, taken={*_ARM, *policy})
    part = section.part("critic", optional=True) or shared.critic
    if part is None:
        raise section.error(
            message=f"arm '{shown(name)}' needs a critic: name one in the file (critic = ...) or in the arm"
        )
    critic = shared.make_critic(part)
    options = {**shared.policy, **section.take_all(policy)}
    section.close()
    return section.guard(
        make=lambda: Arm(name, InterventionPolicy(critic=critic, intervention=intervention, **options))
    )


def _intervention(section: Section, folder: Path, *, taken: set[str]) -> Intervention:
    """Makes what an arm names; options of a dataclass stand in the arm itself, those of others in `options`."""
    part = Part(
        kind="intervention",
        use=section.take("intervention", str),
        options="{}",
        place=section.place("intervention"),
    )
    target = imported(part, folder)
    options: Mapping[str, Any]
    if isinstance(target, type) and dataclasses.is_dataclass(target):
        kinds = option_kinds(target)
        own = section.section("options", optional=True)
        options = {**section.take_all({k: v for k, v in kinds.items() if k not in taken}), **own.take_all(kinds)}
        own.close()
    else:
        options = section.take("options", dict, {})
    made: Intervention = Factory(target=target, options=options, part=part).once()
    return made


# --- Tasks ------------------------------------------------------------------------------------------------


def tasks_of(section: Section, folder: Path) -> Sequence[Task]:
    """Reads the tasks that `[tasks]` names.

    Raises:
        InvalidInput: There are none, or one cannot be used; the message names the place.
    """
    source = section.take("source", str)
    if source.endswith(".jsonl"):
        tasks = _read_tasks(section, folder / source, limit=section.count("n", default=0, least=0))
    else:
        part = Part(kind="tasks", use=source, options="{}", place=section.place("source"))
        make, options = imported(part, folder), section.take_all({"n": int, "seed": int})
        tasks = guarded(lambda: list(make(**options)), part=part)
    section.close()
    if not tasks or not all(isinstance(task, Task) for task in tasks):
        raise section.error("source", message=f"'{shown(source)}' gave no tasks")
    return tasks


def _read_tasks(section: Section, path: Path, *, limit: int) -> list[Task]:
    try:
        text = section.guard("source", make=lambda: read_bytes(path, limit=_MAX_TASK_BYTES)).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = shown(str(error))
        raise section.error("source", message=f"{shown(str(path), limit=150)} cannot be read ({reason})") from None
    lines = enumerate(text.split("\n"), start=1)
    tasks = [_task(line, where=f"{shown(path.name)}, line {number}") for number, line in lines if line.strip()]
    return tasks[:limit] if limit else tasks


def _task(line: str, *, where: str) -> Task:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        raise InvalidInput(f"{where}: expected a JSON object with an \"id\" text, got '{shown(line)}'.")
    unknown = [key for key in record if key not in ("id", "payload", "stratum", "cluster")]
    if unknown:
        raise InvalidInput(f"{where}: unknown keys {listed(unknown)}; a task has id, payload, stratum and cluster.")
    for key in ("stratum", "cluster"):
        if not isinstance(record.get(key), str | None):
            raise InvalidInput(f"{where}: {key} must be a text, got '{shown(str(record[key]))}'.")
    try:
        return Task(**record)
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from None
