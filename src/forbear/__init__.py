"""Know when not to intervene: an honest verdict on a critic from a small paired pilot.

What users write, run, decide, read and catch is here; specialists' functions are in `forbear.stats` and
`forbear.critics`. Public names are listed once, in `_HOME`, and imported when first used (PEP 562), so that
`import forbear` stays under 0.1 s.
"""

from typing import TYPE_CHECKING

from forbear.lazy import lazily

if TYPE_CHECKING:  # the same names for type checkers; a test holds the two lists together
    from forbear import critics as critics
    from forbear import stats as stats
    from forbear.adapters.agents.chat import ChatAgent as ChatAgent
    from forbear.adapters.formats.reading import Columns as Columns
    from forbear.adapters.formats.reading import Reading as Reading
    from forbear.adapters.formats.tabular import read_mix as read_mix
    from forbear.adapters.formats.tabular import read_outcomes as read_outcomes
    from forbear.adapters.functions import FunctionAgent as FunctionAgent
    from forbear.adapters.functions import FunctionWorld as FunctionWorld
    from forbear.adapters.functions import pilot as pilot
    from forbear.adapters.logged import read_logged as read_logged
    from forbear.adapters.pilot_file import PilotFile as PilotFile
    from forbear.adapters.pilot_file import read_pilot_file as read_pilot_file
    from forbear.analysis.evidence import Evidence as Evidence
    from forbear.analysis.evidence import evidence_of as evidence_of
    from forbear.analysis.evidence import verdicts_of as verdicts_of
    from forbear.analysis.pairing import Pairing as Pairing
    from forbear.analysis.pairing import compare as compare
    from forbear.analysis.pairing import pair_episodes as pair_episodes
    from forbear.analysis.pairing import repeats_of as repeats_of
    from forbear.analysis.pairing import stratify as stratify
    from forbear.analysis.plan_record import PlanRecord as PlanRecord
    from forbear.analysis.result import ArmResult as ArmResult
    from forbear.analysis.result import PilotResult as PilotResult
    from forbear.analysis.result import analyse as analyse
    from forbear.analysis.result import analyse_journal as analyse_journal
    from forbear.analysis.result import findings_digest as findings_digest
    from forbear.analysis.verdicts import decide_pairings as decide_pairings
    from forbear.contracts.agent import Agent as Agent
    from forbear.contracts.critic import Critic as Critic
    from forbear.contracts.critic import Score as Score
    from forbear.contracts.draw import Draw as Draw
    from forbear.contracts.environment import Environment as Environment
    from forbear.contracts.environment import Observation as Observation
    from forbear.contracts.environment import Restorable as Restorable
    from forbear.contracts.intervention import Continue as Continue
    from forbear.contracts.intervention import Effect as Effect
    from forbear.contracts.intervention import Halt as Halt
    from forbear.contracts.intervention import Intervention as Intervention
    from forbear.contracts.intervention import Replace as Replace
    from forbear.contracts.intervention import Retry as Retry
    from forbear.critics.blind import blind_arm as blind_arm
    from forbear.critics.heuristic import FunctionCritic as FunctionCritic
    from forbear.errors import AgentError as AgentError
    from forbear.errors import BudgetSpent as BudgetSpent
    from forbear.errors import ForbearError as ForbearError
    from forbear.errors import InvalidInput as InvalidInput
    from forbear.errors import JournalLocked as JournalLocked
    from forbear.errors import JournalUnwritable as JournalUnwritable
    from forbear.errors import ModelUnusable as ModelUnusable
    from forbear.errors import NotReproducible as NotReproducible
    from forbear.errors import OutputUnwritable as OutputUnwritable
    from forbear.errors import PlanChanged as PlanChanged
    from forbear.errors import ProviderError as ProviderError
    from forbear.errors import TooManyAgentErrors as TooManyAgentErrors
    from forbear.errors import TooManyCriticFaults as TooManyCriticFaults
    from forbear.interventions.append import Append as Append
    from forbear.interventions.feedback import ChatFeedback as ChatFeedback
    from forbear.interventions.placebo import Placebo as Placebo
    from forbear.interventions.ready import Nudge as Nudge
    from forbear.interventions.ready import SilentRollback as SilentRollback
    from forbear.interventions.ready import ToldRollback as ToldRollback
    from forbear.interventions.restart import Restart as Restart
    from forbear.interventions.rollback import Rollback as Rollback
    from forbear.interventions.stop import Stop as Stop
    from forbear.models.chat import ChatModel as ChatModel
    from forbear.models.chat import ChatOptions as ChatOptions
    from forbear.models.chat import Completion as Completion
    from forbear.models.client import OpenAIChat as OpenAIChat
    from forbear.models.kept import KeptModel as KeptModel
    from forbear.models.local import LocalChat as LocalChat
    from forbear.models.prices import Prices as Prices
    from forbear.outcomes.clustered import ClusteredOutcomes as ClusteredOutcomes
    from forbear.outcomes.graded import GradedOutcomes as GradedOutcomes
    from forbear.outcomes.logged import LoggedRuns as LoggedRuns
    from forbear.outcomes.missing import MissingOutcomes as MissingOutcomes
    from forbear.outcomes.missing import PlannedOutcomes as PlannedOutcomes
    from forbear.outcomes.missing import planned_outcomes as planned_outcomes
    from forbear.outcomes.paired import PairedOutcomes as PairedOutcomes
    from forbear.outcomes.table import OutcomeTable as OutcomeTable
    from forbear.policy.arm import Arm as Arm
    from forbear.policy.judge import Judge as Judge
    from forbear.policy.judge import Ruling as Ruling
    from forbear.policy.policy import InterventionPolicy as InterventionPolicy
    from forbear.records.journal import Journal as Journal
    from forbear.records.model import Action as Action
    from forbear.records.model import Episode as Episode
    from forbear.records.model import EpisodeUsage as EpisodeUsage
    from forbear.records.model import Proposal as Proposal
    from forbear.records.model import RoleUsage as RoleUsage
    from forbear.records.model import Step as Step
    from forbear.records.model import Task as Task
    from forbear.records.model import Termination as Termination
    from forbear.records.model import Trajectory as Trajectory
    from forbear.records.model import Usage as Usage
    from forbear.report.html import pilot_html as pilot_html
    from forbear.report.markdown import pilot_markdown as pilot_markdown
    from forbear.report.picture_files import write_pictures as write_pictures
    from forbear.report.pictures import pilot_pictures as pilot_pictures
    from forbear.report.pilot_text import pilot_text as pilot_text
    from forbear.report.pilot_view import pilot_json as pilot_json
    from forbear.report.pilot_view import pilot_view as pilot_view
    from forbear.report.text import decision_text as decision_text
    from forbear.report.view import decision_json as decision_json
    from forbear.report.view import decision_view as decision_view
    from forbear.runner.ask_tell import Assignment as Assignment
    from forbear.runner.ask_tell import HostPilot as HostPilot
    from forbear.runner.earlier import EarlierRuns as EarlierRuns
    from forbear.runner.earlier import read_earlier as read_earlier
    from forbear.runner.host_plan import HostArm as HostArm
    from forbear.runner.host_plan import HostPlan as HostPlan
    from forbear.runner.ledger import Budget as Budget
    from forbear.runner.pilot import run_pilot as run_pilot
    from forbear.runner.plan import FrozenPlan as FrozenPlan
    from forbear.runner.plan import PilotPlan as PilotPlan
    from forbear.runner.plan import freeze as freeze
    from forbear.runner.rehearsal import rehearse as rehearse
    from forbear.stats.decision import decide as decide
    from forbear.stats.decision import decide_arms as decide_arms
    from forbear.stats.intervals import Estimate as Estimate
    from forbear.stats.looks.looks import Looks as Looks
    from forbear.stats.rule import DecisionRule as DecisionRule
    from forbear.stats.verdict import AtAnyTime as AtAnyTime
    from forbear.stats.verdict import AtLook as AtLook
    from forbear.stats.verdict import Recommendation as Recommendation
    from forbear.stats.verdict import Remark as Remark
    from forbear.stats.verdict import Verdict as Verdict

__version__ = "0.1.0"

_HOME = {
    "Action": "records.model",
    "Agent": "contracts.agent",
    "AgentError": "errors",
    "Append": "interventions.append",
    "Arm": "policy.arm",
    "ArmResult": "analysis.result",
    "Assignment": "runner.ask_tell",
    "AtAnyTime": "stats.verdict",
    "AtLook": "stats.verdict",
    "Budget": "runner.ledger",
    "BudgetSpent": "errors",
    "ChatAgent": "adapters.agents.chat",
    "ChatFeedback": "interventions.feedback",
    "ChatModel": "models.chat",
    "ChatOptions": "models.chat",
    "ClusteredOutcomes": "outcomes.clustered",
    "Columns": "adapters.formats.reading",
    "Completion": "models.chat",
    "Continue": "contracts.intervention",
    "Critic": "contracts.critic",
    "DecisionRule": "stats.rule",
    "Draw": "contracts.draw",
    "Effect": "contracts.intervention",
    "Environment": "contracts.environment",
    "Episode": "records.model",
    "EpisodeUsage": "records.model",
    "EarlierRuns": "runner.earlier",
    "Estimate": "stats.intervals",
    "Evidence": "analysis.evidence",
    "ForbearError": "errors",
    "FrozenPlan": "runner.plan",
    "FunctionAgent": "adapters.functions",
    "FunctionCritic": "critics.heuristic",
    "FunctionWorld": "adapters.functions",
    "GradedOutcomes": "outcomes.graded",
    "Halt": "contracts.intervention",
    "HostArm": "runner.host_plan",
    "HostPilot": "runner.ask_tell",
    "HostPlan": "runner.host_plan",
    "Intervention": "contracts.intervention",
    "InterventionPolicy": "policy.policy",
    "InvalidInput": "errors",
    "Journal": "records.journal",
    "JournalLocked": "errors",
    "JournalUnwritable": "errors",
    "Judge": "policy.judge",
    "LoggedRuns": "outcomes.logged",
    "Looks": "stats.looks.looks",
    "KeptModel": "models.kept",
    "LocalChat": "models.local",
    "MissingOutcomes": "outcomes.missing",
    "ModelUnusable": "errors",
    "NotReproducible": "errors",
    "Nudge": "interventions.ready",
    "Observation": "contracts.environment",
    "OpenAIChat": "models.client",
    "OutcomeTable": "outcomes.table",
    "OutputUnwritable": "errors",
    "PairedOutcomes": "outcomes.paired",
    "Pairing": "analysis.pairing",
    "PilotFile": "adapters.pilot_file",
    "PilotPlan": "runner.plan",
    "PilotResult": "analysis.result",
    "Placebo": "interventions.placebo",
    "PlanChanged": "errors",
    "PlanRecord": "analysis.plan_record",
    "PlannedOutcomes": "outcomes.missing",
    "Prices": "models.prices",
    "Proposal": "records.model",
    "ProviderError": "errors",
    "Reading": "adapters.formats.reading",
    "Recommendation": "stats.verdict",
    "Remark": "stats.verdict",
    "Replace": "contracts.intervention",
    "Restart": "interventions.restart",
    "Restorable": "contracts.environment",
    "Retry": "contracts.intervention",
    "RoleUsage": "records.model",
    "Rollback": "interventions.rollback",
    "Ruling": "policy.judge",
    "Score": "contracts.critic",
    "SilentRollback": "interventions.ready",
    "Step": "records.model",
    "Stop": "interventions.stop",
    "Task": "records.model",
    "Termination": "records.model",
    "ToldRollback": "interventions.ready",
    "TooManyAgentErrors": "errors",
    "TooManyCriticFaults": "errors",
    "Trajectory": "records.model",
    "Usage": "records.model",
    "Verdict": "stats.verdict",
    "analyse": "analysis.result",
    "analyse_journal": "analysis.result",
    "blind_arm": "critics.blind",
    "compare": "analysis.pairing",
    "decide": "stats.decision",
    "decide_arms": "stats.decision",
    "decide_pairings": "analysis.verdicts",
    "decision_json": "report.view",
    "decision_text": "report.text",
    "decision_view": "report.view",
    "evidence_of": "analysis.evidence",
    "findings_digest": "analysis.result",
    "freeze": "runner.plan",
    "pair_episodes": "analysis.pairing",
    "pilot": "adapters.functions",
    "pilot_html": "report.html",
    "pilot_markdown": "report.markdown",
    "pilot_pictures": "report.pictures",
    "write_pictures": "report.picture_files",
    "pilot_json": "report.pilot_view",
    "pilot_text": "report.pilot_text",
    "pilot_view": "report.pilot_view",
    "planned_outcomes": "outcomes.missing",
    "read_earlier": "runner.earlier",
    "read_logged": "adapters.logged",
    "read_mix": "adapters.formats.tabular",
    "read_outcomes": "adapters.formats.tabular",
    "read_pilot_file": "adapters.pilot_file",
    "rehearse": "runner.rehearsal",
    "repeats_of": "analysis.pairing",
    "run_pilot": "runner.pilot",
    "stratify": "analysis.pairing",
    "verdicts_of": "analysis.evidence",
}

__all__ = ["__version__", "critics", "stats", *_HOME]

__getattr__, __dir__ = lazily(__name__, _HOME, also=("__version__",), packages=("critics", "stats"))
