"""What a pilot found, before any statistics: every episode accounted for once."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from forbear.errors import InvalidInput
from forbear.records.codec import EpisodeKey
from forbear.records.journal import Exclusion
from forbear.records.model import REFUSED, Episode, Termination
from forbear.runner.course import Course
from forbear.runner.plan import Design, FrozenPlan

CASCADE = 3
"""Interventions from which on an episode counts as a cascade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResult:
    """One arm, counted."""

    name: str
    episodes: int
    """With an outcome."""
    successes: int
    missing: int
    """Episodes without outcome."""
    steps: int
    """Executed, undone ones included."""
    agent_calls: int
    """What the arm would have taken by itself."""
    new_agent_calls: int
    """What it took beside the arms before it."""
    critic_calls: int
    new_critic_calls: int
    critic_faults: int
    """Scores that a critic owed: it broke, was too late, or said something that is no probability."""
    tokens: int | None
    """Of all proposals; None where the agent does not say."""
    interventions: int
    cascades: int
    """Episodes with at least `CASCADE` interventions."""
    no_answers: int
    """Episodes that ended without the environment saying that they are over."""
    rollback_noops: int
    """Retries that proposed the very action that had been dropped."""
    refusals: int
    """Rollbacks refused because they would have crossed an irreversible action."""
    shared_episodes: int
    """Episodes that are wholly another arm's."""
    first_interventions: Mapping[int, int]
    """Step index → episodes whose first intervention was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotResult:
    """Everything that verdicts, tables and reports need; rebuilt from the journal at any time."""

    plan_digest: str
    design: Design
    arms: Mapping[str, ArmResult]
    """By name, the baseline first."""
    episodes: Mapping[EpisodeKey, Episode]
    """The evidence: those with an outcome, to the end of each arm, in the order of the plan: by task, seed, arm."""
    exclusions: Mapping[EpisodeKey, Exclusion]
    """Those that will have none."""
    unused: Mapping[EpisodeKey, Episode]
    """Paid for and kept, but no evidence: they were under way beyond the task at which their arm ended."""
    course: Course = field(repr=False, compare=False)
    """How the evidence came in, and which arms are over."""
    frozen: FrozenPlan = field(repr=False, compare=False)
    """What was planned."""

    def arm(self, name: str) -> ArmResult:
        """Returns one arm's counts.

        Raises:
            InvalidInput: There is no such arm.
        """
        if name not in self.arms:
            raise InvalidInput(f"there is no arm {name!r:.60}; there are {', '.join(self.arms)}.")
        return self.arms[name]


def count_arm(name: str, episodes: Iterable[Episode], *, missing: int, critics: Iterable[str]) -> ArmResult:
    """Counts an arm.

    Args:
        name: Of the arm.
        episodes: Its episodes with an outcome.
        missing: How many have none.
        critics: Names of the critics that were asked for it.
    """
    chosen = list(episodes)
    asked = set(critics)
    proposals = [proposal for e in chosen for step in e.steps for proposal in step.proposals]
    tokens = [e.usage.tokens for e in chosen if e.usage.tokens is not None]
    return ArmResult(
        name=name,
        episodes=len(chosen),
        successes=sum(bool(e.success) for e in chosen),
        missing=missing,
        steps=sum(step.executed is not None for e in chosen for step in e.steps),
        agent_calls=sum(e.usage.agent_calls for e in chosen),
        new_agent_calls=sum(e.usage.new_agent_calls for e in chosen),
        critic_calls=sum(e.usage.critic_calls for e in chosen),
        new_critic_calls=sum(e.usage.new_critic_calls for e in chosen),
        critic_faults=sum(len(asked & proposal.faults.keys()) for proposal in proposals),
        tokens=sum(tokens) if tokens else None,
        interventions=sum(e.interventions for e in chosen),
        cascades=sum(e.interventions >= CASCADE for e in chosen),
        no_answers=sum(e.termination is not Termination.FINISHED for e in chosen),
        rollback_noops=sum(e.rollback_noops for e in chosen),
        refusals=sum(proposal.decision == REFUSED for proposal in proposals),
        shared_episodes=sum(e.origin is not None and e.origin.step is None for e in chosen),
        first_interventions=dict(
            sorted(Counter(e.first_intervention for e in chosen if e.first_intervention is not None).items())
        ),
    )


def result_of(
    frozen: FrozenPlan,
    course: Course,
    *,
    episodes: Mapping[EpisodeKey, Episode],
    exclusions: Mapping[EpisodeKey, Exclusion],
) -> PilotResult:
    """Brings episodes into the order of the plan, parts the evidence from what is not, and counts every arm."""
    plan = frozen.plan
    ends = {arm.name: course.tasks_of(arm.name) for arm in frozen.arms}
    used: dict[EpisodeKey, Episode] = {}
    unused: dict[EpisodeKey, Episode] = {}
    left_out: dict[EpisodeKey, Exclusion] = {}
    for place, task in enumerate(plan.tasks):
        for seed in plan.seeds:
            for arm, end in ends.items():
                key = (task.id, seed, arm)
                if key in episodes:
                    (used if place < end else unused)[key] = episodes[key]
                elif key in exclusions and place < end:
                    left_out[key] = exclusions[key]
    by_arm: dict[str, list[Episode]] = {arm: [] for arm in ends}
    for key, episode in used.items():
        by_arm[key[2]].append(episode)
    cells = {arm.name: frozen.cell(plan.tasks[0], plan.seeds[0], arm) for arm in frozen.arms}
    return PilotResult(
        plan_digest=frozen.digest,
        design=frozen.design,
        arms={
            name: count_arm(
                name, chosen, missing=ends[name] * len(plan.seeds) - len(chosen), critics=cells[name].critics
            )
            for name, chosen in by_arm.items()
        },
        episodes=used,
        exclusions=left_out,
        unused=unused,
        course=course,
        frozen=frozen,
    )
