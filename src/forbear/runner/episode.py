"""The one loop: baseline, treated arms, placebo and rerun all run through it."""

import time
from dataclasses import dataclass

from msgspec import structs

from forbear.contracts.critic import Critic, Score
from forbear.contracts.draw import Draw
from forbear.contracts.environment import Observation
from forbear.contracts.intervention import Halt, Replace, Retry
from forbear.errors import NotReproducible
from forbear.policy.judge import CONTINUE, Judge, Review, Ruling, ask
from forbear.policy.policy import InterventionPolicy
from forbear.records.model import (
    FAILED,
    NOTHING,
    PROCEED,
    REFUSED,
    Action,
    Episode,
    EpisodeUsage,
    Proposal,
    RoleUsage,
    Step,
    Termination,
    Trajectory,
    Usage,
)
from forbear.runner.agent_side import AgentSide
from forbear.runner.cell import Cell, Fault
from forbear.runner.memo import ELSEWHERE, Memo, Node, Paid, Recorded, Scene
from forbear.runner.world_side import WorldSide

_PROCEED = Ruling(CONTINUE, PROCEED)


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
        The episode, without origin; a failure if the agent broke it, without outcome if the outside world did.

    Raises:
        NotReproducible: The agent or the world did not repeat what it did under the same draws.
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
        cell.give_back_claims()
    final = run.node.scene.observation if run.log and run.log[-1].executed is not None else None
    return Episode(
        task=cell.task,
        arm=cell.arm,
        seed=cell.seed,
        steps=tuple(run.log),
        termination=termination,
        success=success,
        final_observation=None if final is None else final.text,
        final_payload=None if final is None else final.payload,
        usage=run.usage(seconds=time.monotonic() - started),
        cause=cause,
    )


class _Run:
    """One episode in the making."""

    def __init__(self, cell: Cell, policy: InterventionPolicy | None, memo: Memo, check: ForkCheck | None) -> None:
        self.cell = cell
        self.policy = policy
        self.check = check
        self.judge = None if policy is None else Judge(policy)
        self.world = WorldSide(cell, memo)
        self.agent = AgentSide(cell)
        self.log: list[Step] = []
        self.node = Node(Scene(Observation(text="")))  # until the world is open
        self.nodes: list[Node] = []  # from which each standing step was executed
        self.closed: list[Step] = []  # the standing steps, as the agent sees them
        self.proposals: list[Proposal] = []  # of the open step
        self.shown: tuple[Node, Observation, Trajectory] | None = None  # what `visible` built last, and for what
        self.attempts: dict[int, int] = {}
        self.excluded: dict[int, tuple[Action, ...]] = {}
        self.spent = 0  # executed and charged steps
        self.agent_usage, self.critic_usage, self.feedback = _Tally(), _Tally(), _Tally()

    async def to_the_end(self) -> tuple[Termination, bool, str | None]:
        self.node = await self.world.open()
        while self.spent < self.cell.conditions.max_steps:
            recorded = await self.propose()
            if recorded.error is not None:
                self.note(recorded, FAILED)
                self.close_step(None)
                kind = Termination.AGENT_TIMEOUT if recorded.is_late else Termination.AGENT_ERROR
                return kind, False, recorded.error
            for name, critic in self.cell.critics.items():
                await self.review(recorded, name, critic)
            ruling = await self.rule(recorded)
            effect = ruling.effect
            feedback = None if isinstance(effect, Halt) else effect.usage
            self.note(recorded, ruling.decision, feedback=feedback, refusal=ruling.refusal)
            if isinstance(effect, Halt):
                self.close_step(None)
                return Termination.STOPPED, False, None
            if isinstance(effect, Retry):
                self.go_back(effect, recorded.action)
                continue
            await self.execute(effect.action if isinstance(effect, Replace) else recorded.action)
            seen = self.node.scene.observation
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
        seconds = None
        if recorded is None:
            if self.node.scene.is_partial:
                await self.world.see()
            started = time.perf_counter()
            recorded = await self.agent.propose(self.visible(), attempt=attempt, excluded=excluded)
            seconds = time.perf_counter() - started if recorded.seconds is None else recorded.seconds
            self.node.proposals[attempt, excluded] = recorded
            if recorded.payer == self.cell.arm:
                self.cell.charge(recorded.action.usage, seconds=seconds)
        self.agent.live_through(recorded, index=index)
        self.attempts[index] = attempt + 1
        self.agent_usage.add(recorded.action.usage, paid=recorded.payer == self.cell.arm, seconds=seconds)
        return recorded

    async def review(self, recorded: Recorded, name: str, critic: Critic) -> None:
        """Takes or pays for one critic's score of a proposal."""
        seconds = None
        paid = recorded.reviews.get(name)
        if paid is None and (paid := recorded.known.get(name)) is not None:
            recorded.reviews[name] = paid
        if paid is None:
            if self.node.scene.is_partial:
                await self.world.see()
            started = time.perf_counter()
            paid = recorded.reviews[name] = await self.asked(name, critic, recorded.action)
            seconds = time.perf_counter() - started if paid.seconds is None else paid.seconds
            if paid.payer == self.cell.arm:
                self.cell.charge(paid.review.score.usage, seconds=seconds)
        self.critic_usage.add(paid.review.score.usage, paid=paid.payer == self.cell.arm, seconds=seconds)

    async def asked(self, name: str, critic: Critic, proposed: Action) -> Paid:
        """Pays for a critic's score."""
        silenced, deadline_s = self.cell.silence(name), self.cell.deadlines[name]
        if silenced is not None:
            return Paid(Review(Score(None, f"the critic {silenced.how}"), silenced.fault), payer=self.cell.arm)
        draw = self.draw(f"critic:{name}")
        with self.cell.calling("critic", limit_s=deadline_s, critic=name) as meter:
            review = await ask(critic, self.visible(), proposed, draw=draw, deadline_s=deadline_s)
        if review.is_outage or (review.fault == "timeout" and meter.had_trouble):
            raise Fault(Termination.PROVIDER_ERROR, f"critic {name!r:.60}: {review.score.why}")
        usage = self.cell.claim(meter)
        if usage is None:
            return Paid(review, payer=self.cell.arm)
        score = structs.replace(review.score, usage=structs.replace(usage, seconds=None))
        payer = ELSEWHERE if meter.is_free else self.cell.arm
        return Paid(Review(score, review.fault), payer=payer, seconds=usage.seconds)

    async def rule(self, recorded: Recorded) -> Ruling:
        """Asks the policy, and finds out what its intervention does here."""
        if self.policy is None or self.judge is None:
            return _PROCEED
        review = recorded.reviews[self.policy.critic_name].review
        if not self.judge.decide(len(self.closed), review):
            return _PROCEED
        if self.node.scene.is_partial:
            await self.world.see()
        silenced = self.cell.silence(None)
        if silenced is not None:
            return Ruling(CONTINUE, REFUSED, refusal=f"{silenced.fault}: the intervention {silenced.how}")
        await self.verify(recorded)
        started = time.perf_counter()
        draw = self.draw(f"intervention:{self.policy.intervention.name}")
        with self.cell.calling("intervention", limit_s=self.policy.critic_deadline_s) as meter:
            ruling = await self.judge.intervene(self.visible(), recorded.action, review, draw=draw)
        if ruling.is_outage:
            raise Fault(Termination.PROVIDER_ERROR, f"intervention {self.policy.intervention.name!r}: {ruling.refusal}")
        if (usage := self.cell.claim(meter)) is not None:
            self.feedback.add(usage, paid=not meter.is_free, seconds=None)
            if not meter.is_free:
                self.cell.charge(usage, seconds=usage.seconds)
            return ruling.with_usage(structs.replace(usage, seconds=None))
        if not isinstance(ruling.effect, Halt) and ruling.effect.usage is not None:
            seconds = time.perf_counter() - started
            self.feedback.add(ruling.effect.usage, paid=True, seconds=seconds)
            self.cell.charge(ruling.effect.usage, seconds=seconds)
        return ruling

    def draw(self, role: str) -> Draw:
        """Returns the draw of a role for the proposal that stands."""
        index = len(self.closed)
        return self.cell.draw(role, step_index=index, attempt=self.attempts[index] - 1)

    async def verify(self, recorded: Recorded) -> None:
        """At the first forks of a pilot: a fresh agent has to repeat the proposal that an arm is about to leave."""
        check = self.check
        if check is None or not check.left or self.cell.conditions.agent_remembers or recorded.payer == self.cell.arm:
            return
        check.left -= 1
        index = len(self.closed)
        again = await AgentSide(self.cell).propose(
            self.visible(), attempt=self.attempts[index] - 1, excluded=self.excluded.get(index, ())
        )
        if again.error is not None:  # which belongs to no episode and says nothing of what it would have proposed
            check.left += 1
        elif again.action != recorded.action:
            raise NotReproducible(
                f"{self.cell.name}, step {index}: a fresh agent given the same trajectory and draw proposed "
                f"{again.action.text!r:.80}, where {recorded.action.text!r:.80} had been proposed. Make the agent a "
                "function of the two; if it has a memory of its own, implement Restorable, or run with "
                "design='independent'."
                + (
                    " An earlier pilot's runs were taken: its agent, or its model's answers ([run] "
                    "responses), are others now."
                    if recorded.payer == ELSEWHERE
                    else ""
                )
            )

    def note(
        self, recorded: Recorded, decision: str, *, feedback: Usage | None = None, refusal: str | None = None
    ) -> None:
        """Writes a proposal into the open step."""
        index = len(self.closed)
        p_fail, advantage, faults, why, usage = dict[str, float | None](), NOTHING, NOTHING, NOTHING, NOTHING
        for name, paid in recorded.reviews.items():
            score = paid.review.score
            p_fail[name] = score.p_fail
            if score.advantage is not None:
                advantage = {**advantage, name: score.advantage}
            if paid.review.fault is not None:
                faults = {**faults, name: paid.review.fault}
            if score.why is not None:
                why = {**why, name: score.why}
            if score.usage != _NO_USAGE:
                usage = {**usage, name: score.usage}
        self.proposals.append(
            Proposal(
                attempt=self.attempts[index] - 1,
                action=recorded.action,
                shown=len(self.node.messages),
                excluded=self.excluded.get(index, ()),
                p_fail=p_fail or NOTHING,
                advantage=advantage,
                faults=faults,
                why=why,
                critic_usage=usage,
                feedback=feedback,
                decision=decision,
                refusal=refusal,
            )
        )

    async def execute(self, action: Action) -> None:
        """Runs an action in the world and opens the next step."""
        after = await self.world.step(self.node, action)
        self.close_step(action, irreversible=after.scene.observation.irreversible)
        self.nodes.append(self.node)
        self.node = after
        self.spent += 1

    def close_step(self, executed: Action | None, *, irreversible: bool = False) -> None:
        """Logs the open step; what was executed becomes part of what the agent sees."""
        index, seen, messages = len(self.closed), self.node.scene.observation, self.node.messages
        self.log.append(
            Step(
                index=index,
                observation=seen.text,
                payload=seen.payload,
                messages=messages,
                proposals=tuple(self.proposals),
                executed=executed,
                irreversible=irreversible,
            )
        )
        self.proposals = []
        if executed is not None:
            self.closed.append(
                Step(
                    index=index,
                    observation=seen.text,
                    payload=seen.payload,
                    messages=messages,
                    executed=executed,
                    irreversible=irreversible,
                )
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
        self.agent.go_back(target)
        if effect.exclude and again is not None and again not in self.excluded.get(target, ()):
            self.excluded[target] = (*self.excluded.get(target, ()), again)
        if effect.message is not None:
            self.node = self.node.tell(effect.message)
        self.spent += effect.costs_step

    def visible(self) -> Trajectory:
        """Returns the trajectory as agent and critics see it now."""
        node, seen = self.node, self.node.scene.observation
        if self.shown is None or self.shown[0] is not node or self.shown[1] is not seen:
            opened = Step(
                index=len(self.closed),
                observation=seen.text,
                payload=seen.payload,
                messages=node.messages,
                legal_actions=seen.legal_actions,
            )
            self.shown = (node, seen, Trajectory(task=self.cell.task, steps=(*self.closed, opened)))
        return self.shown[2]

    def usage(self, *, seconds: float) -> EpisodeUsage:
        return EpisodeUsage(
            agent=self.agent_usage.total(),
            critic=self.critic_usage.total(),
            feedback=self.feedback.total(),
            seconds=_seconds(seconds),
        )


def _seconds(measured: float) -> float:
    """As records have them: never below 0, although the clocks of some virtual machines have been seen to go back."""
    return max(0.0, round(measured, 6))


_NO_USAGE = Usage()


class _Tally:
    """What a role took so far: counted here, because most report nothing and sums of structs cost."""

    __slots__ = ("calls", "reported", "reused", "reused_reported", "seconds")

    def __init__(self) -> None:
        self.calls = self.reused = 0
        self.seconds = 0.0
        self.reported = self.reused_reported = _NO_USAGE

    def add(self, usage: Usage | None, *, paid: bool, seconds: float | None) -> None:
        """Adds one answer; `seconds` is how long it was waited for, None where it was known already."""
        calls = 1
        if usage is not None and usage is not _NO_USAGE and usage != _NO_USAGE:
            calls = usage.calls or 1
            known = Usage(
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                cached_tokens=usage.cached_tokens,
                cost=usage.cost,
            )
            if paid:
                self.reported += known
            else:
                self.reused_reported += known
            seconds = seconds if usage.seconds is None else usage.seconds
        if paid:
            self.calls += calls
            self.seconds += seconds or 0.0
        else:
            self.reused += calls

    def total(self) -> RoleUsage:
        """The sums."""
        paid = self.reported + Usage(calls=self.calls, seconds=_seconds(self.seconds) if self.calls else None)
        return RoleUsage(paid=paid, reused=self.reused_reported + Usage(calls=self.reused))
