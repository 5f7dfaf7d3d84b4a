"""A change of the public names is a visible change of this list."""

import ast
import inspect
from pathlib import Path

import pytest

import forbear

PUBLIC = [
    "Action",
    "AgentError",
    "AnytimeOutcomes",
    "Append",
    "Arm",
    "Assignment",
    "AssumedEffect",
    "ClusteredOutcomes",
    "Columns",
    "DecisionRule",
    "Draw",
    "EProcess",
    "Episode",
    "Evidence",
    "ForbearError",
    "HostArm",
    "HostPilot",
    "HostPlan",
    "InterventionPolicy",
    "InvalidInput",
    "Journal",
    "Looks",
    "Observation",
    "OutcomeTable",
    "PairedOutcomes",
    "Pairing",
    "PilotPlan",
    "PilotResult",
    "PilotTruth",
    "Placebo",
    "ProviderError",
    "Recommendation",
    "Remark",
    "Rollback",
    "SequentialOutcomes",
    "Stop",
    "Task",
    "Trajectory",
    "Verdict",
    "__version__",
    "anytime_outcomes",
    "best_of",
    "boundary_constant",
    "ceilings",
    "churn_of",
    "compare",
    "confidence_sequence",
    "decide",
    "decide_arms",
    "evidence_of",
    "gain_at",
    "looked_power",
    "minimum_detectable_gain",
    "planned_outcomes",
    "post_stratified_gain",
    "power",
    "read_outcomes",
    "run_pilot",
    "sequential_outcomes",
    "sequential_pvalue",
    "simulate",
    "tasks_needed",
]


def test_the_public_names_are_these():
    assert sorted(forbear.__all__) == PUBLIC
    assert dir(forbear) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_exists_and_says_what_it_is(name):
    value = getattr(forbear, name)
    if name != "__version__":
        assert value.__name__ == name
        assert inspect.getdoc(value)


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'forbear' has no attribute 'nonsense'"):
        forbear.nonsense  # noqa: B018 - the access is the test


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(forbear.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: (node.module, alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {name: (f"forbear.{home}", name) for name, home in forbear._HOME.items()}
