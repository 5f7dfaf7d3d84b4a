"""What a pilot's report shows, as plain data: terminal and HTML render this and compute nothing."""

import json
from collections.abc import Iterable
from typing import TypedDict

from forbear.analysis.evidence import Evidence
from forbear.analysis.monitor import WITH_THE_OTHERS
from forbear.analysis.plan_record import ArmRecord
from forbear.analysis.result import ArmResult, PilotResult
from forbear.records.codec import ArmEnd
from forbear.records.model import Episode, Step
from forbear.report.view import ArmView, arm_view
from forbear.stats.looks.stopping import planned_effect
from forbear.wording import points

FORMAT = "forbear-pilot-view-1"

ESTIMAND = (
    "The gain is that over tasks like these with fresh draws of the agent: tasks count as a sample of the deployment's."
)
MOST_FORKS = 40
"""Tasks shown side by side, by arm; more make a page that nobody reads."""
MOST_STEPS = 40
MOST_POINTS = 400
"""Of a path; more would not be told apart in a picture."""


class CriticRow(TypedDict):
    """One offline measure of one critic."""

    critic: str
    measure: str
    value: float | None
    low: float | None
    high: float | None


class CostRow(TypedDict):
    """What one arm did and cost."""

    arm: str
    episodes: int
    success: float | None
    interventions_per_episode: float | None
    cascade_rate: float | None
    no_answer_rate: float | None
    agent_calls: int
    new_agent_calls: int
    critic_calls: int
    new_critic_calls: int
    shared_episodes: int
    rollback_noops: int


class DroppedView(TypedDict):
    """A proposal that did not simply run."""

    action: str
    decision: str
    p_fail: float | None


class StepView(TypedDict):
    """One step of one side of a fork."""

    index: int
    observation: str
    messages: list[str]
    dropped: list[DroppedView]
    executed: str | None


class SideView(TypedDict):
    """One arm's way from the fork on."""

    outcome: str
    steps: list[StepView]
    cut: int
    last: str | None


class ForkView(TypedDict):
    """A task whose outcome the arm changed."""

    kind: str
    task: str
    seed: int
    step: int
    baseline: SideView
    treated: SideView


class PointView(TypedDict):
    """The gain of the counts after so many tasks, in its confidence sequence."""

    tasks: int
    gain: float | None
    low: float
    high: float


class LookView(TypedDict):
    """One look that was taken."""

    number: int
    tasks: int
    recovered: float
    disrupted: float
    gain: float
    low: float
    high: float
    intervene_from: float | None
    """The gain from which on it says INTERVENE; None where none would."""
    forbear_to: float | None


class PathView(TypedDict):
    """How an arm came to where it is."""

    planned: int
    looks_planned: list[int]
    confidence: float
    """Of the sequence, two-sided."""
    points: list[PointView]
    looks: list[LookView]
    ended: str
    """Where it ended and why, or what comes next, as a sentence."""
    reason: str | None
    """`watch`, `decided`, `futile`, `last look`; None while it is not over."""


class TreatedView(TypedDict):
    """One treated arm."""

    decision: ArmView
    path: PathView
    description: str
    is_control: bool
    oracle_gain: float | None
    """What an intervention that never disrupted would have gained."""
    disruption_tax: float | None
    """What the disruptions took of it."""
    forks: list[ForkView]
    forks_left_out: int


class PilotView(TypedDict):
    """Everything that the report of a pilot says."""

    format: str
    title: str
    plan_digest: str
    journal: str
    tasks: int
    """That count: to the end of the last arm."""
    planned: int
    seeds: int
    design: str
    over: bool
    unused: list[tuple[str, int, str]]
    """Task, seed and arm of episodes beyond a stop: kept, but no evidence."""
    estimand: str
    baseline_success: float | None
    arms: list[TreatedView]
    critics: list[CriticRow]
    costs: list[CostRow]
    calls_alone: int
    calls_paid: int


def pilot_view(result: PilotResult, evidence: Evidence, *, title: str, journal: str) -> PilotView:
    """Arranges a pilot for its report.

    Args:
        result: What was found.
        evidence: What it says.
        title: Of the report, e.g. the name of the pilot's file.
        journal: Where the journal lies.
    """
    plan, baseline = result.plan, result.plan.baseline_arm
    return PilotView(
        format=FORMAT,
        title=title,
        plan_digest=result.plan_digest,
        journal=journal,
        tasks=result.tasks,
        planned=len(plan.tasks),
        seeds=len(plan.seeds),
        design=result.design,
        over=result.monitor.over,
        unused=list(result.unused),
        estimand=ESTIMAND,
        baseline_success=_share(result.arms[baseline].successes, result.arms[baseline].episodes),
        arms=[_treated(arm, result, evidence) for arm in plan.treated],
        critics=[
            CriticRow(critic=critic, measure=measure, value=e.value, low=e.low, high=e.high)
            for critic, report in evidence.critics.items()
            for measure, e in (report.overall.items() if report is not None else ())
            if e is not None
        ],
        costs=[_costs(arm) for arm in result.arms.values()],
        calls_alone=sum(arm.agent_calls for arm in result.arms.values()),
        calls_paid=sum(arm.new_agent_calls for arm in result.arms.values()),
    )


def describe_arm(arm: ArmRecord) -> str:
    """One line on what an arm does."""
    policy = arm.policy
    if arm.kind == "host":
        config = ", ".join(f"{key} {value!r}" for key, value in (policy or {}).items())
        return f"as its host runs it{f' ({config})' if config else ''}"
    if policy is None:
        return "the agent alone, at another seed" if arm.kind == "rerun" else "the agent alone"
    options = ", ".join(f"{key} {value!r}" for key, value in policy["intervention"].items() if key != "kind" and value)
    text = f"{arm.intervention}{f' ({options})' if options else ''} when p_fail > {policy['threshold']:g}"
    return f"{text}, from step {policy['min_step']} on, at most {policy['budget']} times, by {arm.critic}"


def _treated(arm: str, result: PilotResult, evidence: Evidence) -> TreatedView:
    baseline = result.plan.baseline_arm
    changed = list(_changed(result.episodes.values(), baseline=baseline, treated=arm))
    is_control, ceiling = arm in evidence.controls, evidence.ceilings.get(arm)
    decision = arm_view(arm, evidence.verdicts[arm])
    if is_control:
        decision["recommendation"] = "CONTROL"
        decision["headline"] = "CONTROL: what changes without help or harm from anybody; never deployed."
        decision["next"] = []
    return TreatedView(
        decision=decision,
        path=_path(arm, result, evidence),
        description=describe_arm(result.plan.arms[arm]),
        is_control=is_control,
        oracle_gain=None if ceiling is None else ceiling.oracle_gain.value,
        disruption_tax=None if ceiling is None else ceiling.disruption_tax.value,
        forks=[
            # Only coupled arms have their steps before the first intervention in common.
            _fork(before, after, first=(after.first_intervention or 0) if result.design == "coupled" else 0)
            for before, after in changed[:MOST_FORKS]
        ],
        forks_left_out=max(0, len(changed) - MOST_FORKS),
    )


def _path(arm: str, result: PilotResult, evidence: Evidence) -> PathView:
    path, looks, end = evidence.paths.get(arm), result.plan.looks, result.monitor.ends.get(arm)
    way: list[PointView] = []
    taken: list[LookView] = []
    if path is not None:
        step = max(1, path.tasks // MOST_POINTS)
        shown = sorted({*range(step - 1, path.tasks, step), *(look.tasks - 1 for look in path.looks), path.tasks - 1})
        way = [
            PointView(
                tasks=at + 1,
                gain=path.gains[at],
                low=path.low[at],
                high=path.high[at],
            )
            for at in shown
        ]
        taken = [
            LookView(
                number=look.number,
                tasks=look.tasks,
                recovered=look.recovered,
                disrupted=look.disrupted,
                gain=look.gain,
                low=look.interval.low,
                high=look.interval.high,
                intervene_from=look.intervene_from,
                forbear_to=look.forbear_to,
            )
            for look in path.looks
        ]
    return PathView(
        planned=looks.planned,
        looks_planned=list(looks.tasks),
        confidence=round(1 - 2 * result.plan.rule.alpha, 12),
        points=way,
        looks=taken,
        ended=_ended(end, result),
        reason=None if end is None else end.reason,
    )


def _ended(end: ArmEnd | None, result: PilotResult) -> str:
    looks, rule, monitor = result.plan.looks, result.plan.rule, result.monitor
    if end is None:
        following = next((n for n in looks.tasks if n > monitor.tasks), None)
        return "Run to the end." if following is None else f"Not over: the next look is at {following} tasks."
    number = looks.tasks.index(end.tasks) + 1 if end.tasks in looks.tasks else None
    at = f"at look {number} of {len(looks.tasks)}, after {end.tasks} tasks" if number else f"after {end.tasks} tasks"
    effect = planned_effect(looks, rule)
    return {
        "watch": f"The watch ended it {at}: by then a gain of {points(rule.worthwhile)} or more was rejected.",
        "decided": f"Decided {at}.",
        "futile": f"Ended as futile {at}: even with a gain of {points(effect.gain)} (and {effect.discordance:.0%} of "
        f"pairs differing) a later look would say INTERVENE in less than {looks.futility:.0%} of pilots.",
        "last look": f"Still undecided at the last look, {number} of {len(looks.tasks)}, after {end.tasks} tasks.",
        WITH_THE_OTHERS: f"Ended with the other arms {at}.",
    }.get(end.reason, f"Ended {at}.")


def _changed(episodes: Iterable[Episode], *, baseline: str, treated: str) -> Iterable[tuple[Episode, Episode]]:
    """Pairs of episodes whose outcomes differ, disrupted ones first."""
    by_key: dict[tuple[str, int], dict[str, Episode]] = {}
    for episode in episodes:
        by_key.setdefault((episode.task.id, episode.seed), {})[episode.arm] = episode
    pairs = [(arms[baseline], arms[treated]) for arms in by_key.values() if baseline in arms and treated in arms]
    for disrupted in (True, False):
        yield from ((b, t) for b, t in pairs if b.success is disrupted and t.success is (not disrupted))


def _fork(before: Episode, after: Episode, *, first: int) -> ForkView:
    return ForkView(
        kind="disrupted" if before.success else "recovered",
        task=before.task.id,
        seed=before.seed,
        step=first,
        baseline=_side(before, first=first),
        treated=_side(after, first=first),
    )


def _side(episode: Episode, *, first: int) -> SideView:
    # Steps are in the order in which they were taken, undone ones included; the first `first` are common to both.
    steps = episode.steps[first:]
    return SideView(
        outcome=f"{'succeeded' if episode.success else 'failed'} ({episode.termination.value.replace('_', ' ')})",
        steps=[_step(step) for step in steps[:MOST_STEPS]],
        cut=max(0, len(steps) - MOST_STEPS),
        last=episode.final_observation,
    )


def _step(step: Step) -> StepView:
    return StepView(
        index=step.index,
        observation=step.observation,
        messages=list(step.messages),
        dropped=[
            DroppedView(
                action=proposal.action.text,
                decision=proposal.decision,
                p_fail=max((p for p in proposal.p_fail.values() if p is not None), default=None),
            )
            for proposal in step.proposals
            if proposal.decision != "proceed"
        ],
        executed=None if step.executed is None else step.executed.text,
    )


def _costs(arm: ArmResult) -> CostRow:
    return CostRow(
        arm=arm.name,
        episodes=arm.episodes,
        success=_share(arm.successes, arm.episodes),
        interventions_per_episode=_share(arm.interventions, arm.episodes),
        cascade_rate=_share(arm.cascades, arm.episodes),
        no_answer_rate=_share(arm.no_answers, arm.episodes),
        agent_calls=arm.agent_calls,
        new_agent_calls=arm.new_agent_calls,
        critic_calls=arm.critic_calls,
        new_critic_calls=arm.new_critic_calls,
        shared_episodes=arm.shared_episodes,
        rollback_noops=arm.rollback_noops,
    )


def _share(k: int, n: int) -> float | None:
    return k / n if n else None


def pilot_json(view: PilotView, result: PilotResult, evidence: Evidence, *, report: str) -> str:
    """The pilot for programs: one `forbear-pilot-1` object, strict JSON.

    Args:
        view: From `pilot_view`.
        result: What was found.
        evidence: What it says.
        report: Where the HTML report lies.
    """
    costs = {row["arm"]: row for row in view["costs"]}
    critics = {
        name: {measure: None if e is None else e.to_dict() for measure, e in report.overall.items()}
        for name, report in evidence.critics.items()
        if report is not None
    }
    paths = {arm["decision"]["arm"]: arm["path"] for arm in view["arms"]}
    baseline, *treated = result.arms.values()
    payload = {
        "format": "forbear-pilot-1",
        "plan_digest": view["plan_digest"],
        "journal": view["journal"],
        "report": report,
        "tasks": view["tasks"],
        "planned_tasks": view["planned"],
        "over": view["over"],
        "looks": result.plan.looks.to_dict(),
        "unused": [{"task": task, "seed": seed, "arm": arm} for task, seed, arm in view["unused"]],
        "seeds": view["seeds"],
        "design": view["design"],
        "critic": next(iter(critics.values()), None),
        "critics": critics,
        "baseline": {
            "success": view["baseline_success"],
            "agent_calls": baseline.agent_calls,
            "critic_calls": baseline.critic_calls,
            "steps": baseline.steps,
        },
        "arms": {
            arm.name: {
                "verdict": evidence.verdicts[arm.name].to_dict(),
                "path": paths[arm.name],
                "agent_calls": arm.agent_calls,
                "new_calls": arm.new_agent_calls,
                "interventions_per_episode": costs[arm.name]["interventions_per_episode"],
                "cascade_rate": costs[arm.name]["cascade_rate"],
                "no_answer_rate": costs[arm.name]["no_answer_rate"],
                "rollback_noops": arm.rollback_noops,
                "shared_episodes": arm.shared_episodes,
            }
            for arm in treated
        },
    }
    return json.dumps(payload, indent=2, allow_nan=False)
