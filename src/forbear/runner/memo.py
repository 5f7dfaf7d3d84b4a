"""What was proposed, said and seen under each history of one task and seed: the mechanism of fork, share and resume.

A node is a history as the agent sees it. An arm that stands at a node where a proposal, a review or the world's answer
is known takes it, free; where it is not, it pays and writes it down. Agents, critics and worlds are functions of what
their node and draw say, so nothing taken differs from what would have been paid for.
"""

from collections.abc import Collection, Iterable

from msgspec import Struct
from msgspec.structs import replace

from forbear.contracts.critic import Score
from forbear.contracts.environment import Observation, Snapshot
from forbear.policy.judge import Review
from forbear.records.model import FAILED, Action, Episode, Origin, Proposal, Termination, Usage

# Structs without the cycle collector, made five a step: a history holds only what came after it.

ELSEWHERE = ""
"""Who paid for what models had answered before, for another record: no arm, whose names are not empty."""


class Paid(Struct, gc=False):
    """A review, and who paid for it."""

    review: Review
    payer: str
    """The arm for which the critic was asked, or `ELSEWHERE`."""
    seconds: float | None = None
    """What its models took, where they were asked; no part of what was found."""


class Recorded(Struct, gc=False):
    """A proposal and its reviews."""

    action: Action
    payer: str
    seconds: float | None = None
    """What its models took, where they were asked; no part of what was found."""
    error: str | None = None
    """What broke the agent, where it broke instead of proposing."""
    is_late: bool = False
    """It did not answer in time."""
    after: Snapshot | None = None
    """State of an agent with memory after it proposed this."""
    reviews: dict[str, Paid] = {}
    known: dict[str, Paid] = {}
    """Reviews that an earlier pilot paid for: taken where a review is asked for, and no part of a record before."""


class Scene(Struct, gc=False):
    """Where the world stands, whatever the agent has been told there."""

    observation: Observation
    is_partial: bool = False
    """Read from a journal: the legal actions are not known."""
    snapshot: Snapshot | None = None


class Node(Struct, gc=False):
    """A history: where the world stands, how it came there, and what the agent was told."""

    scene: Scene
    messages: tuple[str, ...] = ()
    """Shown in the open step."""
    proposals: dict[tuple[int, tuple[Action, ...]], Recorded] = {}
    """By attempt and what was excluded."""
    executed: dict[tuple[Action, int], "Node"] = {}
    """By action and how often the episode had stepped the world at this index before."""
    _told: dict[str, "Node"] = {}

    def tell(self, message: str) -> "Node":
        """Returns the history that is this one and a message more."""
        node = self._told.get(message)
        if node is None:
            node = self._told[message] = Node(self.scene, (*self.messages, message))
        return node


class Memo:
    """All that is known of one task under one seed of draws."""

    def __init__(self) -> None:
        self.root: Node | None = None

    def fill(self, episode: Episode, *, until: int | None = None, earlier: Collection[str] | None = None) -> None:
        """Writes down what a recorded episode, whole or broken, proposed, heard and saw.

        Args:
            episode: Of this task.
            until: Index of the last proposal that is taken from it, of a run that did not go back; what is taken then
                belongs to another record, which paid for it. Omitted: all of it.
            earlier: Of an episode of an earlier pilot, which paid for all of it: the critics whose reviews are taken.
                What they owed there is asked for again.
        """
        payer = episode.arm if until is None and earlier is None else ELSEWHERE
        nodes: list[Node] = []  # from which the steps that stand so far were executed, by index
        stepped: dict[int, int] = {}
        for number, step in enumerate(episode.steps):
            if number == 0:
                node = self.root = self.root or Node(
                    Scene(Observation(text=step.observation, payload=step.payload), is_partial=True)
                )
            elif step.index < len(nodes):
                node = nodes[step.index]  # a rollback came back here
                del nodes[step.index :]
            for proposal in step.proposals:
                for message in step.messages[len(node.messages) : proposal.shown]:
                    node = node.tell(message)
                _fill_proposal(node, proposal, episode, payer, earlier)
            if step.index == until:
                return
            if step.executed is not None:
                nodes.append(node)
                times = stepped.get(step.index, 0)
                stepped[step.index] = times + 1
                known = node.executed.get((step.executed, times))
                node = known or Node(Scene(_answer(episode, number), is_partial=True))
                nodes[-1].executed[step.executed, times] = node


def _fill_proposal(
    node: Node, proposal: Proposal, episode: Episode, payer: str, earlier: Collection[str] | None
) -> None:
    error = episode.cause or "" if proposal.decision == FAILED else None
    recorded = node.proposals.setdefault(
        (proposal.attempt, proposal.excluded),
        Recorded(
            proposal.action,
            payer=payer,
            error=error,
            is_late=error is not None and episode.termination is Termination.AGENT_TIMEOUT,
        ),
    )
    reviews = recorded.reviews if earlier is None else recorded.known
    for critic, p_fail in proposal.p_fail.items():
        if earlier is not None and (critic not in earlier or critic in proposal.faults):
            continue
        usage = proposal.critic_usage.get(critic, Usage())
        score = Score(p_fail, proposal.why.get(critic), usage, proposal.advantage.get(critic))
        reviews.setdefault(critic, Paid(Review(score, proposal.faults.get(critic)), payer=payer))


def _answer(episode: Episode, number: int) -> Observation:
    """What the world answered to the step executed as the log's `number`."""
    irreversible = episode.steps[number].irreversible
    if number + 1 < len(episode.steps):
        after = episode.steps[number + 1]
        return Observation(text=after.observation, payload=after.payload, irreversible=irreversible)
    return Observation(
        text=episode.final_observation or "",
        payload=episode.final_payload,
        done=episode.termination is Termination.FINISHED,
        success=episode.success,
        irreversible=irreversible,
    )


def share(episode: Episode, earlier: Iterable[Episode]) -> Episode:
    """Names the episode's origin: of the earlier ones, the first with which it has the most leading steps in common.

    Args:
        episode: Without origin.
        earlier: Episodes of the same task that have an outcome.

    Returns:
        The episode, holding its origin's steps instead of its own equal ones.
    """
    steps = list(episode.steps)
    best, origin = 0, None
    for other in earlier:
        common = 0
        for mine, theirs in zip(steps, other.steps, strict=False):
            if mine is not theirs and mine != theirs:
                break
            steps[common] = theirs  # the next ones to compare with hold the same object, where they share it
            common += 1
        if common == len(steps) == len(other.steps) and _ends_alike(episode, other):
            return replace(episode, steps=other.steps, origin=_origin(episode, other, step=None))
        if common > best:
            best, origin = common, other
    if origin is None:
        return episode
    return replace(episode, steps=tuple(steps), origin=_origin(episode, origin, step=best))


def _origin(episode: Episode, other: Episode, *, step: int | None) -> Origin:
    return Origin(arm=other.arm, step=step, seed=None if other.seed == episode.seed else other.seed)


def _ends_alike(episode: Episode, other: Episode) -> bool:
    return (
        episode.termination is other.termination
        and episode.success is other.success
        and episode.final_observation == other.final_observation
        and episode.final_payload == other.final_payload
    )
