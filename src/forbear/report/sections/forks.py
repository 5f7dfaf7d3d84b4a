"""The tasks whose outcome an arm changed: both ways side by side, from where they may differ on."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from forbear.analysis.result import PilotResult
    from forbear.records.model import Episode, Proposal, Step

MOST_FORKS = 40
"""Tasks shown side by side, by arm; more make a page that nobody reads."""
MOST_STEPS = 40
MOST_TEXT = 700
"""Characters of one observation, message or action."""
MOST_CHARACTERS = 900_000
"""Of all tasks shown side by side on one page, with what a page writes around them."""
_OUTCOMES = {True: "succeeded", False: "failed", None: "no outcome"}
_AROUND = 250
"""Characters around each step."""


class DroppedView(TypedDict):
    """A proposal that did not simply run."""

    shown: int
    """How many of the step's messages the agent had been told before it."""
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
    p_fail: float | None
    """The highest score of what was executed; None where nothing was, or no critic answered."""


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
    parts: int | None
    """Place, from `step` on, where the two sides first execute something else; None where they never do."""
    baseline: SideView
    treated: SideView


def view(arm: str, result: PilotResult) -> tuple[list[ForkView], int]:
    """The forks of an arm, disrupted ones first, and how many were left out: arms have equal shares of the page."""
    changed = list(_changed(result.episodes.values(), baseline=result.plan.baseline_arm, treated=arm))
    left = MOST_CHARACTERS / max(1, len(result.plan.treated))
    shown: list[ForkView] = []
    record = result.plan.arms[arm]
    # A blind arm's own scores are a coin's: what is shown is what the critic said of which it is blind.
    critic = record.critic if record.blind_of is None else result.plan.arms[record.blind_of].critic
    for before, after in changed[:MOST_FORKS]:
        # Only coupled arms have their steps before the first intervention in common.
        first = (after.first_intervention or 0) if result.design == "coupled" else 0
        fork = _fork(before, after, critic=critic, first=first)
        left -= len(str(fork)) + _AROUND * (len(fork["baseline"]["steps"]) + len(fork["treated"]["steps"]))
        if left < 0 and shown:
            break
        shown.append(fork)
    return shown, len(changed) - len(shown)


def _changed(episodes: Iterable[Episode], *, baseline: str, treated: str) -> Iterable[tuple[Episode, Episode]]:
    """Pairs of episodes whose outcomes differ, disrupted ones first."""
    by_key: dict[tuple[str, int], dict[str, Episode]] = {}
    for episode in episodes:
        if episode.arm in (baseline, treated):
            by_key.setdefault((episode.task.id, episode.seed), {})[episode.arm] = episode
    pairs = [(arms[baseline], arms[treated]) for arms in by_key.values() if len(arms) == 2]
    for disrupted in (True, False):
        yield from ((b, t) for b, t in pairs if b.success is disrupted and t.success is (not disrupted))


def _fork(before: Episode, after: Episode, *, critic: str | None, first: int) -> ForkView:
    return ForkView(
        kind="disrupted" if before.success else "recovered",
        task=before.task.id,
        seed=before.seed,
        step=first,
        parts=parts(before, after, first=first),
        baseline=side(before, critic=critic, first=first),
        treated=side(after, critic=critic, first=first),
    )


def parts(before: Episode, after: Episode, *, first: int = 0) -> int | None:
    """The place, from a step on, where two episodes first execute something else; None where they never do."""
    ours, theirs = ([step.executed for step in one.steps[first:]] for one in (before, after))
    for place, (one, other) in enumerate(zip_longest(ours, theirs)):
        if one != other:
            return place
    return None


def side(episode: Episode, *, critic: str | None, first: int = 0, most: int = MOST_STEPS) -> SideView:
    """One episode from a step on, with so many steps at most, and the scores of one critic."""
    # Steps are in the order in which they were taken, undone ones included; the first `first` are common to both.
    steps = episode.steps[first:]
    last = episode.final_observation
    return SideView(
        outcome=f"{_OUTCOMES[episode.success]} ({episode.termination.value.replace('_', ' ')})",
        steps=[_step(step, critic) for step in steps[:most]],
        cut=max(0, len(steps) - most),
        last=None if last is None else last[:MOST_TEXT],
    )


def _step(step: Step, critic: str | None) -> StepView:
    return StepView(
        index=step.index,
        observation=step.observation[:MOST_TEXT],
        messages=[message[:MOST_TEXT] for message in step.messages],
        dropped=[
            DroppedView(
                shown=proposal.shown,
                action=proposal.action.text[:MOST_TEXT],
                decision=proposal.decision,
                p_fail=_score(proposal, critic),
                why=[why[:MOST_TEXT] for why in proposal.why.values()],
            )
            for proposal in step.proposals
            if proposal.decision != "proceed"
        ],
        executed=None if step.executed is None else step.executed.text[:MOST_TEXT],
        p_fail=_score(step.proposals[-1], critic) if step.proposals and step.executed is not None else None,
    )


def _score(proposal: Proposal, critic: str | None) -> float | None:
    """What the arm's own critic said; of an arm without one the highest of those that watched."""
    if critic is not None:
        return proposal.p_fail.get(critic)
    return max((p for p in proposal.p_fail.values() if p is not None), default=None)
