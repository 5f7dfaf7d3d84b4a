"""The one place where an agent of any framework can be judged before it acts: its call of the model.

What is known there is the prefix (the messages) and the proposal (the answer). Nothing has run, so a dropped proposal
touches neither the world nor the framework's history. Hooks at tools come later: they can only refuse, and the agent
reads that it was refused.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, TypeAlias, TypeVar

from msgspec.structs import replace

from forbear.adapters.frameworks.book import Book, Told
from forbear.adapters.frameworks.capabilities import AT_THE_MODEL, Sampled, possible
from forbear.adapters.frameworks.proposals import run_now
from forbear.contracts.critic import Score
from forbear.contracts.draw import Draw
from forbear.contracts.intervention import Halt, Retry
from forbear.errors import AgentError, ProviderError, brief_error
from forbear.models.chat import Message
from forbear.models.prices import NO_PRICES, Prices
from forbear.models.session import Meter, Session, current_session
from forbear.policy.judge import CONTINUE, Judge, Review, Ruling, ask
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import (
    PROCEED,
    REFUSED,
    Action,
    Episode,
    EpisodeUsage,
    RoleUsage,
    Task,
    Termination,
    Trajectory,
    Usage,
)
from forbear.runner.ask_tell import Assignment, model_seed

_T = TypeVar("_T")

Mode: TypeAlias = Literal["pilot", "apply", "shadow"]
"""What a watch is for: a pilot, where a critic whose provider is down leaves no outcome; use, where the agent then goes
on; or looking on, where scores are written down and nothing is changed."""


class Watch:
    """A policy at work in one episode that a framework runs; its adapter asks the model through it.

    For one episode, and one call at a time.
    """

    def __init__(
        self,
        task: Task,
        *,
        seed: int = 0,
        arm: str = "baseline",
        policy: InterventionPolicy | None = None,
        draw_seed: int | None = None,
        prices: Prices = NO_PRICES,
        mode: Mode = "pilot",
    ) -> None:
        """Begins an episode.

        Args:
            task: Which task.
            seed: Which run of it.
            arm: Of which arm.
            policy: When to intervene; None only meters.
            draw_seed: Of that run in that arm; None: the seed.
            prices: What the agent's and the critic's models cost.
            mode: What it is for.

        Raises:
            InvalidInput: The policy needs what the adapter cannot do.
        """
        if policy is not None:
            AT_THE_MODEL.require(policy)
        self.task, self.seed, self.arm, self.policy = task, seed, arm, policy
        self.draw_seed = seed if draw_seed is None else draw_seed
        self._prices, self._mode = prices, mode
        self._judge = None if policy is None else Judge(policy)
        self._book = Book(task)
        self._agent, self._critic, self._feedback = Usage(), Usage(), Usage()
        self._started = time.monotonic()
        self._outages: dict[str, str] = {}
        """By what was asked, what is down there."""
        self._critic_outage: str | None = None
        self._crash: str | None = None
        self._stopped = False

    @classmethod
    def of(cls, assignment: Assignment, **options: Any) -> "Watch":
        """Begins the episode that `HostPilot.ask` gave; options as of a `Watch`."""
        it = assignment
        return cls(it.task, seed=it.seed, arm=it.arm, draw_seed=it.draw_seed, **options)

    @property
    def model_seed(self) -> int:
        """For whatever draws at random in this episode, in [0, 2**31): of task, run and arm."""
        return model_seed(self.task.id, self.draw_seed)

    @property
    def attempt(self) -> int:
        """How many proposals the open step has had: a request's own seed is moved by so much."""
        return self._book.attempt

    # --- The call of the model --------------------------------------------------------------------------------

    async def propose(
        self, prefix: Sequence[Message], sample: Callable[[Sequence[Told]], Awaitable[Sampled[_T]]]
    ) -> _T:
        """Returns the answer that stands.

        Args:
            prefix: The conversation in OpenAI's form, as the framework has it.
            sample: Asks the model once, what interventions told woven in; executes nothing.

        Raises:
            AgentError: An intervention ended the episode.
            ProviderError: The critic's provider is down.
        """
        self._open(prefix)
        while True:
            try:
                sampled = await sample(self._book.woven())
            except Exception as error:
                self.failed(error)
                raise
            if self._stands(sampled.action, await self._ruled(sampled.action)):
                return sampled.raw

    def propose_sync(self, prefix: Sequence[Message], sample: Callable[[Sequence[Told]], Sampled[_T]]) -> _T:
        """The same for a framework that blocks."""
        self._open(prefix)
        while True:
            try:
                sampled = sample(self._book.woven())
            except Exception as error:
                self.failed(error)
                raise
            action = sampled.action
            if self._stands(action, run_now(lambda action=action: self._ruled(action))):  # type: ignore[misc]
                return sampled.raw

    def aside(self, usage: Usage, *, model: str = "", of: str = "") -> None:
        """Meters a call that proposes no action, such as a plan; of something else than the agent's model, of what."""
        self._outages.pop(of, None)
        self._agent += self._prices.of(model, usage)

    def failed(self, error: Exception, *, of: str = "") -> None:
        """Notes that the agent's model raised, or something else: an outage, unless it answers when asked again.

        An `AgentError` is none.
        """
        if not isinstance(error, AgentError):
            self._outages[of] = brief_error(error)

    def priced(self, usage: Usage, *, model: str) -> Usage:
        """Adds what one call cost, where its model's price is known."""
        return self._prices.of(model, usage)

    def told(self) -> Sequence[Told]:
        """What the model is to be told beside the prefix."""
        return self._book.woven()

    def _open(self, prefix: Sequence[Message]) -> None:
        if self._stopped:
            raise AgentError("an intervention has ended this episode.")
        if self._critic_outage is not None:
            raise ProviderError(self._critic_outage)
        self._book.open(prefix)

    def _draw(self, role: str) -> Draw:
        book = self._book
        return Draw(task_id=self.task.id, seed=self.draw_seed, role=role, step_index=book.index, attempt=book.attempt)

    async def _ruled(self, action: Action) -> Ruling:
        """Asks critic and policy, and writes down what they said."""
        self._outages.pop("", None)
        self._agent += action.usage if action.usage is not None else Usage(calls=1)
        book, judge = self._book, self._judge
        if judge is None:
            book.note(action, None, critic="")
            return Ruling(CONTINUE, PROCEED)
        name, seen = judge.policy.critic_name, book.trajectory()
        outer, is_pilot = current_session(), self._mode == "pilot"
        feedback: Usage | None = None
        ruling = Ruling(CONTINUE, PROCEED)
        with Session(prices=self._prices, closers=[] if outer is None else outer.closers).active():
            review, usage = await self._reviewed(judge, seen, action)
            is_due = not (review.is_outage and is_pilot) and judge.decide(book.index, review)
            if is_due and self._mode == "shadow":
                ruling = Ruling(CONTINUE, REFUSED, refusal=f"shadow: {judge.policy.intervention.name} was due")
            elif is_due:
                ruling, feedback = await self._intervened(judge, seen, action, review)
        book.note(
            action,
            review,
            critic=name,
            decision=ruling.decision,
            refusal=ruling.refusal,
            critic_usage=usage if usage != Usage() else None,
            feedback=feedback,
        )
        if is_pilot and (review.is_outage or ruling.is_outage):
            self._critic_outage = f"critic {name!r:.60}: {ruling.refusal or review.score.why}"
            raise ProviderError(self._critic_outage)
        return ruling

    async def _reviewed(self, judge: Judge, seen: Trajectory, action: Action) -> tuple[Review, Usage]:
        """What the critic said, and what that took."""
        policy, meter = judge.policy, Meter()
        draw = self._draw(f"critic:{policy.critic_name}")
        try:
            with meter:
                review = await ask(policy.critic, seen, action, draw=draw, deadline_s=policy.critic_deadline_s)
        except ProviderError as error:  # of the meter: its key is refused, say
            review = Review(Score(None, brief_error(error)), "error", True)
        usage = meter.claim() or review.score.usage or Usage()
        self._critic += usage if usage.calls else replace(usage, calls=1)
        return review, usage

    async def _intervened(
        self, judge: Judge, seen: Trajectory, action: Action, review: Review
    ) -> tuple[Ruling, Usage | None]:
        """What the intervention said, and what writing it took."""
        draw, meter = self._draw(f"intervention:{judge.policy.intervention.name}"), Meter()
        try:
            with meter:
                ruling = possible(await judge.intervene(seen, action, review, draw=draw))
        except ProviderError as error:
            ruling = Ruling(CONTINUE, REFUSED, refusal=f"error: {brief_error(error)}", is_outage=True)
        feedback = meter.claim() or getattr(ruling.effect, "usage", None)
        self._feedback += feedback or Usage()
        return ruling, feedback

    def _stands(self, action: Action, ruling: Ruling) -> bool:
        effect = ruling.effect
        if isinstance(effect, Halt):
            self._stopped = True
            raise AgentError("an intervention has ended this episode.")
        if isinstance(effect, Retry):
            self._book.drop(effect, action)
            return False
        self._book.hand_over(action, effect)
        return True

    # --- What came of it --------------------------------------------------------------------------------------

    @property
    def dropped(self) -> Usage:
        """What proposals took that were dropped: money that no framework's own total shows."""
        usage = Usage()
        for step in self._book.steps():
            for proposal in step.proposals if step.executed is None else step.proposals[:-1]:
                usage += proposal.action.usage or Usage(calls=1)
        return usage

    def crashed(self, error: BaseException) -> None:
        """Notes that the agent's own code raised, which is a failure unless a model was down."""
        self._crash = brief_error(error)

    def episode(self, success: bool | None, *, reason: str = "") -> Episode:
        """Returns what happened, for `HostPilot.tell`.

        Args:
            success: Whether the task was done; None: the outside world broke it. What the watch knows goes first: an
                outage of a model leaves no outcome, an intervention that ended the episode makes it a failure.
            reason: What broke, with None.
        """
        cause = self._critic_outage or next(iter(self._outages.values()), None)
        if self._stopped:
            how, success, cause = Termination.STOPPED, False, None
        elif cause is not None:
            how, success = Termination.PROVIDER_ERROR, None
        elif self._crash is not None:
            how, success, cause = Termination.AGENT_ERROR, False, self._crash
        elif success is None:
            how, cause = Termination.ENVIRONMENT_ERROR, reason[:300] or "the host gave no reason"
        else:
            how = Termination.FINISHED
        usage = EpisodeUsage(
            agent=RoleUsage(paid=self._agent),
            critic=RoleUsage(paid=self._critic),
            feedback=RoleUsage(paid=self._feedback),
            seconds=round(max(0.0, time.monotonic() - self._started), 6),
        )
        told: dict[str, Any] = {"termination": how, "success": success, "cause": cause, "usage": usage}
        return Episode(task=self.task, arm=self.arm, seed=self.seed, steps=self._book.steps(), **told)
