"""What only a pilot can know and a verdict should not be read without: controls, faults of the critic, cascades, churn.

Every number of a sentence stands in its values too, unrounded.
"""

from collections.abc import Mapping
from dataclasses import replace

from forbear.analysis.early import early_harm
from forbear.analysis.pairing import Pairing
from forbear.analysis.plan_record import ArmRecord, PlanRecord
from forbear.analysis.result import CASCADE, ArmResult, PilotResult
from forbear.outcomes.clustered import ClusteredOutcomes
from forbear.records.model import REFUSED
from forbear.stats.context.churn import Churn, net_of_churn
from forbear.stats.context.resample import Best
from forbear.stats.verdict import Recommendation, Remark, Verdict
from forbear.wording import listed, points, share, shown

MOST_FAULTS = 0.1
"""The share of its scores that a critic may owe."""

_OFTEN = 0.5
_MORE_WITHOUT_ANSWER = 0.1


def context_of(
    plan: PlanRecord, pairings: Mapping[str, Pairing], arm: str, churn: Churn | None, best: Best | None
) -> tuple[Remark, ...]:
    """What stands beside an arm's gain: what a fresh draw alone does, what is left without churn and choice.

    Args:
        plan: Of the pilot.
        pairings: By treated arm.
        arm: A treated arm.
        churn: Of the agent, where it was rerun.
        best: Of several arms, where one was chosen.
    """
    remarks: list[Remark] = []
    if arm in plan.candidates:
        fresh = [name for name in plan.controls if plan.arms[name].kind != "rerun" and not plan.arms[name].blind_of]
        remarks += [_placebo_gain(name, pairings[name]) for name in fresh]
        remarks += _net_of(churn, pairings[arm])
    if best is not None and best.arm == arm:
        remarks.append(_chosen(best))
    return tuple(remarks)


def _placebo_gain(control: str, pairing: Pairing) -> Remark:
    gain = pairing.pairs.success_gain
    return Remark(
        code="placebo_gain",
        text=f"A fresh draw alone ('{shown(control)}') changed success by {points(gain)}.",
        values={"arm": control, "gain": gain},
    )


def _net_of(churn: Churn | None, pairing: Pairing) -> tuple[Remark, ...]:
    pairs = pairing.binary
    if churn is None or (isinstance(pairs, ClusteredOutcomes) and pairs.table is None):
        return ()
    net = net_of_churn(pairs, churn)
    if net.recovery is None or net.disruption is None:
        return net.cautions
    text = f"Net of churn: recovery {points(net.recovery)}, disruption {points(net.disruption)}."
    values = {"recovery": net.recovery, "disruption": net.disruption}
    return (*net.cautions, Remark(code="net_rates", text=text, values=values))


def _chosen(best: Best) -> Remark:
    # Its simultaneous bound is left to those who ask for it: the exact test behind the verdict is the stricter one, and
    # two bounds that disagree by a hair help nobody.
    return Remark(
        code="best_of",
        text=f"The best of {len(best.chosen)} arms: corrected for having been chosen, its gain is "
        f"{points(best.gain.value)}.",
        values={"arms": len(best.chosen), "gain": best.gain.value},
    )


def cautions_of(result: PilotResult, arm: str) -> list[Remark]:
    """What an arm's verdict should not be read without, from what its episodes did."""
    plan, record = result.plan, result.plan.arms[arm]
    cautions = []
    if record.is_control:
        cautions.append(_control(record))
    if plan.design == "independent" and record.kind != "rerun":
        rerun = any(one.kind == "rerun" for one in plan.arms.values())
        compare = "compare them with the rerun arm's" if rerun else "no arm says how much, none was rerun"
        if plan.logged and not rerun:
            compare = "forbear churn on the log says how much"
        cautions.append(
            Remark(
                code="independent_design",
                text="Arms were run apart with draws of their own: recovery and disruption include the agent's own "
                f"run-to-run variation; {compare}.",
            )
        )
    cautions += _tried_before(plan, arm)
    if record.in_ladder:
        cautions.append(_of_the_ladder(result, arm))
    if plan.continuations > 1:
        cautions.append(_continued(result, arm))
    if record.kind == "policy":
        cautions += _of_the_critic(result, arm)
        cautions += _of_the_interventions(result, result.arms[arm], result.arms[plan.baseline_arm])
        cautions += _without_blind(plan, result.arms[arm])
    return cautions


def _tried_before(plan: PlanRecord, arm: str) -> list[Remark]:
    """Says where the same critic was tried on the very runs that were taken from an earlier pilot."""
    found = []
    for one in plan.baseline.earlier:
        others = one.tried.get(arm, ())
        if others:
            text = (
                f"{one.runs} of its baseline's runs were taken from {shown(one.source, limit=80)}, where the same "
                f"critic was tried on the same tasks and seeds ({listed(others)}): if this setting was chosen by what "
                "came of those, its gain is flattered. Confirm it on other tasks, or other seeds."
            )
            values = {"source": one.source, "runs": one.runs, "arms": list(others)}
            found.append(Remark(code="tried_before", text=text, values=values))
    return found


def _of_the_ladder(result: PilotResult, arm: str) -> Remark:
    """Says what was chosen on which tasks, and on which it is tested."""
    plan, monitor = result.plan, result.monitor
    gains, first = monitor.ladder_gains(), plan.looks.tasks[0]
    begin, end = monitor.span(arm)
    chosen = f"the best of {len(gains)} settings on the first {first} tasks"
    if monitor.chosen != arm:
        text = f"Not {chosen} ({points(gains[arm])}; '{shown(monitor.chosen or 'none yet')}' was): not tested."
    elif begin:
        text = f"Chosen as {chosen} ({points(gains[arm])} there); tested on the {end - begin} tasks after them "
        text += "alone, from which on its looks are counted."
    else:
        text = (
            f"Chosen as {chosen} ({points(gains[arm])} there), which says nothing yet: it is tested on those to come."
        )
    values = {"chosen": monitor.chosen, "first": first, "tested_on": end - begin if begin else 0, "gains": gains}
    return Remark(code="ladder", text=text, values=values)


def _continued(result: PilotResult, arm: str) -> Remark:
    """Says what the runs of a task have in common, and how many tasks were continued at all."""
    plan = result.plan
    counted = {task.id for task in plan.tasks[: result.monitor.counted(arm)]}
    acting = {name for name, one in plan.arms.items() if one.kind == "policy" and one.blind_of is None}
    forked = {
        task
        for (task, seed, name), episode in result.episodes.items()
        if task in counted and seed == plan.seeds[0] and name in acting
        if any(one.intervened or one.decision == REFUSED for step in episode.steps for one in step.proposals)
    }
    text = (
        f"Where an arm first would act a task was continued {plan.continuations} times, in {len(forked)} of "
        f"{len(counted)} tasks; the others were run once. The verdict is on task means."
    )
    values = {"continuations": plan.continuations, "forked": len(forked), "tasks": len(counted)}
    return Remark(code="continuations", text=text, values=values)


def _without_blind(plan: PlanRecord, arm: ArmResult) -> list[Remark]:
    if arm.name in plan.controls or not arm.interventions or any(one.blind_of for one in plan.arms.values()):
        return []
    text = 'No arm is blind (intervention = "blind"): whether its critic matters, or only stepping in, nobody can say.'
    return [Remark(code="no_blind", text=text)]


def _control(arm: ArmRecord) -> Remark:
    if arm.blind_of is not None:
        text = (
            f"A control, the intervention of '{shown(arm.blind_of)}' at random moments: it shows what stepping in does "
            "whoever steps in, and is never deployed."
        )
        return Remark(code="control", text=text, values={"blind_of": arm.blind_of})
    if arm.intervention not in (None, "placebo"):
        return Remark(code="control", text="A control: it is there to be compared with, and is never deployed.")
    what = "the agent alone at another seed" if arm.kind == "rerun" else "a fresh draw and nothing else"
    return Remark(code="control", text=f"A control, {what}: it measures churn and is never deployed.")


def _of_the_critic(result: PilotResult, name: str) -> list[Remark]:
    arm, policy = result.arms[name], result.plan.arms[name].policy or {}
    owed, asked = arm.critic_faults, arm.critic_calls
    if not owed:
        return []
    then = "there the agent went on" if policy.get("fail_open", True) else "each counted as a failure foreseen"
    text = f"The critic owed {owed} of {asked} scores; {then}."
    if owed >= asked:
        text = f"The critic never answered ({owed} scores owed): this says nothing about it. Mend it."
    return [Remark(code="critic_faults", text=text, values={"owed": owed, "asked": asked})]


def withheld(verdict: Verdict, arm: ArmResult) -> Verdict:
    """No INTERVENE for a critic that owed more than `MOST_FAULTS` of its scores: what was tried is not what it does."""
    owed, asked = arm.critic_faults, arm.critic_calls
    if verdict.recommendation is not Recommendation.INTERVENE or owed <= MOST_FAULTS * asked:
        return verdict
    text = (
        f"Its critic owed {owed} of {asked} scores, more than {share(MOST_FAULTS)}: mend it, and pilot it afresh. One "
        "that means not to judge abstains."
    )
    reason = Remark(code="critic_broken", text=text, values={"owed": owed, "asked": asked, "most": MOST_FAULTS})
    return replace(verdict, recommendation=Recommendation.UNDECIDED, reasons=(reason,))


def untested(verdict: Verdict) -> Verdict:
    """No verdict on a setting by the tasks that it was chosen by, or passed over."""
    text = "Not tested: a setting is chosen on some tasks, and the chosen one is tested on others."
    reason = Remark(code="not_tested", text=text)
    return replace(verdict, recommendation=Recommendation.UNDECIDED, harmful=False, reasons=(reason,))


def _of_the_interventions(result: PilotResult, arm: ArmResult, baseline: ArmResult) -> list[Remark]:
    if not arm.interventions:
        text = "It never intervened: the arm is the baseline. Look at threshold and min_step."
        return [Remark(code="never_intervened", text=text)]
    cautions = early_harm(result, arm.name) if arm.name in result.plan.candidates else []

    def caution(code: str, text: str, **values: int) -> None:
        cautions.append(Remark(code=code, text=text, values=values))

    if arm.cascades >= _OFTEN * arm.episodes:
        caution(
            "cascades",
            f"{arm.cascades} of {arm.episodes} episodes saw {CASCADE} or more interventions: a cascade.",
            cascades=arm.cascades,
            episodes=arm.episodes,
        )
    usual = baseline.no_answers + _MORE_WITHOUT_ANSWER * baseline.episodes
    if arm.no_answers * baseline.episodes > usual * arm.episodes:
        caution(
            "no_answer",
            f"{arm.no_answers} of {arm.episodes} episodes ended without an answer, "
            f"{baseline.no_answers} of {baseline.episodes} of '{shown(baseline.name)}'.",
            no_answers=arm.no_answers,
            episodes=arm.episodes,
            baseline_no_answers=baseline.no_answers,
            baseline_episodes=baseline.episodes,
        )
    if arm.rollback_noops >= _OFTEN * arm.interventions:
        caution(
            "rollback_noops",
            f"{arm.rollback_noops} of {arm.interventions} interventions got the dropped action proposed again: "
            "the agent hardly varies, so recovery is biased towards zero.",
            rollback_noops=arm.rollback_noops,
            interventions=arm.interventions,
        )
    if arm.refusals:
        caution(
            "refused_rollbacks",
            f"{arm.refusals} interventions could not be applied: they would have crossed an irreversible action, or "
            "came too late.",
            refusals=arm.refusals,
        )
    return cautions
