"""Know when not to intervene: an honest verdict on a critic from a small paired pilot.

The public names are listed once, in `_HOME`, and imported when first used (PEP 562), so that `import forbear` stays
under 0.2 s.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names for type checkers; a test holds the two lists together
    from forbear.adapters.formats.tabular import Columns as Columns
    from forbear.adapters.formats.tabular import read_outcomes as read_outcomes
    from forbear.draw import Draw as Draw
    from forbear.errors import AgentError as AgentError
    from forbear.errors import ForbearError as ForbearError
    from forbear.errors import InvalidInput as InvalidInput
    from forbear.errors import ProviderError as ProviderError
    from forbear.interventions.append import Append as Append
    from forbear.interventions.placebo import Placebo as Placebo
    from forbear.interventions.rollback import Rollback as Rollback
    from forbear.interventions.stop import Stop as Stop
    from forbear.pairing import Pairing as Pairing
    from forbear.pairing import compare as compare
    from forbear.policy import Arm as Arm
    from forbear.policy import InterventionPolicy as InterventionPolicy
    from forbear.protocols import Observation as Observation
    from forbear.records.journal import Journal as Journal
    from forbear.records.model import Action as Action
    from forbear.records.model import Episode as Episode
    from forbear.records.model import Task as Task
    from forbear.records.model import Trajectory as Trajectory
    from forbear.runner.evidence import Evidence as Evidence
    from forbear.runner.evidence import evidence_of as evidence_of
    from forbear.runner.pilot import run_pilot as run_pilot
    from forbear.runner.plan import PilotPlan as PilotPlan
    from forbear.runner.result import PilotResult as PilotResult
    from forbear.stats.anytime import AnytimeOutcomes as AnytimeOutcomes
    from forbear.stats.anytime import anytime_outcomes as anytime_outcomes
    from forbear.stats.betting import EProcess as EProcess
    from forbear.stats.betting import confidence_sequence as confidence_sequence
    from forbear.stats.ceilings import ceilings as ceilings
    from forbear.stats.churn import churn_of as churn_of
    from forbear.stats.clustered import ClusteredOutcomes as ClusteredOutcomes
    from forbear.stats.decision import decide as decide
    from forbear.stats.decision import decide_arms as decide_arms
    from forbear.stats.looks import Looks as Looks
    from forbear.stats.looks import boundary_constant as boundary_constant
    from forbear.stats.looks import sequential_pvalue as sequential_pvalue
    from forbear.stats.missing import planned_outcomes as planned_outcomes
    from forbear.stats.paired import PairedOutcomes as PairedOutcomes
    from forbear.stats.power import Effect as Effect
    from forbear.stats.power import minimum_detectable_gain as minimum_detectable_gain
    from forbear.stats.power import power as power
    from forbear.stats.power import tasks_needed as tasks_needed
    from forbear.stats.resample import best_of as best_of
    from forbear.stats.rule import DecisionRule as DecisionRule
    from forbear.stats.sequential import SequentialOutcomes as SequentialOutcomes
    from forbear.stats.sequential import sequential_outcomes as sequential_outcomes
    from forbear.stats.simulate import PilotTruth as PilotTruth
    from forbear.stats.simulate import simulate as simulate
    from forbear.stats.stopping import looked_power as looked_power
    from forbear.stats.transport import gain_at as gain_at
    from forbear.stats.transport import post_stratified_gain as post_stratified_gain
    from forbear.stats.verdict import Recommendation as Recommendation
    from forbear.stats.verdict import Remark as Remark
    from forbear.stats.verdict import Verdict as Verdict
    from forbear.table import OutcomeTable as OutcomeTable

__version__ = "0.1.0"

_HOME = {
    "Action": "records.model",
    "AgentError": "errors",
    "AnytimeOutcomes": "stats.anytime",
    "Append": "interventions.append",
    "Arm": "policy",
    "ClusteredOutcomes": "stats.clustered",
    "Columns": "adapters.formats.tabular",
    "DecisionRule": "stats.rule",
    "Draw": "draw",
    "EProcess": "stats.betting",
    "Effect": "stats.power",
    "Episode": "records.model",
    "Evidence": "runner.evidence",
    "ForbearError": "errors",
    "InterventionPolicy": "policy",
    "InvalidInput": "errors",
    "Journal": "records.journal",
    "Looks": "stats.looks",
    "Observation": "protocols",
    "OutcomeTable": "table",
    "PairedOutcomes": "stats.paired",
    "Pairing": "pairing",
    "PilotPlan": "runner.plan",
    "PilotResult": "runner.result",
    "PilotTruth": "stats.simulate",
    "Placebo": "interventions.placebo",
    "ProviderError": "errors",
    "Recommendation": "stats.verdict",
    "Remark": "stats.verdict",
    "Rollback": "interventions.rollback",
    "SequentialOutcomes": "stats.sequential",
    "Stop": "interventions.stop",
    "Task": "records.model",
    "Trajectory": "records.model",
    "Verdict": "stats.verdict",
    "anytime_outcomes": "stats.anytime",
    "best_of": "stats.resample",
    "boundary_constant": "stats.looks",
    "ceilings": "stats.ceilings",
    "churn_of": "stats.churn",
    "compare": "pairing",
    "confidence_sequence": "stats.betting",
    "decide": "stats.decision",
    "decide_arms": "stats.decision",
    "evidence_of": "runner.evidence",
    "gain_at": "stats.transport",
    "looked_power": "stats.stopping",
    "minimum_detectable_gain": "stats.power",
    "planned_outcomes": "stats.missing",
    "post_stratified_gain": "stats.transport",
    "power": "stats.power",
    "read_outcomes": "adapters.formats.tabular",
    "run_pilot": "runner.pilot",
    "sequential_outcomes": "stats.sequential",
    "sequential_pvalue": "stats.looks",
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
