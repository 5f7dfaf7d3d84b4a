"""The tasks whose outcome an arm changed: both ways side by side, from where they may differ on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from forbear.analysis.result import PilotResult
    from forbear.records.model import Episode, Step

MOST_FORKS = 40
"""Tasks shown side by side, by arm; more make a page that nobody reads."""
MOST_STEPS = 40
MOST_TEXT = 2000
"""Characters of one observation, message or action."""


class DroppedView(TypedDict):
    """A proposal that did not simply run."""

    action: str
    decision: str
    p_fail: float | None
    why: list[str]
    """Reasons of critics, where they gave some."""


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


def view(arm: str, result: PilotResult) -> tuple[list[ForkView], int]:
    """The forks of an arm, disrupted ones first, and how many were left out."""
    changed = list(_changed(result.episodes.values(), baseline=result.plan.baseline_arm, treated=arm))
    shown = [
        # Only coupled arms have their steps before the first intervention in common.
        _fork(before, after, first=(after.first_intervention or 0) if result.design == "coupled" else 0)
        for before, after in changed[:MOST_FORKS]
    ]
    return shown, max(0, len(changed) - MOST_FORKS)


def _changed(episodes: Iterable[Episode], *, baseline: str, treated: str) -> Iterable[tuple[Episode, Episode]]:
    """Pairs of episodes whose outcomes differ, disrupted ones first."""
    by_key: dict[tuple[str, int], dict[str, Episode]] = {}
    for episode in episodes:
        if episode.arm in (baseline, treated):
            by_key.setdefault((episode.task.id, episode.seed), {})[episode.arm] = episode
    pairs = [(arms[baseline], arms[treated]) for arms in by_key.values() if len(arms) == 2]
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
    last = episode.final_observation
    return SideView(
        outcome=f"{'succeeded' if episode.success else 'failed'} ({episode.termination.value.replace('_', ' ')})",
        steps=[_step(step) for step in steps[:MOST_STEPS]],
        cut=max(0, len(steps) - MOST_STEPS),
        last=None if last is None else last[:MOST_TEXT],
    )


def _step(step: Step) -> StepView:
    return StepView(
        index=step.index,
        observation=step.observation[:MOST_TEXT],
        messages=[message[:MOST_TEXT] for message in step.messages],
        dropped=[
            DroppedView(
                action=proposal.action.text[:MOST_TEXT],
                decision=proposal.decision,
                p_fail=max((p for p in proposal.p_fail.values() if p is not None), default=None),
                why=[why[:MOST_TEXT] for why in proposal.why.values()],
            )
            for proposal in step.proposals
            if proposal.decision != "proceed"
        ],
        executed=None if step.executed is None else step.executed.text[:MOST_TEXT],
    )
