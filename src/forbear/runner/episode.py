"""The one loop: baseline, treated arms, placebo and rerun all run through it."""

import logging
import numbers
import time
from collections.abc import Awaitable
from dataclasses import dataclass

from forbear.contracts.critic import Critic, Score
from forbear.contracts.environment import Observation
from forbear.contracts.intervention import Continue, Effect, Halt, Retry
from forbear.errors import NotReproducible
from forbear.policy.policy import Decision, InterventionPolicy, PolicyState
from forbear.records.model import (
    FAILED,
    PROCEED,
    REFUSED,
    Action,
    Episode,
    Proposal,
    Step,
    Termination,
    Trajectory,
    Usage,
)
from forbear.runner.cell import Cell, Fault, describe
from forbear.runner.deadline import within
from forbear.runner.memo import Memo, Node, Place, Recorded, Review
from forbear.runner.mind import Mind
from forbear.runner.world import World

logger = logging.getLogger(__name__)

_CONTINUE = Continue()
_NO_FAULTS: dict[str, str] = {}  # one for all, as nearly every proposal has none


@dataclass(slots=True)
class ForkCheck:
    """How often a fresh agent still has to repeat a recorded proposal; one for all episodes of a pilot.

    More than once, because an agent that draws elsewhere repeats itself by chance now and then.
    """

    left: int = 5


async def run_episode(
    cell: Cell, policy: InterventionPolicy | None, memo: Memo, *, check: ForkCheck | None = None
) -> Episode:
    """Runs one episode from its start, taking from the memo what is known and writing down what is not.

    Args:
        cell: Task, arm, seed, and who watches.
        policy: When to intervene; None leaves the agent alone.
        memo: What is known of this task under this cell's draws; grows, also when the episode breaks.
        check: While some are left, an intervention on a proposal that another arm paid for has a fresh agent repeat
            that proposal.

    Returns:
        The episode, without origin; without outcome if the outside world broke it.

    Raises:
        NotReproducible: The agent or the world did not repeat what it did under the same draws.
        InvalidInput: The environment broke its contract.
    """
    started = time.monotonic()
    run = _Run(cell, policy, memo, check)
    cause: str | None = None
    try:
        termination, success, cause = await run.to_the_end()
    except Fault as fault:
        if run.proposals:
            run.close_step(None)
        termination, success, cause = fault.termination, None, fault.cause
    final = run.node.place.observation.text if run.log and run.log[-1].executed is not None else None
    return Episode(
        task=cell.task,
        arm=cell.arm,
        seed=cell.seed,
        steps=tuple(run.log),
        termination=termination,
        success=success,
        final_observation=final,
        usage=run.usage(seconds=time.monotonic() - started),
        cause=cause,
    )


class _Run:
    """One episode in the making."""

    def __init__(self, cell: Cell, policy: InterventionPolicy | None, memo: Memo, check: ForkCheck | None) -> None:
        self.cell = cell
        self.policy = policy
        self.check = check
        self.world = World(cell, memo)
        self.mind = Mind(cell)
        self.state = PolicyState()
        self.log: list[Step] = []
        self.node = Node(Place(Observation(text="")))  # until the world is open
        self.nodes: list[Node] = []  # from which each standing step was executed
        self.closed: list[Step] = []  # the standing steps, as the agent sees them
        self.proposals: list[Proposal] = []  # of the open step
        self.shown: tuple[Node, Observation, Trajectory] | None = None  # what `visible` built last, and for what
        self.attempts: dict[int, int] = {}
        self.excluded: dict[int, tuple[Action, ...]] = {}
        self.spent = 0  # executed and charged steps
        self.agent_calls = self.new_agent_calls = self.critic_calls = self.new_critic_calls = 0
        self.tokens: int | None = None

    async def to_the_end(self) -> tuple[Termination, bool, str | None]:
        self.node = await self.world.open()
        while self.spent < self.cell.conditions.max_steps:
            recorded = await self.propose()
            if recorded.error is not None:
                self.note(recorded, FAILED)
                self.close_step(None)
                return Termination.AGENT_ERROR, False, recorded.error
            for name, critic in self.cell.critics.items():
                await self.review(recorded, name, critic)
            effect, decision = await self.decide(recorded)
            self.note(recorded, decision)
            if isinstance(effect, Halt):
                self.close_step(None)
                return Termination.STOPPED, False, None
            if isinstance(effect, Retry):
                self.go_back(effect, recorded.action)
                continue
            await self.execute(recorded.action)
            seen = self.node.place.observation
            if seen.done:
                return Termination.FINISHED, bool(seen.success), None
            if effect.message is not None:
                self.node = self.node.tell(effect.message)
        if self.proposals:
            self.close_step(None)
        return Termination.STEP_LIMIT, False, None

    async def propose(self) -> Recorded:
        """Takes or pays for the next proposal."""
        index = len(self.closed)
        attempt, excluded = self.attempts.get(index, 0), self.excluded.get(index, ())
        recorded = self.node.proposals.get((attempt, excluded))
        if recorded is None:
            if self.node.place.is_partial:
                await self.world.see()
            recorded = await self.mind.propose(self.visible(), attempt=attempt, excluded=excluded)
            self.node.proposals[attempt, excluded] = recorded
        self.mind.live_through(recorded, index=index)
        self.attempts[index] = attempt + 1
        self.agent_calls += 1
        self.new_agent_calls += recorded.payer == self.cell.arm
        if recorded.action.tokens is not None:
            self.tokens = (self.tokens or 0) + recorded.action.tokens
        return recorded

    async def review(self, recorded: Recorded, name: str, critic: Critic) -> None:
        """Takes or pays for one critic's score of a proposal."""
        if name not in recorded.reviews:
            if self.node.place.is_partial:
                await self.world.see()
            index = len(self.closed)
            draw = self.cell.draw(f"critic:{name}", step_index=index, attempt=self.attempts[index] - 1)
            try:
                call = critic.score(self.visible(), recorded.action, draw=draw)
                score = await within(self.cell.conditions.critic_deadline_s, call)
                fault = None if score is None or _is_probability(score) else "invalid"
                p_fail = float(score) if score is not None and fault is None else None
            except TimeoutError:
                p_fail, fault = None, "timeout"
            except Exception as error:  # a critic that breaks must not take the agent down with it
                logger.info("critic %s broke, the agent goes on: %s", name, describe(error))
                p_fail, fault = None, "error"
            recorded.reviews[name] = Review(p_fail, fault, payer=self.cell.arm)
        self.critic_calls += 1
        self.new_critic_calls += recorded.reviews[name].payer == self.cell.arm

    async def decide(self, recorded: Recorded) -> tuple[Effect, str]:
        """Asks the policy, and finds out what its intervention does here."""
        if self.policy is None:
            return _CONTINUE, PROCEED
        p_fail = recorded.reviews[self.policy.critic_name].p_fail
        decision, self.state = self.policy.decide(self.state, len(self.closed), p_fail)
        if decision is not Decision.ACT or p_fail is None:
            return _CONTINUE, PROCEED
        if self.node.place.is_partial:
            await self.world.see()
        await self.verify(recorded)
        index = len(self.closed)
        draw = self.cell.draw("intervention", step_index=index, attempt=self.attempts[index] - 1)
        effect = self.policy.intervention.apply(self.visible(), recorded.action, score=Score(p_fail), draw=draw)
        if isinstance(effect, Awaitable):
            effect = await effect
        if isinstance(effect, Retry) and effect.undo and any(s.irreversible for s in self.closed[-effect.undo :]):
            return _CONTINUE, REFUSED
        return effect, self.policy.intervention.name

    async def verify(self, recorded: Recorded) -> None:
        """At the first forks of a pilot: a fresh agent has to repeat the proposal that an arm is about to leave."""
        check = self.check
        if check is None or not check.left or self.cell.conditions.agent_remembers or recorded.payer == self.cell.arm:
            return
        check.left -= 1
        index = len(self.closed)
        again = await Mind(self.cell).propose(
            self.visible(), attempt=self.attempts[index] - 1, excluded=self.excluded.get(index, ())
        )
        if again.action != recorded.action:
            raise NotReproducible(
                f"{self.cell.name}, step {index}: a fresh agent given the same trajectory and draw proposed "
                f"{again.action.text!r:.80}, where {recorded.action.text!r:.80} had been proposed. Make the agent a "
                "function of the two; if it has a memory of its own, implement Restorable, or run with "
                "design='independent'."
            )

    def note(self, recorded: Recorded, decision: str) -> None:
        """Writes a proposal into the open step."""
        reviews = recorded.reviews
        index = len(self.closed)
        self.proposals.append(
            Proposal(
                attempt=self.attempts[index] - 1,
                action=recorded.action,
                shown=len(self.node.messages),
                excluded=self.excluded.get(index, ()),
                p_fail={name: review.p_fail for name, review in reviews.items()},
                faults={name: r.fault for name, r in reviews.items() if r.fault is not None} or _NO_FAULTS,
                decision=decision,
            )
        )

    async def execute(self, action: Action) -> None:
        """Runs an action in the world and opens the next step."""
        after = await self.world.step(self.node, action)
        self.close_step(action, irreversible=after.place.observation.irreversible)
        self.nodes.append(self.node)
        self.node = after
        self.spent += 1

    def close_step(self, executed: Action | None, *, irreversible: bool = False) -> None:
        """Logs the open step; what was executed becomes part of what the agent sees."""
        index, text, messages = len(self.closed), self.node.place.observation.text, self.node.messages
        self.log.append(
            Step(
                index=index,
                observation=text,
                messages=messages,
                proposals=tuple(self.proposals),
                executed=executed,
                irreversible=irreversible,
            )
        )
        self.proposals = []
        if executed is not None:
            self.closed.append(
                Step(index=index, observation=text, messages=messages, executed=executed, irreversible=irreversible)
            )

    def go_back(self, effect: Retry, dropped: Action) -> None:
        """Returns to where the agent is to propose again."""
        index = len(self.closed)
        target = max(0, index - effect.undo)
        again = dropped if target == index else self.closed[target].executed
        if target < index:
            self.close_step(None)
            self.node = self.nodes[target]
            del self.closed[target:], self.nodes[target:]
            self.excluded = {at: actions for at, actions in self.excluded.items() if at <= target}
            self.world.rewind(target)
        self.mind.go_back(target)
        if effect.exclude and again is not None and again not in self.excluded.get(target, ()):
            self.excluded[target] = (*self.excluded.get(target, ()), again)
        if effect.message is not None:
            self.node = self.node.tell(effect.message)
        self.spent += effect.costs_step

    def visible(self) -> Trajectory:
        """Returns the trajectory as agent and critics see it now."""
        node, seen = self.node, self.node.place.observation
        if self.shown is None or self.shown[0] is not node or self.shown[1] is not seen:
            opened = Step(
                index=len(self.closed),
                observation=seen.text,
                messages=node.messages,
                legal_actions=seen.legal_actions,
            )
            self.shown = (node, seen, Trajectory(task=self.cell.task, steps=(*self.closed, opened)))
        return self.shown[2]

    def usage(self, *, seconds: float) -> Usage:
        return Usage(
            agent_calls=self.agent_calls,
            new_agent_calls=self.new_agent_calls,
            critic_calls=self.critic_calls,
            new_critic_calls=self.new_critic_calls,
            tokens=self.tokens,
            seconds=seconds,
        )


def _is_probability(score: object) -> bool:
    # numbers.Real also takes the floats of numpy; True and False are answers to another question.
    if isinstance(score, bool) or not isinstance(score, float | numbers.Real):
        return False
    return 0 <= float(score) <= 1
