"""Choosing between two runs of the agent instead of intervening in one: what the same critic is worth afterwards.

Both runs are the agent's own, the baseline's and its rerun's. The critic reads each to its last proposal, and the run
of which it expects failure less is taken; whoever could see the outcomes would take a success wherever there is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from forbear.analysis.result import PilotResult
from forbear.contracts.critic import Critic
from forbear.critics.runs import JudgedRun
from forbear.critics.scored import scored_now
from forbear.errors import InvalidInput
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.policy.policy import critic_name
from forbear.records.model import Episode, Trajectory
from forbear.stats.inference import inference
from forbear.stats.intervals import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The better of two runs by a critic's choice, beside the first of them."""

    outcomes: ClusteredOutcomes
    """Tasks × seeds: the baseline, and the run that was chosen."""
    oracle_gain: float
    """What a choice that knows the outcomes gains over the baseline: no critic gains more."""
    chance_gain: float
    """What a coin gains: half of the difference between rerun and baseline."""
    contested: int
    """Pairs of runs of which one succeeds: there alone a choice matters."""
    calls: float
    """Agent calls that the second run takes, per episode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestOfSeeds:
    """The best of a task's baseline runs, by each critic that watched them, beside one of them taken at random."""

    runs: int
    """Of each task: the seeds of the plan."""
    tasks: int
    """Whose runs all have an outcome."""
    oracle_gain: float
    """What a choice that knows the outcomes gains: the share of tasks with a success, minus that of all runs."""
    gains: Mapping[str, Estimate]
    """By critic, what taking the run of which it expected failure least at its last proposal gains."""
    calls: float
    """Agent calls that the further runs of a task take."""


def best_of_seeds(result: PilotResult) -> BestOfSeeds | None:
    """Choosing among the baseline's own runs under several seeds, from the journal alone: no critic is asked again.

    Equal scores leave the earlier seed's run; a run without a score is taken only where none has one. The interval of
    a gain has 1 − 2·alpha, its tasks the unit, at a single look: it stands beside the verdicts and decides nothing.

    Returns:
        None of a plan of one seed, or of continuations, whose runs have more in common than their task; and where no
        task has all its runs.

    Checked: choices and gains by hand, the oracle by enumeration (tests/analysis/test_selection.py).
    """
    plan = result.plan
    if len(plan.seeds) < 2 or plan.continuations > 1:
        return None
    rows = [[result.episodes.get((task.id, seed, plan.baseline_arm)) for seed in plan.seeds] for task in plan.tasks]
    kept = [(task, [one for one in row if one is not None]) for task, row in zip(plan.tasks, rows, strict=True)]
    kept = [(task, runs) for task, runs in kept if len(runs) == len(plan.seeds)]
    if not kept:
        return None
    won = [[run.success is True for run in runs] for _, runs in kept]
    units = [task.cluster or task.id for task, _ in kept]
    clusters = units if len(set(units)) < len(units) else None
    gains = {}
    for critic in plan.watching:
        chosen = [[_least_expected_to_fail(runs, critic).success is True] for _, runs in kept]
        try:
            outcomes = ClusteredOutcomes.from_outcomes(baseline=won, treated=chosen, clusters=clusters)
            gains[critic] = inference(outcomes, guarantee=plan.rule.guarantee).gain(1 - 2 * plan.rule.alpha)
        except InvalidInput:  # too few clusters for an interval
            continue
    runs_in_all = len(kept) * len(plan.seeds)
    calls = sum(run.usage.agent.calls for _, runs in kept for run in runs) / runs_in_all
    return BestOfSeeds(
        runs=len(plan.seeds),
        tasks=len(kept),
        oracle_gain=sum(map(any, won)) / len(kept) - sum(map(sum, won)) / runs_in_all,
        gains=gains,
        calls=calls * (len(plan.seeds) - 1),
    )


def _least_expected_to_fail(runs: Sequence[Episode], critic: str) -> Episode:
    scores = [_last_recorded(run, critic) for run in runs]
    known = [(score, place) for place, score in enumerate(scores) if score is not None]
    return runs[min(known)[1] if known else 0]


def best_of_two(result: PilotResult, critic: Critic, *, rerun: str = "rerun") -> Selection:
    """Lets a critic choose between the baseline's run and the rerun's of each task and seed.

    Args:
        result: Of a pilot whose arms have a rerun.
        critic: One that watched the baseline, made anew; it reads the reruns now. Where both scores are equal, or it
            abstained, the baseline's run is taken.
        rerun: Name of the arm.

    Raises:
        InvalidInput: No such arm, no task that both brought to an outcome under every seed, or a critic that breaks.
    """
    plan, name = result.plan, critic_name(critic)
    if rerun not in result.arms:
        raise InvalidInput(f"there is no arm {rerun!r:.60} to choose from; add a rerun.")

    def run(task: str, seed: int, arm: str) -> Episode | None:
        return result.episodes.get((task, seed, arm))

    rows = [[(run(task.id, s, plan.baseline_arm), run(task.id, s, rerun)) for s in plan.seeds] for task in plan.tasks]
    pairs = [[(a, b) for a, b in row if a is not None and b is not None] for row in rows]
    pairs = [row for row in pairs if len(row) == len(plan.seeds)]
    if not pairs:
        raise InvalidInput(f"no task has both runs under every seed: nothing to choose from in '{rerun}'.")
    again = [b for row in pairs for _, b in row]
    scored = scored_now(critic, [_judged(episode) for episode in again], name=name)
    later = iter([_last(said) for said in scored.scores])
    chosen, first = list[list[bool]](), list[list[bool]]()
    contested = second_wins = 0
    for row in pairs:
        first.append([a.success is True for a, _ in row])
        chosen.append([])
        for a, b in row:
            before, after = _last_recorded(a, name), next(later)
            takes_second = before is not None and after is not None and after < before
            chosen[-1].append((b if takes_second else a).success is True)
            contested += a.success is not b.success
            second_wins += b.success is True and a.success is not True
    runs = len(again)
    return Selection(
        outcomes=ClusteredOutcomes.from_outcomes(baseline=first, treated=chosen),
        oracle_gain=second_wins / runs,
        chance_gain=(second_wins - (contested - second_wins)) / (2 * runs),
        contested=contested,
        calls=sum(b.usage.agent.calls for b in again) / runs,
    )


def _judged(episode: Episode) -> JudgedRun:
    steps = tuple(replace(step, proposals=()) for step in episode.steps if step.executed is not None)
    return JudgedRun(
        trajectory=Trajectory(task=episode.task, steps=steps),
        success=episode.success is True,
        run=str(episode.seed),
        place=f"task {episode.task.id!r:.60}, seed {episode.seed}",
    )


def _last(said: tuple[float | None, ...]) -> float | None:
    return said[-1] if said else None


def _last_recorded(episode: Episode, critic: str) -> float | None:
    return episode.steps[-1].proposals[-1].p_fail.get(critic) if episode.steps and episode.steps[-1].proposals else None
