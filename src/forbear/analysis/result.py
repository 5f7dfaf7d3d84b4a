"""What a pilot found, before any statistics: every episode accounted for once."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from msgspec.structs import replace

from forbear.analysis.monitor import Monitor, monitor_of
from forbear.analysis.plan_record import Design, PlanRecord
from forbear.errors import InvalidInput
from forbear.records.codec import EpisodeKey, Missing, encode_record
from forbear.records.journal import Journal, JournalContent
from forbear.records.model import (
    PROCEED,
    REFUSED,
    Episode,
    EpisodeUsage,
    RoleUsage,
    Termination,
    Usage,
    paid_usage,
    total_usage,
)

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
    usage: EpisodeUsage
    """By role, what it paid for and what it took from the arms before it."""
    critic_faults: int
    """Scores that a critic owed: it broke, was too late, or said something that is no probability."""
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

    @property
    def agent_calls(self) -> int:
        """What the arm would have taken by itself."""
        return self.usage.agent.calls

    @property
    def new_agent_calls(self) -> int:
        """What it took beside the arms before it."""
        return self.usage.agent.paid.calls

    @property
    def critic_calls(self) -> int:
        """What the arm would have taken by itself."""
        return self.usage.critic.calls

    @property
    def new_critic_calls(self) -> int:
        """What it took beside the arms before it."""
        return self.usage.critic.paid.calls


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotResult:
    """Everything that verdicts, tables and reports need; rebuilt from the journal at any time."""

    plan: PlanRecord = field(repr=False)
    """What was planned."""
    arms: Mapping[str, ArmResult]
    """By name, the baseline first."""
    # No part of its repr, which asyncio asks for when the loop that made it is closed: that would be megabytes of text.
    episodes: Mapping[EpisodeKey, Episode] = field(repr=False)
    """The evidence: those with an outcome, to the end of each arm or the last declared look that was taken, in the
    order of the plan: by task, seed, arm."""
    missing: Mapping[EpisodeKey, Missing] = field(repr=False)
    """Those that will have none."""
    bill: Usage
    """All that was paid for, whatever became of it: also by attempts that broke, and beyond the ends of arms."""
    unused: Mapping[EpisodeKey, Episode] = field(repr=False)
    """Paid for and kept, but no evidence: they were under way beyond the task at which their arm ended."""
    monitor: Monitor = field(repr=False, compare=False)
    """How the evidence came in, and which arms are over."""

    @property
    def plan_digest(self) -> str:
        """The sha256 of the plan."""
        return self.plan.digest

    @property
    def design(self) -> Design:
        """How arms share."""
        return self.plan.design

    @property
    def tasks(self) -> int:
        """Tasks that count: to the end of the last arm."""
        return self.monitor.counted(self.plan.baseline_arm)

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
    chosen, asked = list(episodes), set(critics)
    first: Counter[int] = Counter()
    interventions = cascades = noops = refusals = faults = steps = 0
    for episode in chosen:
        applied = 0
        for step in episode.steps:
            steps += step.executed is not None
            for proposal in step.proposals:
                if proposal.decision != PROCEED:
                    applied += proposal.intervened
                    refusals += proposal.decision == REFUSED
                if proposal.faults:
                    faults += len(asked & proposal.faults.keys())
        interventions += applied
        cascades += applied >= CASCADE
        if applied:
            noops += episode.rollback_noops
            first.update([index] if (index := episode.first_intervention) is not None else [])
    return ArmResult(
        name=name,
        episodes=len(chosen),
        successes=sum(bool(e.success) for e in chosen),
        missing=missing,
        steps=steps,
        usage=total_usage([episode.usage for episode in chosen]),
        critic_faults=faults,
        interventions=interventions,
        cascades=cascades,
        no_answers=sum(e.termination is not Termination.FINISHED for e in chosen),
        rollback_noops=noops,
        refusals=refusals,
        shared_episodes=sum(e.origin is not None and e.origin.step is None for e in chosen),
        first_interventions=dict(sorted(first.items())),
    )


def analyse(plan: PlanRecord, content: JournalContent, *, monitor: Monitor | None = None) -> PilotResult:
    """Brings what a journal holds into the order of the plan, parts the evidence from what is not, and counts.

    Args:
        plan: Of the pilot.
        content: What its journal holds.
        monitor: Brought as far as that; omitted: made anew.

    Raises:
        InvalidInput: The journal holds what the plan cannot have.
    """
    monitor = monitor or monitor_of(plan, content)
    arms = list(plan.arms)
    ends = {arm: monitor.counted(arm) for arm in arms}
    over = {arm for arm in arms if arm in monitor.ends or monitor.over}
    if all(arm in over for arm in plan.treated):
        over.add(plan.baseline_arm)
    used: dict[EpisodeKey, Episode] = {}
    unused: dict[EpisodeKey, Episode] = {}
    missing: dict[EpisodeKey, Missing] = {}
    for position, task in enumerate(plan.tasks):
        for seed in plan.seeds:
            for arm in arms:
                key = (task.id, seed, arm)
                episode = content.episodes.get(key)
                if episode is not None:
                    if position < ends[arm]:
                        used[key] = episode
                    elif arm in over:
                        unused[key] = episode
                elif key in content.missing and position < ends[arm]:
                    missing[key] = content.missing[key]
    by_arm: dict[str, list[Episode]] = {arm: [] for arm in arms}
    for key, episode in used.items():
        by_arm[key[2]].append(episode)
    return PilotResult(
        plan=plan,
        arms={
            arm: count_arm(arm, chosen, missing=ends[arm] * len(plan.seeds) - len(chosen), critics=_asked(plan, arm))
            for arm, chosen in by_arm.items()
        },
        episodes=used,
        missing=missing,
        bill=paid_usage(episode.usage for episode in content.last_attempts()),
        unused=unused,
        monitor=monitor,
    )


def analyse_journal(journal: Journal) -> PilotResult:
    """What the journal in a directory holds, by its own plan.

    Raises:
        InvalidInput: No readable journal there, or one that no verdict can be made of.
    """
    content = journal.read()
    return analyse(PlanRecord.of(content.plan, where=str(journal.directory)), content)


def _asked(plan: PlanRecord, arm: str) -> list[str]:
    """Names of the critics that were asked for an arm: every one in the baseline, its own in a treated one."""
    record = plan.arms[arm]
    if record.kind == "baseline":
        return plan.watching
    return [] if record.critic is None else [record.critic]


def findings_digest(plan: PlanRecord, content: JournalContent) -> str:
    """Returns the sha256 of what was found: episodes and missing ones in the order of (task, seed, arm).

    Seconds, broken attempts, causes and the order of lines are no part of it; nor is what an arm ran beyond its end,
    which depends on how many runs were under way. The same for any order, concurrency or interruption.
    """
    used, digest = _used(plan, content), hashlib.sha256()
    for key in sorted(key for key in content.episodes.keys() | content.missing.keys() if used(key)):
        episode = content.episodes.get(key)
        if episode is None:
            record: Missing | Episode = replace(content.missing[key], reason="")
        else:
            record = replace(episode, usage=_timeless(episode.usage), cause=None)
        digest.update(encode_record(record) + b"\n")
    return digest.hexdigest()


def _used(plan: PlanRecord, content: JournalContent) -> Callable[[EpisodeKey], bool]:
    """Whether an episode is evidence: it lies before the end of its arm, the baseline's before that of all."""
    if not content.ends:
        return lambda key: True
    position = {task.id: n for n, task in enumerate(plan.tasks)}
    last = {arm: end.tasks for arm, end in content.ends.items()}
    if all(arm in last for arm in plan.treated):
        last[plan.baseline_arm] = max(last.values())
    return lambda key: key[2] not in last or position.get(key[0], 0) < last[key[2]]


def _timeless(usage: EpisodeUsage) -> EpisodeUsage:
    def role(one: RoleUsage) -> RoleUsage:
        return RoleUsage(paid=calm(one.paid), reused=calm(one.reused))

    def calm(one: Usage) -> Usage:
        return replace(one, seconds=None)

    return EpisodeUsage(agent=role(usage.agent), critic=role(usage.critic), feedback=role(usage.feedback))
