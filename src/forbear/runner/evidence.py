"""What a pilot's episodes say: verdicts with the cautions that only a pilot can know, and the critics offline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forbear.analysis.pairing import Pairing, pair_episodes
from forbear.critics.measures import CriticReport, Judgements, evaluate_critic
from forbear.errors import ProviderError
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.outcomes.paired import PairedOutcomes
from forbear.policy.arm import Arm
from forbear.records.model import Episode
from forbear.runner.plan import is_control
from forbear.runner.result import CASCADE, ArmResult, PilotResult
from forbear.stats.context.ceilings import Ceilings, ceilings
from forbear.stats.context.churn import Churn, churn_of, net_of_churn
from forbear.stats.context.resample import Best, best_of
from forbear.stats.decision import decide_arms
from forbear.stats.looks.gain_path import GainPath, gain_path_of
from forbear.stats.verdict import Remark, Verdict
from forbear.wording import points, shown

EARLY_STEPS = 2
"""Steps 0 and 1, where the study found every one of its regressions."""

_OFTEN = 0.5
_RESAMPLES = 400
_CHOICES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Verdicts and critic metrics of a pilot."""

    verdicts: Mapping[str, Verdict]
    """By treated arm, controls (placebo, rerun) included; each of those is decided by itself and never deployed."""
    controls: frozenset[str]
    ceilings: Mapping[str, Ceilings]
    """By treated arm with paired seeds: what an intervention that never disrupted would have gained."""
    paths: Mapping[str, GainPath]
    """By treated arm: how it came to its verdict."""
    critics: Mapping[str, CriticReport | None]
    """By critic: its scores on the baseline's proposals against the baseline's outcomes; None where it gave none,
    or to one task only."""


def evidence_of(result: PilotResult) -> Evidence:
    """Pairs every arm of a pilot with its baseline and decides; the same result always gives the same evidence.

    Raises:
        ProviderError: An arm has no episode with an outcome.
        InvalidInput: An arm and the baseline have no task in common that both brought to an outcome.
    """
    frozen = result.frozen
    for arm in result.arms.values():
        if not arm.episodes:
            raise ProviderError(
                f"no episode of arm '{shown(arm.name)}' has an outcome: the outside world broke all {arm.missing}. "
                "There is nothing to decide on; when it is up again, start with another journal."
            )
    baseline, treated = frozen.arms[0], frozen.arms[1:]
    controls = frozenset(arm.name for arm in treated if is_control(arm))
    pairings = {arm.name: _pairing(result, arm.name) for arm in treated}
    churn = [
        Remark(
            code="placebo_gain",
            text=f"A fresh draw alone ('{shown(arm.name)}') changed success by "
            f"{points(pairings[arm.name].pairs.success_gain)}.",
        )
        for arm in treated
        if arm.name in controls and not arm.is_rerun
    ]
    own, best = _own_churn(result), _best(result, [arm.name for arm in treated if arm.name not in controls])
    cautions = {
        arm.name: (
            *pairings[arm.name].cautions,
            *_cautions(result, arm),
            *(() if arm.name in controls else (*churn, *_net_of(own, pairings[arm.name]))),
            *(_chosen(best) if best is not None and best.arm == arm.name else ()),
        )
        for arm in treated
    }
    verdicts = _verdicts(result, pairings, cautions, controls=controls)
    ways = {arm.name: result.course.outcomes(arm.name)[0] for arm in treated}
    episodes = [episode for episode in result.episodes.values() if episode.arm == baseline.name]
    return Evidence(
        verdicts={arm.name: verdicts[arm.name] for arm in treated},
        controls=controls,
        ceilings={
            name: ceilings(pairing.pairs, churn=own)
            for name, pairing in pairings.items()
            if isinstance(pairing.pairs, PairedOutcomes) or pairing.pairs.paired_seeds
        },
        paths={
            name: path
            for name, outcomes in ways.items()
            if outcomes is not None and (path := gain_path_of(outcomes, frozen.plan.rule)) is not None
        },
        critics={name: _critic_report(episodes, name) for name in frozen.critics},
    )


def _pairing(result: PilotResult, arm: str) -> Pairing:
    """An arm beside the baseline, on the tasks that are its evidence: those to its end."""
    course = result.course
    tasks = frozenset(course.schedule.tasks[: course.tasks_of(arm)])
    return pair_episodes(
        (episode for episode in result.episodes.values() if episode.task.id in tasks),
        baseline=course.schedule.baseline,
        treated=arm,
        without_outcome=(key for key in result.exclusions if key[0] in tasks),
    )


def _verdicts(
    result: PilotResult,
    pairings: Mapping[str, Pairing],
    cautions: Mapping[str, Sequence[Remark]],
    *,
    controls: frozenset[str],
) -> dict[str, Verdict]:
    """The arms that may be deployed as one family, each control by itself."""
    families = [[name] for name in pairings if name in controls]
    families += [candidates] if (candidates := [name for name in pairings if name not in controls]) else []
    verdicts: dict[str, Verdict] = {}
    for family in families:
        known = {name: result.course.outcomes(name) for name in family}
        verdicts |= decide_arms(
            {name: outcomes for name, (outcomes, _) in known.items() if outcomes is not None},
            result.frozen.plan.rule,
            missing={name: missing for name, (_, missing) in known.items()},
            excluded={name: pairings[name].excluded for name in family},
            cautions={name: cautions[name] for name in family},
        )
    for name in controls & verdicts.keys():
        # A control decides nothing: it ends with the others.
        verdict, stop = verdicts[name], result.course.stops.get(name)
        look = None if verdict.look is None else {**verdict.look, "stopped": None if stop is None else stop.reason}
        verdicts[name] = replace(verdict, futile=False, look=look)
    return verdicts


def _own_churn(result: PilotResult) -> Churn | None:
    """The agent's run-to-run variation, from the baseline and its reruns; None where nothing was rerun."""
    alone = {arm.name for arm in result.frozen.arms if arm.is_baseline or arm.is_rerun}
    runs: dict[str, list[bool]] = {}
    for (task, _, arm), episode in result.episodes.items():
        if arm in alone:
            runs.setdefault(task, []).append(episode.success is True)
    repeated = [task for task in runs.values() if len(task) > 1]
    # Coupled arms share their runs up to the first intervention: what churn is left there, a placebo arm measures.
    return churn_of(repeated) if result.design == "independent" and len(repeated) > 1 else None


def _net_of(churn: Churn | None, pairing: Pairing) -> tuple[Remark, ...]:
    pairs = pairing.pairs
    if churn is None or (isinstance(pairs, ClusteredOutcomes) and pairs.table is None):
        return ()
    net = net_of_churn(pairs, churn)
    if net.recovery is None or net.disruption is None:
        return net.cautions
    text = f"Net of churn: recovery {points(net.recovery)}, disruption {points(net.disruption)}."
    return (*net.cautions, Remark(code="net_rates", text=text))


def _best(result: PilotResult, candidates: Sequence[str]) -> Best | None:
    """The best of several arms, corrected for having been chosen; on the tasks that all of them brought to an end.

    None where an arm ended early: the correction knows nothing of stops.
    """
    plan, baseline = result.frozen.plan, result.frozen.arms[0].name
    if len(candidates) < 2 or any(result.course.tasks_of(arm) < len(plan.tasks) for arm in candidates):
        return None
    arms = (baseline, *candidates)
    kept = [
        task
        for task in plan.tasks
        if all((task.id, seed, arm) in result.episodes for seed in plan.seeds for arm in arms)
    ]
    if len(kept) < 2:
        return None

    def runs(arm: str) -> list[list[bool]]:
        return [[result.episodes[task.id, seed, arm].success is True for seed in plan.seeds] for task in kept]

    clusters = [task.cluster or task.id for task in kept]
    outcomes = {
        name: ClusteredOutcomes.from_outcomes(
            baseline=runs(baseline),
            treated=runs(name),
            clusters=clusters if len(set(clusters)) < len(kept) else None,
        )
        for name in candidates
    }
    return best_of(outcomes, rng=np.random.default_rng(0), confidence=1 - plan.rule.alpha, resamples=_CHOICES)


def _chosen(best: Best) -> tuple[Remark, ...]:
    # Its simultaneous bound is left to those who ask for it: the exact test behind the verdict is the stricter one, and
    # two bounds that disagree by a hair help nobody.
    corrected = points(best.gain.value)
    text = f"The best of {len(best.chosen)} arms: corrected for having been chosen, its gain is {corrected}."
    return (Remark(code="best_of", text=text),)


def _critic_report(episodes: list[Episode], critic: str) -> CriticReport | None:
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
    judgements = Judgements.of(failed=failed, p_fail=scores, tasks=tasks, steps=steps)
    # The report of one journal is always the same: the resamples have a seed of their own.
    return evaluate_critic(judgements, rng=np.random.default_rng(0), resamples=_RESAMPLES)


def _cautions(result: PilotResult, arm: Arm) -> list[Remark]:
    counted, baseline = result.arms[arm.name], result.arms[result.frozen.arms[0].name]
    cautions = []
    if is_control(arm):
        what = "the agent alone at another seed" if arm.is_rerun else "a fresh draw and nothing else"
        cautions.append(Remark(code="control", text=f"A control, {what}: it measures churn and is never deployed."))
    if result.design == "independent" and not arm.is_rerun:
        cautions.append(
            Remark(
                code="independent_design",
                text="Arms were run apart with draws of their own: recovery and disruption include the agent's own "
                "run-to-run variation; compare them with the rerun arm's.",
            )
        )
    if arm.policy is not None:
        cautions += _policy_cautions(result, counted, baseline)
    return cautions


def _policy_cautions(result: PilotResult, arm: ArmResult, baseline: ArmResult) -> list[Remark]:
    cautions = []
    if arm.critic_faults:
        text = f"The critic owed {arm.critic_faults} of {arm.critic_calls} scores; there the agent went on."
        if arm.critic_faults >= arm.critic_calls:
            text = f"The critic never answered ({arm.critic_faults} scores owed): this says nothing about it. Mend it."
        cautions.append(Remark(code="critic_faults", text=text))
    if not arm.interventions:
        text = "It never intervened: the arm is the baseline. Look at threshold and min_step."
        cautions.append(Remark(code="never_intervened", text=text))
        return cautions
    disrupted = _first_interventions_of_disrupted(result, arm.name, baseline.name)
    early = sum(step < EARLY_STEPS for step in disrupted)
    if disrupted and early >= _OFTEN * len(disrupted):
        text = (
            f"{early} of {len(disrupted)} disrupted episodes were first touched at step 0 or 1: "
            "try a min_step of 2, in a new pilot."
        )
        cautions.append(Remark(code="early_disruption", text=text))
    if arm.cascades >= _OFTEN * arm.episodes:
        text = f"{arm.cascades} of {arm.episodes} episodes saw {CASCADE} or more interventions: a cascade."
        cautions.append(Remark(code="cascades", text=text))
    if arm.no_answers * baseline.episodes > (baseline.no_answers + 0.1 * baseline.episodes) * arm.episodes:
        text = (
            f"{arm.no_answers} of {arm.episodes} episodes ended without an answer, "
            f"{baseline.no_answers} of {baseline.episodes} of the baseline's."
        )
        cautions.append(Remark(code="no_answer", text=text))
    if arm.rollback_noops >= _OFTEN * arm.interventions:
        text = (
            f"{arm.rollback_noops} of {arm.interventions} interventions got the dropped action proposed again: "
            "the agent hardly varies, so recovery is biased towards zero."
        )
        cautions.append(Remark(code="rollback_noops", text=text))
    if arm.refusals:
        text = f"{arm.refusals} rollbacks were refused because they would have crossed an irreversible action."
        cautions.append(Remark(code="refused_rollbacks", text=text))
    return cautions


def _first_interventions_of_disrupted(result: PilotResult, arm: str, baseline: str) -> list[int]:
    found = []
    for (task, seed, name), episode in result.episodes.items():
        before = result.episodes.get((task, seed, baseline))
        if name == arm and before is not None and before.success and not episode.success:
            step = episode.first_intervention
            if step is not None:
                found.append(step)
    return found
