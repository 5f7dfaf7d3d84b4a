"""What a pilot whose loop is the host's will do: the same frozen record as any other pilot, but no parts to run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from forbear.analysis.plan_record import ArmRecord, PlanRecord
from forbear.errors import InvalidInput
from forbear.outcomes.logged import LoggedRuns
from forbear.policy.arm import Arm
from forbear.records.codec import config_digest
from forbear.records.model import JSON, Task
from forbear.runner.order import (
    DEFAULT_SEEDS,
    logged_record,
    planned_looks,
    planned_order,
    require_plan,
    require_usable,
    task_records,
)
from forbear.stats.looks.looks import Looks
from forbear.stats.rule import DecisionRule
from forbear.wording import described


@dataclass(frozen=True, slots=True)
class HostArm:
    """One way in which the host can run a task, beside the baseline."""

    name: str
    config: Mapping[str, JSON] = field(default_factory=dict, kw_only=True)
    """What it is, in the host's words; part of the plan's digest and of every assignment."""
    is_control: bool = field(default=False, kw_only=True)
    """It is a fresh draw and nothing else: it measures churn and is never deployed."""

    def __post_init__(self) -> None:
        Arm(self.name)  # names follow the same rule in every pilot
        _require_json(self.config, what=f"the config of arm {self.name!r:.60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """Tasks × arms × seeds of a pilot that somebody else runs; every arm runs every task from its start.

    Raises:
        InvalidInput: Something is missing, doubled or out of range.
    """

    tasks: Sequence[Task]
    """In any order: they are asked for, and are evidence, in a random one that `order_seed` and their ids decide."""
    arms: Sequence[HostArm | str]
    """What is compared with the baseline; a name is an arm without config."""
    host: Mapping[str, JSON] = field(default_factory=dict)
    """What runs them, in the host's words: agent, model, versions. Going on with other ones is refused."""
    baseline: str = "baseline"
    """Name of the arm without what is tested."""
    rerun: bool = True
    """Also asks for the baseline a second time, as the arm `rerun`: without it nobody knows how much of what changes
    is the agent's own run-to-run variation."""
    rule: DecisionRule = DecisionRule()
    """What counts as a gain, and how sure to be."""
    looks: Looks | Sequence[int] | None = None
    """After how many tasks the pilot may stop, as `PilotPlan.looks`."""
    order_seed: int = 0
    """Another one puts the tasks in another order."""
    seeds: Sequence[int] = DEFAULT_SEEDS
    logged: LoggedRuns | None = None
    """Runs of the baseline from before, as `PilotPlan.logged`; they show run-to-run variation too, so that `rerun` may
    be False."""

    def __post_init__(self) -> None:
        if isinstance(self.arms, str) or not self.arms:
            raise InvalidInput(f"arms must list at least one arm beside the baseline, got {described(self.arms)}.")
        Arm(self.baseline)
        if self.rerun and any(arm.name == RERUN for arm in self.treated):
            raise InvalidInput(
                f"an arm is called {RERUN!r}, as the second run of the baseline is: name it otherwise, or rerun=False."
            )
        _require_json(self.host, what="host")
        names = [self.baseline, *(arm.name for arm in self.treated)]
        require_plan(self.tasks, seeds=self.seeds, arms=names, rule=self.rule, order_seed=self.order_seed)
        if self.logged is not None and not isinstance(self.logged, LoggedRuns):
            raise InvalidInput(f"logged must be LoggedRuns, got {described(self.logged)}.")
        require_usable(
            self.logged, rule=self.rule, looks=planned_looks(self.looks, ordered=self.ordered, rule=self.rule)
        )

    @property
    def treated(self) -> tuple[HostArm, ...]:
        """The arms that are compared with the baseline, the rerun left out."""
        return tuple(HostArm(arm) if isinstance(arm, str) else arm for arm in self.arms)

    @property
    def ordered(self) -> tuple[Task, ...]:
        """The tasks in the planned order."""
        return planned_order(self.tasks, order_seed=self.order_seed)

    def record(self) -> PlanRecord:
        """What `plan.json` will say.

        Raises:
            InvalidInput: A task's payload holds what JSON cannot.
        """
        ordered = self.ordered
        arms = {self.baseline: ArmRecord(digest=config_digest({"kind": "baseline"}), kind="baseline")}
        for arm in self.treated:
            config: dict[str, JSON] = {"kind": "host", "name": arm.name, "config": arm.config}
            policy = dict(arm.config) or None
            arms[arm.name] = ArmRecord(
                digest=config_digest(config), kind="host", is_control=arm.is_control, policy=policy
            )
        if self.rerun:
            arms[RERUN] = ArmRecord(digest=config_digest({"kind": "rerun"}), kind="rerun", is_control=True)
        baseline: dict[str, JSON] = {
            "tasks": task_records(ordered),
            "seeds": list(self.seeds),
            "max_steps": None,
            "design": "independent",
            "agent": dict(self.host),
            "environment": {},
            "call_deadline_s": None,
        }
        return PlanRecord.make(
            baseline=baseline | logged_record(self.logged, ordered=ordered, as_run=baseline),
            arms=arms,
            critics={},
            rule=self.rule,
            looks=planned_looks(self.looks, ordered=ordered, rule=self.rule),
        )


RERUN = "rerun"
"""Name of the arm that runs the baseline once more."""


def _require_json(config: Mapping[str, JSON], *, what: str) -> None:
    if not isinstance(config, Mapping):
        raise InvalidInput(f"{what} must be a mapping, got {described(config)}.")
    try:
        config_digest(config)
    except InvalidInput as error:
        raise InvalidInput(f"{what}: {error}") from None
