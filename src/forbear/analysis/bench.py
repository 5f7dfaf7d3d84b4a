"""A pilot's arms as rows of one table: what each did to success, beside how good its critic is offline.

A benchmark is a set of pilots, one an agent, run and resumed as pilots are; this arranges what they found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from forbear.analysis.early import EARLY_STEPS
from forbear.analysis.evidence import Evidence
from forbear.analysis.result import ArmResult, PilotResult
from forbear.analysis.selection import Selection
from forbear.stats.clustered import clustered_rate
from forbear.stats.decision import decide
from forbear.stats.intervals import Estimate
from forbear.stats.verdict import Verdict

MOST_RUNS = 4
"""Of which a critic chooses one in a benchmark's table."""


def selection_name(size: int) -> str:
    """Name of the row in which a critic chooses among so many runs."""
    return f"best-of-{size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRow:
    """One arm of one agent. Rates are fractions; what is undefined is None."""

    arm: str
    kind: Literal["candidate", "control", "selection"]
    """May be deployed, shares α by Holm; is there to be compared with; chooses between runs. The latter two are
    decided by themselves."""
    success: Estimate
    """Of the treated arm."""
    verdict: Verdict
    """With C, B, p, r, d, p*, the gain and its interval."""
    critic: str | None
    auroc: Estimate | None
    """Of its critic, over the steps of the baseline's runs; None of arms without a critic that sees."""
    interventions: float | None
    """Per episode."""
    cascade_rate: float | None
    """Share of episodes with three interventions or more."""
    early_disruptions: float | None
    """Share of the disrupted runs that were first touched at step 0 or 1; None without disrupted runs."""
    early_touches: float | None
    """The same share of all touched runs."""
    no_answer_rate: float | None
    noop_rate: float | None
    """Of the interventions, those after which the agent proposed the very same again."""
    oracle_gain: float | None
    """C/N: what an intervention that never disrupted would gain; of a selection, the best choice's gain."""
    calls: float
    """Agent calls per episode, by itself."""
    against_blind: Estimate | None
    """What its critic adds to the same intervention at random moments, in success; None where no arm is blind to it."""
    selection_gains: Mapping[str, float]
    """By the row of a selection, what it gains where it may take no more calls than this arm: its gain times the share
    of tasks that can be run again for as many. 0 where the arm takes no more than the baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchedAgent:
    """All that a benchmark says of one agent."""

    agent: str
    tasks: int
    seeds: int
    success: Estimate
    """Of the baseline."""
    no_answer_rate: float | None
    calls: float
    """Of the baseline, per episode."""
    oracle_gain: float | None
    """Of the better of two runs, whoever chooses; None without a second run."""
    rows: tuple[BenchRow, ...]


def benched(
    agent: str,
    result: PilotResult,
    evidence: Evidence,
    *,
    selections: Mapping[str, Mapping[int, Selection]] | None = None,
) -> BenchedAgent:
    """Makes the rows of one agent's pilot.

    Args:
        agent: Its name.
        result: What was found.
        evidence: What it says.
        selections: What each critic's choice between runs was worth, by critic name and number of runs, 2 among them;
            the first critic's stand as rows.
    """
    plan, chosen = result.plan, list((selections or {}).items())
    baseline = result.arms[plan.baseline_arm]
    alone = baseline.agent_calls / baseline.episodes
    rows = [_row(result, evidence, arm, alone=alone, selections=selections or {}) for arm in plan.treated]
    for critic, by_size in chosen[:1]:
        rows += [_selected(result, evidence, critic, by_size, size, alone=alone) for size in sorted(by_size)]
    return BenchedAgent(
        agent=agent,
        tasks=result.tasks,
        seeds=len(plan.seeds),
        success=_success(result, plan.baseline_arm),
        no_answer_rate=_share(baseline.no_answers, baseline.episodes),
        calls=alone,
        oracle_gain=chosen[0][1][2].oracle_gain if chosen else None,
        rows=tuple(rows),
    )


def _row(
    result: PilotResult,
    evidence: Evidence,
    name: str,
    *,
    alone: float,
    selections: Mapping[str, Mapping[int, Selection]],
) -> BenchRow:
    plan, arm = result.plan, result.arms[name]
    critic = plan.arms[name].critic
    report = None if critic is None else evidence.critics.get(critic)
    ceiling = evidence.ceilings.get(name)
    disrupted, touched = _early(result, name)
    calls = arm.agent_calls / arm.episodes
    # A blind arm, or a rerun, has no critic that could choose: the first one's choice stands beside it.
    by_size = selections.get(critic or "") or next(iter(selections.values()), {})
    return BenchRow(
        arm=name,
        kind="control" if name in evidence.controls else "candidate",
        success=_success(result, name),
        verdict=evidence.verdicts[name],
        critic=critic,
        auroc=None if report is None else report.overall["auroc"],
        interventions=_share(arm.interventions, arm.episodes),
        cascade_rate=_share(arm.cascades, arm.episodes),
        early_disruptions=disrupted,
        early_touches=touched,
        no_answer_rate=_share(arm.no_answers, arm.episodes),
        noop_rate=_share(arm.rollback_noops, arm.interventions),
        oracle_gain=None if ceiling is None else ceiling.oracle_gain.value,
        calls=calls,
        against_blind=evidence.blind[name].gain if name in evidence.blind else None,
        selection_gains=_at_calls(by_size, more=calls - alone),
    )


def _selected(
    result: PilotResult, evidence: Evidence, critic: str, by_size: Mapping[int, Selection], size: int, *, alone: float
) -> BenchRow:
    selection = by_size[size]
    report, outcomes = evidence.critics.get(critic), selection.outcomes
    hits = np.array([sum(runs) for runs in outcomes.treated], dtype=float)
    return BenchRow(
        arm=selection_name(size),
        kind="selection",
        success=_rate(hits, np.array([len(runs) for runs in outcomes.treated], dtype=float)),
        verdict=decide(outcomes, result.plan.rule),
        critic=critic,
        auroc=None if report is None else report.overall["auroc"],
        interventions=None,
        cascade_rate=None,
        early_disruptions=None,
        early_touches=None,
        no_answer_rate=None,
        noop_rate=None,
        oracle_gain=selection.oracle_gain,
        calls=alone + selection.calls,
        against_blind=None,
        selection_gains=_at_calls(by_size, more=selection.calls),
    )


def _at_calls(by_size: Mapping[int, Selection], *, more: float) -> dict[str, float]:
    return {
        selection_name(size): (one.outcomes.success_gain or 0.0) * min(1.0, max(0.0, more) / one.calls)
        if one.calls
        else 0.0
        for size, one in by_size.items()
    }


def _early(result: PilotResult, name: str) -> tuple[float | None, float | None]:
    """Of the disrupted runs, and of the touched ones, the share that was first touched at the early steps."""
    disrupted, touched = [0, 0], [0, 0]
    for (task, seed, arm), episode in result.episodes.items():
        first = episode.first_intervention if arm == name else None
        if first is None:
            continue
        before = result.episodes.get((task, seed, result.plan.baseline_arm))
        touched[first < EARLY_STEPS] += 1
        if before is not None and before.success and not episode.success:
            disrupted[first < EARLY_STEPS] += 1
    return _share(disrupted[1], sum(disrupted)), _share(touched[1], sum(touched))


def _success(result: PilotResult, name: str) -> Estimate:
    arm: ArmResult = result.arms[name]
    won, runs = dict[str, int](), dict[str, int]()
    for (task, _, other), episode in result.episodes.items():
        if other == name:
            won[task] = won.get(task, 0) + (episode.success is True)
            runs[task] = runs.get(task, 0) + 1
    assert arm.episodes == sum(runs.values()), "the counted episodes are those with an outcome"
    return _rate(np.array([won[task] for task in runs], dtype=float), np.array(list(runs.values()), dtype=float))


def _rate(
    hits: np.ndarray[tuple[int], np.dtype[np.float64]], sizes: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> Estimate:
    rate, _ = clustered_rate(hits, sizes, confidence=0.95)
    assert rate is not None, "there is at least one run"
    return rate


def _share(k: int, n: int) -> float | None:
    return k / n if n else None
