"""A change of the public names is a visible change of this list."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

PUBLIC = [
    "Action",
    "Agent",
    "AgentError",
    "Append",
    "Arm",
    "ArmResult",
    "Assignment",
    "AtAnyTime",
    "AtLook",
    "Budget",
    "BudgetSpent",
    "ChatAgent",
    "ChatFeedback",
    "ChatModel",
    "ChatOptions",
    "ClusteredOutcomes",
    "Columns",
    "Completion",
    "Continue",
    "Critic",
    "DecisionRule",
    "Draw",
    "Effect",
    "Environment",
    "Episode",
    "EpisodeUsage",
    "Estimate",
    "Evidence",
    "ForbearError",
    "FrozenPlan",
    "FunctionAgent",
    "FunctionCritic",
    "FunctionWorld",
    "GradedOutcomes",
    "Halt",
    "HostArm",
    "HostPilot",
    "HostPlan",
    "Intervention",
    "InterventionPolicy",
    "InvalidInput",
    "Journal",
    "JournalLocked",
    "JournalUnwritable",
    "Judge",
    "KeptModel",
    "LocalChat",
    "LoggedRuns",
    "Looks",
    "MissingOutcomes",
    "ModelUnusable",
    "NotReproducible",
    "Nudge",
    "Observation",
    "OpenAIChat",
    "OutcomeTable",
    "OutputUnwritable",
    "PairedOutcomes",
    "Pairing",
    "PilotFile",
    "PilotPlan",
    "PilotResult",
    "Placebo",
    "PlanChanged",
    "PlanRecord",
    "PlannedOutcomes",
    "Prices",
    "Proposal",
    "ProviderError",
    "Reading",
    "Recommendation",
    "Remark",
    "Replace",
    "Restart",
    "Restorable",
    "Retry",
    "RoleUsage",
    "Rollback",
    "Ruling",
    "Score",
    "SilentRollback",
    "Step",
    "Stop",
    "Task",
    "Termination",
    "ToldRollback",
    "TooManyAgentErrors",
    "TooManyCriticFaults",
    "Trajectory",
    "Usage",
    "Verdict",
    "__version__",
    "analyse",
    "analyse_journal",
    "blind_arm",
    "compare",
    "critics",
    "decide",
    "decide_arms",
    "decide_pairings",
    "decision_json",
    "decision_text",
    "decision_view",
    "evidence_of",
    "findings_digest",
    "freeze",
    "pair_episodes",
    "pilot",
    "pilot_html",
    "pilot_json",
    "pilot_markdown",
    "pilot_pictures",
    "pilot_text",
    "pilot_view",
    "planned_outcomes",
    "read_logged",
    "read_mix",
    "read_outcomes",
    "read_pilot_file",
    "rehearse",
    "repeats_of",
    "run_pilot",
    "stats",
    "stratify",
    "verdicts_of",
    "write_pictures",
]
STATS = [
    "AnytimeOutcomes",
    "AssumedEffect",
    "AtAnyTime",
    "AtLook",
    "Best",
    "Ceilings",
    "Churn",
    "ConfidenceSequence",
    "Costs",
    "DecisionRule",
    "EProcess",
    "Estimate",
    "GainAt",
    "GainTest",
    "Interval",
    "LookedPower",
    "Looks",
    "MixedGain",
    "NetRates",
    "OperatingCharacteristics",
    "PilotTruth",
    "Power",
    "Prior",
    "Rate",
    "Recommendation",
    "Remark",
    "SequentialOutcomes",
    "Value",
    "Verdict",
    "anytime_outcomes",
    "best_of",
    "boundary_constant",
    "break_even_interval",
    "ceilings",
    "churn_of",
    "clustered_gain_interval",
    "clustered_gain_test",
    "confidence_sequence",
    "decide",
    "decide_arms",
    "draw_pilot",
    "effective_pairs",
    "exact_unconditional",
    "gain_at",
    "gain_curve",
    "least_tasks",
    "looked_power",
    "minimum_detectable_gain",
    "net_of_churn",
    "paired_gain_interval",
    "post_stratified_gain",
    "power",
    "score_test",
    "sequential_outcomes",
    "sequential_pvalue",
    "simulate",
    "tasks_needed",
    "value_of",
]
CRITICS = [
    "AdvantageCritic",
    "AfterStep",
    "BlindCritic",
    "CalibratedCritic",
    "Calibrator",
    "ChatCritic",
    "CriticReport",
    "ErrorWords",
    "EveryK",
    "Features",
    "FunctionCritic",
    "HTTPCritic",
    "JudgedRun",
    "Judgements",
    "LogisticCritic",
    "LogisticWeights",
    "LoraCritic",
    "RandomCritic",
    "RepeatedAction",
    "StepCount",
    "StepLines",
    "TokenProbability",
    "TrainedCritic",
    "TranscriptFeatures",
    "at_threshold",
    "auroc",
    "average_precision",
    "brier",
    "calibration_error",
    "choose_calibrator",
    "compare_critics",
    "evaluate_critic",
    "false_alarm_threshold",
    "fit_calibrator",
    "fit_step_lines",
    "fit_temperature",
    "log_loss",
    "matched_rate",
    "recall_at_precision",
    "reliability_curve",
    "roc_curve",
    "train_critic",
    "train_logistic",
]


FACES = {"forbear": PUBLIC, "forbear.stats": STATS, "forbear.critics": CRITICS}
NAMES = [(package, name) for package, names in FACES.items() for name in names]


@pytest.mark.parametrize("package", FACES)
def test_the_public_names_are_these(package):
    module = importlib.import_module(package)
    assert sorted(module.__all__) == FACES[package]
    assert dir(module) == FACES[package]


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_every_public_name_exists_and_says_what_it_is(package, name):
    value = getattr(importlib.import_module(package), name)
    if name not in ("__version__", "Effect", "critics", "stats"):
        assert value.__name__ == name
        assert inspect.getdoc(value)


@pytest.mark.parametrize("package", FACES)
def test_unknown_names_are_attribute_errors(package):
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nonsense'"):
        importlib.import_module(package).nonsense  # noqa: B018 - the access is the test


@pytest.mark.parametrize("package", FACES)
def test_type_checkers_see_the_same_names(package):
    module = importlib.import_module(package)
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    if package == "forbear":
        assert (seen.pop("critics"), seen.pop("stats")) == (("forbear", "critics"), ("forbear", "stats"))
    assert seen == {name: (f"{package}.{home}", name) for name, home in module._HOME.items()}
