"""What makes a policy safe, for one episode: the runner and the guard both run this, free of memo and journal.

The critic is asked within its deadline; one that breaks, is late, talks nonsense or abstains lets the agent go on
(`fail_open`); the pure policy decides; the intervention says what happens, and is refused where it breaks, is late,
answers with something else or would undo what the world calls irreversible.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from msgspec import Struct

from forbear.contracts.border import checked_effect, checked_score
from forbear.contracts.critic import Critic, Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Continue, Effect, Halt, Retry
from forbear.policy.foreign import ForeignFault, answer, answer_at_once, as_it_is, called
from forbear.policy.policy import Decision, InterventionPolicy, PolicyState
from forbear.records.model import PROCEED, REFUSED, Action, Trajectory, Usage

logger = logging.getLogger(__name__)

CONTINUE = Continue()


class Review(Struct, frozen=True, gc=False):
    """What became of asking a critic."""

    score: Score
    fault: str | None = None
    """`error`, `timeout` or `invalid` where it could not answer; its score then abstains and says what was wrong."""
    is_outage: bool = False
    """What it relies on is down (a `ProviderError`): a guard lets the agent go on, a pilot knows nothing of the run."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is to happen with a proposal."""

    effect: Effect
    decision: str
    """As records call it: `PROCEED`, `REFUSED`, or the name of the intervention."""
    refusal: str | None = None
    """What the intervention did instead of answering, where it broke."""
    is_outage: bool = False
    """What the intervention relies on is down, as for a `Review`."""

    def with_usage(self, usage: Usage) -> "Ruling":
        """The same, its effect saying what writing its message took."""
        if isinstance(self.effect, Halt):
            return self
        return replace(self, effect=replace(self.effect, usage=usage))


async def ask(critic: Critic, trajectory: Trajectory, proposed: Action, *, draw: Draw, deadline_s: float) -> Review:
    """Asks a critic; whatever it does, there is an answer."""
    try:
        return Review(
            await answer(
                lambda: called(critic.score, trajectory, proposed, draw=draw), seconds=deadline_s, check=checked_score
            )
        )
    except ForeignFault as fault:  # a critic that breaks must not take the agent down with it
        logger.info("a critic broke, the agent goes on: %s", fault.text)
        is_outage = fault.kind == "provider"
        return Review(Score(None, fault.text), "error" if is_outage else fault.kind, is_outage)


class Judge:
    """A policy at work in one episode; remembers what the policy has to remember."""

    def __init__(self, policy: InterventionPolicy) -> None:
        self.policy = policy
        self.state = PolicyState()

    def decide(self, step_index: int, review: Review) -> bool:
        """Whether the intervention is due for a proposal; to be asked once for each, in order.

        Args:
            step_index: Index of the step for which the action is proposed; goes back when steps are undone.
            review: What the policy's critic said of it.
        """
        p_fail = review.score.signal
        if review.fault is not None and not self.policy.fail_open:
            p_fail = float(self.policy.up_to)
        decision, self.state = self.policy.decide(self.state, step_index, p_fail)
        return decision is Decision.ACT

    async def intervene(self, trajectory: Trajectory, proposed: Action, review: Review, *, draw: Draw) -> Ruling:
        """Asks the intervention what happens, once it is due; one that breaks is refused, and the agent goes on."""
        score, intervention = review.score, self.policy.intervention
        if score.signal is None:
            score = Score(1.0, score.why, score.usage)
        try:
            effect = await self._effect(lambda: intervention.apply(trajectory, proposed, score=score, draw=draw))
        except ForeignFault as fault:
            logger.info("intervention %r broke, the agent goes on: %s", intervention.name, fault.text)
            is_outage = fault.kind == "provider"
            return Ruling(CONTINUE, REFUSED, refusal=f"{fault.kind}: {fault.text}", is_outage=is_outage)
        if isinstance(effect, Retry) and effect.undo and undoes_for_good(trajectory, effect.undo):
            return Ruling(CONTINUE, REFUSED)
        return Ruling(effect, intervention.name)

    async def _effect(self, apply: Callable[[], Effect | Awaitable[Effect]]) -> Effect:
        """What the intervention answers, at once or after a while."""
        given = answer_at_once(apply, check=as_it_is)
        if not inspect.iscoroutine(given):
            return answer_at_once(lambda: given, check=checked_effect)
        return await answer(lambda: given, seconds=self.policy.critic_deadline_s, check=checked_effect)

    async def check(self, trajectory: Trajectory, proposed: Action, *, review_draw: Draw, draw: Draw) -> Ruling:
        """The whole way for one proposal: ask, decide, intervene.

        Args:
            trajectory: Its last step is open.
            proposed: What the agent proposes to do there.
            review_draw: What the critic may use.
            draw: What the intervention may use.
        """
        review = await ask(
            self.policy.critic, trajectory, proposed, draw=review_draw, deadline_s=self.policy.critic_deadline_s
        )
        if not self.decide(len(trajectory.steps) - 1, review):
            return Ruling(CONTINUE, PROCEED)
        return await self.intervene(trajectory, proposed, review, draw=draw)


def undoes_for_good(trajectory: Trajectory, undo: int) -> bool:
    """Whether undoing so many executed steps would cross one that the world calls irreversible."""
    executed = trajectory.steps[:-1]
    return any(step.irreversible for step in executed[max(0, len(executed) - undo) :])
