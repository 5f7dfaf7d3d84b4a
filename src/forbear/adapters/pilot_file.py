"""`pilot.toml`: a pilot described in a file. Inputs are relative to the file; every error names its key and line."""

import difflib
import functools
import importlib
import json
import re
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from forbear.contracts.critic import Critic
from forbear.contracts.intervention import Intervention
from forbear.errors import ForbearError, InvalidInput
from forbear.interventions import Append, Placebo, Rollback, Stop
from forbear.policy.arm import Arm
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import Task
from forbear.runner.plan import PilotPlan
from forbear.stats.looks.looks import Looks
from forbear.stats.rule import DecisionRule
from forbear.wording import listed, shown

BUILT_IN: Mapping[str, Mapping[str, str]] = {
    "tasks": {"household:generated": "forbear.worlds.household.pilot:generated_tasks"},
    "agent": {"household": "forbear.worlds.household.pilot:agent"},
    "environment": {"household": "forbear.worlds.household.pilot:environment"},
    "critic": {"household": "forbear.worlds.household.pilot:critic"},
}
"""Names that stand for parts that come with forbear; imported when named."""

_INTERVENTIONS: Mapping[str, tuple[Callable[..., Intervention], Mapping[str, type]]] = {
    "rollback": (Rollback, {"depth": int, "message": str, "exclude": bool, "costs_step": bool}),
    "append": (Append, {"message": str}),
    "placebo": (Placebo, {}),
    "stop": (Stop, {}),
}
_RUN = {"max_steps": int, "design": str, "critic_deadline_s": float, "call_deadline_s": float, "order_seed": int}
_LOOKS = {"shape": str, "watch": bool, "futility": float, "gain": float, "discordance": float}
_POLICY = {"threshold": float, "min_step": int, "budget": int, "cooldown": int}
_KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}
_MAX_BYTES = 1 << 20

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotFile:
    """What a file describes."""

    path: Path
    plan: PilotPlan
    concurrency: int
    """Tasks under way at a time."""
    retries: int
    """How often an episode that the outside world broke is tried again."""


def read_pilot_file(path: str | Path) -> PilotFile:
    """Reads a pilot and makes its parts.

    Args:
        path: The TOML file. Modules that it names may lie beside it.

    Raises:
        InvalidInput: The file, a key, or a part that it names cannot be used; the message names the key and the line.
    """
    file = Path(path)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"{shown(str(file), limit=200)}: cannot be read ({error.strerror}). forbear pilot init writes an example."
        ) from None
    if len(raw) > _MAX_BYTES:
        raise InvalidInput(
            f"{shown(file.name)}: {len(raw):,} bytes are no pilot file; at most {_MAX_BYTES:,} are read."
        )
    try:
        text = raw.decode("utf-8-sig")
        content = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidInput(f"{shown(file.name)}: not TOML: {shown(str(error), limit=150)}.") from None
    top = _Section(content, name=shown(file.name), lines=_line_numbers(text))
    tasks = top.section("tasks")
    run = top.section("run", optional=True)
    rule = top.section("rule", optional=True)
    make_critic = functools.cache(functools.partial(_critic, top, file.parent))
    default_critic = top.part("critic", optional=True)
    arms = [Arm.baseline()]
    for section in top.sections("arm"):
        arms.append(_arm(section, default_critic, make_critic))
    given = top.guard((), lambda: _tasks(tasks, file.parent))
    looks = _looks(run, len(given))
    plan = top.guard(
        (),
        lambda: PilotPlan(
            tasks=given,
            looks=looks,
            agent=_factory(top, top.part("agent"), file.parent),
            environment=_factory(top, top.part("environment"), file.parent),
            arms=arms,
            rule=rule.guard((), lambda: DecisionRule(**rule.take_all({f: float for f in DecisionRule().to_dict()}))),
            seeds=run.take("seeds", list, [42]),
            **run.take_all(_RUN),
        ),
    )
    concurrency, retries = run.take("concurrency", int, 16), run.take("retries", int, 2)
    for section in (top, run, rule):
        section.close()
    return PilotFile(path=file, plan=plan, concurrency=concurrency, retries=retries)


# --- Parts ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """An agent, environment or critic as named in the file."""

    kind: str
    use: str
    options: str
    """As JSON, so that equal parts are equal keys."""


def _critic(top: "_Section", folder: Path, part: _Part) -> Critic:
    critic: Critic = top.guard((part.kind,), _factory(top, part, folder))
    return critic


def _factory(top: "_Section", part: _Part, folder: Path) -> Callable[[], Any]:
    target = _imported(top, (part.kind,), part.use, folder)
    factory: Callable[[], Any] = functools.partial(target, **json.loads(part.options))
    return factory


def _imported(section: "_Section", key: tuple[str, ...], use: str, folder: Path) -> Callable[..., Any]:
    kind = "tasks" if key == ("source",) else key[0]
    reference = BUILT_IN[kind].get(use, use)
    module_name, _, attribute = reference.partition(":")
    if not attribute or not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        known = _nearest(use, BUILT_IN[kind])
        raise section.error(key, f"'{shown(use)}' is neither built in nor of the form 'package.module:factory'{known}")
    if str(folder.resolve()) not in sys.path:
        sys.path.insert(0, str(folder.resolve()))
    try:
        target = getattr(importlib.import_module(module_name), attribute)
    except ForbearError:
        raise
    except Exception as error:  # whatever the user's module raises while it is imported
        reason = f"{type(error).__name__}: {error}"
        raise section.error(key, f"'{shown(use)}' cannot be imported ({shown(reason, limit=150)})") from error
    if not callable(target):
        raise section.error(key, f"'{shown(use)}' is a {type(target).__name__}, not something to call")
    return target  # type: ignore[no-any-return]


def _arm(section: "_Section", default: _Part | None, make_critic: Callable[[_Part], Critic]) -> Arm:
    kinds = [*_INTERVENTIONS, "rerun"]
    kind = section.take("intervention", str)
    name = section.take("name", str, kind)
    if kind == "rerun":
        section.close()
        return section.guard(("name",), lambda: Arm(name, is_rerun=True))
    if kind not in _INTERVENTIONS:
        raise section.error(
            ("intervention",),
            f"there is no intervention '{shown(kind)}'; there are {', '.join(kinds)}{_nearest(kind, kinds)}",
        )
    make, options = _INTERVENTIONS[kind]
    part = section.part("critic", optional=True) or default
    if part is None:
        raise section.error(
            (), f"arm '{shown(name)}' needs a critic: name one in the file (critic = ...) or in the arm"
        )
    arm = section.guard(
        (),
        lambda: Arm(
            name,
            InterventionPolicy(
                critic=make_critic(part), intervention=make(**section.take_all(options)), **section.take_all(_POLICY)
            ),
        ),
    )
    section.close()
    return arm


def _looks(section: "_Section", tasks: int) -> Looks | None:
    """What the file says of looks; None where it says nothing."""
    given, options = section.take("looks", list, []), section.take_all(_LOOKS)
    named = "looks" in section.table
    if not named and not options:
        return None
    base = section.guard(("looks",), lambda: Looks(tasks=tuple(given))) if named else Looks.for_tasks(tasks)
    return section.guard((), lambda: replace(base, **options))


def _tasks(section: "_Section", folder: Path) -> Sequence[Task]:
    source = section.take("source", str)
    if source.endswith(".jsonl"):
        tasks = _read_tasks(section, folder / source, limit=section.take("n", int, 0))
    else:
        make = _imported(section, ("source",), source, folder)
        tasks = section.guard(("source",), lambda: list(make(**section.take_all({"n": int, "seed": int}))))
    section.close()
    if not tasks or not all(isinstance(task, Task) for task in tasks):
        raise section.error(("source",), f"'{shown(source)}' gave no tasks")
    return tasks


def _read_tasks(section: "_Section", path: Path, *, limit: int) -> list[Task]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise section.error(
            ("source",), f"{shown(str(path), limit=150)} cannot be read ({shown(str(error))})"
        ) from None
    tasks = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{shown(path.name)}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict) or not isinstance(record.get("id"), str):
            raise InvalidInput(f"{where}: expected a JSON object with an \"id\" text, got '{shown(line)}'.")
        unknown = [key for key in record if key not in ("id", "payload", "stratum", "cluster")]
        if unknown:
            raise InvalidInput(f"{where}: unknown keys {listed(unknown)}; a task has id, payload, stratum and cluster.")
        tasks.append(Task(**record))
    return tasks[:limit] if limit else tasks


# --- Schema -----------------------------------------------------------------------------------------------


class _Section:
    """A table of the file that knows where it stands and which keys it may have."""

    def __init__(
        self,
        table: Mapping[str, Any],
        *,
        name: str,
        lines: Mapping[tuple[str | int, ...], int],
        at: tuple[str | int, ...] = (),
    ) -> None:
        self.table, self.name, self.lines, self.at = table, name, lines, at
        self.known: set[str] = set()

    def error(self, key: tuple[str, ...], message: str) -> InvalidInput:
        path = (*self.at, *key)
        line = self.lines.get(path) or self.lines.get(self.at)
        place = f"{self.name}, line {line}" if line else self.name
        label = ".".join(str(part) for part in path if isinstance(part, str))
        end = "" if message.endswith("?") else "."
        return InvalidInput(f"{place}: {label + ': ' if label else ''}{message}{end}")

    def guard(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        """Makes something; what it says against its options is said with the place of the key."""
        try:
            return make()
        except InvalidInput as error:
            if str(error).startswith(self.name):
                raise
            raise self.error(key, str(error).rstrip(".")) from None
        except TypeError as error:
            raise self.error(key, shown(str(error), limit=150)) from error

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        self.known.add(key)
        value = self.table.get(key, default)
        if value is None:
            raise self.error((), f"'{key}' is missing; it is {_KINDS[kind]}")
        fits = isinstance(value, int | float) if kind is float else isinstance(value, kind)
        if not fits or (kind is not bool and isinstance(value, bool)):
            raise self.error((key,), f"expected {_KINDS[kind]}, got {shown(repr(value))}")
        return value  # type: ignore[no-any-return]

    def take_all(self, kinds: Mapping[str, type]) -> dict[str, Any]:
        """Those of the keys that are there; all of them are known from now on."""
        self.known |= kinds.keys()
        return {key: self.take(key, kind) for key, kind in kinds.items() if key in self.table}

    def part(self, kind: str, *, optional: bool = False) -> Any:
        """`kind = "name"`, or `[kind]` with `use = "name"` and a table of `options`."""
        if optional and kind not in self.table:
            return None
        if not isinstance(self.table.get(kind), dict):
            return _Part(kind=kind, use=self.take(kind, str), options="{}")
        section = self.section(kind)
        use, options = section.take("use", str), section.take("options", dict, {})
        section.close()
        return _Part(kind=kind, use=use, options=json.dumps(options, sort_keys=True, default=str))

    def section(self, key: str, *, optional: bool = False) -> "_Section":
        if not optional and key not in self.table:
            raise self.error((), f"the table [{key}] is missing")
        return _Section(self.take(key, dict, {}), name=self.name, lines=self.lines, at=(*self.at, key))

    def sections(self, key: str) -> list["_Section"]:
        tables = self.take(key, list, [])
        if not tables or not all(isinstance(table, dict) for table in tables):
            raise self.error((), f"at least one [[{key}]] is needed; the baseline is there of itself")
        return [
            _Section(table, name=self.name, lines=self.lines, at=(*self.at, key, i)) for i, table in enumerate(tables)
        ]

    def close(self) -> None:
        for key in self.table:
            if key not in self.known:
                known = f"; known here: {', '.join(sorted(self.known))}"
                raise self.error((shown(key),), f"unknown key '{shown(key)}'{_nearest(key, self.known) or known}")


def _nearest(name: str, known: "Mapping[str, Any] | Sequence[str] | set[str]") -> str:
    near = difflib.get_close_matches(name[:80], list(known), n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _line_numbers(text: str) -> dict[tuple[str | int, ...], int]:
    """Where tables and keys begin; good for messages, no parser."""
    lines: dict[tuple[str | int, ...], int] = {}
    at: tuple[str | int, ...] = ()
    count: dict[tuple[str | int, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*(\[\[?)\s*([\w.\"' -]+?)\s*\]", line):
            at = tuple(part.strip(" \"'") for part in header[2].split("."))
            if header[1] == "[[":
                count[at] = count.get(at, -1) + 1
                at = (*at, count[at])
            lines.setdefault(at, number)
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            lines.setdefault((*at, *(part.strip("\"'") for part in key[1].split("."))), number)
    return lines
