"""What each arm did and cost: calls that it paid for and that it shared, tokens and money where they are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from forbear.wording import amount, count, listed, percent, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forbear.analysis.plan_record import EarlierRecord
    from forbear.analysis.result import ArmResult
    from forbear.records.codec import EpisodeKey
    from forbear.records.model import Usage
    from forbear.report.terminal import Terminal


class TokensView(TypedDict):
    """Tokens and money that one arm paid; None where nobody tells."""

    agent_in: int | None
    agent_cached: int | None
    agent_out: int | None
    critic_in: int | None
    critic_out: int | None
    cost: float | None
    """Of all roles."""


class CostView(TypedDict):
    """What one arm did and cost; rates are fractions, None without episodes."""

    episodes: int
    success: float | None
    steps: int
    """Executed, undone ones included."""
    agent_calls: int
    """What it would have taken by itself."""
    new_calls: int
    """What it paid beside the arms before it."""
    critic_calls: int
    new_critic_calls: int
    interventions_per_episode: float | None
    cascade_rate: float | None
    no_answer_rate: float | None
    rollback_noops: int
    noop_rate: float | None
    """Of the interventions, those after which the agent proposed the very same again."""
    shared_episodes: int
    paid_seconds: float | None
    """That its calls took, all roles together; None where nobody tells. Several may have been under way at a time."""
    usage: dict[str, Any]
    """By role (`agent`, `critic`, `feedback`), what was `paid` and what `reused`; unknown is left out."""
    tokens: TokensView | None
    """Of that what tokens it paid for; None where neither agent nor critic tells of tokens or money."""


class AmountView(TypedDict):
    """So much of everything; None where it is not known."""

    calls: float | None
    tokens: float | None
    seconds: float | None
    cost: float | None


class SwitchingOnView(TypedDict):
    """What an arm takes more than the agent alone, critics and messages included."""

    per_episode: AmountView
    per_recovered: AmountView
    """Of all episodes, for each task that it recovered; unknown where it recovered none."""


class CallsView(TypedDict):
    """Agent calls of the whole pilot."""

    alone: int
    """What the arms would have taken, run apart."""
    paid: int
    earlier: list[str]
    """Journals of earlier pilots from which runs were taken."""
    bill: AmountView
    """All that was paid for in the pilot, critics included, whatever became of it."""


class UnusedView(TypedDict):
    """An episode beyond the end of its arm: kept, but no evidence."""

    task: str
    seed: int
    arm: str


def view(arm: ArmResult) -> CostView:
    """What one arm did and cost."""
    import msgspec

    usage: dict[str, Any] = msgspec.to_builtins(arm.usage)
    return CostView(
        episodes=arm.episodes,
        success=_share(arm.successes, arm.episodes),
        steps=arm.steps,
        agent_calls=arm.agent_calls,
        new_calls=arm.new_agent_calls,
        critic_calls=arm.critic_calls,
        new_critic_calls=arm.new_critic_calls,
        interventions_per_episode=_share(arm.interventions, arm.episodes),
        cascade_rate=_share(arm.cascades, arm.episodes),
        no_answer_rate=_share(arm.no_answers, arm.episodes),
        rollback_noops=arm.rollback_noops,
        noop_rate=_share(arm.rollback_noops, arm.interventions),
        shared_episodes=arm.shared_episodes,
        paid_seconds=_seconds(usage),
        usage=usage,
        tokens=_tokens(usage),
    )


def calls_view(arms: Mapping[str, ArmResult], *, bill: Usage, earlier: Sequence[EarlierRecord] = ()) -> CallsView:
    """What sharing saved, and what all of it took."""
    return CallsView(
        alone=sum(arm.agent_calls for arm in arms.values()),
        paid=sum(arm.new_agent_calls for arm in arms.values()),
        earlier=[one.source for one in earlier],
        bill=AmountView(calls=bill.calls, tokens=bill.tokens, seconds=bill.seconds, cost=bill.cost),
    )


def switching_on_view(arm: ArmResult, baseline: ArmResult, *, recovered: int | None) -> SwitchingOnView | None:
    """What the arm takes by itself beside the agent alone, which nobody watches; None without episodes."""
    if not arm.episodes or not baseline.episodes:
        return None
    usage, alone = arm.usage, baseline.usage.agent.all
    taken = usage.agent.all + usage.critic.all + usage.feedback.all

    def per(count: int) -> AmountView:
        def more(mine: float | None, theirs: float | None) -> float | None:
            if mine is None or theirs is None or not count:
                return None
            return (mine / arm.episodes - theirs / baseline.episodes) * arm.episodes / count

        return AmountView(
            calls=more(taken.calls, alone.calls),
            tokens=more(taken.tokens, alone.tokens),
            seconds=None,  # of what was re-used nobody knows how long it would have taken
            cost=more(taken.cost, alone.cost),
        )

    return SwitchingOnView(per_episode=per(arm.episodes), per_recovered=per(recovered or 0))


def unused_view(unused: Mapping[EpisodeKey, object]) -> list[UnusedView]:
    """What lies beyond the ends of arms."""
    return [UnusedView(task=task, seed=seed, arm=arm) for task, seed, arm in unused]


def _share(k: int, n: int) -> float | None:
    return k / n if n else None


def text(
    terminal: Terminal,
    arms: Mapping[str, CostView],
    *,
    switched: Mapping[str, SwitchingOnView | None],
    calls: CallsView,
    unused: Sequence[UnusedView],
) -> None:
    """Prints a table, an arm a line, the baseline first."""
    terminal.line("Calls", style="bold")
    columns = ("arm", "success", "interv./ep.", "cascades", "no answer", "calls", "new", "critic")
    terminal.table(columns, [_row(name, arm) for name, arm in arms.items()], left=(0,), gap=1)
    if known := [_token_row(name, told) for name, arm in arms.items() if (told := arm["tokens"]) is not None]:
        terminal.table(("paid by", "tokens in", "of them cached", "out", "critic in", "out", "cost"), known, left=(0,))
    for name, arm in switched.items():
        if arm is not None:
            terminal.line(switched_text(shown(name, limit=20), arm))
    for line in calls_text(calls):
        terminal.line(line)
    if unused:
        lie = "1 episode lies" if len(unused) == 1 else f"{len(unused)} episodes lie"
        terminal.line(f"{lie} beyond the end of an arm: kept in the journal, not used.")


def switched_text(name: str, arm: SwitchingOnView) -> str:
    """What switching an arm on takes, as a sentence."""
    recovered = arm["per_recovered"]
    each = f"{_worded(arm['per_episode'])} more per episode (agent and critic)"
    rescued = "" if recovered["calls"] is None else f", {_worded(recovered)} per recovered task"
    return f"Switching {name} on takes {each}{rescued}."


def calls_text(calls: CallsView) -> list[str]:
    """What sharing saved and what all of it took, as sentences."""
    saved = percent((calls["alone"] - calls["paid"]) / max(calls["alone"], 1))
    taken = f", with what was taken from {listed(calls['earlier'])}," if calls["earlier"] else ""
    lines = [
        f"Run apart, the arms would have taken {calls['alone']:,} agent calls; sharing what they have in "
        f"common{taken} took {calls['paid']:,} ({saved} saved)."
    ]
    if (bill := calls["bill"])["tokens"] is not None:
        lines.append(f"Paid for in all, critics included: {_worded(bill)}.")
    return lines


def _worded(taken: AmountView) -> str:
    calls, tokens, cost = taken["calls"], taken["tokens"], taken["cost"]
    parts = [] if calls is None else [f"{amount(calls)} calls"]
    parts += [] if tokens is None else [f"{amount(tokens)} tokens"]
    parts += [] if cost is None else [f"a cost of {amount(cost)}"]
    return ", ".join(parts)


def _row(name: str, arm: CostView) -> tuple[str, ...]:
    per_episode = arm["interventions_per_episode"]
    return (
        shown(name, limit=20),
        percent(arm["success"], undefined="-"),
        "-" if per_episode is None else f"{per_episode:.2f}",
        percent(arm["cascade_rate"], undefined="-"),
        percent(arm["no_answer_rate"], undefined="-"),
        count(arm["agent_calls"]),
        count(arm["new_calls"]),
        count(arm["new_critic_calls"]),
    )


def _paid(usage: dict[str, Any], role: str) -> dict[str, Any]:
    paid: dict[str, Any] = usage.get(role, {}).get("paid", {})
    return paid


def _tokens(usage: dict[str, Any]) -> TokensView | None:
    agent, critic = _paid(usage, "agent"), _paid(usage, "critic")
    if not any(key in paid for paid in (agent, critic) for key in ("output_tokens", "cost")):
        return None
    known = [cost for role in usage if isinstance(usage[role], dict) and (cost := _paid(usage, role).get("cost"))]
    return TokensView(
        agent_in=agent.get("input_tokens"),
        agent_cached=agent.get("cached_tokens"),
        agent_out=agent.get("output_tokens"),
        critic_in=critic.get("input_tokens"),
        critic_out=critic.get("output_tokens"),
        cost=sum(known) if known else None,
    )


def _seconds(usage: dict[str, Any]) -> float | None:
    known = [_paid(usage, role).get("seconds") for role in ("agent", "critic", "feedback")]
    return sum(found) if (found := [one for one in known if one is not None]) else None


def _token_row(name: str, tokens: TokensView) -> tuple[str, ...]:
    counts = (
        tokens["agent_in"],
        tokens["agent_cached"],
        tokens["agent_out"],
        tokens["critic_in"],
        tokens["critic_out"],
    )
    cost = tokens["cost"]
    return (shown(name, limit=20), *map(count, counts), "-" if cost is None else f"{cost:.4g}")
