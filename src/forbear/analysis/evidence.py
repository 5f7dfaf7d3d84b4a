"""What a pilot's episodes say: verdicts with the cautions that only a pilot can know, and the critics offline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forbear.analysis.blind import AgainstBlind, against_blind
from forbear.analysis.cautions import cautions_of, context_of, untested, withheld
from forbear.analysis.logged import AgainstLogged
from forbear.analysis.pairing import Pairing, pair_episodes
from forbear.analysis.result import PilotResult
from forbear.critics.estimates import CriticReport, Judgements, evaluate_critic
from forbear.critics.measures import roc_curve
from forbear.errors import InvalidInput, ProviderError
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.records.model import Episode
from forbear.stats.context.ceilings import Ceilings, ceilings
from forbear.stats.context.churn import Churn, churn_of
from forbear.stats.context.resample import Best, best_of
from forbear.stats.context.transport import GainAt, gain_curve
from forbear.stats.decision import decide_arms
from forbear.stats.looks.gain_path import GainPath, gain_path_of
from forbear.stats.rule import Guarantee
from forbear.stats.verdict import Remark, Verdict
from forbear.wording import shown

_RESAMPLES = 400
_CHOICES = 2000
_HUNDREDTHS = tuple(rate / 100 for rate in range(101))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Verdicts and critic metrics of a pilot."""

    verdicts: Mapping[str, Verdict]
    """By treated arm, controls included: each of those is decided by itself and never deployed."""
    controls: frozenset[str]
    """The arms that are not tested: those there to be compared with, and of a ladder those that are not chosen."""
    ceilings: Mapping[str, Ceilings]
    """By treated arm with paired seeds: what an intervention that never disrupted would have gained."""
    paths: Mapping[str, GainPath]
    """By treated arm: how it came to its verdict."""
    blind: Mapping[str, AgainstBlind]
    """By arm that has a blind control: what its critic adds."""
    logged: AgainstLogged | None
    """Logged runs of the baseline beside its own; None where none are re-used."""
    critics: Mapping[str, CriticReport | None]
    """By critic: its scores on the baseline's proposals against the baseline's outcomes; None where it gave none,
    or to one task only."""
    roc: Mapping[str, tuple[tuple[float, float], ...]]
    """By critic with a report, its ROC on the same steps; absent where it is undefined."""
    elsewhere: Mapping[str, tuple[GainAt, ...]]
    """By treated arm: the gain over failure rates of the baseline, from 0 to 1 in hundredths; absent where the
    baseline only fails or only succeeds, and of continuations, whose runs have more in common than their task."""


def evidence_of(result: PilotResult) -> Evidence:
    """Pairs every arm of a pilot with its baseline and decides; the same result always gives the same evidence.

    Raises:
        ProviderError: An arm has no episode with an outcome.
        InvalidInput: No declared look was taken and no arm is over; or an arm and the baseline have no task in common
            that both brought to an outcome.
    """
    plan = result.plan
    judged = _judged(result)
    churn, monitor = judged.churn, result.monitor
    ways = {arm: monitor.outcomes(arm)[0] for arm in plan.treated}
    watched = [episode for episode in result.episodes.values() if episode.arm == plan.baseline_arm]
    scored = {name: _judgements(watched, name) for name in plan.watching}
    at_any_look = 1 - 2 * plan.rule.alpha / len(plan.looks.tasks)  # Bonferroni: it is read at whichever look ends it
    return Evidence(
        verdicts=judged.verdicts,
        controls=frozenset(plan.treated) - frozenset(arms_tested(result)),
        ceilings={
            name: ceilings(pairing.binary, churn=churn)
            for name, pairing in judged.pairings.items()
            if isinstance(pairing.binary, PairedOutcomes) or pairing.binary.paired_seeds
        },
        paths={
            name: path
            for name, outcomes in ways.items()
            if outcomes is not None and (path := gain_path_of(outcomes, plan.rule)) is not None
        },
        blind=judged.blind,
        logged=judged.logged,
        critics={name: None if one is None else _critic_report(one) for name, one in scored.items()},
        roc={
            name: corners
            for name, one in scored.items()
            if one is not None and (corners := roc_curve(one.failed, one.p_fail)) is not None
        },
        elsewhere={
            name: curve
            for name, pairing in judged.pairings.items()
            # Runs that begin alike are no seeds: what they have in common is not all of the task.
            if plan.continuations == 1
            and (curve := elsewhere(pairing, confidence=at_any_look, guarantee=plan.rule.guarantee)) is not None
        },
    )


def verdicts_of(result: PilotResult) -> dict[str, Verdict]:
    """The verdicts of `evidence_of` alone, by treated arm.

    Raises:
        ProviderError, InvalidInput: As `evidence_of`.
    """
    return dict(_judged(result).verdicts)


def arms_tested(result: PilotResult) -> list[str]:
    """The arms that are tested and may be deployed; of a ladder the chosen one, once it has tasks of its own."""
    plan, monitor = result.plan, result.monitor
    if not plan.ladder:
        return plan.candidates
    chosen = monitor.chosen
    return [] if chosen is None or monitor.span(chosen)[0] == 0 else [chosen]


@dataclass(frozen=True, slots=True)
class _Judged:
    verdicts: Mapping[str, Verdict]
    pairings: Mapping[str, Pairing]
    churn: Churn | None
    blind: Mapping[str, AgainstBlind]
    logged: AgainstLogged | None


def _judged(result: PilotResult) -> _Judged:
    plan = result.plan
    _require_look(result)
    for arm in result.arms.values():
        if not arm.episodes:
            raise ProviderError(
                f"no episode of arm '{shown(arm.name)}' has an outcome: the outside world broke all {arm.missing}. "
                "There is nothing to decide on; when it is up again, start with another journal."
            )
    pairings = {arm: _pairing(result, arm) for arm in plan.treated}
    churn, best, blind, logged = _own_churn(result), _best(result), against_blind(result), _against_logged(result)
    cautions = {
        arm: (
            *pairings[arm].cautions,
            *(logged.remarks() if logged is not None else ()),
            *cautions_of(result, arm),
            *(blind[arm].remarks() if arm in blind else ()),
            *context_of(plan, pairings, arm, churn, best),
        )
        for arm in plan.treated
    }
    verdicts = _verdicts(result, pairings, cautions)
    if logged is not None:
        verdicts = {arm: logged.withheld(verdict) for arm, verdict in verdicts.items()}
    return _Judged({arm: verdicts[arm] for arm in plan.treated}, pairings, churn, blind, logged)


def _require_look(result: PilotResult) -> None:
    monitor, looks = result.monitor, result.plan.looks.tasks
    if monitor.over or monitor.looks_taken or monitor.ends:
        return
    raise InvalidInput(
        f"{monitor.tasks} tasks are complete, and the plan declares "
        f"{'its only look' if len(looks) == 1 else 'its first look'} at {looks[0]}. Deciding before, and again "
        "when the journal has grown, makes false verdicts: testing at 50, then 100, then 200 tasks, each at .05, "
        "deploys a useless arm 9.8 % of the time. Go on with forbear pilot "
        f"{'ask' if result.plan.is_hosted else 'run'}."
    )


def _pairing(result: PilotResult, arm: str) -> Pairing:
    """An arm beside the baseline, on the tasks that are its evidence."""
    tasks = frozenset(task.id for task in result.plan.tasks[slice(*result.monitor.span(arm))])
    return pair_episodes(
        (episode for episode in result.episodes.values() if episode.task.id in tasks),
        baseline=result.plan.baseline_arm,
        treated=arm,
        without_outcome=(key for key in result.missing if key[0] in tasks),
        logged={task: runs for task, runs in result.plan.logged.items() if task in tasks},
    )


def _verdicts(
    result: PilotResult, pairings: Mapping[str, Pairing], cautions: Mapping[str, Sequence[Remark]]
) -> dict[str, Verdict]:
    """The arms that may be deployed as one family, each control by itself."""
    plan, monitor = result.plan, result.monitor
    tested = arms_tested(result)
    alone = [name for name in plan.treated if name not in tested]
    families = [[name] for name in alone] + ([tested] if tested else [])
    verdicts: dict[str, Verdict] = {}
    for family in families:
        known = {name: monitor.outcomes(name) for name in family}
        verdicts |= decide_arms(
            {name: outcomes for name, (outcomes, _) in known.items() if outcomes is not None},
            plan.rule,
            missing={name: missing for name, (_, missing) in known.items()},
            unpaired={name: pairings[name].unpaired for name in family},
            cautions={name: cautions[name] for name in family},
        )
    for name in alone:
        # A control decides nothing: it ends with the others. Nor does a setting that was not chosen, or not tested yet.
        verdict, end = verdicts[name], monitor.ends.get(name)
        look = None if verdict.look is None else replace(verdict.look, stopped=None if end is None else end.reason)
        verdicts[name] = replace(verdict, futile=False, look=look)
        if plan.arms[name].in_ladder:
            verdicts[name] = untested(verdicts[name])
    return {name: withheld(verdict, result.arms[name]) for name, verdict in verdicts.items()}


def _own_churn(result: PilotResult) -> Churn | None:
    """The agent's run-to-run variation, from all runs of it alone; None where no task has two."""
    alone = {name for name, arm in result.plan.arms.items() if arm.kind in ("baseline", "rerun")}
    runs: dict[str, list[bool]] = {}
    for (task, _, arm), episode in result.episodes.items():
        if arm in alone:
            runs.setdefault(task, list(result.plan.logged.get(task, ()))).append(episode.success is True)
    repeated = [task for task in runs.values() if len(task) > 1]
    # Coupled arms share their runs up to the first intervention: what churn is left there, a placebo arm measures.
    return churn_of(repeated) if result.design == "independent" and len(repeated) > 1 else None


def _against_logged(result: PilotResult) -> AgainstLogged | None:
    own: dict[str, list[bool]] = {}
    for (task, _, arm), episode in result.episodes.items():
        if arm == result.plan.baseline_arm:
            own.setdefault(task, []).append(episode.success is True)
    return AgainstLogged.of(result.plan, own)


def _best(result: PilotResult) -> Best | None:
    """The best of several arms, corrected for having been chosen; on the tasks that all of them brought to an end.

    None where an arm ended early: the correction knows nothing of ends.
    """
    plan, candidates = result.plan, result.plan.candidates
    if plan.ladder or len(candidates) < 2 or any(result.monitor.counted(arm) < len(plan.tasks) for arm in candidates):
        return None
    arms = (plan.baseline_arm, *candidates)
    kept = [
        task
        for task in plan.tasks
        if all((task.id, seed, arm) in result.episodes for seed in plan.seeds for arm in arms)
    ]
    if len(kept) < 2:
        return None

    def runs(arm: str) -> list[list[bool]]:
        before = plan.logged if arm == plan.baseline_arm else {}
        return [
            [*(result.episodes[task.id, seed, arm].success is True for seed in plan.seeds), *before.get(task.id, ())]
            for task in kept
        ]

    clusters = [task.group for task in kept]
    outcomes = {
        name: ClusteredOutcomes.from_outcomes(
            baseline=runs(plan.baseline_arm),
            treated=runs(name),
            clusters=clusters if len(set(clusters)) < len(kept) else None,
        )
        for name in candidates
    }
    return best_of(
        outcomes,
        rng=np.random.default_rng(0),
        confidence=1 - plan.rule.alpha,
        resamples=_CHOICES,
        guarantee=plan.rule.guarantee,
    )


def elsewhere(pairing: Pairing, *, confidence: float, guarantee: Guarantee) -> tuple[GainAt, ...] | None:
    """The gain over failure rates of the baseline, from 0 to 1 in hundredths.

    Args:
        pairing: Two arms.
        confidence: Of each interval, as `gain_at` has it, for a single look.
        guarantee: As in the rule.

    Returns:
        None where it is unknown: of graded scores, of a baseline that only fails or only succeeds, or of seeds that
        are not paired.
    """
    try:
        return gain_curve(pairing.binary, failure_rates=_HUNDREDTHS, confidence=confidence, guarantee=guarantee)
    except InvalidInput:
        return None


def _judgements(episodes: list[Episode], critic: str) -> Judgements | None:
    rows = [
        (not episode.success, p_fail, episode.task.id, step.index)
        for episode in episodes
        for step in episode.steps
        for proposal in step.proposals
        if (p_fail := proposal.p_fail.get(critic)) is not None
    ]
    if len({task for _, _, task, _ in rows}) < 2:  # its intervals resample tasks
        return None
    failed, scores, tasks, steps = zip(*rows, strict=True)
    return Judgements.of(failed=failed, p_fail=scores, tasks=tasks, steps=steps)


def _critic_report(judgements: Judgements) -> CriticReport:
    # The report of one journal is always the same: the resamples have a seed of their own.
    return evaluate_critic(judgements, rng=np.random.default_rng(0), resamples=_RESAMPLES)
