"""What a pilot will do, frozen and hashed before its first episode."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from msgspec import to_builtins

from forbear.analysis.plan_record import ArmRecord, Design, PlanRecord
from forbear.contracts.agent import Agent
from forbear.contracts.border import checked_agent, checked_config, checked_environment
from forbear.contracts.critic import Critic
from forbear.contracts.draw import derived_seed
from forbear.contracts.environment import Environment, Restorable
from forbear.contracts.intervention import undoes_steps
from forbear.errors import ForbearError, InvalidInput
from forbear.outcomes.logged import LoggedRuns
from forbear.policy.arm import Arm
from forbear.policy.foreign import ForeignFault, answer_at_once
from forbear.policy.policy import InterventionPolicy
from forbear.records.codec import config_digest
from forbear.records.model import JSON, Episode, Task
from forbear.runner.cell import Cell, Conditions
from forbear.runner.earlier import EarlierRuns, Taken, taken
from forbear.runner.order import (
    DEFAULT_SEEDS,
    logged_record,
    planned_looks,
    planned_order,
    require_plan,
    require_unique,
    require_usable,
    task_records,
)
from forbear.stats.looks.looks import Looks
from forbear.stats.rule import DecisionRule
from forbear.wording import described

MOST_CONTINUATIONS = 100
"""More would tell of chance after the fork and nothing of other tasks."""

_T = TypeVar("_T")
_Checked = TypeVar("_Checked")


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotPlan:
    """Tasks × arms × seeds, and under what conditions.

    Raises:
        InvalidInput: Something is missing, doubled or out of range.
    """

    tasks: Sequence[Task]
    """In any order: they are run, and used as evidence, in a random one that `order_seed` and their ids decide."""
    agent: Callable[[], Agent]
    """Makes the agent of one episode."""
    environment: Callable[[], Environment]
    """Makes the world of one episode."""
    arms: Sequence[Arm]
    """One of them `Arm.baseline()`."""
    rule: DecisionRule = DecisionRule()
    """What counts as a gain, and how sure to be."""
    looks: Looks | Sequence[int] | None = None
    """After how many tasks the pilot may stop, and how it is watched; the last look is at all tasks. None: `Looks`'
    default for this many, 50, 100, 150 and 200 of 200."""
    order_seed: int = 0
    """Another one puts the tasks in another order."""
    seeds: Sequence[int] = DEFAULT_SEEDS
    max_steps: int = 15
    """Steps that an episode may execute, undone ones and charged rollbacks included."""
    design: Design | Literal["auto"] = "auto"
    """`auto` couples where the world can be replayed or restored."""
    logged: LoggedRuns | None = None
    """Runs of the agent alone from before, every task's: each counts as one more run of the baseline. For independent
    designs: what arms share in a coupled one is worth more."""
    earlier: Sequence[EarlierRuns] = ()
    """Journals of coupled pilots of the same agent in the same world: runs that they have under the tasks and seeds of
    this one are taken from them (`read_earlier`), and not paid for again. For coupled designs."""
    continuations: int = 1
    """Runs of a task that go on from the first step at which an arm would intervene, what came before in common. More
    than 1 needs a coupled design and a single seed; for pilots that are short of tasks."""
    call_deadline_s: float = 600.0
    """After it an agent or a world that does not answer has broken the episode."""

    def __post_init__(self) -> None:
        require_plan(
            self.tasks,
            seeds=self.seeds,
            arms=[arm.name for arm in self.arms],
            rule=self.rule,
            order_seed=self.order_seed,
        )
        baselines = [arm.name for arm in self.arms if arm.is_baseline]
        if len(baselines) != 1:
            raise InvalidInput(
                f"a pilot needs exactly one baseline arm, got {baselines or 'none'}: add Arm.baseline()."
            )
        _require_seeing(self.arms)
        _require_ladder(self.arms)
        if not isinstance(self.max_steps, int) or self.max_steps < 1:
            raise InvalidInput(f"max_steps must be a whole number of at least 1, got {self.max_steps!r:.60}.")
        if self.logged is not None and not isinstance(self.logged, LoggedRuns):
            raise InvalidInput(f"logged must be LoggedRuns, got {described(self.logged)}.")
        if not all(isinstance(one, EarlierRuns) for one in self.earlier):
            raise InvalidInput(f"earlier is a list of what read_earlier gives, got {described(self.earlier)}.")
        if self.design not in ("auto", "coupled", "independent"):
            raise InvalidInput(f"design must be 'auto', 'coupled' or 'independent', got {self.design!r:.60}.")
        _require_continuations(self)
        clustered = any(task.cluster for task in self.tasks)
        ordered = planned_order(self.tasks, order_seed=self.order_seed) if clustered else self.tasks
        looks = planned_looks(self.looks, ordered=ordered, rule=self.rule)
        if any(arm.in_ladder for arm in self.arms) and (len(looks.tasks) < 2 or clustered):
            raise InvalidInput(
                "a ladder is chosen at the first look and confirmed at later ones, on tasks that are no clusters: "
                f"declare at least two looks, got {', '.join(map(str, looks.tasks))}"
                f"{' and tasks in clusters' if clustered else ''}."
            )
        if not 0 < self.call_deadline_s < float("inf"):
            raise InvalidInput(
                f"call_deadline_s must be a number of seconds above 0, got {self.call_deadline_s!r:.60}."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenPlan:
    """A plan whose parts were made once and asked for their configs."""

    plan: PilotPlan
    """With its tasks in the planned order."""
    earlier: Mapping[tuple[str, int], tuple[Episode, ...]]
    """By task id and seed, what earlier pilots ran under the same draws."""
    reviewers: frozenset[str]
    """The critics whose scores are taken from there, by name."""
    looks: Looks
    design: Design
    arms: tuple[Arm, ...]
    """The baseline first; with a rerun where the design is independent and nothing was logged."""
    critics: Mapping[str, Critic]
    """Every critic, by name; all but those of blind arms watch the baseline."""
    deadlines: Mapping[str, float]
    """By critic, seconds after which it is not waited for any longer."""
    conditions: Conditions
    can_go_back: bool
    """The world can be brought back to where an episode was."""
    needs_snapshots: bool
    """Arms can only be forked while the baseline's snapshots are in memory, which no journal keeps."""
    record: PlanRecord
    """What `plan.json` says; digests of the baseline's part and of each arm are in it."""

    @property
    def digest(self) -> str:
        """The sha256 of the record."""
        return self.record.digest

    def draw_seed(self, seed: int, arm: Arm) -> int:
        """Returns the seed that keys an arm's draws; arms that have it in common are coupled."""
        own = arm.is_rerun or (self.design == "independent" and not arm.is_baseline)
        if self.plan.continuations > 1:
            seed = self.plan.seeds[0]
        return derived_seed(seed, purpose=f"arm:{arm.name}") if own else seed

    @property
    def runs(self) -> tuple[int, ...]:
        """What names the runs of a task: its seeds, or the seed and those that follow it, one a continuation."""
        return self.record.seeds

    def continuation_seed(self, run: int) -> int:
        """Returns the seed that keys what a continuation draws after the fork."""
        first = self.plan.seeds[0]
        return derived_seed(first, purpose=f"continuation:{run - first}")

    def cell(self, task: Task, seed: int, arm: Arm) -> Cell:
        """Returns what an episode of the plan needs."""
        critics = {name: self.critics[name] for name in self.record.watching} if arm.is_baseline else {}
        if arm.policy is not None:
            critics = {arm.policy.critic_name: arm.policy.critic}
        return Cell(
            task=task,
            arm=arm.name,
            seed=seed,
            draw_seed=self.draw_seed(seed, arm),
            critics=critics,
            deadlines=self.deadlines,
            conditions=self.conditions,
        )


def freeze(plan: PilotPlan) -> FrozenPlan:
    """Makes the parts of a plan once, settles the design and hashes everything that decides behaviour.

    Raises:
        InvalidInput: The design asks for more than the world can do, or a config is not JSON.
    """
    plan = replace(plan, tasks=planned_order(plan.tasks, order_seed=plan.order_seed))
    looks = planned_looks(plan.looks, ordered=plan.tasks, rule=plan.rule)
    require_usable(plan.logged, rule=plan.rule, looks=looks)
    agent = _said("the agent's factory", plan.agent, check=checked_agent)
    environment = _said("the environment's factory", plan.environment, check=checked_environment)
    restorable = isinstance(environment, Restorable)
    is_replay_safe = _said("the environment's replay_safe", lambda: environment.replay_safe, check=bool)
    can_go_back = restorable or is_replay_safe
    if plan.design == "coupled" and not can_go_back:
        raise InvalidInput(
            "the environment can neither be replayed (replay_safe is False) nor restored (no snapshot and restore), so "
            "its arms cannot share episodes. Use design='independent'."
        )
    design: Design = "independent" if plan.design == "independent" or not can_go_back else "coupled"
    if plan.logged is not None and design == "coupled":
        raise InvalidInput(
            "the arms of this pilot are coupled: they share the agent's chance up to where they first act, which is "
            "worth more than logged runs, whose chance is their own. Leave them out, name a coupled pilot's "
            "journal, whose very runs are taken (earlier), or take design='independent'."
        )
    arms = sorted(plan.arms, key=lambda arm: not arm.is_baseline)
    needs_snapshots = design == "coupled" and (isinstance(agent, Restorable) or not is_replay_safe)
    if plan.continuations > 1 and (design == "independent" or needs_snapshots):
        why = (
            "the environment can neither be replayed nor restored"
            if not can_go_back
            else "the agent has a memory of its own (it is Restorable), which no journal keeps"
            if isinstance(agent, Restorable)
            else "the environment cannot be replayed (replay_safe is False), and no journal keeps its snapshots"
        )
        raise InvalidInput(
            f"continuations = {plan.continuations} has runs go on from the middle of others: {why}. Leave "
            "continuations out and give several seeds."
        )
    # Logged runs beside the baseline's own show how runs of the agent alone vary.
    if design == "independent" and plan.logged is None and not any(arm.is_rerun for arm in arms):
        arms.append(Arm.rerun())
        require_unique([arm.name for arm in arms], what="arm name")
    for arm in arms:
        if arm.policy is not None and undoes_steps(arm.policy.intervention) and not can_go_back:
            raise InvalidInput(
                f"arm {arm.name!r} undoes executed steps, but the environment can neither be replayed nor restored."
            )
    if plan.earlier:
        _require_takeable(design, remembers=isinstance(agent, Restorable), is_replay_safe=is_replay_safe)
    policies = [arm.policy for arm in arms if arm.policy is not None]
    critics = {policy.critic_name: policy.critic for policy in policies}
    conditions = Conditions(
        agent=plan.agent,
        environment=plan.environment,
        agent_remembers=isinstance(agent, Restorable),
        world_restorable=restorable,
        max_steps=plan.max_steps,
        call_deadline_s=plan.call_deadline_s,
    )
    record, found = _record(plan, looks, design, arms, critics, agent, environment)
    return FrozenPlan(
        plan=plan,
        earlier=found.rows,
        reviewers=found.reviewers,
        looks=looks,
        design=design,
        arms=tuple(arms),
        critics=critics,
        deadlines=_deadlines(policies),
        conditions=conditions,
        can_go_back=can_go_back,
        needs_snapshots=needs_snapshots,
        record=record,
    )


def _deadlines(policies: Sequence[InterventionPolicy]) -> dict[str, float]:
    """By critic; arms share a critic's scores, so that it can have only one."""
    deadlines: dict[str, float] = {}
    for policy in policies:
        before = deadlines.setdefault(policy.critic_name, policy.critic_deadline_s)
        if before != policy.critic_deadline_s:
            raise InvalidInput(
                f"critic {policy.critic_name!r:.60} has a deadline of {before:g} s in one arm and of "
                f"{policy.critic_deadline_s:g} s in another; arms share its scores, so give it one deadline."
            )
    return deadlines


def _record(
    plan: PilotPlan,
    looks: Looks,
    design: Design,
    arms: Sequence[Arm],
    critics: Mapping[str, Critic],
    agent: Agent,
    environment: Environment,
) -> tuple[PlanRecord, Taken]:
    baseline: dict[str, JSON] = {
        "tasks": task_records(plan.tasks),
        "seeds": [seed + n for seed in plan.seeds for n in range(plan.continuations)],
        **({"continuations": plan.continuations} if plan.continuations > 1 else {}),
        "max_steps": plan.max_steps,
        "design": design,
        "agent": _config(agent, "agent"),
        "environment": _config(environment, "environment"),
        "call_deadline_s": float(plan.call_deadline_s),
    }
    baseline |= logged_record(plan.logged, ordered=plan.tasks, as_run=baseline)
    records = {arm.name: _arm_record(arm) for arm in arms}
    configs = {name: _config(critic, "critic") for name, critic in critics.items()}
    found = taken(plan.earlier, baseline=baseline, arms=records, critics=configs)
    if found.records:
        baseline["earlier"] = to_builtins(found.records)
    return PlanRecord.make(baseline=baseline, arms=records, critics=configs, rule=plan.rule, looks=looks), found


def _require_takeable(design: Design, *, remembers: bool, is_replay_safe: bool) -> None:
    """Refuses to take runs where no journal can hold all that they were."""
    if design == "coupled" and is_replay_safe and not remembers:
        return
    why = (
        "is independent, where logged runs count as further runs of the baseline instead: say design = 'independent', "
        "or PilotPlan(logged=read_logged(...))"
        if design == "independent"
        else "has an agent with a memory of its own (it is Restorable), which no journal keeps"
        if remembers
        else "has an environment that cannot be replayed (replay_safe is False), and no journal keeps its snapshots"
    )
    raise InvalidInput(f"runs of earlier pilots are taken by coupled ones whose world can be replayed; this one {why}.")


def _config(part: Agent | Environment | Critic, what: str) -> Mapping[str, JSON]:
    return _said(f"the {what}'s config()", part.config, check=lambda config: checked_config(config, what=what))


def _said(what: str, call: Callable[[], _T], *, check: Callable[[_T], _Checked]) -> _Checked:
    """What foreign code says before anything runs; whatever else it does makes the plan unusable."""
    try:
        return answer_at_once(call, check=check)
    except ForeignFault as fault:
        if isinstance(fault.__cause__, ForbearError):
            raise fault.__cause__ from None
        text = fault.text.removeprefix("a wrong answer: ").rstrip(".")
        raise InvalidInput(f"{what} raised {text}." if fault.kind == "error" else f"{text}.") from fault


def _arm_record(arm: Arm) -> ArmRecord:
    policy = arm.policy
    if policy is None:
        kind: Literal["rerun", "baseline"] = "rerun" if arm.is_rerun else "baseline"
        return ArmRecord(digest=config_digest(arm.config()), kind=kind, is_control=arm.is_control)
    return ArmRecord(
        digest=config_digest(arm.config()),
        kind="policy",
        is_control=arm.is_control,
        critic=policy.critic_name,
        intervention=policy.intervention.name,
        policy=dict(policy.config()),
        blind_of=arm.blind_of,
        in_ladder=arm.in_ladder,
    )


def _require_ladder(arms: Sequence[Arm]) -> None:
    """Refuses a ladder beside another arm that may be deployed: what is tested when would depend on which it is."""
    rungs = [arm for arm in arms if arm.in_ladder]
    if not rungs:
        return
    unfit = [arm.name for arm in rungs if arm.is_control or arm.policy is None]
    others = [arm for arm in arms if not arm.in_ladder and arm.policy is not None]
    others = [arm for arm in others if not arm.is_control or arm.blind_of is not None]
    unfit += [arm.name for arm in others]
    if unfit:
        raise InvalidInput(
            "a pilot with a ladder has no arms beside it but the baseline and controls that see, and no control is in "
            f"it; got {', '.join(map(repr, unfit))}. Pilot them apart; a blind arm belongs beside the setting that was "
            "chosen."
        )
    if len(rungs) < 2:
        raise InvalidInput(f"a ladder has at least two arms, got {rungs[0].name!r:.60} alone.")


def _require_continuations(plan: PilotPlan) -> None:
    """Refuses continuations of what cannot be continued."""
    count = plan.continuations
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST_CONTINUATIONS:
        raise InvalidInput(f"continuations must be a whole number from 1 to {MOST_CONTINUATIONS}, got {count!r:.60}.")
    if count == 1:
        return
    if plan.design == "independent":
        raise InvalidInput(
            f"continuations = {count} needs a coupled design: in an independent one arms share nothing that could be "
            "continued. Leave design out, or give several seeds instead."
        )
    if len(plan.seeds) > 1:
        raise InvalidInput(
            f"continuations = {count} goes on from the one run of a task, got {len(plan.seeds)} seeds: give one seed, "
            "or leave continuations out."
        )
    if any(arm.is_rerun for arm in plan.arms):
        raise InvalidInput(
            f"continuations = {count} and a rerun arm do not go together: a rerun has no first step in common with the "
            "baseline. Leave the arm out; 'placebo' says what a fresh draw alone does."
        )


def _require_seeing(arms: Sequence[Arm]) -> None:
    """Refuses an arm that is blind to one which is not there, or which is a control itself."""
    seeing = {arm.name: arm for arm in arms if arm.policy is not None and not arm.is_control}
    for arm in arms:
        if arm.blind_of is None or arm.policy is None:
            continue
        like = seeing.get(arm.blind_of)
        if like is None or like.policy is None:
            raise InvalidInput(
                f"arm {arm.name!r:.60} is blind of {arm.blind_of!r:.60}, which is no arm with a critic that "
                f"sees; those are {', '.join(seeing) or 'none'}."
            )
        if replace(arm.policy, critic=like.policy.critic) != like.policy:
            raise InvalidInput(
                f"arm {arm.name!r:.60} differs from {arm.blind_of!r:.60} in more than the critic, so that nobody could "
                "say what the critic adds: make it with forbear.blind_arm."
            )
