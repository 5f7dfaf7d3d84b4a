"""`plan.json`: what a pilot does, typed, written and read in one place.

A record holds no parts, only what they said of themselves, so that a journal can be read, decided on and reported
without the agent, the world and the critics that made it.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias

import msgspec
from msgspec import Struct

from forbear.errors import InvalidInput, PlanChanged
from forbear.records.codec import config_digest
from forbear.records.model import JSON
from forbear.records.planned import PLAN_FORMAT, plan_digest, require_whole
from forbear.stats.looks.looks import Looks
from forbear.stats.rule import DecisionRule
from forbear.wording import shown

Design: TypeAlias = Literal["coupled", "independent"]
"""`coupled`: arms share the baseline's episode up to where they first act, and its draws after that. `independent`:
every arm runs every episode from its start, with draws of its own."""


class TaskRecord(Struct, frozen=True, array_like=True, gc=False):
    """A task of the planned order, as a list of three."""

    id: str
    digest: str
    """Of its payload, stratum and cluster."""
    cluster: str | None = None

    @property
    def group(self) -> str:
        """As the task's."""
        return self.cluster or self.id


class LoggedRecord(Struct, frozen=True, kw_only=True):
    """Runs of the agent alone from before the pilot, which count as runs of the baseline."""

    source: str
    digest: str
    """The sha256 of the file that they come from."""
    runs: tuple[str, ...]
    """By task, in the planned order: one character a run, 1 for success, 0 for failure."""
    without_outcome: int = 0
    """Logged runs that were left out, since they had none."""


class EarlierRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A journal of an earlier pilot, whose runs were taken instead of being paid for again."""

    source: str
    sha256: str
    """Of its lines."""
    runs: int
    """Of the agent alone that it has under the tasks and seeds of this plan."""
    tried: dict[str, tuple[str, ...]] = {}
    """By arm of this plan: the arms that there stepped in on the same runs by the same critic, otherwise set."""


class BaselineRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Under what conditions every episode is run."""

    digest: str
    tasks: tuple[TaskRecord, ...]
    """In the planned order."""
    seeds: tuple[int, ...]
    """What names the runs of a task."""
    max_steps: int | None
    """Steps that an episode may execute; None where the loop is the host's."""
    design: Design
    agent: dict[str, Any]
    """Its config."""
    environment: dict[str, Any]
    """Its config."""
    call_deadline_s: float | None
    logged: LoggedRecord | None = None
    earlier: tuple[EarlierRecord, ...] = ()
    """Where what earlier pilots paid for was taken from."""
    continuations: int = 1
    """Where more than 1: the runs of a task have their first steps in common, and part where an arm first would act."""


class ArmRecord(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One arm."""

    digest: str
    """Of its policy; arms of equal digest do the same under different names."""
    kind: Literal["baseline", "rerun", "policy", "host"]
    """`host`: run by a loop that is not forbear's."""
    is_control: bool = False
    """It is there to be compared with and is never deployed."""
    critic: str | None = None
    """Name of its critic in records."""
    intervention: str | None = None
    """Name of its intervention, as records call it."""
    policy: dict[str, Any] | None = None
    """The policy's config, parts included."""
    blind_of: str | None = None
    """Name of the arm whose intervention it gives at random moments."""
    in_ladder: bool = False
    """The first look chooses one of it and its likes."""


class PlanRecord(Struct, frozen=True, kw_only=True):
    """What `plan.json` says.

    Raises:
        InvalidInput: Its looks do not end with its tasks, or it has not exactly one baseline.
    """

    format: str = PLAN_FORMAT
    digest: str
    """The sha256 of all the rest."""
    baseline: BaselineRecord
    arms: dict[str, ArmRecord]
    """By name, the baseline first."""
    critics: dict[str, dict[str, Any]]
    """Their configs, by name in records."""
    rule: DecisionRule
    looks: Looks

    def __post_init__(self) -> None:
        if [arm.kind for arm in self.arms.values()].count("baseline") != 1:
            raise InvalidInput("a plan has exactly one baseline")
        if self.looks.planned != len(self.baseline.tasks):
            raise InvalidInput("the last look of a plan is at all of its tasks")
        logged = self.baseline.logged
        if logged is not None and not (
            len(logged.runs) == len(self.baseline.tasks) and all(one and not one.strip("01") for one in logged.runs)
        ):
            raise InvalidInput("every task of a plan with logged runs has one, written as 0 and 1")

    @classmethod
    def make(
        cls,
        *,
        baseline: Mapping[str, JSON],
        arms: Mapping[str, ArmRecord],
        critics: Mapping[str, Mapping[str, JSON]],
        rule: DecisionRule,
        looks: Looks,
    ) -> Self:
        """Makes the record of a plan and its digests.

        Args:
            baseline: The fields of `BaselineRecord` but its digest.
            arms: By name.
            critics: Configs by name in records.
            rule: What counts as a gain.
            looks: When the pilot may stop.
        """
        record = msgspec.convert(
            {
                "digest": "",
                "baseline": {"digest": config_digest(baseline), **baseline},
                "arms": msgspec.to_builtins(arms),
                "critics": dict(sorted(critics.items())),
                "rule": rule.to_dict(),
                "looks": looks.to_dict(),
            },
            cls,
        )
        return msgspec.structs.replace(record, digest=plan_digest(record.to_dict()))

    @classmethod
    def of(cls, plan: Mapping[str, JSON], *, where: str) -> Self:
        """Reads what `to_dict` wrote.

        Raises:
            InvalidInput: Another version's plan, one that was changed since, or one that does not say what is needed.
        """
        require_whole(plan, where=where)
        rule = plan.get("rule")
        if isinstance(rule, Mapping):  # before `missing`, missing runs were left out
            plan = {**plan, "rule": {"missing": "exclude", **rule}}
        try:
            return msgspec.convert(plan, cls)
        except (msgspec.ValidationError, ValueError, TypeError) as error:
            raise InvalidInput(
                f"{where}: its plan.json does not say what a verdict needs ({shown(str(error), limit=150)}): a plan of "
                "this version has tasks, seeds, arms, a rule and declared looks. Decide with the version that ran it."
            ) from None

    def to_dict(self) -> dict[str, JSON]:
        """The record as a JSON object."""
        plain: dict[str, JSON] = msgspec.to_builtins(self)
        return plain

    @property
    def tasks(self) -> tuple[TaskRecord, ...]:
        """In the planned order."""
        return self.baseline.tasks

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of each task."""
        return self.baseline.seeds

    @property
    def continuations(self) -> int:
        """Runs of a task that go on from its fork; 1: its runs have nothing in common."""
        return self.baseline.continuations

    @property
    def design(self) -> Design:
        """How arms share."""
        return self.baseline.design

    @property
    def logged(self) -> dict[str, tuple[bool, ...]]:
        """By task: outcomes of the agent alone from before the pilot; empty where none are re-used."""
        logged = self.baseline.logged
        if logged is None:
            return {}
        return {task.id: tuple(run == "1" for run in runs) for task, runs in zip(self.tasks, logged.runs, strict=True)}

    @property
    def baseline_arm(self) -> str:
        """Name of the arm that the others are compared with."""
        return next(name for name, arm in self.arms.items() if arm.kind == "baseline")

    @property
    def treated(self) -> list[str]:
        """All arms but the baseline."""
        return [name for name, arm in self.arms.items() if arm.kind != "baseline"]

    @property
    def is_hosted(self) -> bool:
        """Whether a loop that is not forbear's runs it."""
        return any(arm.kind == "host" for arm in self.arms.values())

    @property
    def candidates(self) -> list[str]:
        """The treated arms that may be deployed; they share α."""
        return [name for name in self.treated if not self.arms[name].is_control]

    @property
    def ladder(self) -> list[str]:
        """The arms of which the first look chooses one; none where there is no ladder."""
        return [name for name, arm in self.arms.items() if arm.in_ladder]

    @property
    def confirming(self) -> Looks:
        """The looks of the tests: those of the plan; with a ladder those after the first, and counted from there."""
        if not self.ladder:
            return self.looks
        first, *later = self.looks.tasks
        return dataclasses.replace(self.looks, tasks=tuple(n - first for n in later))

    @property
    def controls(self) -> list[str]:
        """The treated arms that are there to be compared with."""
        return [name for name in self.treated if self.arms[name].is_control]

    @property
    def watching(self) -> list[str]:
        """Names of the critics that look at runs, and so watch the baseline: all but those of blind arms."""
        blind = {arm.critic for arm in self.arms.values() if arm.blind_of is not None}
        seeing = {arm.critic for arm in self.arms.values() if arm.blind_of is None}
        return [name for name in self.critics if name in seeing or name not in blind]

    def blind_to(self, arm: str) -> str | None:
        """Name of the first blind arm that gives an arm's intervention at random moments; None where there is none."""
        return next((name for name, one in self.arms.items() if one.blind_of == arm), None)

    @property
    def clusters(self) -> list[str] | None:
        """What each task belongs to; None where tasks are the unit."""
        if not any(task.cluster for task in self.tasks):
            return None
        return [task.group for task in self.tasks]

    def require(self, started: "PlanRecord", *, where: str) -> None:
        """Refuses a journal that was started under another plan.

        Raises:
            PlanChanged: With what differs, or why a pilot may not grow.
        """
        # The second: of before there was `missing`.
        if self.digest in (started.digest, plan_digest(started.to_dict())):
            return
        before, now = ({task.id for task in one.tasks} for one in (started, self))
        if before < now:
            raise PlanChanged(
                f"{where}: it has grown: {len(before)} tasks were planned, now there are {len(now)}. Adding tasks and "
                "deciding again makes false verdicts: testing at 50, then 100, then 200 tasks, each at .05, deploys a "
                "useless arm 9.8 % of the time. Go back to the plan, whose declared looks may be taken, or start a "
                "fresh pilot in another journal."
            )
        found = list(_differences(started.to_dict(), self.to_dict(), path=""))
        more = f" and {len(found) - 4} more" if len(found) > 4 else ""
        raise PlanChanged(
            f"{where} was started under another plan: {'; '.join(found[:4])}{more}. "
            "Go back to that plan, or name another journal."
        )


def _differences(before: Any, now: Any, *, path: str) -> Iterator[str]:
    """Sentences on where two JSON values differ; digests are left out where something else says it better."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in [*before, *(key for key in now if key not in before)]:
            here = f"{path}.{key}" if path else str(key)
            if key not in before or key not in now:
                yield f"{shown(here)} is {'new' if key in now else 'gone'}"
            elif key != "digest":
                yield from _differences(before[key], now[key], path=here)
    elif _is_list(before) and _is_list(now) and len(before) == len(now):
        for number, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from _differences(old, new, path=f"{path}[{number}]")
    elif before != now:
        yield f"{shown(path)} was {_brief(before)}, is {_brief(now)}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _brief(value: Any) -> str:
    if _is_list(value) and (len(value) > 8 or any(_is_list(one) or isinstance(one, Mapping) for one in value)):
        return f"a list of {len(value)}"
    return shown(repr(list(value) if _is_list(value) else value))
