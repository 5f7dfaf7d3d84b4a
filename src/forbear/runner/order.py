"""Which tasks, in what order, looked at when: what every plan has in common, whoever runs its episodes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from forbear.contracts.border import check_task
from forbear.errors import InvalidInput
from forbear.outcomes.clustered import MIN_CLUSTERS
from forbear.outcomes.logged import LoggedRuns
from forbear.records.codec import config_digest
from forbear.records.model import JSON, Task
from forbear.stats.looks.looks import Looks
from forbear.stats.looks.sequential import require_joinable
from forbear.stats.rule import DecisionRule
from forbear.wording import described, listed, shown

DEFAULT_SEEDS = (42,)
"""Of a plan that names none."""


def require_plan(
    tasks: Sequence[Task], *, seeds: Sequence[int], arms: Sequence[str], rule: DecisionRule, order_seed: int
) -> None:
    """Refuses what no pilot can be made of.

    Raises:
        InvalidInput: Something is missing, doubled or out of range.
    """
    if not tasks or not seeds:
        raise InvalidInput("a pilot needs at least one task and one seed.")
    for task in tasks:
        check_task(task)
    require_unique([task.id for task in tasks], what="task id")
    require_unique(list(seeds), what="seed")
    clusters = {task.group for task in tasks}
    if any(task.cluster for task in tasks) and len(clusters) < MIN_CLUSTERS:
        raise InvalidInput(
            f"the tasks form {len(clusters)} clusters; a verdict over clusters needs at least {MIN_CLUSTERS}. Add "
            "tasks from other clusters, or leave the clusters out and speak about these clusters only."
        )
    require_unique(arms, what="arm name")
    if not all(isinstance(seed, int) and not isinstance(seed, bool) for seed in seeds):
        raise InvalidInput(f"seeds must be whole numbers, got {list(seeds)!r:.80}.")
    if not isinstance(rule, DecisionRule):
        raise InvalidInput(f"rule must be a DecisionRule, got {described(rule)}.")
    if not isinstance(order_seed, int) or isinstance(order_seed, bool):
        raise InvalidInput(f"order_seed must be a whole number, got {order_seed!r:.60}.")


def planned_order(tasks: Sequence[Task], *, order_seed: int) -> tuple[Task, ...]:
    """The tasks in the planned order: random, the same on every machine, and clusters in one piece."""

    def rank(task: Task) -> tuple[str, str]:
        own = config_digest(["order", order_seed, task.id])
        return (own if task.cluster is None else config_digest(["order", order_seed, task.cluster]), own)

    return tuple(sorted(tasks, key=rank))


def planned_looks(looks: Looks | Sequence[int] | None, *, ordered: Sequence[Task], rule: DecisionRule) -> Looks:
    """The looks of a plan.

    Args:
        looks: As the plan says; None: `Looks`' default for this many tasks.
        ordered: Its tasks in the planned order.
        rule: Its rule.

    Raises:
        InvalidInput: The last look is not at all tasks, the first one sees too few clusters, or the rule's guarantee is
            not to be had for clusters at several looks.
    """
    count, clustered = len(ordered), any(task.cluster for task in ordered)
    if looks is None:
        looks = Looks.for_tasks(count)
        if clustered:
            looks = replace(looks, tasks=tuple(n for n in looks.tasks if _clusters(ordered[:n]) >= MIN_CLUSTERS))
    elif not isinstance(looks, Looks):
        looks = Looks(tasks=tuple(looks))
    if clustered:
        require_joinable(looks, rule)
    if clustered and _clusters(ordered[: looks.tasks[0]]) < MIN_CLUSTERS:
        raise InvalidInput(
            f"the first look, at {looks.tasks[0]} tasks, would see fewer than the {MIN_CLUSTERS} clusters that a "
            "verdict needs: make it later."
        )
    if looks.planned != count:
        raise InvalidInput(
            f"the last look is at {looks.planned} tasks, the plan has {count}: nothing is run beyond the last look. "
            f"Give a last look at {count}, or another number of tasks."
        )
    return looks


def task_records(ordered: Sequence[Task]) -> list[JSON]:
    """The tasks as `PlanRecord.make` takes them.

    Raises:
        InvalidInput: A payload holds what JSON cannot.
    """
    return [[task.id, config_digest([task.payload, task.stratum, task.cluster]), task.cluster] for task in ordered]


def logged_record(logged: LoggedRuns | None, *, ordered: Sequence[Task], as_run: Mapping[str, JSON]) -> dict[str, JSON]:
    """Logged runs as `PlanRecord.make` takes them, by the name of their field; nothing where there are none.

    Args:
        logged: Runs of the agent alone from before the pilot.
        ordered: The tasks in the planned order.
        as_run: How the pilot runs its episodes: its `agent`, `environment` and `max_steps`.

    Raises:
        InvalidInput: A task has none, or the log says that another agent, world or task was run.
    """
    if logged is None:
        return {}
    used = logged.of([task.id for task in ordered])
    for part, said in (logged.ran_as or {}).items():
        if part in as_run and config_digest([said]) != config_digest([as_run[part]]):
            raise InvalidInput(
                f"{shown(logged.source)}: its {part} was {shown(repr(said), limit=150)}, the pilot's is "
                f"{shown(repr(as_run[part]), limit=150)}. Logged runs count as runs of the baseline only where they "
                "are of the same agent in the same world."
            )
    now = {str(record[0]): record[1] for record in task_records(ordered) if isinstance(record, list)}
    changed = [task for task, digest in used.tasks.items() if now.get(task, digest) != digest]
    if changed:
        raise InvalidInput(f"{shown(logged.source)}: the tasks {listed(changed)} were others there, by the same ids.")
    record: dict[str, JSON] = {
        "source": used.source,
        "digest": used.digest,
        "runs": ["".join(str(int(run)) for run in runs) for runs in used.runs.values()],
        "without_outcome": used.without_outcome,
    }
    return {"logged": record}


def require_usable(logged: LoggedRuns | None, *, rule: DecisionRule, looks: Looks) -> None:
    """Refuses logged runs that a verdict could not use.

    Raises:
        InvalidInput: The guarantee is finite-sample with several looks, which tests seed by seed.
    """
    if logged is not None and rule.guarantee == "finite-sample" and len(looks.tasks) > 1:
        raise InvalidInput(
            "with several looks the finite-sample guarantee tests seed by seed, which leaves logged runs without a "
            "partner: declare one look, or take the calibrated guarantee."
        )


def require_unique(values: Sequence[str | int], *, what: str) -> None:
    """Refuses a name that is there twice.

    Raises:
        InvalidInput: One is.
    """
    seen: set[str | int] = set()
    for value in values:
        if value in seen:
            raise InvalidInput(f"{what} {value!r:.80} occurs twice; it names an episode and has to be unique.")
        seen.add(value)


def _clusters(tasks: Sequence[Task]) -> int:
    return len({task.group for task in tasks})
