"""Choosing between runs of the agent instead of intervening in one: what the same critic is worth afterwards.

All runs are the agent's own: the baseline's and its rerun's, under every seed of the task. The critic reads each to its
last proposal, and the run of which it expects failure least is taken; whoever could see the outcomes would take a
success wherever there is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

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

_Scores: TypeAlias = Mapping[tuple[str, int, str], float | None]
"""By task, seed and arm, the p_fail of the last proposal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The best of some runs by a critic's choice, beside the first of them."""

    size: int
    """How many runs there are to choose from."""
    outcomes: ClusteredOutcomes
    """Tasks × seeds: the baseline, and the run that was chosen."""
    oracle_gain: float
    """What a choice that knows the outcomes gains over the baseline: no critic gains more."""
    chance_gain: float
    """What a die gains: the difference between the mean of the runs and the baseline."""
    contested: int
    """Choices of which some runs succeed and some do not: there alone a choice matters."""
    calls: float
    """Agent calls that the further runs take, per episode."""


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
    units = [task.group for task, _ in kept]
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
    scores = [_recorded(run, critic) for run in runs]
    known = [(score, place) for place, score in enumerate(scores) if score is not None]
    return runs[min(known)[1] if known else 0]


def runs_to_choose_from(result: PilotResult, *, rerun: str = "rerun") -> int:
    """How many runs of the agent alone a task has: a baseline per seed, and as many again with a rerun."""
    return len(result.plan.seeds) * (2 if rerun in result.arms else 1)


def best_of(
    result: PilotResult, critic: Critic, *, sizes: Sequence[int] = (2,), rerun: str = "rerun"
) -> dict[int, Selection]:
    """Lets a critic choose between the baseline's run and others of the agent alone, of each task and seed.

    The others of a seed are, in this order, its own rerun, then baseline and rerun of the seed after it, and so on,
    round the seeds. They are draws of the same agent, so that each gain is unbiased; choices of one task share runs,
    and tasks are what the outcomes are clustered by.

    Args:
        result: Of a pilot.
        critic: One that watched the baseline, made anew; it reads the reruns now. Where scores are equal, the earlier
            run is taken; where it abstained on the baseline's run, that one.
        sizes: How many runs to choose from, each at least 2.
        rerun: Name of the arm that is the agent once more, if there is one.

    Returns:
        By size. The runs of a smaller one are among those of a larger one.

    Raises:
        InvalidInput: Fewer runs than that, no task with all of its runs brought to an outcome, or a critic that breaks.

    Checked: against a plain enumeration of all choices of a pilot; a critic that knows the outcomes gains the oracle's
    gain, one that says the same of all gains nothing.
    """
    have, name = runs_to_choose_from(result, rerun=rerun), critic_name(critic)
    if not sizes or not all(2 <= size <= have for size in sizes):
        raise InvalidInput(
            f"each task has {have} of the agent's own runs to choose from, asked for the best of "
            f"{', '.join(map(str, sizes)) or 'none'}: add a rerun, or seeds."
        )
    pools = _pools(result, rerun)
    if not pools:
        raise InvalidInput("no task has all of its runs of the agent alone: there is nothing to choose from.")
    again = [run for runs in pools for run in runs if run.arm == rerun]
    scored = scored_now(critic, [_judged(episode) for episode in again], name=name).scores if again else ()
    said = {_key(run): steps[-1] if steps else None for run, steps in zip(again, scored, strict=True)}
    said |= {_key(run): _recorded(run, name) for runs in pools for run in runs if run.arm != rerun}
    step = 2 if rerun in result.arms else 1
    return {
        size: _selection(
            [[(runs + runs)[at : at + size] for at in range(0, len(runs), step)] for runs in pools], said, size=size
        )
        for size in sizes
    }


def _pools(result: PilotResult, rerun: str) -> list[list[Episode]]:
    """By task, its runs seed by seed, the baseline's before the rerun's; tasks without one of them are left out."""
    plan = result.plan
    arms = [plan.baseline_arm, *([rerun] if rerun in result.arms else [])]
    found = [[result.episodes.get((task.id, seed, arm)) for seed in plan.seeds for arm in arms] for task in plan.tasks]
    return [[run for run in runs if run is not None] for runs in found if all(run is not None for run in runs)]


def _selection(choices: list[list[list[Episode]]], said: _Scores, *, size: int) -> Selection:
    first = [[runs[0].success is True for runs in row] for row in choices]
    chosen = [[_chosen(runs, said).success is True for runs in row] for row in choices]
    won = [sum(run.success is True for run in runs) for row in choices for runs in row]
    alone, n = sum(map(sum, first)), len(won)
    return Selection(
        size=size,
        outcomes=ClusteredOutcomes.from_outcomes(baseline=first, treated=chosen),
        oracle_gain=(sum(map(bool, won)) - alone) / n,
        chance_gain=(sum(won) / size - alone) / n,
        contested=sum(0 < some < size for some in won),
        calls=sum(run.usage.agent.calls for row in choices for runs in row for run in runs[1:]) / n,
    )


def _chosen(runs: Sequence[Episode], said: _Scores) -> Episode:
    best, least = runs[0], said[_key(runs[0])]
    for run in runs[1:]:
        found = said[_key(run)]
        if least is not None and found is not None and found < least:
            best, least = run, found
    return best


def _key(run: Episode) -> tuple[str, int, str]:
    return run.task.id, run.seed, run.arm


def _judged(episode: Episode) -> JudgedRun:
    steps = tuple(replace(step, proposals=()) for step in episode.steps if step.executed is not None)
    return JudgedRun(
        trajectory=Trajectory(task=episode.task, steps=steps),
        success=episode.success is True,
        run=str(episode.seed),
        place=f"task {episode.task.id!r:.60}, seed {episode.seed}",
    )


def _recorded(episode: Episode, critic: str) -> float | None:
    return episode.steps[-1].proposals[-1].p_fail.get(critic) if episode.steps and episode.steps[-1].proposals else None
