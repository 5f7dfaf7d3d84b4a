"""What each arm did and cost: calls that it paid for and that it shared, tokens and money where they are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from forbear.wording import count, percent, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forbear.analysis.result import ArmResult
    from forbear.records.codec import EpisodeKey
    from forbear.report.terminal import Terminal


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
    shared_episodes: int
    usage: dict[str, Any]
    """By role (`agent`, `critic`, `feedback`), what was `paid` and what `reused`; unknown is left out."""


class CallsView(TypedDict):
    """Agent calls of the whole pilot."""

    alone: int
    """What the arms would have taken, run apart."""
    paid: int


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
        shared_episodes=arm.shared_episodes,
        usage=usage,
    )


def calls_view(arms: Mapping[str, ArmResult]) -> CallsView:
    """What sharing saved."""
    return CallsView(
        alone=sum(arm.agent_calls for arm in arms.values()), paid=sum(arm.new_agent_calls for arm in arms.values())
    )


def unused_view(unused: Mapping[EpisodeKey, object]) -> list[UnusedView]:
    """What lies beyond the ends of arms."""
    return [UnusedView(task=task, seed=seed, arm=arm) for task, seed, arm in unused]


def _share(k: int, n: int) -> float | None:
    return k / n if n else None


def text(terminal: Terminal, arms: Mapping[str, CostView], *, calls: CallsView, unused: Sequence[UnusedView]) -> None:
    """Prints a table, an arm a line, the baseline first."""
    terminal.line("Calls", style="bold")
    columns = ("arm", "success", "interv./ep.", "cascades", "no answer", "calls", "new", "critic")
    terminal.table(columns, [_row(name, arm) for name, arm in arms.items()], left=(0,), gap=1)
    if known := [_tokens(name, arm["usage"]) for name, arm in arms.items() if _tells_tokens(arm["usage"])]:
        terminal.table(("paid by", "tokens in", "of them cached", "out", "critic in", "out", "cost"), known, left=(0,))
    saved = percent((calls["alone"] - calls["paid"]) / max(calls["alone"], 1))
    terminal.line(
        f"Run apart, the arms would have taken {calls['alone']:,} agent calls; sharing what they have in "
        f"common took {calls['paid']:,} ({saved} saved)."
    )
    if unused:
        lie = "1 episode lies" if len(unused) == 1 else f"{len(unused)} episodes lie"
        terminal.line(f"{lie} beyond the end of an arm: kept in the journal, not used.")


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


def _tells_tokens(usage: dict[str, Any]) -> bool:
    return any(key in _paid(usage, role) for role in ("agent", "critic") for key in ("output_tokens", "cost"))


def _tokens(name: str, usage: dict[str, Any]) -> tuple[str, ...]:
    agent, critic = _paid(usage, "agent"), _paid(usage, "critic")
    known = [cost for role in usage if isinstance(usage[role], dict) and (cost := _paid(usage, role).get("cost"))]
    return (
        shown(name, limit=20),
        count(agent.get("input_tokens")),
        count(agent.get("cached_tokens")),
        count(agent.get("output_tokens")),
        count(critic.get("input_tokens")),
        count(critic.get("output_tokens")),
        f"{sum(known):.4g}" if known else "-",
    )
