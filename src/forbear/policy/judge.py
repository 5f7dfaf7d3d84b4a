"""What makes a policy safe, for one episode: the runner and the guard both run this, free of memo and journal.

The critic is asked within its deadline; one that breaks, is late, talks nonsense or abstains lets the agent go on
(`fail_open`); the pure policy decides; the intervention says what happens, and is refused where it would undo what the
world calls irreversible.
"""

import inspect
import logging
from dataclasses import dataclass

from forbear.contracts.border import checked_effect, checked_score
from forbear.contracts.critic import Critic, Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Continue, Effect, Retry
from forbear.errors import InvalidInput, brief_error
from forbear.policy.deadline import within
from forbear.policy.policy import Decision, InterventionPolicy, PolicyState
from forbear.records.model import PROCEED, REFUSED, Action, Trajectory

logger = logging.getLogger(__name__)

CONTINUE = Continue()


@dataclass(frozen=True, slots=True)
class Review:
    """What became of asking a critic."""

    score: Score
    fault: str | None = None
    """`error`, `timeout` or `invalid` where it could not answer; its score then abstains and says what was wrong."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What is to happen with a proposal."""

    effect: Effect
    decision: str
    """As records call it: `PROCEED`, `REFUSED`, or the name of the intervention."""


async def ask(critic: Critic, trajectory: Trajectory, proposed: Action, *, draw: Draw, deadline_s: float) -> Review:
    """Asks a critic; whatever it does, there is an answer."""
    try:
        answer = await within(deadline_s, critic.score(trajectory, proposed, draw=draw))
    except TimeoutError:
        return Review(Score(None, f"no answer within {deadline_s:g} s"), "timeout")
    except Exception as error:  # a critic that breaks must not take the agent down with it
        logger.info("a critic broke, the agent goes on: %s", brief_error(error))
        return Review(Score(None, brief_error(error)), "error")
    try:
        return Review(checked_score(answer))
    except InvalidInput as error:
        return Review(Score(None, brief_error(error)), "invalid")


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
        p_fail = review.score.p_fail
        if review.fault is not None and not self.policy.fail_open:
            p_fail = 1.0
        decision, self.state = self.policy.decide(self.state, step_index, p_fail)
        return decision is Decision.ACT

    async def intervene(self, trajectory: Trajectory, proposed: Action, review: Review, *, draw: Draw) -> Ruling:
        """Asks the intervention what happens, once it is due.

        Raises:
            InvalidInput: It answered with something that is no effect.
        """
        score, intervention = review.score, self.policy.intervention
        if score.p_fail is None:
            score = Score(1.0, score.why, score.usage)
        answer = intervention.apply(trajectory, proposed, score=score, draw=draw)
        if inspect.iscoroutine(answer):
            try:
                answer = await within(self.policy.critic_deadline_s, answer)
            except TimeoutError:
                logger.info("intervention %r was late, the agent goes on", intervention.name)
                return Ruling(CONTINUE, REFUSED)
        effect = checked_effect(answer)
        if isinstance(effect, Retry) and effect.undo and undoes_for_good(trajectory, effect.undo):
            return Ruling(CONTINUE, REFUSED)
        return Ruling(effect, intervention.name)

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
