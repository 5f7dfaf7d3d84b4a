"""Statistics of paired outcomes: counts and booleans in, estimates, tests and verdicts out; numpy and scipy only."""

from typing import TYPE_CHECKING

from forbear.lazy import lazily

if TYPE_CHECKING:  # the same names for type checkers; a test holds the two lists together
    from forbear.stats.clustered import clustered_gain_interval as clustered_gain_interval
    from forbear.stats.clustered import clustered_gain_test as clustered_gain_test
    from forbear.stats.context.ceilings import Ceilings as Ceilings
    from forbear.stats.context.ceilings import ceilings as ceilings
    from forbear.stats.context.churn import Churn as Churn
    from forbear.stats.context.churn import NetRates as NetRates
    from forbear.stats.context.churn import churn_of as churn_of
    from forbear.stats.context.churn import net_of_churn as net_of_churn
    from forbear.stats.context.prior import Prior as Prior
    from forbear.stats.context.resample import Best as Best
    from forbear.stats.context.resample import best_of as best_of
    from forbear.stats.context.transport import GainAt as GainAt
    from forbear.stats.context.transport import MixedGain as MixedGain
    from forbear.stats.context.transport import gain_at as gain_at
    from forbear.stats.context.transport import gain_curve as gain_curve
    from forbear.stats.context.transport import post_stratified_gain as post_stratified_gain
    from forbear.stats.context.value import Costs as Costs
    from forbear.stats.context.value import Value as Value
    from forbear.stats.context.value import value_of as value_of
    from forbear.stats.decision import decide as decide
    from forbear.stats.decision import decide_arms as decide_arms
    from forbear.stats.exact import GainTest as GainTest
    from forbear.stats.exact import exact_unconditional as exact_unconditional
    from forbear.stats.exact import score_test as score_test
    from forbear.stats.intervals import Estimate as Estimate
    from forbear.stats.intervals import Interval as Interval
    from forbear.stats.intervals import Rate as Rate
    from forbear.stats.intervals import break_even_interval as break_even_interval
    from forbear.stats.intervals import paired_gain_interval as paired_gain_interval
    from forbear.stats.looks.anytime import AnytimeOutcomes as AnytimeOutcomes
    from forbear.stats.looks.anytime import anytime_outcomes as anytime_outcomes
    from forbear.stats.looks.betting import ConfidenceSequence as ConfidenceSequence
    from forbear.stats.looks.betting import EProcess as EProcess
    from forbear.stats.looks.betting import confidence_sequence as confidence_sequence
    from forbear.stats.looks.looks import Looks as Looks
    from forbear.stats.looks.looks import boundary_constant as boundary_constant
    from forbear.stats.looks.looks import sequential_pvalue as sequential_pvalue
    from forbear.stats.looks.sequential import SequentialOutcomes as SequentialOutcomes
    from forbear.stats.looks.sequential import sequential_outcomes as sequential_outcomes
    from forbear.stats.looks.stopping import LookedPower as LookedPower
    from forbear.stats.looks.stopping import looked_power as looked_power
    from forbear.stats.planning import AssumedEffect as AssumedEffect
    from forbear.stats.planning import Power as Power
    from forbear.stats.planning import effective_pairs as effective_pairs
    from forbear.stats.planning import least_tasks as least_tasks
    from forbear.stats.planning import minimum_detectable_gain as minimum_detectable_gain
    from forbear.stats.planning import power as power
    from forbear.stats.planning import tasks_needed as tasks_needed
    from forbear.stats.rule import DecisionRule as DecisionRule
    from forbear.stats.simulation import OperatingCharacteristics as OperatingCharacteristics
    from forbear.stats.simulation import PilotTruth as PilotTruth
    from forbear.stats.simulation import draw_pilot as draw_pilot
    from forbear.stats.simulation import simulate as simulate
    from forbear.stats.verdict import AtAnyTime as AtAnyTime
    from forbear.stats.verdict import AtLook as AtLook
    from forbear.stats.verdict import Recommendation as Recommendation
    from forbear.stats.verdict import Remark as Remark
    from forbear.stats.verdict import Verdict as Verdict

_HOME = {
    "AnytimeOutcomes": "looks.anytime",
    "AssumedEffect": "planning",
    "AtAnyTime": "verdict",
    "AtLook": "verdict",
    "Best": "context.resample",
    "Ceilings": "context.ceilings",
    "Churn": "context.churn",
    "ConfidenceSequence": "looks.betting",
    "Costs": "context.value",
    "DecisionRule": "rule",
    "EProcess": "looks.betting",
    "Estimate": "intervals",
    "GainAt": "context.transport",
    "GainTest": "exact",
    "Interval": "intervals",
    "LookedPower": "looks.stopping",
    "Looks": "looks.looks",
    "MixedGain": "context.transport",
    "NetRates": "context.churn",
    "OperatingCharacteristics": "simulation",
    "PilotTruth": "simulation",
    "Power": "planning",
    "Prior": "context.prior",
    "Rate": "intervals",
    "Recommendation": "verdict",
    "Remark": "verdict",
    "SequentialOutcomes": "looks.sequential",
    "Value": "context.value",
    "Verdict": "verdict",
    "anytime_outcomes": "looks.anytime",
    "best_of": "context.resample",
    "boundary_constant": "looks.looks",
    "break_even_interval": "intervals",
    "ceilings": "context.ceilings",
    "churn_of": "context.churn",
    "clustered_gain_interval": "clustered",
    "clustered_gain_test": "clustered",
    "confidence_sequence": "looks.betting",
    "decide": "decision",
    "decide_arms": "decision",
    "draw_pilot": "simulation",
    "effective_pairs": "planning",
    "exact_unconditional": "exact",
    "gain_at": "context.transport",
    "gain_curve": "context.transport",
    "least_tasks": "planning",
    "looked_power": "looks.stopping",
    "minimum_detectable_gain": "planning",
    "net_of_churn": "context.churn",
    "paired_gain_interval": "intervals",
    "post_stratified_gain": "context.transport",
    "power": "planning",
    "score_test": "exact",
    "sequential_outcomes": "looks.sequential",
    "sequential_pvalue": "looks.looks",
    "simulate": "simulation",
    "tasks_needed": "planning",
    "value_of": "context.value",
}

__all__ = [*_HOME]

__getattr__, __dir__ = lazily(__name__, _HOME)
