"""`pilot.toml`: a pilot described in a file. Inputs are relative to the file; every error names its key and line."""

import codecs
import dataclasses
import functools
import inspect
import io
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from forbear.adapters.logged import baseline_of
from forbear.adapters.models import Models, prices_of
from forbear.adapters.parts import BLIND, RERUN, Factory, guarded, imported, parameters_of, placed
from forbear.adapters.sweep import spread
from forbear.adapters.toml_section import Part, Section, option_kinds
from forbear.analysis.cautions import MOST_FAULTS
from forbear.contracts.critic import Critic
from forbear.contracts.intervention import Intervention
from forbear.critics.blind import blind_arm
from forbear.errors import InvalidInput
from forbear.files import limit_of, read_bounded, too_large
from forbear.models.session import ModelSettings
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.journal import Sync, require_sync
from forbear.records.model import Task
from forbear.runner.ledger import Budget
from forbear.runner.order import DEFAULT_SEEDS
from forbear.runner.plan import PilotPlan
from forbear.stats.looks.looks import Looks
from forbear.stats.rule import DecisionRule
from forbear.wording import listed, shown

MAX_BYTES = 1 << 20
_MAX_TASK_BYTES = 64 << 20
_TEXT = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|$)', re.DOTALL)
"""A text in JSON."""
_MARKS = ",:[{"
"""One of them stands beside each value in JSON, and outside texts nothing else does."""
_VALUE_BYTES = 64
"""What a value takes in memory beside what it says."""
_ARM = ("name", "intervention", "critic", "options", "ladder")
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
    max_memory_mb: int | None
    """What each of them may take."""
    max_critic_faults: float
    """The share of its scores that a critic may owe."""
    budget: Budget | None
    """What may be paid for over all resumes."""
    models: ModelSettings
    """Prices of language models, and where their answers are kept."""
    max_agent_errors: float
    """How many of an arm's runs may end with an exception of the agent: a share below 1, or a number."""
    sync: Sync
    """When episodes are forced to the disk."""


def read_pilot_file(path: str | Path) -> PilotFile:
    """Reads a pilot and imports its parts; critics and interventions are made, agents and worlds when asked for.

    Args:
        path: The TOML file, at most 1 MiB. Modules that it names may lie beside it.

    Raises:
        InvalidInput: The file, a key, or a part that it names cannot be used; the message names the key and the line.
    """
    file = Path(path).absolute()  # parts may change the working directory
    try:
        top = Section.of_file(file, limit=MAX_BYTES)
    except OSError as error:
        raise InvalidInput(
            f"{shown(str(path), limit=200)}: cannot be read ({error.strerror}). forbear pilot init writes an example."
        ) from None
    if "host" in top.table:
        name = shown(str(path), limit=200)
        raise top.error(
            "host",
            message="its host runs this pilot, forbear does not: ask what to run with forbear pilot ask "
            f"{name}, tell what came of it with forbear pilot tell {name}, or, where its arms "
            f"name interventions, forbear proxy {name} --upstream URL",
        )
    tasks, run, rule = top.section("tasks"), top.section("run", optional=True), top.section("rule", optional=True)
    plan = _plan(top, tasks, run, rule, file.parent)
    described = PilotFile(
        path=file,
        plan=plan,
        concurrency=run.count("concurrency", default=16, least=1),
        retries=run.count("retries", default=2, least=0),
        workers=run.count("workers", default=1, least=1),
        max_memory_mb=run.count("max_memory_mb", default=0, least=0) or None,
        max_agent_errors=_max_agent_errors(run),
        max_critic_faults=_share(run, "max_critic_faults", MOST_FAULTS),
        budget=budget_of(top),
        models=ModelSettings(
            prices=prices_of(top),
            responses=file.parent / run.take("responses", str) if "responses" in run.table else None,
        ),
        sync=run.guard("sync", make=lambda: require_sync(run.take("sync", str, "group"))),
    )
    for section in (top, run, rule):
        section.close()
    return described


def _max_agent_errors(run: Section) -> float:
    value = run.take("max_agent_errors", float, 0.2)
    if not 0 <= value < float("inf"):
        raise run.error("max_agent_errors", message=f"expected a share below 1 or a number of runs, got {value}")
    return value


def _share(section: Section, key: str, default: float) -> float:
    value = section.take(key, float, default)
    if not 0 <= value <= 1:
        raise section.error(key, message=f"expected a share in [0, 1], got {value}")
    return value


def budget_of(top: Section) -> Budget | None:
    """Reads `[budget]`; None where there is none.

    Raises:
        InvalidInput: Something else than limits; the message names the place.
    """
    section = top.section("budget", optional=True)
    limits = section.take_all({"max_calls": int, "max_tokens": int, "max_cost": float, "max_seconds": float})
    section.close()
    return section.guard(make=lambda: Budget(**limits)) if limits else None


def _plan(top: Section, tasks: Section, run: Section, rule: Section, folder: Path) -> PilotPlan:
    models = Models.of(top, folder)
    arms = [Arm.baseline(), *arms_of(top, run, models, folder)]
    given = tasks_of(tasks, folder)
    looks = looks_of(run, len(given))
    skip = ("tasks", "agent", "environment", "arms", "rule", "looks", "logged", "earlier")
    options = run.take_all(option_kinds(PilotPlan, skip=skip))
    logged, earlier = baseline_of(
        top, folder, seeds=options.get("seeds", DEFAULT_SEEDS), design=options.get("design", "auto")
    )
    return top.guard(
        make=lambda: PilotPlan(
            tasks=given,
            looks=looks,
            agent=_factory(top, "agent", models),
            environment=_factory(top, "environment", models),
            arms=arms,
            rule=rule.guard(make=lambda: DecisionRule(**rule.take_all(option_kinds(DecisionRule)))),
            logged=logged,
            earlier=earlier,
            **options,
        )
    )


def _factory(top: Section, kind: str, models: Models) -> Factory:
    part = top.part(kind)
    assert part is not None
    return models.factory(part)


def looks_of(run: Section, tasks: int) -> Looks | None:
    """What the file says of looks; None where it says nothing."""
    named = "looks" in run.table
    given = run.take("looks", str if isinstance(run.table.get("looks"), str) else list, [])
    options = run.take_all(option_kinds(Looks, skip=("tasks",)))
    if not named and not options:
        return None

    def declared() -> Looks:
        return Looks.of_text(given) if isinstance(given, str) else Looks(tasks=tuple(given))

    base = run.guard("looks", make=declared) if named else Looks.for_tasks(tasks)
    return run.guard(make=lambda: replace(base, **options))


# --- Arms -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What the arms of a file have in common."""

    folder: Path
    models: Models
    critic: Part | None
    """Of arms that name none."""
    make_critic: Callable[[Part], Critic]
    """Gives equal parts the same critic."""
    policy: Mapping[str, Any]
    """Options of policies that do not say otherwise."""


def arms_of(top: Section, run: Section, models: Models, folder: Path) -> list[Arm]:
    """Makes the arms that `[[arm]]` names, their critics and interventions among them.

    Raises:
        InvalidInput: There are none, or one cannot be made; the message names the place.
    """
    deadline = run.take_all({"critic_deadline_s": float})
    shared = _Shared(
        folder=folder,
        models=models,
        critic=top.part("critic", optional=True),
        make_critic=functools.cache(lambda part: models.factory(part).once()),
        policy={key: value for key, value in deadline.items() if key in option_kinds(InterventionPolicy)},
    )
    sections = [one for section in top.sections("arm") for one in spread(section)]
    if not sections:
        raise top.error(message="at least one [[arm]] is needed; the baseline is there of itself")
    seeing = {section: _arm(section, shared) for section in sections if section.table.get("intervention") != BLIND}
    by_name = {arm.name: arm for arm in seeing.values()}
    return [seeing[section] if section in seeing else _blind(section, by_name) for section in sections]


def _blind(section: Section, arms: Mapping[str, Arm]) -> Arm:
    """The control of an arm of the file: its intervention, at random moments."""
    name, like = section.take("name", str, section.take("intervention", str)), section.take("like", str)
    rates = section.take("rates", list)
    section.close()
    if like not in arms:
        known = f"; the others are {', '.join(map(shown, arms))}" if arms else ""
        raise section.error("like", message=f"there is no arm '{shown(like)}'{known}")
    return section.guard("rates", make=lambda: blind_arm(arms[like], rates=rates, name=name))


def _arm(section: Section, shared: _Shared) -> Arm:
    kind = section.take("intervention", str)
    name = section.take("name", str, kind.rpartition(":")[2])
    if kind == RERUN:
        section.close()
        return section.guard("name", make=lambda: Arm(name, is_rerun=True))
    policy = option_kinds(InterventionPolicy, skip=("critic", "intervention"))
    intervention = _intervention(section, shared, taken={*_ARM, *policy})
    part = section.part("critic", optional=True) or shared.critic
    if part is None:
        raise section.error(
            message=f"arm '{shown(name)}' needs a critic: name one in the file (critic = ...) or in the arm"
        )
    critic = shared.make_critic(part)
    options, in_ladder = {**shared.policy, **section.take_all(policy)}, section.take("ladder", bool, False)
    section.close()
    return section.guard(
        make=lambda: Arm(
            name, InterventionPolicy(critic=critic, intervention=intervention, **options), in_ladder=in_ladder
        )
    )


def _intervention(section: Section, shared: _Shared, *, taken: set[str]) -> Intervention:
    """Makes what an arm names; options of a dataclass stand in the arm itself, those of others in `options`."""
    part = Part(
        kind="intervention",
        use=section.take("intervention", str),
        options="{}",
        place=section.place("intervention"),
        options_place=section.place("options") if "options" in section.table else "",
    )
    target = imported(part, shared.folder)
    options: dict[str, Any]
    if isinstance(target, type) and dataclasses.is_dataclass(target):
        kinds = option_kinds(target)
        own = section.section("options", optional=True)
        options = {**section.take_all({k: v for k, v in kinds.items() if k not in taken}), **own.take_all(kinds)}
        own.close()
    else:
        options = dict(section.take("options", dict, {}))
    options = shared.models.filled(target, options, part)
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
        tasks = _made_tasks(section, imported(part, folder), part, folder)
    section.close()
    if not tasks or not all(isinstance(task, Task) for task in tasks):
        raise section.error("source", message=f"'{shown(source)}' gave no tasks")
    return tasks


def _made_tasks(section: Section, make: Callable[..., Any], part: Part, folder: Path) -> list[Task]:
    """Calls a factory of tasks with whatever else the table says."""
    options = placed({key: value for key, value in section.table.items() if key != "source"}, part, folder)
    taken = parameters_of(make)
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    if taken is not None and not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values()):
        section.known |= {name for name, one in taken.items() if one.kind in by_name}
        section.close()
    section.known |= options.keys()
    return guarded(lambda: list(make(**options)), part=part)  # type: ignore[no-any-return]  # checked by the caller


def _read_tasks(section: Section, path: Path, *, limit: int) -> list[Task]:
    try:
        raw = section.guard("source", make=lambda: read_bounded(path, limit=_MAX_TASK_BYTES))
    except OSError as error:
        raise section.error(
            "source", message=f"{shown(str(path), limit=150)} cannot be read ({error.strerror})"
        ) from None
    name, tasks, taken = shown(path.name), list[Task](), 0
    most = limit_of(_MAX_TASK_BYTES)
    for number, line in enumerate(io.BytesIO(raw.removeprefix(codecs.BOM_UTF8)), start=1):
        if not line.strip():
            continue
        where = f"{name}, line {number}"
        try:
            text = line.decode()
        except UnicodeDecodeError:
            raise InvalidInput(f"{where}: not UTF-8; save it as UTF-8.") from None
        values = _TEXT.sub("", text)
        taken += sys.getsizeof(text) + _VALUE_BYTES * sum(map(values.count, _MARKS))
        if taken > 2 * most:
            raise section.error("source", message=str(too_large(name, most, in_memory=True)).rstrip("."))
        tasks.append(_task(text, where=where))
        if len(tasks) == limit:
            break
    return tasks


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
