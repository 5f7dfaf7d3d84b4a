"""Know when not to intervene: an honest verdict on a critic from a small paired pilot.

The public names are listed once, in `_HOME`, and imported when first used (PEP 562), so that `import forbear` stays
under 0.2 s.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names for type checkers; a test holds the two lists together
    from forbear.adapters.formats.tabular import Columns as Columns
    from forbear.adapters.formats.tabular import read_outcomes as read_outcomes
    from forbear.analysis.evidence import Evidence as Evidence
    from forbear.analysis.evidence import evidence_of as evidence_of
    from forbear.analysis.pairing import Pairing as Pairing
    from forbear.analysis.pairing import compare as compare
    from forbear.analysis.result import PilotResult as PilotResult
    from forbear.contracts.draw import Draw as Draw
    from forbear.contracts.environment import Observation as Observation
    from forbear.errors import AgentError as AgentError
    from forbear.errors import ForbearError as ForbearError
    from forbear.errors import InvalidInput as InvalidInput
    from forbear.errors import ProviderError as ProviderError
    from forbear.interventions.append import Append as Append
    from forbear.interventions.placebo import Placebo as Placebo
    from forbear.interventions.rollback import Rollback as Rollback
    from forbear.interventions.stop import Stop as Stop
    from forbear.outcomes.clustered import ClusteredOutcomes as ClusteredOutcomes
    from forbear.outcomes.missing import planned_outcomes as planned_outcomes
    from forbear.outcomes.paired import PairedOutcomes as PairedOutcomes
    from forbear.outcomes.table import OutcomeTable as OutcomeTable
    from forbear.policy.arm import Arm as Arm
    from forbear.policy.policy import InterventionPolicy as InterventionPolicy
    from forbear.records.journal import Journal as Journal
    from forbear.records.model import Action as Action
    from forbear.records.model import Episode as Episode
    from forbear.records.model import Task as Task
    from forbear.records.model import Trajectory as Trajectory
    from forbear.runner.ask_tell import Assignment as Assignment
    from forbear.runner.ask_tell import HostPilot as HostPilot
    from forbear.runner.host_plan import HostArm as HostArm
    from forbear.runner.host_plan import HostPlan as HostPlan
    from forbear.runner.pilot import run_pilot as run_pilot
    from forbear.runner.plan import PilotPlan as PilotPlan
    from forbear.stats.context.ceilings import ceilings as ceilings
    from forbear.stats.context.churn import churn_of as churn_of
    from forbear.stats.context.resample import best_of as best_of
    from forbear.stats.context.transport import gain_at as gain_at
    from forbear.stats.context.transport import post_stratified_gain as post_stratified_gain
    from forbear.stats.decision import decide as decide
    from forbear.stats.decision import decide_arms as decide_arms
    from forbear.stats.looks.anytime import AnytimeOutcomes as AnytimeOutcomes
    from forbear.stats.looks.anytime import anytime_outcomes as anytime_outcomes
    from forbear.stats.looks.betting import EProcess as EProcess
    from forbear.stats.looks.betting import confidence_sequence as confidence_sequence
    from forbear.stats.looks.looks import Looks as Looks
    from forbear.stats.looks.looks import boundary_constant as boundary_constant
    from forbear.stats.looks.looks import sequential_pvalue as sequential_pvalue
    from forbear.stats.looks.sequential import SequentialOutcomes as SequentialOutcomes
    from forbear.stats.looks.sequential import sequential_outcomes as sequential_outcomes
    from forbear.stats.looks.stopping import looked_power as looked_power
    from forbear.stats.power import AssumedEffect as AssumedEffect
    from forbear.stats.power import minimum_detectable_gain as minimum_detectable_gain
    from forbear.stats.power import power as power
    from forbear.stats.power import tasks_needed as tasks_needed
    from forbear.stats.rule import DecisionRule as DecisionRule
    from forbear.stats.simulate import PilotTruth as PilotTruth
    from forbear.stats.simulate import simulate as simulate
    from forbear.stats.verdict import Recommendation as Recommendation
    from forbear.stats.verdict import Remark as Remark
    from forbear.stats.verdict import Verdict as Verdict

__version__ = "0.1.0"

_HOME = {
    "Action": "records.model",
    "AgentError": "errors",
    "AnytimeOutcomes": "stats.looks.anytime",
    "Append": "interventions.append",
    "Arm": "policy.arm",
    "Assignment": "runner.ask_tell",
    "AssumedEffect": "stats.power",
    "ClusteredOutcomes": "outcomes.clustered",
    "Columns": "adapters.formats.tabular",
    "DecisionRule": "stats.rule",
    "Draw": "contracts.draw",
    "EProcess": "stats.looks.betting",
    "Episode": "records.model",
    "Evidence": "analysis.evidence",
    "ForbearError": "errors",
    "HostArm": "runner.host_plan",
    "HostPilot": "runner.ask_tell",
    "HostPlan": "runner.host_plan",
    "InterventionPolicy": "policy.policy",
    "InvalidInput": "errors",
    "Journal": "records.journal",
    "Looks": "stats.looks.looks",
    "Observation": "contracts.environment",
    "OutcomeTable": "outcomes.table",
    "PairedOutcomes": "outcomes.paired",
    "Pairing": "analysis.pairing",
    "PilotPlan": "runner.plan",
    "PilotResult": "analysis.result",
    "PilotTruth": "stats.simulate",
    "Placebo": "interventions.placebo",
    "ProviderError": "errors",
    "Recommendation": "stats.verdict",
    "Remark": "stats.verdict",
    "Rollback": "interventions.rollback",
    "SequentialOutcomes": "stats.looks.sequential",
    "Stop": "interventions.stop",
    "Task": "records.model",
    "Trajectory": "records.model",
    "Verdict": "stats.verdict",
    "anytime_outcomes": "stats.looks.anytime",
    "best_of": "stats.context.resample",
    "boundary_constant": "stats.looks.looks",
    "ceilings": "stats.context.ceilings",
    "churn_of": "stats.context.churn",
    "compare": "analysis.pairing",
    "confidence_sequence": "stats.looks.betting",
    "decide": "stats.decision",
    "decide_arms": "stats.decision",
    "evidence_of": "analysis.evidence",
    "gain_at": "stats.context.transport",
    "looked_power": "stats.looks.stopping",
    "minimum_detectable_gain": "stats.power",
    "planned_outcomes": "outcomes.missing",
    "post_stratified_gain": "stats.context.transport",
    "power": "stats.power",
    "read_outcomes": "adapters.formats.tabular",
    "run_pilot": "runner.pilot",
    "sequential_outcomes": "stats.looks.sequential",
    "sequential_pvalue": "stats.looks.looks",
    "simulate": "stats.simulate",
    "tasks_needed": "stats.power",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    try:
        home = _HOME[name]
    except KeyError:
        raise AttributeError(f"module 'forbear' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(f"forbear.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
